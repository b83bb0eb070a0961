"""What a run shows of itself in its folder, new after each epoch: `results.csv`, pictures, TensorBoard's curves."""

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from builder.report.results import RESULTS_FILE, results_csv
from builder.requirements import has_matplotlib
from builder.runs.directory import RunDirectory
from builder.training.evaluation import TestResult
from builder.training.session import Session

if TYPE_CHECKING:
    from builder.report.tensorboard import TensorBoard

TENSORBOARD_FOLDER = "tensorboard"
MAX_SHARE = 0.05  # of a run's time that its pictures may take; the last ones are always drawn


class Pages:
    """Written after the checkpoint of an epoch: nothing here is needed to go on.

    Pictures are drawn if matplotlib is installed, until one fails.
    """

    def __init__(self, session: Session, directory: RunDirectory, tensorboard: bool) -> None:
        self._session = session
        self._directory = directory
        self._draws = has_matplotlib()
        self._next_drawing = 0.0
        self._curves = _curves(directory) if tensorboard else None

    def refresh(self, metrics: Sequence[Mapping[str, Any]], test: TestResult) -> None:
        """Write them anew, from the metrics of all epochs and the test after the last.

        Raises:
            OutputError: `results.csv` can't be written.
        """
        self._directory.write(RESULTS_FILE, results_csv(metrics))
        if self._curves:
            self._curves.draw(metrics)
        if self._draws and (self._session.is_done or monotonic() >= self._next_drawing):
            self._draw(metrics, test)

    def _draw(self, metrics: Sequence[Mapping[str, Any]], test: TestResult) -> None:
        from builder.report.plots import refresh

        began = monotonic()
        data = self._session.data
        self._draws = refresh(self._directory.path, metrics, test, data.test.images, data.dataset.classes)
        self._next_drawing = monotonic() + (monotonic() - began) / MAX_SHARE


def _curves(directory: RunDirectory) -> "TensorBoard":
    from builder.report.tensorboard import TensorBoard

    return TensorBoard(directory.path / TENSORBOARD_FOLDER)
