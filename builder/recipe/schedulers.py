"""Learning-rate schedules, with torch's parameters. The length of a run is computed, never written."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from builder.fields import (
    Choice,
    Count,
    Decay,
    Flag,
    Integer,
    ListOf,
    NonNegative,
    Number,
    Positive,
    Probability,
    parameter,
)
from builder.kinds import Kind, Misfit
from builder.limits import MAX_EPOCHS, MAX_LISTS, MAX_STEPS

if TYPE_CHECKING:
    from torch.optim import Optimizer as TorchOptimizer
    from torch.optim.lr_scheduler import LRScheduler

    from builder.recipe.optimizers import Optimizer

Interval = Annotated[str, Choice(("step", "epoch"))]
_COUNT = Integer(1, MAX_STEPS)  # of intervals

INTERVAL = "whether the learning rate changes after each step, or after each epoch"
FACTOR = "factor on the learning rate"
LOWEST = "the lowest learning rate, the same for all parameters"


class Scheduler(Kind, family="scheduler"):
    """How the learning rate changes during a run. Behind a warm-up, steps and epochs count from where that ends."""

    spans_run: ClassVar[bool] = False  # its shape depends on the length of the run
    needs_validation: ClassVar[bool] = False  # it looks at the loss on the validation images

    @property
    def interval(self) -> str:
        """After each of what it is stepped: a `step`, or an `epoch`."""
        raise NotImplementedError

    @property
    def per_epoch(self) -> bool:
        """Whether it is stepped after each epoch; else after each step."""
        return self.interval == "epoch"

    def length(self, total_steps: int, steps_per_epoch: int) -> int:
        """So many steps in its own intervals; of epochs, one that a warm-up has begun counts whole."""
        return -(-total_steps // steps_per_epoch) if self.per_epoch else total_steps

    def check_run(self, optimizer: "Optimizer", total_steps: int) -> Misfit | None:
        """What is wrong with this schedule for this optimizer over a run of so many steps, if anything."""
        return None

    def scheduler(self, optimizer: "TorchOptimizer", total_steps: int, steps_per_epoch: int) -> "LRScheduler":
        """Torch's scheduler; of the optimizer's groups, each has its own learning rate."""
        raise NotImplementedError


class OneCycle(Scheduler, kind="one_cycle"):
    """Up to max_lr and down to almost nothing, over the whole run (Smith & Topin 2018, arXiv:1708.07120)."""

    spans_run: ClassVar = True
    interval: ClassVar = "step"

    max_lr: Positive = parameter("the highest learning rate, such as 0.01; the optimizer's own is not used")
    pct_start: Probability = parameter("share of the run that climbs", default=0.3)
    anneal_strategy: Annotated[str, Choice(("cos", "linear"))] = parameter("shape of the way", default="cos")
    cycle_momentum: Flag = parameter(
        "move momentum (or the first beta) against the learning rate: an sgd without momentum is given one, too",
        default=True,
    )
    base_momentum: Decay = parameter("momentum where the learning rate is highest", default=0.85)
    max_momentum: Decay = parameter("momentum where the learning rate is lowest", default=0.95)
    div_factor: Positive = parameter("max_lr divided by this is where the climb begins", default=25.0)
    final_div_factor: Positive = parameter("the beginning divided by this is where the run ends", default=10_000.0)
    three_phase: Flag = parameter("come down to the beginning first, then to the end", default=False)

    def rules(self) -> Iterator[Misfit]:
        if self.cycle_momentum and self.base_momentum > self.max_momentum:
            message = (
                f"`base_momentum` (={self.base_momentum:g}) lies above `max_momentum` (={self.max_momentum:g}): "
                "momentum is highest where the learning rate is"
            )
            yield Misfit("empty-range", message, "write the smaller one as `base_momentum`", "base_momentum", "warning")

    def check_run(self, optimizer: "Optimizer", total_steps: int) -> Misfit | None:
        if self.cycle_momentum and not optimizer.has_momentum:
            message = f"`one_cycle` cycles the momentum, and {optimizer.kind} has none"
            return Misfit("no-momentum", message, "add `cycle_momentum: false`", "cycle_momentum")
        if self.pct_start * total_steps == 1:
            message = f"`pct_start` (={self.pct_start}) of {total_steps} steps is a single step, too short to climb"
            return Misfit("climb-of-one-step", message, "write another `pct_start`", "pct_start")
        return None

    def scheduler(self, optimizer: "TorchOptimizer", total_steps: int, steps_per_epoch: int) -> "LRScheduler":
        from torch.optim.lr_scheduler import OneCycleLR

        return OneCycleLR(
            optimizer,
            max_lr=[self.max_lr * group.get("lr_factor", 1.0) for group in optimizer.param_groups],
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


class Cosine(Scheduler, kind="cosine"):
    """Half a cosine from the optimizer's learning rate to eta_min (Loshchilov & Hutter 2017, arXiv:1608.03983)."""

    spans_run: ClassVar = True

    eta_min: NonNegative = parameter(LOWEST, default=0.0)
    interval: Interval = parameter(INTERVAL, default="step")

    def scheduler(self, optimizer: "TorchOptimizer", total_steps: int, steps_per_epoch: int) -> "LRScheduler":
        from torch.optim.lr_scheduler import CosineAnnealingLR

        return CosineAnnealingLR(optimizer, T_max=self.length(total_steps, steps_per_epoch), eta_min=self.eta_min)


class CosineRestarts(Scheduler, kind="cosine_restarts"):
    """Half a cosine down, then from the top again, and again (Loshchilov & Hutter 2017, arXiv:1608.03983)."""

    T_0: Annotated[int, Integer(1, MAX_EPOCHS)] = parameter("epochs until the first restart, such as 5")
    T_mult: Count = parameter("factor on the epochs from each restart to the next", default=1)
    eta_min: NonNegative = parameter(LOWEST, default=0.0)
    interval: Interval = parameter(INTERVAL, default="step")

    def cycle_after(self, epochs: int) -> tuple[int, int]:
        """Where it is after so many epochs: the epochs since the last restart, and those until the next."""
        length = self.T_0
        while epochs >= length:
            epochs -= length
            length *= self.T_mult
        return epochs, length - epochs

    def scheduler(self, optimizer: "TorchOptimizer", total_steps: int, steps_per_epoch: int) -> "LRScheduler":
        from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

        first = self.T_0 if self.per_epoch else self.T_0 * steps_per_epoch
        return CosineAnnealingWarmRestarts(optimizer, T_0=first, T_mult=self.T_mult, eta_min=self.eta_min)


class Linear(Scheduler, kind="linear"):
    """A straight line over the whole run, from one factor on the learning rate to another."""

    spans_run: ClassVar = True

    start_factor: Annotated[float, Number(above=0, maximum=1)] = parameter(f"{FACTOR} at the beginning, such as 1")
    end_factor: Probability = parameter(f"{FACTOR} at the end, such as 0")
    interval: Interval = parameter(INTERVAL, default="step")

    def scheduler(self, optimizer: "TorchOptimizer", total_steps: int, steps_per_epoch: int) -> "LRScheduler":
        from torch.optim.lr_scheduler import LinearLR

        return LinearLR(
            optimizer,
            start_factor=self.start_factor,
            end_factor=self.end_factor,
            total_iters=self.length(total_steps, steps_per_epoch),
        )


class Polynomial(Scheduler, kind="polynomial"):
    """Down to 0 over the whole run, by a power of the share of it that is left."""

    spans_run: ClassVar = True

    power: Positive = parameter("1 is a straight line; with more it falls early, with less late", default=1.0)
    interval: Interval = parameter(INTERVAL, default="step")

    def scheduler(self, optimizer: "TorchOptimizer", total_steps: int, steps_per_epoch: int) -> "LRScheduler":
        from torch.optim.lr_scheduler import PolynomialLR

        return PolynomialLR(optimizer, total_iters=self.length(total_steps, steps_per_epoch), power=self.power)


class Step(Scheduler, kind="step"):
    """Multiplies the learning rate by gamma every step_size epochs, or steps."""

    step_size: Annotated[int, _COUNT] = parameter("epochs (or steps, by `interval`) between two changes, such as 1")
    gamma: Positive = parameter(FACTOR, default=0.1)
    interval: Interval = parameter(INTERVAL, default="epoch")

    def changes(self, intervals: int) -> int:
        """How often the learning rate has changed after so many intervals."""
        return intervals // self.step_size

    def scheduler(self, optimizer: "TorchOptimizer", total_steps: int, steps_per_epoch: int) -> "LRScheduler":
        from torch.optim.lr_scheduler import StepLR

        return StepLR(optimizer, step_size=self.step_size, gamma=self.gamma)


class MultiStep(Scheduler, kind="multi_step"):
    """Multiplies the learning rate by gamma after each epoch, or step, that is a milestone."""

    milestones: Annotated[tuple[int, ...], ListOf(_COUNT, 1, MAX_LISTS)] = parameter(
        "epochs (or steps, by `interval`) after which it changes, such as [3, 5]"
    )
    gamma: Positive = parameter(FACTOR, default=0.1)
    interval: Interval = parameter(INTERVAL, default="epoch")

    def changes(self, intervals: int) -> int:
        """How often the learning rate has changed after so many intervals."""
        return sum(milestone <= intervals for milestone in self.milestones)

    def scheduler(self, optimizer: "TorchOptimizer", total_steps: int, steps_per_epoch: int) -> "LRScheduler":
        from torch.optim.lr_scheduler import MultiStepLR

        return MultiStepLR(optimizer, milestones=self.milestones, gamma=self.gamma)


class Exponential(Scheduler, kind="exponential"):
    """Multiplies the learning rate by gamma after every epoch, or step."""

    gamma: Positive = parameter(f"{FACTOR}, such as 0.9")
    interval: Interval = parameter(INTERVAL, default="epoch")

    def changes(self, intervals: int) -> int:
        """How often the learning rate has changed after so many intervals."""
        return intervals

    def scheduler(self, optimizer: "TorchOptimizer", total_steps: int, steps_per_epoch: int) -> "LRScheduler":
        from torch.optim.lr_scheduler import ExponentialLR

        return ExponentialLR(optimizer, gamma=self.gamma)


class ReduceOnPlateau(Scheduler, kind="reduce_on_plateau"):
    """Multiplies the learning rate by factor when the loss on the validation images no longer falls."""

    interval: ClassVar = "epoch"
    needs_validation: ClassVar = True

    factor: Annotated[float, Number(above=0, below=1)] = parameter(FACTOR, default=0.1)
    patience: Annotated[int, Integer(0, MAX_EPOCHS)] = parameter(
        "epochs without a lower loss that are let pass; the next one changes it", default=10
    )
    threshold: NonNegative = parameter("a loss counts as lower if it is lower by more than this", default=1e-4)
    threshold_mode: Annotated[str, Choice(("rel", "abs"))] = parameter(
        "whether the threshold is a share of the lowest loss so far, or a number", default="rel"
    )
    cooldown: Annotated[int, Integer(0, MAX_EPOCHS)] = parameter(
        "epochs after a change in which none counts as being without a lower loss", default=0
    )
    min_lr: NonNegative = parameter(LOWEST, default=0.0)
    eps: NonNegative = parameter("changes of the learning rate that are smaller are left out", default=1e-8)

    def scheduler(self, optimizer: "TorchOptimizer", total_steps: int, steps_per_epoch: int) -> "LRScheduler":
        from torch.optim.lr_scheduler import ReduceLROnPlateau

        return ReduceLROnPlateau(
            optimizer,
            factor=self.factor,
            patience=self.patience,
            threshold=self.threshold,
            threshold_mode="rel" if self.threshold_mode == "rel" else "abs",
            cooldown=self.cooldown,
            min_lr=self.min_lr,
            eps=self.eps,
        )


Stepwise = Step | MultiStep | Exponential  # they multiply by gamma, after some intervals
