"""Specs that are trained with several seeds, each run a process of its own; what is finished is not run again."""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import load_spec
from builder.runs.finding import RESOLVED_FILE, SUMMARY_FILE

ROOT = Path(__file__).parent.parent

Summary = Mapping[str, Any]  # of one run, as in its summary.json


@dataclass(frozen=True)
class Trainings:
    """Specs, and what differs from them in all runs besides the seed; MNIST has no fallback here."""

    specs: Mapping[str, Path]
    overrides: Sequence[str]
    runs: Path

    def finished(self, name: str) -> Mapping[int, Path]:
        """The summaries of the runs of a spec as it is now, by their seeds."""
        found: dict[int, Path] = {}
        for file in sorted((self.runs / name).glob(f"*/{SUMMARY_FILE}")):
            seed = read(file)["seed"]
            resolved = (file.parent / RESOLVED_FILE).read_text(encoding="utf-8")
            if resolved == load_spec(self.specs[name], self._overrides(seed)).resolved():
                found[seed] = file
        return dict(sorted(found.items()))

    def train(self, name: str, seed: int, data_dir: Path | None) -> None:
        """One run."""
        places = ["--runs", str(self.runs), *(["--data-dir", str(data_dir)] if data_dir else [])]
        words = [str(ROOT / "runner.py"), str(self.specs[name]), *self._overrides(seed), "--quiet", *places]
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)

    def table(self, names: Sequence[str]) -> Iterator[str]:
        """The lines of a table of all that is finished; accuracies in percent, seconds of training for one run."""
        yield "| spec | parameters | MACs | epochs | seeds | accuracy | spread | seconds | computed in |"
        yield "|---|---|---|---|---|---|---|---|---|"
        for name in names:
            if finished := self.finished(name):
                yield row(name, {seed: read(file) for seed, file in finished.items()})

    def _overrides(self, seed: int) -> Sequence[str]:
        return ["training.dataset=mnist", f"training.seed={seed}", *self.overrides]


def read(file: Path) -> Summary:
    """A run's summary."""
    summary: Summary = json.loads(file.read_text(encoding="utf-8"))
    return summary


def row(name: str, summaries: Mapping[int, Summary]) -> str:
    """A line of the table."""
    first, *_ = summaries.values()
    accuracies = [100 * summary["test"]["accuracy"] for summary in summaries.values()]
    spread = f"{statistics.stdev(accuracies):.2f}" if len(accuracies) > 1 else "-"
    seconds = statistics.mean(summary["train_seconds"] for summary in summaries.values())
    seeds = ", ".join(str(seed) for seed in summaries)
    ways = "; ".join(sorted({f"{summary['precision']}, {versions(summary)}" for summary in summaries.values()}))
    cost = f"{first['params']:,} | {first['macs']:,} | {first['epochs']}"
    return f"| {name} | {cost} | {seeds} | {statistics.mean(accuracies):.2f}% | {spread} | {seconds:.0f} | {ways} |"


def versions(summary: Summary) -> str:
    """Of what the run was computed with."""
    return ", ".join(f"{name} {summary['versions'][name]}" for name in ("torch", "python"))


def parser_of(description: str, names: Sequence[str], runs: Path) -> argparse.ArgumentParser:
    """The options that such a benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--data-dir", type=Path, metavar="DIR")
    parser.add_argument("--runs", type=Path, default=runs, metavar="DIR")
    return parser


def train_and_print(trainings: Trainings, options: argparse.Namespace) -> None:
    """Train what isn't trained yet, a seed of every spec after another, then print the table."""
    for seed in options.seeds:
        for name in options.only:
            if seed not in trainings.finished(name):
                trainings.train(name, seed, options.data_dir)
    print(*trainings.table(options.only), sep="\n")
