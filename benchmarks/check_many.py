"""How long `check` of a thousand specs takes, in one process and in one per core, and how much memory.

    python benchmarks/check_many.py [ROUNDS]

The specs are copies of this repository's, each under a name of its own. Prints medians, on the clock and of processors
(user and system); memory is that of the largest process. The last results are in benchmarks/results/check_many.md.
"""

import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from whole_process import ROOT, Cost, cost, load_text

from builder.processes import num_cores
from builder.source import is_base

NUM_SPECS = 1_000
SHARES = {
    "specs of specs/": sorted((ROOT / "specs").glob("*.yaml")),
    "specs of specs/zoo/": sorted((ROOT / "specs" / "zoo").glob("*.yaml")),
    "wrong specs": sorted((ROOT / "tests" / "specs" / "invalid" / "fields").glob("*.yaml")),
}


def write_copies(originals: Sequence[Path], folder: Path) -> None:
    """As many specs as are wanted, no two alike, and the bases that they extend."""
    for base in filter(is_base, originals):
        shutil.copy(base, folder)
    specs = [original for original in originals if not is_base(original)]
    for number, original in zip(range(NUM_SPECS), cycle(specs), strict=False):
        (folder / f"{original.stem}_{number}.yaml").write_bytes(original.read_bytes() + b"\n# copy %d\n" % number)


def measured(folder: Path, jobs: int) -> Cost:
    """What one call of `check` costs."""
    return cost("-m", "builder", "check", str(folder), "--format", "concise", "--jobs", str(jobs))


def main() -> None:
    """Measure each share in one process and in all, in turn, `ROUNDS` times."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    cores = num_cores()
    print(f"Python {platform.python_version()}, {cores} cores, medians of {rounds} rounds, {load_text()}\n")
    print(f"| {NUM_SPECS:,} | processes | on the clock | of processors | a spec | memory |")
    print("|---|---|---|---|---|---|")
    for name, originals in SHARES.items():
        with tempfile.TemporaryDirectory() as folder:
            write_copies(originals, Path(folder))
            pairs = [(measured(Path(folder), 1), measured(Path(folder), cores)) for _ in range(rounds)]
        for jobs, costs in zip((1, cores), zip(*pairs, strict=True), strict=True):
            print(row(name, jobs, costs))


def row(name: str, jobs: int, costs: Sequence[Cost]) -> str:
    """One line of the table."""
    clock = statistics.median(each.seconds for each in costs)
    cpu = statistics.median(each.cpu_seconds for each in costs)
    memory = max(each.megabytes for each in costs)
    each = f"{1000 * cpu / NUM_SPECS:.1f} ms"
    return f"| {name} | {jobs} | {clock:.2f} s | {cpu:.2f} s | {each} | {memory:.0f} MB |"


if __name__ == "__main__":
    main()
