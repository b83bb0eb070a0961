"""Problems as text, one module per format; places come formatted from `problems.py`.

A `Report` is what `check` found. Each format is a function from a report to lines.
"""

from collections.abc import Callable, Iterator
from types import MappingProxyType

from builder.formats.concise import concise
from builder.formats.full import full
from builder.formats.github import github
from builder.formats.json import json_lines
from builder.formats.report import FileReport, Report, Totals
from builder.formats.sarif import sarif

FORMATS: MappingProxyType[str, Callable[[Report], Iterator[str]]] = MappingProxyType(
    {"full": full, "concise": concise, "json": json_lines, "github": github, "sarif": sarif}
)
DOCUMENTS = ("json", "sarif")  # one document, even if there is nothing to say

__all__ = ["DOCUMENTS", "FORMATS", "FileReport", "Report", "Totals"]
