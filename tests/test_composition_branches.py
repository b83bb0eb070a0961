"""Where branches meet: what agrees, what is refused with both of them named, and what a unit behind has seen."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from test_composition import Planner, conv, names_of


@pytest.fixture
def planned(tmp_path: Path) -> Planner:
    return Planner(tmp_path)


def map_of(shape: str) -> str:
    return f"gives a map of {shape}"


REFUSED_MERGES = [  # items of `layers` from line 3 on, the code, parts of the message, the hint
    (
        ["add: [relu, {tanh: {when: $(in_channels == 1)}}]"],
        "too-few-branches", ["`add` has 1 branch left"], "at least 2 must remain, whatever `when` leaves out",
    ),
    (
        ["add:", "  - identity", "  - conv2d: {out_channels: 5, kernel_size: 3}"], "unequal-shapes",
        ["`add`", "`identity_1` (line 4)", map_of("4x8x8"), "`conv2d_1` (line 5)", map_of("5x6x6")],
        "give both the same shape",
    ),
    (
        ["concat:", "  - {relu: {name: wide}}", "  - sequential: [max_pool2d: {kernel_size: 2}, relu]"],
        "unequal-shapes",
        ["`wide` (line 4)", map_of("4x8x8"), "`sequential_1` (line 5)", map_of("4x4x4")],
        "only channels may differ: give both the same height and width 8x8",
    ),
    (
        ["multiply:", "  - identity", "  - max_pool2d: {kernel_size: 2}"], "unequal-shapes",
        ["`identity_1` (line 4)", "`max_pool2d_1` (line 5)"], "give both the same shape, or one a 1x1 map",
    ),
    (
        ["add:", "  - conv2d: {out_channels: 4, kernel_size: 5}", "  - max_pool2d: {kernel_size: 2}"],
        "unequal-strides",
        ["along the height", "`conv2d_1` (line 4) moves 1 pixel", "`max_pool2d_1` (line 5) moves 2 pixels"],
        "let all of them reduce the map alike",
    ),
    (
        ["split: [relu, tanh, identity]"],
        "uneven-split", ["the 4 channels can't be cut evenly for 3 branches"], "let a multiple of 3 channels arrive",
    ),
    (
        ["residual: [conv2d: {out_channels: 8, kernel_size: 3, stride: 2, padding: 1}]"], "unequal-shapes",
        ["`layers` (line 3)", map_of("8x4x4"), "the input", map_of("4x8x8")],
        "write `shortcut: [conv2d: {out_channels: 8, kernel_size: 1, stride: 2}]`",
    ),
    (
        ["residual: [conv2d: {out_channels: 8, kernel_size: 1}]"], "unequal-shapes",
        ["`layers` (line 3)", map_of("8x8x8")], "write `shortcut: [conv2d: {out_channels: 8, kernel_size: 1}]`",
    ),
    (
        ["residual: [conv2d: {out_channels: 4, kernel_size: 3}]"], "unequal-shapes",
        ["`layers` (line 3)", map_of("4x6x6")], "pad the layers so that they keep the 8x8 map",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("item", "code", "parts", "hint"), REFUSED_MERGES)
def test_branches_that_do_not_fit_together_are_refused_with_both_of_them(
    planned: Planner, item: Sequence[str], code: str, parts: Sequence[str], hint: str
) -> None:
    problem = planned.problem("layers:\n  - " + "\n    ".join(item))
    assert (problem.code, problem.hint, problem.place.line) == (code, hint, 3)
    assert [part for part in parts if part not in problem.message] == []


def test_every_branch_tells_its_own_mistake(planned: Planner) -> None:
    layers = "layers:\n  - add:\n      - max_pool2d: {kernel_size: 9}\n      - relu\n      - batch_norm1d\n"
    assert [(problem.code, problem.place.line) for problem in planned.problems(layers)] == [
        ("kernel-too-large", 4),
        ("wrong-rank", 6),
    ]


def test_unequal_centres_are_a_warning(planned: Planner) -> None:
    convs = [f"conv2d: {{out_channels: 4, kernel_size: {size}, stride: 2}}" for size in (2, 1)]
    plan = planned(f"layers:\n  - add: [{', '.join(convs)}]\n")
    (warning,) = plan.problems
    assert (warning.severity, warning.code, warning.place.line) == ("warning", "unequal-centres", 3)
    assert plan.output == (4, 4, 4)


GATE = "[identity, sequential: [adaptive_avg_pool2d: {output_size: 1}, sigmoid]]"


def test_behind_a_gate_every_unit_has_seen_the_whole_map(planned: Planner) -> None:
    plan = planned(f"layers: [multiply: {GATE}, conv2d: {{out_channels: 4, kernel_size: 3, padding: 1}}]")
    for row in plan.rows:
        assert (row.out_shape, row.receptive_field.size) == ((4, 8, 8), (8, 8))
        assert not any(row.receptive_field.stride)


def test_a_map_of_one_unit_counts_for_every_position_of_the_others(planned: Planner) -> None:
    branches = f"[adaptive_avg_pool2d: {{output_size: 1}}, relu, {conv('1')}]"
    assert planned(f"layers: [multiply: {branches}]").output == (4, 8, 8)
    assert planned.problem(f"layers: [add: {GATE}]").code == "unequal-shapes"


def test_the_shares_of_a_split_are_given_the_field_of_the_whole_map(planned: Planner) -> None:
    # A plan knows one field for all channels; the first share sees less here.
    wide = "conv2d: {out_channels: 4, kernel_size: 5, padding: 2}"
    plan = planned(f"layers: [concat: [identity, {wide}], split: [identity, identity]]")
    assert [row.receptive_field.size for row in plan.rows[1].rows] == [(5, 5), (5, 5)]


def test_a_residual_without_skip_is_its_layers_alone(planned: Planner) -> None:
    plan = planned("layers: [residual: {skip: $(in_channels == 1), layers: [flatten], shortcut: [relu]}]")
    assert (plan.output, names_of(plan)) == ((256,), ["residual_1", "residual_1.layers", "residual_1.layers.flatten_1"])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("[flatten, per_pixel: [relu]]", "`per_pixel` takes a map, and its input is 256 features"),
        ("[per_pixel: [per_pixel: [relu]]]", "`per_pixel` takes a map, and stands where layers see single pixels"),
        ("[per_pixel: [max_pool2d: {kernel_size: 1}]]", "`max_pool2d` can't act on single pixels"),
        ("[per_pixel: [batch_norm2d]]", "`batch_norm2d` can't act on single pixels"),
    ],
)
def test_single_pixels_have_no_map(planned: Planner, layers: str, message: str) -> None:
    problem = planned.problem(f"layers: {layers}")
    assert (problem.code, problem.place.line) == ("wrong-rank", 2)
    assert problem.message.startswith(message)
