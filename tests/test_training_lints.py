"""Lints of the recipe, where the specs in `specs/lints` show one case of several."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from builder import Plan, build_model, load_spec, make_plan
from builder.lints import remarks
from builder.problems import Problem
from builder.training.freezing import Frozen
from builder.training.parameter_groups import hidden_matrices

RECIPE: dict[str, Any] = {
    "dataset": "mnist_sample",
    "epochs": 10,
    "batch_size": 50,
    "loss": "cross_entropy",
    "optimizer": {"adam": {"lr": 0.01}},
}
LAYERS = ("flatten", {"linear": {"out_features": 10}})


def planned(folder: Path, layers: tuple[object, ...] = LAYERS, **recipe: Any) -> Plan:
    path = folder / "spec.yaml"
    spec = {"input": [1, 28, 28], "layers": list(layers), "training": RECIPE | recipe}
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    return make_plan(load_spec(path))


def told(folder: Path, layers: tuple[object, ...] = LAYERS, **recipe: Any) -> list[Problem]:
    return remarks(planned(folder, layers, **recipe), advice=True)


# --- schedule-length: ten epochs, of 80 steps where images are kept apart ---


@pytest.mark.parametrize(
    ("scheduler", "message", "hint"),
    [
        (
            {"step": {"step_size": 10}},
            "the learning rate never changes: its first change is due after epoch 10 of 10",
            "write a step_size below 10",
        ),
        (
            {"multi_step": {"milestones": [10, 20]}},
            "the learning rate never changes: it is due after epoch 10 of 10",
            "write milestones below 10",
        ),
        (
            {"multi_step": {"milestones": [5, 12]}},
            "a change never comes: it is due after epoch 12 of 10",
            "write milestones below 10",
        ),
        (
            {"multi_step": {"milestones": [1, 2, 3, 4, 5]}},
            "half way through the run the learning rate is 1e-05 of what it was",
            "write a larger gamma, or fewer milestones, or fewer epochs",
        ),
        (
            {"exponential": {"gamma": 0.1}},
            "half way through the run the learning rate is 1e-05 of what it was",
            "write a larger gamma, or fewer epochs",
        ),
        (
            {"cosine_restarts": {"T_0": 40}},
            "the run ends 10 epochs into a cycle of 40, with 85% of the highest learning rate",
            "let the cycles add up to 10 epochs",
        ),
        (
            {"cosine_restarts": {"T_0": 3, "T_mult": 2}},
            "the run ends 1 epoch into a cycle of 12, with 98% of the highest learning rate",
            "let the cycles add up to 10 epochs",
        ),
        (
            {"step": {"step_size": 800, "interval": "step"}},
            "the learning rate never changes: its first change is due after step 800 of 800",
            "write a step_size below 800",
        ),
        (
            {"step": {"step_size": 10, "interval": "step"}},
            "half way through the run the learning rate is 1e-40 of what it was",
            "write a larger gamma or step_size, or `interval: epoch`",
        ),
        (
            {"multi_step": {"milestones": [500, 2000], "interval": "step"}},
            "a change never comes: it is due after step 2,000 of 800",
            "write milestones below 800",
        ),
        (
            {"exponential": {"gamma": 0.9, "interval": "step"}},
            "half way through the run the learning rate is 5e-19 of what it was",
            "write a larger gamma, or `interval: epoch`",
        ),
        (
            {"cosine_restarts": {"T_0": 3, "interval": "epoch"}},
            "the run ends 1 epoch into a cycle of 3, with 100% of the highest learning rate",
            "let the cycles add up to 10 epochs",
        ),
        (
            {"cosine_restarts": {"T_0": 1, "interval": "epoch"}},
            "the learning rate never changes: it is set anew after each epoch, where a cycle begins",
            "remove `interval: epoch`",
        ),
        (
            {"reduce_on_plateau": {"patience": 8}},
            "the learning rate never changes: a patience of 8 outlasts 10 epochs",
            "write a patience of at most 7",
        ),
    ],
    ids=str,
)
def test_a_schedule_that_does_not_fit_the_run_is_told(
    scheduler: dict[str, Any], message: str, hint: str, tmp_path: Path
) -> None:
    (problem,) = told(tmp_path, scheduler=scheduler, validation={"size": 1000})
    assert (problem.code, problem.message, problem.hint) == ("schedule-length", message, hint)


@pytest.mark.parametrize(
    "scheduler",
    [
        {"step": {"step_size": 9}},
        {"multi_step": {"milestones": [5, 9]}},
        {"exponential": {"gamma": 0.5}},
        {"cosine_restarts": {"T_0": 5}},
        {"cosine_restarts": {"T_0": 2, "T_mult": 4}},
        {"cosine_restarts": {"T_0": 16}},  # 31% of the learning rate
        {"cosine_restarts": {"T_0": 5, "interval": "epoch"}},
        {"cosine_restarts": {"T_0": 2, "interval": "epoch"}},  # 50%
        {"step": {"step_size": 799, "interval": "step"}},
        {"multi_step": {"milestones": [500, 799], "interval": "step"}},
        {"exponential": {"gamma": 0.999, "interval": "step"}},
        {"exponential": {"gamma": 1.1}},
        {"cosine": {"interval": "epoch"}},
        {"reduce_on_plateau": {"patience": 7}},
        "cosine",
        "polynomial",
        {"linear": {"start_factor": 1, "end_factor": 0}},
    ],
    ids=str,
)
def test_a_schedule_that_fits_the_run_is_left_alone(scheduler: Any, tmp_path: Path) -> None:
    assert told(tmp_path, scheduler=scheduler, validation={"size": 1000}) == []


def test_epochs_count_from_where_the_warm_up_ends(tmp_path: Path) -> None:
    scheduler = {"step": {"step_size": 8}}
    assert told(tmp_path, scheduler=scheduler, warmup={"epochs": 1}) == []
    for warmup in ({"epochs": 2}, {"steps": 200}):
        (problem,) = told(tmp_path, scheduler=scheduler, warmup=warmup)
        assert problem.message.endswith("after epoch 8 of 8")
    in_steps = {"step": {"step_size": 850, "interval": "step"}}
    assert told(tmp_path, scheduler=in_steps, warmup={"epochs": 1}) == []
    (problem,) = told(tmp_path, scheduler=in_steps, warmup={"steps": 150})
    assert problem.message.endswith("after step 850 of 850")


def test_a_schedule_in_steps_is_not_judged_where_only_a_run_can_count_them(tmp_path: Path) -> None:
    pictures = {"image_folder": {"path": "pictures", "image": [1, 28, 28], "classes": 10}}
    assert told(tmp_path, dataset=pictures, scheduler={"step": {"step_size": 9999, "interval": "step"}}) == []
    (problem,) = told(tmp_path, dataset=pictures, scheduler={"cosine_restarts": {"T_0": 40}})
    assert problem.code == "schedule-length"


def test_a_learning_rate_that_grows_without_bound_is_no_crash(tmp_path: Path) -> None:
    assert told(tmp_path, scheduler={"exponential": {"gamma": 10}}, epochs=100_000) == []


def test_a_single_epoch_needs_no_schedule_of_epochs(tmp_path: Path) -> None:
    for scheduler in ({"step": {"step_size": 1}}, {"multi_step": {"milestones": [1]}}, "reduce_on_plateau"):
        (problem,) = told(tmp_path, scheduler=scheduler, epochs=1, validation={"size": 1000})
        assert (problem.code, problem.hint) == ("schedule-length", "remove it")


@pytest.mark.parametrize("kind", ["cosine", "polynomial", "linear", "cosine_restarts", "exponential"])
def test_nothing_changes_after_the_only_epoch(kind: str, tmp_path: Path) -> None:
    needed: dict[str, dict[str, Any]] = {
        "linear": {"start_factor": 1, "end_factor": 0},
        "cosine_restarts": {"T_0": 5},
        "exponential": {"gamma": 0.5},
    }
    scheduler = {kind: {**needed.get(kind, {}), "interval": "epoch"}}
    (problem,) = told(tmp_path, scheduler=scheduler, epochs=1)
    assert problem.message.startswith("the learning rate never changes: it is set anew after each epoch")
    assert problem.hint == ("remove it" if kind == "exponential" else "remove `interval: epoch`")
    assert [problem.code for problem in told(tmp_path, scheduler=scheduler, epochs=2, warmup={"epochs": 1})] == [
        "schedule-length"
    ]


# --- batch-larger-than-data: 5,000 images ---


@pytest.mark.parametrize(
    ("batch_size", "accumulated", "field", "message", "hint"),
    [
        (
            1000,
            6,
            "gradient_accumulation",
            "6 batches of 1,000 are more than mnist_sample, which has 5,000 training images: an epoch is one step",
            "write at most 5",
        ),
        (
            6000,
            2,
            "batch_size",
            "`batch_size` (=6,000) is larger than mnist_sample, which has 5,000 training images: an epoch is one step",
            "write at most 5000",
        ),
    ],
)
def test_batches_that_make_one_step_of_all_images_are_told(
    batch_size: int, accumulated: int, field: str, message: str, hint: str, tmp_path: Path
) -> None:
    (problem,) = told(tmp_path, batch_size=batch_size, gradient_accumulation=accumulated)
    assert (problem.code, problem.path) == ("batch-larger-than-data", f"training.{field}")
    assert (problem.message, problem.hint) == (message, hint)


def test_batches_of_as_many_images_as_there_are_are_left_alone(tmp_path: Path) -> None:
    assert told(tmp_path, batch_size=1000, gradient_accumulation=5) == []


# --- overwritten-by-one-cycle ---


@pytest.mark.parametrize(
    ("optimizer", "fields"),
    [
        ({"rmsprop": {"lr": 0.1, "momentum": 0.9}}, ["lr", "momentum"]),
        ({"nadam": {"betas": [0.8, 0.99]}}, ["betas"]),
        ({"muon": {"lr": 0.1, "adamw": {"lr": 0.01}}}, []),  # one_cycle keeps their proportion
        ({"muon": {"momentum": 0.9}}, ["momentum"]),
        ({"sgd": {"lr": 0.1, "momentum": 0.9}}, ["lr", "momentum"]),
        ({"sgd": {"momentum": 0.9, "nesterov": True}}, []),  # which is refused without a momentum
        ("radam", []),
    ],
    ids=str,
)
def test_what_one_cycle_overwrites_is_told(optimizer: Any, fields: list[str], tmp_path: Path) -> None:
    layers = ("flatten", *[{"linear": {"out_features": 10}}, "relu"] * 2, {"linear": {"out_features": 10}})
    found = told(tmp_path, layers, optimizer=optimizer, scheduler={"one_cycle": {"max_lr": 0.1}})
    assert [problem.path.rpartition(".")[2] for problem in found] == fields
    assert {problem.code for problem in found} <= {"overwritten-by-one-cycle"}


# --- muon-without-matrices ---

CONV: dict[str, Any] = {"conv2d": {"out_channels": 4, "kernel_size": 3}}
IN_GROUPS: dict[str, Any] = {"conv2d": {"out_channels": 4, "kernel_size": 3, "groups": 4}}
POINTWISE: dict[str, Any] = {"conv2d": {"out_channels": 4, "kernel_size": 1}}
TRANSPOSED: dict[str, Any] = {"conv_transpose2d": {"out_channels": 4, "kernel_size": 2}}


@pytest.mark.parametrize(
    ("layers", "frozen", "is_idle"),
    [
        ((), [], True),
        ((CONV,), [], True),
        ((CONV, IN_GROUPS), [], True),
        ((CONV, CONV), [], False),
        ((CONV, CONV), ["conv2d_2"], True),
        ((CONV, CONV), ["conv2d_1"], False),
        ((CONV, CONV, CONV), ["conv2d_2"], False),
        ((CONV, {"sequential": [IN_GROUPS, "relu"]}), [], True),
        ((CONV, {"sequential": [IN_GROUPS, POINTWISE]}), [], False),
        ((CONV, {"sequential": [IN_GROUPS, POINTWISE]}), ["sequential_1"], True),
        (({"residual": {"layers": [POINTWISE], "shortcut": [POINTWISE]}},), [], False),
        ((CONV, {"per_pixel": [{"linear": {"out_features": 4}}]}), [], False),
        ((CONV, TRANSPOSED), [], False),
        ((CONV, "batch_norm2d", "prelu"), [], True),
    ],
    ids=str,
)
def test_muon_is_told_to_have_nothing_to_do_where_it_has_not(
    layers: tuple[object, ...], frozen: list[str], is_idle: bool, tmp_path: Path
) -> None:
    plan = planned(tmp_path, (*layers, *LAYERS), optimizer="muon", freeze=frozen)
    model = build_model(plan)
    Frozen(model, frozen)
    assert is_idle != any(weight.requires_grad for weight in hidden_matrices(model))
    assert ("muon-without-matrices" in [problem.code for problem in remarks(plan)]) == is_idle


# --- a loss against the last layer ---


@pytest.mark.parametrize(
    ("loss", "last", "code"),
    [
        ("mse_loss", "softmax", ""),
        ("mse_loss", "sigmoid", ""),
        ("mse_loss", "identity", ""),
        ("mse_loss", "relu", "activation-on-logits"),
        ("mse_loss", "log_softmax", "mse-loss-after-log-softmax"),
        ("focal_loss", "identity", ""),
        ("focal_loss", "softmax", "softmax-before-cross-entropy"),
        ("focal_loss", "log_softmax", "log-softmax-before-cross-entropy"),
        ("focal_loss", "sigmoid", "activation-on-logits"),
        ("nll_loss", "softmax", "nll-loss-without-log-softmax"),
        ("nll_loss", "log_softmax", ""),
    ],
)
def test_a_loss_must_fit_the_last_layer(loss: str, last: str, code: str, tmp_path: Path) -> None:
    found = told(tmp_path, layers=(*LAYERS, last), loss=loss)
    assert [problem.code for problem in found] == ([code] if code else [])
    assert all("cross_entropy" not in problem.message for problem in found)
