"""Overrides from the command line: `training.epochs=3` changes the tree as written, before the schema sees it.

The value is read as one YAML value. Problems point into the argument.
"""

from collections.abc import Collection
from dataclasses import replace

from builder.fields import ListOf
from builder.kinds import OneOf, parameters
from builder.layers import LAYERS
from builder.layers.composites import COMPOSITES, LAYERS_LIST
from builder.paths import Path, parse_path, path_text
from builder.problems import COMMAND_LINE, Place, Problem, Source, SpecError, show
from builder.recipe import Recipe
from builder.recipe.initialisation import ByLayer
from builder.schema import COMMON_FIELDS
from builder.source import Entry, ListNode, MapNode, Node, Scalar, parse_value

LISTS = {held.name for cls in COMPOSITES.values() for held in cls.holds}


def apply_override(root: MapNode, argument: str) -> MapNode:
    """The tree with one override applied.

    Raises:
        SpecError: the argument can't be read, or its path leads nowhere.
    """
    written_path, _, written_value = argument.partition("=")
    path = parse_path(written_path.strip())
    place = Place(Source(COMMAND_LINE, argument), 1, 1, 1, len(written_path) + 1)
    if path is None:
        message = f"{show(written_path)} is no path into a spec" if written_path else "no path stands before the `=`"
        hint = "write it like `training.epochs=3` or `layers[0].conv2d.out_channels=16`, items counted from 0"
        raise SpecError([Problem("wrong-path", message, place, hint)])
    try:
        value = parse_value(Source(COMMAND_LINE, written_value, lead=f"{written_path}="))
    except SpecError as error:
        raise SpecError([replace(problem, path=path_text(path)) for problem in error.problems]) from None
    changed = _Override(path, place).set(root, 0, value)
    assert isinstance(changed, MapNode)  # the first step of a path is a key, and the root is a mapping
    return changed


class _Override:
    """One walk down the tree, copying what lies on the way."""

    def __init__(self, path: Path, place: Place) -> None:
        self.path = path
        self.place = place

    def set(self, node: Node | None, depth: int, value: Node) -> Node:
        """The node with `value` at the rest of the path, from `depth` on."""
        if depth == len(self.path):
            return value
        step = self.path[depth]
        if isinstance(step, int):
            return self._set_item(node, step, depth, value)
        return self._set_key(self._as_mapping(node, step, depth), step, depth, value)

    def _set_item(self, node: Node | None, step: int, depth: int, value: Node) -> Node:
        name = list_form_at(self.path[:depth])
        if name and isinstance(node, MapNode) and (entry := node.get(name)):
            changed = replace(entry, value=self._set_item(entry.value, step, depth, value))
            return MapNode(tuple(changed if old is entry else old for old in node.entries), node.place)
        if not isinstance(node, ListNode):
            raise self._error(f"`{self._where(depth)}` is no list", f"`[{step}]` is an item of a list")
        if step >= len(node.items):
            last = len(node.items) - 1
            hint = f"its last is `[{last}]`; items count from 0" if node.items else "it is empty"
            raise self._error(f"`{self._where(depth)}` has no item {step}", hint)
        items = list(node.items)
        items[step] = self.set(items[step], depth + 1, value)
        return ListNode(tuple(items), node.place)

    def _set_key(self, node: MapNode, step: str, depth: int, value: Node) -> Node:
        old = node.get(step)
        is_last = depth + 1 == len(self.path)
        key_place = old.key_place if old and not is_last else self.place
        new = Entry(step, key_place, self.set(old.value if old else None, depth + 1, value))
        if old is None:
            return MapNode((*node.entries, new), node.place)
        return MapNode(tuple(new if entry is old else entry for entry in node.entries), node.place)

    def _as_mapping(self, node: Node | None, step: str, depth: int) -> MapNode:
        """The mapping to set a key in: missing ones are made, and a bare kind counts as `kind: {}`."""
        if node is None or (isinstance(node, Scalar) and node.value is None):
            return MapNode((), node.place if node else self.place)
        kinds = kinds_at(self.path[:depth])
        if isinstance(node, MapNode):
            if kinds and node.entries and node.get(step) is None:
                raise self._other_kind(node.entries[0].key, step, depth, kinds)
            return node
        if kinds and isinstance(node, Scalar) and isinstance(node.value, str):
            if node.value != step:
                raise self._other_kind(node.value, step, depth, kinds)
            return MapNode((Entry(step, node.place, MapNode((), node.place)),), node.place)
        if isinstance(node, ListNode) and (name := list_form_at(self.path[:depth])):
            return MapNode((Entry(name, node.place, node),), node.place)
        if isinstance(node, ListNode):
            raise self._error(f"`{self._where(depth)}` is a list", f"name one of its items: `{self._where(depth)}[0]`")
        raise self._error(f"`{self._where(depth)}` is {show(node.raw)}, and has no `{step}`", "")

    def _other_kind(self, found: str, step: str, depth: int, kinds: Collection[str]) -> SpecError:
        where = self._where(depth)
        if step in kinds:
            hint = f"to choose another kind, set it whole: `{where}={{{step}: {{...}}}}`"
        else:
            is_known = found in kinds or is_item(self.path[:depth])
            hint = f"write `{where}.{found}.{path_text(self.path[depth:])}`" if is_known else ""
        return self._error(f"`{where}` is {show(found)}, and has no `{step}`", hint)

    def _where(self, depth: int) -> str:
        return path_text(self.path[:depth])

    def _error(self, message: str, hint: str) -> SpecError:
        return SpecError([Problem("wrong-path", message, self.place, hint, path_text(self.path))])


def kinds_at(path: Path) -> Collection[str]:
    """The kinds to choose from at a path, if a kind is chosen there; the blocks of a spec are not among them."""
    if is_item(path):
        return {**LAYERS, **COMPOSITES}
    for field in parameters(Recipe):
        choice = getattr(field.type, "other", field.type)
        if path == ("training", field.name) and isinstance(choice, OneOf):
            return choice.family.table
        item = choice.item if isinstance(choice, ListOf | ByLayer) else None
        if path[:-1] == ("training", field.name) and isinstance(item, OneOf):
            return item.family.table
    return ()


def is_item(path: Path) -> bool:
    """Whether a path leads to where one layer stands: to an item of a list of layers, or to an argument of a call."""
    if not path or not isinstance(path[-1], int):
        return _is_argument(path)
    around = path[:-1]
    return around == ("layers",) or bool(list_form_at(around)) or around[-1] in LISTS or _is_argument(around)


def _is_argument(path: Path) -> bool:
    """Whether a path leads to what is given to a block, or to the default of one of its parameters: perhaps layers."""
    if path[:1] == ("blocks",) and path[2:3] == ("parameters",):
        return len(path) == 4
    is_call = len(path) > 2 and is_item(path[:-2]) and isinstance(path[-2], str) and path[-2][:1].isupper()
    return is_call and path[-1] not in COMMON_FIELDS


def list_form_at(path: Path) -> str:
    """The list that stands for the whole mapping, where that may be written; empty where it may not."""
    if len(path) == 2 and path[0] == "blocks":
        return LAYERS_LIST
    is_composite = len(path) > 1 and path[-1] in COMPOSITES and is_item(path[:-1])
    return COMPOSITES[str(path[-1])].list_form if is_composite else ""
