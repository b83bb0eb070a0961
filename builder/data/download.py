"""Fetching a data set from its mirrors, or from the one that `$YAMLNET_MIRROR` names."""

import hashlib
import os
import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from time import monotonic, time
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from builder.data.unpacking import UnpackingError, unpack
from builder.exits import DataError, UsageError, say
from builder.problems import printable, shown_path
from builder.recipe.datasets import Downloadable
from builder.version import __version__

CONNECT_SECONDS = 10.0  # without a byte
PATIENCE_SECONDS = 30.0  # before a mirror's speed is judged
MIN_BYTES_PER_SECOND = 1000
MAX_BYTES = 1_000_000_000  # of a file; the largest has 562 million
CHUNK_BYTES = 1 << 16
STALE_SECONDS = 24 * 3600  # after which what a killed download left is swept

_PREFIX = ".download-"


class UnavailableError(Exception):
    """The data set can't be had from anywhere; the text says why, as the part of a sentence."""


class MirrorError(Exception):
    """A mirror doesn't give what it should."""


def download(dataset: Downloadable, goal: Path, *, quiet: bool = False) -> None:
    """Fetch, verify and unpack the files of `dataset` into the folder `goal`.

    They appear there all at once, so that a run that is killed, or a second one at the same time, never leaves or
    meets a part of them. Raises UnavailableError when no mirror gives them, DataError when `goal` can't be written.
    """
    mirrors = _mirrors(dataset)
    with _workshop(goal) as folder:
        if not quiet:
            say(f"downloading {dataset.kind} to {shown_path(goal)}")
        _fetch(dataset, mirrors, folder, show_bars=not quiet and sys.stderr.isatty())
        try:
            archives = [folder / name for name, _ in dataset.remote.files]
            unpacked = unpack(dataset, archives, folder)
        except UnpackingError as error:
            raise UnavailableError(f"what the mirrors have is wrong ({error})") from None
        if dataset.remote.is_kept:
            for archive in archives:
                archive.rename(unpacked / archive.name)
        _publish(unpacked, goal)


def unpack_archive(dataset: Downloadable, archive: Path, goal: Path) -> None:
    """Verify an archive that lies somewhere already, and unpack it into the folder `goal`.

    Raises:
        DataError: it is damaged, or `goal` can't be written.
    """
    ((_, md5),) = dataset.remote.files
    shown = shown_path(archive)
    try:
        with archive.open("rb") as stream:
            found = hashlib.file_digest(stream, _md5).hexdigest()
    except OSError as error:
        raise DataError(f"{shown} can't be read ({error.strerror})") from None
    if found != md5:
        raise DataError(f"{shown} is damaged: its MD5 is {found}, where {md5} is right; replace or remove it")
    with _workshop(goal) as folder:
        try:
            _publish(unpack(dataset, [archive], folder), goal)
        except UnpackingError as error:
            raise DataError(f"{shown} is not what it should be ({error}); replace or remove it") from None


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)


def _mirrors(dataset: Downloadable) -> Sequence[str]:
    """What stands before the names of the files: the publisher's mirrors, or the only one that somebody wants."""
    own = os.environ.get("YAMLNET_MIRROR")
    if not own:
        return dataset.remote.mirrors
    if not own.startswith(("http://", "https://")):
        raise UsageError(f"$YAMLNET_MIRROR is {printable(own)}, and has to begin with http:// or https://")
    return [f"{own.rstrip('/')}/{dataset.kind}/"]


@contextmanager
def _workshop(goal: Path) -> Iterator[Path]:
    """A temporary folder beside `goal`. If nothing comes of it, the folders made on the way to it go too."""
    # Not `Path.exists`, which raises where a folder can't be entered.
    made = [folder for folder in goal.parents if not os.path.exists(folder)]  # noqa: PTH110
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        _sweep(goal.parent)
        with TemporaryDirectory(prefix=_PREFIX, dir=goal.parent) as folder:
            yield Path(folder)
    except OSError as error:
        reason = f"{shown_path(goal)} can't be written ({error.strerror or error})"
        raise DataError(f"{reason}; --data-dir names another folder for the download") from None
    finally:
        for empty in made:
            with suppress(OSError):
                empty.rmdir()


def _sweep(folder: Path) -> None:
    """Remove what downloads left that were killed; not what another run, here or elsewhere, may be at."""
    for left in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time() - left.stat().st_mtime > STALE_SECONDS:
                rmtree(left, ignore_errors=True)


def _fetch(dataset: Downloadable, mirrors: Sequence[str], folder: Path, *, show_bars: bool) -> None:
    """All files; where one mirror fails, the next one goes on."""
    missing = list(dataset.remote.files)
    reasons = []
    for mirror in mirrors:
        try:
            while missing:
                name, md5 = missing[0]
                _fetch_file(f"{mirror}{name}", folder / name, md5, show_bars)
                missing.pop(0)
            return
        except MirrorError as error:
            reasons.append(f"{printable(mirror)}{name}: {printable(str(error))}")
    raise UnavailableError(f"no mirror has them ({'; '.join(reasons)})")


def _fetch_file(url: str, target: Path, md5: str, show_bar: bool) -> None:
    digest = _md5()
    start = b""
    with target.open("wb") as file, tqdm(unit="B", unit_scale=True, desc=target.name, disable=not show_bar) as bar:
        for part, bar.total in _parts(url):
            file.write(part)
            digest.update(part)
            bar.update(len(part))
            start = start or part
    if digest.hexdigest() == md5:
        return
    is_page = start.lstrip()[:1] == b"<"
    raise MirrorError("a web page came in its place" if is_page else "what came is another file, by its MD5")


def _parts(url: str) -> Iterator[tuple[bytes, int | None]]:
    """The body of the answer, part by part, each with the length that is announced for the whole.

    Only what the network does is caught here, and not what is done with it. Raises MirrorError.
    """
    request = Request(url, headers={"User-Agent": f"yamlnet/{__version__}"})  # noqa: S310  # the scheme is http(s)
    started = monotonic()
    try:
        with urlopen(request, timeout=CONNECT_SECONDS) as response:  # noqa: S310
            yield from _watched(response, started)
    except HTTPError as error:
        raise MirrorError(f"status {error.code}") from None
    except URLError as error:
        raise MirrorError(str(error.reason)) from None
    except (TimeoutError, ConnectionError, ssl.SSLError, HTTPException, ValueError) as error:
        raise MirrorError(next(iter(str(error).splitlines()), type(error).__name__)) from None


def _watched(response: HTTPResponse, started: float) -> Iterator[tuple[bytes, int | None]]:
    announced, received = response.length, 0
    while part := response.read1(CHUNK_BYTES):
        received += len(part)
        seconds = monotonic() - started
        if received > MAX_BYTES:
            raise MirrorError(f"more than {MAX_BYTES:,} bytes came")
        if seconds > PATIENCE_SECONDS and received < seconds * MIN_BYTES_PER_SECOND:
            raise MirrorError(f"too slow: {received:,} bytes in {seconds:.0f} seconds")
        yield part, announced
    if announced is not None and received < announced:
        raise MirrorError(f"it broke off after {received:,} of {announced:,} bytes")


def _publish(unpacked: Path, goal: Path) -> None:
    try:
        unpacked.rename(goal)  # all files in one step
    except OSError:
        # The folder is there: with other things in it, or because another run was faster. Then the same files again.
        for file in unpacked.iterdir():
            file.replace(goal / file.name)
