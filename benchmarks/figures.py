"""What came of a comparison, as rows of a table: both sides, and how many times ours is better."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from comparison import THEIRS, Comparison, Measured

from builder.table import Column, Table

COLUMNS = (Column("what"), Column("theirs", "right"), Column("ours", "right"), Column("times better", "right"))


def number(value: float) -> str:
    """Three digits, or all of those before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def percent(value: float) -> str:
    """Of accuracies, which differ behind the point."""
    return f"{value:.2f}"


def spread(values: Sequence[float], center: float, text: Callable[[float], str] = number) -> str:
    """`138 (136 to 141)`; one value alone has no spread."""
    return text(center) + (f" ({text(min(values))} to {text(max(values))})" if len(values) > 1 else "")


@dataclass(frozen=True)
class Figure:
    """A number that sides give."""

    unit: str
    what: str = ""  # behind what is compared, if that alone doesn't say it
    power: int = 0  # of ours over theirs that says how many times ours is better: 1, -1, or 0 if nothing is better
    text: Callable[[float], str] = number


FIGURES: Mapping[str, Figure] = {
    "images_per_second": Figure("images/s", power=1),
    "float32_gflops": Figure("GFLOP/s", "a product of matrices in float32"),
    "bfloat16_gflops": Figure("GFLOP/s", "a product of matrices in bfloat16"),
    "percent_of_ceiling": Figure("%", "share of that reached"),
    "seconds": Figure("s", power=-1),
    "kb_touched": Figure("kB", "read and written for an image", power=-1),
    "kb_allocated": Figure("kB", "allocated for an image", power=-1),
    "megabytes": Figure("MB", "peak of memory", power=-1),
    "megabytes_training": Figure("MB", power=-1),
    "megabytes_testing": Figure("MB", "with a test behind it", power=-1),
    "epochs": Figure("", "epochs"),
    "accuracy": Figure("%", "test accuracy then", text=percent),
}


@dataclass(frozen=True)
class Row:
    """A figure of both sides, round by round; a side may lack it."""

    what: str
    figure: str
    theirs: Sequence[float]
    ours: Sequence[float]
    is_mean: bool  # or the median

    def center(self, values: Sequence[float]) -> float:
        return statistics.mean(values) if self.is_mean else statistics.median(values)

    @property
    def times_better(self) -> Sequence[float]:
        """Of each round in which both took part; empty where nothing is better or worse."""
        power = FIGURES[self.figure].power
        return [(ours / theirs) ** power for ours, theirs in zip(self.ours, self.theirs, strict=False) if power]

    @property
    def whole_times_better(self) -> float:
        """Of all rounds."""
        return (self.center(self.ours) / self.center(self.theirs)) ** FIGURES[self.figure].power

    def cells(self) -> Sequence[str]:
        """One line of the table."""
        ratios = self.times_better
        ratio = spread(ratios, self.whole_times_better) if ratios else ""
        return [self.what, self._cell(self.theirs), self._cell(self.ours), ratio]

    def _cell(self, values: Sequence[float]) -> str:
        figure = FIGURES[self.figure]
        return f"{spread(values, self.center(values), figure.text)} {figure.unit}".strip() if values else ""

    def to_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "figure": self.figure,
            "unit": FIGURES[self.figure].unit,
            "center": "mean" if self.is_mean else "median",
            "theirs": list(self.theirs),
            "ours": list(self.ours),
            "times_better": self.whole_times_better if self.times_better else None,
            "times_better_by_round": list(self.times_better),
        }

    @classmethod
    def of_json(cls, row: Mapping[str, Any]) -> Self:
        return cls(row["what"], row["figure"], row["theirs"], row["ours"], row["center"] == "mean")


def rows_of(comparison: Comparison, measured: Measured) -> Sequence[Row]:
    """For each way of ours, a row per figure; rows behind its first are indented."""
    rows: list[Row] = []
    for side in comparison.ours:
        names = [name for name in FIGURES if any(name in figures for figures in (*measured[side], *measured[THEIRS]))]
        for name in names:
            theirs, ours = ([each[name] for each in measured[which] if name in each] for which in (THEIRS, side))
            whole = ", ".join(filter(None, (comparison.what, side)))
            what = whole if name == names[0] else f"  {FIGURES[name].what}"
            rows.append(Row(what, name, theirs, ours, comparison.is_mean))
    return rows


def table(rows: Sequence[Row]) -> Table:
    """All rows in one table."""
    return Table(COLUMNS, [row.cells() for row in rows])
