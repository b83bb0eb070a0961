"""File layers that fail, die, or lose what was not synced: what disks, kernels and power supplies do."""

import errno
import os
import signal
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from io import FileIO
from itertools import compress, product
from pathlib import Path

from builder.runs.storage import Files

MOST_SECONDS = 120
DIED = 99  # the exit status of a process that died at a named point
FULL, BROKEN, FORBIDDEN = errno.ENOSPC, errno.EIO, errno.EACCES


class Quick(Files):
    """Waits for no disk: what a process does that is killed doesn't depend on it."""

    def sync(self, file: FileIO) -> None:
        pass

    def sync_folder(self, folder: Path) -> None:
        folder.stat()  # it has to be there


class Watched(Quick):
    """Tells a test of each operation before it is done."""

    def before(self, operation: str) -> None:
        """What the test does there."""

    def create(self, path: Path) -> FileIO:
        self.before("create")
        return super().create(path)

    def write(self, file: FileIO, content: memoryview) -> None:
        self.before("write")
        super().write(file, content)

    def sync(self, file: FileIO) -> None:
        self.before("sync")
        super().sync(file)

    def rename(self, source: Path, target: Path) -> None:
        self.before("rename")
        super().rename(source, target)

    def make_folder(self, path: Path) -> None:
        self.before("make_folder")
        super().make_folder(path)

    def sync_folder(self, folder: Path) -> None:
        self.before("sync_folder")
        super().sync_folder(folder)

    def read(self, path: Path) -> bytes:
        self.before("read")
        return super().read(path)

    def append(self, path: Path, content: bytes) -> None:
        self.before("append")
        super().append(path, content)

    def truncate(self, path: Path, num_bytes: int) -> None:
        self.before("truncate")
        super().truncate(path, num_bytes)

    def remove(self, path: Path) -> None:
        self.before("remove")
        super().remove(path)


class Recording(Watched):
    """Remembers what was done and which points were reached, in order."""

    def __init__(self) -> None:
        self.operations: list[str] = []
        self.points: list[str] = []

    def before(self, operation: str) -> None:
        self.operations.append(operation)

    def reached(self, point: str) -> None:
        self.points.append(point)


class Failing(Watched):
    """Fails at the n-th operation, from 0, and if it lasts at all that follow."""

    def __init__(self, number: int, error: int, lasts: bool = False) -> None:
        self._left, self._error, self._lasts = number, error, lasts

    def before(self, operation: str) -> None:
        self._left -= 1
        if self._left == -1 or (self._lasts and self._left < -1):
            raise OSError(self._error, os.strerror(self._error))


class Acting(Quick):
    """Does something at the n-th named point that is reached, from 0."""

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self._left, self._act = number, act

    def reached(self, point: str) -> None:
        self._left -= 1
        if self._left == -1:
            self._act()


def dying_at(number: int) -> Acting:
    """Ends the process at the n-th point as a kill does: nothing is cleaned up."""
    return Acting(number, lambda: os._exit(DIED))


class Lying(Quick):
    """A disk that says that all is well, and turns a bit of what it is given."""

    def write(self, file: FileIO, content: memoryview) -> None:
        turned = bytearray(content)
        turned[len(turned) // 2] ^= 1
        super().write(file, memoryview(turned))


def forked(command: Callable[[], int]) -> int:
    """The number of a child process, a fork of this one, which runs the command and ends with its status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn where there are threads
        child = os.fork()
    if child == 0:
        signal.alarm(MOST_SECONDS)  # it doesn't outlive a test that failed
        with suppress(BaseException):
            os._exit(command())
        os._exit(1)
    return child


def exit_status(action: Callable[[], object]) -> int:
    """That of a child process, a fork of this one, which does it; 0 if it comes to its end."""

    def done() -> int:
        action()
        return 0

    return os.waitstatus_to_exitcode(os.waitpid(forked(done), 0)[1])


FOLDER = -1  # stands for the content of a folder


@dataclass(frozen=True)
class Change:
    """What happens to the names in a folder, in one step."""

    folder: Path
    appears: Path | None = None
    disappears: Path | None = None
    content: int = FOLDER  # of what appears, by its number


@dataclass(frozen=True)
class Disk:
    """What is surely found after a power loss, and the changes that may have come to the disk, each or not."""

    names: Mapping[Path, int]  # the number of the content of each file and folder
    changes: tuple[Change, ...] = ()

    def after(self, changes: Iterable[Change]) -> "Disk":
        """With these changes done, and none in question."""
        names = dict(self.names)
        for change in changes:
            if change.disappears:
                names.pop(change.disappears, None)
            if change.appears:
                names[change.appears] = change.content
        return Disk(names)

    def outcomes(self) -> Iterator["Disk"]:
        """All that can be found after a power loss."""
        for chosen in product((False, True), repeat=len(self.changes)):
            yield self.after(compress(self.changes, chosen))


class PowerLoss(Quick):
    """Works as ever, and collects in `outcomes` what a power loss after each operation could leave.

    Content that was not synced is gone then, and any part of the changes of names in a folder that was not synced.
    """

    def __init__(self, folder: Path, forgotten: Collection[str] = ()) -> None:
        self._forgotten = forgotten  # operations that do nothing, for negative controls
        self._contents: list[bytes] = []  # by number; empty until synced
        self._numbers: dict[Path, int] = {}  # of each file, as a program sees it
        files = [path for path in folder.rglob("*") if path.is_file()]
        folders = dict.fromkeys([folder, *(path.parent for path in files)], FOLDER)
        self._disk = Disk(folders | {path: self._new(path, path.read_bytes()) for path in files})
        self.outcomes: list[dict[Path, bytes]] = []

    def create(self, path: Path) -> FileIO:
        self._change(Change(path.parent, appears=path, content=self._new(path)))
        return super().create(path)

    def sync(self, file: FileIO) -> None:
        if "sync" not in self._forgotten:
            path = Path(os.fsdecode(file.name))
            self._contents[self._numbers[path]] = path.read_bytes()
            self.collect()

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        number = self._numbers[target] = self._numbers.pop(source)
        self._change(Change(target.parent, appears=target, disappears=source, content=number))

    def remove(self, path: Path) -> None:
        super().remove(path)
        self._change(Change(path.parent, disappears=path))

    def make_folder(self, path: Path) -> None:
        super().make_folder(path)
        self._change(Change(path.parent, appears=path))

    def sync_folder(self, folder: Path) -> None:
        if "sync_folder" not in self._forgotten:
            synced = [change for change in self._disk.changes if change.folder == folder]
            left = tuple(change for change in self._disk.changes if change.folder != folder)
            self._disk = replace(self._disk.after(synced), changes=left)
            self.collect()

    def _new(self, path: Path, content: bytes = b"") -> int:
        self._contents.append(content)
        self._numbers[path] = len(self._contents) - 1
        return self._numbers[path]

    def _change(self, change: Change) -> None:
        self._disk = replace(self._disk, changes=(*self._disk.changes, change))
        self.collect()

    def collect(self) -> None:
        """What a power loss now could leave."""
        for disk in self._disk.outcomes():
            files = {path: self._contents[number] for path, number in disk.names.items() if number != FOLDER}
            outcome = {path: content for path, content in files.items() if path.parent in disk.names}
            if outcome not in self.outcomes:
                self.outcomes.append(outcome)
