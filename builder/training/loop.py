"""The loop: train for an epoch, test, say how it went. Reading order is execution order."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from builder.exits import TrainingError, stop_if_asked
from builder.recipe import Recipe
from builder.training.data import Data, Images

TEST_BATCH_SIZE = 1000

Observer = Callable[[int, float], None]  # after each step: the images in the batch, and its loss


@dataclass(frozen=True)
class TestResult:
    """How the network does on images that it was not trained on."""

    loss: float  # mean over the images
    correct: int
    total: int

    @property
    def accuracy(self) -> float:
        """A fraction."""
        return self.correct / self.total


@dataclass(frozen=True)
class EpochResult:
    """One epoch: its training, and the test after it."""

    epoch: int  # from 1
    step: int  # of the whole run
    lr: float  # at the epoch's last step
    train_loss: float  # mean over the images, as trained
    test: TestResult
    seconds: float  # of training; testing excluded
    images_per_second: float

    def to_json(self) -> dict[str, object]:
        return {
            "epoch": self.epoch,
            "step": self.step,
            "lr": self.lr,
            "train_loss": self.train_loss,
            "test_loss": self.test.loss,
            "test_accuracy": self.test.accuracy,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.images_per_second, 1),
        }


def train(model: nn.Module, data: Data, recipe: Recipe, observe: Observer) -> Iterator[EpochResult]:
    """Train as the recipe says; yields after each epoch.

    Every random choice follows from `recipe.seed`, which the caller has also given to torch before building `model`.

    Raises:
        TrainingError: the loss is no longer finite, or memory runs out.
    """
    num_images = len(data.train)
    optimizer = recipe.optimizer.optimizer(model.parameters())
    scheduler = None
    if recipe.scheduler:
        scheduler = recipe.scheduler.scheduler(optimizer, recipe.total_steps(num_images))
    per_epoch = recipe.scheduler is not None and recipe.scheduler.per_epoch
    loss = recipe.loss.training_loss()
    shuffle = torch.Generator().manual_seed(recipe.seed)
    step = 0
    for epoch in range(1, recipe.epochs + 1):
        order = torch.randperm(num_images, generator=shuffle).to(data.train.labels.device)
        batches = order.split(recipe.batch_size)
        started = perf_counter()
        with _out_of_memory_explained(recipe):
            per_step = None if per_epoch else scheduler
            train_loss, lr = train_epoch(model, data.train, batches, loss, optimizer, per_step, observe, step)
        seconds = perf_counter() - started
        step += len(batches)
        if scheduler and per_epoch:
            scheduler.step()
        test = evaluate(model, data.test, recipe.loss.test_loss())
        yield EpochResult(epoch, step, lr, train_loss, test, seconds, num_images / seconds)


def train_epoch(
    model: nn.Module,
    images: Images,
    batches: tuple[Tensor, ...],
    loss: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler | None,
    observe: Observer,
    steps_before: int = 0,
) -> tuple[float, float]:
    """One pass over the batches (each a tensor of indices); the mean loss over the images, and the last step's lr.

    Raises:
        TrainingError: the loss is not finite.
    """
    model.train()
    total = 0.0
    lr = 0.0
    for step, indices in enumerate(batches, start=steps_before + 1):
        stop_if_asked()
        inputs, labels = images.batch(indices)  # (n, channels, height, width), (n,)
        optimizer.zero_grad(set_to_none=True)
        batch_loss: Tensor = loss(model(inputs), labels)
        value = batch_loss.item()
        lr = float(optimizer.param_groups[0]["lr"])
        if not isfinite(value):
            raise TrainingError(f"training stopped at step {step}: the loss is {value} (lr {lr:g}); try a lower lr")
        batch_loss.backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
        total += value * len(indices)
        observe(len(indices), value)
    return total / sum(len(indices) for indices in batches), lr


@torch.inference_mode()
def evaluate(model: nn.Module, images: Images, loss: nn.Module) -> TestResult:
    """Test the network: mean loss over the images, and how many it gets right."""
    model.eval()
    total_loss = 0.0
    correct = 0
    for start in range(0, len(images), TEST_BATCH_SIZE):
        inputs, labels = images.batch(slice(start, start + TEST_BATCH_SIZE))
        output = model(inputs)  # (n, classes)
        total_loss += loss(output, labels).item() * len(labels)
        correct += int((output.argmax(dim=1) == labels).sum())
    return TestResult(total_loss / len(images), correct, len(images))


@contextmanager
def _out_of_memory_explained(recipe: Recipe) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        is_memory = isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error)
        if not is_memory:
            raise
        message = f"training stopped: out of memory with batch_size {recipe.batch_size}; write a smaller one"
        raise TrainingError(message) from None
