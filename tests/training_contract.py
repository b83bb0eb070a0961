"""What the tests of optimizers and schedulers share: values for each kind, and a small network that takes steps."""

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F  # noqa: N812  # its usual name
from torch.optim import lr_scheduler

from builder.recipe import Recipe
from builder.training.parameter_groups import parameter_groups
from builder.training.schedule import Schedule

OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "sgd": optim.SGD,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "nadam": optim.NAdam,
    "radam": optim.RAdam,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
    "adadelta": optim.Adadelta,
    "muon": optim.Muon,
}
# Values that are no default, for every parameter of every optimizer.
OTHER_VALUES: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.2, "momentum": 0.8, "dampening": 0.1, "weight_decay": 0.01, "nesterov": False, "maximize": True},
    "adam": {
        "lr": 0.2,
        "betas": [0.8, 0.9],
        "eps": 1e-6,
        "weight_decay": 0.1,
        "amsgrad": True,
        "maximize": True,
        "decoupled_weight_decay": True,
    },
    "adamw": {"lr": 0.2, "betas": [0.8, 0.9], "eps": 1e-6, "weight_decay": 0.1, "amsgrad": True, "maximize": True},
    "nadam": {
        "lr": 0.2,
        "betas": [0.8, 0.9],
        "eps": 1e-6,
        "weight_decay": 0.1,
        "momentum_decay": 0.01,
        "decoupled_weight_decay": True,
        "maximize": True,
    },
    "radam": {
        "lr": 0.2,
        "betas": [0.8, 0.9],
        "eps": 1e-6,
        "weight_decay": 0.1,
        "decoupled_weight_decay": True,
        "maximize": True,
    },
    "rmsprop": {
        "lr": 0.2,
        "alpha": 0.9,
        "eps": 1e-6,
        "weight_decay": 0.1,
        "momentum": 0.8,
        "centered": True,
        "maximize": True,
    },
    "adagrad": {
        "lr": 0.2,
        "lr_decay": 0.01,
        "weight_decay": 0.1,
        "initial_accumulator_value": 0.1,
        "eps": 1e-6,
        "maximize": True,
    },
    "adadelta": {"lr": 0.2, "rho": 0.8, "eps": 1e-5, "weight_decay": 0.1, "maximize": True},
    "muon": {
        "lr": 0.2,
        "weight_decay": 0.01,
        "momentum": 0.8,
        "nesterov": False,
        "ns_coefficients": [2.0, -1.5, 0.5],
        "eps": 1e-6,
        "ns_steps": 4,
        "adjust_lr_fn": "match_rms_adamw",
        "adamw": {"lr": 0.02, "betas": [0.8, 0.9], "eps": 1e-6, "weight_decay": 0.1, "amsgrad": True, "maximize": True},
    },
}
SCHEDULERS: dict[str, type[lr_scheduler.LRScheduler]] = {
    "one_cycle": lr_scheduler.OneCycleLR,
    "cosine": lr_scheduler.CosineAnnealingLR,
    "cosine_restarts": lr_scheduler.CosineAnnealingWarmRestarts,
    "linear": lr_scheduler.LinearLR,
    "polynomial": lr_scheduler.PolynomialLR,
    "step": lr_scheduler.StepLR,
    "multi_step": lr_scheduler.MultiStepLR,
    "exponential": lr_scheduler.ExponentialLR,
    "reduce_on_plateau": lr_scheduler.ReduceLROnPlateau,
}
# The parameters that a scheduler must be given, with values that change something within four epochs.
REQUIRED: dict[str, dict[str, Any]] = {
    "one_cycle": {"max_lr": 0.1},
    "cosine_restarts": {"T_0": 1},
    "linear": {"start_factor": 1.0, "end_factor": 0.1},
    "step": {"step_size": 2},
    "multi_step": {"milestones": [1, 3]},
    "exponential": {"gamma": 0.9},
}
STEPS_PER_EPOCH = 10
EPOCHS = 4

INPUTS = torch.randn(STEPS_PER_EPOCH, 5, 2, 6, 6, generator=torch.Generator().manual_seed(1))
LABELS = torch.randint(3, (STEPS_PER_EPOCH, 5), generator=torch.Generator().manual_seed(2))
VALIDATION_LOSSES = (1.0, 1.1, 1.2, 1.3)  # after each epoch: the first is the lowest


def recipe(**changes: Any) -> Recipe:
    """Four epochs of ten steps."""
    written = {"dataset": "mnist", "epochs": EPOCHS, "batch_size": 6000, "loss": "cross_entropy", "optimizer": "adam"}
    return Recipe.read(written | changes)


def network() -> nn.Sequential:
    """Every sort of parameter: weights of several ranks, biases, a norm; the same numbers each time."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        nn.Tanh(),
        nn.Conv2d(4, 6, 3),
        nn.Flatten(),
        nn.Linear(24, 8),
        nn.Tanh(),
        nn.Linear(8, 3),
    )


def one_layer() -> nn.Sequential:
    """A weight and a bias, for schedules, which look at the learning rates only."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(72, 3))


class Run:
    """A network in training, as the loop trains it."""

    def __init__(self, recipe: Recipe, model: nn.Module | None = None) -> None:
        self.model = network() if model is None else model
        self.optimizer = recipe.optimizer.optimizer(parameter_groups(self.model, recipe))
        self.schedule = Schedule(recipe, self.optimizer, STEPS_PER_EPOCH)
        self.step = 0

    def take(self, steps: int) -> None:
        """So many steps; after each epoch the schedule hears of a loss that doesn't fall."""
        for _ in range(steps):
            take_step(self.model, self.optimizer, self.step)
            self.step += 1
            self.schedule.after_step()
            if self.step % STEPS_PER_EPOCH == 0:
                self.schedule.after_epoch(VALIDATION_LOSSES[self.step // STEPS_PER_EPOCH - 1])

    def kept(self) -> bytes:
        """Itself as a checkpoint holds it."""
        file = BytesIO()
        states = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": self.step,
        }
        torch.save(states, file)
        return file.getvalue()

    def go_on_from(self, kept: bytes) -> None:
        state = torch.load(BytesIO(kept), weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.step = state["step"]


def take_step(model: nn.Module, optimizer: optim.Optimizer, step: int) -> None:
    """One step on the batch that is due."""
    optimizer.zero_grad()
    batch = step % STEPS_PER_EPOCH
    F.cross_entropy(model(INPUTS[batch]), LABELS[batch]).backward()
    optimizer.step()


def are_equal(first: nn.Module, second: nn.Module) -> bool:
    """To the last bit."""
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def lrs(run: Run, steps: int) -> Iterator[list[float]]:
    """The learning rates of all groups at each of so many steps."""
    for _ in range(steps):
        yield [group["lr"] for group in run.optimizer.param_groups]
        run.take(1)


def weights() -> list[nn.Parameter]:
    return [nn.Parameter(torch.ones(1, 1))]


def raises(action: Callable[[], object], error: type[Exception]) -> bool:
    try:
        action()
    except error:
        return True
    return False


Groups = list[dict[str, Any]]


def grouped(groups: Groups, model: nn.Module) -> list[dict[str, Any]]:
    """The settings of groups, with the names of their parameters."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    return [group | {"params": [names[parameter] for parameter in group["params"]]} for group in groups]
