"""MNIST and the data sets in its format: grey images of 28x28 in IDX files.

Where the files are published, their MD5, and the names of the classes are those that torchvision gives.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, ClassVar

from builder.fields import Choice, parameter
from builder.recipe.datasets.base import (
    CHARACTERS,
    MEAN,
    STD,
    UPRIGHT,
    Deviations,
    Downloadable,
    FileDataset,
    Means,
    Remote,
)

DIGITS = tuple("0123456789")
GARMENTS = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)  # github.com/zalandoresearch/fashion-mnist
HIRAGANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"

# EMNIST: letters that look the same in both cases are one class in the merged splits.
_MERGED = set("cijklmopsuvwxyz")
_CHARACTERS = (*string.digits, *string.ascii_uppercase, *string.ascii_lowercase)
_MERGED_CHARACTERS = tuple(character for character in _CHARACTERS if character not in _MERGED)


def four_files(*md5s: str) -> tuple[tuple[str, str], ...]:
    """The archives of MNIST's four files, with the MD5 of each."""
    names = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    return tuple((f"{name}.gz", md5) for name, md5 in zip(names, md5s, strict=True))


class IdxDataset(FileDataset):
    """Four files in the format of MNIST."""

    sha256: ClassVar[Mapping[str, str]] = MappingProxyType({})  # of the uncompressed files, where they are known
    is_transposed: ClassVar[bool] = False  # the files hold columns where others hold rows

    image: ClassVar = (1, 28, 28)
    keeps_class_under: ClassVar = CHARACTERS

    @property
    def first_label(self) -> int:
        """The label of the first class in the files."""
        return 0

    @property
    def file_names(self) -> tuple[str, ...]:
        """Training images and labels, test images and labels."""
        return (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)


class Mnist(Downloadable, IdxDataset, kind="mnist"):
    """Handwritten digits: 60,000 training and 10,000 test images of 28x28 (LeCun, Cortes & Burges)."""

    classes: ClassVar = DIGITS
    num_train_stored: ClassVar = 60_000
    num_test_stored: ClassVar = 10_000
    folder: ClassVar = "MNIST/raw"
    remote: ClassVar = Remote(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
        four_files(
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    )
    sha256: ClassVar = MappingProxyType(
        {
            TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        }
    )

    mean: Means = parameter(MEAN, default=0.1307)
    std: Deviations = parameter(STD, default=0.3081)


class FashionMnist(Downloadable, IdxDataset, kind="fashion_mnist"):
    """Garments, in the format of MNIST: 60,000 training and 10,000 test images of 28x28 (Xiao, Rasul & Vollgraf)."""

    classes: ClassVar = GARMENTS
    keeps_class_under: ClassVar = UPRIGHT
    num_train_stored: ClassVar = 60_000
    num_test_stored: ClassVar = 10_000
    folder: ClassVar = "FashionMNIST/raw"
    remote: ClassVar = Remote(
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        four_files(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    )
    sha256: ClassVar = MappingProxyType(
        {
            TRAIN_IMAGES: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            TRAIN_LABELS: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            TEST_IMAGES: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            TEST_LABELS: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        }
    )

    mean: Means = parameter(MEAN, default=0.2860)
    std: Deviations = parameter(STD, default=0.3530)


class Kmnist(Downloadable, IdxDataset, kind="kmnist"):
    """Cursive hiragana, in the format of MNIST: 60,000 training and 10,000 test images of 28x28.

    Clanuwat et al. 2018, arXiv:1812.01718.
    """

    classes: ClassVar = HIRAGANA
    num_train_stored: ClassVar = 60_000
    num_test_stored: ClassVar = 10_000
    folder: ClassVar = "KMNIST/raw"
    remote: ClassVar = Remote(
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        four_files(
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
    )


@dataclass(frozen=True)
class EmnistSplit:
    """One of the six ways in which EMNIST is divided, as its files have it."""

    classes: tuple[str, ...]
    num_train: int
    num_test: int
    first_label: int = 0


# Classes as torchvision names them, numbers of images as the files hold them.
EMNIST_SPLITS = {
    "balanced": EmnistSplit(_MERGED_CHARACTERS, 112_800, 18_800),
    "byclass": EmnistSplit(_CHARACTERS, 697_932, 116_323),
    "bymerge": EmnistSplit(_MERGED_CHARACTERS, 697_932, 116_323),
    "digits": EmnistSplit(DIGITS, 240_000, 40_000),
    "letters": EmnistSplit(tuple(string.ascii_lowercase), 124_800, 20_800, first_label=1),
    "mnist": EmnistSplit(DIGITS, 60_000, 10_000),
}


class Emnist(Downloadable, IdxDataset, kind="emnist"):
    """Handwritten digits and letters: 70,000 to 814,255 images of 28x28, in 10 to 62 classes.

    One archive of 535 MB holds all splits, and is kept. Cohen et al. 2017, arXiv:1702.05373.
    """

    folder: ClassVar = "EMNIST/raw"
    is_transposed: ClassVar = True
    remote: ClassVar = Remote(
        ("https://biometrics.nist.gov/cs_links/EMNIST/",),
        (("gzip.zip", "58c8d27c78d21e728a6bc7b3cc06412e"),),
        is_kept=True,
    )

    split: Annotated[str, Choice(tuple(EMNIST_SPLITS))] = parameter(
        "which images: digits and letters in 47 classes of the same size (`balanced`), all there are in 62 classes "
        "(`byclass`) or 47 (`bymerge`), letters only in 26 (`letters`), digits only (`digits`), or as many of them as "
        "MNIST has (`mnist`), such as digits"
    )

    @property
    def _facts(self) -> EmnistSplit:
        return EMNIST_SPLITS[self.split]

    @property
    def classes(self) -> tuple[str, ...]:
        return self._facts.classes

    @property
    def num_train_stored(self) -> int:
        return self._facts.num_train

    @property
    def num_test_stored(self) -> int:
        return self._facts.num_test

    @property
    def first_label(self) -> int:
        return self._facts.first_label

    @property
    def file_names(self) -> tuple[str, ...]:
        parts = ("train-images-idx3", "train-labels-idx1", "test-images-idx3", "test-labels-idx1")
        return tuple(f"emnist-{self.split}-{part}-ubyte" for part in parts)


class MnistSample(IdxDataset, kind="mnist_sample"):
    """A part of MNIST that ships with the project: 5,000 training and 1,000 test images, balanced over the digits."""

    classes: ClassVar = DIGITS
    num_train_stored: ClassVar = 5_000
    num_test_stored: ClassVar = 1_000
    folder: ClassVar = "mnist_sample"
    sha256: ClassVar = MappingProxyType(
        {
            TRAIN_IMAGES: "7f2ea4c9ef8986d097eb015af6e7ac92d0220983040f6bf85e0ebdab34272774",
            TRAIN_LABELS: "3617ddc2f63a55bda5efb0ce7dfbb513cc4680c40a8ecd9a5f3a390475accf08",
            TEST_IMAGES: "08212e895b958225f959f761e33da53e35faa44cebc75e329dcaa7b477fbddc0",
            TEST_LABELS: "a8455fc3bf4f53a12fd7fac83ac10b16241e37d6ab97bdfad5c2ebdffb543bea",
        }
    )
    is_embedded: ClassVar = True

    mean: Means = parameter(MEAN, default=0.1307)
    std: Deviations = parameter(STD, default=0.3081)
