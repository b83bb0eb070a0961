"""What every data set is, and what those have in common that lie in files."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from builder.fields import Choice, Integer, Number, OrNull, PerChannel, WordOr, parameter
from builder.kinds import Kind, Misfit, parameters
from builder.layers import Shape
from builder.limits import MAX_IMAGES

FROM_IMAGES = "computed"  # in place of a mean or a deviation
EMBEDDED = ("mnist_sample",)

Means = Annotated[tuple[float, ...] | str, WordOr((FROM_IMAGES,), PerChannel(Number()))]
Deviations = Annotated[tuple[float, ...] | str, WordOr((FROM_IMAGES,), PerChannel(Number(above=0)))]
NumImages = Annotated[int, Integer(1, MAX_IMAGES)]
OptionalNumImages = Annotated[int | None, OrNull(Integer(1, MAX_IMAGES))]

MEAN = "subtracted from the pixels, which lie between 0 and 1; `computed` is the training images' own"
STD = "divides what the mean leaves; `computed` is the training images' own"


@dataclass(frozen=True)
class Symmetries:
    """What an image may go through and still be one that its data set could hold, with the same class."""

    horizontal_flip: bool = True
    vertical_flip: bool = True
    rotation: float = 180.0  # degrees, either way


UPRIGHT = Symmetries(vertical_flip=False, rotation=45.0)  # things as they stand: further, and they lie on their side
CHARACTERS = Symmetries(horizontal_flip=False, vertical_flip=False, rotation=45.0)  # 6 and 9, b and d, N and Z


class Dataset(Kind, family="data set"):
    """Labelled images: how many, how large, of which classes, and how they are scaled before the first layer."""

    keeps_class_under: ClassVar[Symmetries] = Symmetries()  # anything, where nobody knows better

    mean: Means = parameter(MEAN, default=FROM_IMAGES)
    std: Deviations = parameter(STD, default=FROM_IMAGES)
    train_size: OptionalNumImages = parameter(
        "how many training images are used: as many of each class, the first ones", default=None, default_text="all"
    )
    test_size: OptionalNumImages = parameter(
        "how many test images are used, chosen in the same way", default=None, default_text="all"
    )

    @property
    def image(self) -> Shape:
        """(channels, height, width)."""
        raise NotImplementedError

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, in the order of the labels."""
        raise NotImplementedError

    @property
    def num_train_stored(self) -> int | None:
        """Training images there are; None where only a run can count them."""
        raise NotImplementedError

    @property
    def num_test_stored(self) -> int | None:
        raise NotImplementedError

    @property
    def num_train(self) -> int | None:
        """Training images used, those that a recipe keeps apart for validation among them."""
        return self.train_size or self.num_train_stored

    @property
    def num_test(self) -> int | None:
        return self.test_size or self.num_test_stored

    @property
    def fallback_dataset(self) -> "Dataset | None":
        """What is used when this one can't be had."""
        return None

    @classmethod
    def own_normalisation(cls) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """The mean and deviation of all its training images, where they are known without them."""
        default = {field.name: field for field in parameters(cls)}
        mean, std = (default[name].type.canonical(default[name].default) for name in ("mean", "std"))
        return None if FROM_IMAGES in (mean, std) else (mean, std)

    def rules(self) -> Iterator[Misfit]:
        for field in ("mean", "std"):
            written = getattr(self, field)
            if written != FROM_IMAGES and len(written) not in (1, self.image[0]):
                channels = "1 channel" if self.image[0] == 1 else f"{self.image[0]} channels"
                message = f"`{field}` holds {len(written)} numbers, and the images of {self.kind} have {channels}"
                yield Misfit("wrong-length", message, "write one number per channel", field)
        for field, stored in (("train_size", self.num_train_stored), ("test_size", self.num_test_stored)):
            size = getattr(self, field)
            if size and stored and size > stored:
                what = "training" if field == "train_size" else "test"
                message = f"`{field}` is {size:,}, and {self.kind} has {stored:,} {what} images"
                yield Misfit("too-few-images", message, f"write at most {stored}, or leave it out to use all", field)


class FileDataset(Dataset):
    """Images in a few files of known names."""

    folder: ClassVar[str]  # below a data directory, as torchvision lays it out; embedded ones: below `builder`
    is_embedded: ClassVar[bool] = False

    @property
    def num_train_stored(self) -> int:
        raise NotImplementedError

    @property
    def num_test_stored(self) -> int:
        raise NotImplementedError

    @property
    def file_names(self) -> tuple[str, ...]:
        """Of the files as they are read, uncompressed."""
        raise NotImplementedError


@dataclass(frozen=True)
class Remote:
    """Where the files of a data set can be fetched: the same ones from each mirror."""

    mirrors: tuple[str, ...]  # what stands before a file's name
    files: tuple[tuple[str, str], ...]  # a file's name, and its MD5 as its publisher gives it
    is_kept: bool = False  # after unpacking, because more than this data set can be read from it


class Downloadable(FileDataset):
    """What data sets share that don't travel with the project."""

    remote: ClassVar[Remote]

    fallback: Annotated[str | None, OrNull(Choice(EMBEDDED))] = parameter(
        "the embedded data set to use when this one can't be had", default=None, default_text="none"
    )

    @property
    def fallback_dataset(self) -> Dataset | None:
        """The embedded one, scaled as this one and cut to the same numbers of images, as far as it has them."""
        if self.fallback is None:
            return None
        other: Dataset = Dataset.table[self.fallback]()
        sizes = ((self.train_size, other.num_train_stored), (self.test_size, other.num_test_stored))
        train_size, test_size = (size and min(size, stored or size) for size, stored in sizes)
        return type(other)(mean=self.mean, std=self.std, train_size=train_size, test_size=test_size)

    def rules(self) -> Iterator[Misfit]:
        yield from super().rules()
        other = self.fallback_dataset
        if other and (other.image, other.classes) != (self.image, self.classes):
            message = f"{self.kind} can't fall back to {other.kind}, which has other images or classes"
            yield Misfit("wrong-fallback", message, "remove the fallback", "fallback")
