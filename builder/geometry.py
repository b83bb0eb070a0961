"""Sizes and receptive fields along one axis, in whole numbers.

A layer that slides over a map is described by one `Window` (or `AdaptiveWindow`) per axis: which units of its input an
output unit sees. That alone determines the output size and the receptive field, so the recurrence is written once,
in `AxisField.through`.

Sources: V. Dumoulin & F. Visin, A guide to convolution arithmetic for deep learning, 2016, arXiv:1603.07285 (sizes);
A. Araujo, W. Norris & J. Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill 2019,
doi:10.23915/distill.00021 (receptive fields).
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd
from typing import Protocol

Interval = tuple[int, int]  # the first and the last coordinate, both included


class AxisWindow(Protocol):
    """Which input units an output unit sees, along one axis."""

    def output_size(self, size: int) -> int:
        """How many units the output has when the input has `size`; less than 1 means that nothing fits."""
        ...

    def units(self, index: int, size: int) -> Interval:
        """The first and the last input unit that output unit `index` sees; they may lie in the padding."""
        ...

    def period(self, size: int) -> tuple[int, int]:
        """The smallest (output units, input units) after which the pattern of `units` repeats."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """A kernel that slides: `kernel_size`, `stride`, `dilation`, and the padding before and after the axis."""

    kernel_size: int
    stride: int = 1
    padding: int = 0
    padding_after: int | None = None  # as before, when not given
    dilation: int = 1
    ceil_mode: bool = False

    @property
    def extent(self) -> int:
        """From the first to the last unit that the kernel touches: d(k-1) + 1."""
        return self.dilation * (self.kernel_size - 1) + 1

    @property
    def after(self) -> int:
        return self.padding if self.padding_after is None else self.padding_after

    def output_size(self, size: int) -> int:
        """`floor((n + p_before + p_after - d(k-1) - 1) / s) + 1`, rounded up with `ceil_mode`.

        As in torch, a window that `ceil_mode` adds is dropped when it would start in the padding after the axis.
        """
        span = size + self.padding + self.after - self.extent
        if not self.ceil_mode:
            return span // self.stride + 1
        count = -(-span // self.stride) + 1
        starts_inside = (count - 1) * self.stride < size + self.padding
        return count if starts_inside else count - 1

    def units(self, index: int, size: int) -> Interval:
        first = index * self.stride - self.padding
        return first, first + self.extent - 1

    def period(self, size: int) -> tuple[int, int]:
        return 1, self.stride


@dataclass(frozen=True, slots=True)
class AdaptiveWindow:
    """Windows that divide the axis into `count` nearly equal parts, as torch's adaptive pooling cuts them.

    Part i runs from `floor(i n / o)` to `ceil((i + 1) n / o) - 1`; with n not divisible by o neighbours overlap.
    """

    count: int

    def output_size(self, size: int) -> int:
        return self.count

    def units(self, index: int, size: int) -> Interval:
        return index * size // self.count, -(-(index + 1) * size // self.count) - 1

    def period(self, size: int) -> tuple[int, int]:
        if self.count == 1:
            return 1, 0  # the one unit sees everything: a step to the next adds nothing
        common = gcd(size, self.count)
        return self.count // common, size // common


UNIT_WINDOW = Window(kernel_size=1)
WHOLE_AXIS = AdaptiveWindow(count=1)


@dataclass(frozen=True, slots=True)
class AxisField:
    """What the units along one axis of a map can depend on, in coordinates of the input image.

    Unit i sees `intervals[i % period]`, moved on by the advance of the periods before it. In the common case the
    period is one, and unit i sees `stride * i - padding` to `stride * i - padding + size - 1`. Neighbours see different
    amounts after adaptive pooling that doesn't divide; then one period of intervals is kept, never more than there are
    units. Intervals are not clipped at the border of the image. A stride of 0 means that every unit sees the same.
    """

    units: int
    intervals: tuple[Interval, ...]
    stride: Fraction  # the mean advance from one unit to the next

    @classmethod
    def of_input(cls, size: int) -> "AxisField":
        """Each pixel sees itself."""
        return cls(units=size, intervals=((0, 0),), stride=Fraction(1))

    @property
    def size(self) -> int:
        """The largest number of input coordinates that one unit can depend on."""
        return max(last - first + 1 for first, last in self.intervals)

    @property
    def padding(self) -> int:
        """How far unit 0 reaches beyond the start of the image."""
        return -self.intervals[0][0]

    def covers(self, size: int) -> bool:
        """Whether a unit in the middle can see as much as the image has."""
        return self.size >= size

    def interval(self, index: int) -> Interval:
        """The input coordinates of unit `index`, which may lie in the padding, outside of the map."""
        periods, position = divmod(index, len(self.intervals))
        first, last = self.intervals[position]
        advance = int(periods * len(self.intervals) * self.stride // 1)
        return first + advance, last + advance

    @property
    def _is_periodic(self) -> bool:
        """Whether `intervals` hold a whole period, and not just all units of a map that is smaller than one."""
        return (len(self.intervals) * self.stride).denominator == 1

    def through(self, window: AxisWindow) -> "AxisField":
        """The field of the map that `window` makes of this one.

        An output unit sees what its first to its last input unit see. With period one this is the recurrence of
        Araujo et al.: `r += d(k-1)S; P += pS; S *= s`.
        """
        size = window.output_size(self.units)
        outputs, inputs = window.period(self.units)
        repeats = len(self.intervals) // gcd(len(self.intervals), inputs)
        listed = min(outputs * repeats, size) if self._is_periodic else size
        intervals = tuple(
            (self.interval(first)[0], self.interval(last)[1])
            for first, last in (window.units(index, self.units) for index in range(listed))
        )
        return AxisField(units=size, intervals=intervals, stride=self.stride * Fraction(inputs, outputs))

    def whole(self) -> "AxisField":
        """The field of something that mixes all positions of the axis: r += (n-1)S, then S = 0.

        The units stay as many as they are: a softmax over the rows of a map leaves a map.
        """
        return replace(self.through(WHOLE_AXIS), units=self.units)
