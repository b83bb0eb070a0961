"""The average of a network's weights, kept beside it while it is trained."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from builder.data.images import Images
from builder.modules import Call
from builder.recipe.averaging import Averaging
from builder.training.engine import Engine
from builder.training.freezing import Frozen

STATISTICS_BATCH_SIZE = 1000  # large, for a mean of batches' variances is too small by what the batches differ


class Average:
    """What the recipe's `averaging` asks for."""

    def __init__(self, model: nn.Module, averaging: Averaging, frozen: Collection[str], engine: Engine) -> None:
        """Begin with nothing in it.

        Args:
            model: the network in training.
            averaging: of the recipe.
            frozen: the names of layers whose norms keep their statistics.
            engine: how networks of this make are called.
        """
        self._model = model
        self._averaging = averaging
        self._averaged = averaging.averaged(model)
        self._frozen = Frozen(self._averaged.module, frozen)
        self._forward = engine.training(self._averaged.module)

    @property
    def model(self) -> nn.Module:
        """The average, or the network itself while nothing is in the average."""
        averaged: nn.Module = self._averaged.module
        return averaged if self._averaged.n_averaged else self._model

    def after_step(self) -> None:
        """Count the weights of this step."""
        if not self._averaging.per_epoch:
            self._averaged.update_parameters(self._model)

    def after_epoch(self, epoch: int, images: Images, between_batches: Callable[[], None]) -> None:
        """Count the weights at the end of this epoch, and give the norms of the average their statistics."""
        first = self._averaging.first_epoch()
        if not self._averaging.per_epoch or epoch < first:
            return
        if int(self._averaged.n_averaged) <= epoch - first:  # else it was counted before its test was interrupted
            self._averaged.update_parameters(self._model)
        compute_statistics(self._averaged.module, self._forward, images, self._frozen.norms, between_batches)

    def state_dict(self) -> dict[str, Any]:
        return self._averaged.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._averaged.load_state_dict(state)


@torch.no_grad()
def compute_statistics(
    model: nn.Module,
    forward: Call,
    images: Images,
    frozen: Collection[nn.Module],
    between_batches: Callable[[], None],
) -> None:
    """The running statistics of batch norms that aren't frozen, as plain means over batches of (almost) equal size.

    As `torch.optim.swa_utils.update_bn`, but with dropout off: it draws nothing, so it can be ended and begun anew.
    """
    found = (module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats)
    norms = [norm for norm in found if norm not in frozen]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a plain mean over all batches
        norm.train()
    try:
        positions = torch.arange(len(images), device=images.labels.device)
        for indices in positions.tensor_split(-(-len(images) // STATISTICS_BATCH_SIZE)):
            between_batches()
            inputs, _ = images.batch(indices)
            forward(inputs)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
