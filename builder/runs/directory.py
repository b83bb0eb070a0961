"""Where a run keeps what it makes: `runs/<name>/<number>/`."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

from builder.runs.checkpoints import Checkpoints
from builder.runs.finding import (
    CHECKPOINTS_FOLDER,
    METRICS_FILE,
    RESOLVED_FILE,
    SPEC_FILE,
    SUMMARY_FILE,
    WEIGHTS_FILE,
)
from builder.runs.storage import DISK, Files, sweep, unwritable, write
from builder.spec import Spec


class RunDirectory:
    """The folder of one run."""

    def __init__(self, path: Path, files: Files = DISK) -> None:
        self.path = path
        self.files = files

    @classmethod
    def create(cls, runs: Path, spec: Spec) -> "RunDirectory":
        """Make the folder of the next number, and keep the spec in it as given and as resolved.

        Raises:
            OutputError: the folder can't be made or written.
        """
        try:
            directory = cls(_next_folder(runs / spec.name))
        except OSError as error:
            raise unwritable(runs / spec.name, error) from None
        directory.write(SPEC_FILE, spec.text)
        directory.save_resolved(spec)
        return directory

    @cached_property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.path / CHECKPOINTS_FOLDER, self.files)

    def sweep(self) -> None:
        """Remove what killed processes left half done; with the lock held."""
        sweep(self.path, self.files)
        self.checkpoints.sweep()

    def write(self, name: str, content: bytes) -> None:
        """A file of the run, all of it or nothing.

        Raises:
            OutputError: it can't be written.
        """
        write(self.path / name, content, self.files)

    def save_resolved(self, spec: Spec) -> None:
        """The spec with all defaults and overrides written out, from which this very run follows."""
        self.write(RESOLVED_FILE, spec.resolved().encode())

    def save_weights(self, model: nn.Module) -> None:
        """Write `weights.pt`, a plain state_dict on the CPU."""
        stream = BytesIO()
        torch.save({name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}, stream)
        self.write(WEIGHTS_FILE, stream.getvalue())

    def save_summary(self, summary: Mapping[str, Any]) -> None:
        """Write `summary.json`, the last file of a finished run."""
        self.write(SUMMARY_FILE, (json.dumps(summary, indent=2, allow_nan=False) + "\n").encode())

    @property
    def metrics_bytes(self) -> int:
        """The length of `metrics.jsonl`."""
        try:
            return (self.path / METRICS_FILE).stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise unwritable(self.path, error) from None

    def log(self, metrics: Mapping[str, Any]) -> None:
        """Add a line to `metrics.jsonl`."""
        try:
            self.files.append(self.path / METRICS_FILE, (json.dumps(metrics, allow_nan=False) + "\n").encode())
        except OSError as error:
            raise unwritable(self.path, error) from None

    def cut_metrics(self, num_bytes: int) -> None:
        """Take back the lines that were written after a checkpoint of the run was."""
        if self.metrics_bytes > num_bytes:
            try:
                self.files.truncate(self.path / METRICS_FILE, num_bytes)
            except OSError as error:
                raise unwritable(self.path, error) from None

    def metrics(self, num_bytes: int | None = None) -> Sequence[Mapping[str, Any]]:
        """The lines of `metrics.jsonl`, or of its first bytes. Raises ValueError if they are no JSON."""
        if self.metrics_bytes == 0:
            return ()
        content = (self.path / METRICS_FILE).read_bytes()[:num_bytes]
        return [json.loads(line) for line in content.decode().splitlines()]


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
