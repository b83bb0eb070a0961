"""Where a network keeps its parameters, and where it throws information away."""

from collections.abc import Iterator

from builder.layers.conv import Conv2d
from builder.layers.linear import Linear
from builder.layers.pooling import Pooling
from builder.lints.base import Finding, Lint, Network
from builder.lints.families import AFFINE, PASSING, is_pointwise
from builder.lints.flow import Node

MAX_LAYERS_AFTER = 1  # with weights, after a pooling that counts as late
NARROWS_ABRUPTLY = 8  # times fewer channels
MOST = 0.5  # of the parameters


class LatePooling(Lint, code="late-pooling", severity="info"):
    """A pooling between the last layers throws positions away that no layer is left to make use of. If the map is to be
    reduced, let it happen where convolutions follow, in the beginning of the network.

    Global pooling is none of that: it ends the map.

    Effect: little: 96.1% on the embedded sample with a pooling before the last layer, 96.4% without.

    Source: `python benchmarks/lint_effects.py`; small networks that reach 99.4% on MNIST pool once, where units see
    about five pixels.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        weighted = 0
        for node in network.flow.tail(()):
            if weighted > MAX_LAYERS_AFTER:
                return
            if node.is_one((Pooling,)) and set(node.row.out_shape[1:]) != {1}:
                after = "no layer" if weighted == 0 else "one layer"
                message = f"`{node.name}` reduces the map, and only {after} that learns comes after it"
                yield Finding.at(node, message, "move it up, or end with `adaptive_avg_pool2d: {output_size: 1}`")
                return
            weighted += node.is_one(AFFINE)


class AbruptNarrowing(Lint, code="abrupt-narrowing", severity="info"):
    """A convolution that keeps an eighth of its channels, or less, must decide in one step what to forget, at every
    position. Published networks narrow gently, or with a 1x1 convolution and more channels after it.

    Nothing is said of 1x1 convolutions, and of the last layer, whose channels are the classes.

    Effect: none to be seen on the embedded sample (92.8% with 8 of 64 channels kept, 92.0% with 9); it depends on the
    network.

    Source: Szegedy et al. 2016, arXiv:1512.00567, section 2, principle 1 ("avoid representational bottlenecks");
    `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        last = [*network.flow.tail(AFFINE)][-1:]
        for node, layer in network.flow.layers(Conv2d):
            arriving, leaving = node.row.in_shape[0], layer.out_channels
            if leaving * NARROWS_ABRUPTLY <= arriving and not is_pointwise(layer) and node not in last:
                message = f"`{node.name}` makes {leaving:,} channels of {arriving:,}"
                yield Finding.at(node, message, "narrow in several steps, or with a 1x1 convolution", "out_channels")


class DenseHead(Lint, code="dense-head", severity="info"):
    """A linear layer behind `flatten` has a weight for every value of the map and every feature that it gives: often
    more than all convolutions together. Global average pooling has none, and doesn't depend on the size of the image.

    Effect: `specs/pytorch_example.yaml` keeps 98% of its 1,199,882 parameters in `fc1`; `specs/tiny.yaml`, with global
    average pooling, has fewer than 10,000 in all. It is about size: with five epochs on the embedded sample, a small
    network with a dense head reaches 96.1%, one with global pooling 91.1%.

    Source: Lin, Chen & Yan 2014, arXiv:1312.4400, section 3.2; `python -m builder show` on these two;
    `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        for node, _ in network.flow.layers(Linear):
            share = node.row.params / network.plan.params if network.plan.params else 0
            behind = _map_behind(node)
            if share > MOST and behind:
                shape = "x".join(str(size) for size in behind.row.out_shape)
                message = (
                    f"`{node.name}` holds {node.row.params:,} weights and biases for the {shape} map before it, "
                    f"{share:.0%} of all parameters"
                )
                hint = "put `adaptive_avg_pool2d: {output_size: 1}` before `flatten`"
                yield Finding.at(node, message, hint)


def _map_behind(node: Node) -> Node | None:
    """What gives the map of more than one position that was flattened into a layer's features, if that is so."""
    for source in node.sources(PASSING):
        shape = source.row.out_shape
        if len(shape) == 3 and shape[1] * shape[2] > 1:
            return source
    return None
