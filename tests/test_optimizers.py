"""Optimizers: torch's own, with torch's defaults, step by step; muon beside torch's, which takes no convolutions."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn, optim
from training_contract import (
    OPTIMIZERS,
    OTHER_VALUES,
    Run,
    are_equal,
    network,
    raises,
    recipe,
    take_step,
    weights,
)

from builder.kinds import Kind, parameters
from builder.muon import Muon, orthogonal
from builder.recipe import Optimizer
from builder.training.parameter_groups import hidden_matrices, parameter_groups

# What the engine decides, and not the recipe.
ENGINE = {"params", "foreach", "fused", "capturable", "differentiable"}
TORCHS = [kind for kind in OPTIMIZERS if kind != "muon"]


def test_every_optimizer_is_compared() -> None:
    assert set(OPTIMIZERS) == set(OTHER_VALUES) == set(Optimizer.table), "add it to tests/training_contract.py"


def signature_defaults(cls: Callable[..., object], left_out: set[str]) -> dict[str, Any]:
    given = inspect.signature(cls).parameters.values()
    return {item.name: item.default for item in given if item.name not in left_out}


def own_defaults(cls: type[Kind]) -> dict[str, Any]:
    return {
        item.name: inspect.Parameter.empty if item.required else item.type.canonical(item.default)
        for item in parameters(cls)
    }


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimizer_takes_torchs_parameters_with_torchs_defaults(kind: str) -> None:
    ours = own_defaults(Optimizer.table[kind])
    if kind == "muon":
        assert ours.pop("adamw") == Optimizer.table["adamw"].read({})
    assert ours == signature_defaults(OPTIMIZERS[kind], ENGINE)


@pytest.mark.parametrize("kind", TORCHS)
def test_an_optimizer_without_parameters_is_torchs(kind: str) -> None:
    ours = Optimizer.table[kind].read({}).optimizer(weights())
    assert type(ours) is OPTIMIZERS[kind]
    assert ours.defaults == OPTIMIZERS[kind](weights()).defaults


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimizer_holds_what_is_written(kind: str) -> None:
    written = OTHER_VALUES[kind]
    optimizer = Optimizer.table[kind].read(written)
    (group,) = optimizer.optimizer(weights()).param_groups
    assert set(written) == set(own_defaults(Optimizer.table[kind]))
    assert optimizer.written() == written
    # AdamW decouples by being what it is.
    settings = {name: value for name, value in written.items() if name != "adamw"}
    assert {name: list(group[name]) if isinstance(group[name], tuple) else group[name] for name in settings} == settings


@pytest.mark.parametrize("values", ["default", "other"])
@pytest.mark.parametrize("kind", TORCHS)
def test_twenty_steps_are_torchs_to_the_last_bit(kind: str, values: str) -> None:
    written = {} if values == "default" else OTHER_VALUES[kind]
    ours = Run(recipe(optimizer={kind: written}))
    ours.take(20)
    model = network()
    torchs = OPTIMIZERS[kind](model.parameters(), **written)
    for step in range(20):
        take_step(model, torchs, step)
    assert are_equal(ours.model, model)
    assert not are_equal(model, network())


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_run_that_was_kept_half_way_goes_on_to_the_same_bits(kind: str) -> None:
    groups = {"decay_norms_and_biases": False, "bias_lr_factor": 2, "lr_factors": {"3": 0.5}}
    written = recipe(
        optimizer={kind: OTHER_VALUES[kind]},
        parameter_groups=groups,
        warmup={"epochs": 0.5},
        scheduler={"polynomial": {"power": 0.5}},
    )
    whole = Run(written)
    whole.take(20)
    kept = whole.kept()
    whole.take(20)
    resumed = Run(written)
    resumed.go_on_from(kept)
    resumed.take(20)
    assert are_equal(resumed.model, whole.model)
    assert torch.isfinite(torch.cat([values.flatten() for values in whole.model.state_dict().values()])).all()


# --- nesterov ---


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize("dampening", [0, 0.1, -0.1])
def test_nesterov_is_refused_where_torch_refuses_it(nesterov: bool, momentum: float, dampening: float) -> None:
    written = {"nesterov": nesterov, "momentum": momentum, "dampening": dampening}
    sgd = Optimizer.table["sgd"].read(written)
    refused = any(misfit.severity == "error" for misfit in sgd.rules())
    assert refused == raises(lambda: sgd.optimizer(weights()), ValueError)


# --- muon ---


@pytest.mark.parametrize("adjust_lr_fn", [None, "original", "match_rms_adamw", "spectral_unclamped"])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("shape", [(8, 5), (4, 9), (6, 6)], ids=str)
def test_muon_on_a_matrix_is_torchs(shape: tuple[int, int], nesterov: bool, adjust_lr_fn: str | None) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    ours, torchs = nn.Parameter(values.clone()), nn.Parameter(values.clone())
    written: dict[str, Any] = {"lr": 0.02, "nesterov": nesterov, "adjust_lr_fn": adjust_lr_fn}
    pair = Optimizer.table["muon"].read(written).optimizer([ours]), optim.Muon([torchs], **written)
    generator = torch.Generator().manual_seed(2)
    for _ in range(20):
        ours.grad = torch.randn(shape, generator=generator)
        torchs.grad = ours.grad.clone()
        for optimizer in pair:
            optimizer.step()
    assert torch.equal(ours, torchs)


def test_muon_trains_hidden_matrices_and_adamw_the_rest() -> None:
    written = {"lr": 0.02, "adamw": {"lr": 0.003, "weight_decay": 0.1}}
    ours = Run(recipe(optimizer={"muon": written}))
    assert isinstance(ours.optimizer, Muon)
    ours.take(20)
    model = network()
    kernels, matrix = list(hidden_matrices(model))
    assert [tuple(kernels.shape), tuple(matrix.shape)] == [(6, 4, 3, 3), (8, 24)]
    as_matrix = nn.Parameter(kernels.detach().flatten(1))  # the same numbers in memory
    muon = optim.Muon([as_matrix, matrix], lr=0.02)
    rest = [parameter for parameter in model.parameters() if parameter is not kernels and parameter is not matrix]
    adamw = optim.AdamW(rest, lr=0.003, weight_decay=0.1)
    for step in range(20):
        model.zero_grad()
        take_step(model, adamw, step)
        assert kernels.grad is not None
        as_matrix.grad = kernels.grad.flatten(1)
        muon.step()
    assert are_equal(ours.model, model)


def test_muon_leaves_first_and_last_layers_and_kernels_in_groups_to_adamw() -> None:
    layers = [nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 6, 1), nn.Linear(6, 3)]
    assert [id(weight) for weight in hidden_matrices(nn.Sequential(*layers))] == [id(layers[2].weight)]
    assert list(hidden_matrices(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)))) == []


def test_muon_without_a_hidden_matrix_is_adamw() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(72, 3))
    start = model.state_dict()["1.weight"].clone()
    optimizer = Optimizer.table["muon"].read({}).optimizer(parameter_groups(model, recipe(optimizer="muon")))
    take_step(model, optimizer, 0)
    assert not torch.equal(model.state_dict()["1.weight"], start)


@pytest.mark.parametrize("shape", [(5, 40), (40, 5), (16, 16)], ids=str)
def test_an_orthogonal_step_has_singular_values_around_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = torch.linalg.svdvals(orthogonal(matrix, (3.4445, -4.775, 2.0315), 5, 1e-7).float())
    assert 0.3 < found.min() <= found.max() < 1.6


def test_a_learning_rate_of_adamw_inside_of_muon_is_looked_at() -> None:
    (misfit,) = Optimizer.table["muon"].read({"adamw": {"lr": 0}}).rules()
    assert (misfit.code, misfit.field, misfit.severity) == ("learns-nothing", "adamw.lr", "warning")
