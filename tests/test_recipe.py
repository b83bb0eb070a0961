"""The recipe as a whole: rules between its parts, and what is written out reads the same."""

from typing import Any

import pytest
import torch
from training_contract import REQUIRED

from builder.kinds import Kind
from builder.recipe import Dataset, Loss, Optimizer, Recipe, Scheduler


def recipe(**changes: Any) -> Recipe:
    written = {"dataset": "mnist", "epochs": 2, "batch_size": 100, "loss": "nll_loss", "optimizer": "adam"}
    return Recipe.read(written | changes)


def told(**changes: Any) -> list[tuple[str, str]]:
    """The codes and places of what the rules of a recipe say."""
    return [(misfit.code, misfit.field) for misfit in recipe(**changes).rules()]


# --- lengths ---


@pytest.mark.parametrize(
    ("dataset", "pct_start", "is_refused"),
    [
        ("mnist", 1 / 1200, True),
        ("mnist", 1 / 100, False),
        ({"mnist": {"fallback": "mnist_sample"}}, 1 / 100, True),  # the sample has 100 steps
        ({"mnist": {"fallback": "mnist_sample"}}, 0.3, False),
        ("mnist_sample", 1 / 100, True),
    ],
)
def test_a_schedule_must_fit_every_data_set_that_may_be_used(dataset: Any, pct_start: float, is_refused: bool) -> None:
    scheduler = {"one_cycle": {"max_lr": 0.1, "pct_start": pct_start}}
    expected = [("climb-of-one-step", "scheduler.one_cycle.pct_start")] if is_refused else []
    assert told(dataset=dataset, scheduler=scheduler) == expected


def test_a_schedule_must_fit_what_the_warm_up_leaves() -> None:
    scheduler = {"one_cycle": {"max_lr": 0.1, "pct_start": 1 / 600}}
    assert told(scheduler=scheduler) == []
    assert told(scheduler=scheduler, warmup={"epochs": 1}) == [("climb-of-one-step", "scheduler.one_cycle.pct_start")]


def test_a_warm_up_must_fit_every_data_set_that_may_be_used() -> None:
    dataset = {"mnist": {"fallback": "mnist_sample"}}  # 1,200 or 100 steps
    assert told(dataset=dataset, warmup={"steps": 99}) == []
    assert told(dataset=dataset, warmup={"steps": 100}) == [("warmup-too-long", "warmup.steps")]
    assert told(dataset="mnist", warmup={"steps": 1199}) == []
    assert told(dataset="mnist", warmup={"epochs": 2}) == [("warmup-too-long", "warmup.epochs")]


@pytest.mark.parametrize(("batch_size", "steps"), [(100, 600), (128, 469), (60_000, 1), (70_000, 1), (1, 60_000)])
def test_an_epoch_has_as_many_steps_as_batches(batch_size: int, steps: int) -> None:
    assert recipe(batch_size=batch_size).steps_per_epoch(60_000) == steps
    assert steps == len(torch.arange(60_000).split(batch_size))


# --- what a choice needs ---


def test_what_looks_at_validation_images_needs_some() -> None:
    written: dict[str, Any] = {"scheduler": "reduce_on_plateau", "early_stopping": {"patience": 3}, "epochs": 9}
    assert told(**written) == [
        ("needs-validation", "early_stopping"),
        ("needs-validation", "scheduler.reduce_on_plateau"),
    ]
    assert told(**written, validation={"size": 5000}) == []


@pytest.mark.parametrize(
    ("dataset", "size"),
    [
        ("mnist", 6000),
        ({"mnist": {"fallback": "mnist_sample"}}, 500),
        ("mnist_sample", 500),
        ({"mnist_sample": {"train_size": 200}}, 20),
        ("synthetic", 100),
        ({"synthetic": {"train_size": 5}}, 1),
    ],
    ids=str,
)
def test_the_validation_that_is_suggested_is_none_too_large(dataset: Any, size: int) -> None:
    written = {"dataset": dataset, "early_stopping": {"patience": 3}, "epochs": 9}
    (misfit,) = recipe(**written).rules()
    assert f"`validation: {{size: {size}}}`" in misfit.hint
    assert told(**written, validation={"size": size}) == []


@pytest.mark.parametrize(("patience", "epochs", "hint"), [(1, 2, "remove it"), (9, 10, "write at most 8"), (8, 10, "")])
def test_a_patience_that_outlasts_the_run_is_told(patience: int, epochs: int, hint: str) -> None:
    """The first epoch can't be worse than one before it, and behind the last there is nothing to end."""
    run = recipe(early_stopping={"patience": patience}, epochs=epochs, validation={"size": 5000})
    found = [(misfit.code, misfit.hint, misfit.severity) for misfit in run.rules()]
    assert found == ([("without-effect", hint, "warning")] if hint else [])


def test_to_spare_norms_a_weight_decay_of_nothing_is_told() -> None:
    groups = {"decay_norms_and_biases": False}
    without_effect = [("without-effect", "parameter_groups.decay_norms_and_biases")]
    assert told(optimizer="sgd", parameter_groups=groups) == without_effect
    assert told(optimizer={"muon": {"adamw": {"weight_decay": 0}}}, parameter_groups=groups) == without_effect
    for optimizer in ("adamw", {"sgd": {"weight_decay": 0.1}}, {"muon": {"weight_decay": 0}}):
        assert told(optimizer=optimizer, parameter_groups=groups) == []


# --- written out ---


@pytest.mark.parametrize("family", [Dataset, Loss, Optimizer, Scheduler], ids=lambda family: str(family.family))
def test_what_is_written_out_reads_the_same(family: type[Kind]) -> None:
    required = REQUIRED | {
        "image_folder": {"path": "pictures", "image": [1, 28, 28], "classes": 3},
        "emnist": {"split": "digits"},
    }
    for kind, cls in family.table.items():
        first = cls.read(required.get(kind, {}))
        assert cls.read(first.written()) == first


def test_a_recipe_written_out_reads_the_same() -> None:
    first = recipe(
        dataset={"mnist": {"fallback": "mnist_sample"}},
        scheduler={"multi_step": {"milestones": [3, 5]}},
        warmup={"epochs": 0.5},
        optimizer={"muon": {"adamw": {"lr": 0.1}}},
        loss={"cross_entropy": {"weight": [1, 2, 1, 1, 1, 1, 1, 1, 1, 1]}},
        parameter_groups={"bias_lr_factor": 2, "lr_factors": {"conv1": 0.1}},
        seed=3,
    )
    assert Recipe.read(first.written()) == first
    assert Recipe.read(first.changed(scheduler=None).written()).scheduler is None
