"""Where the files of a data set lie, and what somebody can do if they are missing or damaged."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.exits import DataError
from builder.problems import both, shown_path
from builder.recipe.datasets import EMBEDDED, Dataset, Downloadable, FileDataset

DEFAULT_ROOT = Path("data")


@dataclass(frozen=True)
class Place:
    """A folder that holds files of a data set, or seems to."""

    root: Path  # the data directory
    folder: Path
    files: Mapping[str, Path]  # by their plain names


def data_roots(data_dir: Path | None) -> list[Path]:
    """The data directories, in the order of their precedence: `data_dir`, `$MNIST_DIR` and `data`.

    Raises:
        DataError: one of the first two is no directory.
    """
    roots = []
    for option, value in (("--data-dir", data_dir), ("$MNIST_DIR", os.environ.get("MNIST_DIR"))):
        if value:
            # Not the methods of Path, which raise without a home, or where a folder can't be entered.
            root = Path(os.path.expanduser(value))  # noqa: PTH111
            if os.path.exists(root) and not os.path.isdir(root):  # noqa: PTH110, PTH112
                reason = f"{shown_path(root)} is not a directory"
                raise DataError(f"{reason}; {option} names a directory that holds data sets")
            roots.append(root)
    return list(dict.fromkeys([*roots, DEFAULT_ROOT]))


def own_folder(dataset: FileDataset, root: Path) -> Path:
    """The folder that is looked at first, and where no other data set has its files: torchvision's layout."""
    return root / dataset.folder


def find(dataset: FileDataset, roots: Sequence[Path]) -> Place | None:
    """The first place that holds any of the files: torchvision's layout, or the bare files.

    Raises:
        DataError: it can't be told what is there.
    """
    for root, folder in _folders(dataset, roots):
        present = listing(folder)
        # Of a plain file and a gzipped one the last wins: the plain one, which is faster to read.
        candidates = [(name, file) for name in dataset.file_names for file in (f"{name}.gz", name) if file in present]
        if candidates:
            return Place(root, folder, {name: folder / file for name, file in candidates})
    return None


def find_archive(dataset: Downloadable, roots: Sequence[Path]) -> Path | None:
    """The archive of all the files, where somebody, or a run before, has put it; only for what is published as one."""
    if len(dataset.remote.files) > 1:
        return None
    ((name, _),) = dataset.remote.files
    return next((folder / name for _, folder in _folders(dataset, roots) if name in listing(folder)), None)


def _folders(dataset: FileDataset, roots: Sequence[Path]) -> list[tuple[Path, Path]]:
    """The data directories, each with every folder of it where the files may lie."""
    own = [(root, own_folder(dataset, root)) for root in roots]
    return list(dict.fromkeys(pair for root, it in own for pair in ((root, it), (root, root / it.name), (root, root))))


def listing(folder: Path) -> list[str]:
    """The names in a folder; none if there is no such folder.

    Raises:
        DataError: it can't be read.
    """
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        # What can't be seen may be there, and nothing may take its place.
        raise DataError(f"{shown_path(folder)} can't be read ({error.strerror}); make it readable") from None


def missing_files(dataset: FileDataset, place: Place) -> DataError | None:
    """The error, if the place doesn't hold all the files."""
    missing = [name for name in dataset.file_names if name not in place.files]
    if not missing:
        return None
    what = f"{shown_path(place.folder)} holds files of {dataset.kind}, but not {both(missing)}"
    return DataError(f"{what}; add what is missing, or remove the others to have all of them downloaded")


def ways_to_have(dataset: Downloadable, goal: Path) -> str:
    """How somebody without a network comes to the data set."""
    files = both(dataset.file_names)
    if len(dataset.remote.files) == 1:
        return f"put {dataset.remote.files[0][0]}, or {files}, into {shown_path(goal)}"
    return f"put {files}, plain or as .gz, into {shown_path(goal)}"


def substitute(dataset: Downloadable) -> str:
    """What a spec can say to do without it."""
    for kind in EMBEDDED:
        other: Dataset = Dataset.table[kind]()
        if (other.image, other.classes) == (dataset.image, dataset.classes):
            return f"let the spec say `{dataset.kind}: {{fallback: {kind}}}`"
    made = f"{{synthetic: {{image: {list(dataset.image)}, num_classes: {len(dataset.classes)}}}}}"
    return f"try the network on images made for it: 'training.dataset={made}'"


def repair(dataset: FileDataset, place: Place, file: Path) -> str:
    """What somebody can do about a damaged file."""
    gzipped = file.with_name(f"{file.name}.gz")
    if os.path.isfile(gzipped):  # noqa: PTH113 - as above
        return f"remove it, and {gzipped.name} beside it is read instead"
    own = own_folder(dataset, place.root)
    if place.folder != own:
        return f"replace it, or put the files of {dataset.kind} into {shown_path(own)}, which is looked at first"
    return f"replace it, or remove the files of all {len(dataset.file_names)} names to have them downloaded"
