"""Sizes and fields along one axis, against sets of coordinates that are simply listed, unit by unit."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from math import ceil, floor
from typing import Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from builder.geometry import UNIT_WINDOW, AdaptiveWindow, AxisField, Window


def examples(count: int) -> settings:
    """The same examples in every run."""
    return settings(max_examples=count, deadline=None, derandomize=True)


Step = Window | AdaptiveWindow | Literal["whole"]


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
sizes = st.integers(1, 16)


@dataclass(frozen=True)
class Listed:
    """A map as the list of what each unit touches in the map before; the image is the map without one."""

    size: int
    step: Step = UNIT_WINDOW
    before: "Listed | None" = None

    def through(self, step: Step) -> "Listed":
        return Listed(listed_size(step, self.size), step, self)

    def touched(self, index: int) -> list[int]:
        """Units of the map before, in its padding too; a unit in our own padding goes on with the pattern."""
        assert self.before
        size = self.before.size
        if isinstance(self.step, Window):
            first = index * self.step.stride - self.step.padding
            return [first + self.step.dilation * element for element in range(self.step.kernel_size)]
        if self.step == "whole" or self.step.count == 1:
            return list(range(size))
        share = Fraction(size, self.step.count)
        return list(range(floor(index * share), ceil((index + 1) * share)))

    def pixels(self, index: int) -> set[int]:
        """What the unit can depend on, coordinates outside of the image too."""
        if self.before is None:
            return {index}
        return set[int]().union(*(self.before.pixels(unit) for unit in self.touched(index)))

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
    def period(self) -> int:
        """After how many units the pattern of what they see repeats, if the map were endless."""
        if self.before is None:
            return 1
        advance = Fraction(self.step.stride) if isinstance(self.step, Window) else Fraction(0)
        if isinstance(self.step, AdaptiveWindow) and self.step.count > 1:
            advance = Fraction(self.before.size, self.step.count)
        # So many units of ours go on by whole periods of the map before.
        return (advance / self.before.period).denominator if advance else 1

    @property
    def has_periods(self) -> bool:
        """Whether on the way every map held at least one whole period."""
        return self.period <= self.size and (self.before is None or self.before.has_periods)


def listed_size(step: Step, size: int) -> int:
    """Put windows down one after another, as long as there is something left for them."""
    if step == "whole":
        return size
    if isinstance(step, AdaptiveWindow):
        return step.count
    before, after = step.padding, step.padding if step.padding_after is None else step.padding_after
    length = before + size + after
    reach = step.dilation * (step.kernel_size - 1) + 1
    count = 0
    while True:
        start = count * step.stride
        if step.ceil_mode:
            # One more if the last (or a window before the first) left something, and if it starts in the map.
            fits = start - step.stride + reach < length and start < before + size
        else:
            fits = start + reach <= length
        if not fits:
            return count
        count += 1


def listed(size: int, steps: list[Step]) -> Listed:
    result = Listed(size)
    for step in steps:
        result = result.through(step)
        assume(1 <= result.size <= 40)
    return result


@examples(1000)
@given(window=windows, size=sizes)
def test_the_output_size_counts_the_windows_that_fit(window: Window, size: int) -> None:
    assert max(window.output_size(size), 0) == listed_size(window, size)


@examples(500)
@given(window=windows, size=sizes, index=st.integers(-3, 10))
def test_a_window_sees_from_its_first_element_to_its_last(window: Window, size: int, index: int) -> None:
    touched = Listed(size).through(window).touched(index)
    assert window.units(index, size) == (min(touched), max(touched))


@examples(500)
@given(window=windows | parts, size=sizes, index=st.integers(-5, 10))
def test_windows_repeat_after_a_period(window: Window | AdaptiveWindow, size: int, index: int) -> None:
    outputs, inputs = window.period(size)
    if inputs == 0:
        return  # one unit, which sees everything
    first, last = window.units(index, size)
    assert window.units(index + outputs, size) == (first + inputs, last + inputs)


@examples(100)
@given(count=st.integers(1, 30), size=st.integers(1, 30))
def test_adaptive_parts_cover_the_axis_in_order(count: int, size: int) -> None:
    window = AdaptiveWindow(count)
    intervals = [window.units(index, size) for index in range(count)]
    assert intervals[0][0] == 0
    assert intervals[-1][1] == size - 1
    assert all(first <= last for first, last in intervals)
    for (first, last), (next_first, next_last) in pairwise(intervals):
        assert first <= next_first <= last + 1
        assert last <= next_last


@examples(1500)
@given(size=sizes, steps=st.lists(windows | parts | st.just("whole"), min_size=1, max_size=4))
def test_a_field_is_what_the_units_can_depend_on(size: int, steps: list[Step]) -> None:
    result = listed(size, steps)
    field = result.field
    assert field.units == result.size
    for index in range(result.size):
        first, last = field.interval(index)
        true_pixels = result.true_pixels(index)
        assert all(first <= pixel <= last for pixel in true_pixels)
        if result.is_inside(index):
            assert (first, last) == (min(true_pixels), max(true_pixels))
        if result.has_periods:
            pixels = result.pixels(index)
            assert (first, last) == (min(pixels), max(pixels))


@examples(500)
@given(size=sizes, steps=st.lists(windows | parts | st.just("whole"), min_size=1, max_size=4))
def test_the_size_is_the_largest_and_the_padding_that_of_unit_0(size: int, steps: list[Step]) -> None:
    result = listed(size, steps)
    intervals = [result.field.interval(index) for index in range(result.size)]
    assert result.field.size == max(last - first + 1 for first, last in intervals)
    assert result.field.padding == -intervals[0][0]
    assert len(result.field.intervals) <= result.size


@examples(500)
@given(size=sizes, steps=st.lists(windows, min_size=1, max_size=5))
def test_sliding_windows_follow_the_recurrence_of_araujo_et_al(size: int, steps: list[Window]) -> None:
    field = listed(size, list(steps)).field
    expected_size, expected_stride, expected_padding = 1, 1, 0
    for step in steps:
        expected_size += step.dilation * (step.kernel_size - 1) * expected_stride
        expected_padding += step.padding * expected_stride
        expected_stride *= step.stride
    expected = (expected_size, Fraction(expected_stride), expected_padding)
    assert (field.size, field.stride, field.padding) == expected
    assert len(field.intervals) == 1


@examples(500)
@given(size=sizes, steps=st.lists(windows | parts, max_size=3), later=st.lists(windows | parts, max_size=2))
def test_after_the_whole_map_later_layers_add_nothing(size: int, steps: list[Step], later: list[Step]) -> None:
    whole = listed(size, [*steps, "whole"])
    after = listed(size, [*steps, "whole", *later])
    assert after.field.stride == 0
    assert {after.field.interval(index) for index in range(after.size)} == set(whole.field.intervals)


@examples(100)
@given(size=sizes, steps=st.lists(windows, max_size=3))
def test_mixing_the_whole_map_adds_its_strides(size: int, steps: list[Window]) -> None:
    before = listed(size, list(steps)).field
    assert before.whole().size == before.size + (before.units - 1) * before.stride
    assert before.whole().padding == before.padding


@pytest.mark.parametrize("mix", [AxisField.whole, lambda field: field.through(AdaptiveWindow(1))])
def test_the_whole_of_a_map_may_miss_some_of_the_image(mix: Callable[[AxisField], AxisField]) -> None:
    field = mix(AxisField.of_input(28).through(Window(kernel_size=3, stride=4)))
    assert (field.size, field.stride, field.padding) == (27, Fraction(0), 0)
    assert not field.covers(28)
    assert field.covers(27)


def test_the_whole_of_a_map_may_exceed_the_image() -> None:
    field = AxisField.of_input(28).through(Window(kernel_size=5, padding=2)).whole()
    assert (field.size, field.padding) == (32, 2)
    assert field.covers(28)


def test_adaptive_pooling_that_divides_is_a_window() -> None:
    image = AxisField.of_input(12)
    assert image.through(AdaptiveWindow(4)) == image.through(Window(kernel_size=3, stride=3))


def test_adaptive_pooling_that_does_not_divide_has_unequal_units() -> None:
    field = AxisField.of_input(7).through(AdaptiveWindow(5))
    assert field.intervals == ((0, 1), (1, 2), (2, 4), (4, 5), (5, 6))
    assert (field.size, field.stride, field.padding) == (3, Fraction(7, 5), 0)


def test_a_map_smaller_than_a_period_keeps_each_of_its_units() -> None:
    # Of seven parts of eleven pixels every second is left: fewer than a period, so there is nothing to go on with.
    field = AxisField.of_input(11).through(AdaptiveWindow(7)).through(Window(kernel_size=1, stride=2))
    assert field.intervals == ((0, 1), (3, 4), (6, 7), (9, 10))
    padded = field.through(Window(kernel_size=1, padding=1))
    assert [padded.interval(index) for index in range(1, 5)] == [field.interval(index) for index in range(4)]


@pytest.mark.parametrize(
    ("window", "size", "expected"),
    [
        (Window(kernel_size=2, stride=2, ceil_mode=True), 5, 3),
        (Window(kernel_size=2, stride=3, padding=1, ceil_mode=True), 4, 2),
        (Window(kernel_size=1, stride=3, ceil_mode=True), 5, 2),
        (Window(kernel_size=3, stride=2, ceil_mode=True), 2, 1),
        (Window(kernel_size=4, stride=2, ceil_mode=True), 2, 0),
    ],
)
def test_ceil_mode_adds_a_window_only_if_it_starts_in_the_map(window: Window, size: int, expected: int) -> None:
    assert window.output_size(size) == expected
