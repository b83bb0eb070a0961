"""The images of a data set: found or fetched, verified at every load, and kept on the device from the start."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor

from builder.exits import DataError
from builder.problems import either, printable
from builder.recipe.datasets import EMBEDDED, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, Dataset
from builder.training.download import UnavailableError, download
from builder.training.idx import FILE_NAMES, IdxError, IdxFile, read_tensor

DEFAULT_ROOT = Path("data")


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
        if isinstance(index, slice):
            images, labels = self.images[index], self.labels[index]
        else:
            # On a CPU four times as fast as `images[index]`: it copies whole images.
            images, labels = self.images.index_select(0, index), self.labels.index_select(0, index)
        return images.to(torch.float32).div_(255).sub_(self.mean).div_(self.std), labels


@dataclass(frozen=True, eq=False)
class Data:
    """What a run trains and tests on."""

    dataset: Dataset  # the one really used, with the mean and std of the one written
    train: Images
    test: Images
    fallback_reason: str = ""  # why it isn't the one written

    @property
    def device(self) -> torch.device:
        return self.train.labels.device

    @property
    def fallback_used(self) -> bool:
        return bool(self.fallback_reason)


def load_data(
    dataset: Dataset, *, data_dir: Path | None, offline: bool, device: torch.device, quiet: bool = False
) -> Data:
    """The images of `dataset`, or of its fallback if it can't be had.

    Looked for under `data_dir`, `$MNIST_DIR` and `data`, then downloaded to the first of these, unless `offline`.
    Raises DataError if files are damaged, or if they can't be had and there is no fallback.
    """
    if dataset.is_embedded:
        return _embedded(dataset, device)
    roots = _roots(data_dir)
    place = _find(dataset, roots)
    if place is not None:
        return _local(dataset, place, device)
    goal = _own_folder(dataset, roots[0])
    try:
        if offline:
            raise UnavailableError("--offline forbids the download")
        download(dataset, goal, quiet=quiet)
    except UnavailableError as error:
        reason = f"no file of {dataset.kind} lies under {either([_shown(root) for root in roots])}, and {error}"
        if dataset.embedded_fallback is None:
            raise DataError(f"{reason}; {_ways_out(dataset, goal)}") from None
        fallback = Dataset.table[dataset.embedded_fallback](mean=dataset.mean, std=dataset.std)
        return _embedded(fallback, device, fallback_reason=reason)
    return _local(dataset, Place(roots[0], goal, {name: goal / name for name in FILE_NAMES}), device)


@dataclass(frozen=True)
class Place:
    """A folder that holds files of a data set, or seems to."""

    root: Path  # the data directory
    folder: Path
    files: Mapping[str, Path]  # by their plain names


def _own_folder(dataset: Dataset, root: Path) -> Path:
    """The folder that is looked at first, and where no other data set has its files: torchvision's layout."""
    return root / dataset.folder / "raw"


def _roots(data_dir: Path | None) -> list[Path]:
    """The data directories, in the order of their precedence."""
    roots = []
    for option, value in (("--data-dir", data_dir), ("$MNIST_DIR", os.environ.get("MNIST_DIR"))):
        if value:
            # Not the methods of Path, which raise without a home, or where a folder can't be entered.
            root = Path(os.path.expanduser(value))  # noqa: PTH111
            if os.path.exists(root) and not os.path.isdir(root):  # noqa: PTH110, PTH112
                raise DataError(f"{_shown(root)} is not a directory; {option} names a directory that holds data sets")
            roots.append(root)
    return list(dict.fromkeys([*roots, DEFAULT_ROOT]))


def _find(dataset: Dataset, roots: list[Path]) -> Place | None:
    """The first place that holds any of the four files: torchvision's layout, or the bare files."""
    for root in roots:
        for folder in (_own_folder(dataset, root), root / "raw", root):
            present = _listing(folder)
            # Of a plain file and a gzipped one the last wins: the plain one, which is faster to read.
            candidates = [(name, file) for name in FILE_NAMES for file in (f"{name}.gz", name) if file in present]
            if candidates:
                return Place(root, folder, {name: folder / file for name, file in candidates})
    return None


def _listing(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        # What can't be seen may be there, and nothing may take its place.
        raise DataError(f"{_shown(folder)} can't be read ({error.strerror}); make it readable") from None


def _local(dataset: Dataset, place: Place, device: torch.device) -> Data:
    missing = [name for name in FILE_NAMES if name not in place.files]
    if missing:
        what = f"{_shown(place.folder)} holds files of {dataset.kind}, but not {_all(missing)}"
        raise DataError(f"{what}; add what is missing, or remove the others to have all four downloaded")
    tensors = {}
    for name in FILE_NAMES:
        file = place.files[name]
        try:
            tensors[name] = read_tensor(file, IdxFile(type(dataset), name))
        except IdxError as error:
            raise DataError(f"{_shown(file)} {error}; {_repair(dataset, place, file)}") from None
    return _data(dataset, tensors, device)


def _embedded(dataset: Dataset, device: torch.device, fallback_reason: str = "") -> Data:
    tensors = {}
    for name in FILE_NAMES:
        file = resources.files("builder") / dataset.folder / f"{name}.gz"
        try:
            tensors[name] = read_tensor(file, IdxFile(type(dataset), name))
        except IdxError as error:
            raise DataError(f"{file.name} of the embedded {dataset.kind} {error}; install yamlnet again") from None
    return _data(dataset, tensors, device, fallback_reason)


def _data(dataset: Dataset, tensors: Mapping[str, Tensor], device: torch.device, fallback_reason: str = "") -> Data:
    mean, std = (torch.tensor(numbers, device=device).view(-1, 1, 1) for numbers in (dataset.mean, dataset.std))

    def images(pixels: str, labels: str) -> Images:
        return Images(
            images=tensors[pixels].view(-1, *dataset.image).to(device),
            labels=tensors[labels].to(device, torch.int64),
            mean=mean,
            std=std,
        )

    return Data(dataset, images(TRAIN_IMAGES, TRAIN_LABELS), images(TEST_IMAGES, TEST_LABELS), fallback_reason)


def _ways_out(dataset: Dataset, goal: Path) -> str:
    """What somebody can do who has no network."""
    ways = f"put {_all(FILE_NAMES)}, plain or as .gz, into {_shown(goal)}"
    for kind in EMBEDDED:
        if (Dataset.table[kind].image, Dataset.table[kind].classes) == (dataset.image, dataset.classes):
            ways += f", or let the spec say `{dataset.kind}: {{fallback: {kind}}}`"
    return ways


def _repair(dataset: Dataset, place: Place, file: Path) -> str:
    """What somebody can do about a damaged file."""
    gzipped = file.with_name(f"{file.name}.gz")
    if os.path.isfile(gzipped):  # noqa: PTH113 - as above
        return f"remove it, and {gzipped.name} beside it is read instead"
    own_folder = _own_folder(dataset, place.root)
    if place.folder != own_folder:
        return f"replace it, or put the files of {dataset.kind} into {_shown(own_folder)}, which is looked at first"
    return "replace it, or remove the files of all four names to have them downloaded"


def _all(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _shown(path: Path) -> str:
    return printable(str(path))
