"""Budgets: what a network may cost, checked before a run, and what it must reach, checked after it."""

import json
from pathlib import Path

import pytest

import runner
from builder import Plan, SpecError, load_spec, make_plan
from builder.recipe import Budget
from builder.recipe.budget import BudgetError

# 7,850 parameters, 7,840 MACs, a field of 28x28.
SPEC = """\
name: small
input: [1, 28, 28]
layers: [flatten, linear: {out_features: 10}]
training: {dataset: mnist_sample, epochs: 1, batch_size: 500, loss: cross_entropy, optimizer: adam, seed: 1}
"""


def plan_of(budget: str, folder: Path, overrides: tuple[str, ...] = ()) -> Plan:
    path = folder / "small.yaml"
    path.write_text(f"{SPEC}{budget}\n", encoding="utf-8")
    return make_plan(load_spec(path, overrides))


def broken(budget: str, folder: Path, overrides: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """The codes and paths of the problems."""
    with pytest.raises(SpecError) as caught:
        plan_of(budget, folder, overrides)
    assert caught.value.rows
    return [(problem.code, problem.path) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "budget",
    [
        "",
        "budget:",
        "budget: {}",
        "budget: {params: 7850, macs: 7840, receptive_field: 28, accuracy: 1}",
        "budget: {params: null, receptive_field: [28, 1]}",
    ],
)
def test_a_network_within_its_budget_has_no_problem(budget: str, tmp_path: Path) -> None:
    assert plan_of(budget, tmp_path).problems == ()


@pytest.mark.parametrize(
    ("budget", "code", "path"),
    [
        ("{params: 7849}", "over-budget", "budget.params"),
        ("{macs: 7839}", "over-budget", "budget.macs"),
        ("{receptive_field: 29}", "under-budget", "budget.receptive_field"),
        ("{receptive_field: [1, 29]}", "under-budget", "budget.receptive_field"),
    ],
)
def test_each_bound_is_an_error_at_its_value_by_one(budget: str, code: str, path: str, tmp_path: Path) -> None:
    assert broken(f"budget: {budget}", tmp_path) == [(code, path)]


def test_a_bound_can_be_computed_from_variables_and_be_overridden(tmp_path: Path) -> None:
    computed = "variables: {most: 3925}\nbudget: {params: $(2 * most)}"
    assert plan_of(computed, tmp_path).spec.budget == Budget(params=7850)
    assert broken(computed, tmp_path, ("budget.macs=1",)) == [("over-budget", "budget.macs")]


def test_a_budget_survives_in_the_resolved_spec(tmp_path: Path) -> None:
    spec = plan_of("budget: {receptive_field: [28, 20], accuracy: 0.5}", tmp_path).spec
    text = spec.resolved()
    assert "budget: {receptive_field: [28, 20], accuracy: 0.5}\n" in text
    again = tmp_path / "again.yaml"
    again.write_text(text, encoding="utf-8")
    assert load_spec(again).budget == spec.budget


def test_an_accuracy_is_missed_below_its_bound_and_reached_at_it() -> None:
    budget = Budget(accuracy=0.99)
    budget.check_accuracy("net", 0.99)
    Budget().check_accuracy("net", 0.0)
    with pytest.raises(BudgetError, match=r"^net reaches a test accuracy of 98\.99%, and its budget asks for 99\.00%"):
        budget.check_accuracy("net", 0.9899)


def test_a_run_that_misses_its_accuracy_ends_with_status_1_and_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plan_of("budget: {accuracy: 1}", tmp_path)
    assert runner.main(["small.yaml", "--quiet"]) == 1
    shown = capsys.readouterr()
    assert "test accuracy" in shown.out
    assert shown.err.startswith("yamlnet: small reaches a test accuracy of ")
    assert shown.err.endswith("and its budget asks for 100.00%; the run is kept\n")
    summary = json.loads((tmp_path / "runs" / "small" / "1" / "summary.json").read_text(encoding="utf-8"))
    assert 0 < summary["test"]["accuracy"] < 1
    assert runner.main(["small.yaml", "budget.accuracy=0.1", "--quiet"]) == 0


def test_a_run_over_its_budget_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plan_of("budget: {params: 10000}", tmp_path)
    assert runner.main(["small.yaml", "budget.params=100"]) == 1
    assert "error[over-budget]" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
