"""What is wrong between the choices of a recipe that are each right."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from builder.kinds import Misfit
from builder.recipe.datasets import Dataset

if TYPE_CHECKING:
    from builder.recipe import Recipe

FLOAT16_NEEDS_A_GPU = "`precision: float16` needs a GPU"
INSTEAD_OF_FLOAT16 = "write bfloat16, float32 or auto"
SHARE_OF_VALIDATION = 10  # one image of so many is what a hint keeps apart


def rules_of(recipe: "Recipe") -> Iterator[Misfit]:
    """Everything that is wrong between its parts."""
    yield from _size_rules(recipe)
    yield from _averaging_rules(recipe)
    yield from _augmentation_rules(recipe)
    yield from _class_rules(recipe)
    for misfit in recipe.parameter_groups.check_decay(recipe.optimizer.of_the_rest.weight_decay):
        yield replace(misfit, field=f"parameter_groups.{misfit.field}")
    yield from _stopping_rules(recipe)
    if recipe.precision == "float16" and recipe.device == "cpu":
        message = f"{FLOAT16_NEEDS_A_GPU}, and `device` is cpu"
        yield Misfit("needs-gpu", message, INSTEAD_OF_FLOAT16, "precision")
    if recipe.scheduler and recipe.scheduler.needs_validation and not recipe.validation:
        yield _needs_validation(recipe, f"scheduler.{recipe.scheduler.kind}")


# ------------------------------------------------------------------------------------------------------- the run's size


def _size_rules(recipe: "Recipe") -> Iterator[Misfit]:
    for dataset in recipe.possible_datasets:
        num_images = recipe.num_train(dataset)
        misfits = [] if num_images is None else list(rules_of_size(recipe, dataset, num_images))
        if misfits:
            yield from misfits
            return


def rules_of_size(recipe: "Recipe", dataset: Dataset, num_images: int) -> Iterator[Misfit]:
    """What is wrong with training on so many images of a data set."""
    if recipe.validation and num_images < 1:
        there = num_images + recipe.validation.size
        message = (
            f"`validation` takes {recipe.validation.size:,} of the {there:,} training images of {dataset.kind}, "
            "and leaves none to train on"
        )
        yield Misfit("too-few-images", message, f"write at most {there - 1}", "validation.size")
    else:
        yield from _schedule_rules(recipe, dataset, recipe.steps_per_epoch(num_images))


def _schedule_rules(recipe: "Recipe", dataset: Dataset, steps_per_epoch: int) -> Iterator[Misfit]:
    total_steps = recipe.epochs * steps_per_epoch
    warmup_steps = recipe.warmup.num_steps(steps_per_epoch) if recipe.warmup else 0
    if recipe.warmup and warmup_steps >= total_steps:
        message = f"the warm-up takes {warmup_steps:,} steps, and a run on {dataset.kind} has {total_steps:,}"
        yield Misfit("warmup-too-long", message, "write less, or more `epochs`", f"warmup.{recipe.warmup.unit}")
    elif recipe.scheduler:
        misfit = recipe.scheduler.check_run(recipe.optimizer, total_steps - warmup_steps)
        if misfit:
            yield replace(misfit, field=f"scheduler.{recipe.scheduler.kind}.{misfit.field}")


# ------------------------------------------------------------------------------------------------------- single choices


def _class_rules(recipe: "Recipe") -> Iterator[Misfit]:
    for misfit in recipe.loss.check_classes(recipe.dataset.kind, len(recipe.dataset.classes)):
        yield replace(misfit, field=f"loss.{recipe.loss.kind}.{misfit.field}")


def _augmentation_rules(recipe: "Recipe") -> Iterator[Misfit]:
    for index, augmentation in enumerate(recipe.augmentations):
        for misfit in augmentation.check_images(recipe.dataset.image):
            yield replace(misfit, field=f"augmentations[{index}].{augmentation.kind}.{misfit.field}")


def _averaging_rules(recipe: "Recipe") -> Iterator[Misfit]:
    for misfit in recipe.averaging.check_run(recipe.epochs) if recipe.averaging else ():
        yield replace(misfit, field=f"averaging.{misfit.field}")


def _stopping_rules(recipe: "Recipe") -> Iterator[Misfit]:
    if recipe.early_stopping is None:
        return
    if not recipe.validation:
        yield _needs_validation(recipe, "early_stopping")
    for misfit in recipe.early_stopping.check_run(recipe.epochs):
        yield replace(misfit, field=f"early_stopping.{misfit.field}")


def _needs_validation(recipe: "Recipe", field: str) -> Misfit:
    """A choice during the run that has nothing to look at."""
    message = f"`{field.rpartition('.')[2]}` looks at images kept apart from training, and there are none"
    counts = [dataset.num_train for dataset in recipe.possible_datasets if dataset.num_train]
    size = max(1, min(counts) // SHARE_OF_VALIDATION) if counts else "..."
    hint = f"add `validation: {{size: {size}}}` to `training`; the test images choose nothing"
    return Misfit("needs-validation", message, hint, field)
