"""The contract of every layer kind: what it says about itself without torch is what torch then does.

A new kind needs one row in `contract.py`. The converse, that what we refuse torch refuses too, is `test_refusals.py`.
"""

import inspect
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from contract import CONTRACT, FLATTENED, ROWS_OF_PIXELS, Arguments
from spec_generator import Item, plan_of, spec_text
from torch import nn
from torch_oracle import differences, field_differences, fields, train_once, units
from torch_probes import probe
from torchvision.ops import StochasticDepth

from builder import Plan, SpecError, build_model
from builder.kinds import Parameter, parameters
from builder.layers import LAYERS, Shape
from builder.plan import LayerRow

# Torch warns that it copies the map; that is no concern of the numbers.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


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
    assert rows, f"add a row for `{kind}` to CONTRACT in tests/contract.py"


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
    module = build_model(plan_of(spec_text(row.images[0], [*row.before, {kind: row.arguments[0]}]), tmp_path))[-1]
    signature = inspect.signature(type(module).__init__)
    for parameter in parameters(LAYERS[kind]):
        # softmax's `dim` has a deprecated default in torch, and a sensible one here.
        if not parameter.required and (kind, parameter.name) not in (("softmax", "dim"), ("log_softmax", "dim")):
            default = signature.parameters[parameter.name].default
            assert default is not inspect.Parameter.empty
            assert parameter.type.canonical(default) == parameter.type.canonical(parameter.default), parameter.name


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


# Windows of which neighbours see different amounts: every unit is compared.


@pytest.mark.parametrize(
    "layers",
    [
        [{"conv_transpose2d": {"out_channels": 1, "kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}}],
        [{"conv_transpose2d": {"out_channels": 1, "kernel_size": [1, 2], "stride": [2, 3]}}],
        [{"conv_transpose2d": {"out_channels": 1, "kernel_size": 4, "stride": [2, 3], "dilation": [2, 4]}}],
        [{"upsample": {"scale_factor": [2, 1.5]}}],
        [{"upsample": {"size": [11, 4], "mode": "nearest-exact"}}],
        [{"upsample": {"scale_factor": [2, 3], "mode": "bilinear"}}],
        [{"upsample": {"size": [10, 13], "mode": "bilinear", "align_corners": True}}],
        [{"upsample": {"scale_factor": [1.25, 2.5], "mode": "bicubic"}}],
        [{"upsample": {"size": [9, 4], "mode": "bicubic", "align_corners": True}}],
        [{"pixel_shuffle": {"upscale_factor": 2}}],
        [{"adaptive_avg_pool2d": {"output_size": [5, 4]}}],
        # In chains: a U-Net's way down and up, and what comes before and after a hole.
        [
            {"max_pool2d": {"kernel_size": 2, "ceil_mode": True}},
            {"conv_transpose2d": {"out_channels": 2, "kernel_size": 2, "stride": 2}},
            {"conv2d": {"out_channels": 2, "kernel_size": 3, "padding": 1}},
        ],
        [
            {"conv_transpose2d": {"out_channels": 2, "kernel_size": 1, "stride": 2}},
            {"max_pool2d": {"kernel_size": 2, "stride": 1}},
            {"upsample": {"scale_factor": 1.5, "mode": "bilinear"}},
        ],
        [
            {"upsample": {"scale_factor": 2, "mode": "bilinear"}},
            {"zero_pad2d": {"padding": [0, 1, 2, 0]}},
            {"conv2d": {"out_channels": 4, "kernel_size": 2, "stride": 3}},
            {"pixel_shuffle": {"upscale_factor": 2}},
        ],
    ],
    ids=lambda layers: " ".join(next(iter(layer)) for layer in layers),
)
def test_every_unit_sees_what_the_plan_says(layers: list[Item], tmp_path: Path) -> None:
    plan = plan_of(spec_text((4, 7, 6), layers), tmp_path)
    seen = units(build_model(plan), (4, 7, 6), every_position=True)
    assert len(seen[-1]) == plan.output[1] * plan.output[2]
    wrong = [
        field_differences(planned, of_layer, (4, 7, 6)) for planned, of_layer in zip(fields(plan), seen, strict=True)
    ]
    assert wrong == [[]] * len(layers)


def test_a_unit_that_sees_nothing_is_a_hole_in_the_plan(tmp_path: Path) -> None:
    transposed = {"out_channels": 1, "kernel_size": 1, "stride": 2}
    plan = plan_of(spec_text((1, 5, 5), [{"conv_transpose2d": transposed}]), tmp_path)
    (seen,) = units(build_model(plan), (1, 5, 5), every_position=True)
    assert [unit.seen[0] is None for unit in seen[:9]] == [False, True] * 4 + [False]
    vertical, _ = fields(plan)[0]
    assert vertical.intervals == ((0, 0), None)


# Behind a flatten, channels and positions are one dimension.


@pytest.mark.parametrize(
    "layer", [{"conv1d": {"out_channels": 2, "kernel_size": 3}}, {"max_pool1d": {"kernel_size": 2}}]
)
def test_a_window_along_rows_needs_channels_that_are_no_positions(layer: Item, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="run over the rows of the image"):
        plan_of(spec_text((4, 3, 17), [*ROWS_OF_PIXELS, layer]), tmp_path)


def test_a_network_goes_on_after_a_glu_over_features(tmp_path: Path) -> None:
    layers = [*FLATTENED, "glu", {"linear": {"out_features": 3}}]
    plan = plan_of(spec_text((4, 5, 6), layers), tmp_path)
    assert differences(plan) == []
    assert [row.receptive_field.size for row in plan.rows] == [(1, 1), (1, 1), (5, 6)]


def test_a_glu_over_features_does_not_halve_a_channel(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="let an even number of channels arrive at `flatten`"):
        plan_of(spec_text((3, 4, 5), [*FLATTENED, "glu"]), tmp_path)


# Stochastic depth is torchvision's.


@pytest.mark.parametrize("mode", ["row", "batch"])
@pytest.mark.parametrize("p", [0, 0.2, 0.5, 1])
@pytest.mark.parametrize("shape", [(6, 3), (6, 2, 3), (6, 2, 4, 3)])
def test_stochastic_depth_drops_the_images_that_torchvision_drops(shape: Shape, p: float, mode: str) -> None:
    ours, theirs = LAYERS["stochastic_depth"].read({"p": p, "mode": mode}).module(shape[1:]), StochasticDepth(p, mode)
    images = torch.rand(shape)
    for training in (True, False):
        torch.manual_seed(3)
        found = [ours.train(training)(images) for _ in range(20)]
        torch.manual_seed(3)
        assert all(torch.equal(each, theirs.train(training)(images)) for each in found)


def test_stochastic_depth_by_row_drops_whole_images() -> None:
    module = LAYERS["stochastic_depth"].read({"p": 0.5}).module((2, 3))
    torch.manual_seed(0)
    images = module(torch.ones(100, 2, 3)).flatten(1)
    assert torch.equal(images, images[:, :1].expand_as(images))
    assert set(images.flatten().tolist()) == {0, 2}


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
    interval = planned[axis].intervals[0]
    assert interval is not None
    first, last = interval
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
    row = simple.rows[2]
    assert isinstance(row, LayerRow)
    kind = type(row.layer)
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
