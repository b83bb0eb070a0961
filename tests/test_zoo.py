"""The networks of `specs/zoo`: those of torchvision are its own to the last bit, and the small ones learn.

Sources of the expected values:
- parameters and MACs: `num_params` and `_ops` (in 10^9) in the `meta` of torchvision's weights;
- fields of AlexNet, VGG-A and VGG-16: Araujo, Norris & Sim 2019, Computing Receptive Fields of Convolutional Neural
  Networks, Distill, doi:10.23915/distill.00021, and the tables of github.com/google-research/receptive_field; AlexNet's
  padding has 2 more, which torchvision's first convolution adds;
- fields of the ResNets: the same recurrence with the stride in the first block of a stage, as torchvision has it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from test_published import field_of, shapes_of_state
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torch_oracle import on_meta, one_thread
from torchvision import models

from builder import Plan, build_model, load_spec, make_plan
from builder.data.images import Data, load_data
from builder.training.keeper import Keeper
from builder.training.loop import train
from builder.training.session import Session

ZOO = Path(__file__).parent.parent / "specs" / "zoo"
NAMES = [path.stem for path in sorted(ZOO.glob("*.yaml")) if not path.stem.startswith("_")]
SMALL = ["depthwise_separable", "small_resnet", "squeeze_excite", "unet"]
TWINS = [name for name in NAMES if name not in SMALL]

# GoogLeNet's published count leaves its auxiliary classifiers out; for speed its own slow initialisation is skipped.
ARGUMENTS = {"googlenet": {"aux_logits": False, "init_weights": False, "transform_input": False}}
COMPUTES_WIDTHS = {"regnet_y_400mf"}  # with tensors, in its constructor, which therefore can't run on the meta device


def spec_path(name: str) -> Path:
    return ZOO / f"{name}.yaml"


@cache
def plan_named(name: str) -> Plan:
    return make_plan(load_spec(spec_path(name)))


def header_of(name: str) -> str:
    """The comment that opens a spec, on one line."""
    lines = spec_path(name).read_text(encoding="utf-8").splitlines()
    return " ".join(line.removeprefix("# ") for line in lines if line.startswith("# "))


def test_every_network_that_torchvision_has_is_compared_with_it() -> None:
    assert set(SMALL) < set(NAMES)
    assert set(TWINS) <= set(models.list_models())


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_of_the_zoo_has_no_problems(name: str) -> None:
    assert plan_named(name).problems == ()


# ------------------------------------------------------------------------------------------------- published numbers


@pytest.mark.parametrize("name", TWINS)
def test_parameters_and_macs_are_the_published_ones_and_stand_in_the_header(name: str) -> None:
    plan = plan_named(name)
    meta = models.get_model_weights(name)["IMAGENET1K_V1"].meta
    assert (plan.params, round(plan.macs / 1e9, 3)) == (meta["num_params"], meta["_ops"])
    assert f"Published: {meta['num_params']:,} parameters, {meta['_ops']} GMACs" in header_of(name)


FIELDS = [  # size and stride, and the padding where the source pads as torch does
    ("alexnet", "last_pool", (195, 32, 66)),
    ("vgg11", "stages", (150, 32, 59)),
    ("vgg16", "stages", (212, 32, 90)),
    ("vgg16_bn", "stages", (212, 32, 90)),
    ("resnet18", "stages", (435, 32)),
    ("resnet34", "stages", (899, 32)),
    ("resnet50", "stages", (427, 32)),
]


@pytest.mark.parametrize(("name", "layer", "field"), FIELDS)
def test_a_field_is_the_published_one_and_stands_in_the_header(name: str, layer: str, field: tuple[int, ...]) -> None:
    assert field_of(plan_named(name), layer)[: len(field)] == field
    words = zip(("", "stride ", "padding "), field, strict=False)
    assert ", ".join(f"{word}{number}" for word, number in words) + "." in header_of(name)


# ------------------------------------------------------------------------------------------------------ line counts


def lines_of(name: str) -> int:
    return len(spec_path(name).read_text(encoding="utf-8").splitlines())


def test_resnet50_takes_less_than_60_lines_with_its_family() -> None:
    assert lines_of("resnet50") + lines_of("_resnet") < 60


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "vgg11", "vgg16", "vgg16_bn"])
def test_a_member_of_a_family_takes_less_than_10_lines(name: str) -> None:
    assert "extends: _" in spec_path(name).read_text(encoding="utf-8")
    assert lines_of(name) < 10


# -------------------------------------------------------------------------------------- equality with torchvision's


def twin_on_meta(name: str) -> nn.Module:
    with torch.device("cpu" if name in COMPUTES_WIDTHS else "meta"):
        twin: nn.Module = models.get_model(name, weights=None, **ARGUMENTS.get(name, {}))
    return twin.to("meta")


@pytest.mark.parametrize("name", TWINS)
def test_the_state_has_the_order_the_names_and_the_shapes_of_the_twin(name: str) -> None:
    assert shapes_of_state(on_meta(plan_named(name))) == shapes_of_state(twin_on_meta(name))


@pytest.mark.parametrize("name", TWINS)
def test_macs_are_those_that_torch_counts_in_the_twin(name: str) -> None:
    plan = plan_named(name)
    with FlopCounterMode(display=False) as counter:
        twin_on_meta(name).eval()(torch.empty(1, *plan.spec.input, device="meta"))
    assert 2 * plan.macs == counter.get_total_flops()


@dataclass(frozen=True, eq=False)
class Pair:
    """A network of ours and its twin with the same state, every number of it random."""

    ours: nn.Module
    twin: nn.Module
    images: Tensor  # (2, channels, height, width)


@pytest.fixture(scope="module")
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    plan = plan_named(request.param)
    generator = torch.Generator().manual_seed(0)
    ours, twin = (model.to_empty(device="cpu") for model in (on_meta(plan), twin_on_meta(request.param)))
    randomise(twin.state_dict(), generator)
    copy_in_order(twin, ours)
    with one_thread():
        yield Pair(ours, twin, torch.randn(2, *plan.spec.input, generator=generator))


def randomise(state: dict[str, Tensor], generator: torch.Generator) -> None:
    """Every number becomes another one, in a measure that neither dies out nor explodes on the way to the output."""
    for name, tensor in state.items():
        is_factor = name.endswith("running_var") or (name.endswith("weight") and tensor.dim() == 1)
        if not tensor.is_floating_point():
            tensor.random_(1, 1000, generator=generator)
        elif is_factor:
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif tensor.dim() == 1:
            tensor.normal_(0, 0.3, generator=generator)
        else:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)


def copy_in_order(source: nn.Module, target: nn.Module) -> None:
    names, tensors = target.state_dict().keys(), source.state_dict().values()
    target.load_state_dict(dict(zip(names, tensors, strict=True)))


@torch.no_grad()
def output(model: nn.Module, images: Tensor) -> Tensor:
    result: Tensor = model.eval()(images)
    return result


# Of what takes most of the time, those that are quick and have each a structure of their own;
# all of them with `YAMLNET_FULL=1 python -m pytest tests/test_zoo.py`.
QUICK = ["squeezenet1_1", "shufflenet_v2_x1_0", "mobilenet_v2", "googlenet", "efficientnet_b0", "resnet18"]
SHARE = TWINS if os.environ.get("YAMLNET_FULL") else QUICK


@pytest.mark.parametrize("pair", TWINS, indirect=True)
def test_the_output_is_the_twins_to_the_last_bit(pair: Pair) -> None:
    expected = output(pair.twin, pair.images)
    assert expected.isfinite().all()
    assert torch.equal(output(pair.ours, pair.images), expected)


@pytest.mark.parametrize("pair", SHARE, indirect=True)
def test_a_changed_parameter_changes_the_output(pair: Pair) -> None:
    parameters = list(pair.ours.named_parameters())
    scales = [(name, tensor) for name, tensor in parameters if name.endswith("layer_scale")]
    images = pair.images[:1]
    expected = output(pair.twin, images)
    for name, tensor in (parameters[0], parameters[len(parameters) // 2], parameters[-1], *scales):
        before = tensor.detach().clone()
        with torch.no_grad():
            tensor.add_(0.5)
        assert not torch.equal(output(pair.ours, images), expected), name
        with torch.no_grad():
            tensor.copy_(before)


@pytest.mark.parametrize("pair", SHARE, indirect=True)
def test_every_parameter_takes_part_in_the_output(pair: Pair) -> None:
    names, parameters = zip(*pair.ours.named_parameters(), strict=True)
    gradients = torch.autograd.grad(pair.ours.eval()(pair.images[:1]).sum(), parameters)
    assert [name for name, gradient in zip(names, gradients, strict=True) if not gradient.any()] == []


@pytest.mark.parametrize("pair", SHARE, indirect=True)
def test_training_drops_and_counts_as_the_twin_does(pair: Pair) -> None:
    # From the same seed: what is dropped follows from each probability, running statistics from eps and momentum.
    copy_in_order(pair.twin, pair.ours)
    ours, expected = (trained_output(model, pair.images) for model in (pair.ours, pair.twin))
    assert torch.equal(ours, expected)
    states = zip(pair.ours.state_dict().items(), pair.twin.state_dict().values(), strict=True)
    assert [name for (name, tensor), other in states if not torch.equal(tensor, other)] == []


@torch.no_grad()
def trained_output(model: nn.Module, images: Tensor) -> Tensor:
    torch.manual_seed(1)
    result: Tensor = model.train()(images)
    return result


# ----------------------------------------------------------------------------------------------------- the small ones


@pytest.mark.parametrize("name", SMALL)
def test_a_small_network_has_less_than_100_thousand_parameters_as_its_header_says(name: str) -> None:
    plan = plan_named(name)
    assert plan.params < 100_000
    assert plan.output == (10,)
    assert f"{plan.params:,} parameters" in header_of(name)


@pytest.mark.parametrize("name", SMALL)
@one_thread()
def test_a_short_training_of_a_small_network_lowers_its_loss(name: str) -> None:
    overrides = ["training.dataset=mnist_sample", "training.epochs=1", "training.batch_size=32"]
    plan = make_plan(load_spec(spec_path(name), overrides))
    recipe = plan.spec.require_recipe()
    data = load_data(recipe.dataset, data_dir=None, offline=True, device=torch.device("cpu"))
    torch.manual_seed(recipe.seed)
    losses: list[float] = []
    session = Session(plan, build_model(plan), first_images(data))
    list(train(session, Keeper(), lambda _, loss: losses.append(loss)))
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])


def first_images(data: Data) -> Data:
    """Of the training images the first 960, which make 30 steps, and a few of the test images."""
    shorter: dict[str, Any] = {}
    for part, images, number in (("train", data.train, 960), ("test", data.test, 100)):
        shorter[part] = replace(images, images=images.images[:number], labels=images.labels[:number])
    return replace(data, **shorter)
