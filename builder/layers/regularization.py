"""Layers that do something in training only."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from builder.fields import Choice, Probability, parameter
from builder.kinds import Misfit
from builder.layers.base import Layer, Shape

if TYPE_CHECKING:
    from torch import nn

DropMode = Literal["row", "batch"]


class RandomDrop(Layer):
    """What dropouts share."""

    p: Probability = parameter("probability that a value (a channel, in dropout2d) is dropped", default=0.5)

    def rules(self) -> Iterator[Misfit]:
        if self.p == 1:
            yield Misfit("drops-everything", "`p` (=1) drops every value", "write less, such as 0.5", "p", "warning")


class Dropout(RandomDrop, kind="dropout"):
    """In training, sets single values to zero at random and scales up the rest."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Dropout(self.p)


class Dropout2d(RandomDrop, kind="dropout2d"):
    """In training, sets whole channels to zero at random and scales up the rest."""

    ranks: ClassVar = (3,)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Dropout2d(self.p)


class StochasticDepth(RandomDrop, kind="stochastic_depth"):
    """In training, sets whole images to zero at random and scales up the rest (Huang et al. 2016, arXiv:1603.09382).

    At the end of a residual's layers it leaves these out for some images, as `torchvision.ops.StochasticDepth` does.
    """

    acts_on_pixels: ClassVar = False

    p: Probability = parameter("probability that an image's values are dropped, such as 0.1")
    mode: Annotated[DropMode, Choice(get_args(DropMode))] = parameter(
        "drop single images (row), or all images of a batch together (batch)", default="row"
    )

    def module(self, in_shape: Shape) -> "nn.Module":
        from builder.modules import StochasticDepth

        return StochasticDepth(self.p, self.mode)
