"""Networks whose numbers somebody else has published, as specs in `specs/published`.

Sources of the expected values:
- fields: Araujo, Norris & Sim 2019, Computing Receptive Fields of Convolutional Neural Networks, Distill,
  doi:10.23915/distill.00021, and the tables of github.com/google-research/receptive_field;
- parameters and MACs of torchvision's networks: `num_params` and `_ops` (in 10^9) in the `meta` of their weights;
- LeNet-5, pytorch/examples, keras.io and the notebook: counted by hand from the layers that the sources name.
"""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch_oracle import field_differences, fields, macs, on_meta, params, shapes, units
from torchvision import models

from builder import Plan, load_spec, make_plan

PUBLISHED = Path(__file__).parent / "specs" / "published"
NAMES = [path.stem for path in sorted(PUBLISHED.glob("*.yaml"))]

Field = tuple[int, int, int]  # size, effective stride, effective padding


def plan_named(name: str) -> Plan:
    return make_plan(load_spec(PUBLISHED / f"{name}.yaml"))


def field_of(plan: Plan, layer: str) -> Field:
    (field,) = (row.receptive_field for row in plan.rows if row.name == layer)
    for both in (field.size, field.stride, field.padding):
        assert both[0] == both[1]  # all of these networks are square
    return field.size[0], int(field.stride[0]), field.padding[0]


ALEXNET_V2 = {  # google-research/receptive_field
    "conv1": (11, 4, 0),
    "pool1": (19, 8, 0),
    "conv2": (51, 8, 16),
    "conv3": (99, 16, 32),
    "conv4": (131, 16, 48),
    "conv5": (163, 16, 64),
    "pool5": (195, 32, 64),
}

VGG_16 = {  # google-research/receptive_field
    "conv1_1": (3, 1, 1),
    "pool1": (6, 2, 2),
    "conv2_1": (10, 2, 4),
    "pool2": (16, 4, 6),
    "conv3_1": (24, 4, 10),
    "conv3_2": (32, 4, 14),
    "pool3": (44, 8, 18),
    "conv4_1": (60, 8, 26),
    "conv4_2": (76, 8, 34),
    "pool4": (100, 16, 42),
    "conv5_1": (132, 16, 58),
    "conv5_2": (164, 16, 74),
    "pool5": (212, 32, 90),
}

FIELDS = [
    *(("alexnet_v2", layer, field) for layer, field in ALEXNET_V2.items()),
    *(("vgg_16", layer, field) for layer, field in VGG_16.items()),
    ("vgg_a", "pool5", (150, 32, 59)),  # Distill, table of end points
    ("alexnet", "pool5", (195, 32, 66)),  # as v2, and the 2 pixels of padding that torchvision's conv1 adds
]


@pytest.mark.parametrize(("network", "layer", "field"), FIELDS)
def test_a_field_is_the_published_one(network: str, layer: str, field: Field) -> None:
    assert field_of(plan_named(network), layer) == field


def test_the_fields_of_the_notebooks_network_do_not_double_at_a_pool() -> None:
    # The comments in the notebook say 10 after the first pool, and 34 at the end.
    plan = plan_named("notebook")
    layers = ["conv1", "conv2", "pool1", "conv3", "conv4", "pool2", "conv5", "conv6", "conv7"]
    assert [field_of(plan, layer)[0] for layer in layers] == [3, 5, 6, 10, 14, 16, 24, 32, 40]


def test_the_linear_layers_of_lenet5_see_the_padding_too() -> None:
    # 28 pixels and the 2 of padding on each side: the paper's 32x32.
    plan = plan_named("lenet5")
    assert field_of(plan, "c5") == (32, 0, 2)
    assert plan.receptive_field.covers_input


TOTALS = [
    ("alexnet", 61_100_840, 714_188_480),
    ("vgg_a", 132_863_336, 7_609_090_048),
    ("vgg_16", 138_357_544, 15_470_264_320),
    ("lenet5", 61_706, 416_520),
    ("pytorch_mnist", 1_199_882, 11_992_448),
    ("keras_convnet", 34_826, 2_440_960),
    ("notebook", 6_379_786, 158_980_608),
]


@pytest.mark.parametrize(("network", "num_params", "num_macs"), TOTALS)
def test_parameters_and_macs_are_the_published_ones(network: str, num_params: int, num_macs: int) -> None:
    plan = plan_named(network)
    assert (plan.params, plan.macs, plan.buffers) == (num_params, num_macs, 0)


TWINS = {
    "alexnet": (models.alexnet, models.AlexNet_Weights.IMAGENET1K_V1),
    "vgg_a": (models.vgg11, models.VGG11_Weights.IMAGENET1K_V1),
    "vgg_16": (models.vgg16, models.VGG16_Weights.IMAGENET1K_V1),
}


@pytest.mark.parametrize("network", TWINS)
def test_the_state_has_the_shapes_of_torchvisions_twin(network: str) -> None:
    constructor, weights = TWINS[network]
    with torch.device("meta"):
        twin = constructor(weights=None)
    assert shapes_of_state(on_meta(plan_named(network))) == shapes_of_state(twin)
    plan = plan_named(network)
    assert plan.params == weights.meta["num_params"]
    assert round(plan.macs / 1e9, 3) == weights.meta["_ops"]


def shapes_of_state(model: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    """In order, with the last part of each name: children are named otherwise."""
    return [(name.rpartition(".")[2], tuple(tensor.shape)) for name, tensor in model.state_dict().items()]


def test_every_published_spec_has_an_expected_value() -> None:
    assert set(NAMES) == {network for network, *_ in FIELDS} | {network for network, *_ in TOTALS}


@pytest.mark.parametrize("network", NAMES)
def test_a_published_network_is_planned_as_torch_runs_it(network: str) -> None:
    plan = plan_named(network)
    meta = on_meta(plan)
    assert [row.out_shape for row in plan.rows] == shapes(meta, plan.spec.input, "meta")
    assert {row.name: row.params for row in plan.rows} == params(meta)
    assert [row.macs for row in plan.rows] == macs(meta, plan.spec.input)


@pytest.mark.parametrize("network", NAMES)
def test_the_gradient_shows_the_fields_of_a_published_network(network: str) -> None:
    plan = plan_named(network)
    compared = zip(fields(plan), units(on_meta(plan), plan.spec.input, thin=True), strict=True)
    assert [field_differences(planned, seen, plan.spec.input) for planned, seen in compared] == [[]] * len(plan.rows)
