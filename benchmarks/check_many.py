"""How long `check` of a thousand specs takes, in one process and in one per core, and how much memory.

    python benchmarks/check_many.py [ROUNDS]

The specs are copies of this repository's, each under a name of its own. Prints medians; memory is that of the largest
process. The last results are in benchmarks/results/check_many.md.
"""

import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from builder.processes import num_cores
from builder.source import is_base

ROOT = Path(__file__).parent.parent
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


def measured(folder: Path, jobs: int) -> tuple[float, float]:
    """The seconds of one call of `check`, and the megabytes of its largest process."""
    words = [sys.executable, "-m", "builder", "check", str(folder), "--format", "concise", "--jobs", str(jobs)]
    started = time.perf_counter()
    nowhere = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    process = os.posix_spawn(sys.executable, words, os.environ | {"PYTHONPATH": str(ROOT)}, file_actions=nowhere)
    _, _, usage = os.wait4(process, 0)
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - started, usage.ru_maxrss * unit / 1e6


def main() -> None:
    """Measure each share in one process and in all, in turn, `ROUNDS` times."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    cores = num_cores()
    print(f"Python {platform.python_version()}, {cores} cores, medians of {rounds} rounds\n")
    print(
        f"| {NUM_SPECS:,} | one process | {cores} processes | ratio, round by round | memory | of {cores} processes |"
    )
    print("|---|---|---|---|---|---|")
    for name, originals in SHARES.items():
        with tempfile.TemporaryDirectory() as folder:
            write_copies(originals, Path(folder))
            pairs = [(measured(Path(folder), 1), measured(Path(folder), cores)) for _ in range(rounds)]
        one, all_cores = (statistics.median(pair[index][0] for pair in pairs) for index in (0, 1))
        ratio = statistics.median(first[0] / second[0] for first, second in pairs)
        alone, each = (max(pair[index][1] for pair in pairs) for index in (0, 1))
        print(f"| {name} | {one:.2f} s | {all_cores:.2f} s | {ratio:.2f} | {alone:.0f} MB | {each:.0f} MB |")


if __name__ == "__main__":
    main()
