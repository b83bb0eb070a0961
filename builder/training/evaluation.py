"""How a network does on images that it was not trained on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from builder.data.images import Images
from builder.modules import Call

TEST_BATCH_SIZE = 128  # so few that what a layer gives is still in a cache when the next one takes it


@dataclass(frozen=True, eq=False)
class TestResult:
    """What came out for every image of a set."""

    loss: float  # mean over the images, without what only training wants
    scores: Tensor  # float32 (n, classes), the network's outputs, on the CPU
    labels: Tensor  # int64 (n,)

    @property
    def total(self) -> int:
        return len(self.labels)

    @property
    def correct(self) -> int:
        return int((self.scores.argmax(dim=1) == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """A fraction."""
        return self.correct / self.total

    @property
    def confusion(self) -> Tensor:
        """How many images of each class were taken for each: int64 (classes, classes), a row per true class."""
        classes = self.scores.shape[1]
        pairs = self.labels * classes + self.scores.argmax(dim=1)
        return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)

    @property
    def per_class(self) -> tuple[float | None, ...]:
        """The share of each class that is classified rightly; None for a class without images."""
        rows = self.confusion.tolist()
        return tuple(row[index] / sum(row) if sum(row) else None for index, row in enumerate(rows))


def itself(model: nn.Module) -> Call:
    """A model is called as it is."""
    return model


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    images: Images,
    loss: nn.Module,
    between_batches: Callable[[], None] = lambda: None,
    calling: Callable[[nn.Module], Call] = itself,
) -> TestResult:
    """Show all the images to the network, without learning from them.

    Args:
        model: is left in eval mode.
        images: at least one.
        loss: takes (the output, the labels).
        between_batches: may raise, to end this early.
        calling: how to call a model in eval mode.
    """
    model.eval()
    call = calling(model)
    total_loss = 0.0
    scores = []
    for start in range(0, len(images), TEST_BATCH_SIZE):
        between_batches()
        inputs, labels = images.batch(slice(start, start + TEST_BATCH_SIZE))
        output = call(inputs)  # (n, classes)
        total_loss += loss(output, labels).item() * len(labels)
        scores.append(output.to("cpu", torch.float32))
    return TestResult(total_loss / len(images), torch.cat(scores), images.labels.cpu())
