"""Training, testing and all around it, against the scripts that a user would write instead, both sides in turn.

    python benchmarks/speed.py [--rounds N] [--only NAME...] [--data-dir DIR]
    python benchmarks/speed.py --only time_to_99 [--seeds N] [--their-seeds N] [--data-dir DIR]

Without `--only`, everything is measured but `time_to_99`, which takes longer. Results are kept comparison by comparison
in benchmarks/results/speed.json, and shown in speed.md beside it. `--quick` tries each comparison with next to nothing,
on a few images of the embedded sample, and keeps nothing.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from comparison import Call, measured
from comparisons import COMPARISONS, FULL, QUICK, Setting
from digits import Digits, few_digits
from figures import rows_of, table
from speed_results import Results
from whole_process import ROOT, load_text

from builder.exits import guard, say

SLOW = "time_to_99"
QUICK_IMAGES = 64, 32  # training and test


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Measure ours against scripts, side by side.")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--only", nargs="+", choices=COMPARISONS, metavar="NAME", help=", ".join(COMPARISONS))
    parser.add_argument("--data-dir", type=Path, default=ROOT / "data", metavar="DIR", help="where MNIST lies")
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help=f"of ours, for {SLOW}")
    parser.add_argument("--their-seeds", type=int, default=3, metavar="N", help=f"of theirs, for {SLOW}")
    parser.add_argument("--quick", action="store_true", help="only try that everything runs")
    return parser.parse_args()


def main() -> int:
    """Measure what the command line names."""
    given = options()
    names = given.only or [name for name in COMPARISONS if given.quick or name != SLOW]
    if given.quick:
        with TemporaryDirectory() as folder:
            compare(names, Setting(few_digits(Path(folder), *QUICK_IMAGES), QUICK, rounds=1), None)
    else:
        digits = Digits(str(given.data_dir.resolve()))
        setting = Setting(digits, FULL, given.rounds, given.seeds, given.their_seeds)
        compare(names, setting, Results(ROOT / "benchmarks" / "results"))
    return 0


def compare(names: list[str], setting: Setting, results: Results | None) -> None:
    """One comparison after another; each is kept, if `results` keep it, and printed when it is done."""
    machine: dict[str, str] = Call("machine.machine").elsewhere()
    for name in names:
        if name == SLOW and not (ROOT / setting.sizes.fast_spec).exists():
            say(f"{name} is left out: there is no {setting.sizes.fast_spec}")
            continue
        load = load_text()
        comparison = COMPARISONS[name](setting)
        rows = rows_of(comparison, measured(comparison, Call.elsewhere))
        if results:
            often = f"--rounds {setting.rounds}"
            if name == SLOW:
                often = f"--seeds {setting.seeds} --their-seeds {setting.their_seeds}"
            command = f"python benchmarks/speed.py --only {name} {often}"
            how = {"date": str(datetime.now(UTC).date()), "command": command, "load": load} | machine
            results.keep(name, how, rows, COMPARISONS)
        print(table(rows).text(), end="\n\n", flush=True)


if __name__ == "__main__":
    sys.exit(guard(main))
