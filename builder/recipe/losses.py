"""Losses, named as in `torch.nn.functional`.

For training each takes labels, or shares of the classes (n, classes), as mixup gives them.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

from builder.fields import ListOf, NonNegative, Number, OrNull, Probability, parameter
from builder.kinds import Kind, Misfit
from builder.limits import MAX_CLASSES

if TYPE_CHECKING:
    from torch import Tensor, nn

ClassWeights = Annotated[tuple[float, ...] | None, OrNull(ListOf(Number(above=0), 1, MAX_CLASSES))]


class Loss(Kind, family="loss"):
    """What training makes small: a mean over the images of a batch."""

    def training_loss(self) -> "nn.Module":
        """Takes (the network's output, labels or shares of the classes); to be moved to their device."""
        raise NotImplementedError

    def test_loss(self) -> "nn.Module":
        """The same without what only training wants, such as label smoothing and class weights."""
        return self.training_loss()

    def share(self, targets: "Tensor", labels: "Tensor") -> float:
        """What the mean over a part counts for in the mean over the whole batch: the shares of all parts add up to 1.

        Args:
            targets: of the part: labels, int64 (n,), or shares of the classes, (n, classes).
            labels: of the images of the whole batch, int64 (n,).
        """
        return len(targets) / len(labels)

    def check_classes(self, data: str, num_classes: int) -> Iterator[Misfit]:
        """What is wrong with it for a data set of this name and so many classes."""
        return iter(())


class ClassWeighted(Loss):
    """What losses share that weigh classes: with labels, the mean over the images is weighted, too."""

    weight: ClassWeights = parameter(
        "how much each class counts, such as [2, 1, 1, 1, 1, 1, 1, 1, 1, 1]", default=None, default_text="all alike"
    )

    def share(self, targets: "Tensor", labels: "Tensor") -> float:
        """As torch divides: for labels by the sum of their weights, for shares of the classes by their number."""
        if self.weight is None or targets.is_floating_point():
            return super().share(targets, labels)
        return _sum_of_weights(self.weight, targets) / _sum_of_weights(self.weight, labels)

    def check_classes(self, data: str, num_classes: int) -> Iterator[Misfit]:
        if self.weight is not None and len(self.weight) != num_classes:
            message = f"`weight` holds {len(self.weight)} numbers, and {data} has {num_classes} classes"
            yield Misfit("wrong-length", message, "write one number per class", "weight")


class NllLoss(ClassWeighted, kind="nll_loss"):
    """Negative log-likelihood of the right class; wants log-probabilities (`log_softmax` last)."""

    def training_loss(self) -> "nn.Module":
        from builder.losses import NLLLoss, class_weights

        return NLLLoss(weight=class_weights(self.weight))

    def test_loss(self) -> "nn.Module":
        from torch import nn

        return nn.NLLLoss()


class CrossEntropy(ClassWeighted, kind="cross_entropy"):
    """The same from raw scores: it contains the softmax, so the network ends without one."""

    label_smoothing: Probability = parameter("share of the target spread evenly over all classes", default=0.0)

    def rules(self) -> Iterator[Misfit]:
        if self.label_smoothing == 1:
            message = "`label_smoothing` (=1) leaves nothing of the right class"
            yield Misfit("learns-nothing", message, "write less, such as 0.1", "label_smoothing", "warning")

    def training_loss(self) -> "nn.Module":
        from torch import nn

        from builder.losses import class_weights

        return nn.CrossEntropyLoss(weight=class_weights(self.weight), label_smoothing=self.label_smoothing)

    def test_loss(self) -> "nn.Module":
        from torch import nn

        return nn.CrossEntropyLoss()


class MseLoss(Loss, kind="mse_loss"):
    """Mean squared distance from 1 for the right class and 0 for the others; of probabilities, the Brier score."""

    def training_loss(self) -> "nn.Module":
        from builder.losses import OneHotMSELoss

        return OneHotMSELoss()


class FocalLoss(Loss, kind="focal_loss"):
    """Cross-entropy, from raw scores, in which sure images count less (Lin et al. 2017, arXiv:1708.02002)."""

    gamma: NonNegative = parameter("how much less: (1 - p)^gamma for an image whose class has p", default=2.0)

    def training_loss(self) -> "nn.Module":
        from builder.losses import FocalLoss

        return FocalLoss(self.gamma)


def _sum_of_weights(weight: Sequence[float], labels: "Tensor") -> float:
    counts: list[int] = labels.bincount(minlength=len(weight)).tolist()
    return sum(each * count for each, count in zip(weight, counts, strict=True))


FROM_SCORES = (CrossEntropy, FocalLoss)  # they contain the softmax
