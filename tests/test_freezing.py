"""Layers that keep still: their weights to the last bit, and what their norms have counted."""

from pathlib import Path

import pytest
import torch
from torch import nn

import runner
from builder import SpecError, build_model, load_spec, make_plan
from builder.plan import Plan
from builder.problems import Problem
from builder.training.freezing import Frozen

SPEC = """
input: [1, 12, 12]
layers:
  - conv2d: {name: stem, out_channels: 4, kernel_size: 3}
  - batch_norm2d: {name: bn}
  - relu
  - residual:
      name: block
      layers: [conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, batch_norm2d, dropout]
  - layer_scale: {name: scale, init: 0.5, layers: [conv2d: {out_channels: 4, kernel_size: 1}]}
  - adaptive_avg_pool2d: {output_size: 1}
  - flatten
  - linear: {name: fc, out_features: 3}
training:
  dataset: {synthetic: {image: [1, 12, 12], num_classes: 3, train_size: 96, test_size: 30}}
  epochs: 2
  batch_size: 32
  loss: cross_entropy
  optimizer: {sgd: {lr: 0.1, momentum: 0.9, weight_decay: 0.1}}
"""


def written(folder: Path, freeze: str) -> Path:
    path = folder / "net.yaml"
    path.write_text(f"{SPEC}  freeze: {freeze}\n", encoding="utf-8")
    return path


def planned(folder: Path, freeze: str) -> Plan:
    return make_plan(load_spec(written(folder, freeze)))


def still(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


def counting(model: nn.Module) -> set[str]:
    """The norms that change what they have counted."""
    return {name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d) and module.training}


@pytest.mark.parametrize(
    ("names", "frozen"),
    [
        (["stem"], {"stem.weight", "stem.bias"}),
        (["stem", "bn"], {"stem.weight", "stem.bias", "bn.weight", "bn.bias"}),
        (["block.layers.conv2d_1"], {"block.layers.conv2d_1.weight", "block.layers.conv2d_1.bias"}),
        (
            ["block"],
            {f"block.layers.{name}" for name in ("conv2d_1.weight", "conv2d_1.bias")}
            | {"block.layers.batch_norm2d_1.weight", "block.layers.batch_norm2d_1.bias"},
        ),
        (["scale"], {"scale.layer_scale", "scale.layers.conv2d_1.weight", "scale.layers.conv2d_1.bias"}),
        ([], set()),
    ],
)
def test_a_name_freezes_its_layer_and_all_inside_of_it(names: list[str], frozen: set[str], tmp_path: Path) -> None:
    model = build_model(planned(tmp_path, "[]"))
    Frozen(model, names)
    assert still(model) == frozen


def test_frozen_norms_stay_as_in_testing_and_others_learn_again(tmp_path: Path) -> None:
    model = build_model(planned(tmp_path, "[]"))
    frozen = Frozen(model, ["block"])
    for _ in range(2):
        model.eval()
        model.train()
        frozen.keep_still()
        assert counting(model) == {"bn"}
    # What has nothing to keep goes on as in training.
    assert all(module.training for module in model.modules() if isinstance(module, nn.Dropout))


def test_frozen_layers_are_equal_to_the_last_bit_after_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "[stem, bn, block]")
    monkeypatch.chdir(tmp_path)
    assert runner.main([str(path), "--quiet"]) == 0
    torch.manual_seed(0)
    before = build_model(make_plan(load_spec(path))).state_dict()
    after = torch.load(tmp_path / "runs" / "net" / "1" / "weights.pt", weights_only=True)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {
        f"{layer}.{name}" for layer in ("scale.layers.conv2d_1", "fc") for name in ("weight", "bias")
    } | {"scale.layer_scale"}


def test_without_freezing_every_tensor_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test above would miss if a run changed nothing."""
    path = written(tmp_path, "[]")
    monkeypatch.chdir(tmp_path)
    assert runner.main([str(path), "--quiet"]) == 0
    torch.manual_seed(0)
    before = build_model(make_plan(load_spec(path))).state_dict()
    after = torch.load(tmp_path / "runs" / "net" / "1" / "weights.pt", weights_only=True)
    assert [name for name in before if torch.equal(before[name], after[name])] == []


ALL = "[stem, bn, block, scale, fc]"


def test_a_run_that_learns_nothing_is_warned_of_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, ALL)
    monkeypatch.chdir(tmp_path)
    assert runner.main([str(path)]) == 0
    assert "warning[learns-nothing]" in capsys.readouterr().err


def problems(folder: Path, freeze: str) -> list[tuple[str, str]]:
    found: tuple[Problem, ...]
    try:
        found = planned(folder, freeze).problems
    except SpecError as error:
        found = error.problems
    return [(problem.code, problem.path) for problem in found]


@pytest.mark.parametrize(
    ("freeze", "found"),
    [
        (ALL, [("learns-nothing", "training.freeze")]),
        ("[stem, bn, block, scale.layers, fc]", []),  # the factors of `scale` still learn
        ("[stem, bn, block.layers, scale, fc]", [("learns-nothing", "training.freeze")]),
        ("[stem, bn, block.layers.conv2d_1, scale, fc]", []),
        ("[block.layers.dropout_1]", [("without-effect", "training.freeze[0]")]),
        ("[conv1, stem]", [("unknown-layer", "training.freeze[0]")]),
        ("[stem, layers]", [("unknown-layer", "training.freeze[1]")]),
        ("[stem, 'block.layers.']", [("wrong-value", "training.freeze[1]")]),
    ],
)
def test_what_is_frozen_is_checked_without_torch(freeze: str, found: list[tuple[str, str]], tmp_path: Path) -> None:
    assert problems(tmp_path, freeze) == found


def test_names_may_come_from_a_variable(tmp_path: Path) -> None:
    path = written(tmp_path, "$still")
    path.write_text(path.read_text(encoding="utf-8") + "variables: {still: [stem, block.layers]}\n", encoding="utf-8")
    assert load_spec(path).require_recipe().freeze == ("stem", "block.layers")


# --- batches of one image, which has one value per channel ---

NORM = """
input: [1, 2, 2]
layers:
  - adaptive_avg_pool2d: {{output_size: 1}}
  - residual: {{name: block, layers: [batch_norm2d: {{name: bn, track_running_stats: {tracks}}}]}}
  - flatten
  - linear: {{out_features: 2}}
training:
  dataset: {{synthetic: {{image: [1, 2, 2], num_classes: 2}}}}
  epochs: 1
  batch_size: 1
  loss: cross_entropy
  optimizer: adam
  freeze: {freeze}
"""


@pytest.mark.parametrize(
    ("freeze", "tracks", "is_refused"),
    [
        ("[]", "true", True),
        ("[linear_1]", "true", True),
        ("[block]", "true", False),
        ("[block.layers.bn]", "true", False),
        ("[block]", "false", True),
    ],
)
def test_one_value_is_enough_for_a_norm_that_uses_what_it_has_counted(
    freeze: str, tracks: str, is_refused: bool, tmp_path: Path
) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(NORM.format(freeze=freeze, tracks=tracks), encoding="utf-8")
    try:
        codes = {problem.code for problem in make_plan(load_spec(path)).problems}
    except SpecError as error:
        codes = {problem.code for problem in error.problems}
    assert ("batch-of-one" in codes) == is_refused
    spec = path.read_text(encoding="utf-8").replace("batch_size: 1", "batch_size: 2")
    path.write_text(spec, encoding="utf-8")
    plan = make_plan(load_spec(path))
    model = build_model(plan)
    frozen = Frozen(model, plan.spec.require_recipe().freeze)
    model.train()
    frozen.keep_still()
    image = torch.zeros(1, 1, 2, 2)
    if is_refused:
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            model(image)
    else:
        assert model(image).shape == (1, 2)
