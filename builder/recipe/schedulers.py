"""Learning-rate schedules. Their length is that of the run: it is computed, never written."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from builder.fields import Choice, Count, Decay, Flag, NonNegative, Number, Positive, Probability, parameter
from builder.kinds import Kind, Misfit

if TYPE_CHECKING:
    from torch.optim import Optimizer as TorchOptimizer
    from torch.optim.lr_scheduler import LRScheduler

    from builder.recipe.optimizers import Optimizer


@dataclass(frozen=True, kw_only=True)
class Scheduler(Kind, family="scheduler"):
    """How the learning rate changes during a run."""

    per_epoch: ClassVar[bool] = False  # stepped after each epoch; else after each batch

    def check_run(self, optimizer: "Optimizer", total_steps: int) -> Misfit | None:
        """What is wrong with this schedule for this optimizer over a run of so many steps, if anything."""
        return None

    def scheduler(self, optimizer: "TorchOptimizer", total_steps: int) -> "LRScheduler":
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class OneCycle(Scheduler, kind="one_cycle"):
    """Up to max_lr and down to almost nothing, over the whole run (Smith & Topin 2018, arXiv:1708.07120)."""

    max_lr: Positive = parameter("the highest learning rate, such as 0.01; the optimizer's own is not used")
    pct_start: Probability = parameter("share of the run that climbs", default=0.3)
    anneal_strategy: Annotated[str, Choice(("cos", "linear"))] = parameter("shape of the way", default="cos")
    cycle_momentum: Flag = parameter("move momentum (or the first beta) against the learning rate", default=True)
    base_momentum: Decay = parameter("momentum where the learning rate is highest", default=0.85)
    max_momentum: Decay = parameter("momentum where the learning rate is lowest", default=0.95)
    div_factor: Positive = parameter("max_lr divided by this is where the climb begins", default=25.0)
    final_div_factor: Positive = parameter("the beginning divided by this is where the run ends", default=10_000.0)
    three_phase: Flag = parameter("come down to the beginning first, then to the end", default=False)

    def check_run(self, optimizer: "Optimizer", total_steps: int) -> Misfit | None:
        if self.cycle_momentum and not optimizer.has_momentum:
            message = f"`one_cycle` cycles the momentum, and {optimizer.kind} has none"
            return Misfit("no-momentum", message, "add `cycle_momentum: false`", "cycle_momentum")
        if self.pct_start * total_steps == 1:
            message = f"`pct_start` (={self.pct_start}) of {total_steps} steps is a single step, too short to climb"
            return Misfit("climb-of-one-step", message, "write another `pct_start`", "pct_start")
        return None

    def scheduler(self, optimizer: "TorchOptimizer", total_steps: int) -> "LRScheduler":
        from torch.optim.lr_scheduler import OneCycleLR

        return OneCycleLR(
            optimizer,
            max_lr=self.max_lr,
            total_steps=total_steps,
            pct_start=self.pct_start,
            anneal_strategy="cos" if self.anneal_strategy == "cos" else "linear",
            cycle_momentum=self.cycle_momentum,
            base_momentum=self.base_momentum,
            max_momentum=self.max_momentum,
            div_factor=self.div_factor,
            final_div_factor=self.final_div_factor,
            three_phase=self.three_phase,
        )


@dataclass(frozen=True, kw_only=True)
class Cosine(Scheduler, kind="cosine"):
    """Half a cosine from the optimizer's learning rate to eta_min (Loshchilov & Hutter 2017, arXiv:1608.03983)."""

    eta_min: NonNegative = parameter("learning rate at the end", default=0.0)

    def scheduler(self, optimizer: "TorchOptimizer", total_steps: int) -> "LRScheduler":
        from torch.optim.lr_scheduler import CosineAnnealingLR

        return CosineAnnealingLR(optimizer, T_max=total_steps, eta_min=self.eta_min)


@dataclass(frozen=True, kw_only=True)
class Step(Scheduler, kind="step"):
    """Multiplies the learning rate by gamma every step_size epochs."""

    per_epoch: ClassVar = True

    step_size: Count = parameter("epochs between two changes, such as 1")
    gamma: Annotated[float, Number(above=0)] = parameter("factor on the learning rate", default=0.1)

    def scheduler(self, optimizer: "TorchOptimizer", total_steps: int) -> "LRScheduler":
        from torch.optim.lr_scheduler import StepLR

        return StepLR(optimizer, step_size=self.step_size, gamma=self.gamma)
