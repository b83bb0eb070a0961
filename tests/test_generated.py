"""A thousand generated specs: every number of every plan is torch's."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from spec_generator import generated_text, plan_of
from torch_oracle import differences, units

from builder import build_model
from builder.kinds import Kind
from builder.layers import LAYERS
from builder.plan import leaves
from builder.recipe import Dataset, Loss, Optimizer, Scheduler

SEEDS = range(1000)


@cache
def generated() -> list[dict[str, Any]]:
    return [yaml.safe_load(generated_text(seed)) for seed in SEEDS]


def kind_of(choice: Any) -> str:
    return str(choice if isinstance(choice, str) else next(iter(choice)))


pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_generated_spec_is_planned_as_torch_runs_it(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = generated_text(seed)
    plan = plan_of(text, tmp_path_factory.getbasetemp())
    assert differences(plan) == [], f"the spec of seed {seed}:\n{text}"


def test_the_same_seed_generates_the_same_spec() -> None:
    assert generated_text(7) == generated_text(7) != generated_text(8)


def test_every_layer_kind_is_generated() -> None:
    kinds = {kind_of(item) for spec in generated() for item in spec["layers"]}
    assert kinds == set(LAYERS), "add the kind to tests/spec_generator.py"


@pytest.mark.parametrize(
    ("field", "family"),
    [("dataset", Dataset), ("loss", Loss), ("optimizer", Optimizer), ("scheduler", Scheduler)],
)
def test_every_kind_of_the_recipe_is_generated(field: str, family: type[Kind]) -> None:
    recipes = [spec["training"] for spec in generated() if "training" in spec]
    kinds = {kind_of(recipe[field]) for recipe in recipes if recipe.get(field)}
    assert kinds == set(family.table), "add the kind to tests/spec_generator.py"


@pytest.mark.parametrize("seed", SEEDS[:200])
def test_a_generated_spec_resolved_is_the_same_network(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    first = plan_of(generated_text(seed), folder)
    second = plan_of(first.spec.resolved(), folder)
    for plan in (first, second):
        assert plan.spec.resolved() == first.spec.resolved()
    assert [(row.name, row.layer, row.out_shape) for row in leaves(second.rows)] == [
        (row.name, row.layer, row.out_shape) for row in leaves(first.rows)
    ]
    assert (second.name, second.spec.recipe) == (first.name, first.spec.recipe)


def test_most_layers_have_a_unit_that_is_compared_exactly(tmp_path: Path) -> None:
    # Units whose windows saw padding are only compared with the bounds of their field.
    exact = []
    for seed in SEEDS[:100]:
        plan = plan_of(generated_text(seed), tmp_path)
        of_layers = units(build_model(plan), plan.spec.input)
        exact += [any(unit.is_inside for unit in of_layer) for of_layer in of_layers]
    assert sum(exact) > 0.6 * len(exact)
