"""The rows of a plan as a table, and as JSON."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from builder.layers.base import shape_text
from builder.plan.rows import GroupRow, Row, with_levels
from builder.problems import Problem, errors
from builder.spec import Spec
from builder.table import Column, Table

FORMAT = 1
INDENT = "  "  # for each level that a row stands below another
MAX_FITTING = 3  # rows that are shown before a layer that fails


def plan_table(spec: Spec, rows: Sequence[Row]) -> Table:
    """The rows as a table, with totals; of a spec that fails, the rows before the failing layer.

    What a composite holds stands below it, indented. Where `round_to` changed a number, the one asked for is shown.
    """
    levels = list(with_levels(rows))
    rounds = any(row.requested for row, _ in levels)
    columns = (
        Column("name"),
        Column("kind", drop=4),
        Column("line", "right", drop=6),
        Column("input", "right", drop=7),
        Column("output", "right"),
        Column("field", "right"),
        Column("stride", "right", drop=5),
        Column("params", "right"),
        Column("MACs", "right", drop=3),
        *([Column("rounded from", drop=2)] if rounds else []),
    )
    totals = ("total", "", "", "", "", "", "", f"{sum(r.params for r in rows):,}", f"{sum(r.macs for r in rows):,}", "")
    notes = ["field: receptive field in pixels; stride: pixels from one unit to the next; * covers the whole input"]
    notes += ["MACs: multiply-accumulates for one image, bias excluded (FLOPs = 2 x MACs)"]
    buffers = sum(row.buffers for row in rows)
    notes += [f"buffers (running statistics, not learned): {buffers:,}"] if buffers else []
    title = f"{spec.name}: input {shape_text(spec.input)}"
    cells = [_cells(row, level)[: len(columns)] for row, level in levels]
    return Table(columns, cells, totals[: len(columns)], title, notes)


def _cells(row: Row, level: int) -> tuple[str, ...]:
    field = row.receptive_field
    leaving = (
        shape_text(row.out_shape),
        _pair_text(field.size) + (" *" if field.covers_input else "  "),
        _pair_text(field.stride),
    )
    return (
        INDENT * level + row.name,
        row.kind,
        "" if row.line is None else str(row.line),
        shape_text(row.in_shape),
        *(("", "", "") if is_open(row) else leaving),
        f"{row.params:,}",
        f"{row.macs:,}",
        ", ".join(f"{name} {_number_text(number)}" for name, number in row.requested.items()),
    )


def is_open(row: Row) -> bool:
    """Whether a layer inside failed."""
    return isinstance(row, GroupRow) and row.is_open


def last_fitting(spec: Spec, rows: Sequence[Row]) -> list[str]:
    """The end of the table of a spec in which a layer fails, in columns: name, kind, and what the row gives.

    The last rows before that layer are shown, and the composites that it stands in; nothing if it is the first.
    """
    way = list(_down_to_failure(rows))
    fitting = [row for row, _ in way if not is_open(row)]
    if not fitting:
        return []
    last = fitting[-MAX_FITTING:]
    begin = ("...", "", "") if len(last) < len(fitting) else ("input", "", shape_text(spec.input))
    shown = [(row, level) for row, level in way if is_open(row) or any(row is other for other in last)]
    cells = [begin, *(_fitting_cells(row, level) for row, level in shown)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]


def _down_to_failure(rows: Sequence[Row], level: int = 0) -> Iterator[tuple[Row, int]]:
    """The rows, and those in the composites in which a layer failed, with their levels."""
    for row in rows:
        yield row, level
        if is_open(row):
            yield from _down_to_failure(row.rows, level + 1)


def _fitting_cells(row: Row, level: int) -> tuple[str, str, str]:
    return INDENT * level + row.name, row.kind, "" if is_open(row) else shape_text(row.out_shape)


def _number_text(number: float) -> str:
    return f"{number:,.6g}"


def _pair_text(pair: tuple[int, int] | tuple[Fraction, Fraction]) -> str:
    height, width = pair
    return str(height) if height == width else f"{height}x{width}"


def plan_json(spec: Spec | None, rows: Sequence[Row], problems: Sequence[Problem]) -> dict[str, object]:
    """What `show --json` prints.

    Of a spec with errors, totals are null and the layers end before the failing one; of a spec that can't be read
    (None), so are its name and its input.
    """
    complete = not errors(problems)
    return {
        "format": FORMAT,
        "name": spec.name if spec else None,
        "input": list(spec.input) if spec else None,
        "output": list(rows[-1].out_shape) if complete else None,
        "params": sum(row.params for row in rows) if complete else None,
        "macs": sum(row.macs for row in rows) if complete else None,
        "layers": [row.to_json() for row in rows if not is_open(row)],
        "problems": [problem.to_json() for problem in problems],
    }
