"""`check`: every problem of every spec below some paths, printed in one of the formats."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from builder.exits import Status, UsageError, reported, say
from builder.formats import DOCUMENTS, FORMATS, FileReport, Report, Totals
from builder.formats.github import commands
from builder.formats.summary import MAX_BYTES, step_summary
from builder.lints import remarks
from builder.plan import last_fitting, make_plan, paused_collector
from builder.problems import Problem, SpecError, errors, printable
from builder.processes import mapped
from builder.source import STDIN, find_specs, is_base
from builder.spec import Spec, check_base, load_spec
from builder.workflow import in_actions, inert

File = Path | str  # a path, or "-" for standard input


def check(
    paths: Sequence[str],
    format_name: str | None = None,
    strict: bool = False,
    jobs: int | None = None,
    advice: bool = False,
) -> int:
    """Print every problem of every spec below the paths; the first status that isn't 0 counts.

    Without a format, people get code frames; inside GitHub Actions also annotations and a table of all specs.
    """
    reports: list[FileReport] = []
    status = Status.DONE
    for result in _results(list(_specs_below(paths)), jobs, advice):
        if isinstance(result, UsageError):
            failure = reported(UsageError(inert(str(result))))
            status = status or failure
            continue
        reports.append(result)
        if errors(result.problems) or (strict and result.faults):
            status = status or Status.SPEC
    if reports or format_name in DOCUMENTS:
        _print(Report(reports), format_name)
    return status


def fix(paths: Sequence[str], format_name: str | None = None) -> None:
    """Rewrite what is beyond doubt in every spec below the paths, and show the difference.

    It goes to standard error where standard output is one document.

    Raises:
        OutputError: a spec can't be written.
    """
    from builder.fixing import fixed  # read for this option alone: the others start faster

    stream = sys.stderr if format_name in DOCUMENTS else sys.stdout
    for file in _specs_below(paths):
        if isinstance(file, Path):  # what can't be listed or written, the check tells
            with contextlib.suppress(UsageError, SpecError):
                stream.writelines(f"{inert(line)}\n" for line in fixed(file, _problems))


def _problems(file: Path) -> Sequence[Problem]:
    result = _checked(file, advice=False)
    return () if isinstance(result, UsageError) else result.problems


def _print(report: Report, format_name: str | None) -> None:
    lines = FORMATS[format_name or "full"](report)
    if format_name != "github":
        lines = map(inert, lines)
    if format_name is None and in_actions():
        _write_step_summary(report)
        lines = iter([*commands(report), *lines])
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _specs_below(paths: Iterable[str]) -> Iterator[File | UsageError]:
    """The specs in the order of the paths; in place of those that can't be listed, why not."""
    for path in paths:
        if path == "-":
            yield path
            continue
        try:
            specs = find_specs(Path(path))
        except UsageError as error:
            yield error
            continue
        yield from specs
        if not specs:
            yield UsageError(f"there is no spec below `{printable(path)}` (a file that ends with .yaml or .yml)")


def _results(files: Sequence[File | UsageError], jobs: int | None, advice: bool) -> Iterator[FileReport | UsageError]:
    # Only this process can read standard input.
    return mapped(partial(_checked, advice=advice), files, 1 if "-" in files else jobs)


@paused_collector()
def _checked(file: File | UsageError, advice: bool) -> FileReport | UsageError:
    if isinstance(file, UsageError):
        return file
    name = STDIN if file == "-" else str(file)
    try:
        if isinstance(file, Path) and is_base(file):
            return FileReport(name, check_base(file))
        return _planned(name, load_spec(file), advice)
    except SpecError as error:
        return FileReport(name, error.problems)
    except UsageError as error:
        return error


def _planned(name: str, spec: Spec, advice: bool) -> FileReport:
    try:
        plan = make_plan(spec)
    except SpecError as error:
        is_of_layer = any(problem.path.startswith(("layers[", "blocks.")) for problem in errors(error.problems))
        return FileReport(name, error.problems, last_fitting=last_fitting(spec, error.rows) if is_of_layer else ())
    return FileReport(name, remarks(plan, advice), Totals.of(plan))


def _write_step_summary(report: Report) -> None:
    """Append the table to the page of this step, whose file the runner names."""
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return
    try:
        with Path(name).open("a", encoding="utf-8") as page:
            page.write(step_summary(report, MAX_BYTES - page.tell()))
    except OSError as error:
        say(f"can't write the summary of the step: {error.strerror}")
