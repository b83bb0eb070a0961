"""Layers over features: flatten, linear, and the one that does nothing."""

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Annotated, ClassVar

from builder.fields import Channels, Dimension, Flag, Integer, parameter
from builder.kinds import Misfit, MisfitError
from builder.layers.activation import resolve_dim
from builder.layers.base import Layer, Shape

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Flatten(Layer, kind="flatten"):
    """Joins dimensions into one: (channels, height, width) -> (features,)."""

    start_dim: Annotated[int, Integer(-3, 3)] = parameter("first dimension to join; the batch is 0", default=1)
    end_dim: Dimension = parameter("last dimension to join", default=-1)

    def check_input(self, in_shape: Shape) -> None:
        first, last = self.merges(in_shape)
        if first > last:
            message = f"`start_dim` (={self.start_dim}) lies after `end_dim` (={self.end_dim})"
            raise MisfitError(Misfit("wrong-dim", message, "write the smaller one first", "start_dim"))

    def merges(self, in_shape: Shape) -> tuple[int, int]:
        first = resolve_dim("start_dim", self.start_dim, in_shape)
        return first, resolve_dim("end_dim", self.end_dim, in_shape)

    def output_shape(self, in_shape: Shape) -> Shape:
        first, last = self.merges(in_shape)
        return (*in_shape[:first], prod(in_shape[first : last + 1]), *in_shape[last + 1 :])

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Flatten(self.start_dim, self.end_dim)


@dataclass(frozen=True, kw_only=True)
class Linear(Layer, kind="linear"):
    """Every output is a weighted sum of all features: (in_features,) -> (out_features,)."""

    ranks: ClassVar = (1, 2)

    out_features: Channels = parameter("features that the layer gives, such as 10")
    bias: Flag = parameter("learn a number to add to each output feature", default=True)

    def output_shape(self, in_shape: Shape) -> Shape:
        return (*in_shape[:-1], self.out_features)

    def mixes(self, in_shape: Shape) -> tuple[int, ...]:
        return (len(in_shape) - 1,)

    def params(self, in_shape: Shape) -> int:
        return in_shape[-1] * self.out_features + (self.out_features if self.bias else 0)

    def macs(self, in_shape: Shape) -> int:
        """`positions * in_features * out_features`."""
        return prod(in_shape) * self.out_features

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Linear(in_shape[-1], self.out_features, bias=self.bias)


@dataclass(frozen=True, kw_only=True)
class Identity(Layer, kind="identity"):
    """Gives what it is given."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Identity()
