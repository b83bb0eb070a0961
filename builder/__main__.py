"""python -m builder check | show | schema: everything that needs no torch.

  python -m builder check PATH...    every problem of every spec below the paths
  python -m builder show SPEC        the table: sizes, receptive fields, parameters, MACs
  python -m builder schema           the JSON Schema of a spec, for editors

As the command `yamlnet`, it also takes `yamlnet run SPEC...`, which is runner.py.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from builder import Spec, __version__, load_spec, make_plan
from builder.exits import Status, UsageError, guard, reported
from builder.formats import FORMATS, FileReport, Report
from builder.plan import Row, plan_json, plan_table
from builder.problems import Problem, SpecError, errors, printable
from builder.schema import schema_text
from builder.source import find_specs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return guard(lambda: _command(words))


def _command(words: Sequence[str]) -> int:
    if words[:1] == ["run"]:
        from runner import run

        return run(words[1:])
    options = _parser().parse_args(words)
    if options.command == "check":
        return check(options.paths, options.format, options.strict)
    if options.command == "show":
        return show(options.spec, options.json)
    sys.stdout.write(schema_text())
    return Status.DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="yamlnet", description="Check and show network specs, without PyTorch.")
    parser.add_argument("--version", action="version", version=f"yamlnet {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    checking = commands.add_parser("check", help="every problem of every spec below the paths")
    checking.add_argument("paths", nargs="+", metavar="PATH", help="a spec, or a directory of specs")
    checking.add_argument("--format", choices=list(FORMATS), default="full", help="how to print (default: full)")
    checking.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")
    showing = commands.add_parser("show", help="the table: sizes, receptive fields, parameters, MACs")
    showing.add_argument("spec", metavar="SPEC")
    showing.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    commands.add_parser("schema", help="the JSON Schema of a spec, for editors")
    commands.add_parser("run", help="train and test, as runner.py does", add_help=False)
    return parser


def check(paths: Sequence[str], format_name: str, strict: bool) -> int:
    """Print every problem of every spec below the paths; the first status that isn't 0 counts."""
    reports: list[FileReport] = []
    status = Status.DONE
    for file in _specs_below(paths):
        try:
            if isinstance(file, UsageError):
                raise file
            report = FileReport(str(file), _problems(file))
        except UsageError as error:
            failure = reported(error)
            status = status or failure
            continue
        reports.append(report)
        if errors(report.problems) or (strict and report.problems):
            status = status or Status.SPEC
    if reports or format_name == "json":
        print("\n".join(FORMATS[format_name](Report(reports))))
    return status


def _specs_below(paths: Iterable[str]) -> Iterator[Path | UsageError]:
    """The specs in the order of the paths; in place of those that can't be listed, why not."""
    for path in paths:
        try:
            specs = find_specs(Path(path))
        except UsageError as error:
            yield error
            continue
        yield from specs
        if not specs:
            yield UsageError(f"there is no spec below `{printable(path)}` (a file that ends with .yaml or .yml)")


def _problems(file: Path) -> Sequence[Problem]:
    try:
        return make_plan(load_spec(file)).problems
    except SpecError as error:
        return error.problems


def show(path: str, as_json: bool) -> int:
    """Print the table of a spec, down to the failing layer if one fails."""
    spec: Spec | None = None
    rows: Sequence[Row] = ()
    try:
        spec = load_spec(path)
        plan = make_plan(spec)
        rows, problems, status = plan.rows, plan.problems, Status.DONE
    except SpecError as error:
        rows, problems, status = error.rows, error.problems, Status.SPEC
    if as_json:
        print(json.dumps(plan_json(spec, rows, problems), indent=2))
        return status
    if spec is not None and rows:
        plan_table(spec, rows).print(sys.stdout)
    if problems:
        sys.stdout.flush()
        reported(SpecError(problems))
    return status


if __name__ == "__main__":
    sys.exit(main())
