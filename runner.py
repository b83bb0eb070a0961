"""Train and test the network that a YAML spec describes.

python runner.py specs/net.yaml                          check, plan, build, train, test, summarise
python runner.py specs/net.yaml training.epochs=3        with something changed for this run
python runner.py specs/net.yaml 'layers[0].conv2d.out_channels=16'
python runner.py specs/lenet5.yaml specs/tiny.yaml       one run each, then a comparison
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder import Spec, __version__, load_spec, make_plan
from builder.exits import Status, Stop, guard, reported, say
from builder.lints import remarks
from builder.plan import Plan, Row, plan_table
from builder.problems import SpecError
from builder.recipe import is_device
from builder.requirements import require_training_packages

if TYPE_CHECKING:
    from builder.training.result import RunResult


@dataclass(frozen=True)
class Options:
    """What this run was asked to do; none of it belongs to the recipe."""

    specs: Sequence[str]
    overrides: Sequence[str]
    data_dir: Path | None
    runs: Path
    offline: bool
    device: str | None
    quiet: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every spec of the command line and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return guard(lambda: run(words))


def run(words: Sequence[str]) -> int:
    """Try every spec; the first status that isn't 0 counts."""
    options = parse(words)
    results: list[RunResult] = []
    status = Status.DONE
    for path in options.specs:
        try:
            result = run_spec(path, options)
            results.append(result)
            result.plan.spec.budget.check_accuracy(result.plan.name, result.test.accuracy)
        except Stop as stop:
            failure = reported(stop)
            status = status or failure
    if len(options.specs) > 1 and results:
        from builder.report.summary import comparison_table

        comparison_table(results).print(sys.stdout)
    return status


def run_spec(path: str, options: Options) -> "RunResult":
    """One spec, from its text to its summary."""
    spec = load_spec(path, options.overrides)
    recipe = spec.require_recipe()
    plan = show_plan(spec, options.quiet)
    require_training_packages()

    import torch

    from builder.model import build_model
    from builder.report.progress import Progress
    from builder.report.summary import summary_table
    from builder.training.data import load_data
    from builder.training.device import choose_device
    from builder.training.loop import train
    from builder.training.result import RunResult
    from builder.training.run_directory import RunDirectory

    device = choose_device(options.device or recipe.device)
    data = load_data(
        recipe.dataset, data_dir=options.data_dir, offline=options.offline, device=device, quiet=options.quiet
    )
    if data.fallback_used:
        say(f"training on {data.dataset.kind} instead of {recipe.dataset.kind}: {data.fallback_reason}")
    directory = RunDirectory.create(options.runs, spec)
    torch.manual_seed(recipe.seed)
    model = build_model(plan).to(device)
    epochs = []
    with Progress(recipe.epochs, len(data.train), options.quiet) as progress:
        for epoch in train(model, data, recipe, progress.observe):
            directory.log(epoch.to_json())
            progress.finish_epoch(epoch)
            epochs.append(epoch)
    directory.save_weights(model)
    result = RunResult(plan, recipe, data.dataset, data.fallback_reason, device, tuple(epochs), directory.path)
    directory.save_summary(result.to_json())
    summary_table(result).print(sys.stdout)
    return result


def show_plan(spec: Spec, quiet: bool) -> Plan:
    """Make the plan; print its table, down to the failing layer if one fails, and its warnings."""
    rows: Sequence[Row] = ()
    try:
        plan = make_plan(spec)
        rows = plan.rows
    except SpecError as error:
        rows = error.rows
        raise
    finally:
        if rows and not quiet:
            plan_table(spec, rows).print(sys.stdout)
    warnings = remarks(plan)
    if warnings and not quiet:
        sys.stdout.flush()
        reported(SpecError(warnings))
    return plan


def parse(words: Sequence[str]) -> Options:
    """Read the command line; an argument with `=` that is no existing file is an override."""
    parser = argparse.ArgumentParser(
        prog="runner.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="+", metavar="SPEC | key=value", help="specs, and overrides for all of them")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where the data set lies, or is downloaded to")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept (default: runs)"
    )
    parser.add_argument("--offline", action="store_true", help="download nothing")
    parser.add_argument(
        "--device", type=device_name, metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps; overrides the spec"
    )
    parser.add_argument("--quiet", action="store_true", help="print the summary only")
    parser.add_argument("--version", action="version", version=f"yamlnet {__version__}")
    given = parser.parse_intermixed_args(words)
    overrides = [word for word in given.words if "=" in word and not os.path.exists(word)]  # noqa: PTH110  # Path fails on long names
    specs = [word for word in given.words if word not in overrides]
    if not specs:
        parser.error("no spec is given")
    return Options(specs, overrides, given.data_dir, given.runs, given.offline, given.device, given.quiet)


def device_name(text: str) -> str:
    """The text, if it names a device."""
    if not is_device(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not auto, cpu, mps, cuda or cuda:N")
    return text


if __name__ == "__main__":
    sys.exit(main())
