"""How weights begin: as `torch.nn.init` fills them, for kinds of layers and for layers by name."""

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from builder import build_model, load_spec, make_plan
from builder.data.images import Images
from builder.kinds import parameters
from builder.layers import LAYERS
from builder.plan import LayerRow, Plan
from builder.plan.named_layers import by_name, initialisers
from builder.recipe import Initialiser
from builder.recipe.initialisation import has_weights
from builder.training.initialisation import initialise, patch_statistics

ROOT = Path(__file__).parent.parent

# A convolution per kind, norms, a slope, a composite with a weight of its own, and layers inside of others.
LAYERS_TEXT = """
  - conv2d: {name: first, out_channels: 20, kernel_size: 3, padding: 1}
  - batch_norm2d
  - prelu
  - residual:
      name: block
      layers:
        - conv2d: {out_channels: 20, kernel_size: 3, padding: 1, bias: false}
        - group_norm: {num_groups: 4}
        - layer_scale: {init: 0.1, layers: [conv2d: {out_channels: 20, kernel_size: 1}, batch_norm2d: {name: last}]}
  - instance_norm2d: {affine: true}
  - conv_transpose2d: {out_channels: 12, kernel_size: 2, stride: 2}
  - adaptive_avg_pool2d: {output_size: [1, 8]}
  - flatten: {start_dim: 2}
  - conv1d: {out_channels: 16, kernel_size: 3}
  - flatten
  - layer_norm
  - batch_norm1d
  - linear: {name: fc, out_features: 10}
"""


def planned(initialisation: str, folder: Path, layers: str = LAYERS_TEXT, image: str = "[1, 28, 28]") -> Plan:
    path = folder / "net.yaml"
    text = f"input: {image}\nlayers:{layers}training:\n  dataset: mnist_sample\n  epochs: 1\n  batch_size: 64\n"
    path.write_text(
        f"{text}  loss: cross_entropy\n  optimizer: adam\n  initialisation: {initialisation}\n", encoding="utf-8"
    )
    return make_plan(load_spec(path))


def images(count: int = 300, channels: int = 1, size: int = 28) -> Images:
    """Noise that is the same at neighbouring pixels in part, as in pictures."""
    noise = torch.rand(count, channels, size + 2, size + 2, generator=torch.Generator().manual_seed(1))
    smooth = functional.avg_pool2d(noise, 3, stride=1)
    pixels = (255 * (smooth - smooth.min()) / (smooth.max() - smooth.min())).round().to(torch.uint8)
    mean, std = torch.full((channels, 1, 1), 0.3), torch.full((channels, 1, 1), 0.2)
    return Images(images=pixels, labels=torch.zeros(count, dtype=torch.int64), mean=mean, std=std)


def begun(plan: Plan, data: Images | None = None) -> nn.Sequential:
    torch.manual_seed(7)
    model = build_model(plan)
    recipe = plan.spec.require_recipe()
    initialise(model, plan, recipe, data or images())
    return model


def by_torch(plan: Plan) -> nn.Sequential:
    torch.manual_seed(7)
    return build_model(plan)


def same(left: nn.Module, right: nn.Module) -> bool:
    pairs = zip(left.state_dict().items(), right.state_dict().items(), strict=True)
    return all(name == other and torch.equal(tensor, twin) for (name, tensor), (other, twin) in pairs)


# ---------------------------------------------------------------------------------------------------- torch's functions

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "kaiming_uniform": nn.init.kaiming_uniform_,
    "kaiming_normal": nn.init.kaiming_normal_,
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "orthogonal": nn.init.orthogonal_,
    "dirac": nn.init.dirac_,
    "zeros": nn.init.zeros_,
    "ones": nn.init.ones_,
    "constant": nn.init.constant_,
    "normal": nn.init.normal_,
    "trunc_normal": nn.init.trunc_normal_,
}
WRITTEN: dict[str, dict[str, Any]] = {
    "kaiming_uniform": {"a": math.sqrt(5), "mode": "fan_out"},
    "kaiming_normal": {"mode": "fan_out", "nonlinearity": "relu"},
    "xavier_uniform": {"gain": 0.5},
    "xavier_normal": {"gain": 2},
    "orthogonal": {"gain": 1.4},
    "dirac": {"groups": 2},
    "constant": {"val": -0.25},
    "normal": {"mean": 0.1, "std": 0.02},
    "trunc_normal": {"mean": 0.1, "std": 0.5, "a": -0.4, "b": 0.2},
}
REQUIRED = {"constant": {"val": 0.5}}
WEIGHTS = {
    "conv2d": (8, 4, 3, 3),
    "conv1d": (8, 4, 3),
    "conv_transpose2d": (4, 8, 2, 2),
    "linear": (6, 10),
    "batch_norm2d": (6,),
    "layer_norm": (3, 4, 5),
}
CASES = [(kind, written) for kind in FUNCTIONS for written in (REQUIRED.get(kind, {}), WRITTEN.get(kind, {}))]


def test_every_initialiser_of_torchs_is_compared() -> None:
    assert {*FUNCTIONS, "whitening"} == set(Initialiser.table), "add it to tests/test_initialisation.py"


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_an_initialiser_takes_torchs_parameters_with_torchs_defaults(kind: str) -> None:
    torchs = {
        item.name: item.default
        for item in inspect.signature(FUNCTIONS[kind]).parameters.values()
        if item.name not in ("tensor", "generator")
    }
    ours = {
        item.name: inspect.Parameter.empty if item.required else item.type.canonical(item.default)
        for item in parameters(Initialiser.table[kind])
    }
    assert ours == torchs


@pytest.mark.parametrize(("kind", "written"), CASES, ids=str)
@pytest.mark.parametrize("layer_kind", WEIGHTS)
def test_weights_begin_as_torchs_function_fills_them(kind: str, written: dict[str, Any], layer_kind: str) -> None:
    initialiser = Initialiser.table[kind].read(written)
    if not issubclass(LAYERS[layer_kind], initialiser.fits):
        return
    ours, torchs = torch.full(WEIGHTS[layer_kind], 9.0), torch.full(WEIGHTS[layer_kind], 9.0)
    torch.manual_seed(3)
    initialiser.fill(ours)
    torch.manual_seed(3)
    FUNCTIONS[kind](torchs, **written)
    assert torch.equal(ours, torchs)


@pytest.mark.parametrize("kind", Initialiser.table)
def test_what_is_written_out_reads_the_same(kind: str) -> None:
    first = Initialiser.table[kind].read(WRITTEN.get(kind, REQUIRED.get(kind, {})))
    assert Initialiser.table[kind].read(first.written()) == first
    assert first.written().keys() >= WRITTEN.get(kind, {}).keys()


EXTREMES = (-1_000_000, 0, 1_000_000)


@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_the_bounds_of_every_number_keep_weights_finite(kind: str) -> None:
    for field in parameters(Initialiser.table[kind]):
        if field.type.schema()["type"] != "number":
            continue
        low, high = (field.type.schema().get(bound) for bound in ("minimum", "maximum"))
        assert high == max(EXTREMES)
        for value in (high, *([] if low is None else [low])):
            written = REQUIRED.get(kind, {}) | {field.name: value}
            initialiser = Initialiser.table[kind].read(written)
            if list(initialiser.rules()):
                continue
            weight = torch.empty(8, 4, 3, 3)
            initialiser.fill(weight)
            assert weight.isfinite().all()


# --------------------------------------------------------------------------------------------------- kinds and names


def test_without_a_word_nothing_changes_and_nothing_is_drawn(tmp_path: Path) -> None:
    plan = planned("{}", tmp_path)
    model = by_torch(plan)
    state = torch.get_rng_state()
    assert same(begun(plan), model)
    assert torch.equal(torch.get_rng_state(), state)


def test_every_layer_of_a_kind_begins_alike_with_the_draws_in_the_order_of_the_plan(tmp_path: Path) -> None:
    plan = planned("{linear: {orthogonal: {gain: 1.4}}, conv2d: kaiming_normal}", tmp_path)
    by_hand = by_torch(plan)
    for module in by_hand.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.Linear):
            nn.init.orthogonal_(module.weight, gain=1.4)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    assert same(begun(plan), by_hand)


def test_a_name_goes_before_a_kind_and_leads_into_composites(tmp_path: Path) -> None:
    plan = planned("{conv2d: orthogonal, first: zeros, block.layers.conv2d_1: {constant: {val: 2}}}", tmp_path)
    model = begun(plan)
    assert not model.get_parameter("first.weight").any()
    assert bool((model.get_parameter("block.layers.conv2d_1.weight") == 2).all())
    inner = model.get_parameter("block.layers.layer_scale_1.layers.conv2d_1.weight").flatten(1)
    assert torch.allclose(inner @ inner.T, torch.eye(20), atol=1e-5)


def test_a_residual_whose_last_norm_begins_at_zero_begins_as_the_identity(tmp_path: Path) -> None:
    plan = planned("{block.layers.layer_scale_1.layers.last: zeros}", tmp_path)
    block = begun(plan).get_submodule("block")
    inputs = torch.randn(4, 20, 7, 7)
    assert torch.equal(block(inputs), inputs)


def test_biases_of_layers_that_are_named_begin_at_zero_and_others_stay(tmp_path: Path) -> None:
    plan = planned("{first: normal}", tmp_path)
    model, by_hand = begun(plan), by_torch(plan)
    assert not model.get_parameter("first.bias").any()
    assert torch.equal(model.get_parameter("fc.bias"), by_hand.get_parameter("fc.bias"))


def test_every_kind_with_weights_keeps_them_where_they_are_looked_for(tmp_path: Path) -> None:
    kinds = [kind for kind in LAYERS if has_weights(kind)]
    plan = planned(f"{{{', '.join(f'{kind}: zeros' for kind in kinds)}}}", tmp_path)
    found = initialisers(plan.rows, plan.spec.require_recipe().initialisation)
    layers = {name: row for name, row in by_name(plan.rows) if isinstance(row, LayerRow) and row.params}
    assert found.keys() == layers.keys()
    assert {row.kind for row in layers.values()} == set(kinds), "add the kind to LAYERS_TEXT"
    model = begun(plan)
    learned = {name for name, tensor in model.named_parameters() if tensor.any()}
    assert learned == {"block.layers.layer_scale_1.layer_scale"}  # its `init` says how it begins


@pytest.mark.parametrize(
    "spec",
    ["tests/specs/valid/composites.yaml", "tests/specs/valid/names_of_nested_layers.yaml", "specs/zoo/unet.yaml"],
)
def test_names_of_layers_are_those_of_torchs_modules(spec: str) -> None:
    plan = make_plan(load_spec(ROOT / spec))
    with torch.device("meta"):
        model = build_model(plan)
    assert {name for name, _ in by_name(plan.rows)} == {name for name, _ in model.named_modules() if name}


# ---------------------------------------------------------------------------------------------------------- whitening


def convolution(text: str) -> str:
    return f"\n  - conv2d: {{name: first, {text}}}\n  - adaptive_avg_pool2d: {{output_size: 1}}\n  - flatten\n" + (
        "  - linear: {out_features: 10}\n"
    )


def outputs(layer: nn.Conv2d, data: Images) -> Tensor:
    """What the layer gives for the patches that it sees whole, (n, out_channels), as float64."""
    inputs, _ = data.batch(slice(0, len(data)))
    bias = None if layer.bias is None else layer.bias.double()
    stride, dilation = layer.stride, layer.dilation
    found = functional.conv2d(inputs.double(), layer.weight.double(), bias, stride, 0, dilation)
    return found.detach().transpose(0, 1).flatten(1).T


@pytest.mark.parametrize(
    "text",
    [
        "out_channels: 9, kernel_size: 3, padding: 1",
        "out_channels: 9, kernel_size: 3, bias: false",
        "out_channels: 6, kernel_size: [2, 3], stride: [1, 2], dilation: [3, 1]",
    ],
)
def test_whitened_patches_are_uncorrelated_and_of_variance_one(text: str, tmp_path: Path) -> None:
    data = images()
    plan = planned("{first: {whitening: {eps: 1e-12}}}", tmp_path, convolution(text))
    layer = begun(plan, data).get_submodule("first")
    assert isinstance(layer, nn.Conv2d)
    found = outputs(layer, data)
    assert torch.allclose(found.T.cov(), torch.eye(layer.out_channels, dtype=torch.float64), atol=1e-3)
    if layer.bias is not None:
        assert torch.allclose(found.mean(dim=0), torch.zeros(layer.out_channels, dtype=torch.float64), atol=1e-3)


def test_the_first_kernel_is_the_direction_of_most_variance(tmp_path: Path) -> None:
    data = images()
    plan = planned("{first: {whitening: {eps: 1e-12}}}", tmp_path, convolution("out_channels: 4, kernel_size: 3"))
    layer = begun(plan, data).get_submodule("first")
    assert isinstance(layer, nn.Conv2d)
    assert torch.allclose(outputs(layer, data).T.cov(), torch.eye(4, dtype=torch.float64), atol=1e-3)
    norms = layer.weight.flatten(1).norm(dim=1)
    assert norms.tolist() == sorted(norms.tolist())  # the more variance, the smaller the factor


def test_further_kernels_have_the_other_sign_and_what_is_left_stays_as_drawn(tmp_path: Path) -> None:
    plan = planned("{first: whitening}", tmp_path, convolution("out_channels: 20, kernel_size: 3"))
    model, by_hand = begun(plan), by_torch(plan)
    weight, drawn = model.get_parameter("first.weight"), by_hand.get_parameter("first.weight")
    bias = model.get_parameter("first.bias")
    assert torch.equal(weight[9:18], -weight[:9])
    assert torch.equal(bias[9:18], -bias[:9])
    assert torch.equal(weight[18:], drawn[18:])
    assert not bias[18:].any()


def test_eps_keeps_directions_of_no_variance_finite(tmp_path: Path) -> None:
    plan = planned("{first: whitening}", tmp_path, convolution("out_channels: 18, kernel_size: 3"))
    black = images()
    black.images.zero_()
    weight = begun(plan, black).get_parameter("first.weight")
    assert weight.isfinite().all()
    assert torch.allclose(weight.flatten(1).norm(dim=1), torch.tensor(1 / math.sqrt(5e-4)))


def test_whitening_of_colours_looks_at_all_channels() -> None:
    data = images(count=50, channels=3, size=9)
    layer = nn.Conv2d(3, 8, (2, 3), stride=2)
    mean, covariance = patch_statistics(layer, data)
    inputs, _ = data.batch(slice(0, 50))
    patches = [
        inputs[image, :, top : top + 2, left : left + 3].flatten()
        for image in range(50)
        for top in range(0, 8, 2)
        for left in range(0, 7, 2)
    ]
    expected = torch.stack(patches).double()
    assert torch.allclose(mean, expected.mean(dim=0))
    assert torch.allclose(covariance, expected.T.cov(correction=0))


def test_patches_are_looked_at_in_parts_and_of_images_spread_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    data = images(count=40, size=8)
    layer = nn.Conv2d(1, 9, 3)
    monkeypatch.setattr("builder.training.initialisation.MAX_PATCHES", 20 * 36 + 1)
    mean, covariance = patch_statistics(layer, data)
    monkeypatch.setattr("builder.training.initialisation.MAX_NUMBERS", 3 * 36 * 9)
    in_parts = patch_statistics(layer, data)
    assert torch.allclose(mean, in_parts[0])
    assert torch.allclose(covariance, in_parts[1])
    every_other = Images(data.images[::2], data.labels[::2], data.mean, data.std)
    assert torch.allclose(mean, patch_statistics(layer, every_other)[0])


def test_whitening_reaches_branches_that_begin_with_the_image(tmp_path: Path) -> None:
    layers = """
  - concat:
      name: stem
      branches:
        - sequential: [conv2d: {out_channels: 4, kernel_size: 3}, relu]
        - conv2d: {name: other, out_channels: 4, kernel_size: 3}
  - adaptive_avg_pool2d: {output_size: 1}
  - flatten
  - linear: {out_features: 10}
"""
    plan = planned("{conv2d: whitening}", tmp_path, layers)
    assert plan.problems == ()
    model = begun(plan)
    left, right = (model.get_parameter(f"stem.{name}.weight") for name in ("sequential_1.conv2d_1", "other"))
    assert torch.equal(left, right)


def test_the_same_seed_begins_alike(tmp_path: Path) -> None:
    plan = planned("{conv2d: orthogonal, first: whitening, linear: trunc_normal}", tmp_path)
    assert same(begun(plan), begun(plan))


def test_the_resolved_spec_begins_alike(tmp_path: Path) -> None:
    plan = planned("{conv2d: orthogonal, first: {whitening: {eps: 1e-3}}, block.layers.group_norm_1: ones}", tmp_path)
    path = tmp_path / "resolved.yaml"
    path.write_text(plan.spec.resolved(), encoding="utf-8")
    again = load_spec(path)
    assert again.require_recipe() == plan.spec.require_recipe()


def test_an_override_changes_one_initialiser(tmp_path: Path) -> None:
    planned("{conv2d: orthogonal}", tmp_path)
    spec = load_spec(tmp_path / "net.yaml", ["training.initialisation.conv2d.orthogonal.gain=3"])
    assert spec.require_recipe().written()["initialisation"] == {"conv2d": {"orthogonal": {"gain": 3.0}}}
