"""The rows of a plan: one for each layer, and for each composite one that holds the rows of its layers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from builder.layers import Layer
from builder.layers.composites import Composite
from builder.paths import Path
from builder.problems import Use
from builder.signals import Form, ReceptiveField, Shape, Step


@dataclass(frozen=True)
class Row:
    """One layer, with all that is known of it.

    `path` leads to it in the spec, and `uses` are the calls of blocks around it, the innermost first; `used_at` is the
    line of that. `unit_shape` is what the layer is given, which
    differs from `in_shape` where it is applied to each pixel of a map (`per_pixel`).
    """

    index: int  # from 0, within its list
    name: str
    line: int | None
    used_at: int | None
    path: Path
    uses: tuple[Use, ...]
    in_shape: Shape
    unit_shape: Shape
    out_shape: Shape
    receptive_field: ReceptiveField

    @property
    def kind(self) -> str:
        raise NotImplementedError

    @property
    def leaving(self) -> Form:
        """The form of what leaves."""
        raise NotImplementedError

    @property
    def rows(self) -> "tuple[Row, ...]":
        """Those of the layers that it holds."""
        return ()

    def again(self, index: int, name: str, receptive_field: ReceptiveField, rows: "Sequence[Row]" = ()) -> "Row":
        """The same at another place of a list, with these rows in it, where units may see something else."""
        raise NotImplementedError  # for every row of every copy: `dataclasses.replace` would take twice as long

    @property
    def params(self) -> int:
        raise NotImplementedError

    @property
    def buffers(self) -> int:
        raise NotImplementedError

    @property
    def macs(self) -> int:
        raise NotImplementedError

    @property
    def requested(self) -> Mapping[str, int | float]:
        """The parameters that `round_to` changed, with the numbers that were asked for."""
        return {}

    def to_json(self) -> dict[str, object]:
        used_at = {} if self.used_at is None else {"used_at": self.used_at}
        requested = {"requested": dict(self.requested)} if self.requested else {}
        head = {"index": self.index, "name": self.name, "kind": self.kind, "line": self.line}
        return {
            **head,
            **used_at,
            "in_shape": list(self.in_shape),
            "out_shape": list(self.out_shape),
            "receptive_field": self.receptive_field.to_json(),
            "params": self.params,
            "macs": self.macs,
            **requested,
        }


@dataclass(frozen=True)
class LayerRow(Row):
    """A layer of one of the kinds, applied at so many `positions` of an image (see `per_pixel`).

    `step` is what it makes of the form that arrives.
    """

    layer: Layer
    step: Step
    positions: int = 1
    asked_for: tuple[tuple[str, int | float], ...] = ()

    @property
    def kind(self) -> str:
        return self.layer.kind

    @property
    def leaving(self) -> Form:
        return self.step.form

    def again(self, index: int, name: str, receptive_field: ReceptiveField, rows: Sequence[Row] = ()) -> "LayerRow":
        return LayerRow(
            index,
            name,
            self.line,
            self.used_at,
            self.path,
            self.uses,
            self.in_shape,
            self.unit_shape,
            self.out_shape,
            receptive_field,
            self.layer,
            self.step,
            self.positions,
            self.asked_for,
        )

    @property
    def params(self) -> int:
        return self.layer.params(self.unit_shape)

    @property
    def buffers(self) -> int:
        return self.layer.buffers(self.unit_shape)

    @property
    def macs(self) -> int:
        return self.layer.macs(self.unit_shape) * self.positions

    @property
    def values_per_channel(self) -> int | None:
        """Of one image, the values that a batch statistic is taken over; None where there is no such statistic."""
        values = self.layer.values_per_channel(self.unit_shape)
        return None if values is None else values * self.positions

    @property
    def requested(self) -> Mapping[str, int | float]:
        return dict(self.asked_for)


@dataclass(frozen=True)
class GroupRow(Row):
    """Layers under one name: what a composite, a block or an iteration holds."""

    word: str  # the composite's kind, or the block's name
    composite: Composite
    before: Form  # of what arrives
    after: Form  # of what leaves
    children: tuple[Row, ...]
    is_open: bool = False  # a layer inside failed: what leaves is not known, and the children end before that layer

    @property
    def kind(self) -> str:
        return self.word

    def again(self, index: int, name: str, receptive_field: ReceptiveField, rows: Sequence[Row] = ()) -> "GroupRow":
        return GroupRow(
            index,
            name,
            self.line,
            self.used_at,
            self.path,
            self.uses,
            self.in_shape,
            self.unit_shape,
            self.out_shape,
            receptive_field,
            self.word,
            self.composite,
            self.before,
            self.after,
            tuple(rows),
        )

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.children

    @property
    def unit_out_shape(self) -> Shape:
        """What it gives, for each pixel of a map where it is applied to them."""
        return self.after.shape

    @property
    def leaving(self) -> Form:
        return self.after

    @property
    def own_params(self) -> int:
        """Learnable numbers besides those of the layers."""
        return self.composite.own_params(self.unit_out_shape)

    @property
    def params(self) -> int:
        return self.own_params + sum([row.params for row in self.children])

    @property
    def buffers(self) -> int:
        return sum([row.buffers for row in self.children])

    @property
    def macs(self) -> int:
        return sum([row.macs for row in self.children])

    def to_json(self) -> dict[str, object]:
        return super().to_json() | {"layers": [row.to_json() for row in self.children]}


def with_levels(rows: Sequence[Row], level: int = 0) -> Iterator[tuple[Row, int]]:
    """Every row, those of composites followed by the rows that they hold, and how deep it stands."""
    for row in rows:
        yield row, level
        yield from with_levels(row.rows, level + 1)


def leaves(rows: Sequence[Row]) -> Iterator[LayerRow]:
    """The rows of single layers, in the order of the file."""
    for row, _ in with_levels(rows):
        if isinstance(row, LayerRow):
            yield row
