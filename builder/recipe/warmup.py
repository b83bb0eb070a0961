"""How a run begins: with small steps."""

from collections.abc import Iterator
from typing import Annotated

from builder.fields import Integer, Number, OrNull, parameter
from builder.kinds import Kind, Misfit
from builder.limits import MAX_EPOCHS, MAX_STEPS


class Warmup(Kind):
    """Small steps at first: the learning rate climbs, in a straight line, to where the scheduler begins.

    The scheduler counts its epochs and steps from there (Goyal et al. 2017, arXiv:1706.02677, section 2.2).
    """

    epochs: Annotated[float | None, OrNull(Number(above=0, maximum=MAX_EPOCHS))] = parameter(
        "how long the learning rate climbs, such as 1", default=None, default_text="told in steps"
    )
    steps: Annotated[int | None, OrNull(Integer(1, MAX_STEPS))] = parameter(
        "the same in steps", default=None, default_text="told in epochs"
    )
    start_factor: Annotated[float, Number(minimum=0, below=1)] = parameter(
        "share of the learning rate that the first step takes", default=0.01
    )

    @property
    def unit(self) -> str:
        """The parameter that its length is written in."""
        return "epochs" if self.steps is None else "steps"

    def num_steps(self, steps_per_epoch: int) -> int:
        """After so many steps the scheduler begins."""
        return self.steps or max(1, round((self.epochs or 0) * steps_per_epoch))

    def factor(self, step: int, num_steps: int) -> float:
        """The factor on the learning rate after so many of its steps, from 0; 1 from the last one on."""
        return 1.0 if step >= num_steps else self.start_factor + (1 - self.start_factor) * step / num_steps

    def rules(self) -> Iterator[Misfit]:
        if (self.epochs is None) == (self.steps is None):
            message = "`warmup` is told in epochs and in steps" if self.steps else "`warmup` doesn't say how long it is"
            yield Misfit("warmup-length", message, "write either `epochs` or `steps`", self.unit)
