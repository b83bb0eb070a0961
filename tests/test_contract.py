"""The contract of every layer kind: what it says about itself without torch is what torch then does.

A new kind needs one row in `CONTRACT`. The converse, that what we refuse torch refuses too, is `test_refusals.py`.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from spec_generator import Item, plan_of, spec_text
from torch import nn
from torch_oracle import (
    differences,
    field_differences,
    fields,
    probe,
    train_once,
    units,
)

from builder import Plan, build_model
from builder.kinds import Parameter, parameters
from builder.layers import LAYERS, Shape

Arguments = dict[str, Any]

# Torch warns that it copies the map; that is no concern of the numbers.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


@dataclass(frozen=True)
class Row:
    """A kind, the parameters to try it with, and the images (and layers before it) to try them on.

    Images are large enough for at least one unit's field to lie inside, so that it can be compared exactly.
    """

    kind: str
    arguments: list[Arguments]
    images: list[Shape]
    before: tuple[Item, ...] = ()


MAPS: list[Shape] = [(4, 23, 19), (6, 16, 31)]
FLATTENED: tuple[Item, ...] = ("flatten",)
ROWS_OF_FEATURES: tuple[Item, ...] = ({"flatten": {"start_dim": 2}},)

# Kinds that take any shape, and keep it.
ANY_SHAPE: dict[str, list[Arguments]] = {
    "relu": [{}],
    "leaky_relu": [{}, {"negative_slope": 0.3}, {"negative_slope": -1}],
    "gelu": [{}, {"approximate": "tanh"}],
    "silu": [{}],
    "tanh": [{}],
    "sigmoid": [{}],
    "identity": [{}],
    "dropout": [{}, {"p": 0}, {"p": 0.25}],
}

CONTRACT = [
    Row(
        "conv2d",
        [
            {"out_channels": 5, "kernel_size": 3},
            {"out_channels": 1, "kernel_size": 1},
            {"out_channels": 4, "kernel_size": [5, 2], "stride": [2, 3], "padding": [1, 0]},
            {"out_channels": 3, "kernel_size": [1, 6], "padding": [0, 2], "bias": False},
            {"out_channels": 2, "kernel_size": 2, "stride": 5},
            {"out_channels": 3, "kernel_size": 4, "stride": 3, "padding": 3},
            {"out_channels": 2, "kernel_size": [2, 3], "stride": 2, "padding": 2, "dilation": [3, 2]},
            {"out_channels": 6, "kernel_size": 3, "groups": 2, "padding": 1},
            {"out_channels": 6, "kernel_size": [3, 2], "groups": 2, "dilation": 2, "bias": False},
            {"out_channels": 3, "kernel_size": 3, "padding": "same"},
            {"out_channels": 3, "kernel_size": [4, 2], "padding": "same"},
            {"out_channels": 3, "kernel_size": [2, 4], "padding": "same", "dilation": [3, 1]},
            {"out_channels": 2, "kernel_size": [4, 3], "padding": "same", "padding_mode": "reflect"},
            {"out_channels": 2, "kernel_size": [3, 4], "padding": "valid", "stride": 2},
            {"out_channels": 2, "kernel_size": 3, "padding": [2, 1], "padding_mode": "reflect"},
            {"out_channels": 2, "kernel_size": 3, "padding": [1, 2], "padding_mode": "replicate", "stride": 2},
            {"out_channels": 2, "kernel_size": [3, 5], "padding": [1, 2], "padding_mode": "circular"},
        ],
        MAPS,
    ),
    # Depthwise, with a multiplier.
    Row("conv2d", [{"out_channels": 8, "kernel_size": 3, "groups": 4, "stride": 2}], [(4, 11, 8)]),
    Row(
        "max_pool2d",
        [
            {"kernel_size": 2},
            {"kernel_size": [3, 2], "stride": [2, 1]},
            {"kernel_size": 3, "stride": 2, "padding": 1},
            {"kernel_size": [2, 5], "padding": [1, 2], "stride": 3},
            {"kernel_size": 3, "stride": 2, "ceil_mode": True},
            {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
            {"kernel_size": [3, 2], "dilation": [2, 3], "stride": 1},
            {"kernel_size": 3, "dilation": 2, "padding": 1, "stride": 4, "ceil_mode": True},
        ],
        MAPS,
    ),
    Row(
        "avg_pool2d",
        [
            {"kernel_size": 2},
            {"kernel_size": [2, 3], "stride": [1, 2]},
            {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
            {"kernel_size": [4, 3], "padding": [2, 1], "stride": 3, "ceil_mode": True},
            {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True, "count_include_pad": False},
            {"kernel_size": 3, "stride": 1, "divisor_override": 2},
        ],
        MAPS,
    ),
    *(
        Row(
            kind,
            [
                {"output_size": 1},
                {"output_size": [4, 5]},
                {"output_size": [1, 6]},
                {"output_size": [None, 7]},
                {"output_size": [3, None]},
                {"output_size": None},
                {"output_size": [20, 40]},
                {"output_size": [8, 16]},
            ],
            [*MAPS, (2, 16, 32)],
        )
        for kind in ("adaptive_avg_pool2d", "adaptive_max_pool2d")
    ),
    *(
        Row(
            kind,
            [
                {},
                {"momentum": None},
                {"affine": False},
                {"track_running_stats": False},
                {"eps": 0.001, "momentum": 0.25, "affine": False, "track_running_stats": False},
                {"momentum": 0},
            ],
            [(3, 5, 7), (1, 6, 4)],
            before,
        )
        for kind, before in (
            ("batch_norm2d", ()),
            ("batch_norm1d", FLATTENED),
            ("batch_norm1d", ROWS_OF_FEATURES),
        )
    ),
    *(
        Row(kind, arguments, [(2, 5, 6)], before)
        for kind, arguments in ANY_SHAPE.items()
        for before in ((), FLATTENED, ROWS_OF_FEATURES)
    ),
    Row("dropout2d", [{}, {"p": 0}, {"p": 0.9}], [(2, 5, 6)]),
    *(
        Row(kind, arguments, [(3, 6, 5)], before)
        for kind in ("softmax", "log_softmax")
        for arguments, before in (
            ([{}, {"dim": 2}, {"dim": 3}, {"dim": -1}, {"dim": -2}, {"dim": -3}], ()),
            ([{}, {"dim": -1}], FLATTENED),
            ([{}, {"dim": 2}, {"dim": -1}, {"dim": -2}], ROWS_OF_FEATURES),
            ([{"dim": 1}, {"dim": 2}], ({"flatten": {"end_dim": 2}},)),
            # The fields that are joined or mixed are those of the layers before, and may exceed the image.
            ([{"dim": 2}], ({"conv2d": {"out_channels": 2, "kernel_size": 2, "stride": 2}},)),
        )
    ),
    Row(
        "flatten",
        [
            {},
            {"start_dim": 1, "end_dim": 2},
            {"start_dim": 2},
            {"start_dim": 2, "end_dim": 2},
            {"start_dim": -3, "end_dim": -2},
            {"start_dim": -2, "end_dim": 3},
            {"end_dim": -3},
        ],
        [(3, 4, 5)],
    ),
    Row("flatten", [{}, {"start_dim": -1}, {"start_dim": 2, "end_dim": -1}], [(3, 4, 5)], ROWS_OF_FEATURES),
    Row("flatten", [{}], [(3, 4, 5)], FLATTENED),
    *(
        Row("linear", [{"out_features": 7}, {"out_features": 1, "bias": False}], [(3, 4, 5)], before)
        for before in (FLATTENED, ROWS_OF_FEATURES, ({"flatten": {"end_dim": 2}},))
    ),
]


def cases() -> Iterator[Any]:
    for row in CONTRACT:
        for number, arguments in enumerate(row.arguments):
            for image in row.images:
                given = " ".join(f"{name}={value}" for name, value in arguments.items()) or f"bare{number}"
                after = f" after {list(row.before)}" if row.before else ""
                item = {row.kind: arguments} if arguments else row.kind
                name = f"{row.kind} {given} on {'x'.join(map(str, image))}{after}"
                yield pytest.param((*row.before, item), image, id=name)


every_case = pytest.mark.parametrize(("layers", "image"), list(cases()))


@pytest.mark.parametrize("kind", LAYERS)
def test_every_kind_has_a_row(kind: str) -> None:
    rows = [row for row in CONTRACT if row.kind == kind]
    assert rows, f"add a row for `{kind}` to CONTRACT in tests/test_contract.py"


@pytest.mark.parametrize("kind", LAYERS)
def test_the_rows_of_a_kind_write_every_parameter(kind: str) -> None:
    written = {name for row in CONTRACT if row.kind == kind for arguments in row.arguments for name in arguments}
    assert written == {parameter.name for parameter in parameters(LAYERS[kind])}, "add a set to its row in CONTRACT"


@every_case
def test_a_plan_says_what_torch_does(layers: tuple[Item, ...], image: Shape, tmp_path: Path) -> None:
    plan = plan_of(spec_text(image, layers), tmp_path)
    assert differences(plan) == []


@every_case
def test_some_unit_of_every_case_is_compared_exactly(layers: tuple[Item, ...], image: Shape, tmp_path: Path) -> None:
    plan = plan_of(spec_text(image, layers), tmp_path)
    last = units(build_model(plan), image)[-1]
    assert any(unit.is_inside for unit in last), "make the image larger"


@every_case
def test_every_parameter_learns(layers: tuple[Item, ...], image: Shape, tmp_path: Path) -> None:
    plan = plan_of(spec_text(image, layers), tmp_path)
    assert train_once(build_model(plan), image) == []


@every_case
def test_the_module_holds_what_is_written(layers: tuple[Item, ...], image: Shape, tmp_path: Path) -> None:
    plan = plan_of(spec_text(image, layers), tmp_path)
    item = layers[-1]
    ((kind, arguments),) = item.items() if isinstance(item, dict) else ((item, {}),)
    types = {parameter.name: parameter for parameter in parameters(LAYERS[kind])}
    module = build_model(plan)[-1]
    for name, value in arguments.items():
        assert held(module, types[name]) == types[name].type.canonical(value), name


def held(module: nn.Module, parameter: Parameter) -> object:
    """What the module was made with."""
    value = getattr(module, parameter.name)
    if parameter.name == "bias":
        return value is not None
    return parameter.type.canonical(value)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_default_is_torchs_own(kind: str, tmp_path: Path) -> None:
    row = next(row for row in CONTRACT if row.kind == kind)
    needed = {name: value for name, value in row.arguments[0].items() if is_required(kind, name)}
    item = {kind: needed} if needed else kind
    module = build_model(plan_of(spec_text(row.images[0], [*row.before, item]), tmp_path))[-1]
    signature = inspect.signature(type(module).__init__)
    for parameter in parameters(LAYERS[kind]):
        # softmax's `dim` has a deprecated default in torch, and a sensible one here.
        if not parameter.required and (kind, parameter.name) not in (("softmax", "dim"), ("log_softmax", "dim")):
            default = signature.parameters[parameter.name].default
            assert default is not inspect.Parameter.empty
            assert parameter.type.canonical(default) == parameter.type.canonical(parameter.default), parameter.name


def is_required(kind: str, name: str) -> bool:
    return any(parameter.name == name and parameter.required for parameter in parameters(LAYERS[kind]))


# What the rows above can't hold: maps on which every window sees padding, or more than the map.


@pytest.mark.parametrize("kind", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize(
    ("size", "arguments", "expected"),
    [
        (5, {"kernel_size": 2, "stride": 2}, 3),  # the last window starts on the last pixel
        (4, {"kernel_size": 2, "stride": 3, "padding": 1}, 2),  # a third would start in the padding
        (5, {"kernel_size": 1, "stride": 3}, 2),  # a third would start beyond the map
        (2, {"kernel_size": 3, "stride": 2}, 1),  # the only window is larger than the map
    ],
)
def test_ceil_mode_drops_a_window_that_starts_in_the_padding(
    kind: str, size: int, arguments: Arguments, expected: int, tmp_path: Path
) -> None:
    plan = plan_of(spec_text((1, size, size), [{kind: arguments | {"ceil_mode": True}}]), tmp_path)
    assert plan.output == (1, expected, expected)
    assert differences(plan) == []


def test_a_network_goes_on_after_a_softmax_over_rows(tmp_path: Path) -> None:
    conv = {"out_channels": 2, "kernel_size": 3}
    layers = [{"softmax": {"dim": 2}}, {"conv2d": conv}, {"max_pool2d": {"kernel_size": 2}}]
    plan = plan_of(spec_text((1, 9, 8), layers), tmp_path)
    assert differences(plan) == []
    assert plan.receptive_field.size == (9, 4)
    assert plan.receptive_field.stride == (Fraction(0), Fraction(2))


# The oracle sees what it should: a plan that is wrong by one is told from a right one.


@pytest.fixture
def simple(tmp_path: Path) -> Plan:
    conv = {"out_channels": 2, "kernel_size": 3, "dilation": 2, "stride": 2}
    return plan_of(spec_text((2, 15, 17), [{"conv2d": conv}, "relu", "batch_norm2d"]), tmp_path)


@pytest.mark.parametrize(("more_before", "more_after"), [(1, 0), (-1, 0), (0, 1), (0, -1), (1, -1)])
@pytest.mark.parametrize("axis", [0, 1])
def test_the_gradient_notices_a_field_that_is_wrong_by_one(
    simple: Plan, axis: int, more_before: int, more_after: int
) -> None:
    planned = fields(simple)[0]
    seen = units(build_model(simple), simple.spec.input)[0]
    assert field_differences(planned, seen, simple.spec.input) == []
    first, last = planned[axis].intervals[0]
    changed = replace(planned[axis], intervals=((first - more_before, last + more_after),))
    wrong = (changed, planned[1]) if axis == 0 else (planned[0], changed)
    assert len(field_differences(wrong, seen, simple.spec.input)) == len(seen)


def test_the_comparison_notices_a_shape_that_is_wrong_by_one(simple: Plan) -> None:
    assert differences(simple) == []
    height = simple.rows[0].out_shape[1]
    wrong = replace(simple, rows=(replace(simple.rows[0], out_shape=(2, height + 1, 7)), *simple.rows[1:]))
    assert [text.split(":")[0] for text in differences(wrong)] == ["shapes", "shapes on meta"]


@pytest.mark.parametrize("of", ["params", "buffers", "macs"])
def test_the_comparison_notices_a_count_that_is_wrong_by_one(
    simple: Plan, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(simple.rows[2].layer)
    right = getattr(kind, of)
    monkeypatch.setattr(kind, of, lambda layer, in_shape: right(layer, in_shape) + 1)
    (difference,) = differences(simple)
    assert difference.startswith(of)


@pytest.mark.parametrize("padding_mode", ["reflect", "replicate", "circular"])
def test_padding_with_pixels_invents_no_dependence(padding_mode: str, tmp_path: Path) -> None:
    # The plan's field of a unit at the border is that of zero padding, wherever the padding's values come from.
    conv = {"out_channels": 1, "kernel_size": 3, "padding": 1}
    zeros, other = (
        plan_of(spec_text((1, 7, 7), [{"conv2d": conv | {"padding_mode": mode}}]), tmp_path)
        for mode in ("zeros", padding_mode)
    )
    assert fields(zeros) == fields(other)


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d((3, 2), (2, 1), (1, 0), dilation=(2, 3)),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.MaxPool2d(2, 3, 1, ceil_mode=True),
        nn.AvgPool2d((2, 3), 2, 1),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        nn.AdaptiveMaxPool2d((3, 5)),
        nn.AdaptiveAvgPool2d((7, 1)),
    ],
    ids=str,
)
def test_windows_of_ones_see_what_the_pooling_sees(pool: nn.Module) -> None:
    height, width = 8, 7
    # One image per pixel, all zero but for it: the units above zero are those that see the pixel.
    pixels = torch.eye(height * width).reshape(-1, 1, height, width)
    (window,) = probe(nn.Sequential(pool), (1, height, width))
    pixels = pixels.double()
    assert torch.equal(pool(pixels) > 0, window(pixels) > 0)
