"""The command line of `runner.py`: what a run was asked to do, none of which belongs to the recipe."""

import argparse
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from builder.recipe import is_device
from builder.version import __version__

RUNS = Path("runs")
SAVE_SECONDS = 60.0  # what a killed run loses at most, and one step


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Of `runner.py SPEC...` and `runner.py --resume RUN`."""

    specs: Sequence[str]
    overrides: Sequence[str]
    data_dir: Path | None
    runs: Path
    offline: bool
    device: str | None
    quiet: bool
    resume: str | None
    strict: bool  # refuse to resume where the same bits can't follow
    save_every: float  # seconds between two checkpoints within an epoch
    dry_run: bool
    profile: bool
    tensorboard: bool


@dataclass(frozen=True, kw_only=True)
class TestOptions:
    """Of `runner.py test RUN`."""

    run: str
    data_dir: Path | None
    runs: Path
    offline: bool
    device: str | None
    quiet: bool


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """Of `runner.py predict RUN PICTURE...`."""

    run: str
    pictures: Sequence[str]
    runs: Path
    device: str | None


def train_options(words: Sequence[str], description: str) -> TrainOptions:
    """Read the command line; an argument with `=` that is no existing file is an override."""
    parser = _parser("runner.py", description)
    parser.add_argument("words", nargs="*", metavar="SPEC | key=value", help="specs, and overrides for all of them")
    _add_data(parser)
    parser.add_argument(
        "--resume", metavar="RUN", help="go on with a run: its folder, one of its checkpoints, or `latest`"
    )
    parser.add_argument("--strict", action="store_true", help="refuse to resume where the same bits can't follow")
    parser.add_argument(
        "--save-every",
        type=_seconds,
        default=SAVE_SECONDS,
        metavar="SECONDS",
        help="between two checkpoints within an epoch (default: %(default)g)",
    )
    parser.add_argument("--dry-run", action="store_true", help="try one step with one batch, and write nothing")
    parser.add_argument(
        "--profile", action="store_true", help="show where the time of a training step goes, and keep nothing"
    )
    parser.add_argument("--tensorboard", action="store_true", help="write the metrics for TensorBoard too")
    parser.add_argument("--version", action="version", version=f"yamlnet {__version__}")
    given = vars(parser.parse_intermixed_args(words))
    said = given.pop("words")
    overrides = [word for word in said if "=" in word and not os.path.exists(word)]  # noqa: PTH110  # Path fails on long names
    specs = [word for word in said if word not in overrides]
    if not specs and not given["resume"]:
        parser.error("no spec is given")
    if given["resume"] and len(specs) > 1:
        parser.error("--resume goes on with one run, and several specs are given")
    if given["resume"] and given["dry_run"]:
        parser.error("--dry-run tries a new run, and --resume goes on with another")
    if given["resume"] and given["profile"]:
        parser.error("--profile times a new run, and --resume goes on with another")
    if given["tensorboard"] and given["profile"]:
        parser.error("--tensorboard writes the metrics of a run, and --profile makes none: give one of them")
    if given["dry_run"] and given["profile"]:
        parser.error("--dry-run tries one step, and --profile times several: give one of them")
    return TrainOptions(specs=specs, overrides=overrides, **given)


def test_options(words: Sequence[str]) -> TestOptions:
    """Read the command line behind the word `test`."""
    parser = _parser("runner.py test", "Test a finished run again.")
    parser.add_argument("run", metavar="RUN", help="its folder, or `latest`")
    _add_data(parser)
    return TestOptions(**vars(parser.parse_args(words)))


def predict_options(words: Sequence[str]) -> PredictOptions:
    """Read the command line behind the word `predict`."""
    parser = _parser("runner.py predict", "Say what a finished run takes pictures for.")
    parser.add_argument("run", metavar="RUN", help="its folder, or `latest`")
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="a picture, or a folder of pictures")
    return PredictOptions(**vars(parser.parse_args(words)))


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="where runs are kept (default: runs)")
    parser.add_argument(
        "--device", type=_device_name, metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps; overrides the spec"
    )
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the data set lies, or is downloaded to")
    parser.add_argument("--offline", action="store_true", help="download nothing")
    parser.add_argument("--quiet", action="store_true", help="print the summary only")


def _seconds(text: str) -> float:
    """A positive number."""
    with suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")


def _device_name(text: str) -> str:
    """The text, if it names a device."""
    if not is_device(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not auto, cpu, mps, cuda or cuda:N")
    return text
