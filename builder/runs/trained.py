"""A finished run taken up again: its network, with the weights that it learned."""

import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from builder.exits import UsageError
from builder.layers.base import shape_text
from builder.model import build_model
from builder.plan import Plan, make_plan
from builder.problems import printable, shown_path
from builder.recipe import PRECISIONS, Dataset, Recipe
from builder.recipe.datasets import FROM_IMAGES
from builder.runs.finding import RESOLVED_FILE, SUMMARY_FILE, WEIGHTS_FILE, find_run, is_file, read_summary
from builder.spec import load_spec

_REPEAT = f"run {RESOLVED_FILE} beside it again"


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """What a finished run left behind."""

    folder: Path
    plan: Plan
    recipe: Recipe
    dataset: Dataset  # the one really used
    mean: Tensor  # float32 (channels, 1, 1), or (1, 1, 1) for all channels
    std: Tensor
    precision: str  # the one that it was computed in
    model: nn.Sequential  # on the CPU, in eval mode


def load_model(run: str | os.PathLike[str]) -> nn.Sequential:
    """The trained network of a run's folder, on the CPU, in eval mode.

    Raises:
        UsageError: there is no such run, it isn't finished, or its weights are damaged or of another network.
        SpecError: its resolved spec has errors.
    """
    folder = find_run(run)
    return _trained(make_plan(load_spec(folder / RESOLVED_FILE)), folder)


def load_run(run: str | os.PathLike[str], runs: Path | None = None) -> TrainedRun:
    """A finished run, from its folder; `latest` is the newest below `runs`. Raises as `load_model` does."""
    folder = find_run(run, runs)
    spec = load_spec(folder / RESOLVED_FILE)
    recipe = spec.require_recipe()
    summary = read_summary(folder)
    if summary is None:
        raise _unfinished(folder, SUMMARY_FILE)
    plan = make_plan(spec)
    mean, std = (_normalisation(recipe.dataset, name, summary, folder) for name in ("mean", "std"))
    dataset = _used_dataset(recipe.dataset, summary, folder)
    precision = _precision(summary, folder)
    return TrainedRun(folder, plan, recipe, dataset, mean, std, precision, _trained(plan, folder))


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a finished run by their names, on the CPU.

    Raises:
        UsageError: the run isn't finished, or the file is damaged or none of ours.
    """
    file = folder / WEIGHTS_FILE
    if not is_file(file):
        raise _unfinished(folder, WEIGHTS_FILE)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{shown_path(file)} can't be read ({error.strerror}); make it readable") from None
    weights = _unpacked(content)
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise UsageError(f"{shown_path(file)} is damaged, or not the weights of a run; {_REPEAT}")
    return weights


def probabilities(scores: Tensor) -> Tensor:
    """The probability of each class, (n, classes), from a network's outputs of this shape.

    Softmax serves raw scores and log-probabilities alike: log_softmax only takes a constant from each row, which
    softmax doesn't see. Rows that are distributions already (a network that ends with softmax) stay as they are.
    """
    are_probabilities = bool((scores >= 0).all()) and torch.allclose(scores.sum(dim=1), torch.ones(len(scores)))
    return scores if are_probabilities else scores.softmax(dim=1)


def _trained(plan: Plan, folder: Path) -> nn.Sequential:
    weights = read_weights(folder)
    with torch.random.fork_rng(devices=[]):  # building draws weights, and the caller's random numbers are the caller's
        model = build_model(plan)
    misfit = _misfit(weights, model.state_dict())
    if misfit:
        raise UsageError(f"{shown_path(folder / WEIGHTS_FILE)} doesn't fit {RESOLVED_FILE} beside it: {misfit}")
    model.load_state_dict(weights)
    return model.eval()


def _misfit(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """The first difference between two state dicts; empty if there is none."""
    for name, tensor in wanted.items():
        if name not in found:
            return f"it has no `{name}`"
        if found[name].shape != tensor.shape:
            return f"its `{name}` is {size_text(found[name])}, where the network has {size_text(tensor)}"
    extra = next((name for name in found if name not in wanted), None)
    return "" if extra is None else f"the network has no `{printable(str(extra))}`"


def size_text(tensor: Tensor) -> str:
    """`8x1x5x5`, or `a number`."""
    return shape_text(tuple(tensor.shape)) or "a number"


def _unpacked(content: bytes) -> Any:
    """What `torch.save` wrote, or None if a bit of it is not as it was."""
    try:
        # torch.load takes flipped bits for weights; the check sums of the ZIP file tell.
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if archive.testzip() is not None:
                return None
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # neither zipfile nor torch says what it raises for damaged files, and it is a dozen things
        return None


def _used_dataset(written: Dataset, summary: Mapping[str, Any], folder: Path) -> Dataset:
    """The data set that the run was trained on: the one written, or its fallback."""
    for dataset in (written, written.fallback_dataset):
        if dataset and dataset.kind == summary.get("dataset"):
            return dataset
    raise UsageError(f"{shown_path(folder / SUMMARY_FILE)} names no data set of {RESOLVED_FILE}; {_REPEAT}")


def _precision(summary: Mapping[str, Any], folder: Path) -> str:
    precision = summary.get("precision")
    if precision not in PRECISIONS:
        raise UsageError(f"{shown_path(folder / SUMMARY_FILE)} has no word for `precision`; {_REPEAT}")
    return str(precision)


def _normalisation(dataset: Dataset, name: str, summary: Mapping[str, Any], folder: Path) -> Tensor:
    """The numbers written for the mean or the deviation, or those that the run computed."""
    written = getattr(dataset, name)
    numbers = summary.get(name) if written == FROM_IMAGES else written
    try:
        return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1)
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(f"{shown_path(folder / SUMMARY_FILE)} has no numbers for `{name}`; {_REPEAT}") from None


def _unfinished(folder: Path, missing: str) -> UsageError:
    hint = f"resume it with: python runner.py --resume {shown_path(folder)}"
    return UsageError(f"the run {shown_path(folder)} is not finished, it has no {missing}; {hint}")
