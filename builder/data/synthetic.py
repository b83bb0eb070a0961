"""Images made from nothing but a seed: a pattern for each class, moved a little, in noise."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from builder.data.stored import Labelled
from builder.recipe.datasets import Synthetic

PATTERN_SIZE = 5  # numbers along each side of a pattern, before it is made as large as the images
MAX_SHIFT = 1 / 7  # of the image's height and width: four pixels of 28
NOISE = 0.3  # its deviation, where pixels lie between 0 and 1
NUMBERS_AT_ONCE = 10_000_000


def synthetic_images(dataset: Synthetic) -> tuple[Labelled, Labelled]:
    """The training and the test images: of the same patterns, with other shifts and other noise."""
    random = torch.Generator().manual_seed(dataset.seed)
    patterns = _patterns(dataset, random)
    return _made(patterns, dataset.train_size, random), _made(patterns, dataset.test_size, random)


def _patterns(dataset: Synthetic, random: torch.Generator) -> Tensor:
    """float32 (classes, channels, height, width): smooth, and from 0 to 1 each."""
    channels, height, width = dataset.image
    coarse = torch.rand(dataset.num_classes, channels, PATTERN_SIZE, PATTERN_SIZE, generator=random)
    patterns: Tensor = interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    return patterns


def _made(patterns: Tensor, size: int, random: torch.Generator) -> Labelled:
    """So many images, the classes in turn."""
    labels = torch.arange(size) % len(patterns)
    images = torch.empty(size, *patterns.shape[1:], dtype=torch.uint8)
    at_once = max(1, NUMBERS_AT_ONCE // patterns[0].numel())
    for start in range(0, size, at_once):
        part = slice(start, start + at_once)
        images[part] = _noisy(_moved(patterns[labels[part]], random), random)
    return Labelled(images, labels)


def _moved(images: Tensor, random: torch.Generator) -> Tensor:
    """Each rolled around by up to `MAX_SHIFT`, in both directions."""
    height, width = images.shape[2:]
    rows, columns = (_places(len(images), length, random) for length in (height, width))
    channels = torch.arange(images.shape[1]).view(1, -1, 1, 1)
    return images[torch.arange(len(images)).view(-1, 1, 1, 1), channels, rows[:, None, :, None], columns[:, None, None]]


def _places(count: int, length: int, random: torch.Generator) -> Tensor:
    """Where the rows (or columns) of each image come from, int64 (count, length)."""
    most = int(length * MAX_SHIFT)
    shifts = torch.randint(-most, most + 1, (count, 1), generator=random)
    return (torch.arange(length) + shifts) % length


def _noisy(images: Tensor, random: torch.Generator) -> Tensor:
    noise = torch.randn(images.shape, generator=random) * NOISE
    return ((images + noise).clamp(0, 1) * 255).round().to(torch.uint8)
