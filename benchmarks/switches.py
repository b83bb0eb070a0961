"""Whether speed costs accuracy: specs/tiny.yaml with every switch for speed on, and in plain float32, seed by seed.

    python benchmarks/switches.py [--seeds 1 2 3] [--data-dir DIR] [--runs DIR]

Trains on one thread, and prints a table of all runs that are finished. The last results are in
benchmarks/results/switches.md.
"""

from trainings import ROOT, Trainings, parser_of, train_and_print

SPEC = {"tiny": ROOT / "specs" / "tiny.yaml"}
WAYS = {
    "plain": ["precision=float32", "fast_algorithms=false", "channels_last=false"],
    "fast": ["precision=auto", "fast_algorithms=true", "channels_last=auto"],
}


def main() -> None:
    """Train both ways."""
    parser = parser_of("Train with every switch for speed, and without.", list(SPEC), ROOT / "runs" / "switches")
    options = parser.parse_args()
    for way, switches in WAYS.items():
        overrides = ["training.threads=1", *(f"training.{switch}" for switch in switches)]
        print(f"\n{way}: {', '.join(switches)}\n")
        train_and_print(Trainings(SPEC, overrides, options.runs / way), options)


if __name__ == "__main__":
    main()
