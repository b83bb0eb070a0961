"""Pooling: a window that reduces without learning."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from builder.fields import (
    Flag,
    Integer,
    Length,
    LengthPadding,
    OptionalLength,
    OptionalSize,
    OrNull,
    Padding,
    PartialSize,
    Size,
    pair_text,
    parameter,
)
from builder.geometry import AdaptiveWindow, Window
from builder.kinds import Misfit
from builder.layers.base import Layer, Shape
from builder.limits import MAX_CHANNELS

if TYPE_CHECKING:
    from torch import nn


class Pooling(Layer):
    """What max and average pooling share; each size, stride and padding holds one number per axis."""

    slides: ClassVar = True

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...] | None
    padding: tuple[int, ...]
    ceil_mode: Flag = parameter("round the output size up, so that the last rows and columns count", default=False)

    def rules(self) -> Iterator[Misfit]:
        half = tuple(size // 2 for size in self.kernel_size)
        if any(padding > limit for padding, limit in zip(self.padding, half, strict=True)):
            yield Misfit(
                "padding-too-large",
                f"padding {_text(self.padding)} is more than half of kernel_size {_text(self.kernel_size)}",
                f"write a padding up to {_text(half)}",
                "padding",
            )

    @property
    def step(self) -> tuple[int, ...]:
        """The stride, which is the kernel's size when not given."""
        return self.kernel_size if self.stride is None else self.stride

    @property
    def steps_within(self) -> tuple[int, ...]:
        """The dilation, for the kinds that have one."""
        return (1,) * len(self.kernel_size)

    def window(self, in_shape: Shape) -> tuple[Window, ...]:
        return tuple(
            Window(kernel_size, stride, padding, dilation=dilation, ceil_mode=self.ceil_mode)
            for kernel_size, stride, padding, dilation in zip(
                self.kernel_size, self.step, self.padding, self.steps_within, strict=True
            )
        )


def _text(sizes: tuple[int, ...]) -> str:
    return pair_text((sizes[0], sizes[-1]))


class MapPooling(Pooling):
    """Pooling of a map."""

    ranks: ClassVar = (3,)

    kernel_size: Size = parameter("height and width of the window, such as 2")
    stride: OptionalSize = parameter("step from one window to the next", default=None, default_text="kernel_size")
    padding: Padding = parameter("rows and columns added on each side, at most half the kernel", default=0)


class RowPooling(Pooling):
    """Pooling along rows."""

    ranks: ClassVar = (2,)

    kernel_size: Length = parameter("length of the window, such as 2")
    stride: OptionalLength = parameter("step from one window to the next", default=None, default_text="kernel_size")
    padding: LengthPadding = parameter("positions added on each side, at most half the kernel", default=0)


class MaxPool2d(MapPooling, kind="max_pool2d"):
    """The largest value of each window: (channels, height, width) -> (channels, height', width')."""

    dilation: Size = parameter("step from one element of the window to the next", default=1)

    @property
    def steps_within(self) -> tuple[int, ...]:
        return self.dilation

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.MaxPool2d(
            self.kernel_size, self.stride, self.padding, dilation=self.dilation, ceil_mode=self.ceil_mode
        )


class MaxPool1d(RowPooling, kind="max_pool1d"):
    """The largest value of each window: (channels, length) -> (channels, length')."""

    dilation: Length = parameter("step from one element of the window to the next", default=1)

    @property
    def steps_within(self) -> tuple[int, ...]:
        return self.dilation

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.MaxPool1d(
            self.kernel_size, self.stride, self.padding, dilation=self.dilation, ceil_mode=self.ceil_mode
        )


class AvgPool2d(MapPooling, kind="avg_pool2d"):
    """The mean of each window: (channels, height, width) -> (channels, height', width')."""

    count_include_pad: Flag = parameter("count the padding's zeros in the mean", default=True)
    divisor_override: Annotated[int | None, OrNull(Integer(1, MAX_CHANNELS))] = parameter(
        "divide the sum by this number", default=None, default_text="the number of elements in the window"
    )

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.AvgPool2d(
            self.kernel_size,
            self.stride,
            self.padding,
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
            divisor_override=self.divisor_override,
        )


class AvgPool1d(RowPooling, kind="avg_pool1d"):
    """The mean of each window: (channels, length) -> (channels, length')."""

    count_include_pad: Flag = parameter("count the padding's zeros in the mean", default=True)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.AvgPool1d(
            self.kernel_size,
            self.stride or self.kernel_size,
            self.padding,
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
        )


class AdaptivePooling(Layer):
    """What adaptive pooling of a map shares: the output size is given, the windows follow from it."""

    ranks: ClassVar = (3,)
    slides: ClassVar = True

    output_size: PartialSize = parameter("height and width of the output, such as 1; null keeps that of the input")

    def window(self, in_shape: Shape) -> tuple[AdaptiveWindow, AdaptiveWindow]:
        height, width = self.output_size
        return AdaptiveWindow(height or in_shape[1]), AdaptiveWindow(width or in_shape[2])


class AdaptiveAvgPool2d(AdaptivePooling, kind="adaptive_avg_pool2d"):
    """The means of equal parts of the map: (channels, height, width) -> (channels, *output_size)."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.AdaptiveAvgPool2d(self.output_size)


class AdaptiveMaxPool2d(AdaptivePooling, kind="adaptive_max_pool2d"):
    """The largest values of equal parts of the map: (channels, height, width) -> (channels, *output_size)."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.AdaptiveMaxPool2d(self.output_size)


class AdaptiveAvgPool1d(Layer, kind="adaptive_avg_pool1d"):
    """The means of equal parts of each row: (channels, length) -> (channels, output_size)."""

    ranks: ClassVar = (2,)
    slides: ClassVar = True

    output_size: Length = parameter("length of the output, such as 1")

    def window(self, in_shape: Shape) -> tuple[AdaptiveWindow]:
        (length,) = self.output_size
        return (AdaptiveWindow(length),)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.AdaptiveAvgPool1d(self.output_size)
