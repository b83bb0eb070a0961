"""What flows from layer to layer: a shape, and per image axis what its units can depend on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from builder.geometry import AxisField, AxisWindow

Shape = tuple[int, ...]  # without the batch: (channels, height, width), (channels, length) or (features,)
Part = tuple[int, int | None]  # of a dimension: a number of positions, and the image axis (0 height, 1 width), if any

CHANNELS = 0  # the dimension
MAP_AXES = (0, 1)  # the image axes, in the order in which a map has them


@dataclass(frozen=True)
class Signal:
    """What arrives at a layer.

    `parts` tells for each dimension of the shape what it runs over, the slowest first: channels (no image axis), one
    axis for the rows of a map, all of them one after another for the features after `flatten`.
    `pixels` is the map's (height, width) where layers see the channels of single pixels (`per_pixel`), else None.
    """

    shape: Shape
    parts: tuple[tuple[Part, ...], ...]
    fields: tuple[AxisField, AxisField]
    pixels: tuple[int, int] | None = None

    @classmethod
    def of_input(cls, shape: Shape) -> "Signal":
        _, height, width = shape
        return cls(shape, _parts_of_map(shape), (AxisField.of_input(height), AxisField.of_input(width)))

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

    def with_channels(self, channels: int) -> "Signal":
        """The same positions, with other channels."""
        shape = (channels, *self.shape[1:])
        return replace(self, shape=shape, parts=(_other_channels(channels, [self]), *self.parts[1:]))

    def slid(self, shape: Shape, windows: Sequence[AxisWindow]) -> "Signal":
        """After windows over all dimensions but the channels, one each."""
        fields = list(self.fields)
        parts: list[tuple[Part, ...]] = [((shape[CHANNELS], None),)]
        for dimension, window in enumerate(windows, start=1):
            axes = self.axes(dimension) if len(self.axes(dimension)) == 1 else self.long_axes(dimension)
            for axis in axes:
                fields[axis] = fields[axis].through(window)
            parts.append(((shape[dimension], axes[0] if axes else None),))
        return Signal(shape, tuple(parts), (fields[0], fields[1]), self.pixels)

    def mixed(self, shape: Shape, dimensions: Sequence[int]) -> "Signal":
        """After a layer that makes every position of these dimensions see all the others."""
        mixed_axes = {axis for dimension in dimensions for axis in self.axes(dimension)}
        height, width = (field.whole() if axis in mixed_axes else field for axis, field in enumerate(self.fields))
        parts = tuple(
            # A dimension of another size runs over nothing that can be told.
            self.parts[dimension] if size == self.shape[dimension] else ((size, None),)
            for dimension, size in enumerate(shape)
        )
        return replace(self, shape=shape, parts=parts, fields=(height, width))

    def merged(self, shape: Shape, first: int, last: int) -> "Signal":
        """After the dimensions from `first` to `last` became one."""
        joined = tuple(part for parts in self.parts[first : last + 1] for part in parts)
        return replace(self, shape=shape, parts=(*self.parts[:first], joined, *self.parts[last + 1 :]))

    def split(self, shape: Shape, dimension: int, sizes: Sequence[int]) -> "Signal":
        """After one dimension became several.

        Where that undoes a `flatten`, every position is again where it was. Otherwise a position of the new map can
        be any of the old one, so that each depends on all.
        """
        divided = _divided(self.parts[dimension], sizes)
        if divided is not None:
            parts = (*self.parts[:dimension], *divided, *self.parts[dimension + 1 :])
            if _is_in_place(parts):
                return replace(self, shape=shape, parts=parts)
        height, width = (field.whole() for field in self.fields)
        if len(shape) == 1 + len(MAP_AXES):
            fields = (replace(height, units=shape[1]), replace(width, units=shape[2]))
            return replace(self, shape=shape, parts=_parts_of_map(shape), fields=fields)
        return replace(self, shape=shape, parts=tuple(((size, None),) for size in shape), fields=(height, width))

    def halved(self, shape: Shape, dimension: int) -> "Signal | None":
        """After the two halves of a dimension became one; None if they hold different positions."""
        (count, axis), *others = self.parts[dimension]
        if axis is not None or count % 2:
            return None
        halved = ((count // 2, None), *others)
        return replace(self, shape=shape, parts=(*self.parts[:dimension], halved, *self.parts[dimension + 1 :]))

    def of_pixels(self) -> "Signal":
        """The channels of each pixel of a map, as features."""
        return replace(self, shape=self.shape[:1], parts=self.parts[:1], pixels=(self.shape[1], self.shape[2]))

    def of_map(self, around: "Signal") -> "Signal":
        """The map that holds these features of its pixels; `around` is the map they were taken from."""
        shape = (*self.shape, *around.shape[1:])
        return Signal(shape, (((self.shape[0], None),), *around.parts[1:]), self.fields, around.pixels)


def met(signals: Sequence[Signal], shape: Shape, fields: tuple[AxisField, AxisField]) -> Signal:
    """The signal of this shape and these fields that becomes of several."""
    first = signals[0]
    alike = all(signal.parts[CHANNELS] == first.parts[CHANNELS] for signal in signals) and shape[0] == first.shape[0]
    channels = first.parts[CHANNELS] if alike else _other_channels(shape[0], signals)
    rest = (
        next(signal.parts[dimension] for signal in signals if signal.shape[dimension] == size)
        for dimension, size in enumerate(shape[1:], start=1)
    )
    return Signal(shape, (channels, *rest), fields, first.pixels)


def _other_channels(channels: int, signals: Sequence[Signal]) -> tuple[Part, ...]:
    """So many channels, that run over the image axes that those of the signals run over."""
    axes = dict.fromkeys(part for signal in signals for part in signal.parts[CHANNELS] if part[1] is not None)
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
