"""A part of the training images that training doesn't see: what early stopping and other choices look at."""

from typing import Annotated

from builder.fields import Integer, parameter
from builder.kinds import Kind
from builder.limits import MAX_IMAGES, MAX_SEED


class Validation(Kind):
    """Training images that are kept apart, to choose by: the test images choose nothing."""

    size: Annotated[int, Integer(1, MAX_IMAGES)] = parameter(
        "how many of the training images: the last ones of their permutation by `seed`, such as 5000"
    )
    seed: Annotated[int, Integer(0, MAX_SEED)] = parameter(
        "which ones are drawn; the seed of the run plays no part, so that runs with other seeds compare", default=0
    )
