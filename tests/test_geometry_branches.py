"""Branches that meet, along one axis, against the coordinates that their units see, listed one by one."""

from fractions import Fraction
from math import lcm

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from listed_maps import (
    AnyWindow,
    Listed,
    Step,
    contains,
    examples,
    hull,
    listed_units,
    resamplings,
    transposed,
    windows,
)

from builder.geometry import UNIT_WINDOW, AdaptiveWindow, AxisField, ResampledWindow, TransposedWindow, Window, meet

IMAGE = AxisField.of_input(28)
HALVED = Window(kernel_size=2, stride=2)


@st.composite
def branches(draw: st.DrawFn, size: int) -> list[Step]:
    """Steps that leave the size as it is, or one unit."""
    ways = ["same", "resampled", "transposed", "parts", "shrunk", "gate", "one"]
    way = draw(st.sampled_from(ways if size > 1 else ["same", "gate"]))
    if way == "same":
        half, dilation = draw(st.integers(0, 2)), draw(st.integers(1, 2))
        return [Window(2 * half + 1, padding=half * dilation, dilation=dilation)]
    if way == "gate":
        return ["whole"]
    if way == "one":
        return [AdaptiveWindow(1)]
    if way == "shrunk":
        return [Window(size)]
    if way == "transposed":
        return [HALVED, TransposedWindow(draw(st.integers(1, 2)), stride=2, output_padding=0)]
    count = draw(st.integers(2, size))
    after = ResampledWindow(draw(resamplings()).mode, count=size)
    return [AdaptiveWindow(count), after] if way == "parts" else [HALVED, after]


@st.composite
def meetings(draw: st.DrawFn) -> list[Listed]:
    """Branches of one map, of equal size or of one unit."""
    before = Listed(draw(st.integers(1, 16))).through(*draw(st.lists(windows | transposed | resamplings(), max_size=2)))
    arms = [before.through(*draw(branches(before.size))) for _ in range(draw(st.integers(1, 3)))]
    units = max(arm.size for arm in arms)
    assume(all(arm.size in (1, units) for arm in arms))
    return arms


def is_same_everywhere(arms: list[Listed]) -> bool:
    """Whether one of the branches gives all its units, or all units of the others, the same."""
    return any(arm.stride == 0 or arm.size == 1 < max(arm.size for arm in arms) for arm in arms)


def pixels_of(arms: list[Listed], index: int) -> set[int]:
    if is_same_everywhere(arms):
        return set[int]().union(*(arm.pixels(unit) for arm in arms for unit in range(arm.size)))
    return set[int]().union(*(arm.pixels(index) for arm in arms))


@examples(600)
@given(arms=meetings(), later=windows | transposed)
def test_where_branches_meet_a_unit_sees_what_it_sees_in_all_of_them(arms: list[Listed], later: AnyWindow) -> None:
    field = meet([arm.field for arm in arms])
    units, strides = max(arm.size for arm in arms), {arm.stride for arm in arms}
    if not is_same_everywhere(arms) and units > 1 and len(strides) > 1:
        assert field is None
        return
    assert field
    assert field.units == units
    assert field.stride == (0 if is_same_everywhere(arms) else arms[0].stride)
    for index in range(units):
        assert all(contains(field.interval(index), arm.true_pixels(index)) for arm in arms)
    has_period = is_same_everywhere(arms) or lcm(*(arm.period for arm in arms)) <= units
    if has_period and all(arm.has_periods for arm in arms):
        for index in range(-3, units + 3):
            assert field.interval(index) == hull(pixels_of(arms, index))
        after = field.through(later)
        for index in range(min(max(after.units, 0), 10)):
            touched = listed_units(later, index, units)
            assert after.interval(index) == hull(set[int]().union(*(pixels_of(arms, unit) for unit in touched)))


@examples(200)
@given(arms=meetings())
def test_the_order_of_branches_changes_nothing(arms: list[Listed]) -> None:
    assume(max(arm.size for arm in arms) > 1)  # of one unit, the first branch's stride is kept
    fields = [arm.field for arm in arms]
    assert meet(fields) == meet(fields[::-1])


@examples(200)
@given(arms=meetings())
def test_one_branch_meets_itself(arms: list[Listed]) -> None:
    field = arms[0].field
    assume(field.stride)  # else holes are filled: the result is the same for all units
    met = meet([field, field])
    assert met
    assert [met.interval(index) for index in range(field.units)] == [field.interval(i) for i in range(field.units)]


@examples(200)
@given(arms=meetings())
def test_the_centre_is_the_mean_over_a_period(arms: list[Listed]) -> None:
    for arm in arms:
        assume(arm.has_periods)
        offsets = [
            Fraction(min(pixels) + max(pixels), 2) - arm.stride * index
            for index in range(3 * arm.period)
            if (pixels := arm.pixels(index))
        ]
        says_nothing = not offsets or arm.stride == 0 or arm.size == 1
        assert arm.field.centre == (None if says_nothing else sum(offsets) / len(offsets))


def test_a_residual_sees_what_its_wider_branch_sees() -> None:
    wide = IMAGE.through(Window(kernel_size=3, padding=1)).through(Window(kernel_size=3, padding=1))
    assert meet([wide, IMAGE]) == wide


def test_branches_of_unequal_strides_do_not_meet() -> None:
    assert meet([IMAGE, IMAGE.through(HALVED)]) is None
    one, other = IMAGE.through(ResampledWindow("linear", count=56)), IMAGE.through(Window(kernel_size=1))
    assert meet([one, other]) is None


def test_a_gate_meets_anything_and_the_result_sees_the_same_everywhere() -> None:
    map_ = IMAGE.through(Window(kernel_size=5, stride=2, padding=2))
    for gate in (map_.whole(), map_.through(AdaptiveWindow(1))):
        assert meet([map_, gate]) == AxisField(14, ((-2, 28),), Fraction(0))


def test_one_unit_that_is_no_whole_map_is_repeated_all_the_same() -> None:
    one = IMAGE.through(Window(kernel_size=20, stride=20))
    assert meet([IMAGE, one]) == AxisField(28, ((0, 27),), Fraction(0))


def test_maps_of_one_unit_meet_whatever_their_strides() -> None:
    one, other = IMAGE.through(Window(kernel_size=20, stride=20)), IMAGE.through(Window(kernel_size=27, stride=9))
    assert meet([one, other]) == AxisField(1, ((0, 26),), Fraction(20))
    assert meet([one, other.whole()]) == AxisField(1, ((0, 26),), Fraction(0))


def test_where_branches_meet_a_unit_may_see_nothing_in_one_or_in_all() -> None:
    spread = IMAGE.through(TransposedWindow(kernel_size=1, stride=2, output_padding=1))
    repeated = IMAGE.through(ResampledWindow("nearest", scale_factor=2))
    assert spread.intervals == ((0, 0), None)
    assert meet([spread, spread]) == spread
    assert meet([spread, repeated]) == repeated


@pytest.mark.parametrize(
    ("steps", "centre"),
    [
        ([UNIT_WINDOW], 0),
        ([Window(kernel_size=3, stride=2, padding=1)], 0),
        ([Window(kernel_size=1, stride=2)], 0),
        ([HALVED], Fraction(1, 2)),
        ([HALVED, TransposedWindow(kernel_size=2, stride=2)], 0),
        ([HALVED, ResampledWindow("linear", scale_factor=2)], 0),
        ([HALVED, TransposedWindow(kernel_size=1, stride=2)], Fraction(1, 2)),
        ([Window(kernel_size=3)], 1),
        ([AdaptiveWindow(5), ResampledWindow("nearest-exact", count=28)], 0),
        ([AdaptiveWindow(1)], None),
        ([Window(kernel_size=28)], None),
        ([Window(kernel_size=1, padding=1), TransposedWindow(kernel_size=1, stride=9, dilation=3)], -1),
    ],
)
def test_the_centre_of_the_mean_unit(steps: list[AnyWindow], centre: Fraction | None) -> None:
    field = IMAGE
    for step in steps:
        field = field.through(step)
    assert field.centre == centre
