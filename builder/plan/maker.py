"""Layers and composites of items: what is computed gets its value, and the value is checked as a written one is.

Every problem carries the calls of blocks that led to its place.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from builder.computed import evaluated, is_computed_node, rounded_values, value_of, without_memory
from builder.expressions import Value
from builder.items import GroupItem, Item, LayerItem
from builder.kinds import Kind, Misfit, MisfitError, Parameter, parameters
from builder.paths import Path
from builder.plan.values import Scope
from builder.problems import Problem, SpecError
from builder.signals import Signal
from builder.source import ListNode, Node, Scalar, plain
from builder.spec import Spec
from builder.validation import check_schema

Told = TypeVar("Told")
AskedFor = tuple[tuple[str, int | float], ...]  # parameters that `round_to` changed, and the numbers asked for


class Maker:
    """Makes what the items of one spec stand for, each once for the same values."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.warnings: list[Problem] = []
        self._made: dict[object, Kind] = {}

    def value(self, node: Scalar, path: Path, signal: Signal, scope: Scope) -> Value:
        """What a scalar means where the signal arrives."""
        return self.told(scope, lambda: value_of(node, scope.with_channels(signal.channels), path))

    def written_value(self, node: Node, path: Path, scope: Scope) -> Value:
        """What a scalar, or a list of them, means without regard to what arrives."""
        return self.told(scope, lambda: value_of(node, scope.names, path))

    def told(self, scope: Scope, evaluate: Callable[[], Told]) -> Told:
        """The value; its problems get the calls that led here."""
        try:
            return evaluate()
        except SpecError as error:
            raise SpecError([replace(problem, uses=problem.uses or scope.uses) for problem in error.problems]) from None

    def made(self, item: LayerItem | GroupItem, signal: Signal, scope: Scope) -> tuple[Kind, AskedFor]:
        """The layer (or the composite) with values in place of what is computed, and what `round_to` was asked for."""
        names = scope.with_channels(signal.channels)
        nodes = {
            name: self.told(scope, partial(evaluated, node, names, (*item.path, name)))
            for name, node in item.arguments.items()
        }
        given = {name: plain(node) for name, node in nodes.items()}
        asked_for = tuple(rounded_values(given).items())
        data = {name: without_memory(value) for name, value in given.items()}
        key = (item.path, *((name, _key(value)) for name, value in data.items()))
        made = self._made.get(key)
        if made is None:
            self._check_values(item, nodes, data, scope)
            made = item.cls.read(data)
            for misfit in made.rules():
                if misfit.severity == "error":
                    raise self.error(item, misfit, scope)
                self.warn(item, misfit, scope)
            self._made[key] = made
        return made, asked_for

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

    def checked(self, node: Node, parameter: Parameter, path: Path, scope: Scope) -> Any:
        """The value of a parameter of a composite at `path`, without regard to what arrives."""
        path = (*path, parameter.name)
        found = self.told(scope, partial(evaluated, node, scope.names, path))
        data = plain(found)
        if problems := check_schema(found, data, parameter.value_schema(), path).problems:
            raise SpecError([replace(problem, uses=scope.uses) for problem in problems])
        return data

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


def _holds_computed(node: Node) -> bool:
    return any(_holds_computed(item) for item in node.items) if isinstance(node, ListNode) else is_computed_node(node)


def _key(value: Any) -> object:
    return (type(value), tuple(map(_key, value)) if isinstance(value, list) else value)
