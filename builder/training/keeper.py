"""What is kept of a run as it goes, so that it can be killed at any moment."""

from collections.abc import Mapping
from time import monotonic
from typing import Any

from builder.exits import OutputError, is_asked_to_stop, stop_if_asked
from builder.problems import shown_path
from builder.runs.directory import RunDirectory
from builder.runs.finding import METRICS_FILE
from builder.training.environment import environment
from builder.training.session import Session


class Keeper:
    """What the loop calls as it goes. This one keeps nothing, for whoever wants the trained network only."""

    @property
    def last_good(self) -> str:
        """Which checkpoint there is to go back to, as a part of a sentence."""
        return "nothing of this run is kept"

    def after_step(self) -> None:
        """Raise what a signal asked for, if one did."""
        stop_if_asked()

    def between_batches(self) -> None:
        """The same between the batches of a test."""
        stop_if_asked()

    def after_epoch(self, metrics: Mapping[str, Any]) -> None:
        """Keep what came of an epoch."""


class RunKeeper(Keeper):
    """Writes a line of metrics after each epoch, and a checkpoint then, now and again, and when a signal asks to."""

    def __init__(self, session: Session, directory: RunDirectory, save_seconds: float) -> None:
        self._session = session
        self._directory = directory
        self._save_seconds = save_seconds
        self._saved_at = monotonic()
        self._metrics_bytes = directory.metrics_bytes
        self._best_before = session.best.step
        self.farewell = ""  # what to say when a signal ends the run

    @property
    def last_good(self) -> str:
        """Which checkpoint there is to go back to, as a part of a sentence."""
        return self._directory.checkpoints.last_good

    def after_step(self) -> None:
        """Save if it is time, or if a signal asked to stop; then raise what it asked for."""
        if is_asked_to_stop():
            self._stop()
        elif monotonic() - self._saved_at >= self._save_seconds:
            self.save()

    def between_batches(self) -> None:
        """The same between the batches of a test, where nothing changes that would have to be saved again."""
        if is_asked_to_stop():
            self._stop()

    def after_epoch(self, metrics: Mapping[str, Any]) -> None:
        """Keep what came of an epoch. The metrics come first: the checkpoint says how many of them count."""
        self._check_metrics()
        self._directory.log(metrics)
        self.save()

    def save(self) -> None:
        """Write a checkpoint."""
        session = self._session
        self._metrics_bytes = self._directory.metrics_bytes
        state = session.state_dict() | {
            "metrics_bytes": self._metrics_bytes,
            "images": session.data.digest,
            "dataset": session.data.dataset.kind,
            "fallback_reason": session.data.fallback_reason,
            "environment": environment(session.device, session.engine.precision),
        }
        # The best that the last checkpoint names stays too: it counts again if this one is ever found damaged.
        best = {step for step in (session.best.step, self._best_before) if step is not None}
        self._directory.checkpoints.save(session.counts.step, state, keep=best)
        self._best_before = session.best.step
        self._saved_at = monotonic()

    def _check_metrics(self) -> None:
        """The lines so far are a part of what is saved: a file that somebody removed must not begin anew unnoticed."""
        if self._directory.metrics_bytes < self._metrics_bytes:
            shown = shown_path(self._directory.path / METRICS_FILE)
            raise OutputError(f"{shown} was removed or shortened while the run went on; {self.last_good}")

    def _stop(self) -> None:
        self.save()
        place = f"step {self._session.counts.step}"
        self.farewell = f"saved at {place}; go on with: python runner.py --resume {shown_path(self._directory.path)}"
        stop_if_asked()
