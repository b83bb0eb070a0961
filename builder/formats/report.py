"""What `check` found, before it is text."""

from collections.abc import Sequence
from dataclasses import dataclass

from builder.plan import Plan, ReceptiveField
from builder.problems import Problem, Severity, errors, printable
from builder.signals import Shape


@dataclass(frozen=True)
class Totals:
    """What a network comes to."""

    output: Shape
    params: int
    macs: int
    receptive_field: ReceptiveField

    @classmethod
    def of(cls, plan: Plan) -> "Totals":
        return cls(plan.output, plan.params, plan.macs, plan.receptive_field)


@dataclass(frozen=True)
class FileReport:
    """One spec and what is wrong with it; `totals` is None where errors, or an incomplete base, leave none.

    `last_fitting` are lines of the table, down to the layer that fails if one does.
    """

    file: str
    problems: Sequence[Problem]
    totals: Totals | None = None
    last_fitting: Sequence[str] = ()

    @property
    def faults(self) -> list[Problem]:
        """Errors and warnings; an info is advice."""
        return [problem for problem in self.problems if problem.severity != "info"]

    @property
    def verdict(self) -> str:
        """`2 errors, 1 warning`, or `ok`."""
        counts = [(_number_of("error", self.problems), "error"), (_number_of("warning", self.problems), "warning")]
        return ", ".join(counted(number, noun) for number, noun in counts if number) or "ok"


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
        return _number_of("warning", self.problems)

    @property
    def verdict(self) -> str:
        """`2 errors, 1 warning in 3 specs`."""
        counts = f"{counted(self.num_errors, 'error')}, {counted(self.num_warnings, 'warning')}"
        if not self.num_errors and not self.num_warnings:
            counts = "no problems"
        return f"{counts} in {counted(len(self.files), 'spec')}"


def _number_of(severity: Severity, problems: Sequence[Problem]) -> int:
    return sum(problem.severity == severity for problem in problems)


def counted(number: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def unshown(file: FileReport, limit: int) -> str:
    """The line that stands for the problems beyond the limit, if there are any."""
    more = len(file.problems) - limit
    return f"... and {counted(more, 'more problem')} in {printable(file.file)}" if more > 0 else ""
