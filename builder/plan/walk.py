"""Expansion and shapes in one walk: what each item becomes depends on what arrives at it.

A list of items becomes rows, and the signal that leaves the last of them. Every problem carries the calls of blocks
that led to its place.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from builder.computed import Names
from builder.items import (
    WHEN_FIELD,
    Block,
    CallItem,
    GivenItem,
    GivenLayers,
    GroupItem,
    Item,
    LayerItem,
    RepeatItem,
)
from builder.kinds import Misfit
from builder.layers import Layer
from builder.layers.composites import (
    BRANCHES_LIST,
    LAYERS_LIST,
    SHORTCUT_LIST,
    Arm,
    Composite,
    Group,
    LayerScale,
    Residual,
)
from builder.limits import MAX_INTERVALS, MAX_LAYERS, MAX_NESTING
from builder.paths import Path, path_text, where
from builder.plan.copies import Pattern
from builder.plan.fitting import Fitting
from builder.plan.maker import Maker
from builder.plan.rows import GroupRow, LayerRow, Row
from builder.plan.seats import ListNames, Seat, arm_text, collapsed, list_text
from builder.plan.values import (
    Scope,
    ValueItem,
    argument_value,
    entered,
    iteration_names,
    standing_for,
    value_key,
)
from builder.problems import Problem, SpecError, Use, did_you_mean, show
from builder.scopes import OF_ITERATION, used_names
from builder.signals import ReceptiveField, Shape, Signal
from builder.spec import Spec

GROUP = Group()
NAMED_ARMS = (Residual, LayerScale)  # whose lists of layers are groups of their own, under the lists' names
RowFields = tuple[
    int, str, int | None, int | None, Path, tuple[Use, ...], Shape, Shape, Shape, ReceptiveField
]  # in the order of `Row`


class Walk:
    """One walk over a spec; `block_counts` says how many calls of each block there will be."""

    def __init__(self, spec: Spec, block_counts: Mapping[str, int]) -> None:
        self.spec = spec
        self.block_counts = block_counts
        self.block_calls: Counter[str] = Counter()
        self._maker = Maker(spec)
        self._fitting = Fitting()
        self._num_rows = 0
        self._num_intervals = 0
        self._calls: dict[object, Pattern] = {}
        self._varying: dict[Path, list[str]] = {}
        self._constants = Names(spec.constants)

    @property
    def warnings(self) -> list[Problem]:
        """What was noticed on the way."""
        return self._maker.warnings

    def run(self) -> list[Row]:
        """The rows of the whole spec. Raises `SpecError`, with the rows before the failing layer."""
        rows, _ = self._chain(self.spec.layers, Signal.of_input(self.spec.input), Scope(self._constants))
        return rows

    # --- lists ---

    def _chain(self, items: Iterable[Item], signal: Signal, scope: Scope) -> tuple[list[Row], Signal]:
        """The rows of layers one after another, and what leaves the last."""
        rows: list[Row] = []
        names, inside = ListNames(), scope.deeper()
        for item in items:
            try:
                row, signal = self._row(item, signal, signal, inside, names, len(rows))
            except SpecError as error:
                raise SpecError(error.problems, [*rows, *error.rows]) from None
            if row:
                rows.append(row)
        return rows, signal

    def _row(
        self, written: Item, signal: Signal, around: Signal, scope: Scope, names: ListNames, index: int
    ) -> tuple[Row | None, Signal]:
        """The row of one item, if it is there. `around` is what arrives where its `when` stands."""
        if scope.depth > MAX_NESTING + 1:
            raise scope.too_deep(written)
        found = self._resolved(written, around, scope)
        if found is None:
            return None, signal
        item, inner = found
        name, other = names.of(item)
        if other:
            message = f"`{name}` is also the name of the layer {where(other.place, other.path)}"
            hint = "write another name" if other.place != item.place else "leave it out: this layer is given twice"
            raise self._maker.error(item, Misfit("duplicate-name", message, hint, "name"), inner)
        if not self._is_there(item, around, inner):
            return None, signal
        self._num_rows += 1
        if self._num_rows > MAX_LAYERS:
            message = f"the spec expands to more than {MAX_LAYERS:,} layers"
            raise self._maker.error(item, Misfit("too-many-layers", message, "repeat less"), inner)
        return self._made_row(item, Seat(index, name), signal, inner)

    def _resolved(self, item: Item, signal: Signal, scope: Scope) -> tuple[Item, Scope] | None:
        """The item itself, or what `$activation` stands for, and the scope of its text."""
        while isinstance(item, GivenItem | ValueItem):
            value = (
                item.value if isinstance(item, ValueItem) else self._maker.value(item.scalar, item.path, signal, scope)
            )
            found = standing_for(item, value, scope)
            if found is None:
                return None
            item, scope = found
        return item, scope

    def _is_there(self, item: Item, signal: Signal, scope: Scope) -> bool:
        if item.when is None:
            return True
        path = (*item.path, WHEN_FIELD)
        value = self._maker.value(item.when, path, signal, scope)
        if isinstance(value, bool):
            return value
        message = f"`when` is {show(value)}"
        hint = "it wants `true` or `false`: compare, as in `$(stride != 1)`"
        raise scope.error(Problem("wrong-type", message, item.when.place, hint, path_text(path)))

    # --- items ---

    def _made_row(self, item: Item, seat: Seat, signal: Signal, scope: Scope) -> tuple[Row, Signal]:
        if isinstance(item, LayerItem):
            return self._layer(item, seat, signal, scope)
        try:
            return self._holding(item, seat, signal, scope)
        except SpecError as error:
            row = self._open_row(item, seat, signal, scope, error.rows, item.word)
            raise SpecError(error.problems, [row]) from None

    def _holding(self, item: Item, seat: Seat, signal: Signal, scope: Scope) -> tuple[Row, Signal]:
        """The row of an item that holds others."""
        if isinstance(item, RepeatItem):
            return self._repeat(item, seat, signal, scope)
        if isinstance(item, GroupItem):
            return self._group(item, seat, signal, scope)
        assert isinstance(item, CallItem)  # there are no other items once `$activation` is resolved
        return self._call(item, seat, signal, scope)

    def _layer(self, item: LayerItem, seat: Seat, signal: Signal, scope: Scope) -> tuple[Row, Signal]:
        made, asked_for = (item.layer, ()) if item.layer else self._maker.made(item, signal, scope)
        assert isinstance(made, Layer)  # as its item says
        layer = made
        step, after = self._maker.fit(item, scope, lambda: self._fitting.through(layer, seat.name, signal))
        if after.receptive_field is not signal.receptive_field:
            self._count_intervals(item, after, scope)
        common = _common(item, seat, signal, after, scope)
        return LayerRow(*common, layer, step, signal.form.positions, asked_for), after

    def _count_intervals(self, item: Item, after: Signal, scope: Scope) -> None:
        """Units that each see something else are listed one by one; many layers of them would take for ever."""
        self._num_intervals += sum(len(field.intervals) for field in after.fields if len(field.intervals) > 1)
        if self._num_intervals > MAX_INTERVALS:
            message = f"more than {MAX_INTERVALS:,} units of the network each see another part of the image"
            hint = "let adaptive pooling divide the map, and scale maps by whole numbers"
            raise self._maker.error(item, Misfit("too-many-intervals", message, hint), scope)

    def _group(self, item: GroupItem, seat: Seat, signal: Signal, scope: Scope) -> tuple[Row, Signal]:
        composite = item.composite
        if composite is None:
            made, _ = self._maker.made(item, signal, scope)
            assert isinstance(made, Composite)  # as its item says
            composite = made
        self._maker.fit(item, scope, lambda: composite.check_input(signal))
        if composite.is_branching:
            rows, arms = self._branches(item, composite, signal, scope)
        elif isinstance(composite, NAMED_ARMS):
            rows, arms = self._arms(item, composite, signal, scope)
        else:
            entrance = composite.entrance(signal, 1)
            rows, leaving = self._chain(item.lists[LAYERS_LIST], entrance, scope)
            arms = [Arm("the layers", leaving)]
        try:
            after = self._maker.fit(item, scope, lambda: composite.exit(signal, arms))
        except SpecError as error:
            raise SpecError(error.problems, rows) from None
        for misfit in composite.remarks(signal, arms):
            self._maker.warn(item, misfit, scope)
        row = self._group_row(item, seat, signal, after, scope, composite, rows)
        return (collapsed(row), after) if isinstance(composite, Group) else (row, after)

    def _branches(
        self, item: GroupItem, composite: Composite, signal: Signal, scope: Scope
    ) -> tuple[list[Row], list[Arm]]:
        """Every branch is tried, so that each tells its own mistake."""
        there = [branch for branch in item.lists[BRANCHES_LIST] if self._remains(branch, signal, scope)]
        if len(there) < 2:
            message = f"`{composite.kind}` has {len(there)} branch{'' if len(there) == 1 else 'es'} left"
            hint = "at least 2 must remain, whatever `when` leaves out"
            raise self._maker.error(item, Misfit("too-few-branches", message, hint), scope)
        entrance = self._maker.fit(item, scope, lambda: composite.entrance(signal, len(there)))
        names, inside = ListNames(), scope.deeper()
        rows, arms, problems = list[Row](), list[Arm](), list[Problem]()
        for branch in item.lists[BRANCHES_LIST]:
            if not any(branch is other for other in there):
                names.of(branch)  # it keeps its number
                continue
            try:
                row, after = self._row(branch, entrance, signal, inside, names, len(rows))
            except SpecError as error:
                problems += error.problems
                rows += error.rows
                continue
            if row:
                rows.append(row)
                arms.append(Arm(arm_text(row, branch), after))
        if problems:
            raise SpecError(problems, rows)
        return rows, arms

    def _remains(self, branch: Item, signal: Signal, scope: Scope) -> bool:
        found = self._resolved(branch, signal, scope.deeper())
        return found is not None and self._is_there(found[0], signal, found[1])

    def _arms(self, item: GroupItem, composite: Composite, signal: Signal, scope: Scope) -> tuple[list[Row], list[Arm]]:
        """Lists of layers that are groups of their own; an empty or unused way around holds nothing."""
        lists = {name: items for name, items in item.lists.items() if items}
        if isinstance(composite, Residual) and not composite.skip:
            lists = {LAYERS_LIST: lists[LAYERS_LIST]}
        rows, arms, problems = list[Row](), list[Arm](), list[Problem]()
        for name, items in lists.items():
            try:
                inner, after = self._chain(items, composite.entrance(signal, len(lists)), scope.deeper())
            except SpecError as error:
                problems += error.problems
                seat = Seat(len(rows), name)
                rows.append(self._open_row(item, seat, signal, scope, error.rows, GROUP.kind))
                continue
            if name == SHORTCUT_LIST and not inner:
                continue  # the way around is the identity
            seat = Seat(len(rows), name)
            rows.append(self._group_row(item, seat, signal, after, scope, GROUP, inner))
            arms.append(Arm(list_text(name, items), after))
        if problems:
            raise SpecError(problems, rows)
        return rows, arms

    def _repeat(self, item: RepeatItem, seat: Seat, signal: Signal, scope: Scope) -> tuple[Row, Signal]:
        lists = self._maker.lists(item, scope)
        times = self._maker.times(item, lists, scope)
        varying = self._varying_names(item)
        patterns: dict[object, Pattern] = {}
        rows, after = list[Row](), signal
        for index, names in enumerate(iteration_names(lists, times, scope.names)):
            key = (after.form, *[value_key(names[name]) for name in varying])
            copy = Seat(index, str(index))
            walk = partial(self._iteration, item, copy, after, scope, names)
            try:
                row, after = self._once(patterns, key, copy, after, walk)
            except SpecError as error:
                raise SpecError(error.problems, [*rows, *error.rows]) from None
            rows.append(row)
        return self._group_row(item, seat, signal, after, scope, GROUP, rows, item.word), after

    def _iteration(
        self, item: RepeatItem, seat: Seat, signal: Signal, scope: Scope, names: Names
    ) -> tuple[Row, Signal]:
        (items,) = item.lists.values()
        try:
            rows, after = self._chain(items, signal, replace(scope, names=names))
        except SpecError as error:
            opened = self._open_row(item, seat, signal, scope, error.rows, GROUP.kind)
            raise SpecError(error.problems, [opened]) from None
        return collapsed(self._group_row(item, seat, signal, after, scope, GROUP, rows)), after

    def _varying_names(self, item: RepeatItem) -> list[str]:
        """The names by which one iteration may differ from another."""
        if item.path not in self._varying:
            (items,) = item.lists.values()
            used = set(used_names(GivenLayers(items)))
            self._varying[item.path] = [name for name in (*item.lists_of_values, *OF_ITERATION) if name in used]
        return self._varying[item.path]

    def _call(self, item: CallItem, seat: Seat, signal: Signal, scope: Scope) -> tuple[Row, Signal]:
        block = self._block(item, scope)
        with_channels = scope.with_channels(signal.channels)
        given = {
            name: self._maker.told(scope, partial(argument_value, argument, with_channels, scope, (*item.path, name)))
            for name, argument in item.arguments.items()
        }
        number = self.block_calls[block.name]
        self.block_calls[block.name] += 1

        def walk() -> tuple[Row, Signal]:
            of_call = {"block_index": number, "block_count": self.block_counts.get(block.name, 1)}
            uses = (Use(block.name, item.head), *scope.uses)
            call = Scope(Names(of_call, self._constants), uses, scope.depth)
            order = self.spec.orders[block.name]
            inside = self._maker.told(call, lambda: entered(block, order, given, call, signal.channels))
            rows, after = self._chain(block.items, signal, inside)
            row = self._group_row(item, seat, signal, after, scope, GROUP, rows, block.name)
            return collapsed(row), after

        key = (item.path, item.word, scope.uses, scope.depth, signal.form, *map(value_key, given.values()))
        return self._once(self._calls, key, seat, signal, walk)

    def _once(
        self,
        patterns: dict[object, Pattern],
        key: object,
        seat: Seat,
        signal: Signal,
        walk: Callable[[], tuple[Row, Signal]],
    ) -> tuple[Row, Signal]:
        """What a walk gives, or a copy of what one gave for the same key, which tells apart all that rows depend on."""
        if self.spec.counts_calls:
            return walk()
        pattern = patterns.get(key)
        if pattern and self._num_rows + pattern.num_rows <= MAX_LAYERS:
            copy = pattern.copied(seat, signal)
            if copy:
                self._num_rows += pattern.num_rows
                return copy
        num_rows = self._num_rows
        row, after = walk()
        patterns[key] = Pattern(row, self._num_rows - num_rows)
        return row, after

    def _block(self, item: CallItem, scope: Scope) -> Block:
        """The block that is called; `$activation` may name one that is not there, or that wants arguments."""
        block = self.spec.blocks.get(item.word)
        if block is None:
            hint = did_you_mean(item.word, self.spec.blocks) or "define it below `blocks`"
            raise self._maker.error(item, Misfit("unknown-block", f"unknown block {show(item.word)}", hint), scope)
        if missing := [name for name in block.required if name not in item.arguments]:
            message = f"the call of `{block.name}` lacks {', '.join(f'`{name}`' for name in missing)}"
            hint = f"write `{block.name}: {{{', '.join(f'{name}: ...' for name in missing)}}}`"
            raise self._maker.error(item, Misfit("missing-argument", message, hint), scope)
        return block

    # --- rows ---

    def _group_row(
        self,
        item: Item,
        seat: Seat,
        signal: Signal,
        after: Signal,
        scope: Scope,
        composite: Composite,
        rows: Sequence[Row],
        word: str = "",
    ) -> GroupRow:
        common = _common(item, seat, signal, after, scope)
        return GroupRow(*common, word or composite.kind, composite, signal.form, after.form, tuple(rows))

    def _open_row(
        self, item: Item, seat: Seat, signal: Signal, scope: Scope, rows: Sequence[Row], word: str
    ) -> GroupRow:
        """What was made of an item before a layer in it failed."""
        row = self._group_row(item, seat, signal, signal, scope, GROUP, rows, word)
        return replace(row, is_open=True)


def _common(item: Item, seat: Seat, signal: Signal, after: Signal, scope: Scope) -> RowFields:
    """What every row has."""
    return (
        seat.index,
        seat.name,
        item.line,
        scope.used_at,
        item.path,
        scope.uses,
        signal.form.full_shape,
        signal.shape,
        after.form.full_shape,
        after.receptive_field,
    )
