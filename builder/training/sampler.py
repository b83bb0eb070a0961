"""In which order the images come."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


class Sampler:
    """The batches of one epoch after another, each in an order of its own.

    It counts the batches that it has given, so that a run which is resumed sees exactly those that were left.
    """

    def __init__(self, num_images: int, batch_size: int, seed: int, device: torch.device) -> None:
        self._num_images = num_images
        self._batch_size = batch_size
        self._device = device
        self._generator = torch.Generator().manual_seed(seed)
        self.start_epoch()

    def start_epoch(self) -> None:
        """Draw the next order."""
        self._drawn_from = self._generator.get_state()
        order = torch.randperm(self._num_images, generator=self._generator)
        self._batches = order.to(self._device).split(self._batch_size)
        self.num_given = 0

    @property
    def num_batches(self) -> int:
        """Of an epoch; the last batch may be smaller."""
        return len(self._batches)

    def __iter__(self) -> Iterator[Tensor]:
        """What is left of this epoch: positions of images, int64 (n,)."""
        while self.num_given < len(self._batches):
            self.num_given += 1
            yield self._batches[self.num_given - 1]

    def state_dict(self) -> dict[str, Any]:
        return {"drawn_from": self._drawn_from, "num_given": self.num_given}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._generator.set_state(state["drawn_from"])
        self.start_epoch()
        self.num_given = state["num_given"]
