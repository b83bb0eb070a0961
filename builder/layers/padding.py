"""Layers that only pad a map: windows of one unit, with more around the map on any of its sides."""

from typing import TYPE_CHECKING, ClassVar

from builder.fields import FourPaddings, parameter
from builder.geometry import Window
from builder.kinds import Misfit, MisfitError
from builder.layers.base import Layer, Shape

if TYPE_CHECKING:
    from torch import nn


class Pad(Layer):
    """What padding layers share."""

    ranks: ClassVar = (3,)
    slides: ClassVar = True

    padding: FourPaddings = parameter("rows and columns added: one number, or [left, right, top, bottom]")

    def window(self, in_shape: Shape) -> tuple[Window, Window]:
        left, right, top, bottom = self.padding
        return Window(1, padding=top, padding_after=bottom), Window(1, padding=left, padding_after=right)


class ZeroPad2d(Pad, kind="zero_pad2d"):
    """Zeros around a map: (channels, height, width) -> (channels, height', width')."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.ZeroPad2d(self.padding)


class ReflectionPad2d(Pad, kind="reflection_pad2d"):
    """The map mirrored at its border: (channels, height, width) -> (channels, height', width')."""

    def check_input(self, in_shape: Shape) -> None:
        """The mirror image leaves out the border itself, so it is smaller than the map."""
        left, right, top, bottom = self.padding
        for axis, sides, size in (("height", (top, bottom), in_shape[1]), ("width", (left, right), in_shape[2])):
            if max(sides) >= size:
                message = f"a reflection is smaller than the map's {axis} of {size}, and `padding` is {max(sides)}"
                hint = f"write a padding up to {size - 1}"
                raise MisfitError(Misfit("padding-too-large", message, hint, "padding"))

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.ReflectionPad2d(self.padding)


class ReplicationPad2d(Pad, kind="replication_pad2d"):
    """The map's border repeated: (channels, height, width) -> (channels, height', width')."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.ReplicationPad2d(self.padding)
