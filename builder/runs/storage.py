"""How files are written so that a kill or a power loss, at any moment, leaves the old one or the new one.

Each single operation is a method of `Files`, so that a test can fail at any of them, or die there.
"""

import errno
import os
import re
import stat
from contextlib import suppress
from io import FileIO
from pathlib import Path

from builder.exits import OutputError
from builder.problems import shown_path

# Where `write` can be killed, in order.
WRITE_POINTS = ("created", "half written", "written", "synced", "verified", "renamed", "folder synced")

TEMPORARY = re.compile(r"\..+\.([1-9][0-9]{0,8})\.tmp", re.DOTALL)  # with the number of the process that writes it

_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP}  # from file systems, such as some mounted ones, that know no such thing
_FULL = {errno.ENOSPC, errno.EDQUOT}


class Files:
    """The operations that writing is made of; all of them raise OSError."""

    def create(self, path: Path) -> FileIO:
        """An empty file, open for writing."""
        return path.open("wb", buffering=0)

    def write(self, file: FileIO, content: memoryview) -> None:
        """All of the content; the system may take it in parts."""
        while content:
            content = content[file.write(content) :]

    def sync(self, file: FileIO) -> None:
        """Wait until the content is on the disk."""
        os.fsync(file.fileno())

    def rename(self, source: Path, target: Path) -> None:
        """In one step, also where the target exists."""
        source.replace(target)

    def make_folder(self, path: Path) -> None:
        path.mkdir(exist_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Wait until the names in it are on the disk."""
        if os.name == "nt":  # folders can't be opened there
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _NO_FOLDER_SYNC:
                raise
        finally:
            os.close(descriptor)

    def read(self, path: Path) -> bytes:
        """The content of a regular file; a device or a pipe could have no end."""
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return path.read_bytes()

    def append(self, path: Path, content: bytes) -> None:
        """Add to a file, and wait until that is on the disk."""
        is_new = not path.exists()
        with path.open("ab", buffering=0) as file:
            self.write(file, memoryview(content))
            self.sync(file)
        if is_new:
            self.sync_folder(path.parent)

    def truncate(self, path: Path, num_bytes: int) -> None:
        """Take back the end of a file, and wait until that is on the disk."""
        with path.open("r+b", buffering=0) as file:
            file.truncate(num_bytes)
            self.sync(file)

    def remove(self, path: Path) -> None:
        path.unlink()

    def reached(self, point: str) -> None:
        """Called at each named point; a test may die here."""


DISK = Files()


def write(path: Path, content: bytes, files: Files = DISK, what: str = "") -> None:
    """Write a file, all of it or nothing: whoever opens `path`, also after a power loss, finds the old or the new one.

    Args:
        path: the file; its folder has to be there.
        content: all of it.
        files: the file layer.
        what: what the points that are reached are named after, as in `manifest renamed`; by default the file's name.

    Raises:
        OutputError: it can't be written, or reads back differently.
    """
    try:
        _write_beside(path, content, files, what or path.name)
        files.reached(f"{what or path.name} renamed")
        files.sync_folder(path.parent)
        files.reached(f"{what or path.name} folder synced")
    except OSError as error:
        raise unwritable(path, error) from None


def _write_beside(path: Path, content: bytes, files: Files, what: str) -> None:
    """Write to a temporary file in the same folder, and rename it when it is known to be whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    half = len(content) // 2
    try:
        with files.create(temporary) as file:
            files.reached(f"{what} created")
            files.write(file, memoryview(content)[:half])
            files.reached(f"{what} half written")
            files.write(file, memoryview(content)[half:])
            files.reached(f"{what} written")
            files.sync(file)
            files.reached(f"{what} synced")
        if files.read(temporary) != content:
            raise OSError(errno.EIO, "it reads back differently, the disk may be failing")
        files.reached(f"{what} verified")
        files.rename(temporary, path)
    except BaseException:  # a signal too
        with suppress(OSError):
            files.remove(temporary)
        raise


def make_folder(path: Path, files: Files = DISK) -> None:
    """Make a folder, if it isn't there, in one that is.

    Raises:
        OutputError: it can't be made.
    """
    try:
        if path.is_dir():
            return
        files.make_folder(path)
        files.sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from None


def sweep(folder: Path, files: Files = DISK) -> None:
    """Remove the temporary files of writers that are gone.

    Called before this process writes there, and while it holds the folder's lock: one of its own number is of an
    earlier process.
    """
    for path in folder.glob(".*.tmp"):
        match = TEMPORARY.fullmatch(path.name)
        if match and not is_other_process(int(match[1])):
            with suppress(OSError):
                files.remove(path)


def is_other_process(pid: int) -> bool:
    """Whether a process of this number runs on this machine, and is another than this one."""
    if pid == os.getpid():
        return False
    if os.name == "nt":  # there is no asking there: signal 0 is Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


def unwritable(path: Path, error: OSError) -> OutputError:
    """What to raise when a file or a folder can't be written."""
    reason = (error.strerror or str(error)).lower()
    remedy = "choose another folder with --runs"
    if error.errno in _FULL:
        remedy = f"free some space or {remedy}"
    return OutputError(f"can't write to {shown_path(path)}: {reason}; {remedy}")
