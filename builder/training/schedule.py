"""The learning rate over the course of a run: the warm-up, then the scheduler."""

from collections.abc import Mapping
from math import inf
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from builder.recipe import Recipe


class Schedule:
    """Sets the learning rate of each group of the optimizer, before the first step and between steps.

    The scheduler begins where the warm-up ends; the epoch in which it ends counts for a scheduler of epochs if any of
    its steps comes after it. Without both, the learning rates stay as they are.

    To be made before the optimizer is given a state, for it begins with the optimizer's own learning rates.
    """

    def __init__(self, recipe: Recipe, optimizer: Optimizer, steps_per_epoch: int) -> None:
        self._optimizer = optimizer
        self._warmup = recipe.warmup
        self._warmup_steps = self._warmup.num_steps(steps_per_epoch) if self._warmup else 0
        self._per_epoch = recipe.scheduler is not None and recipe.scheduler.per_epoch
        self._scheduler: LRScheduler | None = None
        self._last_step: float = inf  # behind it there is no learning rate, and torch may divide by zero
        if recipe.scheduler:
            total_steps = recipe.epochs * steps_per_epoch
            left = total_steps - self._warmup_steps
            self._scheduler = recipe.scheduler.scheduler(optimizer, left, steps_per_epoch)
            self._last_step = total_steps if recipe.scheduler.spans_run else inf
        self._first_lrs = [group["lr"] for group in optimizer.param_groups]  # of the scheduler
        self._steps = 0
        self._warm_up()

    @property
    def lr(self) -> float:
        """Of the optimizer's first group, at the step to come."""
        return float(self._optimizer.param_groups[0]["lr"])

    def after_step(self) -> None:
        """To be called after each step of the optimizer."""
        self._steps += 1
        if self._steps <= self._warmup_steps:
            self._warm_up()
        elif self._scheduler and not self._per_epoch and self._steps < self._last_step:
            self._scheduler.step()

    def after_epoch(self, validation_loss: float | None) -> None:
        """To be called after the last step of each epoch, with the loss on the validation images if there are any."""
        if self._scheduler is None or not self._per_epoch or self._steps <= self._warmup_steps:
            return
        if isinstance(self._scheduler, ReduceLROnPlateau):
            assert validation_loss is not None  # the recipe has been checked
            self._scheduler.step(validation_loss)
        else:
            self._scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """How far it is; the learning rates themselves are the optimizer's."""
        return {"steps": self._steps, "scheduler": self._scheduler and self._scheduler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken, with an optimizer that does so too."""
        self._steps = state["steps"]
        if self._scheduler:
            self._scheduler.load_state_dict(state["scheduler"])

    def _warm_up(self) -> None:
        if self._warmup:
            factor = self._warmup.factor(self._steps, self._warmup_steps)
            for group, lr in zip(self._optimizer.param_groups, self._first_lrs, strict=True):
                group["lr"] = lr * factor
