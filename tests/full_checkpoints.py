"""Everything that can happen to a checkpoint and to a run's lock, at full size.

    python tests/full_checkpoints.py > tests/results/checkpoints.md

Takes some minutes, and ends with 1 if a checkpoint was lost; the tests do a share of it.
"""

import platform
import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from time import perf_counter

import torch
from checkpoint_faults import (
    SCENARIOS,
    damaged_at_rest,
    failing_at_each_operation,
    interrupted_at_each_point,
    killed_at_each_point,
    killed_from_outside,
    power_lost_after_each_operation,
)
from lock_rounds import play

from builder.processes import num_cores
from builder.runs.checkpoints import CRASH_POINTS

NUM_DAMAGED = 1000
NUM_KILLS = 200
NUM_ROUNDS, NUM_CONTENDERS = 20, 8

Campaign = Callable[[Path], int]  # in a folder of its own; how many cases it tried


def in_each_scenario(campaign: Callable[..., int]) -> Campaign:
    """The campaign for every kind of save: the first, the same step again, after going back ..."""
    return lambda folder: sum(campaign(folder / "checkpoints", scenario) for scenario in SCENARIOS)


def lock_rounds(folder: Path) -> int:
    """Starts at once, again and again."""
    for _ in range(NUM_ROUNDS):
        play(folder, NUM_CONTENDERS)
    return NUM_ROUNDS


def at_rest(suffix: str, num_flips: int, num_cuts: int) -> Campaign:
    """Turned bits and lost ends of one of the two files."""
    return lambda folder: damaged_at_rest(folder / "checkpoints", suffix, num_flips, num_cuts)


CAMPAIGNS: dict[str, Campaign] = {
    f"killed at each of the {len(CRASH_POINTS)} named points of a save": in_each_scenario(killed_at_each_point),
    "interrupted (Ctrl-C) at each named point": in_each_scenario(interrupted_at_each_point),
    "n-th operation fails: no space, I/O error, no permission; once or from then on": in_each_scenario(
        failing_at_each_operation
    ),
    "power lost after each operation, any part of what was not synced gone": in_each_scenario(
        power_lost_after_each_operation
    ),
    "SIGKILL at random moments of saving without a pause": lambda folder: killed_from_outside(folder / "c", NUM_KILLS),
    "one bit of the data turned": at_rest(".pt", NUM_DAMAGED, 0),
    "data cut short": at_rest(".pt", 0, NUM_DAMAGED),
    "one bit of the manifest turned": at_rest(".json", NUM_DAMAGED, 0),
    "manifest cut short, at every length": at_rest(".json", 0, NUM_DAMAGED),
    f"{NUM_CONTENDERS} processes want the lock at once; one gets it, the others end with 6": lock_rounds,
}


def main() -> int:
    """Run all; print a table; 1 if one lost something."""
    lines = [
        "# Checkpoints and the lock under faults",
        "",
        f"`python tests/full_checkpoints.py`, {date.today()}, {num_cores()} cores, Python {platform.python_version()}, "
        f"torch {torch.__version__}.",
        "",
        "After each case the newest good checkpoint is read, compared bit by bit, and saved to again.",
        "",
        "| what happens | cases | lost | seconds |",
        "|---|---|---|---|",
    ]
    status = 0
    for name, campaign in CAMPAIGNS.items():
        started = perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            result = tried(partial(campaign, Path(folder)))
        status |= result is None
        shown = "stopped | at least 1" if result is None else f"{result:,} | 0"
        lines.append(f"| {name} | {shown} | {perf_counter() - started:.0f} |")
    sys.stdout.write("\n".join(lines) + "\n")
    return status


def tried(campaign: Callable[[], int]) -> int | None:
    """How many cases there were, or None if one failed; what failed goes to standard error."""
    try:
        return campaign()
    except Exception:
        traceback.print_exc()
        return None


if __name__ == "__main__":
    sys.exit(main())
