"""A run that has everything in it that has a state, and what it takes to stop it, go on with it, and compare it."""

import json
from pathlib import Path

import torch
from run_processes import Moment, metrics, run
from torch import Tensor

# Everything in it that has a state: dropout, running statistics, momentum, a schedule by the step, augmentation, an
# average, a validation split, gradients of two batches; three epochs of twelve steps.
STATEFUL = """\
name: stateful
input: [1, 28, 28]
layers:
  - conv2d: {out_channels: 4, kernel_size: 5, stride: 4, bias: false}
  - batch_norm2d
  - relu
  - dropout: {p: 0.2}
  - flatten
  - linear: {out_features: 10}
training:
  dataset: mnist_sample
  validation: {size: 200}
  epochs: 3
  batch_size: 200
  gradient_accumulation: 2
  loss: {cross_entropy: {label_smoothing: 0.1}}
  optimizer: {adamw: {lr: 0.01}}
  scheduler: {one_cycle: {max_lr: 0.02}}
  augmentations: [{random_rotation: {degrees: 10}}]
  averaging: {ema: {decay: 0.9}}
  clip_grad_norm: 1.0
  early_stopping: {patience: 3}
  seed: 3
"""
STEPS = 36
QUIET = ["--quiet", "--device", "cpu"]
RUN = "runs/stateful/1"
EACH_STEP = ["--save-every", "1e-9"]


def prepare(folder: Path) -> Path:
    """Put the spec there."""
    (folder / "stateful.yaml").write_text(STATEFUL, encoding="utf-8")
    return folder


def uninterrupted_run(folder: Path) -> Path:
    """The run that nothing stops."""
    ended = run(["stateful.yaml", *QUIET], prepare(folder))
    assert ended.status == 0, ended.text
    return folder / RUN


def weights(run: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(run / "weights.pt", weights_only=True)
    return state


def assert_same(one: Path, other: Path) -> None:
    """The same weights to the last bit, and the same metrics and test."""
    ours, theirs = weights(one), weights(other)
    assert list(ours) == list(theirs)
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert metrics(one) == metrics(other)
    tests = [json.loads((path / "summary.json").read_text(encoding="utf-8"))["test"] for path in (one, other)]
    assert tests[0] == tests[1]


def start(folder: Path, *words: str, die_at: Moment | None = None) -> int:
    """The exit status of a new run."""
    return run(["stateful.yaml", *QUIET, *words], folder, die_at=die_at).status


def resume(folder: Path, *words: str, die_at: Moment | None = None) -> int:
    """The exit status of going on with it."""
    return run(["--resume", RUN, *QUIET, *words], folder, die_at=die_at).status
