"""A bar per epoch in a terminal; a line per epoch everywhere."""

import sys
from types import TracebackType
from typing import NoReturn, Self

from tqdm import tqdm

from builder.exits import say
from builder.training.loop import EpochResult


class Progress:
    """Shows how training goes, on standard error.

    In a terminal a tqdm bar runs over the images of each epoch, with the running loss; after each epoch comes a line.
    """

    def __init__(self, epochs: int, num_images: int, quiet: bool) -> None:
        self.epochs = epochs
        self.num_images = num_images
        self.quiet = quiet
        self.has_bar = not quiet and sys.stderr.isatty()
        self._bar: tqdm[NoReturn] | None = None
        self._epoch = 0
        self._total_loss = 0.0

    def observe(self, num_images: int, loss: float) -> None:
        """Count a batch of images, whose mean loss is `loss`."""
        if not self.has_bar:
            return
        bar = self._bar = self._bar or self._start_bar()
        self._total_loss += loss * num_images
        bar.set_postfix_str(f"loss {self._total_loss / (bar.n + num_images):.4f}", refresh=False)
        bar.update(num_images)
        if bar.n >= self.num_images:
            self._close_bar()

    def _start_bar(self) -> "tqdm[NoReturn]":
        self._epoch += 1
        self._total_loss = 0.0
        return tqdm(
            total=self.num_images,
            desc=f"epoch {self._epoch}/{self.epochs}",
            unit=" images",
            leave=False,
            dynamic_ncols=True,
        )

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def finish_epoch(self, result: EpochResult) -> None:
        """The line after an epoch."""
        if self.quiet:
            return
        say(
            f"epoch {result.epoch}/{self.epochs}: train loss {result.train_loss:.4f}, "
            f"test loss {result.test.loss:.4f}, test accuracy {result.test.accuracy:.2%}, "
            f"{result.images_per_second:,.0f} images/s"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_bar()
