"""Layers over features: flatten and its inverse, linear, and the one that does nothing."""

from math import prod
from typing import TYPE_CHECKING, Annotated, ClassVar

from builder.fields import Channels, Dimension, Flag, Integer, ListOf, parameter
from builder.kinds import Misfit, MisfitError
from builder.layers.activation import resolve_dim
from builder.layers.base import Layer, Shape, described
from builder.limits import MAX_CHANNELS

if TYPE_CHECKING:
    from torch import nn


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


class Unflatten(Layer, kind="unflatten"):
    """Cuts a dimension into several: (features,) -> (channels, height, width), or (channels, length)."""

    ranks: ClassVar = (1, 2)

    dim: Dimension = parameter("the dimension that is cut, such as 1; the batch is 0")
    unflattened_size: Annotated[tuple[int, ...], ListOf(Integer(1, MAX_CHANNELS), 2, 3)] = parameter(
        "the sizes that it becomes, such as [32, 7, 7]"
    )

    def check_input(self, in_shape: Shape) -> None:
        dimension, sizes = self.splits(in_shape)
        product, found = prod(sizes), in_shape[dimension]
        if product != found:
            text = " * ".join(str(size) for size in sizes)
            message = f"`unflattened_size` makes {text} = {product} of a dimension of {found}"
            hint = f"write sizes whose product is {found}"
            raise MisfitError(Misfit("wrong-product", message, hint, "unflattened_size"))
        rank = len(in_shape) - 1 + len(sizes)
        if rank > 3:
            message = f"{described(in_shape)} would become an input of {rank} dimensions"
            hint = "write 2 sizes: a map has 3 dimensions"
            raise MisfitError(Misfit("wrong-rank", message, hint, "unflattened_size"))

    def splits(self, in_shape: Shape) -> tuple[int, tuple[int, ...]]:
        return resolve_dim("dim", self.dim, in_shape), self.unflattened_size

    def output_shape(self, in_shape: Shape) -> Shape:
        dimension, sizes = self.splits(in_shape)
        return (*in_shape[:dimension], *sizes, *in_shape[dimension + 1 :])

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Unflatten(self.dim, self.unflattened_size)


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


class Identity(Layer, kind="identity"):
    """Gives what it is given."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Identity()
