"""Twenty thousand broken specs: none gives a traceback, hangs, or does more than to be read and reported.

    python tests/full_mutations.py [N] [--corpus] > tests/results/mutations.md

Uses all cores, and ends with 1 if anything failed. What fails is kept in tests/specs/mutated, where the tests check it
again; with `--corpus` the other specs there are chosen anew: those that are interesting, made small.
"""

import platform
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from time import perf_counter

from mutation_corpus import Trial, keep_failed, saying, write_corpus
from mutation_verdicts import judged
from mutations import mutated, originals

from builder.codes import CODES
from builder.processes import mapped, num_cores

NUM_SPECS = 20_000
MOST_SECONDS = 2.0
SECONDS_A_LAYER = 2e-5  # beyond that: a mutation may ask for a hundred thousand layers, which is allowed
BROKEN_OFF = 120.0  # after so many seconds, waiting included, on a machine that others use too
NUM_SLOWEST = 5


def trial(seed: int) -> Trial:
    """Break the spec of a seed, and judge what becomes of it."""
    data = mutated(seed)
    with tempfile.TemporaryDirectory() as folder:
        verdict = judged(data, Path(folder), BROKEN_OFF)
    faults = list(verdict.faults)
    if verdict.seconds > MOST_SECONDS + verdict.num_layers * SECONDS_A_LAYER:
        faults.append(f"took {verdict.seconds:.1f} s")
    sayings = tuple(saying(problem) for problem in verdict.problems)
    is_plan = verdict.plan is not None
    return Trial(seed, len(data), is_plan, verdict.num_layers, verdict.seconds, sayings, tuple(faults))


def trials(number: int) -> list[Trial]:
    """The trials of the first seeds, in all cores; how far they are goes to standard error."""
    found: list[Trial] = []
    for done in mapped(trial, range(number)):
        found.append(done)
        if done.faults:
            sys.stderr.write(f"\nseed {done.seed}: {done.faults[0]}\n")
        if len(found) % 100 == 0:
            sys.stderr.write(f"\r{len(found):,} of {number:,}")
    sys.stderr.write("\n")
    return found


def report(found: Sequence[Trial], seconds: float) -> str:
    """The results in Markdown."""
    num_failed = sum(bool(trial.faults) for trial in found)
    num_plans = sum(trial.is_plan and not trial.faults for trial in found)
    codes = Counter(code for trial in found for code, _ in trial.sayings)
    forms = {said for trial in found for said in trial.sayings}
    slow = [trial.num_layers for trial in found if trial.seconds > MOST_SECONDS and not trial.faults]
    of_slow = f" (of {min(slow):,} layers and more)" if slow else ""
    slowest = sorted(found, key=lambda trial: -trial.seconds)[:NUM_SLOWEST]
    cores = num_cores()
    lines = [
        "# Broken specs",
        "",
        f"`python tests/full_mutations.py {len(found)}`, {date.today()}, {cores} core{'s' * (cores > 1)}, Python",
        f"{platform.python_version()}, {seconds:.0f} s. Each spec is broken in one to three places, checked as",
        "`check --advice` does and printed in every format, under an audit hook that allows nothing but to read the",
        "spec's own folder. What is accepted is built by torch, and every shape compared.",
        "",
        "| specs | number |",
        "|---|---|",
        f"| all | {len(found):,} |",
        f"| rejected, every problem with a place | {len(found) - num_plans - num_failed:,} |",
        f"| accepted, and built by torch as foreseen | {num_plans:,} |",
        f"| with a traceback, a hang, an effect, or a wrong number | {num_failed:,} |",
        f"| that took more than {MOST_SECONDS:g} s to plan{of_slow} | {len(slow):,} |",
        "",
        f"{codes.total():,} problems, of {len(codes)} of the {len(CODES)} codes, in {len(forms):,} forms of messages.",
        "",
        "The slowest:",
        "",
        "| seed | time | bytes | layers | problems |",
        "|---|---|---|---|---|",
        *map(row, slowest),
    ]
    return "\n".join([*lines, ""])


def row(trial: Trial) -> str:
    """A line of the table of the slowest."""
    seconds, size, layers = f"{trial.seconds:.2f} s", f"{trial.num_bytes:,}", f"{trial.num_layers:,}"
    return f"| {trial.seed} | {seconds} | {size} | {layers} | {len(trial.sayings)} |"


def main() -> int:
    """Judge as many specs as are asked for."""
    numbers = [int(word) for word in sys.argv[1:] if word.isdecimal()]
    started = perf_counter()
    originals()  # once, before processes are forked
    found = trials(numbers[0] if numbers else NUM_SPECS)
    failed = [trial.seed for trial in found if trial.faults]
    for seed in failed:
        keep_failed(seed)
    sys.stdout.write(report(found, perf_counter() - started))
    if "--corpus" in sys.argv:
        write_corpus(found)
    return 1 if failed else 0


if __name__ == "__main__":
    warnings.simplefilter("error")
    sys.exit(main())
