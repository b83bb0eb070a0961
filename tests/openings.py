"""The comments that open specs."""

from pathlib import Path


def opening_of(path: Path) -> str:
    """The comment that opens a spec, on one line, without the line for editors."""
    _, *lines = path.read_text(encoding="utf-8").splitlines()
    opening = lines[: next(number for number, line in enumerate(lines) if not line.startswith("# "))]
    return " ".join(line.removeprefix("# ") for line in opening)
