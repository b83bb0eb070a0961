"""Rows once more: where names mean the same, and a signal of the same form arrives, only what units see differs."""

from collections.abc import Sequence
from dataclasses import dataclass

from builder.kinds import MisfitError
from builder.layers.composites import Arm, Merge
from builder.plan.fitting import seen_through
from builder.plan.rows import GroupRow, LayerRow, Row
from builder.plan.seats import Seat
from builder.signals import ReceptiveField, Signal


@dataclass(frozen=True)
class Pattern:
    """A row as a walk made it, and how many layers and groups the walk went through for it."""

    row: Row
    num_rows: int

    def copied(self, seat: Seat, signal: Signal) -> tuple[Row, Signal] | None:
        """The row in another seat, where another signal of the same form arrives; and what leaves it.

        None if there is something to tell of it that was not to be told of this one.
        """
        try:
            row = _copy(self.row, seat.index, seat.name, signal.receptive_field)
        except (MisfitError, _UnlikeError):
            return None
        return row, Signal(row.leaving, row.receptive_field)


class _UnlikeError(Exception):
    """Only a walk can tell of this copy."""


def _copy(row: Row, index: int, name: str, seen: ReceptiveField) -> Row:
    """The row in another seat, where units see something else of the image."""
    if isinstance(row, LayerRow):
        after = seen_through(row.step, name, seen)
        if after is not seen and not after.is_even:
            raise _UnlikeError  # a walk counts them
        return row.again(index, name, after)
    assert isinstance(row, GroupRow)  # there are no other rows
    children: list[Row] = []
    if isinstance(row.composite, Merge):
        children = [_copy(child, child.index, child.name, seen) for child in row.children]
        return row.again(index, name, _met(row, seen, children), children)
    for child in row.children:
        children.append(_copy(child, child.index, child.name, seen))
        seen = children[-1].receptive_field
    return row.again(index, name, seen, children)


def _met(row: GroupRow, seen: ReceptiveField, children: Sequence[Row]) -> ReceptiveField:
    """What units see where the arms of a composite meet."""
    entrance = Signal(row.before, seen)
    arms = [Arm("", Signal(child.leaving, child.receptive_field)) for child in children]
    after = row.composite.exit(entrance, arms)
    if next(row.composite.remarks(entrance, arms), None):
        raise _UnlikeError
    return after.receptive_field
