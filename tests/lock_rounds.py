"""Processes that want the same lock at the same time."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from faulty_files import forked

from builder.exits import Stop
from builder.runs.lock import RunLock


class Contender:
    """A process, a fork of this one, that wants the lock of a folder when it is told to go."""

    def __init__(self, folder: Path) -> None:
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        self.pid = forked(lambda: _contend(folder, orders, answers))
        os.close(orders)
        os.close(answers)

    def go(self) -> None:
        """Let it try."""
        os.write(self._orders, b"g")

    def hear(self) -> str:
        """What came of it: `runs`, or why it doesn't."""
        return os.read(self._answers, 1000).decode()

    def kill(self) -> None:
        """What the system does to a process that takes too much memory."""
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> int:
        """Let it end, if it runs, and give its exit status."""
        with suppress(BrokenPipeError):
            os.write(self._orders, b"e")
        os.close(self._orders)
        os.close(self._answers)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _contend(folder: Path, orders: int, answers: int) -> int:
    os.read(orders, 1)
    try:
        with RunLock(folder):
            os.write(answers, b"runs")
            os.read(orders, 1)
    except Stop as stop:
        os.write(answers, str(stop).encode())
        return stop.status
    return 0


@contextmanager
def holding(folder: Path) -> Iterator[Contender]:
    """Another process that holds the lock."""
    contender = Contender(folder)
    contender.go()
    assert contender.hear() == "runs"
    try:
        yield contender
    finally:
        contender.end()


def play(folder: Path, number: int) -> None:
    """All try at once: one runs; the others name it, end with 6 and leave nothing."""
    contenders = [Contender(folder) for _ in range(number)]
    for contender in contenders:
        contender.go()
    answers = [contender.hear() for contender in contenders]
    statuses = [contender.end() for contender in contenders]
    assert answers.count("runs") == 1, answers
    winner = contenders[answers.index("runs")]
    for contender, answer, status in zip(contenders, answers, statuses, strict=True):
        if contender is not winner:
            assert f"{folder} is in use by process {winner.pid} on " in answer
            assert status == 6, answer
    assert statuses.count(0) == 1
    assert not list(folder.iterdir())
