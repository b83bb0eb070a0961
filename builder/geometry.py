"""Sizes and receptive fields along one axis, in whole numbers.

A layer that slides over a map is described by one window per axis: which units of its input an output unit sees. That
alone determines the output size and the receptive field, so the recurrence is written once, in `AxisField.through`.
`meet` joins the fields of branches.

Sources: V. Dumoulin & F. Visin, A guide to convolution arithmetic for deep learning, 2016, arXiv:1603.07285 (sizes);
A. Araujo, W. Norris & J. Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill 2019,
doi:10.23915/distill.00021 (receptive fields); torch's ATen/native/UpSample.h (resampling).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm
from typing import Literal, Protocol

Interval = tuple[int, int]  # the first and the last coordinate, both included
Resampling = Literal["nearest", "nearest-exact", "linear", "cubic"]


class AxisWindow(Protocol):
    """Which input units an output unit sees, along one axis."""

    def output_size(self, size: int) -> int:
        """How many units the output has when the input has `size`; less than 1 means that nothing fits."""
        ...

    def touched(self, index: int, size: int) -> range:
        """The input units that output unit `index` sees, ascending, with a step that is the same for every index.

        They may lie in the padding, outside of the map. The range is empty where the unit sees nothing.
        """
        ...

    def period(self, size: int) -> tuple[int, int]:
        """The smallest (output units, input units) after which the pattern of `touched` repeats."""
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

    def touched(self, index: int, size: int) -> range:
        first = index * self.stride - self.padding
        return range(first, first + self.extent, self.dilation)

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

    def touched(self, index: int, size: int) -> range:
        return range(index * size // self.count, -(-(index + 1) * size // self.count))

    def period(self, size: int) -> tuple[int, int]:
        # One unit sees everything: a step to the next adds nothing.
        return (1, 0) if self.count == 1 else _reduced(self.count, size)


@dataclass(frozen=True, slots=True)
class TransposedWindow:
    """A transposed convolution: every input unit i is spread over the output units `i s - p + d t`, t from 0 to k-1.

    Some output units see nothing if the stride is larger than the kernel, or has a factor in common with the dilation.
    """

    kernel_size: int
    stride: int = 1
    padding: int = 0
    output_padding: int = 0
    dilation: int = 1

    def output_size(self, size: int) -> int:
        """`(n - 1)s - 2p + d(k-1) + output_padding + 1`."""
        spread = (size - 1) * self.stride + self.dilation * (self.kernel_size - 1) + 1
        return spread - 2 * self.padding + self.output_padding

    def touched(self, index: int, size: int) -> range:
        """The whole i with `i s = index + p - d t`; the elements t that give one follow each other at s/gcd(s, d)."""
        common = gcd(self.stride, self.dilation)
        between, step = self.stride // common, self.dilation // common
        position = index + self.padding
        if position % common:
            return range(0, 0, step)
        first_element = position // common * pow(step, -1, between) % between
        elements = range(first_element, self.kernel_size, between)
        last = (position - self.dilation * first_element) // self.stride
        return range(last - step * (len(elements) - 1), last + 1, step)

    def period(self, size: int) -> tuple[int, int]:
        return self.stride, 1


@dataclass(frozen=True, slots=True)
class ResampledWindow:
    """Interpolation to `count` units, or to `scale_factor` times as many, as torch's `Upsample` does it on a map.

    Unit j stands at the source coordinate `(j + 1/2) r - 1/2`, with r the input units per output unit: `n / count`, or
    1/scale_factor as it was given. With `align_corners` it is `j r` and r is `(n - 1) / (outputs - 1)`. `linear` sees
    the two units around it, `cubic` four, both only one if it is whole; `nearest-exact` sees the unit closest to it,
    `nearest` the unit `floor(j r)`. (Pixel shuffle sees what `nearest` with a whole factor sees.)

    These are exact. Torch computes in floating point: at a coordinate where `nearest` goes from one unit to the next,
    rounding can leave it with the one before, and which it is depends on the number type.
    """

    mode: Resampling
    count: int | None = None  # one of this
    scale_factor: float | None = None  # and this
    align_corners: bool = False

    def output_size(self, size: int) -> int:
        """`count`, or `floor(n * scale_factor)`, in floating point as in torch."""
        if self.scale_factor is None:
            assert self.count is not None
            return self.count
        return int(size * self.scale_factor)

    def touched(self, index: int, size: int) -> range:
        outputs, inputs = self.period(size)
        # The coordinate is `doubled / (2 * outputs)`.
        doubled = 2 * index * inputs
        if inputs and self.mode != "nearest" and not self.align_corners:
            doubled += inputs
            if self.mode != "nearest-exact":
                doubled -= outputs
        whole, rest = divmod(doubled, 2 * outputs)
        reach = {"linear": 1, "cubic": 2}.get(self.mode, 0) if rest else 0
        return range(whole - reach + 1, whole + reach + 1) if reach else range(whole, whole + 1)

    def period(self, size: int) -> tuple[int, int]:
        count = self.output_size(size)
        if size == 1:
            return 1, 0  # nothing to interpolate: the one unit is repeated
        if self.align_corners:
            return _reduced(count - 1, size - 1) if count > 1 else (1, 0)
        if self.scale_factor is None or self._is_snapped(count, size):
            return _reduced(count, size)
        scale = _as_written(self.scale_factor)
        return scale.numerator, scale.denominator

    def _is_snapped(self, count: int, size: int) -> bool:
        """Whether torch sees equal or double sizes and leaves the given factor, such as 1.05 or 2.05, for theirs."""
        snaps = {"nearest": (1, 2), "linear": (1,)}
        return any(count == factor * size for factor in snaps.get(self.mode, ()))


@dataclass(frozen=True, slots=True)
class MixedAxis:
    """A layer that mixes all positions along the axis: each of the units that it gives sees what all of them see."""

    count: int | None = None  # as many as there are, when not given

    def output_size(self, size: int) -> int:
        return size if self.count is None else self.count

    def touched(self, index: int, size: int) -> range:
        return range(size)

    def period(self, size: int) -> tuple[int, int]:
        return 1, 0


def _reduced(outputs: int, inputs: int) -> tuple[int, int]:
    common = gcd(outputs, inputs)
    return outputs // common, inputs // common


@lru_cache(maxsize=64)
def _as_written(scale: float) -> Fraction:
    """The simple fraction that a float stands for: 13/10 for 1.3; its exact value if there is none."""
    simple = Fraction(scale).limit_denominator(10_000)
    return simple if float(simple) == scale else Fraction(scale)


UNIT_WINDOW = Window(kernel_size=1)
WHOLE_AXIS = AdaptiveWindow(count=1)
MIXED_AXIS = MixedAxis()


@dataclass(frozen=True, slots=True)
class AxisField:
    """What the units along one axis of a map can depend on, in coordinates of the input image.

    Unit i sees `intervals[i % period]`, moved on by the advance of the periods before it. In the common case the
    period is one, and unit i sees `stride * i - padding` to `stride * i - padding + size - 1`. Neighbours see different
    amounts after adaptive pooling that doesn't divide, after up-sampling and after transposed convolution; then one
    period of intervals is kept, never more than there are units. A unit that sees nothing has None. Intervals are not
    clipped at the border of the image. A stride of 0 means that every unit sees the same.
    """

    units: int
    intervals: tuple[Interval | None, ...]
    stride: Fraction  # the mean advance from one unit to the next

    @classmethod
    def of_input(cls, size: int) -> "AxisField":
        """Each pixel sees itself."""
        return cls(units=size, intervals=((0, 0),), stride=Fraction(1))

    @property
    def size(self) -> int:
        """The largest number of input coordinates that one unit can depend on."""
        return max([last - first + 1 for first, last in filter(None, self.intervals)], default=0)

    @property
    def padding(self) -> int:
        """How far unit 0, or else the first unit that sees something, reaches beyond the start of the image."""
        return next((-first for first, _ in filter(None, self.intervals)), 0)

    @property
    def centre(self) -> Fraction | None:
        """Where the mean unit looks: the mean of `(first + last) / 2 - stride * i` over a period.

        None where that says nothing: with stride 0, for a single unit, or if no unit sees anything.
        """
        seen = [(index, sum(interval)) for index, interval in enumerate(self.intervals) if interval]
        if not seen or self.units == 1 or not self.stride:
            return None
        mean = Fraction(sum(ends for _, ends in seen), 2 * len(seen))
        indices = sum(index for index, _ in seen)
        return mean - self.stride * Fraction(indices, len(seen)) if indices else mean

    def covers(self, size: int) -> bool:
        """Whether a unit in the middle can see as much as the image has."""
        return self.size >= size

    def interval(self, index: int) -> Interval | None:
        """The input coordinates of unit `index`, which may lie in the padding, outside of the map."""
        periods, position = divmod(index, len(self.intervals))
        interval = self.intervals[position]
        if not interval:
            return None
        advance = periods * self._advance
        return interval[0] + advance, interval[1] + advance

    @property
    def _advance(self) -> int:
        """By how much the next `intervals` lie further on; rounded down if they hold no whole period."""
        return len(self.intervals) * self.stride.numerator // self.stride.denominator

    @property
    def _is_periodic(self) -> bool:
        """Whether `intervals` hold a whole period, and not just all units of a map that is smaller than one."""
        return len(self.intervals) % self.stride.denominator == 0

    def through(self, window: AxisWindow) -> "AxisField":
        """The field of the map that `window` makes of this one.

        An output unit sees what the input units see that it touches. With period one this is the recurrence of
        Araujo et al.: `r += d(k-1)S; P += pS; S *= s`.
        """
        size = window.output_size(self.units)
        outputs, inputs = window.period(self.units)
        stride = self.stride if inputs == outputs else self.stride * Fraction(inputs, outputs)
        if inputs == 0:
            listed = outputs  # the next period sees the same
        elif self._is_periodic:
            listed = min(outputs * len(self.intervals) // gcd(len(self.intervals), inputs), size)
        else:
            listed = size
        return AxisField(size, self._hulls([window.touched(index, self.units) for index in range(listed)]), stride)

    def _hulls(self, runs: Sequence[range]) -> tuple[Interval | None, ...]:
        """The smallest intervals that hold what the units of each run see."""
        if len(self.intervals) > 1:
            return self._hulls_by_doubling(runs)
        if not (only := self.intervals[0]):
            return (None,) * len(runs)
        (first, last), advance = only, self._advance
        return tuple([(first + run[0] * advance, last + run[-1] * advance) if run else None for run in runs])

    def _hulls_by_doubling(self, runs: Sequence[range]) -> tuple[Interval | None, ...]:
        """Where neighbours see different amounts, the ends of a run needn't hold what lies between them.

        `powers[k]` has for every unit the hull of the 2^k units from there on. Any run is two of these, overlapping:
        time stays in proportion to the units, however long the runs are.
        """
        powers = [self]
        longest = max(map(len, runs), default=0)
        while 2 ** len(powers) <= longest:
            powers.append(powers[-1]._with_neighbour(runs[0].step * 2 ** (len(powers) - 1)))

        def hull_of(run: range) -> Interval | None:
            if not run:
                return None
            power = len(run).bit_length() - 1
            return _hull(powers[power].interval(start) for start in (run[0], run[-(2**power)]))

        return tuple(hull_of(run) for run in runs)

    def _with_neighbour(self, distance: int) -> "AxisField":
        """Every unit sees in addition what the unit at this distance after it sees."""
        pairs = ((self.interval(index), self.interval(index + distance)) for index in range(len(self.intervals)))
        return replace(self, intervals=tuple(_hull(pair) for pair in pairs))

    def whole(self) -> "AxisField":
        """The field of something that mixes all positions of the axis: r += (n-1)S, then S = 0.

        The units stay as many as they are: a softmax over the rows of a map leaves a map.
        """
        return self.through(MIXED_AXIS)


def meet(fields: Sequence[AxisField]) -> AxisField | None:
    """The field of branches that are added, multiplied or concatenated; None if their strides differ.

    Each unit sees the smallest interval that holds what it sees in all branches. A branch of which every unit sees the
    same, or whose one unit is repeated for all units of the others, makes that interval the same for all units.
    Branches of one unit meet whatever their strides.
    """
    units, stride = max(field.units for field in fields), fields[0].stride
    if any(not field.stride or field.units == 1 < units for field in fields):
        everything = _hull(interval for field in fields for interval in field.whole().intervals)
        return AxisField(units, (everything,), Fraction(0))
    if units > 1 and any(field.stride != stride for field in fields):
        return None
    # Where a branch holds less than a period it lists all units, and so does the result.
    listed = min(lcm(*[len(field.intervals) for field in fields]), units)
    hulls = [_hull([field.interval(index) for field in fields]) for index in range(listed)]
    return AxisField(units, tuple(hulls), stride)


def _hull(intervals: Iterable[Interval | None]) -> Interval | None:
    """The smallest interval that holds all of these; None if there is nothing to hold."""
    seen = [interval for interval in intervals if interval]
    if not seen:
        return None
    firsts, lasts = zip(*seen, strict=True)
    return min(firsts), max(lasts)
