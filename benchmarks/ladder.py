"""What each rung of specs/ladder reaches: trained on all of MNIST with several seeds, tested after the last epoch.

    python benchmarks/ladder.py [--seeds 1 2 3] [--only NAME...] [--data-dir DIR] [--runs DIR]

Trains on one thread, one run after another, and prints a table of all runs that are finished; with `--seeds` and
nothing behind it, the table alone. What is finished is not run again as long as its spec stays the same, so a command
that was stopped goes on with the next run. The last results are in benchmarks/results/ladder.md.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from builder import load_spec
from builder.runs.finding import RESOLVED_FILE, SUMMARY_FILE

ROOT = Path(__file__).parent.parent
RUNGS = {path.stem: path for path in sorted((ROOT / "specs" / "ladder").glob("*.yaml"))}

Summary = Mapping[str, Any]  # of one run, as in its summary.json


def overrides(seed: int) -> Sequence[str]:
    """What differs from the spec: MNIST without a fallback, and what makes a CPU's one thread fast."""
    return ["training.dataset=mnist", f"training.seed={seed}", "training.threads=1", "training.channels_last=true"]


def finished(name: str, runs: Path) -> Mapping[int, Summary]:
    """The runs of a rung as its spec is now, by their seeds."""
    found: dict[int, Summary] = {}
    for file in sorted((runs / name).glob(f"*/{SUMMARY_FILE}")):
        summary = json.loads(file.read_text(encoding="utf-8"))
        resolved = (file.parent / RESOLVED_FILE).read_text(encoding="utf-8")
        if resolved == load_spec(RUNGS[name], overrides(summary["seed"])).resolved():
            found[summary["seed"]] = summary
    return found


def train(name: str, seed: int, runs: Path, data_dir: Path | None) -> None:
    """One run, as a process of its own."""
    places = ["--runs", str(runs), *(["--data-dir", str(data_dir)] if data_dir else [])]
    command = [sys.executable, str(ROOT / "runner.py"), str(RUNGS[name]), *overrides(seed), "--quiet", *places]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def row(name: str, summaries: Mapping[int, Summary]) -> str:
    """A line of the table: accuracies in percent, seconds of training for one run."""
    first, *_ = summaries.values()
    accuracies = [100 * summary["test"]["accuracy"] for summary in summaries.values()]
    spread = f"{statistics.stdev(accuracies):.2f}" if len(accuracies) > 1 else "-"
    seconds = statistics.mean(summary["train_seconds"] for summary in summaries.values())
    seeds = ", ".join(str(seed) for seed in sorted(summaries))
    cost = f"{first['params']:,} | {first['macs']:,} | {first['epochs']}"
    return f"| {name} | {cost} | {seeds} | {statistics.mean(accuracies):.2f}% | {spread} | {seconds:.0f} |"


def main() -> None:
    """Train what isn't trained yet, then print the table."""
    parser = argparse.ArgumentParser(description="Train the ladder, and print what its rungs reach.")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    parser.add_argument("--only", nargs="+", choices=RUNGS, default=list(RUNGS), metavar="NAME")
    parser.add_argument("--data-dir", type=Path, metavar="DIR")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "ladder", metavar="DIR")
    options = parser.parse_args()
    for seed in options.seeds:
        for name in options.only:
            if seed not in finished(name, options.runs):
                train(name, seed, options.runs, options.data_dir)
    print(f"Python {platform.python_version()}, torch {torch.__version__}\n")
    print("| spec | parameters | MACs | epochs | seeds | accuracy | spread | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.only:
        if summaries := finished(name, options.runs):
            print(row(name, summaries))


if __name__ == "__main__":
    main()
