"""The lock of a run: one process at a time in its folder, and none once that process is gone."""

import errno
import json
import os
import platform
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType

from builder.exits import OutputError
from builder.problems import printable, shown_path
from builder.runs.storage import is_other_process, unwritable

try:
    import fcntl
except ImportError:  # Windows: runs work there, without locks
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = ".lock"

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP}  # from file systems that know no locks
_MAX_TRIES = 100  # more than a folder can be deleted and made anew by accident
_NUM_LOOKS, _SECONDS_BETWEEN = 50, 0.01  # while the holder, which has the lock, still writes who it is

_held: set["RunLock"] = set()


class RunLock:
    """Holds a run's folder for this process: `with RunLock(folder): ...`

    It is a `flock` on an open file, so the system lets go of it when the process dies, however it dies. The text in the
    file only tells others who holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / LOCK_FILE
        self._descriptor: int | None = None

    def __enter__(self) -> "RunLock":
        """Take the lock.

        Raises:
            OutputError: another process holds it, or the folder can't be written.
        """
        if fcntl is None:
            return self
        try:
            self._descriptor = self._locked()
            _held.add(self)
            _introduce(self._descriptor)
        except BlockingIOError:
            raise OutputError(self._busy()) from None
        except OSError as error:
            self._let_go()
            raise unwritable(self._folder, error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # While it is held, so that nobody can have it; whoever has opened it sees that it is gone, and makes it anew.
        if self._descriptor is not None and _is_at(self._path, self._descriptor):
            with suppress(OSError):
                self._path.unlink()
        self._let_go()

    def _locked(self) -> int:
        """The descriptor of the open, locked file. Raises OSError; BlockingIOError if another process holds it."""
        for _ in range(_MAX_TRIES):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                _lock(descriptor)
                if _is_at(self._path, descriptor):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # of a file that its holder removed, or of a folder that was made anew
        raise OSError(errno.EIO, f"{LOCK_FILE} is another file at each look")

    def _busy(self) -> str:
        """The sentence that says who holds it."""
        run = shown_path(self._folder)
        for _ in range(_NUM_LOOKS):
            if holder := _holder(self._path):
                return f"{run} is in use by {holder}; wait for its end or start another run"
            time.sleep(_SECONDS_BETWEEN)
        return f"{run} is in use by another process; wait for its end or start another run"

    def _let_go(self) -> None:
        _held.discard(self)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the open file still is the one that others find at the path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _introduce(descriptor: int) -> None:
    """Write into the locked file who holds it."""
    started = datetime.now().astimezone().isoformat(" ", "seconds")
    holder = {"format": 1, "pid": os.getpid(), "host": platform.node(), "started": started}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, (json.dumps(holder) + "\n").encode(), 0)


def _holder(path: Path) -> str:
    """Who holds the lock, in words; empty if it isn't written there (yet)."""
    try:
        holder = json.loads(path.read_bytes())
        pid, host, started = int(holder["pid"]), str(holder["host"]), str(holder["started"])
    except (OSError, ValueError, TypeError, KeyError):
        return ""
    is_here = host == platform.node()
    if is_here and pid != os.getpid() and not is_other_process(pid):  # of one that was killed; the new one isn't so far
        return ""
    return f"process {pid} on {printable(host)} since {printable(started)}"


def _leave_to_parent() -> None:
    """In a forked child: a lock belongs to all that share its open file, and would outlive the run in a worker."""
    for lock in tuple(_held):
        lock._let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
