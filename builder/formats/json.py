"""One JSON document, for programs; it holds every problem."""

import json
from collections.abc import Iterator

from builder.formats.report import Report

FORMAT = 1


def json_lines(report: Report) -> Iterator[str]:
    """The document, as one piece of text."""
    document = {
        "format": FORMAT,
        "files": len(report.files),
        "errors": report.num_errors,
        "warnings": report.num_warnings,
        "problems": [problem.to_json() for problem in report.problems],
    }
    yield json.dumps(document, indent=2)
