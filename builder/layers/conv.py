"""Convolutions. Sizes and receptive fields follow from the window alone (`geometry`)."""

from bisect import bisect
from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import gcd, prod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from builder.fields import (
    Channels,
    Choice,
    ConvPadding,
    Flag,
    Length,
    LengthConvPadding,
    Padding,
    Size,
    pair_text,
    parameter,
)
from builder.geometry import TransposedWindow, Window
from builder.kinds import Misfit, MisfitError
from builder.layers.base import Layer, Shape, positions
from builder.limits import MAX_SIZE
from builder.problems import both, either

if TYPE_CHECKING:
    from torch import nn

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
AXES = {3: ("height", "width"), 2: ("length",)}  # by the number of dimensions
MAX_LISTED_DIVISORS = 8


class Convolution(Layer):
    """What convolutions share; each size, stride, padding and dilation holds one number per axis."""

    slides: ClassVar = True

    out_channels: Channels = parameter("channels that the layer gives, such as 32")
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] | str
    dilation: tuple[int, ...]
    groups: Channels = parameter("parts that the channels are cut into, each convolved on its own", default=1)
    bias: Flag = parameter("learn a number to add to each output channel", default=True)

    def rules(self) -> Iterator[Misfit]:
        if self.out_channels % self.groups:
            yield Misfit(
                "groups",
                f"`out_channels` (={self.out_channels}) is not divisible by `groups` (={self.groups})",
                divisors_hint(self.groups, self.out_channels),
                "groups",
            )

    def check_input(self, in_shape: Shape) -> None:
        if in_shape[0] % self.groups:
            message = f"the {in_shape[0]} input channels are not divisible by `groups` (={self.groups})"
            hint = divisors_hint(self.groups, in_shape[0], self.out_channels)
            raise MisfitError(Misfit("groups", message, hint, "groups"))

    def channels(self, in_shape: Shape) -> int:
        return self.out_channels

    def params(self, in_shape: Shape) -> int:
        return self.weights(in_shape) + (self.out_channels if self.bias else 0)

    def weights(self, in_shape: Shape) -> int:
        """The numbers in all kernels together."""
        return self.out_channels * (in_shape[0] // self.groups) * prod(self.kernel_size)


class SlidingConvolution(Convolution):
    """What the convolutions share whose kernels slide over their input."""

    padding_mode: Annotated[PaddingMode, Choice(get_args(PaddingMode))] = parameter(
        "what the padding holds: zeros, the map mirrored (reflect), its border (replicate), its other side (circular)",
        default="zeros",
    )

    def rules(self) -> Iterator[Misfit]:
        if self.padding == "same" and set(self.stride) != {1}:
            yield Misfit(
                "same-with-stride",
                f"`padding: same` keeps the size, which stride {_sizes_text(self.stride)} can't",
                f"write stride 1, or padding {_sizes_text(_half(self.kernel_size, self.dilation))}",
                "padding",
            )
        yield from super().rules()

    def check_input(self, in_shape: Shape) -> None:
        """Mirrored padding must be smaller than the map, wrapped padding at most as large, as torch requires."""
        super().check_input(in_shape)
        if self.padding_mode not in ("reflect", "circular"):
            return
        limit_text = "smaller than" if self.padding_mode == "reflect" else "at most"
        for axis, window, size in zip(AXES[len(in_shape)], self.window(in_shape), in_shape[1:], strict=True):
            limit = size - 1 if self.padding_mode == "reflect" else size
            widest = max(window.padding, window.after)
            if widest > limit:
                what = "map" if len(in_shape) == 3 else "row"
                message = (
                    f"`padding_mode: {self.padding_mode}` needs a padding {limit_text} the {what}'s {axis} of {size}, "
                    f"and it is {widest}"
                )
                raise MisfitError(Misfit("padding-too-large", message, f"write a padding up to {limit}", "padding"))

    def window(self, in_shape: Shape) -> tuple[Window, ...]:
        padding = (self.padding,) * len(self.kernel_size) if isinstance(self.padding, str) else self.padding
        return tuple(map(_axis_window, self.kernel_size, self.stride, padding, self.dilation))

    def macs(self, in_shape: Shape) -> int:
        """`out_positions * out_channels * (in_channels / groups) * kernel area`."""
        return positions(self.output_shape(in_shape)) * self.weights(in_shape)


@lru_cache(maxsize=1024)
def _axis_window(kernel_size: int, stride: int, padding: int | str, dilation: int) -> Window:
    if isinstance(padding, int):
        return Window(kernel_size, stride, padding, dilation=dilation)
    if padding == "valid":
        return Window(kernel_size, stride, dilation=dilation)
    # As torch: an odd total leaves the extra row or column after the map.
    total = dilation * (kernel_size - 1)
    return Window(kernel_size, stride, total // 2, total - total // 2, dilation)


class Conv2d(SlidingConvolution, kind="conv2d"):
    """Convolution with learned kernels over a map: (channels, height, width) -> (out_channels, height', width')."""

    ranks: ClassVar = (3,)

    kernel_size: Size = parameter("height and width of the kernel, such as 3")
    stride: Size = parameter("step from one window to the next", default=1)
    padding: ConvPadding = parameter(
        "rows and columns added on each side; `same` keeps the size (stride 1 only), `valid` adds none", default=0
    )
    dilation: Size = parameter("step from one element of the kernel to the next", default=1)

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


class Conv1d(SlidingConvolution, kind="conv1d"):
    """Convolution with learned kernels along rows: (channels, length) -> (out_channels, length')."""

    ranks: ClassVar = (2,)

    kernel_size: Length = parameter("length of the kernel, such as 3")
    stride: Length = parameter("step from one window to the next", default=1)
    padding: LengthConvPadding = parameter(
        "positions added on each side; `same` keeps the length (stride 1 only), `valid` adds none", default=0
    )
    dilation: Length = parameter("step from one element of the kernel to the next", default=1)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Conv1d(
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


class ConvTranspose2d(Convolution, kind="conv_transpose2d"):
    """Transposed convolution, which enlarges a map: (channels, height, width) -> (out_channels, height', width')."""

    ranks: ClassVar = (3,)

    kernel_size: Size = parameter("height and width of the kernel, such as 2")
    stride: Size = parameter("step in the output from one input position to the next, such as 2", default=1)
    padding: Padding = parameter("rows and columns cut off the output on each side", default=0)
    dilation: Size = parameter("step from one element of the kernel to the next", default=1)
    output_padding: Padding = parameter(
        "rows and columns added below and to the right, fewer than the stride or the dilation", default=0
    )

    def rules(self) -> Iterator[Misfit]:
        yield from super().rules()
        limits = [max(stride, dilation) - 1 for stride, dilation in zip(self.stride, self.dilation, strict=True)]
        if any(added > limit for added, limit in zip(self.output_padding, limits, strict=True)):
            yield Misfit(
                "output-padding-too-large",
                f"`output_padding` {pair_text(self.output_padding)} must be smaller than the stride "
                f"({pair_text(self.stride)}) or the dilation ({pair_text(self.dilation)})",
                f"write an output_padding up to {_sizes_text(limits)}",
                "output_padding",
            )

    def check_input(self, in_shape: Shape) -> None:
        super().check_input(in_shape)
        for axis, window, size in zip(AXES[len(in_shape)], self.window(in_shape), in_shape[1:], strict=True):
            given = window.output_size(size)
            if given < 1:
                message = f"the {axis} of the output would be {given}: {_transposed_size_text(window, size)}"
                hint = f"write a padding up to {(given + 2 * window.padding - 1) // 2}"
                raise MisfitError(Misfit("empty-output", message, hint, "padding"))
            if given > MAX_SIZE:
                message = f"the {axis} of the output would be {given:,}: {_transposed_size_text(window, size)}"
                raise MisfitError(Misfit("too-large-output", message, f"at most {MAX_SIZE:,} are possible", "stride"))

    def window(self, in_shape: Shape) -> tuple[TransposedWindow, ...]:
        return tuple(
            TransposedWindow(kernel_size, stride, padding, output_padding, dilation)
            for kernel_size, stride, padding, output_padding, dilation in zip(
                self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation, strict=True
            )
        )

    def macs(self, in_shape: Shape) -> int:
        """`in_positions * in_channels * (out_channels / groups) * kernel area`."""
        return positions(in_shape) * self.weights(in_shape)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.ConvTranspose2d(
            in_shape[0],
            self.out_channels,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            groups=self.groups,
            bias=self.bias,
            dilation=self.dilation,
        )


def _transposed_size_text(window: TransposedWindow, size: int) -> str:
    """The arithmetic of the size of a transposed convolution's output."""
    kernel = f"{window.dilation}*({window.kernel_size}-1)"
    added = f"{kernel}+{window.output_padding}+1"
    return f"({size}-1)*{window.stride}-2*{window.padding}+{added} = {window.output_size(size)}"


def _half(kernel_size: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """The padding that keeps the size of a map, with stride 1 and an odd kernel."""
    return tuple(step * (size - 1) // 2 for size, step in zip(kernel_size, dilation, strict=True))


def _sizes_text(sizes: Sequence[int]) -> str:
    """`3`, or `[3, 5]`, as it would be written."""
    return pair_text((sizes[0], sizes[-1]))


def divisors_hint(groups: int, *channels: int) -> str:
    """The numbers that divide all of these; of many, those next to `groups`."""
    common = gcd(*channels)
    divisors = [number for number in range(1, common + 1) if common % number == 0]
    if len(divisors) > MAX_LISTED_DIVISORS:
        place = bisect(divisors, groups)
        divisors = divisors[max(0, place - 2) : place + 2]
        return f"write a divisor of {both(sorted(set(channels)))}, such as {either(divisors)}"
    return f"write a divisor of {both(sorted(set(channels)))}: {either(divisors)}"
