"""Optimizers, with the parameters and defaults of `torch.optim` that change the result."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from builder.fields import Betas, Decay, Finite, Flag, NonNegative, Positive, parameter
from builder.kinds import Kind, Misfit

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer as TorchOptimizer

MAXIMIZE = "climb the loss instead of descending it"


@dataclass(frozen=True, kw_only=True)
class Optimizer(Kind, family="optimizer"):
    """How a step follows from a gradient."""

    has_momentum: ClassVar[bool] = True  # something that `one_cycle` can cycle: `momentum` or `betas`

    lr: NonNegative = parameter("learning rate", default=0.001)

    def rules(self) -> Iterator[Misfit]:
        if self.lr == 0:
            yield Misfit("learns-nothing", "`lr` (=0) changes no weight", "write more, such as 0.001", "lr", "warning")

    def optimizer(self, parameters: "Iterable[nn.Parameter]") -> "TorchOptimizer":
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
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

    def optimizer(self, parameters: "Iterable[nn.Parameter]") -> "TorchOptimizer":
        from torch import optim

        return optim.SGD(
            parameters,
            lr=self.lr,
            momentum=self.momentum,
            dampening=self.dampening,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
            maximize=self.maximize,
        )


@dataclass(frozen=True, kw_only=True)
class AdamFamily(Optimizer):
    """What Adam and AdamW share."""

    betas: Betas = parameter("shares of the running means that a step keeps", default=(0.9, 0.999))
    eps: NonNegative = parameter("added to the divisor", default=1e-8)
    weight_decay: NonNegative = parameter("pulls weights to zero by this factor, through the gradient", default=0.0)
    amsgrad: Flag = parameter("divide by the largest running mean so far", default=False)
    maximize: Flag = parameter(MAXIMIZE, default=False)


@dataclass(frozen=True, kw_only=True)
class Adam(AdamFamily, kind="adam"):
    """Steps scaled by running means of the gradient and of its square (Kingma & Ba 2015, arXiv:1412.6980)."""

    decoupled_weight_decay: Flag = parameter("decay as adamw does, past the gradient", default=False)

    def optimizer(self, parameters: "Iterable[nn.Parameter]") -> "TorchOptimizer":
        from torch import optim

        return optim.Adam(
            parameters,
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            weight_decay=self.weight_decay,
            amsgrad=self.amsgrad,
            maximize=self.maximize,
            decoupled_weight_decay=self.decoupled_weight_decay,
        )


@dataclass(frozen=True, kw_only=True)
class AdamW(AdamFamily, kind="adamw"):
    """Adam with weight decay apart from the gradient (Loshchilov & Hutter 2019, arXiv:1711.05101)."""

    weight_decay: NonNegative = parameter("pulls weights to zero by lr times this factor", default=0.01)

    def optimizer(self, parameters: "Iterable[nn.Parameter]") -> "TorchOptimizer":
        from torch import optim

        return optim.AdamW(
            parameters,
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            weight_decay=self.weight_decay,
            amsgrad=self.amsgrad,
            maximize=self.maximize,
        )


@dataclass(frozen=True, kw_only=True)
class Adadelta(Optimizer, kind="adadelta"):
    """Steps scaled by the sizes of the last steps and gradients (Zeiler 2012, arXiv:1212.5701)."""

    has_momentum: ClassVar = False

    lr: NonNegative = parameter("factor on the step", default=1.0)
    rho: Decay = parameter("share of the running means that a step keeps", default=0.9)
    eps: Positive = parameter("added to numerator and divisor", default=1e-6)
    weight_decay: NonNegative = parameter("pulls weights to zero by this factor, through the gradient", default=0.0)
    maximize: Flag = parameter(MAXIMIZE, default=False)

    def optimizer(self, parameters: "Iterable[nn.Parameter]") -> "TorchOptimizer":
        from torch import optim

        return optim.Adadelta(
            parameters,
            lr=self.lr,
            rho=self.rho,
            eps=self.eps,
            weight_decay=self.weight_decay,
            maximize=self.maximize,
        )
