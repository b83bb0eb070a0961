"""What `check` found, before it is text."""

from collections.abc import Sequence
from dataclasses import dataclass

from builder.problems import Problem, errors


@dataclass(frozen=True)
class FileReport:
    """One spec and what is wrong with it."""

    file: str
    problems: Sequence[Problem]


@dataclass(frozen=True)
class Report:
    """All specs of one call."""

    files: Sequence[FileReport]

    @property
    def problems(self) -> list[Problem]:
        return [problem for file in self.files for problem in file.problems]

    @property
    def num_errors(self) -> int:
        return len(errors(self.problems))

    @property
    def num_warnings(self) -> int:
        return len(self.problems) - self.num_errors

    @property
    def verdict(self) -> str:
        """`2 errors, 1 warning in 3 specs`."""
        counts = f"{counted(self.num_errors, 'error')}, {counted(self.num_warnings, 'warning')}"
        if not self.problems:
            counts = "no problems"
        return f"{counts} in {counted(len(self.files), 'spec')}"


def counted(number: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def unshown(file: FileReport, limit: int) -> str:
    """The line that stands for the problems beyond the limit, if there are any."""
    more = len(file.problems) - limit
    return f"... and {counted(more, 'more problem')} in {file.problems[0].place.source.name}" if more > 0 else ""
