"""Data sets. What a network must fit (image size, classes, counts) is known here without any file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from builder.fields import Choice, Deviations, Means, OrNull, parameter
from builder.kinds import Kind, Misfit
from builder.layers import Shape

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

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"

EMBEDDED = ("mnist_sample",)


@dataclass(frozen=True, kw_only=True)
class Dataset(Kind, family="data set"):
    """Labelled images: how many, how large, of which classes, and how they are scaled before the first layer."""

    image: ClassVar[Shape]
    classes: ClassVar[tuple[str, ...]]
    num_train: ClassVar[int]
    num_test: ClassVar[int]
    folder: ClassVar[str]  # below a data directory, as torchvision lays it out; embedded ones: below `builder`
    sha256: ClassVar[Mapping[str, str]]  # of the uncompressed IDX files
    is_embedded: ClassVar[bool] = False

    mean: Means = parameter("subtracted from the pixels, which lie between 0 and 1")
    std: Deviations = parameter("divides what the mean leaves")

    @property
    def embedded_fallback(self) -> str | None:
        """The embedded data set to use when this one can't be had."""
        return None

    def rules(self) -> Iterator[Misfit]:
        for field in ("mean", "std"):
            found = len(getattr(self, field))
            if found not in (1, self.image[0]):
                message = f"`{field}` holds {found} numbers, and the images of {self.kind} have {self.image[0]} channel"
                yield Misfit("wrong-length", message, "write one number per channel", field)

    def source(self) -> Any:
        """The torchvision class that knows the mirrors; torchvision ships no types."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Downloadable(Dataset):
    """What data sets share that don't travel with the project."""

    fallback: Annotated[str | None, OrNull(Choice(EMBEDDED))] = parameter(
        "the embedded data set to use when this one can't be had", default=None, default_text="none"
    )

    @property
    def embedded_fallback(self) -> str | None:
        return self.fallback

    def rules(self) -> Iterator[Misfit]:
        yield from super().rules()
        if self.fallback is None:
            return
        other = Dataset.table[self.fallback]
        if (other.image, other.classes) != (self.image, self.classes):
            message = f"{self.kind} can't fall back to {self.fallback}, which has other images or classes"
            yield Misfit("wrong-fallback", message, "remove the fallback", "fallback")


@dataclass(frozen=True, kw_only=True)
class Mnist(Downloadable, kind="mnist"):
    """Handwritten digits: 60,000 training and 10,000 test images of 28x28 (LeCun, Cortes & Burges)."""

    image: ClassVar = (1, 28, 28)
    classes: ClassVar = DIGITS
    num_train: ClassVar = 60_000
    num_test: ClassVar = 10_000
    folder: ClassVar = "MNIST"
    sha256: ClassVar = MappingProxyType(
        {
            TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        }
    )

    mean: Means = parameter("subtracted from the pixels, which lie between 0 and 1", default=0.1307)
    std: Deviations = parameter("divides what the mean leaves", default=0.3081)

    def source(self) -> Any:
        from torchvision.datasets import MNIST

        return MNIST


@dataclass(frozen=True, kw_only=True)
class FashionMnist(Downloadable, kind="fashion_mnist"):
    """Garments, in the format of MNIST: 60,000 training and 10,000 test images of 28x28 (Xiao, Rasul & Vollgraf)."""

    image: ClassVar = (1, 28, 28)
    classes: ClassVar = GARMENTS
    num_train: ClassVar = 60_000
    num_test: ClassVar = 10_000
    folder: ClassVar = "FashionMNIST"
    sha256: ClassVar = MappingProxyType(
        {
            TRAIN_IMAGES: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            TRAIN_LABELS: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            TEST_IMAGES: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            TEST_LABELS: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        }
    )

    mean: Means = parameter("subtracted from the pixels, which lie between 0 and 1", default=0.2860)
    std: Deviations = parameter("divides what the mean leaves", default=0.3530)

    def source(self) -> Any:
        from torchvision.datasets import FashionMNIST

        return FashionMNIST


@dataclass(frozen=True, kw_only=True)
class MnistSample(Dataset, kind="mnist_sample"):
    """A part of MNIST that ships with the project: 5,000 training and 1,000 test images, balanced over the digits."""

    image: ClassVar = (1, 28, 28)
    classes: ClassVar = DIGITS
    num_train: ClassVar = 5_000
    num_test: ClassVar = 1_000
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

    mean: Means = parameter("subtracted from the pixels, which lie between 0 and 1", default=0.1307)
    std: Deviations = parameter("divides what the mean leaves", default=0.3081)
