"""Which images of a data set are used, and for what."""

import torch
from torch import Tensor

from builder.recipe import Validation


def evenly(labels: Tensor, size: int) -> Tensor:
    """The positions of `size` images, in their order: as many of each class as there are, the first ones."""
    by_class = labels.argsort(stable=True)
    counts = labels.bincount()
    first = counts.cumsum(0) - counts  # of each class, where it begins in `by_class`
    rank = torch.empty_like(labels)  # the how many-th of its class an image is
    rank[by_class] = torch.arange(len(labels)) - first[labels[by_class]]
    return rank.argsort(stable=True)[:size].sort().values


def kept_apart(num_images: int, validation: Validation) -> tuple[Tensor, Tensor]:
    """The positions of the images to train on, and of those kept apart, both in their order."""
    order = torch.randperm(num_images, generator=torch.Generator().manual_seed(validation.seed))
    train, apart = order[: -validation.size], order[-validation.size :]
    return train.sort().values, apart.sort().values
