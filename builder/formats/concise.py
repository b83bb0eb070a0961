"""A line per problem, for editors and grep."""

from collections.abc import Iterator

from builder.formats.report import Report, unshown
from builder.limits import MAX_SHOWN_PROBLEMS


def concise(report: Report) -> Iterator[str]:
    """`file:line:column: error[code]: message; hint`, then the verdict."""
    for file in report.files:
        for problem in file.problems[:MAX_SHOWN_PROBLEMS]:
            yield f"{problem.location}: {problem.severity}[{problem.code}]: {problem.sentence}"
        if more := unshown(file, MAX_SHOWN_PROBLEMS):
            yield more
    yield report.verdict
