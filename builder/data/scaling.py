"""The mean and the deviation that images are scaled by."""

from math import sqrt

import torch
from torch import Tensor

from builder.recipe.datasets import FROM_IMAGES, Dataset


def mean_and_std(dataset: Dataset, images: Tensor) -> tuple[Tensor, Tensor]:
    """As written, or of these training images (uint8): float32 (channels, 1, 1), or (1, 1, 1) for all channels."""
    computed = channel_statistics(images) if FROM_IMAGES in (dataset.mean, dataset.std) else []
    mean = [mean for mean, _ in computed] if dataset.mean == FROM_IMAGES else dataset.mean
    # A channel that is the same everywhere tells nothing, and stays 0 whatever divides it.
    std = [std or 1.0 for _, std in computed] if dataset.std == FROM_IMAGES else dataset.std
    return torch.tensor(mean).view(-1, 1, 1), torch.tensor(std).view(-1, 1, 1)


def channel_statistics(images: Tensor) -> list[tuple[float, float]]:
    """Mean and deviation of each channel of images, uint8 (n, channels, height, width), as pixels from 0 to 1.

    Computed in whole numbers, and so equal to the last bit on every machine.
    """
    return [
        _statistics(images[:, channel].flatten().bincount(minlength=256).tolist()) for channel in range(images.shape[1])
    ]


def _statistics(counts: list[int]) -> tuple[float, float]:
    """Of pixels, by how many there are of each value from 0 to 255."""
    count = sum(counts)
    total = sum(value * number for value, number in enumerate(counts))
    squares = sum(value * value * number for value, number in enumerate(counts))
    return total / count / 255, sqrt((count * squares - total * total) / count**2) / 255
