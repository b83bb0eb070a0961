"""`check --fix`: what is beyond doubt is rewritten at its characters, and nothing else in the file changes."""

import contextlib
import difflib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from builder.exits import OutputError
from builder.problems import Place, Problem, Source, printable
from builder.source import read_file
from builder.source.positions import Positions

Check = Callable[[Path], Sequence[Problem]]
MAX_PASSES = 10  # a mistake that is mended may have hidden another


def fixed(path: Path, check: Check) -> list[str]:
    """Rewrite a spec as far as its problems say how; the lines of a unified diff, none if nothing changed.

    Raises:
        SpecError, UsageError: the file can't be read.
        OutputError: the file can't be written; it stays as it was.
    """
    before, _ = read_file(path)
    after = before
    for _ in range(MAX_PASSES):
        text = rewritten(after, check(path))
        if text == after.text:
            break
        _replace(path, after.text, text)
        after = Source(before.name, text)
    old, new = before.text.splitlines(), after.text.splitlines()
    return [
        printable(line) for line in difflib.unified_diff(old, new, before.name, f"{before.name} (fixed)", lineterm="")
    ]


def rewritten(source: Source, problems: Sequence[Problem]) -> str:
    """The text with every replacement that the problems know, each once."""
    text = source.text
    for first, last, replacement in sorted(_edits(source, problems), reverse=True):
        text = text[:first] + replacement + text[last:]
    return text


def _edits(source: Source, problems: Sequence[Problem]) -> Iterator[tuple[int, int, str]]:
    """(first character, character behind the last, what to write); those that overlap others are left out."""
    positions = Positions(source)
    spans = {
        _span(positions, problem.place): problem.replacement
        for problem in problems
        if problem.replacement and problem.place.source.name == source.name
    }
    end = 0
    for (first, last), replacement in sorted(spans.items()):
        if first >= end:
            yield first, last, replacement
            end = last


def _span(positions: Positions, place: Place) -> tuple[int, int]:
    start, end = positions.starts[place.line - 1], positions.starts[place.end_line - 1]
    return start + place.column - 1, end + place.end_column - 1


def _replace(path: Path, old: str, new: str) -> None:
    """Write the file anew in one step; a byte order mark and line endings stay."""
    data = path.read_bytes()
    lead = data[: len(data) - len(old.encode())]
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(lead + new.encode())
        temporary.chmod(path.stat().st_mode & 0o7777)
        temporary.replace(path.resolve())
    except OSError as error:
        raise OutputError(f"can't write {printable(str(path))}: {os.strerror(error.errno or 0).lower()}") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
