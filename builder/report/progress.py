"""A bar per epoch in a terminal; a line per epoch everywhere; once, how long it will take."""

import sys
from time import monotonic
from types import TracebackType
from typing import NoReturn, Self

from tqdm import tqdm

from builder.exits import say
from builder.training.loop import EpochResult
from builder.training.session import Session

LONG = 60.0  # seconds; of a shorter run nobody wants to know beforehand
WATCHED = 5.0  # seconds of training after which the rest can be told


class Progress:
    """Shows how training goes, on standard error.

    In a terminal a tqdm bar runs over the images of each epoch, with the running loss; after each epoch comes a line.
    A terminal that is gone ends nothing.
    """

    def __init__(self, session: Session, quiet: bool) -> None:
        self._session = session
        self._epochs = session.recipe.epochs
        self._num_images = len(session.data.train)
        self._quiet = quiet
        self._has_bar = not quiet and sys.stderr.isatty()
        self._bar: tqdm[NoReturn] | None = None
        self._is_estimated = quiet
        self._started: float | None = None
        self._watched = 0  # images since then

    def observe(self, num_images: int, loss: float) -> None:
        """Count the images of a step, whose mean loss is `loss`."""
        if not self._is_estimated:
            self._estimate(num_images)
        if not self._has_bar:
            return
        try:
            self._move_bar()
        except OSError:  # the terminal was closed
            self._has_bar, self._bar = False, None

    def _move_bar(self) -> None:
        counts = self._session.counts
        bar = self._bar = self._bar or self._start_bar()
        bar.set_postfix_str(f"loss {counts.loss / counts.images:.4f}", refresh=False)
        bar.update(counts.images - bar.n)
        if counts.images >= self._num_images:
            self._close_bar()

    def _start_bar(self) -> "tqdm[NoReturn]":
        return tqdm(
            total=self._num_images,
            desc=f"epoch {self._session.counts.epoch}/{self._epochs}",
            unit=" images",
            leave=False,
            dynamic_ncols=True,
        )

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _estimate(self, num_images: int) -> None:
        """Say how long the rest will take, once enough of the run has been seen; the first step is never typical."""
        if self._started is None:
            self._started = monotonic()
            return
        self._watched += num_images
        seconds = monotonic() - self._started
        if seconds < WATCHED:
            return
        self._is_estimated = True
        counts = self._session.counts
        left = (self._epochs - counts.epoch + 1) * self._num_images - counts.images
        needed = left / self._watched * seconds
        if needed >= LONG:
            if self._bar is not None:
                self._bar.clear()
            say(f"{self._watched / seconds:,.0f} images/s: training will take about {duration_text(needed)}")

    def finish_epoch(self, result: EpochResult) -> None:
        """The line after an epoch."""
        if self._quiet:
            return
        apart = result.validation
        validation = f"validation loss {apart.loss:.4f}, accuracy {apart.accuracy:.2%}, " if apart else ""
        say(
            f"epoch {result.epoch}/{self._epochs}: train loss {result.train_loss:.4f}, {validation}"
            f"test loss {result.test.loss:.4f}, test accuracy {result.test.accuracy:.2%}, "
            f"{result.images_per_second:,.0f} images/s"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._close_bar()
        except OSError:
            self._bar = None


def duration_text(seconds: float) -> str:
    """`40 s`, `12 minutes`, `3 h 20 min`."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} minutes" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
