"""What a network may cost, and what it must reach."""

from collections.abc import Iterator
from typing import Annotated

from builder.exits import Status, Stop
from builder.fields import Integer, Number, OptionalSize, OrNull, parameter
from builder.kinds import Kind, Misfit
from builder.limits import MAX_MACS, MAX_PARAMS

UNBOUNDED = "no bound"


class BudgetError(Stop):
    """A run is done, and missed what the spec asks for."""

    status = Status.SPEC


class Budget(Kind):
    """What the network may cost and must reach: its numbers are checked before a run, its accuracy after it."""

    params: Annotated[int | None, OrNull(Integer(0, MAX_PARAMS))] = parameter(
        "learnable numbers, at most", default=None, default_text=UNBOUNDED
    )
    macs: Annotated[int | None, OrNull(Integer(0, MAX_MACS))] = parameter(
        "multiply-accumulates for one image, at most", default=None, default_text=UNBOUNDED
    )
    receptive_field: OptionalSize = parameter(
        "pixels that an output depends on, at least, as for one side or as [height, width]",
        default=None,
        default_text=UNBOUNDED,
    )
    accuracy: Annotated[float | None, OrNull(Number(minimum=0, maximum=1))] = parameter(
        "share of the test images classified rightly after the last epoch, at least, such as 0.99",
        default=None,
        default_text=UNBOUNDED,
    )

    def misfits(self, params: int, macs: int, receptive_field: tuple[int, int]) -> Iterator[Misfit]:
        """What a network of these numbers breaks."""
        for field, found, most, noun in (
            ("params", params, self.params, "parameters"),
            ("macs", macs, self.macs, "MACs"),
        ):
            if most is not None and found > most:
                message = f"the network has {found:,} {noun}, {found - most:,} above its budget of {most:,}"
                yield Misfit("over-budget", message, "make it smaller, or the budget larger", field)
        least = self.receptive_field
        if least and any(found < wanted for found, wanted in zip(receptive_field, least, strict=True)):
            message = (
                f"an output depends on {_area(receptive_field)} pixels of the image, and the budget asks for at least "
                f"{_area(least)}"
            )
            yield Misfit("under-budget", message, "add layers or strides, or enlarge kernels", "receptive_field")

    def check_accuracy(self, name: str, accuracy: float) -> None:
        """Raise `BudgetError` if a run of the network of this name ends below the accuracy asked for."""
        if self.accuracy is not None and accuracy < self.accuracy:
            raise BudgetError(
                f"{name} reaches a test accuracy of {accuracy:.2%}, and its budget asks for {self.accuracy:.2%}; "
                "the run is kept"
            )


def _area(size: tuple[int, int]) -> str:
    height, width = size
    return f"{height}x{width}"
