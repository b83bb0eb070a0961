"""A recipe that doesn't do what it says."""

from collections.abc import Iterator
from itertools import cycle
from math import cos, exp, log, pi

from builder.layers.conv import Convolution
from builder.layers.linear import Linear
from builder.lints.base import Finding, Lint, Network, RecipeLint
from builder.paths import Path
from builder.plan import LayerRow
from builder.plan.named_layers import by_name, is_under
from builder.recipe import Recipe
from builder.recipe.datasets import FROM_IMAGES
from builder.recipe.optimizers import SGD, Muon
from builder.recipe.schedulers import (
    CosineRestarts,
    MultiStep,
    OneCycle,
    ReduceOnPlateau,
    Scheduler,
    Step,
    Stepwise,
)
from builder.spec import Spec

TINY_SHARE = 1e-4  # of the first learning rate: what is learned with it doesn't show
LARGE_SHARE = 0.5  # of the highest learning rate: a run that ends with more ends restlessly
ONLY_ONE = "the learning rate never changes: it is set anew after each epoch, and there is only one"
FAR_OFF = 0.1  # of a mean that should be 0, or a deviation that should be 1


class ScheduleLength(RecipeLint, code="schedule-length", severity="warning"):
    """Schedules that count in epochs, or in steps, don't know how long the run is. If the first change of `step`,
    `multi_step` or `reduce_on_plateau` lies at or behind its end, the learning rate never changes, and the schedule
    does nothing; if changes are so many that the rate is next to zero long before the end, the rest of the run learns
    nothing; and if a run ends in the first half of a cycle of `cosine_restarts`, it ends with large steps. Behind a
    warm-up, epochs and steps count from where that ends. All other schedules take the length of the run by themselves,
    but none changes anything after each epoch where there is only one.

    Effect: a small network on the embedded sample reaches 91.1% with a step that never comes, and 92.5% with one in the
    last of five epochs; 87.8% with cycles of four epochs, so that the fifth begins anew, and 89.7% with one of five.

    Source: torch's documentation of `StepLR`; `python benchmarks/lint_effects.py`.
    """

    def findings_of(self, recipe: Recipe, spec: Spec) -> Iterator[Finding]:
        scheduler = recipe.scheduler
        if scheduler is None:
            return
        path: Path = ("training", "scheduler", scheduler.kind)
        length = _length(recipe, scheduler)
        if isinstance(scheduler, CosineRestarts):
            yield from _of_cycles(scheduler, _epochs(recipe), path)
        elif length is None:
            return
        elif isinstance(scheduler, Stepwise):
            yield from _of_steps(scheduler, length, path)
        elif isinstance(scheduler, ReduceOnPlateau) and scheduler.patience > length - 3:
            # The first epoch gives the lowest loss; after `patience` more and one, a last epoch sees the change.
            message = f"the learning rate never changes: a patience of {scheduler.patience} outlasts {length} epochs"
            hint = f"write a patience of at most {length - 3}" if length > 2 else "remove it"
            yield Finding(message, hint, path, "patience")
        elif scheduler.per_epoch and length == 1:
            yield Finding(ONLY_ONE, "remove `interval: epoch`", path, "interval")


def _epochs(recipe: Recipe) -> int:
    """The epochs that a scheduler counts: those behind the warm-up, and the one in which that ends."""
    if recipe.warmup is None:
        return recipe.epochs
    num_images = recipe.num_train(recipe.dataset)
    if num_images is None:
        return recipe.epochs - int(recipe.warmup.epochs or 0)
    steps_per_epoch = recipe.steps_per_epoch(num_images)
    return recipe.epochs - recipe.warmup.num_steps(steps_per_epoch) // steps_per_epoch


def _length(recipe: Recipe, scheduler: Scheduler) -> int | None:
    """The intervals that a scheduler counts; None where only a run can count its steps."""
    if scheduler.per_epoch:
        return _epochs(recipe)
    num_images = recipe.num_train(recipe.dataset)
    if num_images is None:
        return None
    steps_per_epoch = recipe.steps_per_epoch(num_images)
    warmup_steps = recipe.warmup.num_steps(steps_per_epoch) if recipe.warmup else 0
    return recipe.epochs * steps_per_epoch - warmup_steps


def _of_steps(scheduler: Stepwise, length: int, path: Path) -> Iterator[Finding]:
    """What is wrong with a schedule that changes after some intervals."""
    unit = scheduler.interval
    share = exp(scheduler.changes(length // 2) * min(0.0, log(scheduler.gamma)))
    if isinstance(scheduler, Step) and scheduler.step_size >= length:
        message = f"the learning rate never changes: its first change is due after {unit} {scheduler.step_size:,}"
        hint = f"write a step_size below {length}" if length > 1 else "remove it"
        yield Finding(f"{message} of {length:,}", hint, path, "step_size")
    elif isinstance(scheduler, MultiStep) and (late := [place for place in scheduler.milestones if place >= length]):
        never = "the learning rate never changes" if late == [*scheduler.milestones] else "a change never comes"
        message = f"{never}: it is due after {unit} {min(late):,} of {length:,}"
        yield Finding(message, f"write milestones below {length}" if length > 1 else "remove it", path, "milestones")
    elif share < TINY_SHARE:
        message = f"half way through the run the learning rate is {share:.1g} of what it was"
        others = {Step: " or step_size", MultiStep: ", or fewer milestones"}.get(type(scheduler), "")
        fewer = "fewer epochs" if scheduler.per_epoch else "`interval: epoch`"
        yield Finding(message, f"write a larger gamma{others}, or {fewer}", path, "gamma")
    elif length == 1:
        yield Finding(ONLY_ONE, "remove it", path)


def _of_cycles(scheduler: CosineRestarts, epochs: int, path: Path) -> Iterator[Finding]:
    """What is wrong with a schedule that begins anew after some epochs."""
    if scheduler.per_epoch and 1 in (epochs, scheduler.T_0 * scheduler.T_mult):
        message = "the learning rate never changes: it is set anew after each epoch, where a cycle begins"
        yield Finding(message, "remove `interval: epoch`", path, "interval")
        return
    since, left = scheduler.cycle_after(epochs - 1 if scheduler.per_epoch else epochs)
    share = (1 + cos(pi * since / (since + left))) / 2
    if share > LARGE_SHARE and (since or scheduler.per_epoch):
        into = since + 1 if scheduler.per_epoch else since
        where = f"{into:,} epoch{'s' * (into > 1)} into a cycle of {since + left:,}"
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


class MuonWithoutMatrices(Lint, code="muon-without-matrices", severity="warning"):
    """`muon` is for hidden matrices: the weights of linear layers and of convolutions without groups, the first and the
    last layer apart. Everything else is trained by the `adamw` inside of it, with a learning rate of its own. In a
    network that has no hidden matrix, or keeps all of them still by `freeze`, that is everything, and the learning rate
    that was written for `muon` moves nothing.

    Effect: a small network on the embedded sample, whose inner convolutions are all in groups, reaches 66.3% with muon
    at a rate of 0.02, and the same at 0.2 or with `adamw` alone; 87.3% with `adamw` at a rate of 0.02; and 93.1% with
    muon where one of its convolutions is without groups.

    Source: Jordan 2024, kellerjordan.github.io/posts/muon; `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        recipe = network.plan.spec.recipe
        if recipe is None or not isinstance(recipe.optimizer, Muon):
            return
        layers = [(name, row.layer) for name, row in by_name(network.plan.rows) if isinstance(row, LayerRow)]
        matrices = [(name, layer) for name, layer in layers if isinstance(layer, Convolution | Linear)]
        for name, layer in matrices[1:-1]:
            if (isinstance(layer, Linear) or layer.groups == 1) and not is_under(name, recipe.freeze):
                return
        message = "`muon` finds no hidden matrix in this network, and its `adamw` trains everything"
        hint = "write `adamw` in its place, with a learning rate for that"
        yield Finding(message, hint, ("training", "optimizer", Muon.kind))


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
