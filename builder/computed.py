"""Computed values in a tree: where they stand, what they are, and what is wrong with them at its characters."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, TypeGuard

from builder.expressions import Expression, Fault, Rounded, Scope, Value, evaluate, is_computed, parse, whole
from builder.limits import MAX_NESTED_VALUES
from builder.paths import Path, path_text
from builder.problems import Place, Problem, SpecError, show
from builder.source import Entry, ListNode, MapNode, Node, Scalar


class Names(Mapping[str, Value]):
    """The names that an expression may use: those of its own surroundings, then those further out."""

    __slots__ = ("_outer", "_own")

    def __init__(self, own: Mapping[str, Value], outer: Mapping[str, Value] | None = None) -> None:
        self._own = own
        self._outer = outer if outer is not None else {}

    def __getitem__(self, name: str) -> Value:
        return self._own[name] if name in self._own else self._outer[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from (name for name in self._outer if name not in self._own)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._outer


def is_computed_node(node: Node) -> TypeGuard[Scalar]:
    """Whether the node is a scalar that is computed."""
    return isinstance(node, Scalar) and isinstance(node.value, str) and is_computed(node.value)


def computed_below(node: Node, path: Path) -> Iterator[tuple[Scalar, Path]]:
    """The computed scalars of a value."""
    if isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from computed_below(item, (*path, index))
    elif isinstance(node, MapNode):
        for entry in node.entries:
            yield from computed_below(entry.value, (*path, entry.key))
    elif is_computed_node(node):
        yield node, path


def read_expression(node: Scalar, path: Path) -> Expression:
    """The expression of a computed scalar. Raises `SpecError` with the place of what can't be read."""
    try:
        return parse(str(node.value))
    except Fault as fault:
        raise SpecError([fault_problem(fault, node, path)]) from None


def fault_problem(fault: Fault, node: Scalar, path: Path) -> Problem:
    """The fault as a problem, at its characters."""
    return Problem(fault.code, fault.message, part_of(node, fault.start, fault.end), fault.hint, path_text(path))


def part_of(node: Scalar, start: int, end: int) -> Place:
    """The place of some characters of a scalar; the whole of it where they can't be told apart."""
    place = node.place
    quote = 1 if node.quoted else 0
    is_as_written = place.line == place.end_line and place.end_column - place.column == len(node.raw) + 2 * quote
    if not is_as_written:
        return place
    first = place.column + quote
    return replace(place, column=first + start, end_column=first + min(end, len(node.raw)))


def value_of(node: Node, scope: Scope, path: Path = ()) -> Value:
    """What a scalar, or a list of them, means; computed ones are evaluated.

    Raises:
        SpecError: an expression has no value.
    """
    if isinstance(node, ListNode):
        values = tuple(value_of(item, scope, (*path, index)) for index, item in enumerate(node.items))
        if holds_too_much(values):
            message = f"with the lists in it, this list holds more than {MAX_NESTED_VALUES} values"
            raise SpecError([Problem("too-large-list", message, node.place, "write shorter lists", path_text(path))])
        return values
    assert isinstance(node, Scalar)  # mappings are layers, and are not evaluated
    if not is_computed_node(node):
        return node.value
    expression = read_expression(node, path)
    try:
        return evaluate(expression, scope)
    except Fault as fault:
        raise SpecError([fault_problem(fault, node, path)]) from None


def holds_too_much(values: tuple[Value, ...]) -> bool:
    """Whether a list of lists holds too many values: they double with each name in `b: [$a, $a]`, `c: [$b, $b]`, ..."""
    if not any(isinstance(value, tuple) for value in values):
        return False
    return sum(1 for _ in islice(_all_values(values), MAX_NESTED_VALUES + 1)) > MAX_NESTED_VALUES


def _all_values(values: tuple[Value, ...]) -> Iterator[Value]:
    """The values of a list, those of the lists in it too; each list counts itself as one."""
    for value in values:
        yield value
        if isinstance(value, tuple):
            yield from _all_values(value)


def evaluated(node: Node, scope: Scope, path: Path) -> Node:
    """The same tree with values in place of the computed ones. Raises `SpecError`."""
    return with_computed(node, path, lambda scalar, where: as_node(value_of(scalar, scope, where), scalar, where))


def with_computed(node: Node, path: Path, replaced: Callable[[Scalar, Path], Node]) -> Node:
    """The same tree with other nodes in place of the computed scalars."""
    if isinstance(node, ListNode):
        items = (with_computed(item, (*path, index), replaced) for index, item in enumerate(node.items))
        return ListNode(tuple(items), node.place)
    if isinstance(node, MapNode):
        entries = (
            Entry(entry.key, entry.key_place, with_computed(entry.value, (*path, entry.key), replaced))
            for entry in node.entries
        )
        return MapNode(tuple(entries), node.place)
    return replaced(node, path) if is_computed_node(node) else node


def as_node(value: Value, node: Scalar, path: Path) -> Node:
    """A value as a node at the place of the scalar that was computed."""
    if isinstance(value, tuple):
        if path and isinstance(path[-1], int):
            message = f"{show(node.raw)} puts a list into a list"
            raise SpecError([Problem("wrong-type", message, node.place, "write a single value", path_text(path))])
        items = (as_node(item, node, (*path, index)) for index, item in enumerate(value))
        return ListNode(tuple(items), node.place)
    if isinstance(value, str | bool) or value is None:
        raw = value if isinstance(value, str) else show(value).strip("`")
        return Scalar(value, node.place, quoted=False, raw=raw, computed=True)
    if isinstance(value, int | float):
        as_whole = whole(value)
        number = value if as_whole is None else as_whole
        return Scalar(number, node.place, quoted=False, raw=str(number), computed=True)
    message = f"{show(node.raw)} stands for layers"
    raise SpecError([Problem("wrong-type", message, node.place, "write a value here", path_text(path))])


def rounded_values(data: Mapping[str, object]) -> dict[str, int | float]:
    """Of the values that `round_to` changed, the numbers that were asked for."""
    return {
        name: value.requested
        for name, value in data.items()
        if isinstance(value, Rounded) and value.requested != int(value)
    }


def without_memory(value: Any) -> Any:
    """The data, with plain numbers in place of those that remember what `round_to` was asked for."""
    if isinstance(value, dict):
        return {key: without_memory(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_memory(item) for item in value]
    return int(value) if isinstance(value, Rounded) else value
