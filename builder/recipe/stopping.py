"""Ending a run before its last epoch."""

from collections.abc import Iterator

from builder.fields import Count, NonNegative, parameter
from builder.kinds import Kind, Misfit


class EarlyStopping(Kind):
    """Ends the run when the loss on the validation images no longer falls: the test images choose nothing."""

    patience: Count = parameter("epochs without a lower loss after which the run ends, such as 3")
    min_delta: NonNegative = parameter("a loss counts as lower if it is lower by more than this", default=0.0)

    def check_run(self, epochs: int) -> Iterator[Misfit]:
        """What is wrong with it for a run of so many epochs; the first of them gives the lowest loss so far."""
        if self.patience > epochs - 2:
            message = f"no run is ended early: a patience of {self.patience:,} outlasts {epochs:,} epochs"
            hint = f"write at most {epochs - 2}" if epochs > 2 else "remove it"
            yield Misfit("without-effect", message, hint, "patience", "warning")
