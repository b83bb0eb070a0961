"""What a pass over the events of a text keeps of the lists and mappings that it is inside of, and of anchors."""

from dataclasses import dataclass, field, replace

from builder.problems import Place
from builder.source.events import Mark
from builder.source.nodes import Entry, Node


@dataclass(slots=True)
class Open:
    """A list or a mapping whose end has not come yet."""

    start: Mark
    first: int  # the character it starts with, from 0; an anchor before it doesn't count
    is_map: bool
    in_brackets: bool
    bracket: bool  # it starts with a bracket of its own; the pair in `[a: b]` doesn't
    anchor: str | None
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    key: tuple[str, Place] | None = None  # None where the key was refused
    value_due: bool = False
    size: int = 1  # nodes, those that aliases repeat counted each time
    height: int = 1

    @property
    def key_due(self) -> bool:
        return self.is_map and not self.value_due

    @property
    def last(self) -> Node | None:
        """The value before the key or the item that is due."""
        if self.is_map:
            return next(reversed(self.entries.values())).value if self.entries and not self.value_due else None
        return self.items[-1] if self.items else None

    def replace_last(self, node: Node) -> None:
        """Put another node in place of that value."""
        if self.is_map:
            key, entry = self.entries.popitem()
            self.entries[key] = replace(entry, value=node)
        else:
            self.items[-1] = node


@dataclass(frozen=True, slots=True)
class Anchored:
    """What an anchor stands for; the node is None until its end has come."""

    place: Place
    node: Node | None = None
    size: int = 0
    height: int = 0
