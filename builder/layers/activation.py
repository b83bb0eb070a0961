"""Activations: element by element, so shape and receptive field pass through; a softmax looks around, a GLU halves."""

from typing import TYPE_CHECKING, Annotated

from builder.fields import Channels, Choice, Dimension, Finite, Positive, parameter
from builder.kinds import Misfit, MisfitError
from builder.layers.base import Layer, Shape, described

if TYPE_CHECKING:
    from torch import nn


class ReLU(Layer, kind="relu"):
    """max(x, 0)."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.ReLU()


class LeakyReLU(Layer, kind="leaky_relu"):
    """x where x is positive, negative_slope * x elsewhere."""

    negative_slope: Finite = parameter("slope for negative values", default=0.01)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.LeakyReLU(self.negative_slope)


class GELU(Layer, kind="gelu"):
    """x times the normal distribution's cumulative probability of x."""

    approximate: Annotated[str, Choice(("none", "tanh"))] = parameter(
        "the exact function (none) or its tanh approximation", default="none"
    )

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.GELU(self.approximate)


class SiLU(Layer, kind="silu"):
    """x * sigmoid(x), also called swish."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.SiLU()


class Tanh(Layer, kind="tanh"):
    """The hyperbolic tangent, from -1 to 1."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Tanh()


class Sigmoid(Layer, kind="sigmoid"):
    """1 / (1 + exp(-x)), from 0 to 1."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Sigmoid()


class ReLU6(Layer, kind="relu6"):
    """min(max(x, 0), 6)."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.ReLU6()


class ELU(Layer, kind="elu"):
    """x where x is positive, alpha * (exp(x) - 1) elsewhere."""

    alpha: Finite = parameter("how far below zero the values reach", default=1.0)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.ELU(self.alpha)


class SELU(Layer, kind="selu"):
    """An ELU scaled so that values keep mean 0 and deviation 1 (Klambauer et al. 2017, arXiv:1706.02515)."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.SELU()


class CELU(Layer, kind="celu"):
    """x where x is positive, alpha * (exp(x / alpha) - 1) elsewhere."""

    alpha: Positive = parameter("how far below zero the values reach", default=1.0)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.CELU(self.alpha)


class PReLU(Layer, kind="prelu"):
    """x where x is positive, a learned slope * x elsewhere."""

    num_parameters: Channels = parameter("slopes: 1 for all channels, or one for each", default=1)
    init: Finite = parameter("the slopes before training", default=0.25)

    def check_input(self, in_shape: Shape) -> None:
        if self.num_parameters not in (1, in_shape[0]):
            what = "features" if len(in_shape) == 1 else "channels"
            wanted = f"neither 1 nor the {in_shape[0]}" if in_shape[0] > 1 else "not 1, the number of"
            message = f"`num_parameters` (={self.num_parameters}) is {wanted} input {what}"
            hint = f"write 1 or {in_shape[0]}" if in_shape[0] > 1 else "write 1"
            raise MisfitError(Misfit("wrong-value", message, hint, "num_parameters"))

    def params(self, in_shape: Shape) -> int:
        return self.num_parameters

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.PReLU(self.num_parameters, self.init)


class Softplus(Layer, kind="softplus"):
    """log(1 + exp(beta * x)) / beta, a smooth ReLU."""

    beta: Positive = parameter("how sharply it bends", default=1.0)
    threshold: Finite = parameter("above it, beta * x counts as so large that x is given as it is", default=20.0)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Softplus(self.beta, self.threshold)


class Hardswish(Layer, kind="hardswish"):
    """x * relu6(x + 3) / 6, a silu of straight lines."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Hardswish()


class Hardsigmoid(Layer, kind="hardsigmoid"):
    """relu6(x + 3) / 6, a sigmoid of straight lines."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Hardsigmoid()


class Mish(Layer, kind="mish"):
    """x * tanh(softplus(x))."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Mish()


class GLU(Layer, kind="glu"):
    """The first half of the channels times the sigmoid of the second (Dauphin et al. 2017, arXiv:1612.08083)."""

    dim: Dimension = parameter("the dimension that is halved: the channels or features, which are 1", default=-1)

    def check_input(self, in_shape: Shape) -> None:
        dimension = resolve_dim("dim", self.dim, in_shape)
        if dimension > 0:
            across = {(3, 1): "rows", (3, 2): "columns", (2, 1): "positions"}[len(in_shape), dimension]
            message = f"`dim` (={self.dim}) would halve the {across} of {described(in_shape)}"
            raise MisfitError(Misfit("wrong-dim", message, "write `dim: 1`, the channels", "dim"))
        if in_shape[0] % 2:
            what = "features" if len(in_shape) == 1 else "channels"
            message = f"the {in_shape[0]} input {what} can't be halved"
            raise MisfitError(Misfit("odd-channels", message, f"let an even number of {what} arrive"))

    def halves(self, in_shape: Shape) -> int:
        """The dimension of which one half is multiplied with the other."""
        return resolve_dim("dim", self.dim, in_shape)

    def output_shape(self, in_shape: Shape) -> Shape:
        return (in_shape[0] // 2, *in_shape[1:])

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.GLU(self.dim)


class SoftmaxAlong(Layer):
    """What softmax and its logarithm share: along one dimension, every value depends on every other."""

    dim: Dimension = parameter("the dimension that sums to one; the batch is 0, the channels or features 1", default=1)

    def check_input(self, in_shape: Shape) -> None:
        resolve_dim("dim", self.dim, in_shape)

    def mixes(self, in_shape: Shape) -> tuple[int, ...]:
        return (resolve_dim("dim", self.dim, in_shape),)


class Softmax(SoftmaxAlong, kind="softmax"):
    """exp(x), scaled to sum to one."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Softmax(self.dim)


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
