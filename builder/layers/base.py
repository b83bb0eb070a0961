"""What every layer kind is, and can say about itself without torch."""

from math import prod
from typing import TYPE_CHECKING, ClassVar

from builder.geometry import AxisWindow
from builder.kinds import Kind, Misfit, MisfitError
from builder.signals import Shape as Shape  # the layers' own word

if TYPE_CHECKING:
    from torch import nn

Windows = tuple[AxisWindow, ...]  # one for each dimension but the channels: height and width, or the length

RANK_NAMES = {1: "features", 2: "rows of features", 3: "a map (channels, height, width)"}


class Layer(Kind, family="layer"):
    """One layer of a network. The defaults describe an element-wise layer, which writes only its `module`."""

    ranks: ClassVar[tuple[int, ...]] = (1, 2, 3)  # the numbers of dimensions that it takes, the batch left out
    slides: ClassVar[bool] = False  # whether it has a `window`
    acts_on_pixels: ClassVar[bool] = True  # whether `per_pixel` may apply it to single pixels, as to so many images

    def window(self, in_shape: Shape) -> Windows:
        """What an output unit sees, per dimension: it determines the output size and the receptive field."""
        raise NotImplementedError

    def channels(self, in_shape: Shape) -> int:
        """The channels that a sliding layer gives."""
        return in_shape[0]

    def check_input(self, in_shape: Shape) -> None:
        """Raise `MisfitError` if the layer can't work on this input, for another reason than its rank."""

    def output_shape(self, in_shape: Shape) -> Shape:
        """The shape that the layer gives; `(channels, height, width) -> (channels', height', width')`."""
        if not self.slides:
            return in_shape
        sizes = zip(self.window(in_shape), in_shape[1:], strict=True)
        return (self.channels(in_shape), *[window.output_size(size) for window, size in sizes])

    def mixes(self, in_shape: Shape) -> tuple[int, ...]:
        """The dimensions (0 is the channels) along which every output position sees every input position."""
        return ()

    def merges(self, in_shape: Shape) -> tuple[int, int] | None:
        """The first and last dimension that the layer flattens into one, if it does."""
        return None

    def splits(self, in_shape: Shape) -> tuple[int, tuple[int, ...]] | None:
        """The dimension that the layer cuts into several, if it does, and their sizes."""
        return None

    def halves(self, in_shape: Shape) -> int | None:
        """The dimension whose two halves the layer makes one, if it does."""
        return None

    def params(self, in_shape: Shape) -> int:
        """Learnable numbers."""
        return 0

    def buffers(self, in_shape: Shape) -> int:
        """Numbers that the layer keeps but doesn't learn, such as running statistics."""
        return 0

    def macs(self, in_shape: Shape) -> int:
        """Multiply-accumulates for one image, bias excluded, as `torch.utils.flop_counter` counts (FLOPs / 2)."""
        return 0

    def values_per_channel(self, in_shape: Shape) -> int | None:
        """Of one image, the values that a batch statistic is taken over; None where there is no such statistic."""
        return None

    def module(self, in_shape: Shape) -> "nn.Module":
        """The torch module; the one method of a kind that touches torch."""
        raise NotImplementedError


LAYERS: dict[str, type[Layer]] = Layer.table


def check_rank(layer: Layer, in_shape: Shape) -> None:
    """Raise `MisfitError` if the layer doesn't take inputs of this many dimensions."""
    if len(in_shape) in layer.ranks:
        return
    wanted = " or ".join(RANK_NAMES[rank] for rank in layer.ranks)
    message = f"`{layer.kind}` takes {wanted}, and its input is {described(in_shape)}"
    raise MisfitError(Misfit("wrong-rank", message, _rank_hint(layer, in_shape)))


def _rank_hint(layer: Layer, in_shape: Shape) -> str:
    kind = layer.kind
    other = kind[:-2] + {"1d": "2d", "2d": "1d"}.get(kind[-2:], "")
    if other in LAYERS and len(in_shape) in LAYERS[other].ranks:
        return f"write `{other}`"
    return "add `flatten` before it" if len(in_shape) > max(layer.ranks) else f"move `{kind}` before `flatten`"


def described(shape: Shape) -> str:
    """`a map of 32x14x14`; `1024 features`."""
    what = {1: "{} features", 2: "rows of features ({})", 3: "a map of {}"}
    return what[len(shape)].format(shape_text(shape))


def shape_text(shape: Shape) -> str:
    """`32x14x14`; `1024`."""
    return "x".join(str(size) for size in shape)


def positions(shape: Shape) -> int:
    """How many positions a map has: height times width."""
    return prod(shape[1:])
