"""Layers that only move values: between channels, or from channels to a larger map."""

from math import isqrt
from typing import TYPE_CHECKING, Annotated, ClassVar

from builder.fields import Channels, Integer, parameter
from builder.geometry import ResampledWindow
from builder.kinds import Misfit, MisfitError
from builder.layers.base import Layer, Shape
from builder.layers.conv import divisors_hint
from builder.limits import MAX_CHANNELS

if TYPE_CHECKING:
    from torch import nn


class ChannelShuffle(Layer, kind="channel_shuffle"):
    """Deals the channels of each group out to all groups (Zhang et al. 2017, arXiv:1707.01083); it keeps the shape."""

    ranks: ClassVar = (3,)

    groups: Channels = parameter("groups that the channels are cut into, such as 2")

    def check_input(self, in_shape: Shape) -> None:
        if in_shape[0] % self.groups:
            message = f"the {in_shape[0]} input channels are not divisible by `groups` (={self.groups})"
            raise MisfitError(Misfit("groups", message, divisors_hint(self.groups, in_shape[0]), "groups"))

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.ChannelShuffle(self.groups)


class PixelShuffle(Layer, kind="pixel_shuffle"):
    """Channels become a larger map: (channels * r^2, height, width) -> (channels, height * r, width * r).

    Shi et al. 2016, arXiv:1609.05158.
    """

    ranks: ClassVar = (3,)
    slides: ClassVar = True

    upscale_factor: Annotated[int, Integer(1, isqrt(MAX_CHANNELS))] = parameter(
        "how many times larger height and width become; its square must divide the channels"
    )

    def check_input(self, in_shape: Shape) -> None:
        square = self.upscale_factor**2
        if in_shape[0] % square:
            message = f"the {in_shape[0]} input channels are not divisible by {square}, the square of `upscale_factor`"
            hint = f"let a multiple of {square} channels arrive"
            raise MisfitError(Misfit("channels-not-square", message, hint, "upscale_factor"))

    def channels(self, in_shape: Shape) -> int:
        return in_shape[0] // self.upscale_factor**2

    def window(self, in_shape: Shape) -> tuple[ResampledWindow, ResampledWindow]:
        """Each output unit sees the one unit that it came from, as in the nearest interpolation."""
        height, width = (ResampledWindow("nearest", count=size * self.upscale_factor) for size in in_shape[1:])
        return height, width

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.PixelShuffle(self.upscale_factor)
