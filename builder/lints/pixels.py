"""What layers see of the image: too little of it, all of it already, or not every pixel."""

from collections.abc import Iterator

from builder.layers.conv import SlidingConvolution
from builder.layers.pooling import AdaptivePooling, Pooling
from builder.lints.base import Finding, Lint, Network
from builder.lints.families import is_pointwise
from builder.lints.flow import Node
from builder.lints.reach import Reach, left_out, units_text
from builder.plan import LayerRow

# Pixels that the thing to be recognised takes, where it is smaller than the image: LeCun et al. 1998, section III-A.
OBJECTS = {"mnist": (20, 20), "mnist_sample": (20, 20)}

STEPPING = (SlidingConvolution, Pooling)  # their windows have a stride


class LostPixels(Lint, code="lost-pixels", severity="info"):
    """A size that a stride doesn't divide is rounded down, and the last rows and columns of a map are left out. Where
    no other window reaches them, pixels of the image count for nothing. On images with an empty border that is
    harmless; on others the network is blind there.

    Effect: none on MNIST, whose border of four pixels is empty (94.1% with two rows and columns lost, 93.9% without);
    the report names them.

    Source: Dumoulin & Visin 2016, arXiv:1603.07285 ("some input units are left out"); the units that windows touch,
    counted from the output back to the image; `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        flow, image = network.flow, network.plan.spec.input[1:]
        leaving = [node for node in flow.nodes if node.layer and node.layer.slides and any(left_out(node))]
        if not leaving or any(map(_gaps, flow.of(STEPPING))):
            return  # gaps have a lint of their own
        first = next((node for node in leaving if not _is_shortcut(node)), leaving[0])
        height, width = Reach(flow, (image[0], image[1])).lost
        lost = [
            f"{_noun(noun, units)} {units_text(units)}" for noun, units in (("row", height), ("column", width)) if units
        ]
        if lost:
            message = (
                f"no output depends on {' and '.join(lost)} of the {_area(image)} image; `{first.name}` is the "
                "first layer that leaves units of its input out"
            )
            yield Finding.at(first, message, "let its stride divide what it is given, or add padding")


class StrideLargerThanKernel(Lint, code="stride-larger-than-kernel", severity="info"):
    """Windows that step further than they are wide leave rows and columns between them unseen, in the middle of the
    image too. Which of the pixels count is then a matter of their position: shifting the image by one changes
    everything.

    Nothing is said of a 1x1 convolution in a branch, where another way sees what it skips.

    Effect: a small network on the embedded sample reaches 87.0% with kernel 3 and stride 4 in its first layer, and
    89.8% with kernel 4.

    Source: `python benchmarks/lint_effects.py`; aliasing of strides: Zhang 2019, arXiv:1904.11486.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        for node in network.flow.of(STEPPING):
            gaps = _gaps(node)
            if gaps:
                stride, extent = gaps
                message = (
                    f"the stride {stride} of `{node.name}` is larger than its kernel, which spans {extent}: it skips "
                    f"{stride - extent} of every {stride} rows or columns"
                )
                yield Finding.at(node, message, f"write a stride up to {extent}, or a larger kernel", "stride")


class SmallReceptiveField(Lint, code="small-receptive-field", severity="info"):
    """Global pooling takes the mean (or the maximum) of what units see, wherever they are. If none of them sees the
    whole object, the network recognises it by its parts, in any arrangement. That can do well (a bag of features), but
    shape is lost.

    The object is taken to be the image, on MNIST the digit: 20x20 pixels in the middle of 28x28.

    Effect: a small network on the embedded sample reaches 85.2% where units see 13x13 pixels, and 94.7% where they see
    33x33. With more parameters parts can do: a network whose units see 33x33 of 224x224 pixels has a top-5 accuracy of
    87.6% on ImageNet.

    Source: Brendel & Bethge 2019, arXiv:1904.00760; `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        spec = network.plan.spec
        kind = spec.recipe.dataset.kind if spec.recipe else ""
        image = (spec.input[1], spec.input[2])
        wanted = OBJECTS.get(kind, image)
        for node in network.flow.tail(()):
            if not _is_global(node) or not node.before:
                continue
            seen = node.before[0].row.receptive_field.size
            if any(found < size for found, size in zip(seen, wanted, strict=True)):
                whole = f"an object of {kind} takes {_area(wanted)}" if kind in OBJECTS else "the image has more"
                message = f"what `{node.name}` pools sees {_area(seen)} of {_area(image)} pixels: {whole}"
                yield Finding.at(node, message, "reduce the map earlier, or add layers")


class UnproductiveLayers(Lint, code="unproductive-layers", severity="info"):
    """A convolution whose input units see the whole image already can't add context, only depth. In trained networks
    such layers were found to contribute little: the features are as good before them as after.

    Nothing is said where the kernel covers its whole map, for such a convolution is a dense layer, and behind a gate
    (squeeze-and-excite), which tells every unit of the whole image.

    Effect: in the source, networks cut at such layers keep their accuracy at a part of the cost. A small network on the
    embedded sample: 93.9% with one of them, 94.5% without, which is within its spread.

    Source: Richter, Schöning, Wiedenroth & Krumnack 2021, arXiv:2106.12307; `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        found = [node for node in network.flow.of((SlidingConvolution,)) if _is_unproductive(node)]
        if not found:
            return
        first, image = found[0], network.plan.spec.input[1:]
        params = sum(node.row.params for node in found)
        others = f" and {len(found) - 1} more convolutions" if len(found) > 1 else ""
        message = (
            f"what arrives at `{first.name}`{others} sees the whole {_area(image)} image already; "
            f"{params / network.plan.params:.0%} of the parameters are there"
        )
        yield Finding.at(first, message, "compare a run without, reduce the map later, or take larger images")


def _gaps(node: Node) -> tuple[int, int] | None:
    """The stride and the extent of a kernel that leaves gaps, if it does."""
    layer = node.layer
    if _is_shortcut(node) or not isinstance(layer, STEPPING) or not isinstance(node.row, LayerRow):
        return None
    sizes = node.row.out_shape[1:]
    for window, size in zip(layer.window(node.row.unit_shape), sizes, strict=True):
        if size > 1 and window.stride > window.extent:
            return window.stride, window.extent
    return None


def _is_shortcut(node: Node) -> bool:
    return node.in_branch and is_pointwise(node.layer)


def _is_global(node: Node) -> bool:
    is_pooling = node.is_one((Pooling, AdaptivePooling))
    return is_pooling and set(node.row.out_shape[1:]) == {1} and set(node.row.in_shape[1:]) != {1}


def _is_unproductive(node: Node) -> bool:
    layer = node.layer
    if not isinstance(layer, SlidingConvolution) or is_pointwise(layer) or set(node.row.out_shape[1:]) == {1}:
        return False
    fields = [source.row.receptive_field for source in node.before]
    return bool(fields) and all(field.covers_input and 0 not in field.stride for field in fields)


def _noun(noun: str, units: int) -> str:
    return noun if units.bit_count() == 1 else f"{noun}s"


def _area(size: tuple[int, ...]) -> str:
    return "x".join(str(length) for length in size)
