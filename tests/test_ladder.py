"""The ladder for learners: numbered in reading order, each rung with its idea and figures in its opening comment."""

import re
from pathlib import Path

import pytest
from openings import opening_of

from builder import load_spec, make_plan

ROOT = Path(__file__).parent.parent
RUNGS = sorted((ROOT / "specs" / "ladder").glob("*.yaml"))
NAMES = [path.stem for path in RUNGS]
RESULTS = (ROOT / "benchmarks" / "results" / "ladder.md").read_text(encoding="utf-8")

TABLE_ROW = re.compile(
    r"\| (?P<name>\w+) \| (?P<params>[\d,]+) \| (?P<macs>[\d,]+) \| (?P<epochs>\d+) \| (?P<seeds>[\d, ]+) "
    r"\| (?P<accuracy>[\d.]+)% \| (?P<spread>[\d.]+|-) \| (?P<seconds>\d+) \|"
)
MEASURED = {found["name"]: found.groupdict() for found in TABLE_ROW.finditer(RESULTS)}


def test_the_rungs_are_numbered_without_gaps() -> None:
    assert [int(name.partition("_")[0]) for name in NAMES] == list(range(1, len(NAMES) + 1))


@pytest.mark.parametrize("path", RUNGS, ids=NAMES)
def test_a_rung_has_no_problems_and_opens_with_its_idea_and_its_parameters(path: Path) -> None:
    plan = make_plan(load_spec(path))
    assert plan.problems == ()
    assert opening_of(path).startswith(f"Rung {path.stem.partition('_')[0]}: ")
    assert f" {plan.params:,} parameters" in opening_of(path)


@pytest.mark.parametrize("path", RUNGS, ids=NAMES)
def test_the_figures_of_a_rung_are_those_of_the_results(path: Path) -> None:
    plan = make_plan(load_spec(path))
    row = MEASURED[path.stem]
    epochs = plan.spec.require_recipe().epochs
    assert (row["params"], row["macs"], row["epochs"]) == (f"{plan.params:,}", f"{plan.macs:,}", str(epochs))
    seeds = row["seeds"].split(", ")
    runs = f"mean of {len(seeds)} seeds, deviation {row['spread']}" if len(seeds) > 1 else f"seed {seeds[0]}"
    assert f"{row['accuracy']}% on MNIST after {epochs} epochs ({runs})" in opening_of(path)
    assert f"{row['seconds']} seconds" in opening_of(path)


def test_a_rung_is_smaller_than_20_000_parameters_and_the_last_one_than_8_000() -> None:
    params = [make_plan(load_spec(path)).params for path in RUNGS]
    assert max(params) < 20_000
    assert params[-1] < 8_000


def test_the_last_rung_reaches_99_4_percent_as_the_mean_of_five_seeds() -> None:
    last = MEASURED[NAMES[-1]]
    assert last["seeds"] == "1, 2, 3, 4, 5"
    assert float(last["accuracy"]) >= 99.4
