"""What flows from layer to layer: a shape, and per image axis what its units can depend on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod

from builder.geometry import MIXED_AXIS, UNIT_WINDOW, AxisField, AxisWindow, MixedAxis

Shape = tuple[int, ...]  # without the batch: (channels, height, width), (channels, length) or (features,)
Fields = tuple[AxisField, AxisField]  # along the height and the width of the image
Part = tuple[int, int | None]  # of a dimension: a number of positions, and the image axis (0 height, 1 width), if any

CHANNELS = 0  # the dimension
MAP_AXES = (0, 1)  # the image axes, in the order in which a map has them


@dataclass(frozen=True, slots=True)
class Form:
    """What arrives at a layer, but for what its units see.

    `parts` tells for each dimension of the shape what it runs over, the slowest first: channels (no image axis), one
    axis for the rows of a map, all of them one after another for the features after `flatten`.
    `pixels` is the map's (height, width) where layers see the channels of single pixels (`per_pixel`), else None.
    """

    shape: Shape
    parts: tuple[tuple[Part, ...], ...]
    pixels: tuple[int, int] | None = None

    @property
    def channels(self) -> int:
        """What `in_channels` means here: the channels, or the features."""
        return self.shape[CHANNELS]

    @property
    def full_shape(self) -> Shape:
        """The shape, that of the whole map where layers see single pixels."""
        return self.shape if self.pixels is None else (*self.shape, *self.pixels)

    @property
    def positions(self) -> int:
        """How many times a layer is applied to one image."""
        return 1 if self.pixels is None else prod(self.pixels)

    def axes(self, dimension: int) -> tuple[int, ...]:
        """The image axes that a dimension runs over."""
        return tuple(axis for _, axis in self.parts[dimension] if axis is not None)

    def long_axes(self, dimension: int) -> tuple[int, ...]:
        """Those of them along which there is more than one position."""
        return tuple(axis for count, axis in self.parts[dimension] if axis is not None and count > 1)

    def with_channels(self, channels: int) -> "Form":
        """The same positions, with other channels."""
        shape = (channels, *self.shape[1:])
        return replace(self, shape=shape, parts=(_other_channels(channels, [self]), *self.parts[1:]))

    def of_pixels(self) -> "Form":
        """The channels of each pixel of a map, as features."""
        return Form(self.shape[:1], self.parts[:1], pixels=(self.shape[1], self.shape[2]))

    def of_map(self, around: "Form") -> "Form":
        """The map that holds these features of its pixels; `around` is the map they were taken from."""
        shape = (*self.shape, *around.shape[1:])
        return Form(shape, (((self.shape[0], None),), *around.parts[1:]), around.pixels)

    # --- what layers make of it ---

    def slid(self, shape: Shape, windows: Sequence[AxisWindow]) -> "Step":
        """After windows over all dimensions but the channels, one each."""
        along: dict[int, list[AxisWindow]] = {axis: [] for axis in MAP_AXES}
        parts: list[tuple[Part, ...]] = [((shape[CHANNELS], None),)]
        for dimension, window in enumerate(windows, start=1):
            axes = self.axes(dimension) if len(self.axes(dimension)) == 1 else self.long_axes(dimension)
            for axis in axes if window != UNIT_WINDOW else ():  # through which units see the same as before
                along[axis].append(window)
            parts.append(((shape[dimension], axes[0] if axes else None),))
        return Step(Form(shape, tuple(parts), self.pixels), tuple(along[0]), tuple(along[1]))

    def mixed(self, shape: Shape, dimensions: Sequence[int]) -> "Step":
        """After a layer that makes every position of these dimensions see all the others."""
        mixed_axes = {axis for dimension in dimensions for axis in self.axes(dimension)}
        height, width = ((MIXED_AXIS,) if axis in mixed_axes else () for axis in MAP_AXES)
        parts = tuple(
            # A dimension of another size runs over nothing that can be told.
            self.parts[dimension] if size == self.shape[dimension] else ((size, None),)
            for dimension, size in enumerate(shape)
        )
        return Step(replace(self, shape=shape, parts=parts), height, width)

    def merged(self, shape: Shape, first: int, last: int) -> "Step":
        """After the dimensions from `first` to `last` became one."""
        joined = tuple(part for parts in self.parts[first : last + 1] for part in parts)
        return Step(replace(self, shape=shape, parts=(*self.parts[:first], joined, *self.parts[last + 1 :])))

    def split(self, shape: Shape, dimension: int, sizes: Sequence[int]) -> "Step":
        """After one dimension became several.

        Where that undoes a `flatten`, every position is again where it was. Otherwise a position of the new map can
        be any of the old one, so that each depends on all.
        """
        divided = _divided(self.parts[dimension], sizes)
        if divided is not None:
            parts = (*self.parts[:dimension], *divided, *self.parts[dimension + 1 :])
            if _is_in_place(parts):
                return Step(replace(self, shape=shape, parts=parts))
        if len(shape) == 1 + len(MAP_AXES):
            _, height, width = shape
            map_form = replace(self, shape=shape, parts=_parts_of_map(shape))
            return Step(map_form, (MixedAxis(height),), (MixedAxis(width),))
        form = replace(self, shape=shape, parts=tuple(((size, None),) for size in shape))
        return Step(form, (MIXED_AXIS,), (MIXED_AXIS,))

    def halved(self, shape: Shape, dimension: int) -> "Step | None":
        """After the two halves of a dimension became one; None if they hold different positions."""
        (count, axis), *others = self.parts[dimension]
        if axis is not None or count % 2:
            return None
        halved = ((count // 2, None), *others)
        return Step(replace(self, shape=shape, parts=(*self.parts[:dimension], halved, *self.parts[dimension + 1 :])))


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """What one unit can depend on, in pixels of the input, as (height, width)."""

    fields: Fields
    image: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        vertical, horizontal = self.fields
        return vertical.size, horizontal.size

    @property
    def stride(self) -> tuple[Fraction, Fraction]:
        vertical, horizontal = self.fields
        return vertical.stride, horizontal.stride

    @property
    def padding(self) -> tuple[int, int]:
        vertical, horizontal = self.fields
        return vertical.padding, horizontal.padding

    @property
    def covers_input(self) -> bool:
        """Whether a unit in the middle can see as much as the image has."""
        return all(field.covers(size) for field, size in zip(self.fields, self.image, strict=True))

    @property
    def is_even(self) -> bool:
        """Whether every unit sees as much as its neighbours."""
        vertical, horizontal = self.fields
        return len(vertical.intervals) == len(horizontal.intervals) == 1

    def to_json(self) -> dict[str, object]:
        return {
            "size": list(self.size),
            "stride": [_json_number(stride) for stride in self.stride],
            "padding": list(self.padding),
            "covers_input": self.covers_input,
        }


def _json_number(number: Fraction) -> int | float:
    return int(number) if number.denominator == 1 else float(number)


@dataclass(frozen=True, slots=True)
class Step:
    """What a layer makes of a form: another one, and what it looks through along the image's height and width."""

    form: Form
    height: tuple[AxisWindow, ...] = ()  # one after another
    width: tuple[AxisWindow, ...] = ()

    def seen(self, before: ReceptiveField) -> ReceptiveField:
        """What the units of the new form see, given what those of the old one do."""
        if not self.height and not self.width:
            return before
        vertical, horizontal = before.fields
        height = _through(vertical, self.height)
        if horizontal is vertical and self.width == self.height:  # on a square map, so worked out once
            return ReceptiveField((height, height), before.image)
        return ReceptiveField((height, _through(horizontal, self.width)), before.image)


def _through(field: AxisField, windows: Sequence[AxisWindow]) -> AxisField:
    for window in windows:
        field = field.through(window)
    return field


@dataclass(frozen=True, slots=True)
class Signal:
    """What arrives at a layer: a form, and what its units see."""

    form: Form
    receptive_field: ReceptiveField

    @classmethod
    def of_input(cls, shape: Shape) -> "Signal":
        """The image: each pixel sees itself."""
        _, height, width = shape
        vertical = AxisField.of_input(height)
        horizontal = vertical if width == height else AxisField.of_input(width)
        return cls(Form(shape, _parts_of_map(shape)), ReceptiveField((vertical, horizontal), (height, width)))

    @property
    def shape(self) -> Shape:
        return self.form.shape

    @property
    def channels(self) -> int:
        return self.form.channels

    @property
    def fields(self) -> Fields:
        return self.receptive_field.fields

    def formed(self, form: Form) -> "Signal":
        """Another form, whose units see the same."""
        return Signal(form, self.receptive_field)


def met(forms: Sequence[Form], shape: Shape) -> Form:
    """The form of this shape that becomes of several."""
    first = forms[0]
    if shape == first.shape and all(form == first for form in forms):
        return first
    alike = all(form.parts[CHANNELS] == first.parts[CHANNELS] for form in forms) and shape[0] == first.shape[0]
    channels = first.parts[CHANNELS] if alike else _other_channels(shape[0], forms)
    rest = (
        next(form.parts[dimension] for form in forms if form.shape[dimension] == size)
        for dimension, size in enumerate(shape[1:], start=1)
    )
    return Form(shape, (channels, *rest), first.pixels)


def _other_channels(channels: int, forms: Sequence[Form]) -> tuple[Part, ...]:
    """So many channels, that run over the image axes that those of the forms run over."""
    axes = dict.fromkeys(part for form in forms for part in form.parts[CHANNELS] if part[1] is not None)
    return ((channels, None), *axes)


def _parts_of_map(shape: Shape) -> tuple[tuple[Part, ...], ...]:
    channels, height, width = shape
    return ((channels, None),), ((height, 0),), ((width, 1),)


def _divided(parts: Sequence[Part], sizes: Sequence[int]) -> tuple[tuple[Part, ...], ...] | None:
    """The parts shared out to dimensions of these sizes, or None if one of them would have to be cut."""
    left = list(parts)
    shares: list[tuple[Part, ...]] = []
    for size in sizes:
        share: list[Part] = []
        while size > 1:
            if not left:
                return None
            count, axis = left.pop(0)
            if size % count == 0:
                share.append((count, axis))
                size //= count
            elif axis is None and count % size == 0:
                share.append((size, None))
                left.insert(0, (count // size, None))
                size = 1
            else:
                return None
        shares.append(tuple(share))
    if any(count > 1 for count, _ in left):
        return None
    shares[-1] += tuple(left)  # axes of a single position
    return tuple(shares)


def _is_in_place(parts: Sequence[Sequence[Part]]) -> bool:
    """Whether the channels run over no image axis, and each dimension of a map over its own at most."""
    axes = [{axis for count, axis in dimension if axis is not None and count > 1} for dimension in parts]
    if len(parts) == 1 + len(MAP_AXES):
        return not axes[0] and axes[1] <= {0} and axes[2] <= {1}
    return not axes[0]
