"""What is left of a run when it is done."""

import platform
from dataclasses import dataclass
from pathlib import Path

import torch

from builder.plan import Plan
from builder.recipe import Dataset, Recipe
from builder.training.loop import EpochResult, TestResult
from builder.version import __version__

FORMAT = 1
PRECISION = "float32"


@dataclass(frozen=True)
class RunResult:
    """A finished run: what was trained on what, and how every epoch went."""

    plan: Plan
    recipe: Recipe
    dataset: Dataset  # the one really used
    fallback_reason: str  # why it isn't the one written; empty if it is
    device: torch.device
    epochs: tuple[EpochResult, ...]
    directory: Path

    @property
    def test(self) -> TestResult:
        """The test after the last epoch."""
        return self.epochs[-1].test

    @property
    def train_seconds(self) -> float:
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def images_per_second(self) -> float:
        """Training images over training seconds; testing excluded."""
        images = sum(epoch.images_per_second * epoch.seconds for epoch in self.epochs)
        return images / self.train_seconds

    def to_json(self) -> dict[str, object]:
        """What `summary.json` holds."""
        field = self.plan.receptive_field
        return {
            "format": FORMAT,
            "name": self.plan.name,
            "dataset": self.dataset.kind,
            "dataset_written": self.recipe.dataset.kind,
            "fallback_used": bool(self.fallback_reason),
            "fallback_reason": self.fallback_reason,
            "params": self.plan.params,
            "buffers": self.plan.buffers,
            "macs": self.plan.macs,
            "receptive_field": field.to_json(),
            "epochs": len(self.epochs),
            "batch_size": self.recipe.batch_size,
            "seed": self.recipe.seed,
            "precision": PRECISION,
            "device": str(self.device),
            "threads": torch.get_num_threads(),
            "train_seconds": round(self.train_seconds, 3),
            "images_per_second": round(self.images_per_second, 1),
            "test": {
                "loss": self.test.loss,
                "accuracy": self.test.accuracy,
                "correct": self.test.correct,
                "total": self.test.total,
            },
            "versions": versions(),
        }


def versions() -> dict[str, str]:
    """Of everything that decides the numbers of a run."""
    return {"yamlnet": __version__, "torch": str(torch.__version__), "python": platform.python_version()}
