"""How long `check` of one spec takes, cold, against importing torch: both as whole processes, in turn.

    python benchmarks/check_time.py [ROUNDS]

Prints the medians and their ratio; the last results are in benchmarks/results/check_time.md.
"""

import platform
import statistics
import sys
from collections.abc import Sequence

from whole_process import ROOT, Cost, cost, load_text

SPEC = str(ROOT / "specs" / "net.yaml")


def main() -> None:
    """Run both commands in turn, once to warm the disk's cache, then `ROUNDS` times."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    pairs = [(cost("-m", "builder", "check", SPEC), cost("-c", "import torch")) for _ in range(rounds + 1)][1:]
    checks, imports = zip(*pairs, strict=True)
    print(f"Python {platform.python_version()}, {rounds} rounds, {load_text()}; medians (fastest to slowest)\n")
    print("| process | on the clock | of processors | memory |")
    print("|---|---|---|---|")
    print(row("`python -m builder check specs/net.yaml`", checks))
    print(row('`python -c "import torch"`', imports))
    clock = [check.seconds / importing.seconds for check, importing in pairs]
    cpu = [check.cpu_seconds / importing.cpu_seconds for check, importing in pairs]
    print(f"| ratio, pair by pair | {spread(clock)} | {spread(cpu)} | |")


def row(title: str, costs: Sequence[Cost]) -> str:
    """One line of the table."""
    clock, cpu = (spread([getattr(each, name) for each in costs]) for name in ("seconds", "cpu_seconds"))
    memory = max(each.megabytes for each in costs)
    return f"| {title} | {clock} s | {cpu} s | {memory:.0f} MB |"


def spread(figures: Sequence[float]) -> str:
    """`0.305 (0.290 to 0.340)`."""
    return f"{statistics.median(figures):.3f} ({min(figures):.3f} to {max(figures):.3f})"


if __name__ == "__main__":
    main()
