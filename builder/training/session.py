"""Everything that a run changes as it goes, in one place, so that a checkpoint can hold all of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from builder.data.images import Data, Images
from builder.limits import MAX_SEED
from builder.plan import Plan
from builder.recipe import Recipe
from builder.training.augmentation import Augmentations
from builder.training.averaging import Average
from builder.training.engine import Engine
from builder.training.evaluation import TestResult
from builder.training.freezing import Frozen
from builder.training.parameter_groups import parameter_groups
from builder.training.precision import chosen_precision
from builder.training.sampler import Sampler
from builder.training.schedule import Schedule

TRIED_IMAGES = 8  # for `precision: auto`


@dataclass
class Counts:
    """How far a run has come. The sums are of the epoch in progress."""

    epoch: int = 1  # the one in progress; beyond the recipe's when the run is done
    step: int = 0  # of the whole run
    images: int = 0
    loss: float = 0.0  # sum over the images, as trained
    seconds: float = 0.0  # of training; testing excluded
    last_lr: float = 0.0  # of the last step

    def start_epoch(self) -> None:
        self.epoch += 1
        self.images, self.loss, self.seconds = 0, 0.0, 0.0


@dataclass
class Best:
    """What the validation images say; without any, nothing."""

    loss: float | None = None
    step: int | None = None
    epochs_since: int = 0  # without a better one

    def see(self, loss: float, step: int, min_delta: float = 0.0) -> None:
        """Compare a loss with the best so far; one that is not a number is never the best."""
        if loss < (float("inf") if self.loss is None else self.loss - min_delta):
            self.loss, self.step, self.epochs_since = loss, step, 0
        else:
            self.epochs_since += 1


class Session:
    """A network in training: itself, its optimizer and schedule, the order of images, the random states, the counts.

    Every random choice follows from the recipe's seed, which torch has been given before `model` was built.
    """

    def __init__(self, plan: Plan, model: nn.Sequential, data: Data, before: Mapping[str, str] | None = None) -> None:
        """Prepare to train.

        Args:
            plan: what the model was built from.
            model: the network.
            data: what it is trained and tested on, on the device.
            before: what `precision: auto` has chosen in the same run, by the type of the device.
        """
        recipe = plan.spec.require_recipe()
        self.plan = plan
        self.model = model
        self.data = data
        self.recipe = recipe
        self.device = data.device
        self.frozen = Frozen(model, recipe.freeze)
        self.sampler = Sampler(len(data.train), recipe.images_per_step, recipe.seed, self.device)
        self.optimizer = recipe.optimizer.optimizer(parameter_groups(model, recipe))
        self.schedule = Schedule(recipe, self.optimizer, self.sampler.num_batches)
        self.augment = _augmentations(recipe, data)
        precision = (before or {}).get(self.device.type, recipe.precision)
        tried = data.train.batch(slice(0, TRIED_IMAGES))[0]
        precision = chosen_precision(precision, model, tried, self.device)
        self.engine = Engine(recipe.changed(precision=precision), model, self.device)
        self.engine.fuse(self.optimizer)
        self.average = Average(model, recipe.averaging, recipe.freeze, self.engine) if recipe.averaging else None
        self.loss = recipe.loss.training_loss().to(self.device)
        self.test_loss = recipe.loss.test_loss().to(self.device)
        self.counts = Counts()
        self.best = Best()

    @property
    def is_done(self) -> bool:
        """Whether no epoch is left, or early stopping ended the run."""
        return self.counts.epoch > self.recipe.epochs or self.is_stopped_early

    @property
    def is_stopped_early(self) -> bool:
        early_stopping = self.recipe.early_stopping
        return early_stopping is not None and self.best.epochs_since >= early_stopping.patience

    @property
    def tested_model(self) -> nn.Module:
        """The network, or the average of its weights."""
        return self.average.model if self.average else self.model

    def start_training(self) -> None:
        """Let the network learn again, after a test; what is frozen stays as it is."""
        self.model.train()
        self.frozen.keep_still()

    def clip_gradients(self) -> None:
        """Keep the gradients within the bounds of the recipe, if it has any."""
        recipe = self.recipe
        if recipe.clip_grad_value is None and recipe.clip_grad_norm is None:
            return
        self.engine.before_clipping(self.optimizer)
        if recipe.clip_grad_value is not None:
            nn.utils.clip_grad_value_(self.model.parameters(), recipe.clip_grad_value)
        if recipe.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip_grad_norm)

    def batch(self, images: Images, indices: Tensor) -> tuple[Tensor, Tensor]:
        """A batch to train on: inputs, float32 (n, channels, height, width), and labels or, mixed, (n, classes)."""
        if self.augment is None:
            return images.batch(indices)
        pixels, targets = self.augment(images.pixels(indices), images.labels.index_select(0, indices))
        return images.normalised(pixels), targets

    def after_step(self) -> None:
        """Let the schedule and the average see a step."""
        self.schedule.after_step()
        if self.average:
            self.average.after_step()

    def after_training(self, between_batches: Callable[[], None]) -> None:
        """Let the average see the end of an epoch's training; `between_batches` may raise, to end this early."""
        if self.average:
            self.average.after_epoch(self.counts.epoch, self.data.train, between_batches)

    def finish_epoch(self, validation: TestResult | None) -> None:
        """Let the schedule and the choices by the validation images see an epoch, and begin the next."""
        self.schedule.after_epoch(validation.loss if validation else None)
        if validation:
            early_stopping = self.recipe.early_stopping
            self.best.see(validation.loss, self.counts.step, early_stopping.min_delta if early_stopping else 0.0)
        self.counts.start_epoch()
        self.sampler.start_epoch()

    def state_dict(self) -> dict[str, Any]:
        """Plain types and tensors only; of the model first."""
        parts = {name: part.state_dict() for name, part in self._parts()}
        return parts | {
            "counts": asdict(self.counts),
            "best": asdict(self.best),
            "random": random_states(self.device),
            "device": self.device.type,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken, to the same bits."""
        for name, part in self._parts():
            # Random numbers of one kind of device can't be drawn on another: there, other draws follow.
            if name != "augment" or state["device"] == self.device.type:
                part.load_state_dict(state[name])
        for name, record in (("counts", self.counts), ("best", self.best)):
            for field in fields(record):
                setattr(record, field.name, state[name][field.name])
        self.engine.fuse(self.optimizer)
        set_random_states(state["random"], self.device)

    def _parts(self) -> Iterator[tuple[str, Any]]:
        yield "model", self.model
        yield "optimizer", self.optimizer
        yield "schedule", self.schedule
        yield "sampler", self.sampler
        yield "engine", self.engine
        if self.average is not None:
            yield "average", self.average
        if self.augment is not None:
            yield "augment", self.augment


def _augmentations(recipe: Recipe, data: Data) -> Augmentations | None:
    """Those of the recipe, which draw from a generator of their own; None if it has none."""
    if not recipe.augmentations:
        return None
    # Another stream than that of the order and of torch itself, and than that of a run with any other seed.
    generator = torch.Generator(data.device).manual_seed(recipe.seed + MAX_SEED + 1)
    return Augmentations(recipe.augmentations, len(data.dataset.classes), generator)


def random_states(device: torch.device) -> dict[str, Tensor]:
    """Torch's own, from which dropout draws."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def set_random_states(states: Mapping[str, Tensor], device: torch.device) -> None:
    """As they were; the state of a device that isn't there any more stays unused."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    if device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"])
