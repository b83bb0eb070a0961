"""Layers that do something in training only."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from builder.fields import Probability, parameter
from builder.kinds import Misfit
from builder.layers.base import Layer, Shape

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class RandomDrop(Layer):
    """What dropouts share."""

    p: Probability = parameter("probability that a value (a channel, in dropout2d) is dropped", default=0.5)

    def rules(self) -> Iterator[Misfit]:
        if self.p == 1:
            yield Misfit("drops-everything", "`p` (=1) drops every value", "write less, such as 0.5", "p", "warning")


@dataclass(frozen=True, kw_only=True)
class Dropout(RandomDrop, kind="dropout"):
    """In training, sets single values to zero at random and scales up the rest."""

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Dropout(self.p)


@dataclass(frozen=True, kw_only=True)
class Dropout2d(RandomDrop, kind="dropout2d"):
    """In training, sets whole channels to zero at random and scales up the rest."""

    ranks: ClassVar = (3,)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.Dropout2d(self.p)
