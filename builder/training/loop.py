"""The loop: train for an epoch, test, say how it went. Reading order is execution order."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from time import perf_counter

from torch import Tensor

from builder.data.images import Images
from builder.exits import TrainingError
from builder.training.evaluation import TEST_BATCH_SIZE, TestResult, evaluate
from builder.training.failures import explained
from builder.training.keeper import Keeper
from builder.training.session import Session

Observer = Callable[[int, float], None]  # after each step: the images in it, and their mean loss


@dataclass(frozen=True)
class EpochResult:
    """One epoch: its training, and the tests after it."""

    epoch: int  # from 1
    step: int  # of the whole run
    lr: float  # at the epoch's last step
    train_loss: float  # mean over the images, as trained
    test: TestResult
    validation: TestResult | None  # on the images that training keeps apart, if it does
    seconds: float  # of training; testing excluded
    images_per_second: float

    def to_json(self) -> dict[str, float]:
        """A line of `metrics.jsonl`."""
        kept_apart = {}
        if self.validation:
            kept_apart = {"validation_loss": self.validation.loss, "validation_accuracy": self.validation.accuracy}
        return {
            "epoch": self.epoch,
            "step": self.step,
            "lr": self.lr,
            "train_loss": self.train_loss,
            **kept_apart,
            "test_loss": self.test.loss,
            "test_accuracy": self.test.accuracy,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.images_per_second, 1),
        }


def train(session: Session, keeper: Keeper, observe: Observer) -> Iterator[EpochResult]:
    """Train as the recipe says, from where the session stands to the end; yields after each epoch.

    Raises:
        TrainingError: the loss or a weight is no longer finite, or memory runs out.
        OutputError: what has to be kept can't be written.
        KeyboardInterrupt: a signal asked for the end; the session is saved.
    """
    data = session.data
    while not session.is_done:
        with explained(f"with batch_size {session.recipe.batch_size}; write a smaller one"):
            train_epoch(session, keeper, observe)
        session.after_training(keeper.between_batches)
        validation = test_on(session, data.validation, keeper) if data.validation else None
        test = test_on(session, data.test, keeper)
        counts = session.counts
        result = EpochResult(
            epoch=counts.epoch,
            step=counts.step,
            lr=counts.last_lr,
            train_loss=counts.loss / counts.images,
            test=test,
            validation=validation,
            seconds=counts.seconds,
            images_per_second=counts.images / counts.seconds,
        )
        if not isfinite(test.loss):
            reason = f"training stopped after epoch {counts.epoch}: the test loss is {test.loss}"
            raise TrainingError(f"{reason}; try a lower lr; {keeper.last_good}")
        session.finish_epoch(validation)
        keeper.after_epoch(result.to_json())
        yield result


def train_epoch(session: Session, keeper: Keeper, observe: Observer) -> None:
    """What is left of this pass over the images."""
    counts = session.counts
    session.start_training()
    started = perf_counter()
    for indices in session.sampler:
        counts.last_lr = session.schedule.lr
        counts.step += 1
        loss = train_step(session, indices)
        if not isfinite(loss):
            reason = f"training stopped at step {counts.step}: the loss is {loss} (lr {counts.last_lr:g})"
            raise TrainingError(f"{reason}; try a lower lr; {keeper.last_good}")
        counts.images += len(indices)
        counts.loss += loss * len(indices)
        now = perf_counter()
        counts.seconds += now - started
        observe(len(indices), loss)
        keeper.after_step()
        started = perf_counter()


def train_step(session: Session, indices: Tensor) -> float:
    """Forward, backward, update; the mean loss of the images at these positions."""
    session.optimizer.zero_grad(set_to_none=True)
    batch_size = session.recipe.batch_size
    if len(indices) <= batch_size:
        loss = backpropagate(session, indices)
    else:  # gradients of several batches are accumulated
        loss = sum(backpropagate(session, part, indices) for part in indices.split(batch_size))
    session.clip_gradients()
    session.engine.step(session.optimizer)
    session.after_step()
    return loss


def backpropagate(session: Session, indices: Tensor, whole: Tensor | None = None) -> float:
    """Add the gradients of a batch, or of a part of a `whole` one, and give its loss, or its share in the whole."""
    # (n, channels, height, width); (n,) or, mixed, (n, classes)
    inputs, targets = session.batch(session.data.train, indices)
    loss = batch_loss(session, session.engine.forward(inputs), targets, whole)
    if loss.requires_grad:  # it doesn't where nothing learns
        session.engine.backward(loss)
    return loss.item()


def batch_loss(session: Session, output: Tensor, targets: Tensor, whole: Tensor | None) -> Tensor:
    """The mean loss of a batch, or its share in that of the `whole` one at these positions."""
    loss: Tensor = session.loss(output, targets)
    if whole is None:
        return loss
    return loss * session.recipe.loss.share(targets, session.data.train.labels.index_select(0, whole))


def test_on(session: Session, images: Images, keeper: Keeper) -> TestResult:
    """Test the network as it stands, or the average of its weights."""
    model = session.tested_model
    with explained(f"testing {TEST_BATCH_SIZE:,} images at a time; make the network smaller"):
        return evaluate(model, images, session.test_loss, keeper.between_batches, session.engine.testing)
