"""Sizes and fields along one axis, against sets of coordinates that are listed one by one, and against torch."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise, product
from math import gcd

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # its usual name
from hypothesis import assume, given
from hypothesis import strategies as st
from listed_maps import (
    FACTORS,
    MODES,
    AnyWindow,
    Listed,
    Step,
    any_steps,
    any_windows,
    contains,
    examples,
    hull,
    listed_advance,
    listed_size,
    listed_units,
    sizes,
    windows,
)
from torch import Tensor, nn

from builder.geometry import (
    WHOLE_AXIS,
    AdaptiveWindow,
    AxisField,
    MixedAxis,
    ResampledWindow,
    Resampling,
    TransposedWindow,
    Window,
)


@examples(800)
@given(window=any_windows, size=sizes)
def test_the_output_size_counts_the_windows_that_fit(window: AnyWindow, size: int) -> None:
    assert max(window.output_size(size), 0) == max(listed_size(window, size), 0)


@examples(800)
@given(window=any_windows, size=sizes, index=st.integers(-3, 10))
def test_a_window_touches_what_is_listed(window: AnyWindow, size: int, index: int) -> None:
    assume(index == 0 or window != WHOLE_AXIS)  # which has one unit only
    assert list(window.touched(index, size)) == listed_units(window, index, size)


@examples(500)
@given(window=any_windows, size=sizes, index=st.integers(-5, 10))
def test_windows_repeat_after_a_period(window: AnyWindow, size: int, index: int) -> None:
    outputs, inputs = window.period(size)
    if inputs == 0:
        return  # every unit sees the same
    units = window.touched(index, size)
    assert list(window.touched(index + outputs, size)) == [unit + inputs for unit in units]


@examples(200)
@given(window=any_windows, size=sizes)
def test_no_shorter_period_would_do(window: AnyWindow, size: int) -> None:
    outputs, inputs = window.period(size)
    assert Fraction(inputs, outputs) == listed_advance(window, size)
    assert gcd(outputs, inputs) == 1


@examples(100)
@given(count=st.integers(1, 30), size=st.integers(1, 30))
def test_adaptive_parts_cover_the_axis_in_order(count: int, size: int) -> None:
    window = AdaptiveWindow(count)
    units = [window.touched(index, size) for index in range(count)]
    assert units[0][0] == 0
    assert units[-1][-1] == size - 1
    assert all(units)
    for before, after in pairwise(units):
        assert before[0] <= after[0] <= before[-1] + 1
        assert before[-1] <= after[-1]


@examples(1500)
@given(size=sizes, steps=any_steps)
def test_a_field_is_what_the_units_can_depend_on(size: int, steps: list[Step]) -> None:
    result = Listed(size).through(*steps)
    field = result.field
    assert (field.units, field.stride) == (result.size, result.stride)
    for index in range(result.size):
        interval, true_pixels = field.interval(index), result.true_pixels(index)
        assert contains(interval, true_pixels)
        if result.is_inside(index):
            assert interval == hull(true_pixels)
        if result.has_periods:
            assert interval == hull(result.pixels(index))


@examples(500)
@given(size=sizes, steps=any_steps)
def test_the_size_is_the_largest_and_the_padding_that_of_the_first_unit(size: int, steps: list[Step]) -> None:
    field = Listed(size).through(*steps).field
    seen = [interval for index in range(field.units) if (interval := field.interval(index))]
    assert field.size == max((last - first + 1 for first, last in seen), default=0)
    assert field.padding == (-seen[0][0] if seen else 0)
    assert len(field.intervals) <= field.units


@examples(500)
@given(size=sizes, steps=st.lists(windows, min_size=1, max_size=5))
def test_sliding_windows_follow_the_recurrence_of_araujo_et_al(size: int, steps: list[Window]) -> None:
    field = Listed(size).through(*steps).field
    expected_size, expected_stride, expected_padding = 1, 1, 0
    for step in steps:
        expected_size += step.dilation * (step.kernel_size - 1) * expected_stride
        expected_padding += step.padding * expected_stride
        expected_stride *= step.stride
    expected = (expected_size, Fraction(expected_stride), expected_padding)
    assert (field.size, field.stride, field.padding) == expected
    assert len(field.intervals) == 1


@examples(500)
@given(size=sizes, steps=st.lists(any_windows, max_size=3), later=st.lists(any_windows, max_size=2))
def test_after_the_whole_map_later_layers_add_nothing(
    size: int, steps: list[AnyWindow], later: list[AnyWindow]
) -> None:
    whole = Listed(size).through(*steps, "whole")
    after = Listed(size).through(*steps, "whole", *later)
    assert after.field.stride == 0
    seen = {after.field.interval(index) for index in range(after.size)}
    assert seen - {None} <= set(whole.field.intervals)


@examples(100)
@given(size=sizes, steps=st.lists(windows, max_size=3))
def test_mixing_the_whole_map_adds_its_strides(size: int, steps: list[Window]) -> None:
    before = Listed(size).through(*steps).field
    assert before.whole().size == before.size + (before.units - 1) * before.stride
    assert before.whole().padding == before.padding


@examples(200)
@given(size=sizes, steps=any_steps, count=st.integers(1, 9))
def test_units_that_mix_a_whole_axis_see_the_same_however_many_they_are(
    size: int, steps: list[Step], count: int
) -> None:
    field = Listed(size).through(*steps).field
    mixed = field.through(MixedAxis(count))
    assert mixed == AxisField(count, field.through(WHOLE_AXIS).intervals, Fraction(0))
    assert len(mixed.intervals) == 1


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
    far = field.through(Window(kernel_size=1, stride=3, padding=9))
    assert [far.interval(index) for index in (3, 4)] == [field.interval(index) for index in (0, 3)]


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


def test_a_scale_factor_is_the_simple_fraction_that_was_written_or_else_exact() -> None:
    assert ResampledWindow("linear", scale_factor=1.3).period(10) == (13, 10)
    assert ResampledWindow("linear", scale_factor=1 / 3).period(10) == (1, 3)
    assert ResampledWindow("cubic", scale_factor=1.00005).period(10_000) == (1.00005).as_integer_ratio()


@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 1), (2, 1), (3, 1), (4, 1), (1, 3), (3, 2), (2, 3), (4, 4)])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_transposed_convolution_touches_what_it_does_in_torch(kernel_size: int, dilation: int, stride: int) -> None:
    for padding, output_padding, size in product(range(3), range(max(stride, dilation)), range(1, 7)):
        window = TransposedWindow(kernel_size, stride, padding, output_padding, dilation)
        if window.output_size(size) < 1:
            continue
        layer = nn.ConvTranspose1d(
            1, 1, kernel_size, stride, padding, output_padding, bias=False, dilation=dilation
        ).double()
        nn.init.ones_(layer.weight)
        seen = weights_of(layer, size)
        assert len(seen) == window.output_size(size)
        for index, units in enumerate(seen):
            assert units == [unit for unit in window.touched(index, size) if 0 <= unit < size]


SCALES = (*(float(factor) for factor in FACTORS), 2.03, 1.05, 0.7, 1 / 3, 2**0.5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("align_corners", [False, True])
def test_resampling_touches_what_it_does_in_torch(mode: Resampling, align_corners: bool) -> None:
    if align_corners and mode.startswith("nearest"):
        return  # torch refuses that
    kinds = [ResampledWindow(mode, count=count, align_corners=align_corners) for count in range(1, 21)]
    kinds += [ResampledWindow(mode, scale_factor=scale, align_corners=align_corners) for scale in SCALES]
    for window, size in product(kinds, (1, 2, 3, 4, 5, 6, 7, 10, 11, 28, 33)):
        if window.output_size(size) < 1:
            continue
        seen = weights_of(interpolation(window), size)
        assert len(seen) == window.output_size(size)
        for index, units in enumerate(seen):
            # At the border torch repeats the last unit.
            touched = sorted({min(max(unit, 0), size - 1) for unit in window.touched(index, size)})
            assert units == touched or (lies_between(window, index, size) and units == [touched[0] - 1])


def interpolation(window: ResampledWindow) -> Callable[[Tensor], Tensor]:
    """Torch's, along the rows of a map."""
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(window.mode, window.mode)
    align_corners = window.align_corners if mode.startswith("bi") else None
    size = None if window.count is None else (window.count, 1)
    scale_factor = None if window.scale_factor is None else (window.scale_factor, 1.0)

    def along_rows(values: Tensor) -> Tensor:
        result: Tensor = F.interpolate(
            values.unsqueeze(-1), size=size, scale_factor=scale_factor, mode=mode, align_corners=align_corners
        )
        return result.squeeze(-1)

    return along_rows


def lies_between(window: ResampledWindow, index: int, size: int) -> bool:
    """Whether `nearest` goes from one unit to the next just here: torch's rounding may stay with the one before."""
    shift = {"nearest": Fraction(0), "nearest-exact": Fraction(1, 2)}.get(window.mode)
    return shift is not None and ((index + shift) * listed_advance(window, size)).denominator == 1


@torch.no_grad()
def weights_of(layer: Callable[[Tensor], Tensor], size: int) -> list[list[int]]:
    """For each unit that a linear layer gives, the units of its input that have a weight."""
    of_unit = layer(torch.eye(size, dtype=torch.float64).unsqueeze(1)).squeeze(1).T  # a row for each unit it gives
    return [weights.nonzero().flatten().tolist() for weights in of_unit.abs() > 1e-9]
