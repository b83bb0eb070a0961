"""Workflow commands, which GitHub Actions turns into annotations of a pull request.

The escaping is that of the runner (github.com/actions/runner, src/Runner.Common/ActionCommand.cs).
"""

from collections.abc import Iterator
from types import MappingProxyType

from builder.formats.report import Report
from builder.formats.repository import in_repository
from builder.limits import MAX_SHOWN_PROBLEMS
from builder.problems import Problem, Severity, printable

_COMMANDS: MappingProxyType[Severity, str] = MappingProxyType(
    {"error": "error", "warning": "warning", "info": "notice"}
)


def github(report: Report) -> Iterator[str]:
    """A command per problem, then the verdict."""
    yield from commands(report)
    yield report.verdict


def commands(report: Report) -> Iterator[str]:
    """`::error file=specs/net.yaml,line=8,col=27,endLine=8,endColumn=38,title=unknown-key::what is wrong`."""
    for file in report.files:
        for problem in file.problems[:MAX_SHOWN_PROBLEMS]:
            yield _command(problem)


def _command(problem: Problem) -> str:
    place = problem.place
    is_in_one_line = place.line == place.end_line  # the runner refuses columns where it isn't
    properties = {
        "file": printable(in_repository(place.source.name)),
        "line": place.line,
        **({"col": place.column} if is_in_one_line else {}),
        "endLine": place.end_line,
        **({"endColumn": place.end_column} if is_in_one_line else {}),
        "title": problem.code,
    }
    written = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    text = "\n".join(filter(None, [problem.message, problem.hint, *(use.text for use in problem.uses)]))
    return f"::{_COMMANDS[problem.severity]} {written}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
