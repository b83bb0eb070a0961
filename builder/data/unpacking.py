"""From the files of a mirror to those that are read: only what is known by name, and no larger than it must be."""

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from typing import IO

from builder.data.reading import read_content
from builder.data.stored import WrongFileError
from builder.recipe.datasets import Downloadable

MAX_MEMBER_BYTES = 1_000_000_000  # the largest, in EMNIST, has 547 million


class UnpackingError(Exception):
    """What has been fetched is not what it must be."""


def unpack(dataset: Downloadable, archives: Sequence[Path], folder: Path) -> Path:
    """A new folder in `folder` with the files of `dataset`, verified and uncompressed: they load faster so, and
    torchvision finds them too.

    Raises UnpackingError.
    """
    files = {archive.name: archive for archive in archives}
    for archive in archives:
        files |= _taken_out(dataset, archive, folder)
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    for name in dataset.file_names:
        file = files.get(name) or files.get(f"{name}.gz")
        if file is None:
            raise UnpackingError(f"it has no {name}")
        try:
            content = read_content(dataset, name, file)
        except WrongFileError as error:
            raise UnpackingError(f"{name} {error}") from None
        (unpacked / name).write_bytes(content)
    return unpacked


def _taken_out(dataset: Downloadable, archive: Path, folder: Path) -> dict[str, Path]:
    """The files of the data set that a ZIP or tar archive holds, whatever folders they lie in there, put into `folder`.

    A gzipped file is none, and is read as it is.
    """
    wanted = {name + ending for name in dataset.file_names for ending in ("", ".gz")}
    taken = {}
    try:
        for path, num_bytes, opened in _members(archive):
            name = PurePosixPath(path).name
            if name not in wanted:
                continue
            if num_bytes > MAX_MEMBER_BYTES:
                raise UnpackingError(f"its {name} has {num_bytes:,} bytes")
            with opened() as source, (folder / name).open("wb") as target:
                copyfileobj(source, target)
            taken[name] = folder / name
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise UnpackingError(f"{archive.name} can't be unpacked: {error}") from None
    return taken


def _members(archive: Path) -> Iterator[tuple[str, int, Callable[[], IO[bytes]]]]:
    """The path, the size and the opening of each file in an archive, one after another; links are none."""
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped:
            for packed in zipped.infolist():
                yield packed.filename, packed.file_size, partial(zipped.open, packed)
    elif archive.name.endswith(".tar.gz"):
        with tarfile.open(archive) as tarred:
            for member in tarred:
                if member.isfile():
                    yield member.name, member.size, partial(_opened, tarred, member)


def _opened(tarred: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = tarred.extractfile(member)
    assert stream is not None  # it is a file
    return stream
