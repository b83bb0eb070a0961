"""What names mean, as far as that can be told without shapes.

Checked here: that every name of an expression is known where it stands, that every block that is called exists and is
given what it needs, that no name is given twice, and that no block comes to itself again.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace

from builder.circles import Edge, circular_block, walked, way_text
from builder.computed import Names, computed_below, fault_problem, read_expression, value_of
from builder.expressions import CONTEXT_NAMES, Value, name_fault
from builder.expressions.names import unknown_name
from builder.expressions.values import Part
from builder.items import (
    NAME_FIELD,
    WHEN_FIELD,
    Argument,
    Block,
    CallItem,
    GivenItem,
    GivenLayers,
    GroupItem,
    Item,
    LayerItem,
    RepeatItem,
    with_all_below,
)
from builder.kinds import Misfit
from builder.layers import LAYERS
from builder.layers.composites import COMPOSITES
from builder.paths import Path, path_text
from builder.problems import Place, Problem, SpecError, both, certain, did_you_mean, show
from builder.source import ListNode, MapNode, Node, Scalar
from builder.wording import kind_like, listed

OF_ITERATION = frozenset(("index", "count"))
OF_BLOCK = frozenset(("block_index", "block_count"))
OF_PLACE = frozenset(("in_channels",))


@dataclass(frozen=True)
class View:
    """The names that an expression may use at a place, each with where it was given."""

    names: Mapping[str, Place | None]
    context: Set[str]

    def without(self, context: Set[str]) -> "View":
        return replace(self, context=self.context - context)

    @property
    def known(self) -> list[str]:
        return [*self.names, *self.context]


# ------------------------------------------------------------------------------------------------- the file's constants


def constants(node: MapNode | None) -> tuple[dict[str, Value], list[Problem]]:
    """The top-level variables, which may use each other in any order, and what is wrong with them.

    One whose value can't be told is null.
    """
    entries = node.entries if node else ()
    values: dict[str, Value] = dict.fromkeys(entry.key for entry in entries)
    nodes = {entry.key: entry.value for entry in entries if not _holds_mapping(entry.value)}
    problems = [problem for entry in entries for problem in _wrong_name(entry.key, entry.key_place, ("variables",))]
    order, cycles = _in_order(nodes)
    problems += [_cycle_problem(names, nodes, ("variables",)) for names in cycles]
    for name in [*order, *(name for name in nodes if name not in order)]:
        path = ("variables", name)
        wrong = list(wrong_expressions_of_constants(nodes[name], path, values))
        if name in order and not wrong and not lacks_value(nodes[name], values):
            try:
                values[name] = value_of(nodes[name], Names(values), path)
            except SpecError as error:
                wrong = list(error.problems)
        problems += wrong
    return values, problems


def lacks_value(node: Node, values: Mapping[str, Value]) -> bool:
    """Whether a value needs one of the file's constants whose value can't be told."""
    return any(values.get(name) is None for name in used_names(node))


def _holds_mapping(node: Node) -> bool:
    """Whether it is no value of a variable; the schema tells."""
    return isinstance(node, MapNode) or (isinstance(node, ListNode) and any(map(_holds_mapping, node.items)))


def wrong_expressions_of_constants(node: Node, path: Path, values: Mapping[str, Value]) -> Iterator[Problem]:
    """What is wrong with a value in which only the file's constants may stand."""
    return _wrong_expressions(node, path, View(dict.fromkeys(values), frozenset()))


def _in_order(nodes: Mapping[str, Argument]) -> tuple[list[str], list[list[str]]]:
    """The names such that each stands behind those that it uses; and the circles, whose names are left out."""
    edges = {name: [(used, None) for used in used_names(node) if used in nodes] for name, node in nodes.items()}
    order, found = walked(edges)
    circles = [names for names, _ in found]
    inside = {name for circle in circles for name in circle}
    return [name for name in order if name not in inside], circles


def used_names(argument: Argument) -> list[str]:
    """The names that the expressions of a value use; those that can't be read use none."""
    used: list[str] = []
    if isinstance(argument, GivenLayers):
        for item in with_all_below(argument.items):
            for node, _ in _values(item):
                used += used_names(node)
        return used
    for scalar, path in computed_below(argument, ()):
        try:
            used += [name for name, _, _ in read_expression(scalar, path).names]
        except SpecError:
            continue
    return used


def _cycle_problem(names: list[str], nodes: Mapping[str, Argument], path: Path) -> Problem:
    node = nodes[names[0]]
    place = node.place if not isinstance(node, GivenLayers) else node.items[0].place
    way = way_text(names)
    message = f"{show(names[0])} comes to itself again: {way}"
    hint = "give it a value" if len(names) == 2 else "give one of them a value"
    return Problem("circular-variable", message, place, hint, path_text((*path, names[0])))


def _wrong_name(name: str, place: Place, path: Path) -> Iterator[Problem]:
    fault = name_fault(name)
    if fault:
        yield Problem("wrong-name", fault[0], place, fault[1], path_text((*path, name)))


def _wrong_expressions(node: Node, path: Path, view: View) -> Iterator[Problem]:
    """What can't be read, and names that are not known."""
    for scalar, where in computed_below(node, path):
        try:
            expression = read_expression(scalar, where)
        except SpecError as error:
            yield from error.problems
            continue
        told: set[str] = set()
        for name, start, end in expression.names:
            if name not in view.names and name not in view.context and name not in told:
                problem = fault_problem(unknown_name(Part(name, start, end), view.known), scalar, where)
                is_told_apart = problem.place != scalar.place or len(scalar.raw) == len(name)
                yield problem.fixed_by(certain(name, view.known) if is_told_apart else "")
                told.add(name)


def _values(item: Item) -> Iterator[tuple[Node, Path]]:
    """The values that are written into an item: parameters, arguments and `when`, but no layers."""
    if item.when is not None:
        yield item.when, (*item.path, WHEN_FIELD)
    if isinstance(item, GivenItem):
        yield item.scalar, item.path
    elif isinstance(item, LayerItem | GroupItem):
        for name, node in item.arguments.items():
            yield node, (*item.path, name)
    elif isinstance(item, CallItem):
        for name, argument in item.arguments.items():
            if not isinstance(argument, GivenLayers):
                yield argument, (*item.path, name)


# ---------------------------------------------------------------------------------------------------- the whole program


class ScopeCheck:
    """One walk over the blocks and the layers of a spec."""

    def __init__(self, variables: MapNode | None, blocks: Mapping[str, Block]) -> None:
        self.blocks = blocks
        self.file_names = {entry.key: entry.key_place for entry in variables.entries} if variables else {}

    def problems(self, items: Iterable[Item]) -> Iterator[Problem]:
        view = View(dict(self.file_names), OF_PLACE)
        yield from self._items(items, view)
        for block in self.blocks.values():
            yield from self._block(block)
        yield from self._circles()

    # --- blocks ---

    def _block(self, block: Block) -> Iterator[Problem]:
        yield from self._block_names(block)
        own = {**block.parameters, **block.variables}
        names: dict[str, Place | None] = {**self.file_names, **block.parameter_places, **block.variable_places}
        view = View(names, OF_PLACE | OF_BLOCK)
        values = {name: value for name, value in own.items() if value is not None}
        for name, value in values.items():
            key = "variables" if name in block.variables else "parameters"
            yield from self._argument(value, (*block.path, key, name), view)
        for circle in _in_order(values)[1]:
            yield _cycle_problem(circle, values, block.path)
        yield from self._items(block.items, view)

    def _block_names(self, block: Block) -> Iterator[Problem]:
        for name, place in block.parameter_places.items():
            path = (*block.path, "parameters")
            if name in COMMON:
                message = f"{show(name)} can't be a parameter"
                hint = f"every call may be given `{NAME_FIELD}` and `{WHEN_FIELD}`; choose another name"
                yield Problem("wrong-name", message, place, hint, path_text((*path, name)))
            if name not in block.variables:  # which tell of the same name
                yield from _wrong_name(name, place, path)
                yield from self._hidden_name(name, place, path, block)
        for name, place in block.variable_places.items():
            path = (*block.path, "variables")
            yield from _wrong_name(name, place, path)
            if name in block.parameters:
                given = _on(block.parameter_places[name])
                message = f"{show(name)} is already a parameter of {show(block.name)}, given {given}"
                yield Problem("name-twice", message, place, "name one of them otherwise", path_text((*path, name)))
            else:
                yield from self._hidden_name(name, place, path, block)

    def _hidden_name(self, name: str, place: Place, path: Path, block: Block) -> Iterator[Problem]:
        if name in self.file_names:
            given = _on(self.file_names[name])
            message = f"inside {show(block.name)}, {show(name)} hides the variable given {given}"
            hint = "name one of them otherwise"
            yield Problem("hidden-name", message, place, hint, path_text((*path, name)), "warning")

    def order_of(self, block: Block) -> tuple[str, ...]:
        """Defaults and variables of a block, each behind those that it uses."""
        values = {name: value for name, value in {**block.parameters, **block.variables}.items() if value is not None}
        return tuple(_in_order(values)[0])

    # --- items ---

    def _items(self, items: Iterable[Item], view: View) -> Iterator[Problem]:
        for item in items:
            yield from self._item(item, view)

    def _item(self, item: Item, view: View) -> Iterator[Problem]:
        if item.when is not None:
            yield from _wrong_expressions(item.when, (*item.path, WHEN_FIELD), view.without(OF_BLOCK))
        if isinstance(item, RepeatItem):
            yield from self._repeat(item, view)
        elif isinstance(item, CallItem):
            yield from self._call(item, view)
        elif isinstance(item, GivenItem):
            yield from _wrong_expressions(item.scalar, item.path, view)
        elif isinstance(item, LayerItem | GroupItem):
            for name, node in item.arguments.items():
                yield from _wrong_expressions(node, (*item.path, name), view)
            for items in item.lists.values() if isinstance(item, GroupItem) else ():
                yield from self._items(items, view)

    def _repeat(self, item: RepeatItem, view: View) -> Iterator[Problem]:
        outside = view.without(OF_PLACE | OF_BLOCK)
        for name, node in item.arguments.items():
            yield from _wrong_expressions(node, (*item.path, name), outside)
        places = item.list_places
        for name, place in places.items():
            yield from _wrong_name(name, place, (*item.path, "for"))
            if name in view.names:
                given = view.names[name]
                message = f"{show(name)} is already a name here" + (f", given {_on(given)}" if given else "")
                path = path_text((*item.path, "for", name))
                yield Problem("name-twice", message, place, "name the list otherwise", path)
        inside = View({**view.names, **places}, view.context | OF_ITERATION)
        for items in item.lists.values():
            yield from self._items(items, inside)

    def _call(self, item: CallItem, view: View) -> Iterator[Problem]:
        for name, argument in item.arguments.items():
            yield from self._argument(argument, (*item.path, name), view)
        block = self.blocks.get(item.word)
        if block is None:
            yield self._unknown_block(item)
            return
        yield from self._arguments(item, block)

    def _unknown_block(self, item: CallItem) -> Problem:
        message = f"unknown block {show(item.word)}"
        problem = Problem("unknown-block", message, item.head, path=path_text(item.path))
        if hint := did_you_mean(item.word, self.blocks):
            return replace(problem, hint=hint, replacement=certain(item.word, self.blocks))
        kinds = {**LAYERS, **COMPOSITES}
        if kind := kind_like(item.word, kinds, likeness=0.8):
            hint = f"did you mean `{kind}`? names with a capital are those of blocks"
            return replace(problem, hint=hint, replacement=kind if certain(item.word, kinds) == kind else "")
        names = sorted(self.blocks)
        return replace(problem, hint=f"known are {listed(names)}" if names else "define it below `blocks`")

    def _arguments(self, item: CallItem, block: Block) -> Iterator[Problem]:
        missing = [name for name in block.required if name not in item.arguments]
        for name, argument in item.arguments.items():
            path = path_text((*item.path, name))
            if name not in block.parameters:
                unwritten = [known for known in block.parameters if known not in item.arguments]
                hint = did_you_mean(name, unwritten)
                missing = [other for other in missing if show(other) not in hint]
                takes = f"it takes {listed(block.parameters)}" if block.parameters else "it takes none"
                message = f"block `{block.name}` has no parameter {show(name)}"
                problem = Problem("unknown-argument", message, item.name_places[name], hint or takes, path)
                yield problem.fixed_by(certain(name, unwritten))
            elif isinstance(argument, Scalar) and argument.value is None and not argument.quoted:
                message = f"parameter {show(name)} of {show(block.name)} is given nothing"
                hint = "write a value" if name in block.required else "write a value, or leave the name out"
                yield Problem("empty-argument", message, argument.place, hint, path)
        if missing:
            message = f"the call of {show(block.name)} lacks {both(list(map(show, missing)))}"
            needed = ", ".join(f"{name}: ..." for name in missing)
            hint = f"add `{needed}`" if item.arguments else f"write `{block.name}: {{{needed}}}`"
            yield Problem("missing-argument", message, item.head, hint, path_text(item.path))

    def _argument(self, argument: Argument, path: Path, view: View) -> Iterator[Problem]:
        if isinstance(argument, GivenLayers):
            yield from self._items(argument.items, view)
        else:
            yield from _wrong_expressions(argument, path, view)

    # --- circles ---

    def _circles(self) -> Iterator[Problem]:
        """Blocks that come to themselves again, once for each circle."""
        _, circles = walked({name: list(self._calls(block)) for name, block in self.blocks.items()})
        for names, spot in circles:
            assert spot is not None  # as `_calls` says
            yield circular_block(names, *spot)

    def _calls(self, block: Block) -> Iterator[Edge]:
        """The blocks that a block's text calls, those whose names it gives or takes as texts included."""
        for key, values in (("parameters", block.parameters), ("variables", block.variables)):
            for name, value in values.items():
                if value is not None:
                    yield from self._calls_by(value, (*block.path, key, name))
        yield from self._calls_of(block.items)

    def _calls_by(self, argument: Argument, path: Path) -> Iterator[Edge]:
        """Those of layers that are given, or of texts."""
        if isinstance(argument, GivenLayers):
            yield from self._calls_of(argument.items)
        else:
            yield from self._named_blocks(argument, path)

    def _calls_of(self, items: Iterable[Item]) -> Iterator[Edge]:
        for item in with_all_below(items):
            if isinstance(item, CallItem):
                if item.word in self.blocks:
                    yield item.word, (item.head, item.path)
                for name, argument in item.arguments.items():
                    if not isinstance(argument, GivenLayers):  # which are items below this one
                        yield from self._named_blocks(argument, (*item.path, name))

    def _named_blocks(self, node: Node, path: Path) -> Iterator[Edge]:
        if isinstance(node, ListNode):
            for index, inner in enumerate(node.items):
                yield from self._named_blocks(inner, (*path, index))
        elif isinstance(node, Scalar) and isinstance(node.value, str) and node.value in self.blocks:
            yield node.value, (node.place, path)


COMMON = frozenset((NAME_FIELD, WHEN_FIELD))
assert CONTEXT_NAMES == OF_ITERATION | OF_BLOCK | OF_PLACE


def _on(place: Place) -> str:
    return "on the command line" if place.source.is_override else f"on line {place.line}"


def repeat_misfits(item: RepeatItem) -> Iterator[Misfit]:
    """A repeat says either how often, or for which values."""
    if item.times is not None and item.lists_of_values:
        yield Misfit("times-and-for", "`repeat` has both `times` and `for`", "write one of them", "for")
    elif item.times is None and not item.lists_of_values:
        yield Misfit("missing-key", "`repeat` has neither `times` nor `for`", "write how often, such as `times: 3`")
