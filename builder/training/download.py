"""Fetching a data set from the mirrors that torchvision knows; the only module that imports torchvision."""

import io
import os
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError, URLError

from builder.exits import DataError, say
from builder.problems import printable
from builder.recipe.datasets import Dataset
from builder.training.idx import FILE_NAMES, IdxError, IdxFile, read_content

CONNECT_SECONDS = 10.0

# What a mirror can do wrong. torchvision's checksum gives a RuntimeError. Any other OSError is of this machine's disk.
_MIRROR_ERRORS = (URLError, TimeoutError, ConnectionError, ssl.SSLError, HTTPException, RuntimeError, ValueError)

# How a torchvision that doesn't fit this torch fails: `operator torchvision::nms does not exist` is a RuntimeError.
_IMPORT_ERRORS = (ImportError, RuntimeError, AttributeError, OSError)


class UnavailableError(Exception):
    """The data set can't be had from anywhere; the text says why, as the part of a sentence."""


def download(dataset: Dataset, goal: Path, *, quiet: bool = False) -> None:
    """Fetch, verify and unpack the four files of `dataset` into the folder `goal`.

    They appear there all at once, so that a run that is killed, or a second one at the same time, never leaves or
    meets a part of them. Raises UnavailableError when no mirror gives them, DataError when `goal` can't be written.
    """
    try:
        source = dataset.source()
    except _IMPORT_ERRORS as error:
        raise UnavailableError(f"torchvision, which knows the mirrors, can't be imported ({_line(error)})") from None
    with _workshop(goal) as folder:
        if not quiet:
            say(f"downloading {dataset.kind} to {printable(str(goal))}")
        _fetch(source, folder, show_bars=not quiet and sys.stderr.isatty())
        _publish(_unpack(dataset, folder), goal)


@contextmanager
def _workshop(goal: Path) -> Iterator[Path]:
    """A temporary folder beside `goal`. If nothing comes of it, the folders made on the way to it go too."""
    # Not `Path.exists`, which raises where a folder can't be entered.
    made = [folder for folder in goal.parents if not os.path.exists(folder)]  # noqa: PTH110
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".download-", dir=goal.parent) as folder:
            yield Path(folder)
    except OSError as error:
        reason = f"{printable(str(goal))} can't be written ({error.strerror or error})"
        raise DataError(f"{reason}; --data-dir names another folder for the download") from None
    finally:
        for empty in made:
            with suppress(OSError):
                empty.rmdir()


def _fetch(source: Any, folder: Path, *, show_bars: bool) -> None:
    """The four `.gz` files; where one mirror fails, the next one goes on."""
    from torchvision.datasets.utils import download_url

    missing = list(source.resources)
    reasons = []
    with _timeout(CONNECT_SECONDS), _bars(show_bars):
        for mirror in source.mirrors:
            try:
                while missing:
                    name, md5 = missing[0]
                    download_url(f"{mirror}{name}", str(folder), filename=name, md5=md5)
                    missing.pop(0)
                return
            except _MIRROR_ERRORS as error:
                reasons.append(f"{mirror}{name}: {printable(_why(error))}")
    raise UnavailableError(f"no mirror has them ({'; '.join(reasons)})")


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """For every socket that is opened meanwhile: torchvision has no parameter for it."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def _bars(shown: bool) -> Iterator[None]:
    """torchvision draws a bar for each file wherever standard error leads."""
    if shown:
        yield
    else:
        with redirect_stderr(io.StringIO()):
            yield


def _why(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"status {error.code}"
    if isinstance(error, URLError):
        return str(error.reason)
    if type(error) is RuntimeError:
        return "what came is another file, by its MD5"
    return _line(error)


def _line(error: Exception) -> str:
    """The first line of an error's text, or its type if it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _unpack(dataset: Dataset, folder: Path) -> Path:
    """A folder with the four files, uncompressed: they load faster so, and torchvision finds them too."""
    unpacked = folder / "raw"
    unpacked.mkdir()
    for name in FILE_NAMES:
        try:
            content = read_content(folder / f"{name}.gz", IdxFile(type(dataset), name))
        except IdxError as error:
            raise UnavailableError(f"what the mirrors have is wrong ({name} {error})") from None
        (unpacked / name).write_bytes(content)
    return unpacked


def _publish(unpacked: Path, goal: Path) -> None:
    try:
        unpacked.rename(goal)  # all four in one step
    except OSError:
        # The folder is there: with other things in it, or because another run was faster. Then the same files again.
        for file in unpacked.iterdir():
            file.replace(goal / file.name)
