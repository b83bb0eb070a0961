"""The nodes that a YAML text becomes: values, lists and mappings that know where they stand."""

from dataclasses import dataclass, field
from typing import Any

from builder.problems import Place
from builder.source.scalars import Value


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. `raw` is its text before it was resolved; a quoted value is always text.

    Where a computed value (`$name`) was replaced by what it is, `value` and `raw` are of that.
    """

    value: Value
    place: Place
    quoted: bool
    raw: str
    computed: bool = False


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list. In brackets its place is the whole span, otherwise from its first character to the end of that line."""

    items: "tuple[Node, ...]"
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping, with its value."""

    key: str
    key_place: Place
    value: "Node"


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping; its keys are different texts. Its place is made like that of a list."""

    entries: tuple[Entry, ...]
    place: Place
    _by_key: dict[str, Entry] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_key", {entry.key: entry for entry in self.entries})

    def get(self, key: str) -> Entry | None:
        return self._by_key.get(key)


Node = Scalar | ListNode | MapNode


def plain(node: Node) -> Any:
    """The node as dicts, lists and values. It recurses at most `MAX_DEPTH` levels: `parse` gives nothing deeper."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {entry.key: plain(entry.value) for entry in node.entries}
