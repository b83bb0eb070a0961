"""What the names of a spec stand for while it is expanded, and what its items become of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from builder.circles import circular_block
from builder.computed import Names, value_of
from builder.expressions import Layers, Rounded, Value
from builder.hints import layer_kinds, with_all_it_needs
from builder.items import Argument, Block, CallItem, GivenItem, GivenLayers, GroupItem, Item, LayerItem
from builder.kinds import required_names
from builder.layers import LAYERS, Layer
from builder.layers.composites import COMPOSITES, LAYERS_LIST, Group
from builder.limits import MAX_NESTING
from builder.paths import Path, path_text
from builder.problems import Problem, SpecError, Use, show
from builder.wording import kind_like

GIVE_LAYERS = "give it a kind, or a list of layers"


@dataclass(frozen=True)
class Scope:
    """What the names of some text mean (but for `in_channels`), and the calls that led there, the innermost first."""

    names: Names
    uses: tuple[Use, ...] = ()
    depth: int = 0  # lists of layers around it

    @property
    def used_at(self) -> int | None:
        """The line of the innermost call."""
        if not self.uses or self.uses[0].place.source.is_override:
            return None
        return self.uses[0].place.line

    def with_channels(self, channels: int) -> Names:
        """The names where so many channels arrive."""
        return Names({"in_channels": channels}, self.names)

    def deeper(self) -> "Scope":
        return Scope(self.names, self.uses, self.depth + 1)  # for every item: `replace` takes four times as long

    def error(self, problem: Problem) -> SpecError:
        """The problem, with the calls that led to it."""
        return SpecError([replace(problem, uses=self.uses)])

    def too_deep(self, item: Item) -> SpecError:
        """Why the item is nested too deep: often a block has come to itself, by a text that names it."""
        calls = self.uses[::-1]
        first: dict[str, int] = {}
        for index, call in enumerate(calls):
            if call.block in first:
                way = [use.block for use in calls[first[call.block] : index + 1]]
                problem = circular_block(way, call.place, ("blocks", call.block))
                return SpecError([replace(problem, uses=calls[:index][::-1])])
            first[call.block] = index
        message = f"layers are nested deeper than {MAX_NESTING} lists, blocks included"
        return self.error(Problem("too-deep", message, item.head, "nest them less deeply", path_text(item.path)))


@dataclass(frozen=True, eq=False)
class LayersValue(Layers):
    """Layers given as an argument, with what the names in them mean: that of where they are written."""

    items: tuple[Item, ...]
    scope: Scope


@dataclass(frozen=True)
class ValueItem(Item):
    """One of several layers that a list of words and layers stands for; `given` is the text that gives the list."""

    value: Value = field(kw_only=True)
    given: str = field(kw_only=True)


def argument_value(argument: Argument, names: Mapping[str, Value], scope: Scope, path: Path) -> Value:
    """What an argument of a call means where the call stands. Raises `SpecError`."""
    if isinstance(argument, GivenLayers):
        return LayersValue(argument.items, scope)
    return value_of(argument, names, path)


def entered(block: Block, order: tuple[str, ...], given: Mapping[str, Value], call: Scope, channels: int) -> Scope:
    """The names inside a block: arguments, then defaults and variables. Raises `SpecError`.

    Args:
        block: the block that is called.
        order: its defaults and variables, each behind those that it uses.
        given: the arguments.
        call: the names that are known without them, and the calls that led here, this one included.
        channels: those that arrive.
    """
    own = dict(given)
    inside = replace(call, names=Names(own, call.names))
    names = inside.with_channels(channels)
    for name in order:
        if name not in own:
            argument = block.variables.get(name) or block.parameters[name]
            assert argument is not None  # the order holds what has a value
            key = "variables" if name in block.variables else "parameters"
            own[name] = argument_value(argument, names, inside, (*block.path, key, name))
    return inside


def standing_for(item: GivenItem | ValueItem, value: Value, scope: Scope) -> tuple[Item, Scope] | None:
    """The one item that `$activation` (or one of a list) stands for, and the scope of its text; None if it is empty.

    Several layers become a group. Raises `SpecError` where the value is no layer.
    """
    if isinstance(value, LayersValue):
        inside = replace(value.scope, depth=scope.depth)
        if len(value.items) == 1:
            return value.items[0], inside
        return (_group(item, value.items), inside) if value.items else None
    if isinstance(value, str):
        return _of_word(item, value, scope), scope
    if isinstance(value, tuple):
        given = item.scalar.raw if isinstance(item, GivenItem) else item.given
        items = tuple(ValueItem("", item.path, item.place, item.head, value=inner, given=given) for inner in value)
        if len(items) == 1:
            return standing_for(items[0], items[0].value, scope)
        return (_group(item, items), scope) if items else None
    message = f"{_written(item)} is {show(value)}, and stands where a layer is due"
    raise scope.error(Problem("wrong-type", message, item.place, GIVE_LAYERS, path_text(item.path)))


def _group(item: Item, items: tuple[Item, ...]) -> GroupItem:
    return GroupItem(Group.kind, item.path, item.place, item.head, composite=Group(), lists={LAYERS_LIST: items})


def _of_word(item: GivenItem | ValueItem, word: str, scope: Scope) -> Item:
    layer = _bare(word)
    if layer is not None:
        return LayerItem(word, item.path, item.place, item.head, layer=layer)
    if word[:1].isupper():
        return CallItem(word, item.path, item.place, item.head)
    kinds = {**LAYERS, **COMPOSITES}
    if word in kinds:
        message = f"{_written(item)} is {show(word)}, without what it needs"
        hint = f"give it as {with_all_it_needs(word, layer_kinds()[word])}"
        raise scope.error(Problem("missing-key", message, item.place, hint, path_text(item.path)))
    message = f"{_written(item)} is {show(word)}, and stands where a layer is due"
    kind = kind_like(word, kinds)
    hint = f"did you mean `{kind}`?" if kind else GIVE_LAYERS
    raise scope.error(Problem("unknown-kind", message, item.place, hint, path_text(item.path)))


def _written(item: GivenItem | ValueItem) -> str:
    return show(item.scalar.raw) if isinstance(item, GivenItem) else f"an item of {show(item.given)}"


@cache
def _bare(word: str) -> Layer | None:
    cls = LAYERS.get(word)
    return cls() if cls and not required_names(cls) else None


def value_key(value: object) -> object:
    """What tells a value from all others: 1, 1.0 and true are three, and `round_to` remembers what it was asked for."""
    if isinstance(value, tuple):
        return tuple(map(value_key, value))
    return type(value), value, value.requested if isinstance(value, Rounded) else None


def iteration_names(lists: Mapping[str, tuple[Value, ...]], times: int, names: Names) -> Iterator[Names]:
    """The names inside each iteration of a `repeat`."""
    for index in range(times):
        own: dict[str, Value] = {name: values[index] for name, values in lists.items()}
        own |= {"index": index, "count": times}
        yield Names(own, names)
