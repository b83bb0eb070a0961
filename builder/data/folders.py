"""Pictures in folders: `train/<class>/` and `test/<class>/`, read by several threads."""

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from builder.data.choosing import evenly
from builder.data.pictures import ENDINGS, read_picture
from builder.data.places import listing
from builder.data.stored import Labelled
from builder.exits import DataError, UsageError, say, stop_if_asked
from builder.problems import both, either, printable, shown_path
from builder.recipe.datasets import ImageFolder

MAX_THREADS = 16
MANY = 1000  # pictures, whose reading takes so long that it is announced


def folder_images(dataset: ImageFolder, roots: Sequence[Path], *, quiet: bool) -> tuple[Labelled, Labelled]:
    """The training and the test images.

    Raises:
        DataError: a folder is missing or holds too few pictures, or one of them can't be read.
    """
    folder = _find(dataset, roots)
    parts = (("train", dataset.train_size), ("test", dataset.test_size))
    # Both are looked through before the first picture is read.
    train, test = (_chosen(dataset, folder / part, size) for part, size in parts)
    if not quiet and len(train) + len(test) > MANY:
        say(f"reading {len(train) + len(test):,} pictures from {shown_path(folder)}")
    return _read(dataset, train), _read(dataset, test)


def _find(dataset: ImageFolder, roots: Sequence[Path]) -> Path:
    """The first folder of the path that there is: below the data directories, or in the working directory."""
    path = Path(os.path.expanduser(dataset.path))  # noqa: PTH111  # the method raises without a home
    places = list(dict.fromkeys([*(root / path for root in roots), path]))
    for place in places:
        if os.path.isdir(place):  # noqa: PTH112  # the method raises where a folder can't be entered
            return place
    where = either([shown_path(place) for place in places])
    raise DataError(f"there is no folder {where}; `path` of image_folder names what holds `train` and `test`")


def _chosen(dataset: ImageFolder, folder: Path, size: int | None) -> list[tuple[Path, int]]:
    """The pictures below the folder that are used, each with its label, in the order of classes and names."""
    _check_classes(dataset, folder)
    pictures = [
        (folder / name / file, label) for label, name in enumerate(dataset.classes) for file in _pictures(folder / name)
    ]
    if size is None:
        return pictures
    if size > len(pictures):
        shown = shown_path(folder)
        raise DataError(f"`{folder.name}_size` is {size:,}, and {shown} holds {len(pictures):,} pictures")
    return [pictures[position] for position in evenly(torch.tensor([label for _, label in pictures]), size).tolist()]


def _check_classes(dataset: ImageFolder, folder: Path) -> None:
    shown = shown_path(folder)
    found = {name for name in listing(folder) if not name.startswith(".") and (folder / name).is_dir()}
    missing = [name for name in dataset.classes if name not in found]
    if missing:
        there = f"it holds {_some(sorted(found))}" if found else "it holds no folders"
        raise DataError(f"{shown} lacks a folder for {_some(missing)}; {there}, and each class needs one of its name")
    unknown = sorted(found - {*dataset.classes})
    if unknown:
        raise DataError(f"{shown} holds {_some(unknown)}, which `classes` doesn't name; add it there, or move it away")


def _pictures(folder: Path) -> list[str]:
    names = sorted(name for name in listing(folder) if name.lower().endswith(ENDINGS) and not name.startswith("."))
    if not names:
        raise DataError(f"{shown_path(folder)} holds no pictures; they end with {either(ENDINGS)}")
    return names


def _read(dataset: ImageFolder, pictures: Sequence[tuple[Path, int]]) -> Labelled:
    try:
        images = torch.empty(len(pictures), *dataset.image, dtype=torch.uint8)
    except (RuntimeError, MemoryError):
        size = "x".join(str(length) for length in dataset.image)
        many = f"{len(pictures):,} images of {size} don't fit into memory"
        raise DataError(f"{many}; write a smaller `image`, or a `train_size`") from None
    read = partial(_read_one, dataset, images)
    # Around all threads: what each of them says of warnings holds for all, and ends here.
    with warnings.catch_warnings():
        _in_threads(read, [(position, file) for position, (file, _) in enumerate(pictures)])
    return Labelled(images, torch.tensor([label for _, label in pictures]))


def _read_one(dataset: ImageFolder, images: Tensor, item: tuple[int, Path]) -> None:
    position, file = item
    try:
        images[position] = read_picture(file, dataset.image, dataset.kind)
    except UsageError as error:
        raise DataError(str(error)) from None


def _in_threads(read: Callable[[tuple[int, Path]], None], items: Sequence[tuple[int, Path]]) -> None:
    """Read all; the first that fails ends it, and so does a signal."""
    pool = ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1))
    try:
        for _ in pool.map(read, items):
            stop_if_asked()
    finally:
        pool.shutdown(cancel_futures=True)


def _some(names: Sequence[str], most: int = 5) -> str:
    """`a`, `b` and `c`, or the first few and how many more."""
    quoted = [f"`{printable(name)}`" for name in names]
    return both(quoted) if len(quoted) <= most else f"{', '.join(quoted[:most])} and {len(quoted) - most} more"
