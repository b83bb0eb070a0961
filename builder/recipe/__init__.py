"""How a network is trained: the fields of `training`, and the kinds that they choose from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

from builder.fields import END, Integer, OrNull, Text, matches, parameter
from builder.kinds import Kind, Misfit, OneOf
from builder.limits import MAX_BATCH_SIZE, MAX_EPOCHS, MAX_SEED
from builder.recipe.budget import Budget
from builder.recipe.datasets import Dataset
from builder.recipe.losses import Loss
from builder.recipe.optimizers import Optimizer
from builder.recipe.schedulers import Scheduler

DEVICE = Text(
    rf"^(auto|cpu|mps|cuda(:[0-9]{{1,3}})?){END}",
    16,
    "a device is `auto`, `cpu`, `mps`, `cuda`, or one of several such as `cuda:1`",
)


@dataclass(frozen=True, kw_only=True)
class Recipe(Kind):
    """How the network is trained and tested; `check` and `show` do without."""

    dataset: Annotated[Dataset, OneOf(Dataset)] = parameter("the images to train and test on, such as mnist")
    epochs: Annotated[int, Integer(1, MAX_EPOCHS)] = parameter("passes over the training images, such as 3")
    batch_size: Annotated[int, Integer(1, MAX_BATCH_SIZE)] = parameter("images per step, such as 64")
    loss: Annotated[Loss, OneOf(Loss)] = parameter("what training makes small, such as cross_entropy")
    optimizer: Annotated[Optimizer, OneOf(Optimizer)] = parameter("how a step follows from a gradient, such as adam")
    scheduler: Annotated[Scheduler | None, OrNull(OneOf(Scheduler))] = parameter(
        "how the learning rate changes during the run", default=None, default_text="it stays as it is"
    )
    seed: Annotated[int, Integer(0, MAX_SEED)] = parameter("start of every random choice", default=0)
    device: Annotated[str, DEVICE] = parameter(
        "where to train; `auto` takes a GPU if there is one: `cuda`, else `mps`, else `cpu`", default="auto"
    )

    @property
    def possible_datasets(self) -> tuple[type[Dataset], ...]:
        """What a run may train on: the data set, and its fallback."""
        fallback = self.dataset.embedded_fallback
        return (type(self.dataset), Dataset.table[fallback]) if fallback else (type(self.dataset),)

    def total_steps(self, num_images: int) -> int:
        """Batches in the whole run; the last of each epoch may be smaller."""
        return self.epochs * -(-num_images // self.batch_size)

    def rules(self) -> Iterator[Misfit]:
        """The rules of the whole; those of each choice are its own."""
        if self.scheduler is None:
            return
        for dataset in self.possible_datasets:
            misfit = self.scheduler.check_run(self.optimizer, self.total_steps(dataset.num_train))
            if misfit:
                yield replace(misfit, field=f"scheduler.{self.scheduler.kind}.{misfit.field}")
                return


def is_device(text: str) -> bool:
    """Whether a text names a device."""
    return matches(DEVICE, text)


__all__ = ["DEVICE", "Budget", "Dataset", "Loss", "Optimizer", "Recipe", "Scheduler", "is_device"]
