"""Putting a run back to where it was stopped."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from builder.exits import ResumeError, say
from builder.problems import shown_path
from builder.recipe import Recipe
from builder.recipe.datasets import Dataset
from builder.runs.checkpoints import Checkpoint
from builder.runs.directory import RunDirectory
from builder.runs.finding import METRICS_FILE
from builder.training.environment import changes, environment
from builder.training.session import Session


def last_checkpoint(directory: RunDirectory, file: Path | None) -> Checkpoint | None:
    """The newest one that is whole, or the one in this file; None if the run has not come to its first.

    Says which were passed over, and why.

    Raises:
        ResumeError: there are some, and none is whole.
    """
    checkpoint = directory.checkpoints.load(file) if file else directory.checkpoints.latest()
    directory.sweep()
    for sentence in checkpoint.skipped if checkpoint else ():
        say(f"{sentence}; going on from an older checkpoint")
    return checkpoint


def dataset_so_far(checkpoint: Checkpoint | None, recipe: Recipe) -> Dataset:
    """The data set that the run really trains on: the one written, or its fallback."""
    written = recipe.dataset
    is_written = checkpoint is None or checkpoint.state["dataset"] == written.kind
    return written if is_written else written.fallback_dataset or written


def precisions_so_far(checkpoint: Checkpoint | None) -> Mapping[str, str]:
    """The precision that the run has computed in, by the type of its device; a clock is not to choose another."""
    return {checkpoint.state["device"]: checkpoint.state["environment"]["precision"]} if checkpoint else {}


def restore(session: Session, checkpoint: Checkpoint | None, directory: RunDirectory, is_strict: bool) -> None:
    """Put the session where the checkpoint was taken, and say if the same bits can't follow; without one it begins.

    What the run kept after the checkpoint is taken back.

    Raises:
        ResumeError: the same bits can't follow, and `is_strict` refuses that; or the images are others, or metrics are
            missing.
    """
    if checkpoint is None:
        directory.cut_metrics(0)
        return
    state, data = checkpoint.state, session.data
    changed = changes(state["environment"], environment(session.device, session.engine.precision))
    if changed:
        reason = f"the result will not be equal to the last bit to that of a run without a stop: {', '.join(changed)}"
        if is_strict:
            raise ResumeError(f"{reason}; --strict refuses that")
        say(reason)
    if data.digest != state["images"]:
        raise ResumeError("the images are not those that the run has trained on; bring them back, or train anew")
    check_metrics(directory, state["metrics_bytes"])
    directory.checkpoints.rewind(checkpoint.step)
    directory.cut_metrics(state["metrics_bytes"])
    session.data = replace(data, fallback_reason=state["fallback_reason"])
    session.load_state_dict(state)


def check_metrics(directory: RunDirectory, num_bytes: int) -> None:
    """Refuse to go on from metrics that are no longer those that a checkpoint counts.

    Raises:
        ResumeError: there are fewer, or they can't be read.
    """
    file = shown_path(directory.path / METRICS_FILE)
    if directory.metrics_bytes < num_bytes:
        raise ResumeError(f"{file} has been shortened: {directory.metrics_bytes} of {num_bytes} bytes are there")
    try:
        directory.metrics(num_bytes)
    except ValueError:
        raise ResumeError(f"{file} is damaged: a line of it is no JSON") from None
