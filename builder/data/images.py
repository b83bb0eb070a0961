"""The images of a data set: found or fetched, verified at every load, and kept on the device from the start."""

import hashlib
from collections.abc import Callable
from ctypes import c_char
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import torch
from torch import Tensor

from builder.data.choosing import evenly, kept_apart
from builder.data.download import UnavailableError, download, unpack_archive
from builder.data.places import (
    Place,
    data_roots,
    find,
    find_archive,
    missing_files,
    own_folder,
    repair,
    substitute,
    ways_to_have,
)
from builder.data.reading import images_of, read_content
from builder.data.scaling import mean_and_std
from builder.data.stored import Labelled, WrongFileError
from builder.data.synthetic import synthetic_images
from builder.exits import DataError
from builder.problems import either, shown_path
from builder.recipe import Dataset, Validation
from builder.recipe.datasets import Downloadable, FileDataset, ImageFolder, Synthetic
from builder.requirements import require_pillow


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images on a device, and how they are scaled on their way into the network."""

    images: Tensor  # uint8 (n, channels, height, width)
    labels: Tensor  # int64 (n,)
    mean: Tensor  # float32 (channels, 1, 1), or (1, 1, 1) for all channels
    std: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Normalised images, float32 (n, channels, height, width), and their labels, int64 (n,).

        `index` holds int64 positions on the images' device, or is a slice. The numbers are, on a CPU to the last bit,
        those of torchvision's `ToTensor` and `Normalize`.
        """
        labels = self.labels[index] if isinstance(index, slice) else self.labels.index_select(0, index)
        return self.normalised(self.pixels(index)), labels

    def pixels(self, index: Tensor | slice) -> Tensor:
        """The images as float32 from 0 to 1, (n, channels, height, width), in memory of their own."""
        # On a CPU `index_select` is four times as fast as `images[index]`: it copies whole images.
        images = self.images[index] if isinstance(index, slice) else self.images.index_select(0, index)
        return images.to(torch.float32).div_(255)

    def normalised(self, pixels: Tensor) -> Tensor:
        """(pixels - mean) / std, written over the pixels."""
        return pixels.sub_(self.mean).div_(self.std)


@dataclass(frozen=True, eq=False)
class Data:
    """What a run trains and tests on."""

    dataset: Dataset  # the one really used, with the mean and std of the one written
    train: Images
    test: Images
    validation: Images | None = None  # images of the training set that `train` lacks
    fallback_reason: str = ""  # why it isn't the one written

    @property
    def device(self) -> torch.device:
        return self.train.labels.device

    @property
    def fallback_used(self) -> bool:
        return bool(self.fallback_reason)

    @cached_property
    def digest(self) -> str:
        """Tells other images from these: the SHA-256 of the pixels and labels of all three parts."""
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            for tensor in (part.images, part.labels) if part else ():
                on_cpu = tensor.cpu().contiguous()
                digest.update(repr(tuple(tensor.shape)).encode())
                # Its memory as it is: numpy, through which torch shows it, need not be there.
                digest.update((c_char * on_cpu.nbytes).from_address(on_cpu.data_ptr()))
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Found:
    """All images of a data set, on the CPU."""

    dataset: Dataset  # the one written, or its fallback
    train: Labelled
    test: Labelled
    fallback_reason: str = ""


def load_data(
    dataset: Dataset,
    *,
    validation: Validation | None = None,
    data_dir: Path | None,
    offline: bool,
    device: torch.device,
    quiet: bool = False,
    may_write: bool = True,
    may_fall_back: bool = True,
    check_size: Callable[[Dataset, int], None] = lambda dataset, num_train: None,
) -> Data:
    """The images of `dataset`, or of its fallback if it can't be had.

    Files are looked for under `data_dir`, `$MNIST_DIR` and `data`, then downloaded to the first of these.

    Args:
        dataset: the one to look for.
        validation: which training images are kept apart.
        data_dir: the first of the folders; None if nobody named one.
        offline: nothing is downloaded, because of `--offline`.
        device: where the images are put.
        quiet: what takes long isn't announced.
        may_write: False if nothing is downloaded or unpacked, because of `--dry-run`.
        may_fall_back: False if only `dataset` itself will do.
        check_size: is told the data set really used and how many of its images are left to train on, which is less than
            1 if `validation` takes them all, and raises what is wrong with that. Rules of the recipe see to it where
            the number is known without the images.

    Raises:
        DataError: files are damaged, or can't be had and there is no fallback.
    """
    found = _found(dataset, data_roots(data_dir), _Allowed(not offline, may_write, may_fall_back), quiet=quiet)
    used = found.dataset
    train, test = _subset(found.train, used.train_size), _subset(found.test, used.test_size)
    check_size(used, len(train) - (validation.size if validation else 0))
    apart = None
    if validation:
        positions, positions_apart = kept_apart(len(train), validation)
        train, apart = train.at(positions), train.at(positions_apart)
    mean, std = (numbers.to(device) for numbers in mean_and_std(used, train.images))

    def on_device(part: Labelled) -> Images:
        return Images(part.images.to(device), part.labels.to(device), mean, std)

    validation_images = None if apart is None else on_device(apart)
    return Data(used, on_device(train), on_device(test), validation_images, found.fallback_reason)


def _subset(part: Labelled, size: int | None) -> Labelled:
    return part if size is None or size >= len(part) else part.at(evenly(part.labels, size))


@dataclass(frozen=True)
class _Allowed:
    """What may be done to have a data set."""

    download: bool
    write: bool
    fall_back: bool


def _found(dataset: Dataset, roots: list[Path], allowed: _Allowed, *, quiet: bool) -> Found:
    if isinstance(dataset, Synthetic):
        return Found(dataset, *synthetic_images(dataset))
    if isinstance(dataset, ImageFolder):
        require_pillow()
        from builder.data.folders import folder_images  # without pillow it can't be imported

        return Found(dataset, *folder_images(dataset, roots, quiet=quiet))
    assert isinstance(dataset, FileDataset)  # there are no others
    if dataset.is_embedded:
        return _embedded(dataset)
    place = find(dataset, roots)
    if place is None:
        assert isinstance(dataset, Downloadable)  # all that are not embedded
        goal = own_folder(dataset, roots[0])
        try:
            _fetch(dataset, roots, goal, allowed, quiet=quiet)
        except UnavailableError as error:
            where = either([shown_path(root) for root in roots])
            reason = f"no file of {dataset.kind} lies under {where}, and {error}"
            return _fallback(dataset, reason, goal, allowed)
        place = Place(roots[0], goal, {name: goal / name for name in dataset.file_names})
    return _local(dataset, place)


def _fetch(dataset: Downloadable, roots: list[Path], goal: Path, allowed: _Allowed, *, quiet: bool) -> None:
    """Bring the files into the folder `goal`: from an archive that lies there, or from a mirror."""
    archive = find_archive(dataset, roots)
    if archive and not allowed.write:
        raise UnavailableError(f"--dry-run doesn't unpack {shown_path(archive)}")
    if archive:
        unpack_archive(dataset, archive, goal)
    elif not allowed.download:
        raise UnavailableError("--offline forbids the download")
    elif not allowed.write:
        raise UnavailableError("--dry-run downloads nothing")
    else:
        download(dataset, goal, quiet=quiet)


def _fallback(dataset: Downloadable, reason: str, goal: Path, allowed: _Allowed) -> Found:
    if not allowed.fall_back:
        raise DataError(f"{reason}; {ways_to_have(dataset, goal)}")
    other = dataset.fallback_dataset
    if other is None:
        raise DataError(f"{reason}; {ways_to_have(dataset, goal)}, or {substitute(dataset)}")
    assert isinstance(other, FileDataset)  # it is embedded
    found = _embedded(other)
    return Found(other, found.train, found.test, reason)


def _local(dataset: FileDataset, place: Place) -> Found:
    incomplete = missing_files(dataset, place)
    if incomplete:
        raise incomplete
    contents = {}
    for name in dataset.file_names:
        file = place.files[name]
        try:
            contents[name] = read_content(dataset, name, file)
        except WrongFileError as error:
            raise DataError(f"{shown_path(file)} {error}; {repair(dataset, place, file)}") from None
    return Found(dataset, *images_of(dataset, contents))


def _embedded(dataset: FileDataset) -> Found:
    contents = {}
    for name in dataset.file_names:
        file: Traversable = resources.files("builder") / dataset.folder / f"{name}.gz"
        try:
            contents[name] = read_content(dataset, name, file)
        except WrongFileError as error:
            raise DataError(f"{file.name} of the embedded {dataset.kind} {error}; install yamlnet again") from None
    return Found(dataset, *images_of(dataset, contents))
