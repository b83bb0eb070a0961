"""CIFAR-10, in the version for other languages than Python: plain bytes, and no pickle."""

from typing import ClassVar

from builder.fields import parameter
from builder.recipe.datasets.base import MEAN, STD, UPRIGHT, Deviations, Downloadable, Means, Remote


class Cifar10(Downloadable, kind="cifar10"):
    """Colour pictures of animals and vehicles: 50,000 training and 10,000 test images of 32x32 (Krizhevsky 2009)."""

    image: ClassVar = (3, 32, 32)
    classes: ClassVar = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    keeps_class_under: ClassVar = UPRIGHT
    num_train_stored: ClassVar = 50_000
    num_test_stored: ClassVar = 10_000
    images_per_file: ClassVar = 10_000
    folder: ClassVar = "cifar-10-batches-bin"  # as the archive names it
    remote: ClassVar = Remote(
        ("https://www.cs.toronto.edu/~kriz/",), (("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),)
    )

    # Over all pixels of the training images, channel by channel.
    mean: Means = parameter(MEAN, default=(0.4914, 0.4822, 0.4465))
    std: Deviations = parameter(STD, default=(0.2470, 0.2435, 0.2616))

    @property
    def file_names(self) -> tuple[str, ...]:
        """The training images in five files, and the test images."""
        return (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
