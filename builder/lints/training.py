"""A recipe that doesn't do what it says."""

from collections.abc import Iterator
from itertools import cycle
from math import cos, pi

from builder.lints.base import Finding, RecipeLint
from builder.paths import Path
from builder.recipe import Recipe
from builder.recipe.datasets import FROM_IMAGES
from builder.recipe.optimizers import SGD, Muon
from builder.recipe.schedulers import CosineRestarts, MultiStep, OneCycle, ReduceOnPlateau, Step, Stepwise
from builder.spec import Spec

TINY_SHARE = 1e-4  # of the first learning rate: what is learned with it doesn't show
LARGE_SHARE = 0.5  # of the highest learning rate: a run that ends with more ends restlessly
FAR_OFF = 0.1  # of a mean that should be 0, or a deviation that should be 1


class ScheduleLength(RecipeLint, code="schedule-length", severity="warning"):
    """Schedules that count in epochs don't know how long the run is. If the first change of `step`, `multi_step` or
    `reduce_on_plateau` lies at or behind its end, the learning rate never changes, and the schedule does nothing; if
    changes are so many that the rate is next to zero long before the end, the rest of the run learns nothing; and if a
    run ends in the first half of a cycle of `cosine_restarts`, it ends with large steps. Behind a warm-up, epochs count
    from where that ends. All other schedules take the length of the run by themselves.

    Effect: a small network on the embedded sample reaches 91.1% with a step that never comes, and 92.5% with one in the
    last of five epochs; 87.8% with cycles of four epochs, so that the fifth begins anew, and 89.7% with one of five.

    Source: torch's documentation of `StepLR`; `python benchmarks/lint_effects.py`.
    """

    def findings_of(self, recipe: Recipe, spec: Spec) -> Iterator[Finding]:
        scheduler = recipe.scheduler
        if scheduler is None:
            return
        epochs, path = _epochs_of_scheduler(recipe), ("training", "scheduler", scheduler.kind)
        if isinstance(scheduler, Stepwise):
            yield from _of_steps(scheduler, epochs, path)
        elif isinstance(scheduler, CosineRestarts):
            yield from _of_cycles(scheduler, epochs, path)
        elif isinstance(scheduler, ReduceOnPlateau) and scheduler.patience > epochs - 3:
            # The first epoch gives the lowest loss; after `patience` more and one, a last epoch sees the change.
            message = f"the learning rate never changes: a patience of {scheduler.patience} outlasts {epochs} epochs"
            hint = f"write a patience of at most {epochs - 3}" if epochs > 2 else "remove it"
            yield Finding(message, hint, path, "patience")


def _epochs_of_scheduler(recipe: Recipe) -> int:
    """The epochs that it counts: those behind the warm-up, and the one in which that ends."""
    if recipe.warmup is None:
        return recipe.epochs
    num_images = recipe.num_train(recipe.dataset)
    if num_images is None:
        return recipe.epochs - int(recipe.warmup.epochs or 0)
    steps_per_epoch = recipe.steps_per_epoch(num_images)
    return recipe.epochs - recipe.warmup.num_steps(steps_per_epoch) // steps_per_epoch


def _of_steps(scheduler: Stepwise, epochs: int, path: Path) -> Iterator[Finding]:
    """What is wrong with a schedule that changes after some epochs."""
    share = scheduler.gamma ** scheduler.changes(epochs // 2)
    if isinstance(scheduler, Step) and scheduler.step_size >= epochs:
        message = f"the learning rate never changes: its first step is due after epoch {scheduler.step_size:,}"
        hint = f"write a step_size below {epochs}" if epochs > 1 else "remove it"
        yield Finding(f"{message} of {epochs:,}", hint, path, "step_size")
    elif isinstance(scheduler, MultiStep) and (late := [place for place in scheduler.milestones if place >= epochs]):
        never = "the learning rate never changes" if late == [*scheduler.milestones] else "a change never comes"
        message = f"{never}: it is due after epoch {min(late):,} of {epochs:,}"
        yield Finding(message, f"write milestones below {epochs}" if epochs > 1 else "remove it", path, "milestones")
    elif share < TINY_SHARE:
        message = f"half way through the run the learning rate is {share:.1g} of what it was"
        others = {Step: " or step_size", MultiStep: ", or fewer milestones"}.get(type(scheduler), "")
        yield Finding(message, f"write a larger gamma{others}, or fewer epochs", path, "gamma")


def _of_cycles(scheduler: CosineRestarts, epochs: int, path: Path) -> Iterator[Finding]:
    """What is wrong with a schedule that begins anew after some epochs."""
    since, left = scheduler.cycle_after(epochs)
    share = (1 + cos(pi * since / (since + left))) / 2
    if since and share > LARGE_SHARE:
        where = f"{since:,} epoch{'s' * (since > 1)} into a cycle of {since + left:,}"
        message = f"the run ends {where}, with {share:.0%} of the highest learning rate"
        yield Finding(message, f"let the cycles add up to {epochs:,} epochs", path, "T_0")


class OverwrittenByOneCycle(RecipeLint, code="overwritten-by-one-cycle", severity="info"):
    """`one_cycle` sets the learning rate of every step, and with `cycle_momentum` (the default) the momentum or the
    first beta too. What the optimizer says about them is not used, and whoever changes it wonders why nothing happens.
    As in torch, an `sgd` or `rmsprop` without momentum is given one, too; `cycle_momentum: false` leaves it without.

    Effect: none; the runs are the same to the last digit (94.7%).

    Source: torch's documentation of `OneCycleLR`: its constructor sets `lr` and `momentum` (or `betas`) of the
    optimizer; `python benchmarks/lint_effects.py`.
    """

    def findings_of(self, recipe: Recipe, spec: Spec) -> Iterator[Finding]:
        if not isinstance(recipe.scheduler, OneCycle):
            return
        path: Path = ("training", "optimizer", recipe.optimizer.kind)
        momenta = ("momentum", "betas") if recipe.scheduler.cycle_momentum else ()
        if isinstance(recipe.optimizer, SGD) and recipe.optimizer.nesterov:
            momenta = ()  # one above 0 has to be written beside `nesterov`, whatever it is
        # Muon's own rate says how large that of its adamw is beside it.
        rates = () if isinstance(recipe.optimizer, Muon) else ("lr",)
        for field in (*rates, *momenta):
            if spec.writes((*path, field)):
                instead = "max_lr" if field == "lr" else "base_momentum and max_momentum"
                message = f"`{field}` of {recipe.optimizer.kind} is not used: `one_cycle` sets it, by {instead}"
                hint = (
                    "remove it"
                    if field != "betas"
                    else "its first number is not used: remove it if the second is 0.999"
                )
                yield Finding(message, hint, path, field)


class BatchLargerThanData(RecipeLint, code="batch-larger-than-data", severity="warning"):
    """A batch can't hold more images than there are: every epoch is then a single step, with fewer images than asked
    for, and so many steps are as many epochs. The batches that `gradient_accumulation` takes together count as one.

    Effect: five epochs on the embedded sample with a batch of all images are five steps and reach 19.2%; with batches
    of 50 they are 500 and reach 91.1%.

    Source: steps per epoch = images / batch_size, rounded up; `python benchmarks/lint_effects.py`.
    """

    def findings_of(self, recipe: Recipe, spec: Spec) -> Iterator[Finding]:
        for dataset in recipe.possible_datasets:
            num_images = recipe.num_train(dataset)
            if not num_images or recipe.images_per_step <= num_images:
                continue
            there = f"{dataset.kind}, which has {num_images:,} training images: an epoch is one step"
            if recipe.batch_size > num_images:
                message = f"`batch_size` (={recipe.batch_size:,}) is larger than {there}"
                yield Finding(message, f"write at most {num_images}", ("training",), "batch_size")
            else:
                batches = f"{recipe.gradient_accumulation:,} batches of {recipe.batch_size:,}"
                hint = f"write at most {num_images // recipe.batch_size}"
                yield Finding(f"{batches} are more than {there}", hint, ("training",), "gradient_accumulation")
            return


class MomentumWithoutRate(RecipeLint, code="momentum-without-rate", severity="warning"):
    """With momentum m, steps grow to 1 / (1 - m) times their size: ten times with 0.9. Momentum and learning rate
    belong together, and torch's default rate of sgd, 0.001, is there so that something is.

    Nothing is said beside `one_cycle`, which sets the rate itself.

    Effect: a small network on the embedded sample is at 10.7% after five epochs with momentum 0.9 and the default rate,
    and at 90.3% with 0.03.

    Source: Sutskever et al. 2013, On the importance of initialization and momentum in deep learning;
    `python benchmarks/lint_effects.py`.
    """

    def findings_of(self, recipe: Recipe, spec: Spec) -> Iterator[Finding]:
        if not isinstance(recipe.optimizer, SGD) or isinstance(recipe.scheduler, OneCycle):
            return
        path: Path = ("training", "optimizer", SGD.kind)
        if recipe.optimizer.momentum > 0 and not spec.writes((*path, "lr")):
            message = f"a momentum is written, and the learning rate is left to its default of {recipe.optimizer.lr:g}"
            yield Finding(message, "write the rate too, such as `lr: 0.01`", path, "momentum")


class UnfittingNormalisation(RecipeLint, code="unfitting-normalisation", severity="info"):
    """Inputs with mean 0 and deviation 1 are what initialisations are made for. A data set's own mean and std give
    that, and are the defaults of each; those of another data set, or 0.5 for everything, don't.

    Effect: a small network on the embedded sample reaches 90.6% with 0.5 for both, and 92.0% with about the data set's
    own.

    Source: LeCun et al. 1998, Efficient BackProp, section 4.3; `python benchmarks/lint_effects.py`.
    """

    def findings_of(self, recipe: Recipe, spec: Spec) -> Iterator[Finding]:
        dataset, own = recipe.dataset, recipe.dataset.own_normalisation()
        if own is None or FROM_IMAGES in (dataset.mean, dataset.std):
            return
        for own_mean, own_std, mean, std in zip(*own, *map(cycle, (dataset.mean, dataset.std)), strict=False):
            left, scale = (own_mean - mean) / std, own_std / std
            if abs(left) <= FAR_OFF and abs(scale - 1) <= FAR_OFF:
                continue
            pixels = f"the pixels of {dataset.kind} have a mean of {left:.2f} and a deviation of {scale:.2f}"
            hint = f"write {own_mean:g} and {own_std:g}, or leave them out" if len(own[0]) == 1 else "leave them out"
            field = "mean" if abs(left) > FAR_OFF else "std"
            yield Finding(f"after this mean and std {pixels}", hint, ("training", "dataset", dataset.kind), field)
            return
