"""Code frames, for people."""

from collections.abc import Iterator

from builder.formats.report import Report, unshown
from builder.limits import MAX_SHOWN_PROBLEMS


def full(report: Report) -> Iterator[str]:
    """Each problem with its line and a caret, what fits before a layer that doesn't, then the verdict."""
    for file in report.files:
        for problem in file.problems[:MAX_SHOWN_PROBLEMS]:
            yield str(problem)
            yield ""
        if more := unshown(file, MAX_SHOWN_PROBLEMS):
            yield more
            yield ""
        if file.last_fitting:
            yield "the last layers that fit, and what they give:"
            yield from (f"  {line}" for line in file.last_fitting)
            yield ""
    yield report.verdict
