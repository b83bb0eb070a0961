"""Images that are made and not found, for tests and demonstrations."""

from collections.abc import Iterator
from math import prod
from typing import Annotated

from builder.fields import Integer, parameter
from builder.kinds import Misfit
from builder.limits import MAX_CLASSES, MAX_MADE_PIXELS, MAX_SEED
from builder.recipe.datasets.base import Dataset, NumImages
from builder.recipe.datasets.folders import Image


class Synthetic(Dataset, kind="synthetic"):
    """Images made for the run: a smooth random pattern for each class, moved by a few pixels, in noise.

    They need no file. A small convolutional network gets nineteen of twenty right after a few epochs.
    """

    train_size: NumImages = parameter("how many training images are made, equally many of each class", default=1000)
    test_size: NumImages = parameter("how many test images are made", default=200)
    image: Image = parameter("channels, height and width, such as [3, 32, 32]", default=(1, 28, 28))
    num_classes: Annotated[int, Integer(2, MAX_CLASSES)] = parameter("how many classes", default=10)
    seed: Annotated[int, Integer(0, MAX_SEED)] = parameter(
        "which patterns and which noise; the seed of the run plays no part", default=0
    )

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(str(number) for number in range(self.num_classes))

    @property
    def num_train_stored(self) -> int:
        return self.train_size

    @property
    def num_test_stored(self) -> int:
        return self.test_size

    def rules(self) -> Iterator[Misfit]:
        yield from super().rules()
        num_pixels = (self.train_size + self.test_size + self.num_classes) * prod(self.image)
        if num_pixels > MAX_MADE_PIXELS:
            message = f"the images would have {num_pixels:,} pixels in all, and at most {MAX_MADE_PIXELS:,} are made"
            yield Misfit("too-many-pixels", message, "make fewer or smaller images")
