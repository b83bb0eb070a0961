"""Pooling: a window that reduces without learning."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from builder.fields import Flag, Integer, OptionalSize, OrNull, Padding, PartialSize, Size, pair_text, parameter
from builder.geometry import AdaptiveWindow, Window
from builder.kinds import Misfit
from builder.layers.base import Layer, Shape
from builder.limits import MAX_CHANNELS

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Pooling(Layer):
    """What max and average pooling share."""

    ranks: ClassVar = (3,)
    slides: ClassVar = True

    kernel_size: Size = parameter("height and width of the window, such as 2")
    stride: OptionalSize = parameter("step from one window to the next", default=None, default_text="kernel_size")
    padding: Padding = parameter("rows and columns added on each side, at most half the kernel", default=0)
    ceil_mode: Flag = parameter("round the output size up, so that the last rows and columns count", default=False)

    def rules(self) -> Iterator[Misfit]:
        half = (self.kernel_size[0] // 2, self.kernel_size[1] // 2)
        if any(padding > limit for padding, limit in zip(self.padding, half, strict=True)):
            yield Misfit(
                "padding-too-large",
                f"padding {pair_text(self.padding)} is more than half of kernel_size {pair_text(self.kernel_size)}",
                f"write a padding up to {pair_text(half)}",
                "padding",
            )

    @property
    def step(self) -> tuple[int, int]:
        """The stride, which is the kernel's size when not given."""
        return self.kernel_size if self.stride is None else self.stride

    @property
    def steps_within(self) -> tuple[int, int]:
        """The dilation, for the kind that has one."""
        return (1, 1)

    def window(self, in_shape: Shape) -> tuple[Window, Window]:
        height, width = (
            Window(kernel_size, stride, padding, dilation=dilation, ceil_mode=self.ceil_mode)
            for kernel_size, stride, padding, dilation in zip(
                self.kernel_size, self.step, self.padding, self.steps_within, strict=True
            )
        )
        return height, width


@dataclass(frozen=True, kw_only=True)
class MaxPool2d(Pooling, kind="max_pool2d"):
    """The largest value of each window: (channels, height, width) -> (channels, height', width')."""

    dilation: Size = parameter("step from one element of the window to the next", default=1)

    @property
    def steps_within(self) -> tuple[int, int]:
        return self.dilation

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.MaxPool2d(
            self.kernel_size, self.stride, self.padding, dilation=self.dilation, ceil_mode=self.ceil_mode
        )


@dataclass(frozen=True, kw_only=True)
class AvgPool2d(Pooling, kind="avg_pool2d"):
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


@dataclass(frozen=True, kw_only=True)
class AdaptivePooling(Layer):
    """What adaptive pooling shares: the output size is given, the windows follow from it."""

    ranks: ClassVar = (3,)
    slides: ClassVar = True

    output_size: PartialSize = parameter("height and width of the output, such as 1; null keeps that of the input")

    def window(self, in_shape: Shape) -> tuple[AdaptiveWindow, AdaptiveWindow]:
        height, width = self.output_size
        return AdaptiveWindow(height or in_shape[1]), AdaptiveWindow(width or in_shape[2])


@dataclass(frozen=True, kw_only=True)
class AdaptiveAvgPool2d(AdaptivePooling, kind="adaptive_avg_pool2d"):
    """The means of equal parts of the map: (channels, height, width) -> (channels, *output_size)."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.AdaptiveAvgPool2d(self.output_size)


@dataclass(frozen=True, kw_only=True)
class AdaptiveMaxPool2d(AdaptivePooling, kind="adaptive_max_pool2d"):
    """The largest values of equal parts of the map: (channels, height, width) -> (channels, *output_size)."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.AdaptiveMaxPool2d(self.output_size)
