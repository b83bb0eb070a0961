"""What is wrong with a spec, and where: the one module that formats a location.

A `Problem` is data. `formats/` and `SpecError` turn problems into text with `Problem.location` and `Problem.frame`.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from os import PathLike, fspath
from typing import Any, Literal

from builder.exits import Status, Stop
from builder.limits import MAX_SHOWN_PROBLEMS
from builder.workflow import inert

COMMAND_LINE = "command line"
MAX_SHOWN_VALUE = 60  # characters of a value inside a message
MAX_COMPARED = 500  # words that a misspelt one may stand for
CERTAIN_LIKENESS = 0.75  # of a misspelt word to the only one that it may stand for
MAX_SHOWN_LINE = 160  # characters of a line inside a code frame
MAX_SHOWN_USES = 6  # calls below a code frame

Severity = Literal["error", "warning", "info"]  # an info is advice: shown when asked for, never counted

# The line breaks of YAML 1.1, which are those that libyaml counts.
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


@dataclass(frozen=True)
class Source:
    """A text that problems point into: a spec file, or (a part of) one override of the command line."""

    name: str
    text: str
    lead: str = ""  # what stands before the text in its first line: an override's path, before its value

    @cached_property
    def lines(self) -> list[str]:
        return _LINE_BREAK.split(self.text)

    @property
    def is_override(self) -> bool:
        return self.name == COMMAND_LINE


@dataclass(frozen=True, slots=True)
class Place:
    """A span of characters in a source. Lines and columns count from 1; the end is exclusive."""

    source: Source
    line: int
    column: int
    end_line: int
    end_column: int

    @property
    def text(self) -> str:
        """The line that the place starts in."""
        lines = self.source.lines
        line = lines[self.line - 1] if self.line <= len(lines) else ""
        return self.source.lead + line if self.line == 1 else line

    @property
    def location(self) -> str:
        """`specs/net.yaml:8:27`."""
        if self.source.is_override:
            return COMMAND_LINE
        return f"{printable(self.source.name)}:{self.line}:{self.column}"

    @property
    def span(self) -> tuple[int, int]:
        """Where in `text` the place begins and ends; it is at least one character wide."""
        shift = len(self.source.lead) - 1 if self.line == 1 else -1
        first = max(0, self.column + shift)
        last = self.end_column + shift if self.end_line == self.line else len(self.text)
        return first, max(first + 1, min(last, len(self.text)))


@dataclass(frozen=True, slots=True)
class Use:
    """A call of a block, inside of which something is wrong."""

    block: str
    place: Place

    @property
    def text(self) -> str:
        return f"in block `{printable(self.block)}`, used at {self.place.location}"


@dataclass(frozen=True)
class Problem:
    """One mistake: a stable `code`, what is wrong (`message`), what would be right (`hint`), and where.

    `path` leads through the spec (`layers[3].conv2d.kernel_size`); it is empty where the text itself is broken.
    `uses` are the calls that led into the block where it stands, the innermost first.
    `replacement` is what to write at the place instead, where that is beyond doubt (`check --fix` does).
    """

    code: str
    message: str
    place: Place
    hint: str = ""
    path: str = ""
    severity: Severity = "error"
    uses: tuple[Use, ...] = ()
    replacement: str = ""

    def __post_init__(self) -> None:
        for name in ("message", "hint"):  # both may quote what a person wrote
            object.__setattr__(self, name, printable(getattr(self, name)))

    def fixed_by(self, replacement: str) -> "Problem":
        """The same, with what to write at its place."""
        return replace(self, replacement=replacement)

    @property
    def location(self) -> str:
        """`specs/net.yaml:8:27`, or `command line: training.epochs`."""
        if self.place.source.is_override:
            return f"{COMMAND_LINE}: {printable(self.path)}" if self.path else COMMAND_LINE
        return self.place.location

    @property
    def headline(self) -> str:
        return f"{self.severity}[{self.code}]: {self.message}"

    @property
    def sentence(self) -> str:
        """The message, the hint and the innermost use in one line."""
        sentence = f"{self.message}; {self.hint}" if self.hint else self.message
        return f"{sentence} ({self.uses[0].text})" if self.uses else sentence

    def frame(self) -> list[str]:
        """The lines of the code frame: the location, the source line, and a caret line with the hint."""
        number = "" if self.place.source.is_override else str(self.place.line)
        margin = " " * len(number)
        text, start, width = _window(self.place)
        carets = " " * start + "^" * width
        return [
            f"{margin}--> {self.location}",
            f"{margin} |",
            f"{number} | {text}".rstrip(),
            f"{margin} | {carets} {self.hint}".rstrip(),
            *(f"{margin} = {text}" for text in self._shown_uses()),
        ]

    def _shown_uses(self) -> list[str]:
        """The calls, without most of those in the middle where there are many."""
        texts = [use.text for use in self.uses]
        left_out = len(texts) - MAX_SHOWN_USES
        return texts if left_out < 2 else [*texts[: MAX_SHOWN_USES - 1], f"... and {left_out} more", texts[-1]]

    def to_json(self) -> dict[str, object]:
        """The problem as `check --format json` prints it; an override has no line."""
        place = self.place
        at_line = not place.source.is_override
        uses = [_use_json(use) for use in self.uses]
        return {
            "file": place.source.name,
            "line": place.line if at_line else None,
            "column": place.column if at_line else None,
            "end_line": place.end_line if at_line else None,
            "end_column": place.end_column if at_line else None,
            "code": self.code,
            "severity": self.severity,
            "path": self.path,
            "message": self.message,
            "hint": self.hint,
        } | ({"used_at": uses} if uses else {})

    def __str__(self) -> str:
        return "\n".join([self.headline, *self.frame()])


def _use_json(use: Use) -> dict[str, object]:
    at_line = not use.place.source.is_override
    return {
        "block": use.block,
        "file": use.place.source.name,
        "line": use.place.line if at_line else None,
        "column": use.place.column if at_line else None,
    }


class SpecError(Stop):
    """A spec has errors. `problems` holds all that were found, `rows` the table before the failing layer."""

    status = Status.SPEC

    def __init__(self, problems: Sequence[Problem], rows: Sequence[Any] = ()) -> None:
        super().__init__(problems, rows)
        self.problems = tuple(in_order(problems))
        self.rows = tuple(rows)

    def __str__(self) -> str:
        shown = [str(problem) for problem in self.problems[:MAX_SHOWN_PROBLEMS]]
        more = len(self.problems) - len(shown)
        return "\n\n".join([*shown, f"... and {more} more"] if more else shown)

    @property
    def report(self) -> str:
        return inert(str(self))


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """As they stand in the text."""
    return sorted(problems, key=_order)


def _order(problem: Problem) -> tuple[str, int, int]:
    return (problem.place.source.name, problem.place.line, problem.place.column)


def errors(problems: Iterable[Problem]) -> list[Problem]:
    """Those that must be mended."""
    return [problem for problem in problems if problem.severity == "error"]


def warnings(problems: Iterable[Problem]) -> list[Problem]:
    """Those that should be mended; advice is not among them."""
    return [problem for problem in problems if problem.severity == "warning"]


def suggest(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """The known word that `word` most probably means, or an empty text; a `likeness` of 1 is the word itself.

    Among very many words none is looked for: it would take long, once for each of perhaps as many mistakes.
    """
    words = list(known)
    if len(words) > MAX_COMPARED:
        return ""
    if matches := get_close_matches(word, words, n=1, cutoff=likeness):
        return matches[0]
    parts = [other for other in words if len(word) > 2 and (other.startswith(word) or word in other.split("_"))]
    return parts[0] if len(parts) == 1 else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint for a misspelt word, empty if nothing known is close."""
    match = suggest(word, known)
    return f"did you mean {show(match)}?" if match else ""


def certain(word: str, known: Iterable[str]) -> str:
    """The only known word that `word` can be a misspelling of, or an empty text."""
    words = list(known)
    if len(words) > MAX_COMPARED:
        return ""
    matches = [other for other in words if _letters(other) == _letters(word)]  # `BatchNorm2d`, `max-pool2d`
    matches = matches or get_close_matches(word, words, n=2, cutoff=CERTAIN_LIKENESS)
    return matches[0] if len(matches) == 1 else ""


def _letters(word: str) -> str:
    return "".join(char for char in word.lower() if char.isalnum())


def either(words: Sequence[object]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return _joined(words, "or")


def both(words: Sequence[object]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return _joined(words, "and")


def _joined(words: Sequence[object], last: str) -> str:
    shown = [str(word) for word in words]
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} {last} {shown[-1]}"


def show(value: object) -> str:
    """A value as YAML would write it, in backticks, on one line, never longer than `MAX_SHOWN_VALUE`."""
    return f"`{printable(_elided(_as_yaml(value)))}`"


def _as_yaml(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_as_yaml(item)}" for key, item in _first(value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_as_yaml(item) for item in _first(value)) + "]"
    return str(value)


def _first(items: Iterable[Any]) -> list[Any]:
    """As many items as can be shown; a message about a huge list stays cheap."""
    return [item for item, _ in zip(items, range(MAX_SHOWN_VALUE), strict=False)]


def _elided(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_VALUE else f"{text[: MAX_SHOWN_VALUE - 3]}..."


def printable(text: str) -> str:
    """User text made safe for a terminal, a table and a CI log: control and direction characters are escaped."""
    return "".join(char if _is_harmless(char) else _escape(char) for char in text)


def shown_path(path: str | PathLike[str]) -> str:
    """A path as it stands in a sentence."""
    return printable(fspath(path))


def _is_harmless(char: str) -> bool:
    # A space that isn't the plain one would be an invisible mistake.
    return char == " " or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs")


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _window(place: Place) -> tuple[str, int, int]:
    """The shown part of the line, and where in it the carets start and how many there are."""
    text = place.text
    first, last = place.span
    cut = max(0, first - MAX_SHOWN_LINE // 2) if len(text) > MAX_SHOWN_LINE else 0
    end = min(len(text), cut + MAX_SHOWN_LINE)
    lead = "..." if cut else ""
    before = lead + printable(text[cut:first])
    marked = printable(text[first : min(last, end)])
    after = printable(text[min(last, end) : end]) + ("..." if end < len(text) else "")
    return before + marked + after, _cells(before), max(1, _cells(marked))


def _cells(text: str) -> int:
    """How many columns of a terminal the text takes: wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
