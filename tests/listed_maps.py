"""The oracle of `builder.geometry`: maps of which each unit lists what it touches, one by one, without a formula."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from math import ceil, floor
from typing import Literal

from hypothesis import assume, settings
from hypothesis import strategies as st

from builder.geometry import (
    UNIT_WINDOW,
    AdaptiveWindow,
    AxisField,
    Interval,
    ResampledWindow,
    Resampling,
    TransposedWindow,
    Window,
)


def examples(count: int) -> settings:
    """The same examples in every run."""
    return settings(max_examples=count, deadline=None, derandomize=True)


AnyWindow = Window | AdaptiveWindow | TransposedWindow | ResampledWindow
Step = AnyWindow | Literal["whole"]
MODES: tuple[Resampling, ...] = ("nearest", "nearest-exact", "linear", "cubic")
FACTORS = (Fraction(1, 2), Fraction(2), Fraction(3), Fraction(13, 10), Fraction(21, 10), Fraction(7, 9), Fraction(4, 3))


@st.composite
def poolings(draw: st.DrawFn) -> Window:
    """As torch has them: the padding at most half of the kernel, alike before and after."""
    kernel_size = draw(st.integers(1, 5))
    padding = draw(st.integers(0, kernel_size // 2))
    stride, dilation, ceil_mode = draw(st.integers(1, 6)), draw(st.integers(1, 3)), draw(st.booleans())
    return Window(kernel_size, stride, padding, dilation=dilation, ceil_mode=ceil_mode)


convolutions = st.builds(
    Window,
    kernel_size=st.integers(1, 4),
    stride=st.integers(1, 4),
    padding=st.integers(0, 3),
    padding_after=st.none() | st.integers(0, 3),
    dilation=st.integers(1, 3),
)
windows = convolutions | poolings()
parts = st.builds(AdaptiveWindow, count=st.integers(1, 9))
transposed = st.builds(
    TransposedWindow,
    kernel_size=st.integers(1, 4),
    stride=st.integers(1, 4),
    padding=st.integers(0, 2),
    output_padding=st.integers(0, 2),
    dilation=st.integers(1, 4),
)


@st.composite
def resamplings(draw: st.DrawFn) -> ResampledWindow:
    mode = draw(st.sampled_from(MODES))
    align_corners = mode in ("linear", "cubic") and draw(st.booleans())
    if draw(st.booleans()):
        return ResampledWindow(mode, count=draw(st.integers(1, 20)), align_corners=align_corners)
    return ResampledWindow(mode, scale_factor=float(draw(st.sampled_from(FACTORS))), align_corners=align_corners)


any_windows = windows | parts | transposed | resamplings()
any_steps = st.lists(any_windows | st.just("whole"), min_size=1, max_size=4)
sizes = st.integers(1, 16)


@dataclass(frozen=True)
class Listed:
    """A map as the list of what each unit touches in the map before; the image is the map without one."""

    size: int
    step: Step = UNIT_WINDOW
    before: "Listed | None" = None

    def through(self, *steps: Step) -> "Listed":
        result = self
        for step in steps:
            result = Listed(listed_size(step, result.size), step, result)
            assume(1 <= result.size <= 40)
        return result

    def touched(self, index: int) -> list[int]:
        """Units of the map before, in its padding too; a unit in our own padding goes on with the pattern."""
        assert self.before
        return listed_units(self.step, index, self.before.size)

    def pixels(self, index: int) -> set[int]:
        """What the unit can depend on, coordinates outside of the image too."""
        if self.before is None:
            return {index}
        if index not in self._pixels:
            self._pixels[index] = set[int]().union(*(self.before.pixels(unit) for unit in self.touched(index)))
        return self._pixels[index]

    @cached_property
    def _pixels(self) -> dict[int, set[int]]:
        """Those asked for already."""
        return {}

    def true_pixels(self, index: int) -> set[int]:
        """The same, with padding that holds nothing."""
        if not 0 <= index < self.size:
            return set()
        if self.before is None:
            return {index}
        return set[int]().union(*(self.before.true_pixels(unit) for unit in self.touched(index)))

    def is_inside(self, index: int) -> bool:
        """Whether no window on the way to this unit touches padding."""
        if not 0 <= index < self.size:
            return False
        return self.before is None or all(self.before.is_inside(unit) for unit in self.touched(index))

    @cached_property
    def field(self) -> AxisField:
        """What `builder.geometry` says."""
        if self.before is None:
            return AxisField.of_input(self.size)
        return self.before.field.whole() if self.step == "whole" else self.before.field.through(self.step)

    @property
    def advance(self) -> Fraction:
        """How many units of the map before a unit of ours goes on by, in the mean."""
        return listed_advance(self.step, self.before.size) if self.before else Fraction(1)

    @property
    def stride(self) -> Fraction:
        return self.advance * (self.before.stride if self.before else 1)

    @property
    def period(self) -> int:
        """After how many units the pattern of what they see repeats, if the map were endless."""
        if self.before is None:
            return 1
        # So many units of ours go on by whole periods of the map before.
        return (self.advance / self.before.period).denominator if self.advance else 1

    @property
    def has_periods(self) -> bool:
        """Whether on the way every map held at least one whole period."""
        return self.period <= self.size and (self.before is None or self.before.has_periods)


def listed_size(step: Step, size: int) -> int:
    if step == "whole":
        return size
    if isinstance(step, AdaptiveWindow):
        return step.count
    if isinstance(step, ResampledWindow):
        return step.count if step.count is not None else floor(size * step.scale_factor)  # type: ignore[operator]
    if isinstance(step, TransposedWindow):
        last = max(spread_over(step, size - 1))
        return last + 1 - step.padding + step.output_padding
    return listed_fits(step, size)


def listed_fits(window: Window, size: int) -> int:
    """Put windows down one after another, as long as there is something left for them."""
    before, after = window.padding, window.padding if window.padding_after is None else window.padding_after
    length = before + size + after
    reach = window.dilation * (window.kernel_size - 1) + 1
    count = 0
    while True:
        start = count * window.stride
        if window.ceil_mode:
            # One more if the last (or a window before the first) left something, and if it starts in the map.
            fits = start - window.stride + reach < length and start < before + size
        else:
            fits = start + reach <= length
        if not fits:
            return count
        count += 1


@cache
def listed_units(step: Step, index: int, size: int) -> list[int]:
    if isinstance(step, Window):
        first = index * step.stride - step.padding
        return [first + step.dilation * element for element in range(step.kernel_size)]
    if isinstance(step, TransposedWindow):
        far = abs(index) + 12  # further than any kernel reaches
        return [unit for unit in range(-far, far) if index in spread_over(step, unit)]
    if isinstance(step, ResampledWindow):
        return listed_neighbours(step, index, size)
    if step == "whole" or step.count == 1:
        return list(range(size))
    share = Fraction(size, step.count)
    return list(range(floor(index * share), ceil((index + 1) * share)))


def spread_over(window: TransposedWindow, unit: int) -> list[int]:
    """The output units that one input unit is added to."""
    first = unit * window.stride - window.padding
    return [first + window.dilation * element for element in range(window.kernel_size)]


def listed_neighbours(window: ResampledWindow, index: int, size: int) -> list[int]:
    """The units whose weight is not 0."""
    ratio = listed_advance(window, size)
    if ratio == 0:
        return [0]
    if window.mode == "nearest":
        return [floor(index * ratio)]
    if window.mode == "nearest-exact":
        return [floor((index + Fraction(1, 2)) * ratio)]
    place = index * ratio if window.align_corners else (index + Fraction(1, 2)) * ratio - Fraction(1, 2)
    # Whichever way the weights fall off, they are 0 for the other whole distances.
    reach = 1 if window.mode == "linear" else 2
    near = [unit for unit in range(floor(place) - 3, floor(place) + 4) if abs(unit - place) < reach]
    return [floor(place)] if place in near else near


def listed_advance(step: Step, size: int) -> Fraction:
    if isinstance(step, Window):
        return Fraction(step.stride)
    if isinstance(step, TransposedWindow):
        return Fraction(1, step.stride)
    if step == "whole" or (isinstance(step, AdaptiveWindow) and step.count == 1):
        return Fraction(0)
    if isinstance(step, AdaptiveWindow):
        return Fraction(size, step.count)
    count = listed_size(step, size)
    if size == 1 or (step.align_corners and count == 1):
        return Fraction(0)
    if step.align_corners:
        return Fraction(size - 1, count - 1)
    # What torch does with a factor such as 1.05 where it leaves a map of the same size, or with 2.05 of the double.
    snaps = {"nearest": (1, 2), "linear": (1,)}.get(step.mode, ())
    if step.scale_factor is None or count in [factor * size for factor in snaps]:
        return Fraction(size, count)
    return 1 / Fraction(step.scale_factor).limit_denominator(100)


def hull(units: set[int]) -> Interval | None:
    return (min(units), max(units)) if units else None


def contains(interval: Interval | None, units: set[int]) -> bool:
    return not units or (interval is not None and interval[0] <= min(units) and max(units) <= interval[1])
