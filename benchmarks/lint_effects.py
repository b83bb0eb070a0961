"""What lints are worth: the two specs that each is tested with, trained on the embedded sample with several seeds.

    python benchmarks/lint_effects.py [SEEDS] [CODE...]

Prints the mean test accuracy after the last epoch, with its deviation over the seeds; the last results are in
benchmarks/results/lint_effects.md.
"""

import platform
import statistics
import sys
from pathlib import Path

import torch

from builder import build_model, load_spec, make_plan
from builder.data.images import load_data
from builder.exits import Stop
from builder.training.keeper import Keeper
from builder.training.loop import train
from builder.training.session import Session

SPECS = Path(__file__).parent.parent / "tests" / "specs" / "lints"
CPU = torch.device("cpu")


def accuracy(path: Path, seed: int) -> float | None:
    """The test accuracy of one run; None if it broke off."""
    plan = make_plan(load_spec(path, [f"training.seed={seed}"]))
    recipe = plan.spec.require_recipe()
    torch.manual_seed(seed)
    model = build_model(plan)
    data = load_data(recipe.dataset, validation=recipe.validation, data_dir=None, offline=True, device=CPU)
    try:
        *_, last = train(Session(plan, model, data), Keeper(), lambda images, loss: None)
    except Stop:
        return None
    return last.test.accuracy


def column(path: Path, seeds: int) -> str:
    """`97.1% (0.4)`: mean and deviation in percent; how many runs broke off, if any did."""
    runs = [accuracy(path, seed) for seed in range(1, seeds + 1)]
    done = [100 * found for found in runs if found is not None]
    if not done:
        return "every run breaks off"
    broken = f", {len(runs) - len(done)} of {len(runs)} break off" if len(done) < len(runs) else ""
    spread = statistics.stdev(done) if len(done) > 1 else 0.0
    return f"{statistics.mean(done):.1f}% ({spread:.1f}){broken}"


def main() -> None:
    """Train the pairs of all lints, or of those on the command line."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    torch.set_num_threads(1)
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {seeds} seeds, embedded sample\n")
    print("| lint | as found | mended |")
    print("|---|---|---|")
    for code in sys.argv[2:] or sorted(folder.name for folder in SPECS.iterdir()):
        found, mended = (column(SPECS / code / f"{name}.yaml", seeds) for name in ("triggers", "quiet"))
        print(f"| {code} | {found} | {mended} |", flush=True)


if __name__ == "__main__":
    main()
