"""How long `check` of one spec takes, cold, against importing torch: both as whole processes, in turn.

    python benchmarks/check_time.py [ROUNDS]

Prints the medians and their ratio; the last results are in benchmarks/results/check_time.md.
"""

import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
CHECK = [sys.executable, "-m", "builder", "check", "specs/net.yaml"]
IMPORT = [sys.executable, "-c", "import torch"]


def seconds(command: list[str]) -> float:
    """Wall-clock time of one process."""
    started = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Run both commands in turn, once to warm the disk's cache, then `ROUNDS` times."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    seconds(CHECK), seconds(IMPORT)
    pairs = [(seconds(CHECK), seconds(IMPORT)) for _ in range(rounds)]
    checks, imports = zip(*pairs, strict=True)
    ratios = [check / importing for check, importing in pairs]
    print(f"Python {platform.python_version()}, {rounds} rounds\n")
    print("| process | median | fastest | slowest |")
    print("|---|---|---|---|")
    print(row("`python -m builder check specs/net.yaml`", checks, " s"))
    print(row('`python -c "import torch"`', imports, " s"))
    print(row("ratio, pair by pair", ratios, ""))


def row(title: str, figures: tuple[float, ...] | list[float], unit: str) -> str:
    """One line of the table."""
    median, low, high = statistics.median(figures), min(figures), max(figures)
    return f"| {title} | {median:.3f}{unit} | {low:.3f}{unit} | {high:.3f}{unit} |"


if __name__ == "__main__":
    main()
