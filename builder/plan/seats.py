"""Where a row sits in its list, and how it is called there."""

from collections.abc import Sequence
from dataclasses import dataclass

from builder.items import Item
from builder.plan.rows import GroupRow, Row


@dataclass(frozen=True, slots=True)
class Seat:
    """A place in a list: the position, and the name."""

    index: int
    name: str


class ListNames:
    """The names of the items of one list, in the order in which they come."""

    def __init__(self) -> None:
        self._ordinals: dict[str, int] = {}
        self._taken: dict[str, Item] = {}

    def of(self, item: Item) -> tuple[str, Item | None]:
        """The name of the next item, and the one that has it already."""
        ordinal = self._ordinals[item.word] = self._ordinals.get(item.word, 0) + 1
        name = item.given_name or f"{item.word}_{ordinal}"
        other = self._taken.get(name)
        self._taken[name] = item
        return name, other


def collapsed(row: GroupRow) -> Row:
    """A call, a group or an iteration that holds a single layer is that layer, under the outer name."""
    if len(row.children) != 1:
        return row
    (child,) = row.children
    return child.again(row.index, row.name, child.receptive_field, child.rows)


def arm_text(row: Row, item: Item) -> str:
    """How a branch is called in a message."""
    return f"`{row.name}`" + (f" (line {item.line})" if item.line is not None else "")


def list_text(name: str, items: Sequence[Item]) -> str:
    """How a list of layers is called in a message."""
    line = items[0].line
    return f"`{name}`" + (f" (line {line})" if line is not None else "")
