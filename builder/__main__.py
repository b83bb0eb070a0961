"""python -m builder check | show | new | schema | reference: everything that needs no torch.

  python -m builder check PATH...    every problem of every spec below the paths
  python -m builder show SPEC        the table: sizes, receptive fields, parameters, MACs
  python -m builder new NAME         a spec to start from, with comments, in NAME.yaml
  python -m builder schema           the JSON Schema of a spec, for editors
  python -m builder reference        what may be written in a spec, key by key

As the command `yamlnet`, it also takes `yamlnet run SPEC...`, which is runner.py.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from builder.exits import Status, guard, reported, say
from builder.version import __version__

# All else is imported behind `guard`, which listens to Ctrl-C.
if TYPE_CHECKING:
    from builder.plan import Row
    from builder.problems import Problem
    from builder.spec import Spec


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return guard(lambda: _command(words))


def _command(words: Sequence[str]) -> int:
    if words[:1] == ["run"]:
        from runner import run

        return run(words[1:])
    options = _parser().parse_args(words)
    # What follows is read for one command alone: the others start faster.
    if options.command == "check":
        from builder.checking import check, fix

        if options.fix:
            fix(options.paths, options.format)
        return check(options.paths, options.format, options.strict, options.jobs, options.advice)
    if options.command == "show":
        return show(options.spec, options.json)
    if options.command == "new":
        return new(options.name)
    if options.command == "reference":
        from builder.reference import reference_text

        sys.stdout.write(reference_text())
        return Status.DONE
    from builder.editor import schema_text

    sys.stdout.write(schema_text())
    return Status.DONE


def _parser() -> argparse.ArgumentParser:
    from builder.formats import FORMATS

    parser = argparse.ArgumentParser(prog="yamlnet", description="Check and show network specs, without PyTorch.")
    parser.add_argument("--version", action="version", version=f"yamlnet {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    checking = commands.add_parser("check", help="every problem of every spec below the paths")
    checking.add_argument(
        "paths", nargs="+", metavar="PATH", help="a spec, a directory of specs, or - (standard input)"
    )
    checking.add_argument(
        "--format", choices=list(FORMATS), help="how to print (default: full; inside GitHub Actions, annotations too)"
    )
    checking.add_argument(
        "--fix", action="store_true", help="rewrite what is beyond doubt first (a typo, a quoted number), show the diff"
    )
    checking.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")
    checking.add_argument("--advice", action="store_true", help="show advice on the design too; it is never counted")
    checking.add_argument("--explain", action=_Explain, metavar="CODE", help="what a code means, and why; `all` lints")
    checking.add_argument("--jobs", type=_jobs, metavar="N", help="processes (default: one per core for many specs)")
    showing = commands.add_parser("show", help="the table: sizes, receptive fields, parameters, MACs")
    showing.add_argument("spec", metavar="SPEC")
    showing.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    starting = commands.add_parser("new", help="write a spec to start from, with comments")
    starting.add_argument("name", metavar="NAME", help="of the spec: the file is NAME.yaml")
    commands.add_parser("schema", help="the JSON Schema of a spec, for editors")
    commands.add_parser("reference", help="what may be written in a spec, key by key, in Markdown")
    commands.add_parser("run", help="train and test, as runner.py does", add_help=False)
    return parser


class _Explain(argparse.Action):
    """Prints the page of a code, and ends."""

    def __call__(self, parser: argparse.ArgumentParser, *given: Any) -> None:
        from builder.codes import CODES
        from builder.lints import page
        from builder.problems import did_you_mean, printable

        _, code, _ = given
        text = page(code)
        if not text:
            parser.error(
                f"unknown code {printable(code)!r}; {did_you_mean(code, CODES) or 'a report has it in brackets'}"
            )
        sys.stdout.write(text)
        parser.exit()


def _jobs(word: str) -> int:
    if not word.isdecimal() or int(word) == 0:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number of processes, from 1")
    return int(word)


def show(path: str, as_json: bool) -> int:
    """Print the table of a spec, down to the failing layer if one fails."""
    from builder.lints import remarks
    from builder.plan import make_plan, plan_table
    from builder.problems import SpecError
    from builder.spec import load_spec

    spec: Spec | None = None
    rows: Sequence[Row] = ()
    problems: Sequence[Problem] = ()
    try:
        spec = load_spec(path)
        plan = make_plan(spec)
        rows, problems, status = plan.rows, remarks(plan), Status.DONE
    except SpecError as error:
        rows, problems, status = error.rows, error.problems, Status.SPEC
    if as_json:
        print(_document(spec, rows, problems))
        return status
    if spec is not None and rows:
        plan_table(spec, rows).print(sys.stdout)
    if problems:
        sys.stdout.flush()
        reported(SpecError(problems))
    return status


def _document(spec: "Spec | None", rows: "Sequence[Row]", problems: "Sequence[Problem]") -> str:
    import json

    from builder.plan import plan_json
    from builder.workflow import inert

    return inert(json.dumps(plan_json(spec, rows, problems), indent=2))


def new(name: str) -> int:
    """Write a spec to start from, and say what to do with it."""
    from builder.problems import shown_path
    from builder.starter import new_spec, schema_advice

    path = new_spec(name)
    print(f"wrote {shown_path(path)}: python -m builder show {shown_path(path)}")
    if advice := schema_advice(path.parent):
        say(advice)
    return Status.DONE


if __name__ == "__main__":
    sys.exit(main())
