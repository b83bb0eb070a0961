"""Groups of parameters: what each is trained with, against groups made by hand, and names that lead to layers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from training_contract import Run, are_equal, grouped, lrs, network, recipe, take_step

from builder import SpecError, build_model, load_spec, make_plan
from builder.plan.named_layers import by_name
from builder.problems import Problem
from builder.recipe.parameter_groups import ParameterGroups
from builder.training.parameter_groups import parameter_groups

NORMS_AND_BIASES = ["0.bias", "1.weight", "1.bias", "3.bias", "5.bias", "7.bias"]
WEIGHTS = ["0.weight", "3.weight", "5.weight", "7.weight"]


def groups_of(model: nn.Module | None = None, **changes: Any) -> list[dict[str, Any]]:
    model = model or network()
    return grouped(parameter_groups(model, recipe(**changes)), model)


def test_without_a_word_there_is_a_single_plain_group() -> None:
    assert groups_of() == [{"params": [name for name, _ in network().named_parameters()]}]
    assert groups_of(parameter_groups={"bias_lr_factor": 1, "lr_factors": {}}) == groups_of()


def test_norms_and_biases_may_be_spared_the_weight_decay() -> None:
    optimizer = {"adamw": {"lr": 0.01, "weight_decay": 0.1}}
    decayed, spared = groups_of(optimizer=optimizer, parameter_groups={"decay_norms_and_biases": False})
    assert decayed == {"lr": 0.01, "lr_factor": 1.0, "weight_decay": 0.1, "params": WEIGHTS}
    assert spared == {"lr": 0.01, "lr_factor": 1.0, "weight_decay": 0.0, "params": NORMS_AND_BIASES}


def test_slopes_and_scales_count_as_norms() -> None:
    model = nn.Sequential(
        nn.Linear(2, 3), nn.PReLU(), nn.LayerNorm((3,)), nn.GroupNorm(1, 3), nn.ConvTranspose2d(3, 1, 2)
    )
    decayed, _ = groups_of(model, optimizer="adamw", parameter_groups={"decay_norms_and_biases": False})
    assert decayed["params"] == ["0.weight", "4.weight"]


def test_biases_may_learn_faster() -> None:
    others, biases = groups_of(optimizer={"sgd": {"lr": 0.1}}, parameter_groups={"bias_lr_factor": 2})
    assert (others["lr"], biases["lr"], biases["lr_factor"]) == (0.1, 0.2, 2.0)
    assert biases["params"] == ["0.bias", "1.bias", "3.bias", "5.bias", "7.bias"]


def test_factors_of_layers_and_biases_multiply() -> None:
    factors = {"bias_lr_factor": 2, "lr_factors": {"0": 0.1, "7": 3}}
    found = groups_of(optimizer={"sgd": {"lr": 1}}, parameter_groups=factors)
    assert {name: group["lr"] for group in found for name in group["params"]} == {
        **{"0.weight": 0.1, "0.bias": 0.2, "7.weight": 3, "7.bias": 6},
        **dict.fromkeys(("1.weight", "3.weight", "5.weight"), 1),
        **dict.fromkeys(("1.bias", "3.bias", "5.bias"), 2),
    }
    assert found[0]["lr_factor"] == 1  # the first tells the run's learning rate


def test_the_name_nearest_to_a_layer_decides() -> None:
    groups = ParameterGroups.read({"lr_factors": {"block": 0.5, "block.conv": 0.1, "blo": 9, "block.conv.x": 9}})
    factors = {name: groups.factor_of(name) for name in ("block", "block.conv", "block.conv2", "block.norm.a", "other")}
    assert factors == {"block": 0.5, "block.conv": 0.1, "block.conv2": 0.5, "block.norm.a": 0.5, "other": 1.0}


def test_parameters_that_keep_still_are_in_no_group() -> None:
    model = network()
    model[0].requires_grad_(False)
    for changes in ({}, {"parameter_groups": {"bias_lr_factor": 2}}, {"optimizer": "muon"}):
        names = [name for group in groups_of(model, **changes) for name in group["params"]]
        assert sorted(names) == sorted({*NORMS_AND_BIASES, *WEIGHTS} - {"0.weight", "0.bias"})


def test_nothing_to_learn_is_no_crash() -> None:
    model = nn.Sequential(nn.Flatten())
    for optimizer in ("sgd", "muon"):
        spec = recipe(optimizer=optimizer)
        groups = parameter_groups(model, spec)
        assert [group["params"] for group in groups] == [[]]
        spec.optimizer.optimizer(groups).step()


def test_a_run_with_groups_is_the_one_made_by_hand() -> None:
    written = recipe(
        optimizer={"sgd": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}},
        parameter_groups={"decay_norms_and_biases": False, "bias_lr_factor": 2},
        scheduler="cosine",
    )
    ours = Run(written)
    ours.take(20)
    model = network()
    named = dict(model.named_parameters())
    groups: list[dict[str, Any]] = [
        {"params": [named[name] for name in WEIGHTS], "weight_decay": 0.01},
        {"params": [named["1.weight"]]},
        {"params": [named[name] for name in NORMS_AND_BIASES if name != "1.weight"], "lr": 0.2},
    ]
    by_hand = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(by_hand, T_max=40)
    for step in range(20):
        take_step(model, by_hand, step)
        scheduler.step()
    assert are_equal(ours.model, model)


def test_a_warm_up_warms_every_group() -> None:
    run = Run(recipe(optimizer={"sgd": {"lr": 0.1}}, parameter_groups={"bias_lr_factor": 2}, warmup={"epochs": 1}))
    found = list(lrs(run, 11))
    assert found[0] == pytest.approx([0.001, 0.002])
    assert found[10] == [0.1, 0.2]
    assert all(biases == pytest.approx(2 * others) for others, biases in found)


def test_muon_spares_what_adamw_trains() -> None:
    optimizer = {"muon": {"lr": 0.02, "weight_decay": 0.2, "adamw": {"lr": 0.01, "weight_decay": 0.1}}}
    first, *rest = groups_of(optimizer=optimizer, parameter_groups={"decay_norms_and_biases": False})
    assert first == {"lr": 0.02, "lr_factor": 1.0, "weight_decay": 0.2, "params": ["3.weight", "5.weight"]}
    assert [(group["weight_decay"], group["params"]) for group in rest] == [
        (0.1, ["0.weight", "7.weight"]),
        (0.0, NORMS_AND_BIASES),
    ]
    assert all(group["by_adamw"] and group["lr"] == 0.01 and group["lr_factor"] == 0.5 for group in rest)


# --- what check says ---

LAYERS = """\
input: [1, 28, 28]
blocks:
  Block: [conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, batch_norm2d]
layers:
  - conv2d: {name: stem, out_channels: 4, kernel_size: 3}
  - residual: {name: body, layers: [Block, relu, repeat: {times: 2, layers: [Block]}]}
  - flatten
  - linear: {out_features: 10}
training:
  dataset: mnist
  epochs: 1
  batch_size: 60
  loss: cross_entropy
  optimizer: {sgd: {lr: 0.1}}
  parameter_groups: {lr_factors: """


def problems(factors: str, folder: Path) -> list[Problem]:
    path = folder / "spec.yaml"
    path.write_text(LAYERS + factors + "}\n", encoding="utf-8")
    try:
        return list(make_plan(load_spec(path)).problems)
    except SpecError as error:
        return list(error.problems)


def test_names_of_the_plan_are_those_of_torch(tmp_path: Path) -> None:
    assert problems("{}", tmp_path) == []
    plan = make_plan(load_spec(tmp_path / "spec.yaml"))
    names = {name for name, _ in build_model(plan).named_modules() if name}
    assert {name for name, _ in by_name(plan.rows)} == names
    assert "body.layers.repeat_1.1.conv2d_1" in names


def test_layers_inside_of_others_have_a_factor_of_their_own(tmp_path: Path) -> None:
    factors = "{stem: 2, body: 3, body.layers.Block_1: 4, body.layers.repeat_1.1.conv2d_1: 5}"
    assert problems(factors, tmp_path) == []
    spec = load_spec(tmp_path / "spec.yaml")
    model = build_model(make_plan(spec))
    groups = grouped(parameter_groups(model, spec.require_recipe()), model)
    found = {name: group["lr_factor"] for group in groups for name in group["params"]}
    assert (found["stem.weight"], found["linear_1.weight"]) == (2, 1)
    assert found["body.layers.Block_1.conv2d_1.weight"] == 4
    assert found["body.layers.repeat_1.0.conv2d_1.weight"] == 3
    assert found["body.layers.repeat_1.1.conv2d_1.weight"] == 5


@pytest.mark.parametrize(
    ("name", "code", "hint"),
    [
        ("stemm", "unknown-layer", "did you mean `stem`?"),
        ("Block_1", "unknown-layer", "write the names that lead to it: `body.layers.Block_1`"),
        ("flatten_1", "without-effect", "remove it"),
        ("body.layers.relu_1", "without-effect", "remove it"),
    ],
)
def test_a_name_of_no_layer_that_learns_is_told_at_its_key(name: str, code: str, hint: str, tmp_path: Path) -> None:
    (problem,) = problems(f"{{{name}: 2}}", tmp_path)
    assert problem.code == code
    assert problem.hint.startswith(hint)
    assert (problem.place.line, problem.place.column) == (15, 35)
    assert problem.place.end_column - problem.place.column == len(name)
    assert problem.path == f"training.parameter_groups.lr_factors.{name}"
