"""Everything that can be known of a network without torch: one row per layer, and totals over the rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

from builder.fields import pair_text
from builder.geometry import AxisField, Window
from builder.kinds import Misfit, MisfitError
from builder.layers import Layer, Shape
from builder.layers.base import check_rank, described, shape_text
from builder.layers.conv import AXES
from builder.limits import MAX_ACTIVATION, MAX_PARAMS
from builder.problems import Problem, SpecError, either, errors
from builder.recipe import Recipe
from builder.spec import LayerSpec, Spec
from builder.table import Column, Table

FORMAT = 1


@dataclass(frozen=True)
class Signal:
    """What arrives at a layer: a shape, and per image axis what its units can depend on.

    `axes` tells for each dimension of the shape which image axes (0 height, 1 width) it runs over: none for the
    channels, one for the rows of a map, both for the features after `flatten`.
    """

    shape: Shape
    axes: tuple[tuple[int, ...], ...]
    fields: tuple[AxisField, AxisField]

    @classmethod
    def of_input(cls, shape: Shape) -> "Signal":
        _, height, width = shape
        return cls(shape, ((), (0,), (1,)), (AxisField.of_input(height), AxisField.of_input(width)))

    def through(self, layer: Layer, name: str) -> "Signal":
        """What leaves the layer; `name` is for messages.

        Raises:
            MisfitError: the layer can't work on this signal.
        """
        check_rank(layer, self.shape)
        layer.check_input(self.shape)
        if layer.slides:
            _check_windows(layer, name, self.shape)
        shape = layer.output_shape(self.shape)
        return Signal(shape, self._axes_after(layer), self._fields_after(layer))

    def _axes_after(self, layer: Layer) -> tuple[tuple[int, ...], ...]:
        merged = layer.merges(self.shape)
        if merged is None:
            return self.axes
        first, last = merged
        joined = tuple(axis for axes in self.axes[first : last + 1] for axis in axes)
        return (*self.axes[:first], joined, *self.axes[last + 1 :])

    def _fields_after(self, layer: Layer) -> tuple[AxisField, AxisField]:
        if layer.slides:
            vertical, horizontal = layer.window(self.shape)
            return self.fields[0].through(vertical), self.fields[1].through(horizontal)
        mixed = {axis for dimension in layer.mixes(self.shape) for axis in self.axes[dimension]}
        height, width = (field.whole() if axis in mixed else field for axis, field in enumerate(self.fields))
        return height, width


def _check_windows(layer: Layer, name: str, in_shape: Shape) -> None:
    """Raise `MisfitError` if no window fits the map, with the arithmetic and the smallest change that fits."""
    windows = layer.window(in_shape)
    sizes = in_shape[1:]
    for axis, window, size in zip(AXES, windows, sizes, strict=True):
        if isinstance(window, Window) and window.output_size(size) < 1:
            is_same = windows[0] == windows[1] and sizes[0] == sizes[1]
            where = f"{shape_text(sizes)} input of {name}" + ("" if is_same else f" ({axis})")
            paddings = window.padding + window.after
            rounding = "ceil" if window.ceil_mode else "floor"
            formula = f"{rounding}(({size}+{paddings}-{window.extent})/{window.stride})+1 = {window.output_size(size)}"
            message = f"kernel extent {window.extent} does not fit the {where}: {formula}"
            raise MisfitError(Misfit("kernel-too-large", message, _what_fits(layer, in_shape), "kernel_size"))


def _what_fits(layer: Layer, in_shape: Shape) -> str:
    """The largest kernel and the smallest padding that do, as far as the layer's other parameters allow them."""
    windows = [window for window in layer.window(in_shape) if isinstance(window, Window)]
    sizes = in_shape[1:]
    kernel, paddings = [], []
    for window, size in zip(windows, sizes, strict=True):
        room = size + window.padding + window.after
        kernel.append(max(1, min(window.kernel_size, (room - 1) // window.dilation + 1)))
        paddings.append(max(window.padding, -(-(window.extent - size) // 2)))
    changes: dict[str, dict[str, Any]] = {
        f"kernel_size {'up to ' if max(kernel) > 1 else ''}{pair_text((kernel[0], kernel[1]))}": {
            "kernel_size": kernel
        },
        f"padding {max(paddings)}": {"padding": max(paddings)},
    }
    fitting = [text for text, change in changes.items() if _fits(layer, in_shape, change)]
    return f"{either(fitting)} fits" if fitting else "move the layer to where the map is larger"


def _fits(layer: Layer, in_shape: Shape, change: dict[str, Any]) -> bool:
    """Whether the layer, changed like this, can work on the input."""
    changed = type(layer).read(layer.written() | change)
    try:
        changed.check_input(in_shape)
    except MisfitError:
        return False
    return not any(changed.rules()) and min(changed.output_shape(in_shape)) > 0


@dataclass(frozen=True)
class ReceptiveField:
    """What one unit can depend on, in pixels of the input, as (height, width)."""

    size: tuple[int, int]
    stride: tuple[Fraction, Fraction]
    padding: tuple[int, int]
    covers_input: bool

    @classmethod
    def of(cls, signal: Signal, image: Shape) -> "ReceptiveField":
        vertical, horizontal = signal.fields
        return cls(
            size=(vertical.size, horizontal.size),
            stride=(vertical.stride, horizontal.stride),
            padding=(vertical.padding, horizontal.padding),
            covers_input=vertical.covers(image[1]) and horizontal.covers(image[2]),
        )

    def to_json(self) -> dict[str, object]:
        return {
            "size": list(self.size),
            "stride": [_json_number(stride) for stride in self.stride],
            "padding": list(self.padding),
            "covers_input": self.covers_input,
        }


def _json_number(number: Fraction) -> int | float:
    return int(number) if number.denominator == 1 else float(number)


@dataclass(frozen=True)
class Row:
    """One layer, with all that is known of it."""

    index: int  # from 0, within its list
    name: str
    layer: Layer
    line: int | None
    in_shape: Shape
    out_shape: Shape
    receptive_field: ReceptiveField

    @property
    def kind(self) -> str:
        return self.layer.kind

    @property
    def params(self) -> int:
        return self.layer.params(self.in_shape)

    @property
    def buffers(self) -> int:
        return self.layer.buffers(self.in_shape)

    @property
    def macs(self) -> int:
        return self.layer.macs(self.in_shape)

    def to_json(self) -> dict[str, object]:
        return {
            "index": self.index,
            "name": self.name,
            "kind": self.kind,
            "line": self.line,
            "in_shape": list(self.in_shape),
            "out_shape": list(self.out_shape),
            "receptive_field": self.receptive_field.to_json(),
            "params": self.params,
            "macs": self.macs,
        }


@dataclass(frozen=True)
class Plan:
    """A spec, and the row of each of its layers; printing it gives the table."""

    spec: Spec
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def output(self) -> Shape:
        return self.rows[-1].out_shape

    @property
    def params(self) -> int:
        """Learnable numbers."""
        return sum(row.params for row in self.rows)

    @property
    def buffers(self) -> int:
        """Numbers kept but not learned: running statistics."""
        return sum(row.buffers for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(row.macs for row in self.rows)

    @property
    def receptive_field(self) -> ReceptiveField:
        """That of the last layer."""
        return self.rows[-1].receptive_field

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Warnings."""
        return self.spec.problems

    def __str__(self) -> str:
        return plan_table(self.spec, self.rows).text()


def make_plan(spec: Spec) -> Plan:
    """Work out every layer's shape, receptive field, parameters and MACs.

    Raises:
        SpecError: a layer doesn't fit, or the network doesn't fit the recipe; `rows` holds the layers before.
    """
    rows: list[Row] = []
    signal = Signal.of_input(spec.input)
    for index, item in enumerate(spec.layers):
        try:
            row, signal = _make_row(index, item, signal, spec.input)
        except MisfitError as error:
            raise SpecError([*spec.problems, spec.problem(error.misfit, item.path)], rows) from None
        rows.append(row)
    plan = Plan(spec, tuple(rows))
    problems = list(_network_problems(plan))
    if problems:
        raise SpecError([*spec.problems, *problems], rows)
    return plan


def _make_row(index: int, item: LayerSpec, signal: Signal, image: Shape) -> tuple[Row, Signal]:
    after = signal.through(item.layer, item.name)
    field = ReceptiveField.of(after, image)
    row = Row(index, item.name, item.layer, item.line, signal.shape, after.shape, field)
    _check_limits(row)
    return row, after


def _check_limits(row: Row) -> None:
    """Raise `MisfitError` if the layer alone would not fit into a machine; nothing is allocated to find out."""
    if row.params > MAX_PARAMS:
        message = f"`{row.name}` has {row.params:,} parameters"
        raise MisfitError(Misfit("too-many-params", message, f"at most {MAX_PARAMS:,} are possible"))
    numbers = prod(row.out_shape)
    if numbers > MAX_ACTIVATION:
        message = f"`{row.name}` gives {numbers:,} numbers for one image ({shape_text(row.out_shape)})"
        raise MisfitError(Misfit("too-large-output", message, f"at most {MAX_ACTIVATION:,} are possible"))


def _network_problems(plan: Plan) -> Iterator[Problem]:
    """What only the whole network shows."""
    last = plan.spec.layers[-1]
    if plan.params > MAX_PARAMS:
        message = f"the network has {plan.params:,} parameters"
        yield plan.spec.problem(Misfit("too-many-params", message, f"at most {MAX_PARAMS:,} are possible"), ("layers",))
    if plan.spec.recipe is None:
        return
    classes = len(plan.spec.recipe.dataset.classes)
    if plan.output != (classes,):
        message = (
            f"the network gives {described(plan.output)}, and {plan.spec.recipe.dataset.kind} has {classes} classes"
        )
        hint = (
            f"let the last layer give {classes} features"
            if len(plan.output) == 1
            else "add `flatten` after it"
            if prod(plan.output) == classes
            else f"end with `flatten` and {classes} features"
        )
        yield plan.spec.problem(Misfit("wrong-classes", message, hint), last.path)
    yield from _batch_of_one_problems(plan, plan.spec.recipe)


def _batch_of_one_problems(plan: Plan, recipe: Recipe) -> Iterator[Problem]:
    """Batch norm needs two values per channel; torch says so at the end of the first epoch."""
    alone = [
        data for data in recipe.possible_datasets if data.num_train % recipe.batch_size == 1 or recipe.batch_size == 1
    ]
    if not alone:
        return
    for row in plan.rows:
        if row.layer.values_per_channel(row.in_shape) == 1:
            holds = f"the last batch of an epoch holds 1 of the {alone[0].num_train:,} images of {alone[0].kind}"
            if recipe.batch_size == 1:
                holds = "a batch holds 1 image"
            message = f"{holds}, and `{row.name}` needs 2 values per channel"
            misfit = Misfit("batch-of-one", message, "write another `batch_size`", "batch_size")
            yield plan.spec.problem(misfit, ("training",))
            return


def plan_table(spec: Spec, rows: Sequence[Row]) -> Table:
    """The rows as a table, with totals; of a spec that fails, the rows before the failing layer."""
    columns = (
        Column("name"),
        Column("kind", drop=4),
        Column("line", "right", drop=6),
        Column("input", "right", drop=7),
        Column("output", "right"),
        Column("field", "right"),
        Column("stride", "right", drop=5),
        Column("params", "right"),
        Column("MACs", "right", drop=3),
    )
    totals = ("total", "", "", "", "", "", "", f"{sum(r.params for r in rows):,}", f"{sum(r.macs for r in rows):,}")
    notes = ["field: receptive field in pixels; stride: pixels from one unit to the next; * covers the whole input"]
    notes += ["MACs: multiply-accumulates for one image, bias excluded (FLOPs = 2 x MACs)"]
    buffers = sum(row.buffers for row in rows)
    notes += [f"buffers (running statistics, not learned): {buffers:,}"] if buffers else []
    title = f"{spec.name}: input {shape_text(spec.input)}"
    return Table(columns, [_cells(row) for row in rows], totals, title, notes)


def _cells(row: Row) -> tuple[str, ...]:
    field = row.receptive_field
    return (
        row.name,
        row.kind,
        "" if row.line is None else str(row.line),
        shape_text(row.in_shape),
        shape_text(row.out_shape),
        _pair_text(field.size) + (" *" if field.covers_input else "  "),
        _pair_text(field.stride),
        f"{row.params:,}",
        f"{row.macs:,}",
    )


def _pair_text(pair: tuple[int, int] | tuple[Fraction, Fraction]) -> str:
    height, width = pair
    return str(height) if height == width else f"{height}x{width}"


def plan_json(spec: Spec | None, rows: Sequence[Row], problems: Sequence[Problem]) -> dict[str, object]:
    """What `show --json` prints.

    Of a spec with errors, totals are null and the layers end before the failing one; of a spec that can't be read
    (None), so are its name and its input.
    """
    complete = not errors(problems)
    return {
        "format": FORMAT,
        "name": spec.name if spec else None,
        "input": list(spec.input) if spec else None,
        "output": list(rows[-1].out_shape) if complete else None,
        "params": sum(row.params for row in rows) if complete else None,
        "macs": sum(row.macs for row in rows) if complete else None,
        "layers": [row.to_json() for row in rows],
        "problems": [problem.to_json() for problem in problems],
    }
