"""Where a run keeps what it makes: `runs/<name>/<number>/`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from builder.exits import OutputError
from builder.spec import Spec

SPEC_FILE = "spec.yaml"
RESOLVED_FILE = "resolved.yaml"
METRICS_FILE = "metrics.jsonl"
SUMMARY_FILE = "summary.json"
WEIGHTS_FILE = "weights.pt"


@dataclass(frozen=True)
class RunDirectory:
    """The folder of one run."""

    path: Path

    @classmethod
    def create(cls, runs: Path, spec: Spec) -> "RunDirectory":
        """Make the folder of the next number, and keep the spec in it as given and as resolved.

        Raises:
            OutputError: the folder can't be made or written.
        """
        try:
            directory = cls(_next_folder(runs / spec.name))
            (directory.path / SPEC_FILE).write_bytes(spec.text)
            (directory.path / RESOLVED_FILE).write_text(spec.resolved(), encoding="utf-8")
        except OSError as error:
            raise _unwritable(runs / spec.name, error) from None
        return directory

    def log(self, metrics: Mapping[str, Any]) -> None:
        """Add a line to `metrics.jsonl`."""
        try:
            with (self.path / METRICS_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(metrics) + "\n")
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def save_weights(self, model: nn.Module) -> None:
        """Write `weights.pt`, a plain state_dict on the CPU."""
        weights = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
        target = self.path / WEIGHTS_FILE
        try:
            torch.save(weights, _temporary(target))
            _temporary(target).replace(target)
        except (OSError, RuntimeError) as error:  # torch's writer reports a full disk as RuntimeError
            raise _unwritable(self.path, error) from None

    def save_summary(self, summary: Mapping[str, Any]) -> None:
        """Write `summary.json`, the last file of a finished run."""
        target = self.path / SUMMARY_FILE
        try:
            _temporary(target).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
            _temporary(target).replace(target)
        except OSError as error:
            raise _unwritable(self.path, error) from None


def _next_folder(parent: Path) -> Path:
    """Make the next of 1, 2, 3, ...; two runs that start at once get different ones, for mkdir is atomic."""
    parent.mkdir(parents=True, exist_ok=True)
    taken = [int(folder.name) for folder in parent.iterdir() if folder.name.isdecimal()]
    number = max(taken, default=0) + 1
    while True:
        folder = parent / str(number)
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.tmp")


def _unwritable(path: Path, error: Exception) -> OutputError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
    return OutputError(f"can't write to {path}: {reason}; choose another folder with --runs")
