"""From characters of a text, counted from 0, to the places that problems name."""

from bisect import bisect_right

from builder.problems import Place, Source


class Positions:
    """A source whose characters, counted from 0, can be turned into places."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.starts = _line_starts(source)

    def line_of(self, index: int) -> int:
        """The line, counted from 1, that a character stands in."""
        return bisect_right(self.starts, index)

    def line_start(self, index: int) -> int:
        return self.starts[self.line_of(index) - 1]

    def line_text(self, line: int) -> str:
        return self.source.lines[line - 1]

    def line_end(self, index: int) -> int:
        """Where the text of the line ends, blanks after it left out."""
        return self.line_start(index) + len(self.line_text(self.line_of(index)).rstrip())

    def place(self, first: int, last: int) -> Place:
        """The span from the character `first` to before the character `last`."""
        start, end = self.line_of(first), self.line_of(last)
        return Place(self.source, start, first - self.starts[start - 1] + 1, end, last - self.starts[end - 1] + 1)


def _line_starts(source: Source) -> list[int]:
    starts, position = [], 0
    for line in source.lines:
        starts.append(position)
        position += len(line)
        position += 2 if source.text.startswith("\r\n", position) else 1
    return starts
