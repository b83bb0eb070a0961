"""python -m builder check | show | schema: everything that needs no torch.

  python -m builder check PATH...    every problem of every spec below the paths
  python -m builder show SPEC        the table: sizes, receptive fields, parameters, MACs
  python -m builder schema           the JSON Schema of a spec, for editors

As the command `yamlnet`, it also takes `yamlnet run SPEC...`, which is runner.py.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from builder import __version__, load_spec, make_plan
from builder.exits import Status, UsageError, guard, say
from builder.formats import FORMATS, FileReport, Report
from builder.plan import plan_json, plan_table
from builder.problems import Problem, SpecError
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
    """Print every problem of every spec below the paths."""
    reports: list[FileReport] = []
    missing = False
    for path in paths:
        try:
            reports += [FileReport(str(file), _problems(file)) for file in _specs_below(path)]
        except UsageError as error:
            say(str(error))
            missing = True
    report = Report(reports)
    if reports:
        print("\n".join(FORMATS[format_name](report)))
    if report.num_errors or (strict and report.num_warnings):
        return Status.SPEC
    return Status.USAGE if missing else Status.DONE


def _specs_below(path: str) -> list[Path]:
    specs = find_specs(Path(path))
    if not specs:
        raise UsageError(f"there is no spec below {path} (a file that ends with .yaml or .yml)")
    return specs


def _problems(file: Path) -> Sequence[Problem]:
    try:
        return make_plan(load_spec(file)).problems
    except SpecError as error:
        return error.problems


def show(path: str, as_json: bool) -> int:
    """Print the table of a spec, down to the failing layer if one fails."""
    spec = load_spec(path)
    try:
        rows, problems, complete = make_plan(spec).rows, spec.problems, True
    except SpecError as error:
        rows, problems, complete = error.rows, error.problems, False
    if as_json:
        print(json.dumps(plan_json(spec, rows, problems, complete), indent=2))
    elif rows:
        plan_table(spec, rows).print(sys.stdout)
    if problems and not as_json:
        sys.stdout.flush()
        print("\n\n".join(str(problem) for problem in problems), file=sys.stderr)
    return Status.DONE if complete else Status.SPEC


if __name__ == "__main__":
    sys.exit(main())
