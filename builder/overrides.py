"""Overrides from the command line: `training.epochs=3` changes the tree as written, before the schema sees it.

The value is read as one YAML value. Its problems point into the argument.
"""

from builder.paths import Path, Step, parse_path, path_text
from builder.problems import COMMAND_LINE, Place, Problem, Source, SpecError, show
from builder.source import Entry, ListNode, MapNode, Node, Scalar, parse_value


def apply_override(root: MapNode, argument: str) -> MapNode:
    """The tree with one override applied.

    Raises:
        SpecError: the argument can't be read, or its path leads nowhere.
    """
    source = Source(COMMAND_LINE, argument)
    written_path, _, written_value = argument.partition("=")
    path = parse_path(written_path.strip())
    place = Place(source, 1, 1, 1, len(written_path) + 1)
    if path is None:
        hint = "write it like `training.epochs=3` or `layers[0].conv2d.out_channels=16`"
        raise SpecError([Problem("wrong-path", f"{show(written_path)} is no path into a spec", place, hint)])
    value = parse_value(Source(COMMAND_LINE, " " * (len(written_path) + 1) + written_value))
    changed = _Override(source, place, path).set(root, 0, _pointing_into(value, source))
    assert isinstance(changed, MapNode)  # the first step of a path is a key, and the root is a mapping
    return changed


class _Override:
    """One walk down the tree, copying what lies on the way."""

    def __init__(self, source: Source, place: Place, path: Path) -> None:
        self.source = source
        self.place = place
        self.path = path

    def set(self, node: Node | None, depth: int, value: Node) -> Node:
        if depth == len(self.path):
            return value
        step = self.path[depth]
        if isinstance(step, int):
            return self._set_item(node, step, depth, value)
        return self._set_key(self._as_mapping(node, step, depth), step, depth, value)

    def _set_item(self, node: Node | None, step: int, depth: int, value: Node) -> Node:
        if not isinstance(node, ListNode):
            raise self._error(depth, f"`{path_text(self.path[:depth])}` is no list", "")
        if step >= len(node.items):
            last = len(node.items) - 1
            raise self._error(depth, f"`{path_text(self.path[:depth])}` has no item {step}", f"its last is [{last}]")
        items = list(node.items)
        items[step] = self.set(items[step], depth + 1, value)
        return ListNode(tuple(items), node.place)

    def _set_key(self, node: MapNode, step: str, depth: int, value: Node) -> Node:
        old = node.get(step)
        new = Entry(step, old.key_place if old else self.place, self.set(old.value if old else None, depth + 1, value))
        if old is None:
            return MapNode((*node.entries, new), node.place)
        return MapNode(tuple(new if entry is old else entry for entry in node.entries), node.place)

    def _as_mapping(self, node: Node | None, step: Step, depth: int) -> MapNode:
        """The mapping to set a key in: missing ones are made, and a bare kind counts as `kind: {}`."""
        if isinstance(node, MapNode):
            return node
        empty = MapNode((), node.place if node else self.place)
        if node is None or (isinstance(node, Scalar) and node.value is None):
            return empty
        if isinstance(node, Scalar) and node.value == step:
            return MapNode((Entry(str(step), node.place, empty),), node.place)
        found = show(node.value) if isinstance(node, Scalar) else "a list"
        where = path_text(self.path[:depth]) or "the spec"
        raise self._error(depth, f"`{where}` is {found} and not `{step}`", "set the whole value to choose another")

    def _error(self, depth: int, message: str, hint: str) -> SpecError:
        return SpecError([Problem("wrong-path", message, self.place, hint, path_text(self.path))])


def _pointing_into(node: Node, source: Source) -> Node:
    """The node with places in the whole argument; it was read from a copy with blanks in place of the path."""

    def moved(place: Place) -> Place:
        return Place(source, place.line, place.column, place.end_line, place.end_column)

    if isinstance(node, MapNode):
        entries = (Entry(e.key, moved(e.key_place), _pointing_into(e.value, source)) for e in node.entries)
        return MapNode(tuple(entries), moved(node.place))
    if isinstance(node, ListNode):
        return ListNode(tuple(_pointing_into(item, source) for item in node.items), moved(node.place))
    return Scalar(node.value, moved(node.place), node.quoted, node.raw)
