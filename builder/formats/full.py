"""Code frames, for people."""

from collections.abc import Iterator

from builder.formats.report import Report, unshown
from builder.limits import MAX_SHOWN_PROBLEMS


def full(report: Report) -> Iterator[str]:
    """Each problem with its line and a caret, then the verdict."""
    for file in report.files:
        for problem in file.problems[:MAX_SHOWN_PROBLEMS]:
            yield str(problem)
            yield ""
        if more := unshown(file, MAX_SHOWN_PROBLEMS):
            yield more
            yield ""
    yield report.verdict
