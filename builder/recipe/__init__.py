"""How a network is trained: the fields of `training`, and the kinds that they choose from."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from builder.fields import (
    DOTTED_NAME,
    END,
    Boolean,
    Choice,
    Count,
    Flag,
    Integer,
    ListOf,
    Number,
    OrNull,
    Text,
    WordOr,
    matches,
    parameter,
)
from builder.kinds import Kind, Misfit, Nested, OneOf
from builder.limits import (
    MAX_AUGMENTATIONS,
    MAX_BATCH_SIZE,
    MAX_EPOCHS,
    MAX_LAYERS,
    MAX_SEED,
    MAX_THREADS,
)
from builder.recipe.augmentations import Augmentation
from builder.recipe.averaging import Averaging
from builder.recipe.budget import Budget
from builder.recipe.datasets import Dataset
from builder.recipe.datasets.folders import FOLDER
from builder.recipe.initialisation import ByLayer, Initialiser
from builder.recipe.losses import Loss
from builder.recipe.optimizers import Optimizer
from builder.recipe.parameter_groups import ParameterGroups
from builder.recipe.rules import FLOAT16_NEEDS_A_GPU, INSTEAD_OF_FLOAT16, rules_of, rules_of_size
from builder.recipe.schedulers import Scheduler
from builder.recipe.stopping import EarlyStopping
from builder.recipe.validation import Validation
from builder.recipe.warmup import Warmup

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
CUDA_GRAPHS = "reduce-overhead"
UNCLIPPED = "not clipped"

DEVICE = Text(
    rf"^(auto|cpu|mps|cuda(:[0-9]{{1,3}})?){END}",
    16,
    "a device is `auto`, `cpu`, `mps`, `cuda`, or one of several such as `cuda:1`",
)


class Recipe(Kind):
    """How the network is trained and tested; `check` and `show` do without."""

    dataset: Annotated[Dataset, OneOf(Dataset)] = parameter("the images to train and test on, such as mnist")
    validation: Annotated[Validation | None, OrNull(Nested(Validation))] = parameter(
        "training images kept apart, to choose by, such as {size: 5000}", default=None, default_text="none"
    )
    augmentations: Annotated[tuple[Augmentation, ...], ListOf(OneOf(Augmentation), 0, MAX_AUGMENTATIONS)] = parameter(
        "what is done to training images, one after another, such as [random_horizontal_flip]",
        default=(),
        default_text="none",
    )
    epochs: Annotated[int, Integer(1, MAX_EPOCHS)] = parameter("passes over the training images, such as 3")
    batch_size: Annotated[int, Integer(1, MAX_BATCH_SIZE)] = parameter("images per step, such as 64")
    loss: Annotated[Loss, OneOf(Loss)] = parameter("what training makes small, such as cross_entropy")
    optimizer: Annotated[Optimizer, OneOf(Optimizer)] = parameter("how a step follows from a gradient, such as adam")
    scheduler: Annotated[Scheduler | None, OrNull(OneOf(Scheduler))] = parameter(
        "how the learning rate changes during the run", default=None, default_text="it stays as it is"
    )
    warmup: Annotated[Warmup | None, OrNull(Nested(Warmup))] = parameter(
        "small steps at first: the learning rate climbs to where the scheduler begins, such as {epochs: 1}",
        default=None,
        default_text="none",
    )
    parameter_groups: Annotated[ParameterGroups, Nested(ParameterGroups)] = parameter(
        "which parameters are trained differently from the others, such as {decay_norms_and_biases: false}", default={}
    )
    seed: Annotated[int, Integer(0, MAX_SEED)] = parameter("start of every random choice", default=0)
    gradient_accumulation: Count = parameter("batches whose gradients make one step together", default=1)
    clip_grad_norm: Annotated[float | None, OrNull(Number(above=0))] = parameter(
        "gradients whose norm, over all weights, is larger are scaled down to it", default=None, default_text=UNCLIPPED
    )
    clip_grad_value: Annotated[float | None, OrNull(Number(above=0))] = parameter(
        "each number of a gradient is kept between minus this and this", default=None, default_text=UNCLIPPED
    )
    averaging: Annotated[Averaging | None, OrNull(OneOf(Averaging))] = parameter(
        "an average of the weights, which is tested and kept in their place", default=None, default_text="none"
    )
    early_stopping: Annotated[EarlyStopping | None, OrNull(Nested(EarlyStopping))] = parameter(
        "ends the run when the validation images no longer improve, such as {patience: 3}",
        default=None,
        default_text="none",
    )
    initialisation: Annotated[Mapping[str, Initialiser], ByLayer(OneOf(Initialiser))] = parameter(
        "how weights begin, where not as torch draws them: by kind of layer, as in {conv2d: kaiming_normal}, or by the "
        "name of a layer, which goes before its kind; biases of these layers begin at 0",
        default={},
    )
    start_from: Annotated[str | None, OrNull(FOLDER)] = parameter(
        "the folder of a finished run, such as runs/net/1, whose weights are taken where names and shapes agree",
        default=None,
        default_text="none",
    )
    freeze: Annotated[tuple[str, ...], ListOf(DOTTED_NAME, 0, MAX_LAYERS)] = parameter(
        "names of layers that don't learn, such as [conv1, block1.bn2]; their norms keep their running statistics",
        default=(),
    )
    precision: Annotated[str, Choice(PRECISIONS)] = parameter(
        "numbers to compute with, weights staying float32; `auto` is bfloat16 where that is right and fast",
        default="float32",
    )
    channels_last: Annotated[bool | str, WordOr(("auto",), Boolean())] = parameter(
        "keep the channels of a pixel side by side in memory; `auto` except on a GPU in float32", default="auto"
    )
    fast_algorithms: Flag = parameter(
        "faster ways to compute convolutions, batch norm, pooling and steps, equal up to rounding; dropout draws other "
        "masks of the same distribution",
        default=True,
    )
    compile: Annotated[bool | str, WordOr((CUDA_GRAPHS,), Boolean())] = parameter(
        f"let torch.compile make one program of the network; `{CUDA_GRAPHS}`, torch's word for that mode, lets a GPU "
        "run a whole step by one call (CUDA graphs), meant for small layers",
        default=False,
    )
    deterministic: Flag = parameter(
        "only algorithms that give the same bits each time; on a CPU they do anyway", default=False
    )
    threads: Annotated[int | None, OrNull(Integer(1, MAX_THREADS))] = parameter(
        "of a CPU to compute with", default=None, default_text="torch's own choice"
    )
    device: Annotated[str, DEVICE] = parameter(
        "where to train; `auto` takes a GPU if there is one: `cuda`, else `mps`, else `cpu`", default="auto"
    )

    @property
    def possible_datasets(self) -> tuple[Dataset, ...]:
        """What a run may train on: the data set, and its fallback."""
        fallback = self.dataset.fallback_dataset
        return (self.dataset, fallback) if fallback else (self.dataset,)

    def num_train(self, dataset: Dataset) -> int | None:
        """Images of it that training sees: without those kept apart. None where only a run can count them."""
        if dataset.num_train is None:
            return None
        return dataset.num_train - (self.validation.size if self.validation else 0)

    @property
    def images_per_step(self) -> int:
        """Whose gradients make one step; fewer in the last of an epoch."""
        return self.batch_size * self.gradient_accumulation

    def steps_per_epoch(self, num_images: int) -> int:
        """The last of them may be smaller."""
        return -(-num_images // self.images_per_step)

    def rules(self) -> Iterator[Misfit]:
        """The rules of the whole; those of each choice are its own."""
        return rules_of(self)


def is_device(text: str) -> bool:
    """Whether a text names a device."""
    return matches(DEVICE, text)


__all__ = [
    "DEVICE",
    "FLOAT16_NEEDS_A_GPU",
    "INSTEAD_OF_FLOAT16",
    "Augmentation",
    "Averaging",
    "Budget",
    "Dataset",
    "Initialiser",
    "Loss",
    "Optimizer",
    "Recipe",
    "Scheduler",
    "Validation",
    "is_device",
    "rules_of_size",
]
