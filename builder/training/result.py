"""What is left of a run when it is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch

from builder.plan import Plan
from builder.recipe import Dataset, Recipe
from builder.training.environment import versions
from builder.training.evaluation import TestResult
from builder.training.session import Session

FORMAT = 1


@dataclass(frozen=True)
class RunResult:
    """A finished run: what was trained on what, and how every epoch went."""

    plan: Plan
    recipe: Recipe
    dataset: Dataset  # the one really used
    fallback_reason: str  # why it isn't the one written; empty if it is
    device: torch.device
    precision: str  # the one really computed in
    mean: Sequence[float]  # as it was used, written or computed
    std: Sequence[float]
    metrics: Sequence[Mapping[str, Any]]  # of every epoch, as in metrics.jsonl
    test: TestResult  # after the last epoch
    is_stopped_early: bool
    directory: Path

    @classmethod
    def of(cls, session: Session, metrics: Sequence[Mapping[str, Any]], test: TestResult, directory: Path) -> Self:
        """What a session comes to."""
        data = session.data
        return cls(
            plan=session.plan,
            recipe=session.recipe,
            dataset=data.dataset,
            fallback_reason=data.fallback_reason,
            device=session.device,
            precision=session.engine.precision,
            mean=data.train.mean.flatten().tolist(),
            std=data.train.std.flatten().tolist(),
            metrics=metrics,
            test=test,
            is_stopped_early=session.is_stopped_early,
            directory=directory,
        )

    @property
    def train_seconds(self) -> float:
        return float(sum(epoch["seconds"] for epoch in self.metrics))

    @property
    def images_per_second(self) -> float:
        """Training images over training seconds; testing excluded."""
        images = float(sum(epoch["images_per_second"] * epoch["seconds"] for epoch in self.metrics))
        return images / self.train_seconds if self.train_seconds else 0.0

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
            "mean": list(self.mean),
            "std": list(self.std),
            "params": self.plan.params,
            "buffers": self.plan.buffers,
            "macs": self.plan.macs,
            "receptive_field": field.to_json(),
            "epochs": len(self.metrics),
            "stopped_early": self.is_stopped_early,
            "batch_size": self.recipe.batch_size,
            "seed": self.recipe.seed,
            "precision": self.precision,
            "device": str(self.device),
            "threads": torch.get_num_threads(),
            "train_seconds": round(self.train_seconds, 3),
            "images_per_second": round(self.images_per_second, 1),
            "test": {
                "loss": self.test.loss,
                "accuracy": self.test.accuracy,
                "correct": self.test.correct,
                "total": self.test.total,
                "per_class": dict(zip(self.dataset.classes, self.test.per_class, strict=True)),
            },
            "versions": versions(),
        }
