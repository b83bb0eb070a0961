"""What each rung of specs/ladder reaches: trained on all of MNIST with several seeds, tested after the last epoch.

    python benchmarks/ladder.py [--seeds 1 2 3] [--only NAME...] [--data-dir DIR] [--runs DIR]

Trains on one thread, one run after another, and prints a table of all runs that are finished; with `--seeds` and
nothing behind it, the table alone. What is finished is not run again as long as its spec stays the same, so a command
that was stopped goes on with the next run. The last results are in benchmarks/results/ladder.md.
"""

from trainings import ROOT, Trainings, parser_of, train_and_print

RUNGS = {path.stem: path for path in sorted((ROOT / "specs" / "ladder").glob("*.yaml"))}


def main() -> None:
    """Train the ladder."""
    parser = parser_of("Train the ladder, and print what its rungs reach.", list(RUNGS), ROOT / "runs" / "ladder")
    options = parser.parse_args()
    train_and_print(Trainings(RUNGS, ["training.threads=1"], options.runs), options)


if __name__ == "__main__":
    main()
