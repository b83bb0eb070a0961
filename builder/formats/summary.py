"""The page that GitHub Actions shows of a step: a table of all specs, in Markdown."""

from collections.abc import Sequence

from builder.formats.report import FileReport, Report
from builder.formats.repository import in_repository
from builder.layers.base import shape_text
from builder.table import Column, Table

MAX_BYTES = 1_000_000  # GitHub refuses a page above 1 MB

COLUMNS = (
    Column("spec"),
    Column("output", "right"),
    Column("params", "right"),
    Column("MACs", "right"),
    Column("field", "right"),
    Column("verdict"),
)
NOTES = (
    "field: receptive field in pixels; * covers the whole input",
    "MACs: multiply-accumulates for one image, bias excluded (FLOPs = 2 x MACs)",
)


def step_summary(report: Report, max_bytes: int = MAX_BYTES) -> str:
    """A row per spec: what its network comes to, and its verdict.

    Where that is too long, specs without problems are left out, then the last ones; a note says how many.
    """
    page = _page(report, report.files)
    if len(page.encode()) <= max_bytes:
        return page
    files = sorted(report.files, key=lambda file: not file.problems)
    while files and len(page.encode()) > max_bytes:
        files = files[: len(files) * max_bytes // len(page.encode())]
        page = _page(report, files)
    return page if files else ""


def _page(report: Report, files: Sequence[FileReport]) -> str:
    left_out = len(report.files) - len(files)
    notes = (*NOTES, f"{left_out:,} more specs are not shown") if left_out else NOTES
    return Table(COLUMNS, [_cells(file) for file in files], title=report.verdict, notes=notes).markdown() + "\n"


def _cells(file: FileReport) -> tuple[str, ...]:
    totals = file.totals
    if totals is None:
        return (in_repository(file.file), "", "", "", "", file.verdict)
    height, width = totals.receptive_field.size
    field = str(height) if height == width else f"{height}x{width}"
    return (
        in_repository(file.file),
        shape_text(totals.output),
        f"{totals.params:,}",
        f"{totals.macs:,}",
        field + (" *" if totals.receptive_field.covers_input else ""),
        file.verdict,
    )
