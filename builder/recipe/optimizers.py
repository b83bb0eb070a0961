"""Optimizers, with the parameters and defaults of `torch.optim` that change the result."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeAlias

from builder.fields import (
    Betas,
    Choice,
    Decay,
    Finite,
    Flag,
    Integer,
    ListOf,
    NonNegative,
    Number,
    OrNull,
    Positive,
    parameter,
)
from builder.kinds import Kind, Misfit, Nested, parameters

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer as TorchOptimizer

# What torch's optimizers take: parameters, or groups of them, each with settings of its own.
Parameters: TypeAlias = "Iterable[nn.Parameter] | Iterable[dict[str, Any]]"

AMSGRAD = "divide by the largest running mean so far"
DECOUPLED = "decay as adamw does, past the gradient"
DECAY = "pulls weights to zero by this factor, through the gradient"
EPS = "added to the divisor"
MAXIMIZE = "climb the loss instead of descending it"


class Optimizer(Kind, family="optimizer"):
    """How a step follows from a gradient."""

    has_momentum: ClassVar[bool] = True  # something that `one_cycle` can cycle: `momentum` or `betas`

    lr: NonNegative = parameter("learning rate", default=0.001)
    weight_decay: NonNegative = parameter(DECAY, default=0.0)

    def rules(self) -> Iterator[Misfit]:
        if self.lr == 0:
            yield Misfit("learns-nothing", "`lr` (=0) changes no weight", "write more, such as 0.001", "lr", "warning")

    @property
    def settings(self) -> dict[str, Any]:
        """Every parameter by its name, as torch's class takes them."""
        return {field.name: getattr(self, field.name) for field in parameters(type(self))}

    @property
    def of_the_rest(self) -> "Optimizer":
        """What trains the parameters that are no hidden matrix."""
        return self

    def optimizer(self, parameters: Parameters) -> "TorchOptimizer":
        """Torch's optimizer of these parameters, or of groups of them."""
        raise NotImplementedError


class SGD(Optimizer, kind="sgd"):
    """Stochastic gradient descent, with momentum if wanted."""

    momentum: NonNegative = parameter("share of the last step that is kept in the next", default=0.0)
    dampening: Finite = parameter("share of the gradient that momentum leaves out", default=0.0)
    weight_decay: NonNegative = parameter("pulls weights to zero by this factor", default=0.0)
    nesterov: Flag = parameter("take the gradient where momentum leads", default=False)
    maximize: Flag = parameter(MAXIMIZE, default=False)

    def rules(self) -> Iterator[Misfit]:
        yield from super().rules()
        if self.nesterov and self.momentum == 0:
            yield Misfit("nesterov", "`nesterov` needs a momentum above 0", "write `momentum: 0.9`", "nesterov")
        if self.nesterov and self.dampening != 0:
            message = f"`nesterov` needs a dampening of 0, and it is {self.dampening:g}"
            yield Misfit("nesterov", message, "remove it", "dampening")

    def optimizer(self, parameters: Parameters) -> "TorchOptimizer":
        from torch import optim

        return optim.SGD(parameters, **self.settings)


class AdamFamily(Optimizer):
    """What Adam and those after it share."""

    betas: Betas = parameter("shares of the running means that a step keeps", default=(0.9, 0.999))
    eps: NonNegative = parameter(EPS, default=1e-8)
    maximize: Flag = parameter(MAXIMIZE, default=False)


class Adam(AdamFamily, kind="adam"):
    """Steps scaled by running means of the gradient and of its square (Kingma & Ba 2015, arXiv:1412.6980)."""

    amsgrad: Flag = parameter(AMSGRAD, default=False)
    decoupled_weight_decay: Flag = parameter(DECOUPLED, default=False)

    def optimizer(self, parameters: Parameters) -> "TorchOptimizer":
        from torch import optim

        return optim.Adam(parameters, **self.settings)


class AdamW(AdamFamily, kind="adamw"):
    """Adam with weight decay apart from the gradient (Loshchilov & Hutter 2019, arXiv:1711.05101)."""

    weight_decay: NonNegative = parameter("pulls weights to zero by lr times this factor", default=0.01)
    amsgrad: Flag = parameter(AMSGRAD, default=False)

    def optimizer(self, parameters: Parameters) -> "TorchOptimizer":
        from torch import optim

        return optim.AdamW(parameters, **self.settings)


class NAdam(AdamFamily, kind="nadam"):
    """Adam that takes the gradient where momentum leads (Dozat 2016, Incorporating Nesterov Momentum into Adam)."""

    lr: NonNegative = parameter("learning rate", default=0.002)
    momentum_decay: NonNegative = parameter("how quickly the momentum comes to its full size", default=0.004)
    decoupled_weight_decay: Flag = parameter(DECOUPLED, default=False)

    def optimizer(self, parameters: Parameters) -> "TorchOptimizer":
        from torch import optim

        return optim.NAdam(parameters, **self.settings)


class RAdam(AdamFamily, kind="radam"):
    """Adam that scales no step until its running means are sure (Liu et al. 2020, arXiv:1908.03265)."""

    decoupled_weight_decay: Flag = parameter(DECOUPLED, default=False)

    def optimizer(self, parameters: Parameters) -> "TorchOptimizer":
        from torch import optim

        return optim.RAdam(parameters, **self.settings)


class RMSprop(Optimizer, kind="rmsprop"):
    """Steps scaled by a running mean of the gradient's square (Hinton 2012, Neural Networks for Machine Learning)."""

    lr: NonNegative = parameter("learning rate", default=0.01)
    alpha: Decay = parameter("share of the running mean that a step keeps", default=0.99)
    eps: NonNegative = parameter(EPS, default=1e-8)
    momentum: NonNegative = parameter("share of the last step that is kept in the next", default=0.0)
    centered: Flag = parameter("divide by the deviation of the gradient, not by its size", default=False)
    maximize: Flag = parameter(MAXIMIZE, default=False)

    def optimizer(self, parameters: Parameters) -> "TorchOptimizer":
        from torch import optim

        return optim.RMSprop(parameters, **self.settings)


class Adagrad(Optimizer, kind="adagrad"):
    """Steps scaled by the sum of all squared gradients so far (Duchi, Hazan & Singer 2011)."""

    has_momentum: ClassVar = False

    lr: NonNegative = parameter("learning rate", default=0.01)
    lr_decay: NonNegative = parameter("lr is divided by 1 plus this times the steps so far", default=0.0)
    initial_accumulator_value: NonNegative = parameter("what the sum begins with", default=0.0)
    eps: NonNegative = parameter(EPS, default=1e-10)
    maximize: Flag = parameter(MAXIMIZE, default=False)

    def optimizer(self, parameters: Parameters) -> "TorchOptimizer":
        from torch import optim

        return optim.Adagrad(parameters, **self.settings)


class Adadelta(Optimizer, kind="adadelta"):
    """Steps scaled by the sizes of the last steps and gradients (Zeiler 2012, arXiv:1212.5701)."""

    has_momentum: ClassVar = False

    lr: NonNegative = parameter("factor on the step", default=1.0)
    rho: Decay = parameter("share of the running means that a step keeps", default=0.9)
    eps: Positive = parameter("added to numerator and divisor", default=1e-6)
    maximize: Flag = parameter(MAXIMIZE, default=False)

    def optimizer(self, parameters: Parameters) -> "TorchOptimizer":
        from torch import optim

        return optim.Adadelta(parameters, **self.settings)


class Muon(Optimizer, kind="muon"):
    """Momentum made orthogonal, matrix by matrix (Jordan 2024, kellerjordan.github.io/posts/muon).

    For hidden matrices: the weights of all convolutions and linear layers but the first and the last. The kernels of a
    convolution count as one matrix, out_channels x (in_channels * area); of one with groups, which is none, they count
    as the rest. The rest is trained by AdamW: first and last layer, biases, norms.
    """

    weight_decay: NonNegative = parameter("pulls weights to zero by lr times this factor", default=0.1)
    momentum: Decay = parameter("share of the running mean of gradients that a step keeps", default=0.95)
    nesterov: Flag = parameter("take the gradient where momentum leads", default=True)
    ns_coefficients: Annotated[tuple[float, float, float], ListOf(Number(), 3, 3)] = parameter(
        "a, b and c of the Newton-Schulz iteration", default=(3.4445, -4.775, 2.0315)
    )
    eps: Positive = parameter("the least norm that a gradient is divided by", default=1e-7)
    ns_steps: Annotated[int, Integer(1, 99)] = parameter("iterations", default=5)
    adjust_lr_fn: Annotated[str | None, OrNull(Choice(("original", "match_rms_adamw", "spectral_unclamped")))] = (
        parameter("how lr follows from a matrix's shape", default=None, default_text="original")
    )
    adamw: Annotated[AdamW, Nested(AdamW)] = parameter("how the rest is trained", default={})

    def rules(self) -> Iterator[Misfit]:
        yield from super().rules()
        for misfit in self.adamw.rules():
            yield replace(misfit, field=f"adamw.{misfit.field}")

    @property
    def settings(self) -> dict[str, Any]:
        return {name: value for name, value in super().settings.items() if name != "adamw"}

    @property
    def of_the_rest(self) -> Optimizer:
        return self.adamw

    def optimizer(self, parameters: Parameters) -> "TorchOptimizer":
        from builder.muon import Muon

        return Muon(parameters, **self.settings)
