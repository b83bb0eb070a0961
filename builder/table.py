"""Columns and rows to text, by rich, and to Markdown. Knows nothing of layers."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal

from builder.problems import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

UNBOUNDED = 10_000  # wider than any table of ours

# What means something in GitHub's Markdown, inside a line: emphasis, code, links, HTML, cells, math, names, emoji.
_MARKUP = re.compile(r"[\\`*_{}\[\]<>#|~&@$^!]|:(?=//|[\w+-]+:)|(?<=www)\.", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column's title and side. Where the terminal is narrow, columns are left out, the highest `drop` first."""

    title: str
    justify: Literal["left", "right"] = "left"
    drop: int = 0  # 0 is never left out


@dataclass(frozen=True)
class Table:
    """Rows of text below titles, with a last row of totals and lines of notes if wanted."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    totals: Sequence[str] | None = None
    title: str = ""
    notes: Sequence[str] = ()

    def text(self) -> str:
        """The whole table as plain text, as wide as it needs."""
        from rich.console import Console

        console = Console(file=io.StringIO(), width=UNBOUNDED, color_system=None, highlight=False, emoji=False)
        with console.capture() as capture:
            self._print(console, range(len(self.columns)))
        return "\n".join(line.rstrip() for line in capture.get().splitlines()).strip("\n")

    def markdown(self) -> str:
        """The whole table as GitHub writes tables; user text in it is text, whatever it looks like."""
        title = [f"**{_as_markdown(self.title)}**", ""] if self.title else []
        titles = [_as_markdown(column.title) for column in self.columns]
        sides = ["---:" if column.justify == "right" else ":---" for column in self.columns]
        rows = [[_as_markdown(cell) for cell in row] for row in self.rows]
        if self.totals:
            rows.append([f"**{_as_markdown(cell)}**" if cell else "" for cell in self.totals])
        notes = [line for note in self.notes for line in ("", _as_markdown(note))]
        return "\n".join([*title, *map(_markdown_row, [titles, sides, *rows]), *notes])

    def print(self, stream: IO[str]) -> None:
        """Write the table: whole into a pipe or a file, as wide as the terminal into a terminal.

        There, columns that don't fit are left out, and a line below says which.
        """
        from rich.console import Console

        console = Console(file=stream, highlight=False, emoji=False)
        if console.is_terminal:
            self._print(console, self._fitting(console))
        else:
            text = self.text()
            is_unicode = "utf" in (getattr(stream, "encoding", None) or "utf-8").lower()
            stream.write((text if is_unicode else text.replace("\u2500", "-")) + "\n")

    def _print(self, console: "Console", kept: Sequence[int]) -> None:
        from rich.text import Text

        console.print(self._renderable(kept))
        left_out = [column.title for index, column in enumerate(self.columns) if index not in kept]
        notes = [*self.notes, f"not shown in this width: {', '.join(left_out)}"] if left_out else self.notes
        for note in notes:
            console.print(Text(printable(note)))

    def _renderable(self, kept: Sequence[int]) -> "RichTable":
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(
            box=box.SIMPLE_HEAD,
            title=Text(printable(self.title)) if self.title else None,
            title_justify="left",
            show_footer=self.totals is not None,
            show_edge=False,
            padding=(0, 1, 0, 0),
        )
        for index in kept:
            column = self.columns[index]
            footer = Text(printable(self.totals[index] if self.totals else ""))
            table.add_column(Text(printable(column.title)), footer, justify=column.justify, overflow="fold")
        for row in self.rows:
            table.add_row(*(Text(printable(row[index])) for index in kept))
        return table

    def _fitting(self, console: "Console") -> list[int]:
        """The columns that fit into the console; those that are never left out stay, and fold."""
        kept = list(range(len(self.columns)))
        for index in sorted(kept, key=lambda index: -self.columns[index].drop):
            wide = console.options.update(width=UNBOUNDED)
            if (
                self.columns[index].drop == 0
                or console.measure(self._renderable(kept), options=wide).maximum <= console.width
            ):
                break
            kept.remove(index)
        return kept


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _as_markdown(text: str) -> str:
    indent = len(text) - len(text.lstrip(" "))
    return "&nbsp;" * indent + _MARKUP.sub(r"\\\g<0>", printable(text.strip(" ")))
