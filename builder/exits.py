"""Exit statuses, and the exceptions that carry them to the command line.

A `Stop` is an end that somebody can act on: it holds one sentence and a status. Whatever else escapes is a bug of
ours, and `guard` says so in one sentence (`YAMLNET_DEBUG=1` shows the traceback).
"""

import contextlib
import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path
from types import FrameType
from typing import IO

CANT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS}
MAX_SHOWN_BUG = 200  # characters of an exception that is nobody's mistake but ours
ISSUES = "https://github.com/yamlnet/yamlnet/issues"


class Status(IntEnum):
    """What a command returns to the shell."""

    DONE = 0
    SPEC = 1  # a spec has errors, or misses a budget
    USAGE = 2  # wrong usage; a file, a package or a device is missing
    DATA = 3  # the data set is missing or damaged
    TRAINING = 4  # training stopped: loss not finite, out of memory
    RESUME = 5
    OUTPUT = 6  # the output is busy or not writable
    BUG = 70
    INTERRUPTED = 130
    TERMINATED = 143


class Stop(Exception):  # noqa: N818  # an end, not always an error
    """The command ends here: `str(stop)` says why."""

    status = Status.USAGE

    @property
    def report(self) -> str:
        """What to show in a terminal."""
        return f"yamlnet: {self}"


class UsageError(Stop):
    """The command line asks for something that is not there, or not possible."""


class DataError(Stop):
    """The data set is missing or damaged."""

    status = Status.DATA


class TrainingError(Stop):
    """Training can't go on."""

    status = Status.TRAINING


class ResumeError(Stop):
    """The run can't be gone on with as it is asked for."""

    status = Status.RESUME


class OutputError(Stop):
    """The run can't be written where it should be."""

    status = Status.OUTPUT


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised where the program stands, as Python does for SIGINT."""


# The signal that asked this process to end. What it raises can get lost: Python drops an exception that comes while a
# finaliser runs, and libraries may drop one in a callback.
_asked_by: list[int] = []
_waiting: list[bool] = []  # not empty while the first signal waits for `stop_if_asked`
_ending: list[bool] = []  # not empty once a signal has ended the command: another one changes nothing


def _ask(number: int, frame: FrameType | None) -> None:
    if _ending:
        return
    is_first = not _asked_by
    _asked_by[:] = [number]
    if not (_waiting and is_first):
        stop_if_asked()


def is_asked_to_stop() -> bool:
    """Whether a signal asked this process to end."""
    return bool(_asked_by)


def stop_if_asked() -> None:
    """Raise what a signal asked for, if it waited or was lost; a long loop calls this at each step."""
    if _asked_by:
        raise Terminated if _asked_by[0] == signal.SIGTERM else KeyboardInterrupt


@contextlib.contextmanager
def signals_waiting() -> Iterator[None]:
    """Here a first signal waits until `stop_if_asked`; a second one is raised at once, where the program stands.

    A terminal that is closed ends nothing: what is written to it goes nowhere.
    """
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    is_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(hangup, signal.SIG_IGN) if hangup and is_main_thread else None
    _waiting.append(True)
    try:
        yield
    finally:
        _waiting.pop()
        if hangup and before is not None:
            signal.signal(hangup, before)


def _listen() -> None:
    """Let both signals be raised where the program stands; one that the parent process ignores stays ignored."""
    _asked_by.clear()
    _ending.clear()
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _ask)


def guard(command: Callable[[], int]) -> int:
    """Run `command` and return its exit status, whatever happens in it."""
    _listen()
    # A stream that was closed before the start (`>&-`) is None.
    sys.stdout = sys.stdout or _open_nowhere()
    sys.stderr = sys.stderr or _open_nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a character is no reason to stop
    try:
        return _status(command)
    except KeyboardInterrupt as end:
        _ending.append(True)  # first of all
        is_terminated = isinstance(end, Terminated)
        say("terminated" if is_terminated else "interrupted")
        return Status.TERMINATED if is_terminated else Status.INTERRUPTED
    finally:
        _asked_by.clear()


def _status(command: Callable[[], int]) -> int:
    """The exit status of `command`. Raises KeyboardInterrupt if a signal ends it."""
    try:
        status = command()
        sys.stdout.flush()
        return status
    except Stop as stop:
        return reported(stop)
    except BrokenPipeError:  # the reader left (`| head`)
        _close_stdout()
        return Status.DONE
    except Exception as bug:
        stop_if_asked()  # libraries make errors of what a signal raises in them
        if isinstance(bug, OSError) and bug.errno in CANT_WRITE:  # what writes files says itself which one
            _close_stdout()
            say(f"can't write to standard output: {os.strerror(bug.errno).lower()}")
            return Status.OUTPUT
        if os.environ.get("YAMLNET_DEBUG"):
            raise
        what = f"{type(bug).__name__}: {bug}".splitlines()[0][:MAX_SHOWN_BUG].encode("unicode_escape").decode()
        say(f"this is a bug of yamlnet ({what}); please report it at {ISSUES} (YAMLNET_DEBUG=1 shows where)")
        return Status.BUG


def _open_nowhere() -> IO[str]:
    return Path(os.devnull).open("w", encoding="utf-8")


def _close_stdout() -> None:
    """Let what Python still flushes to standard output, at exit, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def reported(stop: Stop) -> Status:
    """Show why the command ends, and give its status."""
    _write(stop.report)
    return stop.status


def say(sentence: str) -> None:
    """Write one sentence to standard error."""
    _write(f"yamlnet: {sentence}")


@contextlib.contextmanager
def output() -> Iterator[IO[str]]:
    """Standard output; if its reader leaves, what is written goes nowhere, and the command goes on."""
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        _close_stdout()


def _write(text: str) -> None:
    with contextlib.suppress(OSError):  # neither is a closed one
        print(text, file=sys.stderr, flush=True)
