"""Runs in processes of their own, that can be killed at an exact moment.

They come from a server process that has imported torch and trained nothing, so that each starts afresh within moments.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["torch._dynamo", "runner", "builder.training.loop", "builder.training.restoring", "builder.report.progress"]
)
PATIENCE = 60.0  # seconds; what takes longer hangs

Moment = tuple[str, str | int]  # "step", its number; "point", its name; "call", the name of a function


@dataclass(frozen=True)
class Ended:
    """How a process ended: an exit status, or minus the number of a signal."""

    status: int
    text: str  # standard output and standard error


def run(words: Sequence[str], folder: Path, *, die_at: Moment | None = None) -> Ended:
    """Run the command line in the folder, and kill it from outside when it comes to the moment."""
    with started(words, folder, stop_at=die_at) as process:
        if die_at:
            process.wait_for_moment()
            process.send(signal.SIGKILL)
        return process.end()


class Run:
    """A process that runs the command line."""

    def __init__(self, words: Sequence[str], folder: Path, stop_at: Moment | None, log: str) -> None:
        self._pipe, theirs = PROCESSES.Pipe()
        self._log = folder / log
        self._process: BaseProcess = PROCESSES.Process(
            target=_child, args=(list(words), str(folder), str(self._log), stop_at, theirs)
        )
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def wait_for_moment(self) -> None:
        """Until the process has come to the moment, where it waits."""
        assert self._pipe.poll(PATIENCE), f"the moment never comes:\n{self._log.read_text()}"
        assert self._pipe.recv() == "there", self._log.read_text()

    def comes_to_moment(self) -> bool:
        """Whether it gets there; otherwise it has ended."""
        try:
            return self._pipe.poll(PATIENCE) and bool(self._pipe.recv() == "there")
        except EOFError:
            return False

    def go_on(self) -> None:
        """Let it go on from there."""
        self._pipe.send("go on")

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def end(self) -> Ended:
        self._process.join(PATIENCE)
        assert self._process.exitcode is not None, f"no end within {PATIENCE} s"
        return Ended(self._process.exitcode, self._log.read_text(encoding="utf-8"))

    def close(self) -> None:
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()


@contextmanager
def started(
    words: Sequence[str], folder: Path, *, stop_at: Moment | None = None, log: str = ".output"
) -> Iterator[Run]:
    """The process of a command line, which waits when it comes to a moment."""
    process = Run(words, folder, stop_at, log)
    try:
        yield process
    finally:
        process.close()


def _child(words: list[str], folder: str, log: str, stop_at: Moment | None, pipe: Connection) -> None:
    os.chdir(folder)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # a descriptor, for good
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # a descriptor, for good
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if stop_at:
        _wait_at(stop_at, lambda: _meet(pipe))

    import runner
    from builder.report import pages

    setattr(pages, "has_matplotlib", lambda: False)  # noqa: B010  # pictures would take longer than the run
    status = runner.main(words)
    sys.stdout.flush()
    os._exit(status)


def _meet(pipe: Connection) -> None:
    pipe.send("there")
    while not pipe.poll(0.01):  # short sleeps, so that a signal is handled where the process stands
        pass
    pipe.recv()


def _wait_at(moment: Moment, meet: Callable[[], None]) -> None:
    """Call `meet` once, when the run comes to the moment."""
    from builder import model
    from builder.runs import directory, storage
    from builder.training import keeper, loop

    kind, which = moment
    met: list[bool] = []

    def once() -> None:
        if not met:
            met.append(True)
            meet()

    if kind == "step":
        after_step = keeper.RunKeeper.after_step

        def at_step(self: keeper.RunKeeper) -> None:
            if self._session.counts.step == which:
                once()
            after_step(self)

        keeper.RunKeeper.after_step = at_step  # type: ignore[method-assign]
    elif kind == "point":
        seen: list[str] = []
        name, _, number = str(which).rpartition("#")

        def at_point(self: storage.Files, point: str) -> None:
            seen.append(point)
            if point == name and seen.count(name) == int(number):
                once()

        storage.Files.reached = at_point  # type: ignore[method-assign]
    else:
        holders: dict[str, Any] = {
            "build_model": (model, "build_model"),
            "evaluate": (loop, "evaluate"),
            "save_weights": (directory.RunDirectory, "save_weights"),
            "save_summary": (directory.RunDirectory, "save_summary"),
            "log": (directory.RunDirectory, "log"),
        }
        holder, attribute = holders[str(which)]
        original = getattr(holder, attribute)

        def at_call(*arguments: Any, **named: Any) -> Any:
            once()
            return original(*arguments, **named)

        setattr(holder, attribute, at_call)


def metrics(run: Path) -> list[dict[str, float]]:
    """The lines of a run's metrics, without what takes time."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    times = ("seconds", "images_per_second")
    return [{key: value for key, value in line.items() if key not in times} for line in lines]
