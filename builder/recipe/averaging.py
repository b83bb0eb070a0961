"""Averages of the weights over the course of a run: what is tested and kept is the average."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from builder.fields import Integer, Number, parameter
from builder.kinds import Kind, Misfit
from builder.limits import MAX_EPOCHS

if TYPE_CHECKING:
    from torch import nn
    from torch.optim.swa_utils import AveragedModel


class Averaging(Kind, family="averaging"):
    """Which weights are averaged, and how."""

    per_epoch: ClassVar[bool] = False  # what an epoch ends with; else what each step gives

    def first_epoch(self) -> int:
        """The first one, from 1, whose weights count."""
        return 1

    def check_run(self, epochs: int) -> Iterator[Misfit]:
        """What is wrong with it for a run of so many epochs."""
        return iter(())

    def averaged(self, model: "nn.Module") -> "AveragedModel":
        """A copy of the model that averages it whenever `update_parameters` is called."""
        raise NotImplementedError


class ExponentialMovingAverage(Averaging, kind="ema"):
    """The average of all steps so far, in which each counts for less the longer it is ago (Polyak & Juditsky 1992).

    Running statistics of norms are averaged like weights.
    """

    decay: Annotated[float, Number(minimum=0, below=1)] = parameter(
        "share of the average that a step keeps; 0.999 looks back over about 1,000 steps", default=0.999
    )

    def averaged(self, model: "nn.Module") -> "AveragedModel":
        from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

        return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(self.decay), use_buffers=True)


class StochasticWeightAveraging(Averaging, kind="swa"):
    """The plain average of the weights at the ends of epochs, from `start` on (Izmailov et al. 2018, arXiv:1803.05407).

    The running statistics of norms are computed anew for the average, in a pass over the training images before each
    test.
    """

    per_epoch: ClassVar = True

    start: Annotated[int, Integer(1, MAX_EPOCHS)] = parameter("the first epoch whose weights count, such as 8")

    def first_epoch(self) -> int:
        return self.start

    def check_run(self, epochs: int) -> Iterator[Misfit]:
        if self.start > epochs:
            message = f"`start` (={self.start}) lies behind the last epoch ({epochs}): nothing is averaged"
            yield Misfit("never-averaged", message, f"write at most {epochs}", f"{self.kind}.start")

    def averaged(self, model: "nn.Module") -> "AveragedModel":
        from torch.optim.swa_utils import AveragedModel

        return AveragedModel(model)
