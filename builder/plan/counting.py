"""How many layers a spec expands to, counted before it is expanded.

`when` counts as true, and what depends on shapes is not known yet; so `times` and `for` can't depend on them. Each
block is counted once for the same arguments, and repeats multiply, so that counting takes far less than expanding.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from builder.computed import Names, computed_below, holds_too_much, is_computed_node, read_expression
from builder.expressions import Fault, Layers, Value, evaluate, whole
from builder.items import (
    FOR_FIELD,
    TIMES_FIELD,
    Argument,
    Block,
    CallItem,
    GivenItem,
    GivenLayers,
    GroupItem,
    Item,
    RepeatItem,
    with_all_below,
)
from builder.limits import MAX_LAYERS, MAX_NESTING
from builder.paths import path_text
from builder.plan.values import LayersValue, Scope, ValueItem, iteration_names, standing_for
from builder.problems import Problem, SpecError, Use, show
from builder.source import ListNode, Node, Scalar


class _Unknown(Layers):
    """A value that is not known before shapes are, or has a mistake in it that the expansion will tell."""

    def __init__(self, is_mistake: bool) -> None:
        self.is_mistake = is_mistake


UNKNOWN = _Unknown(is_mistake=False)
MISTAKE = _Unknown(is_mistake=True)


@dataclass(frozen=True)
class Tally:
    """A number of layers, and how often each block is called (where anybody asks for that)."""

    layers: int
    calls: Mapping[str, int]

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.layers + other.layers, Counter(self.calls) + Counter(other.calls) if other.calls else self.calls
        )

    def times(self, number: int) -> "Tally":
        return Tally(self.layers * number, {name: calls * number for name, calls in self.calls.items()})


NOTHING = Tally(0, {})
ONE = Tally(1, {})


def _at_least_one(tally: Tally) -> Tally:
    """An iteration costs something even if it holds nothing."""
    return tally if tally.layers else ONE


class LayerCount:
    """Counts the layers of one spec, and with `counts_calls` the calls of its blocks."""

    def __init__(
        self, blocks: Mapping[str, Block], orders: Mapping[str, tuple[str, ...]], constants: Names, counts_calls: bool
    ) -> None:
        self.blocks = blocks
        self.orders = orders
        self.constants = constants
        self.counts_calls = counts_calls
        self._memo: dict[object, Tally] = {}
        self._kept: list[object] = []  # what the memo knows by its id
        self._iterates: dict[int, bool] = {}

    def of(self, items: Iterable[Item], scope: Scope) -> Tally:
        """What the items expand to. Raises `SpecError` if that is too much, or nested too deep."""
        total = NOTHING
        for item in items:
            if scope.depth > MAX_NESTING:
                raise scope.too_deep(item)
            total += self._item(item, scope.deeper())
            self._check(total, item, scope)
        return total

    def _check(self, total: Tally, item: Item, scope: Scope) -> None:
        if total.layers > MAX_LAYERS:
            what = show(item.word) if item.word else "this item"
            message = f"with {what} the spec expands to more than {MAX_LAYERS:,} layers"
            raise scope.error(_problem("too-many-layers", message, item, "repeat less"))

    def _item(self, item: Item, scope: Scope) -> Tally:
        if isinstance(item, RepeatItem):
            return ONE + self._repeat(item, scope)
        if isinstance(item, GroupItem):
            return sum((self.of(items, scope) for items in item.lists.values()), ONE)
        if isinstance(item, CallItem):
            return ONE + self._call(item, scope)
        if isinstance(item, GivenItem | ValueItem):
            return self._given(item, scope)
        return ONE

    # --- what is given ---

    def _given(self, item: GivenItem | ValueItem, scope: Scope) -> Tally:
        value = item.value if isinstance(item, ValueItem) else self._value(item.scalar, scope.names)
        if isinstance(value, _Unknown):
            return ONE
        key = ("given", self._key(value))
        if key not in self._memo:
            try:
                found = standing_for(item, value, scope)
            except SpecError:
                return ONE  # the expansion tells
            self._memo[key] = self.of([found[0]], found[1]) if found else NOTHING
        return self._memo[key]

    # --- blocks ---

    def _call(self, item: CallItem, scope: Scope) -> Tally:
        block = self.blocks.get(item.word)
        if block is None:
            return NOTHING
        given = {name: self._argument(value, scope) for name, value in item.arguments.items()}
        key = (block.name, *((name, self._key(value)) for name, value in given.items()))
        if key not in self._memo:
            use = Use(block.name, item.head)
            names = self._entered(block, given)
            inside = self.of(block.items, Scope(names, (use, *scope.uses), scope.depth))
            self._memo[key] = inside + Tally(0, {block.name: 1} if self.counts_calls else {})
        return self._memo[key]

    def _entered(self, block: Block, given: Mapping[str, Value]) -> Names:
        own = dict(given)
        for name in self.orders[block.name]:
            if name not in own:
                argument = block.variables.get(name) or block.parameters[name]
                assert argument is not None  # the order holds what has a value
                own[name] = self._argument(argument, Scope(Names(own, self.constants)))
        return Names(own, self.constants)

    def _argument(self, argument: Argument, scope: Scope) -> Value:
        return (
            LayersValue(argument.items, scope)
            if isinstance(argument, GivenLayers)
            else self._value(argument, scope.names)
        )

    def _key(self, value: Value) -> object:
        if isinstance(value, Layers | tuple):
            self._kept.append(value)
            return id(value)
        return type(value), value

    # --- repeats ---

    def _repeat(self, item: RepeatItem, scope: Scope) -> Tally:
        lists = {name: self._value(node, scope.names) for name, node in item.lists_of_values.items()}
        times = self._times(item, scope) if item.times is not None else self._longest(item, lists, scope)
        if not times:
            return NOTHING
        (items,) = item.lists.values()
        if not self._depends_on_iteration(item):
            names = Names(dict.fromkeys((*lists, "index", "count"), UNKNOWN), scope.names)
            total = _at_least_one(self.of(items, replace(scope, names=names))).times(times)
            self._check(total, item, scope)
            return total
        self._check(ONE.times(times), item, scope)
        known = {
            name: tuple(values) + (UNKNOWN,) * (times - len(values))
            for name, values in lists.items()
            if isinstance(values, tuple)
        }
        total = NOTHING
        for names in iteration_names(known, times, scope.names):
            total += _at_least_one(self.of(items, replace(scope, names=names)))
            self._check(total, item, scope)
        return total

    def _times(self, item: RepeatItem, scope: Scope) -> int:
        assert item.times is not None  # asked only then
        value = self._value(item.times, scope.names)
        self._check_known(item, value, item.times, TIMES_FIELD, scope)
        number = whole(value)
        return max(0, number) if number is not None else 0

    def _longest(self, item: RepeatItem, lists: Mapping[str, Value], scope: Scope) -> int:
        for name, value in lists.items():
            self._check_known(item, value, item.lists_of_values[name], FOR_FIELD, scope)
        return max((len(value) for value in lists.values() if isinstance(value, tuple)), default=0)

    def _check_known(self, item: RepeatItem, value: Value, node: Node, field: str, scope: Scope) -> None:
        if value is UNKNOWN:
            message = f"`{field}` depends on what arrives, and layers are counted before shapes are known"
            hint = "use names whose values don't come from `in_channels`, `block_index` or `block_count`"
            path = path_text((*item.path, field))
            raise scope.error(Problem("unknown-length", message, node.place, hint, path))

    def _depends_on_iteration(self, item: RepeatItem) -> bool:
        """Whether what an iteration expands to may depend on which one it is."""
        if id(item) not in self._iterates:
            own = {*item.lists_of_values, "index", "count"}
            (items,) = item.lists.values()
            self._iterates[id(item)] = any(own & _names_that_count(inner) for inner in with_all_below(items))
        return self._iterates[id(item)]

    # --- values ---

    def _value(self, node: Node, names: Mapping[str, Value]) -> Value:
        """What a value is, as far as that is known."""
        if isinstance(node, ListNode):
            values = tuple(self._value(item, names) for item in node.items)
            return MISTAKE if holds_too_much(values) else values
        assert isinstance(node, Scalar)  # mappings are layers
        if not is_computed_node(node):
            return node.value
        expression = read_expression(node, ())
        found = [names.get(name, UNKNOWN) for name, _, _ in expression.names]
        if expression.is_name:
            return found[0]
        if unknown := [value for value in found if isinstance(value, _Unknown)]:
            return unknown[0]
        try:
            return evaluate(expression, names)
        except Fault:
            return MISTAKE


def _names_that_count(item: Item) -> set[str]:
    """The names in an item that may change how many layers it expands to."""
    nodes: list[Node] = []
    if isinstance(item, RepeatItem):
        nodes = list(item.arguments.values())
    elif isinstance(item, CallItem):
        nodes = [argument for argument in item.arguments.values() if not isinstance(argument, GivenLayers)]
    elif isinstance(item, GivenItem):
        nodes = [item.scalar]
    scalars = [scalar for node in nodes for scalar, _ in computed_below(node, ())]
    return {name for scalar in scalars for name, _, _ in read_expression(scalar, ()).names}


def _problem(code: str, message: str, item: Item, hint: str) -> Problem:
    return Problem(code, message, item.head, hint, path_text(item.path))
