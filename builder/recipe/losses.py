"""Losses, named as in `torch.nn.functional`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.fields import Probability, parameter
from builder.kinds import Kind

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Loss(Kind, family="loss"):
    """What training makes small: a mean over the images of a batch."""

    def training_loss(self) -> "nn.Module":
        """Takes (the network's output, the labels)."""
        raise NotImplementedError

    def test_loss(self) -> "nn.Module":
        """The same without what only training wants, such as label smoothing."""
        return self.training_loss()


@dataclass(frozen=True, kw_only=True)
class NllLoss(Loss, kind="nll_loss"):
    """Negative log-likelihood of the right class; wants log-probabilities (`log_softmax` last)."""

    def training_loss(self) -> "nn.Module":
        from torch import nn

        return nn.NLLLoss()


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(Loss, kind="cross_entropy"):
    """The same from raw scores: it contains the softmax, so the network ends without one."""

    label_smoothing: Probability = parameter("share of the target spread evenly over all classes", default=0.0)

    def training_loss(self) -> "nn.Module":
        from torch import nn

        return nn.CrossEntropyLoss(label_smoothing=self.label_smoothing)

    def test_loss(self) -> "nn.Module":
        from torch import nn

        return nn.CrossEntropyLoss()
