"""Augmentations against what the images show."""

from collections.abc import Iterator

from builder.lints.base import Finding, RecipeLint
from builder.recipe import Augmentation, Dataset, Recipe
from builder.recipe.augmentations import RandomAffine, RandomHorizontalFlip, RandomRotation, RandomVerticalFlip
from builder.recipe.ranges import most_turned
from builder.spec import Spec


class ClassChangingAugmentation(RecipeLint, code="class-changing-augmentation", severity="warning"):
    """An augmentation is a claim: whatever it does to an image, the class stays what it was, and a test image could
    look like that. Mirrored characters are others (b and d), or none (2, 3, 5), and past 45 degrees a 6 is nearly a 9
    and an N a Z. Garments and vehicles may be mirrored left for right, but none lies on its side or stands on its
    head: the network learns what no test image asks for, with weights that it lacks elsewhere.

    Each data set says which of these it stands. Nothing is said of your own pictures, which may stand them all.

    Effect: a small network on the embedded sample, with small turns, reaches 84.5% if images are also mirrored left for
    right, and 91.7% without; mirrored both ways it reaches 74.7%, turned by up to 180 degrees 52.2%.

    Source: LeCun et al. 1998, Gradient-based learning applied to document recognition, whose distortions of digits are
    translations, scalings, squeezes and shears; `python benchmarks/lint_effects.py`.
    """

    def findings_of(self, recipe: Recipe, spec: Spec) -> Iterator[Finding]:
        for index, augmentation in enumerate(recipe.augmentations):
            found = _what_is_wrong(augmentation, recipe.dataset)
            if found:
                message, hint, field = found
                yield Finding(message, hint, ("training", "augmentations", index, augmentation.kind), field)


def _what_is_wrong(augmentation: Augmentation, dataset: Dataset) -> tuple[str, str, str] | None:
    """Message, hint and parameter."""
    keeps = dataset.keeps_class_under
    if isinstance(augmentation, RandomHorizontalFlip) and not keeps.horizontal_flip:
        return _shows(augmentation, "mirrored", dataset), "remove it", ""
    if isinstance(augmentation, RandomVerticalFlip) and not keeps.vertical_flip:
        return _shows(augmentation, "upside down", dataset), "remove it", ""
    if (
        isinstance(augmentation, RandomRotation | RandomAffine)
        and (degrees := most_turned(augmentation.degrees)) > keeps.rotation
    ):
        turned = f"turned by up to {degrees:g} degrees"
        return _shows(augmentation, turned, dataset), f"write at most {keeps.rotation:g}", "degrees"
    return None


def _shows(augmentation: Augmentation, how: str, dataset: Dataset) -> str:
    return f"`{augmentation.kind}` shows images of {dataset.kind} {how}, as none of its test images is"
