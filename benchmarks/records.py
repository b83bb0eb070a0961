"""What each spec of specs/records reaches: trained with several seeds, tested after the last epoch.

    python benchmarks/records.py [--seeds 1 2 3] [--only NAME...] [--threads N] [--data-dir DIR] [--runs DIR] [--keep]

What is finished is not run again as long as its spec stays the same. With `--keep` the summary of each run is copied
to benchmarks/results/records/, which docs/records.md rests on.
"""

import shutil

from trainings import ROOT, Trainings, parser_of, read, train_and_print

RECORDS = {path.stem: path for path in sorted((ROOT / "specs" / "records").glob("*.yaml"))}
KEPT = ROOT / "benchmarks" / "results" / "records"


def keep(trainings: Trainings, names: list[str]) -> None:
    """Copy the summaries of finished runs."""
    KEPT.mkdir(exist_ok=True)
    for name in names:
        for old in KEPT.glob(f"{name}_*.json"):
            if read(old)["name"] == name:
                old.unlink()
        for seed, file in trainings.finished(name).items():
            shutil.copy(file, KEPT / f"{name}_{seed}.json")


def main() -> None:
    """Train the records."""
    parser = parser_of("Train the records, and print what they reach.", list(RECORDS), ROOT / "runs" / "records")
    parser.add_argument("--threads", type=int, help="of each run (default: torch's own choice)")
    parser.add_argument("--keep", action="store_true", help="copy the summaries of finished runs")
    options = parser.parse_args()
    overrides = [f"training.threads={options.threads}"] if options.threads else []
    trainings = Trainings(RECORDS, overrides, options.runs)
    train_and_print(trainings, options)
    if options.keep:
        keep(trainings, options.only)


if __name__ == "__main__":
    main()
