"""Activations: element by element, so shape and receptive field pass through; only a softmax looks around."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from builder.fields import Choice, Dimension, Finite, parameter
from builder.kinds import Misfit, MisfitError
from builder.layers.base import Layer, Shape, described

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class ReLU(Layer, kind="relu"):
    """max(x, 0)."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.ReLU()


@dataclass(frozen=True, kw_only=True)
class LeakyReLU(Layer, kind="leaky_relu"):
    """x where x is positive, negative_slope * x elsewhere."""

    negative_slope: Finite = parameter("slope for negative values", default=0.01)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.LeakyReLU(self.negative_slope)


@dataclass(frozen=True, kw_only=True)
class GELU(Layer, kind="gelu"):
    """x times the normal distribution's cumulative probability of x."""

    approximate: Annotated[str, Choice(("none", "tanh"))] = parameter(
        "the exact function (none) or its tanh approximation", default="none"
    )

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.GELU(self.approximate)


@dataclass(frozen=True, kw_only=True)
class SiLU(Layer, kind="silu"):
    """x * sigmoid(x), also called swish."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.SiLU()


@dataclass(frozen=True, kw_only=True)
class Tanh(Layer, kind="tanh"):
    """The hyperbolic tangent, from -1 to 1."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Tanh()


@dataclass(frozen=True, kw_only=True)
class Sigmoid(Layer, kind="sigmoid"):
    """1 / (1 + exp(-x)), from 0 to 1."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Sigmoid()


@dataclass(frozen=True, kw_only=True)
class SoftmaxAlong(Layer):
    """What softmax and its logarithm share: along one dimension, every value depends on every other."""

    dim: Dimension = parameter("the dimension that sums to one; the batch is 0, the channels or features 1", default=1)

    def check_input(self, in_shape: Shape) -> None:
        resolve_dim("dim", self.dim, in_shape)

    def mixes(self, in_shape: Shape) -> tuple[int, ...]:
        return (resolve_dim("dim", self.dim, in_shape),)


@dataclass(frozen=True, kw_only=True)
class Softmax(SoftmaxAlong, kind="softmax"):
    """exp(x), scaled to sum to one."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Softmax(self.dim)


@dataclass(frozen=True, kw_only=True)
class LogSoftmax(SoftmaxAlong, kind="log_softmax"):
    """The logarithm of softmax, which `nll_loss` wants."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.LogSoftmax(self.dim)


def resolve_dim(field: str, dim: int, in_shape: Shape) -> int:
    """The dimension of `in_shape` that torch's `dim` (which counts the batch) means; `MisfitError` if none."""
    rank = len(in_shape)
    resolved = dim if dim >= 0 else dim + rank + 1
    if 1 <= resolved <= rank:
        return resolved - 1
    if resolved == 0:
        message = f"`{field}` (={dim}) is the batch, and images must not be mixed"
    else:
        message = f"`{field}` (={dim}) lies outside of the input, {described(in_shape)}"
    hint = "write 1" if rank == 1 else f"write a number from 1 to {rank}"
    raise MisfitError(Misfit("wrong-dim", message, hint, field))
