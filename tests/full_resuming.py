"""Runs that are killed, told to stop and started at once, at full size: each is gone on with to the same bits.

    python tests/full_resuming.py > tests/results/resuming.md

Takes some ten minutes, and ends with 1 if a run came to other bits; the tests do a share of it.
"""

import platform
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from random import Random
from time import perf_counter

import torch
from resumed_runs import EACH_STEP, QUIET, RUN, STEPS, assert_same, prepare, resume, start, uninterrupted_run
from run_processes import Moment, started

from builder.processes import num_cores
from builder.runs.checkpoints import CRASH_POINTS

SAVES = (3, 30)  # one in the first epoch, one in the last
NUM_RUNS, NUM_ROUNDS, NUM_STARTS = 7, 20, 8
SIGNALS = ((signal.SIGINT, 130), (signal.SIGTERM, 143))

Case = tuple[str, Path, Sequence[Moment]]  # the folder with the uninterrupted run; where to kill it, one after another


def killed(case: Case) -> str:
    """What went wrong with a run that is killed at these moments, if anything."""
    name, uninterrupted, moments = case
    with tempfile.TemporaryDirectory() as place:
        folder = prepare(Path(place))
        try:
            for index, moment in enumerate(moments):
                status = (resume if index else start)(folder, *EACH_STEP, die_at=moment)
                assert status == -signal.SIGKILL, status
            assert resume(folder) == 0
            assert_same(folder / RUN, uninterrupted)
        except AssertionError:
            return f"{name} {moments}: {traceback.format_exc()}"
    return ""


def told_to_stop(case: Case) -> str:
    """What went wrong with a run that gets a signal at this moment, if anything."""
    name, uninterrupted, (moment,) = case
    number, status = {signal.Signals(number).name: (number, status) for number, status in SIGNALS}[name]
    with tempfile.TemporaryDirectory() as place:
        folder = prepare(Path(place))
        try:
            with started(["stateful.yaml", *QUIET], folder, stop_at=moment) as process:
                process.wait_for_moment()
                process.send(number)
                began = perf_counter()
                process.go_on()
                ended = process.end()
            assert ended.status == status, ended
            assert perf_counter() - began < 10
            assert list((folder / RUN / "checkpoints").glob("step-*.json"))
            assert resume(folder) == 0
            assert_same(folder / RUN, uninterrupted)
        except AssertionError:
            return f"{name} {moment}: {traceback.format_exc()}"
    return ""


def started_at_once(case: Case) -> str:
    """What went wrong when several processes go on with one run at once, if anything."""
    name, uninterrupted, _ = case
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = prepare(Path(place))
        try:
            assert start(folder, die_at=("step", 14)) == -signal.SIGKILL
            words = ["--resume", RUN, *QUIET]
            # Each that gets the lock waits in its first step until all others have ended.
            processes = [
                stack.enter_context(started(words, folder, stop_at=("step", 13), log=f".output{number}"))
                for number in range(NUM_STARTS)
            ]
            winner = next(process for process in processes if process.comes_to_moment())
            others = [process.end().status for process in processes if process is not winner]
            assert others == [6] * (NUM_STARTS - 1), others
            winner.go_on()
            assert winner.end().status == 0
            assert_same(folder / RUN, uninterrupted)
        except (AssertionError, StopIteration):
            return f"{name}: {traceback.format_exc()}"
    return ""


def campaigns(uninterrupted: Path) -> Iterator[tuple[str, Callable[[Case], str], list[Case]]]:
    random = Random(1)  # noqa: S311  # nothing secret
    steps: list[Case] = [("step", uninterrupted, [("step", step)]) for step in range(1, STEPS + 1)]
    yield f"SIGKILL at each of the {STEPS} steps", killed, steps
    points: list[Case] = [
        ("point", uninterrupted, [("point", f"{point}#{save}")])
        for point in CRASH_POINTS
        if point != "later removed"  # only a run that went back has later checkpoints
        for save in SAVES
    ]
    yield f"SIGKILL at each named point of saves {SAVES}", killed, points
    several: list[Case] = [
        ("several", uninterrupted, [("step", step) for step in sorted(random.sample(range(1, STEPS + 1), 3))])
        for _ in range(NUM_RUNS)
    ]
    yield "SIGKILL at three random steps, one after another", killed, several
    calls: list[Moment] = [("call", call) for call in ("evaluate", "log", "save_weights", "save_summary")]
    yield (
        "SIGKILL in a test, before metrics, weights and summary",
        killed,
        [("call", uninterrupted, [c]) for c in calls],
    )
    moments: list[Moment] = [*(("step", step) for step in (1, 12, 13, 36)), *calls]
    moments += [("point", f"{point}#2") for point in ("data written", "manifest written", "pruned")]
    signals: list[Case] = [
        (signal.Signals(number).name, uninterrupted, [moment]) for number, _ in SIGNALS for moment in moments
    ]
    yield (
        "SIGINT and SIGTERM in training, testing, saving and at the end: status, time, checkpoint",
        told_to_stop,
        signals,
    )
    rounds: list[Case] = [("at once", uninterrupted, [])] * NUM_ROUNDS
    yield f"{NUM_STARTS} processes go on with one run at once: one does, the others end with 6", started_at_once, rounds


def main() -> int:
    """Run all; print a table; 1 if a run came to other bits."""
    print("# Runs that are stopped\n")
    print(
        f"`python tests/full_resuming.py`, {date.today()}, {num_cores()} cores, Python {platform.python_version()}, "
        f"torch {torch.__version__}.\n"
    )
    print(
        "Each run is gone on with in a new process; weights, metrics and the test are compared with those of a run "
        "that nothing stopped, to the last bit.\n"
    )
    print("| what happens | cases | other bits | seconds |\n|---|---|---|---|")
    status = 0
    with tempfile.TemporaryDirectory() as folder:
        uninterrupted = uninterrupted_run(Path(folder))
        for name, campaign, cases in campaigns(uninterrupted):
            began = perf_counter()
            wrong = [text for text in map(campaign, cases) if text]
            sys.stderr.write("\n".join(wrong))
            status |= bool(wrong)
            print(f"| {name} | {len(cases):,} | {len(wrong)} | {perf_counter() - began:.0f} |", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
