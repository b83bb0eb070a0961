"""The records: each spec opens with its evidence, and the evidence is the summaries of its runs, all of them."""

import json
import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from openings import opening_of

from builder import load_spec, make_plan

ROOT = Path(__file__).parent.parent
RECORDS = [path for path in sorted((ROOT / "specs" / "records").glob("*.yaml")) if not path.name.startswith("_")]
NAMES = [path.stem for path in RECORDS]
KEPT = ROOT / "benchmarks" / "results" / "records"
PAGE = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")


def runs_of(name: str) -> Mapping[int, Mapping[str, Any]]:
    """The summaries that are kept of a record, by seed."""
    summaries = [json.loads(file.read_text(encoding="utf-8")) for file in KEPT.glob(f"{name}_*.json")]
    return {summary["seed"]: summary for summary in summaries if summary["name"] == name}


@pytest.mark.parametrize("path", RECORDS, ids=NAMES)
def test_a_record_has_no_problems(path: Path) -> None:
    assert make_plan(load_spec(path)).problems == ()


@pytest.mark.parametrize("path", RECORDS, ids=NAMES)
def test_a_record_is_the_mean_of_the_first_seeds_none_left_out(path: Path) -> None:
    runs = runs_of(path.stem)
    assert sorted(runs) == list(range(1, len(runs) + 1))
    assert len(runs) >= 3


@pytest.mark.parametrize("path", RECORDS, ids=NAMES)
def test_the_runs_of_a_record_are_of_its_spec_on_all_of_mnist_to_the_last_epoch(path: Path) -> None:
    plan = make_plan(load_spec(path))
    for summary in runs_of(path.stem).values():
        assert (summary["params"], summary["macs"]) == (plan.params, plan.macs)
        assert summary["epochs"] == plan.spec.require_recipe().epochs
        assert (summary["dataset"], summary["fallback_used"], summary["stopped_early"]) == ("mnist", False, False)
        assert summary["test"]["total"] == 10_000


@pytest.mark.parametrize("path", RECORDS, ids=NAMES)
def test_a_record_opens_with_its_evidence_and_the_page_has_it_too(path: Path) -> None:
    runs = runs_of(path.stem).values()
    accuracies = [100 * summary["test"]["accuracy"] for summary in runs]
    mean, spread = statistics.mean(accuracies), statistics.stdev(accuracies)
    seconds = statistics.mean(summary["train_seconds"] for summary in runs)
    first, *_ = runs
    epochs = "one epoch" if first["epochs"] == 1 else f"{first['epochs']} epochs"
    opening = opening_of(path)
    assert f"{first['params']:,} parameters" in opening
    assert f"{mean:.2f}% on MNIST after {epochs} (mean of {len(runs)} seeds, deviation {spread:.2f})" in opening
    where = "one thread" if first["threads"] == 1 else "two cores"
    assert re.search(rf" {seconds:.0f} seconds on {where} of an? (busy )?[A-Z]", opening)  # a processor by its name
    assert (
        f"| {first['params']:,} | {first['epochs']} | {len(runs)} | {mean:.2f}% | {spread:.2f} | {seconds:.0f} |"
        in PAGE
    )


def test_every_summary_that_is_kept_belongs_to_a_record() -> None:
    names = {json.loads(file.read_text(encoding="utf-8"))["name"] for file in KEPT.iterdir()}
    assert names == set(NAMES)
