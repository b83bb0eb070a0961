"""Convolutions. Sizes and receptive fields follow from the window alone (`geometry.py`)."""

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from builder.fields import Channels, Choice, ConvPadding, Flag, Pair, Size, pair_text, parameter
from builder.geometry import Window
from builder.kinds import Misfit, MisfitError
from builder.layers.base import Layer, Shape, positions
from builder.problems import both, either

if TYPE_CHECKING:
    from torch import nn

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
AXES = ("height", "width")
MAX_LISTED_DIVISORS = 8


@dataclass(frozen=True, kw_only=True)
class Conv2d(Layer, kind="conv2d"):
    """Convolution with learned kernels over a map: (channels, height, width) -> (out_channels, height', width')."""

    ranks: ClassVar = (3,)
    slides: ClassVar = True

    out_channels: Channels = parameter("channels that the layer gives, such as 32")
    kernel_size: Size = parameter("height and width of the kernel, such as 3")
    stride: Size = parameter("step from one window to the next", default=1)
    padding: ConvPadding = parameter(
        "rows and columns added on each side; `same` keeps the size (stride 1 only), `valid` adds none", default=0
    )
    dilation: Size = parameter("step from one element of the kernel to the next", default=1)
    groups: Channels = parameter("parts that the channels are cut into, each convolved on its own", default=1)
    bias: Flag = parameter("learn a number to add to each output channel", default=True)
    padding_mode: Annotated[PaddingMode, Choice(get_args(PaddingMode))] = parameter(
        "what the padding holds: zeros, the map mirrored (reflect), its border (replicate), its other side (circular)",
        default="zeros",
    )

    def rules(self) -> Iterator[Misfit]:
        if self.padding == "same" and self.stride != (1, 1):
            yield Misfit(
                "same-with-stride",
                f"`padding: same` keeps the size, which stride {pair_text(self.stride)} can't",
                f"write stride 1, or padding {pair_text(_half(self.kernel_size, self.dilation))}",
                "padding",
            )
        if self.out_channels % self.groups:
            yield Misfit(
                "groups",
                f"`out_channels` (={self.out_channels}) is not divisible by `groups` (={self.groups})",
                _divisors_hint(self.groups, self.out_channels),
                "groups",
            )

    def check_input(self, in_shape: Shape) -> None:
        if in_shape[0] % self.groups:
            message = f"the {in_shape[0]} input channels are not divisible by `groups` (={self.groups})"
            hint = _divisors_hint(self.groups, in_shape[0], self.out_channels)
            raise MisfitError(Misfit("groups", message, hint, "groups"))
        self._check_padding_mode(in_shape)

    def _check_padding_mode(self, in_shape: Shape) -> None:
        """Mirrored padding must be smaller than the map, wrapped padding at most as large, as torch requires."""
        if self.padding_mode not in ("reflect", "circular"):
            return
        limit_text = "smaller than" if self.padding_mode == "reflect" else "at most"
        for axis, window, size in zip(AXES, self.window(in_shape), in_shape[1:], strict=True):
            limit = size - 1 if self.padding_mode == "reflect" else size
            widest = max(window.padding, window.after)
            if widest > limit:
                message = (
                    f"`padding_mode: {self.padding_mode}` needs a padding {limit_text} the map's {axis} of {size}, "
                    f"and it is {widest}"
                )
                raise MisfitError(Misfit("padding-too-large", message, f"write a padding up to {limit}", "padding"))

    def window(self, in_shape: Shape) -> tuple[Window, Window]:
        height, width = (self._axis_window(axis) for axis in (0, 1))
        return height, width

    def _axis_window(self, axis: int) -> Window:
        kernel_size, stride, dilation = self.kernel_size[axis], self.stride[axis], self.dilation[axis]
        if isinstance(self.padding, tuple):
            return Window(kernel_size, stride, self.padding[axis], dilation=dilation)
        if self.padding == "valid":
            return Window(kernel_size, stride, dilation=dilation)
        # As torch: an odd total leaves the extra row or column after the map.
        total = dilation * (kernel_size - 1)
        return Window(kernel_size, stride, total // 2, total - total // 2, dilation)

    def channels(self, in_shape: Shape) -> int:
        return self.out_channels

    def params(self, in_shape: Shape) -> int:
        return self._weights(in_shape) + (self.out_channels if self.bias else 0)

    def _weights(self, in_shape: Shape) -> int:
        height, width = self.kernel_size
        return self.out_channels * (in_shape[0] // self.groups) * height * width

    def macs(self, in_shape: Shape) -> int:
        """`out_positions * out_channels * (in_channels / groups) * kernel area`."""
        return positions(self.output_shape(in_shape)) * self._weights(in_shape)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Conv2d(
            in_shape[0],
            self.out_channels,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            bias=self.bias,
            padding_mode=self.padding_mode,
        )


def _half(kernel_size: Pair, dilation: Pair) -> Pair:
    """The padding that keeps the size of a map, with stride 1 and an odd kernel."""
    height, width = (step * (size - 1) // 2 for size, step in zip(kernel_size, dilation, strict=True))
    return height, width


def _divisors_hint(groups: int, *channels: int) -> str:
    """The numbers that divide all of these; of many, those next to `groups`."""
    common = gcd(*channels)
    divisors = [number for number in range(1, common + 1) if common % number == 0]
    if len(divisors) > MAX_LISTED_DIVISORS:
        place = bisect(divisors, groups)
        divisors = divisors[max(0, place - 2) : place + 2]
        return f"write a divisor of {both(sorted(set(channels)))}, such as {either(divisors)}"
    return f"write a divisor of {both(sorted(set(channels)))}: {either(divisors)}"
