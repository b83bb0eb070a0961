"""The items of a list of layers, as they are written: what each is, what it is given, and where it stands.

Nothing is expanded here. An item that holds no computed value is read into its layer at once; what the others are
becomes known where a network is planned (`plan/`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from builder.computed import computed_below, is_computed_node
from builder.fields import BLOCK_NAME, Schema, matches
from builder.layers import LAYERS, Layer
from builder.layers.composites import COMPOSITES, Composite, Repeat
from builder.lists import fill_empty_items
from builder.paths import Path
from builder.problems import Place, Problem
from builder.schema import COMMON_FIELDS, block_schema, layer_schema, layers_schema
from builder.source import ListNode, MapNode, Node, Scalar, plain
from builder.validation import check_schema

NAME_FIELD, WHEN_FIELD = COMMON_FIELDS
TIMES_FIELD, FOR_FIELD = "times", "for"

Arguments = Mapping[str, Node]


@dataclass(frozen=True)
class Item:
    """One item of a list of layers.

    `word` is its kind, or the block that it calls; empty where only the expansion tells (`$activation`).
    `path` ends with that word.
    """

    word: str
    path: Path
    place: Place
    head: Place  # of the word
    given_name: str = ""
    when: Scalar | None = None  # None where it is always there
    is_refused: bool = False  # by the schema, in part; the rest of it can be looked at

    @property
    def line(self) -> int | None:
        """The line in the spec; None if an override of the command line wrote the item."""
        return None if self.place.source.is_override else self.place.line


@dataclass(frozen=True)
class LayerItem(Item):
    """A layer of one of the kinds."""

    arguments: Arguments = field(default_factory=dict)
    layer: Layer | None = None  # None where something in it is computed

    @property
    def cls(self) -> type[Layer]:
        return LAYERS[self.word]


@dataclass(frozen=True)
class GroupItem(Item):
    """A composite, with the lists of layers that it holds."""

    arguments: Arguments = field(default_factory=dict)
    composite: Composite | None = None  # None where something in it is computed
    lists: Mapping[str, "tuple[Item, ...]"] = field(default_factory=dict)

    @property
    def cls(self) -> type[Composite]:
        return COMPOSITES[self.word]


@dataclass(frozen=True)
class RepeatItem(GroupItem):
    """Layers that are repeated: so many times, or for each of the values of some lists."""

    times: Node | None = None
    lists_of_values: Arguments = field(default_factory=dict)
    list_places: Mapping[str, Place] = field(default_factory=dict)


@dataclass(frozen=True)
class GivenLayers:
    """Layers as an argument of a call."""

    items: tuple[Item, ...]


Argument = Node | GivenLayers


@dataclass(frozen=True)
class CallItem(Item):
    """A use of a named block."""

    arguments: Mapping[str, Argument] = field(default_factory=dict)
    name_places: Mapping[str, Place] = field(default_factory=dict)  # of the arguments


@dataclass(frozen=True)
class GivenItem(Item):
    """`$activation`: the layers that were given as an argument."""

    scalar: Scalar = field(kw_only=True)


@dataclass(frozen=True)
class Block:
    """A named block: parameters (None: required), variables, and layers."""

    name: str
    place: Place
    path: Path
    parameters: Mapping[str, Argument | None]
    variables: Mapping[str, Argument]
    parameter_places: Mapping[str, Place]
    variable_places: Mapping[str, Place]
    items: tuple[Item, ...]

    @property
    def required(self) -> list[str]:
        return [name for name, default in self.parameters.items() if default is None]


def children(item: Item) -> Iterator[Item]:
    """The items that stand inside another, those in arguments too."""
    if isinstance(item, GroupItem):
        for items in item.lists.values():
            yield from items
    elif isinstance(item, CallItem):
        for argument in item.arguments.values():
            if isinstance(argument, GivenLayers):
                yield from argument.items


def with_all_below(items: Iterable[Item]) -> Iterator[Item]:
    """The items, and all that stand inside of them."""
    for item in items:
        yield item
        yield from with_all_below(children(item))


def ordinal_names(words: Iterable[str]) -> Iterator[str]:
    """The automatic names of a list of items: the word, and its number among the items of that word."""
    ordinals: Counter[str] = Counter()
    for word in words:
        ordinals[word] += 1
        yield f"{word}_{ordinals[word]}"


class Reader:
    """Reads lists of items; those that the schema refused whole are left out.

    Layers that are given as arguments are free of the schema of a spec, and checked here: see `problems`.
    """

    def __init__(self, refused: Iterable[Path], blocks: Mapping[str, Any]) -> None:
        self.problems: list[Problem] = []
        self._blocks = blocks  # as data
        self._refused = _Tree()
        self._refuse(refused)

    def _refuse(self, paths: Iterable[Path]) -> None:
        for path in paths:
            self._refused.add(path)

    def items(self, node: Node | None, path: Path) -> tuple[Item, ...]:
        """The items of a list that can be read."""
        if not isinstance(node, ListNode):
            return ()
        read = (self._item(item, (*path, index)) for index, item in enumerate(node.items))
        return tuple(item for item in read if item is not None)

    def _item(self, node: Node, path: Path) -> Item | None:
        tree = self._refused.at(path)
        if tree is not None and tree.ends:
            return None
        if isinstance(node, Scalar):
            word = str(node.value)
            if is_computed_node(node):
                return GivenItem("", path, node.place, node.place, scalar=node)
            return self._of_word(word, None, (*path, word), node.place, node.place)
        assert isinstance(node, MapNode)  # the schema takes nothing else
        (entry,) = node.entries
        return self._of_word(entry.key, entry.value, (*path, entry.key), node.place, entry.key_place)

    def _of_word(self, word: str, value: Node | None, path: Path, place: Place, head: Place) -> Item | None:
        fields = _fields(value)
        common = _Common(word, path, place, head, *_common_fields(fields))
        if word in COMPOSITES:
            return self._group(common, value, fields)
        if word not in LAYERS:
            return self._call(common, fields, value)
        is_refused = self._is_refused(path, ())
        layer = None if is_refused or _is_computed(fields) else LAYERS[word].read(_plain(fields))
        return LayerItem(*common.parts, is_refused, arguments=fields, layer=layer)

    def _group(self, common: "_Common", value: Node | None, fields: dict[str, Node]) -> Item | None:
        cls = COMPOSITES[common.word]
        if isinstance(value, ListNode) and not cls.list_form:
            return None  # the schema has not looked into the list
        names = [held.name for held in cls.holds]
        if isinstance(value, ListNode):
            lists = dict.fromkeys(names, ()) | {cls.list_form: self.items(value, common.path)}
        else:
            lists = {name: self.items(fields.pop(name, None), (*common.path, name)) for name in names}
        is_refused = self._is_refused(common.path, names if not isinstance(value, ListNode) else None)
        if issubclass(cls, Repeat):
            return _repeat(common, is_refused, fields, lists)
        composite = None if is_refused or _is_computed(fields) else cls.read(_plain(fields))
        return GroupItem(*common.parts, is_refused, arguments=fields, composite=composite, lists=lists)

    def _call(self, common: "_Common", fields: dict[str, Node], value: Node | None) -> Item | None:
        tree = self._refused.at(common.path)
        if tree is not None and tree.ends and common.word in self._blocks:
            return None
        arguments = {name: self.argument(value, (*common.path, name)) for name, value in fields.items()}
        places = {entry.key: entry.key_place for entry in value.entries} if isinstance(value, MapNode) else {}
        return CallItem(*common.parts, arguments=arguments, name_places=places)

    def argument(self, node: Node, path: Path) -> Argument:
        """The value of a parameter: layers where it is a mapping, or a list that holds one."""
        if isinstance(node, MapNode):
            items = [plain(node)]
            fill_empty_items(items)
            self._check(items[0], node, layer_schema(), path)
            item = self._item(node, path)
            return GivenLayers(() if item is None else (item,))
        if isinstance(node, ListNode) and any(isinstance(item, MapNode) for item in node.items):
            items = plain(node)
            fill_empty_items(items)
            self._check(items, node, layers_schema(), path)
            return GivenLayers(self.items(node, path))
        return node

    def _check(self, data: Any, node: Node, schema: Schema, path: Path) -> None:
        check = check_schema(node, data, schema, path, self._blocks)
        self.problems += check.problems
        self._refuse(check.refused)

    def _is_refused(self, path: Path, lists: Sequence[str] | None) -> bool:
        """Whether the schema refused anything of the item itself; with None, its value is a list of layers."""
        tree = self._refused.at(path)
        if tree is None:
            return False
        if lists is None:
            return tree.ends
        return tree.ends or any(name not in lists for name in tree.branches)

    def block(self, name: str, node: Node, place: Place, path: Path) -> Block:
        """A block, as far as it can be read. The schema of a spec leaves out those whose name is wrong."""
        if not matches(BLOCK_NAME, name):
            self._check(plain(node), node, block_schema(), path)
        if not isinstance(node, MapNode):
            return Block(name, place, path, {}, {}, {}, {}, self.items(node, path))
        parameters, places = self._named(node, "parameters", path)
        variables, variable_places = self._named(node, "variables", path)
        entry = node.get("layers")
        items = self.items(entry.value if entry else None, (*path, "layers"))
        given = {
            key: None if isinstance(value, Scalar) and value.value is None and not value.quoted else value
            for key, value in parameters.items()
        }
        return Block(name, place, path, given, variables, places, variable_places, items)

    def _named(self, node: MapNode, key: str, path: Path) -> tuple[dict[str, Argument], dict[str, Place]]:
        entry = node.get(key)
        entries = entry.value.entries if entry and isinstance(entry.value, MapNode) else ()
        read = {inner.key: self.argument(inner.value, (*path, key, inner.key)) for inner in entries}
        return read, {inner.key: inner.key_place for inner in entries}


@dataclass(frozen=True)
class _Common:
    """What every item has."""

    word: str
    path: Path
    place: Place
    head: Place
    given_name: str
    when: Scalar | None

    @property
    def parts(self) -> tuple[str, Path, Place, Place, str, Scalar | None]:
        return self.word, self.path, self.place, self.head, self.given_name, self.when


def _fields(value: Node | None) -> dict[str, Node]:
    return {entry.key: entry.value for entry in value.entries} if isinstance(value, MapNode) else {}


def _common_fields(fields: dict[str, Node]) -> tuple[str, Scalar | None]:
    """Take `name` and `when` out of the fields."""
    name, when = fields.pop(NAME_FIELD, None), fields.pop(WHEN_FIELD, None)
    given = str(name.value) if isinstance(name, Scalar) and isinstance(name.value, str) else ""
    return given, when if isinstance(when, Scalar) and when.value is not True else None


def _repeat(
    common: _Common, is_refused: bool, fields: dict[str, Node], lists: Mapping[str, tuple[Item, ...]]
) -> RepeatItem:
    times, values = fields.get(TIMES_FIELD), fields.get(FOR_FIELD)
    entries = values.entries if isinstance(values, MapNode) else ()
    return RepeatItem(
        *common.parts,
        is_refused,
        arguments=fields,
        lists=lists,
        times=None if isinstance(times, Scalar) and times.value is None else times,
        lists_of_values={entry.key: entry.value for entry in entries},
        list_places={entry.key: entry.key_place for entry in entries},
    )


def _is_computed(fields: Arguments) -> bool:
    return any(True for node in fields.values() for _ in computed_below(node, ()))


def _plain(fields: Arguments) -> dict[str, Any]:
    return {name: plain(node) for name, node in fields.items()}


class _Tree:
    """Paths as a tree of steps."""

    def __init__(self) -> None:
        self.branches: dict[str | int, _Tree] = {}
        self.ends = False

    def add(self, path: Path) -> None:
        tree = self
        for step in path:
            tree = tree.branches.setdefault(step, _Tree())
        tree.ends = True

    def at(self, path: Path) -> "_Tree | None":
        tree: _Tree | None = self
        for step in path:
            tree = tree.branches.get(step) if tree else None
        return tree
