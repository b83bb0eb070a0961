"""Layers and composites of items: what is computed gets its value, and the value is checked as a written one is.

Every problem carries the calls of blocks that led to its place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from builder.computed import (
    as_node,
    computed_below,
    evaluated,
    is_computed_node,
    rounded_values,
    value_of,
    with_computed,
    without_memory,
)
from builder.expressions import Value
from builder.items import FOR_FIELD, GroupItem, Item, LayerItem, RepeatItem
from builder.kinds import Kind, Misfit, MisfitError, parameters
from builder.layers.composites import Repeat
from builder.paths import Path, path_text
from builder.plan.values import Scope, value_key
from builder.problems import Problem, SpecError, show
from builder.signals import Signal
from builder.source import ListNode, Node, Scalar, plain
from builder.spec import Spec
from builder.validation import check_schema

Told = TypeVar("Told")
(TIMES,) = parameters(Repeat)
AskedFor = tuple[tuple[str, int | float], ...]  # parameters that `round_to` changed, and the numbers asked for


class Maker:
    """Makes what the items of one spec stand for, each once for the same values."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.warnings: list[Problem] = []
        self._made: dict[object, tuple[Kind, AskedFor]] = {}
        self._computed: dict[Path, Sequence[tuple[Scalar, Path]]] = {}

    def value(self, node: Scalar, path: Path, signal: Signal, scope: Scope) -> Value:
        """What a scalar means where the signal arrives."""
        return self.told(scope, lambda: value_of(node, scope.with_channels(signal.channels), path))

    def told(self, scope: Scope, evaluate: Callable[[], Told]) -> Told:
        """The value; its problems get the calls that led here."""
        try:
            return evaluate()
        except SpecError as error:
            raise SpecError([replace(problem, uses=problem.uses or scope.uses) for problem in error.problems]) from None

    def made(self, item: LayerItem | GroupItem, signal: Signal, scope: Scope) -> tuple[Kind, AskedFor]:
        """The layer (or the composite) with values in place of what is computed, and what `round_to` was asked for."""
        computed = self._computed_in(item)
        names = scope.with_channels(signal.channels)
        values = self.told(scope, lambda: [value_of(scalar, names, path) for scalar, path in computed])
        key = (item.path, *map(value_key, values))
        if key not in self._made:
            by_path = {path: value for (_, path), value in zip(computed, values, strict=True)}
            self._made[key] = self._new(item, by_path, scope)
        return self._made[key]

    def _computed_in(self, item: LayerItem | GroupItem) -> Sequence[tuple[Scalar, Path]]:
        if item.path not in self._computed:
            arguments = item.arguments.items()
            self._computed[item.path] = [
                found for name, node in arguments for found in computed_below(node, (*item.path, name))
            ]
        return self._computed[item.path]

    def _new(self, item: LayerItem | GroupItem, values: Mapping[Path, Value], scope: Scope) -> tuple[Kind, AskedFor]:
        """The kind that an item stands for if what is computed in it has these values."""
        nodes = {
            name: self.told(scope, partial(with_computed, node, (*item.path, name), partial(_as_node, values)))
            for name, node in item.arguments.items()
        }
        given = {name: plain(node) for name, node in nodes.items()}
        data = {name: without_memory(value) for name, value in given.items()}
        self._check_values(item, nodes, data, scope)
        made = item.cls.read(data)
        for misfit in made.rules():
            if misfit.severity == "error":
                raise self.error(item, misfit, scope)
            self.warn(item, misfit, scope)
        return made, tuple(rounded_values(given).items())

    def _check_values(
        self, item: LayerItem | GroupItem, nodes: Mapping[str, Node], data: Mapping[str, Any], scope: Scope
    ) -> None:
        """The schema of what may come out of a computed value; what is written as it is was checked before."""
        problems: list[Problem] = []
        for parameter in parameters(item.cls):
            node = nodes.get(parameter.name)
            if node is not None and _holds_computed(item.arguments[parameter.name]):
                path = (*item.path, parameter.name)
                problems += check_schema(node, data[parameter.name], parameter.value_schema(), path).problems
        if problems:
            raise SpecError([replace(problem, uses=scope.uses) for problem in problems])

    def lists(self, item: RepeatItem, scope: Scope) -> dict[str, tuple[Value, ...]]:
        """The lists of a `repeat`, by their names."""
        return {name: self._list(item, name, node, scope) for name, node in item.lists_of_values.items()}

    def _list(self, item: RepeatItem, name: str, node: Node, scope: Scope) -> tuple[Value, ...]:
        path = (*item.path, FOR_FIELD, name)
        value = self.told(scope, lambda: value_of(node, scope.names, path))
        if isinstance(value, tuple):
            return value
        message = f"`{name}` of `for` is {show(value)}"
        raise scope.error(Problem("wrong-type", message, node.place, "write a list of values", path_text(path)))

    def times(self, item: RepeatItem, lists: Mapping[str, tuple[Value, ...]], scope: Scope) -> int:
        """How often a `repeat` of these lists repeats."""
        if item.times is None:
            return _common_length(item, lists, scope)
        path = (*item.path, TIMES.name)
        node = self.told(scope, partial(evaluated, item.times, scope.names, path))
        times: int = plain(node)
        if problems := check_schema(node, times, TIMES.value_schema(), path).problems:
            raise SpecError([replace(problem, uses=scope.uses) for problem in problems])
        return times

    def fit(self, item: Item, scope: Scope, action: Callable[[], Told]) -> Told:
        """What the action gives; a misfit in it becomes a problem of the item."""
        try:
            return action()
        except MisfitError as error:
            raise self.error(item, error.misfit, scope) from None

    def error(self, item: Item, misfit: Misfit, scope: Scope) -> SpecError:
        """The misfit as a problem of the item."""
        return scope.error(self.spec.problem(misfit, item.path))

    def warn(self, item: Item, misfit: Misfit, scope: Scope) -> None:
        """A remark, once for each place."""
        problem = replace(self.spec.problem(misfit, item.path), uses=scope.uses)
        if not any((known.code, known.place) == (problem.code, problem.place) for known in self.warnings):
            self.warnings.append(problem)


def _common_length(item: RepeatItem, lists: Mapping[str, tuple[Value, ...]], scope: Scope) -> int:
    lengths = {name: len(values) for name, values in lists.items()}
    first = next(iter(lengths))
    for name, length in lengths.items():
        if length != lengths[first]:
            message = f"the lists of `for` differ in length: `{first}` has {lengths[first]}, `{name}` has {length}"
            path = path_text((*item.path, FOR_FIELD, name))
            place = item.lists_of_values[name].place
            raise scope.error(Problem("unequal-lists", message, place, "give all of them as many values", path))
    return lengths[first]


def _holds_computed(node: Node) -> bool:
    return any(_holds_computed(item) for item in node.items) if isinstance(node, ListNode) else is_computed_node(node)


def _as_node(values: Mapping[Path, Value], scalar: Scalar, path: Path) -> Node:
    return as_node(values[path], scalar, path)
