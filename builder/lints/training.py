"""A recipe that doesn't do what it says."""

from collections.abc import Iterator

from builder.lints.base import Finding, Lint, Network
from builder.paths import Path
from builder.recipe.optimizers import SGD
from builder.recipe.schedulers import OneCycle, Step

TINY_SHARE = 1e-4  # of the first learning rate: what is learned with it doesn't show
FAR_OFF = 0.1  # of a mean that should be 0, or a deviation that should be 1


class ScheduleLength(Lint, code="schedule-length", severity="warning"):
    """`step` counts in epochs. If its first step lies at or behind the end of the run, the learning rate never changes,
    and the schedule does nothing; if the steps are so many that the rate is next to zero long before the end, the rest
    of the run learns nothing. All other schedules take the length of the run by themselves.

    Effect: a small network on the embedded sample reaches 91.1% with a step that never comes, and 92.5% with one in the
    last of five epochs.

    Source: torch's documentation of `StepLR`; `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        recipe = network.plan.spec.recipe
        if recipe is None or not isinstance(recipe.scheduler, Step):
            return
        step, path = recipe.scheduler, ("training", "scheduler", "step")
        if step.step_size >= recipe.epochs:
            due = f"its first step is due after epoch {step.step_size:,} of {recipe.epochs:,}"
            message = f"the learning rate never changes: {due}"
            hint = f"write a step_size below {recipe.epochs}" if recipe.epochs > 1 else "remove it"
            yield Finding(message, hint, path, "step_size")
        elif step.gamma ** ((recipe.epochs // 2) // step.step_size) < TINY_SHARE:
            share = step.gamma ** ((recipe.epochs // 2) // step.step_size)
            message = f"half way through the run the learning rate is {share:.1g} of what it was"
            yield Finding(message, "write a larger gamma or step_size, or fewer epochs", path, "gamma")


class OverwrittenByOneCycle(Lint, code="overwritten-by-one-cycle", severity="info"):
    """`one_cycle` sets the learning rate of every step, and with `cycle_momentum` (the default) the momentum or the
    first beta too. What the optimizer says about them is not used, and whoever changes it wonders why nothing happens.

    Effect: none; the runs are the same to the last digit (94.7%).

    Source: torch's documentation of `OneCycleLR`: its constructor sets `lr` and `momentum` (or `betas`) of the
    optimizer; `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        recipe = network.plan.spec.recipe
        if recipe is None or not isinstance(recipe.scheduler, OneCycle):
            return
        path: Path = ("training", "optimizer", recipe.optimizer.kind)
        momenta = ("momentum", "betas") if recipe.scheduler.cycle_momentum else ()
        for field in ("lr", *momenta):
            if network.plan.spec.writes((*path, field)):
                instead = "max_lr" if field == "lr" else "base_momentum and max_momentum"
                message = f"`{field}` of {recipe.optimizer.kind} is not used: `one_cycle` sets it, by {instead}"
                hint = (
                    "remove it"
                    if field != "betas"
                    else "its first number is not used: remove it if the second is 0.999"
                )
                yield Finding(message, hint, path, field)


class BatchLargerThanData(Lint, code="batch-larger-than-data", severity="warning"):
    """A batch can't hold more images than there are: every epoch is then a single step, with fewer images than asked
    for, and so many steps are as many epochs.

    Effect: five epochs on the embedded sample with a batch of all images are five steps and reach 19.2%; with batches
    of 50 they are 500 and reach 91.1%.

    Source: steps per epoch = images / batch_size, rounded up; `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        recipe = network.plan.spec.recipe
        for dataset in recipe.possible_datasets if recipe else ():
            if recipe and recipe.batch_size > dataset.num_train:
                message = (
                    f"`batch_size` (={recipe.batch_size:,}) is larger than {dataset.kind}, which has "
                    f"{dataset.num_train:,} training images: an epoch is one step"
                )
                yield Finding(message, f"write at most {dataset.num_train}", ("training",), "batch_size")
                return


class MomentumWithoutRate(Lint, code="momentum-without-rate", severity="warning"):
    """With momentum m, steps grow to 1 / (1 - m) times their size: ten times with 0.9. Momentum and learning rate
    belong together, and torch's default rate of sgd, 0.001, is there so that something is.

    Nothing is said beside `one_cycle`, which sets the rate itself.

    Effect: a small network on the embedded sample is at 10.7% after five epochs with momentum 0.9 and the default rate,
    and at 90.3% with 0.03.

    Source: Sutskever et al. 2013, On the importance of initialization and momentum in deep learning;
    `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        spec = network.plan.spec
        recipe = spec.recipe
        if recipe is None or not isinstance(recipe.optimizer, SGD) or isinstance(recipe.scheduler, OneCycle):
            return
        path: Path = ("training", "optimizer", SGD.kind)
        if recipe.optimizer.momentum > 0 and not spec.writes((*path, "lr")):
            message = f"a momentum is written, and the learning rate is left to its default of {recipe.optimizer.lr:g}"
            yield Finding(message, "write the rate too, such as `lr: 0.01`", path, "momentum")


class UnfittingNormalisation(Lint, code="unfitting-normalisation", severity="info"):
    """Inputs with mean 0 and deviation 1 are what initialisations are made for. A data set's own mean and std give
    that, and are the defaults of each; those of another data set, or 0.5 for everything, don't.

    Effect: a small network on the embedded sample reaches 90.6% with 0.5 for both, and 92.0% with about the data set's
    own.

    Source: LeCun et al. 1998, Efficient BackProp, section 4.3; `python benchmarks/lint_effects.py`.
    """

    def findings(self, network: Network) -> Iterator[Finding]:
        recipe = network.plan.spec.recipe
        if recipe is None:
            return
        written, own = recipe.dataset, type(recipe.dataset)()
        (own_mean, *_), (own_std, *_) = own.mean, own.std
        mean, std = (own_mean - written.mean[0]) / written.std[0], own_std / written.std[0]
        if abs(mean) <= FAR_OFF and abs(std - 1) <= FAR_OFF:
            return
        message = (
            f"after this mean and std the pixels of {own.kind} have a mean of {mean:.2f} and a deviation of {std:.2f}"
        )
        hint = f"write {own_mean:g} and {own_std:g}, or leave them out"
        yield Finding(message, hint, ("training", "dataset", own.kind), "mean" if abs(mean) > FAR_OFF else "std")
