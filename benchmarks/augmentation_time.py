"""What augmentations cost: a batch at once, against torchvision's transforms, image by image.

    python benchmarks/augmentation_time.py [ROUNDS]

Both on one thread, in turn, with the same parameters on the same 128 images of 1x28x28. Prints medians and the ratio,
round by round; the last results are in benchmarks/results/augmentation_time.md.
"""

import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor
from torchvision.transforms import InterpolationMode, v2

from builder.recipe import Augmentation
from builder.training.augmentation import Augmentations

IMAGES = (128, 1, 28, 28)
CLASSES = 10
BILINEAR = InterpolationMode.BILINEAR

# Ours, and torchvision's for the same parameters; None where it has none. MixUp takes a whole batch, as ours does.
PAIRS: Mapping[str, tuple[Mapping[str, Any], Callable[..., Any] | None]] = {
    "random_rotation": ({"degrees": 10, "interpolation": "bilinear"}, v2.RandomRotation(10, interpolation=BILINEAR)),
    "random_affine": (
        {"degrees": 10, "translate": [0.1, 0.1], "scale": [0.9, 1.1], "shear": 10, "interpolation": "bilinear"},
        v2.RandomAffine(10, translate=(0.1, 0.1), scale=(0.9, 1.1), shear=10, interpolation=BILINEAR),
    ),
    "random_translate": ({"translate": [0.1, 0.1]}, v2.RandomAffine(0, translate=(0.1, 0.1))),
    "random_crop": ({"padding": 2}, v2.RandomCrop(28, padding=2)),
    "random_horizontal_flip": ({}, v2.RandomHorizontalFlip()),
    "random_vertical_flip": ({}, v2.RandomVerticalFlip()),
    "random_erasing": ({}, v2.RandomErasing()),
    "cutout": ({"size": 8}, None),
    "elastic_transform": ({"sigma": 3}, v2.ElasticTransform(sigma=3.0)),  # at 5 torchvision's kernel is too large
    "color_jitter": ({"brightness": 0.2, "contrast": 0.2}, v2.ColorJitter(brightness=0.2, contrast=0.2)),
    "gaussian_noise": ({}, v2.GaussianNoise()),
    "mixup": ({}, v2.MixUp(num_classes=CLASSES)),
}


def seconds(action: Callable[[], object]) -> float:
    """The time of one call, in which this process ran: other processes on the machine don't count."""
    started = time.process_time()
    action()
    return time.process_time() - started


def image_by_image(transform: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The batch, as a data set that transforms each image gives it."""
    return torch.stack([transform(image) for image in images])


def actions(kind: str, images: Tensor, labels: Tensor) -> tuple[Callable[[], object], Callable[[], object] | None]:
    """What is timed: ours, and torchvision's."""
    written, theirs = PAIRS[kind]
    augment = Augmentations([Augmentation.table[kind].read(written)], CLASSES, Generator().manual_seed(1))
    if theirs is None:
        return lambda: augment(images, labels), None
    if kind == "mixup":
        return lambda: augment(images, labels), lambda: theirs(images, labels)
    return lambda: augment(images, labels), lambda: image_by_image(theirs, images)


def main() -> None:
    """Time all pairs."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    torch.set_num_threads(1)
    torch.manual_seed(1)
    images, labels = torch.rand(IMAGES), torch.randint(CLASSES, IMAGES[:1])
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {rounds} rounds, images {list(IMAGES)}\n")
    print("| augmentation | ours | torchvision | ratio |")
    print("|---|---|---|---|")
    for kind in PAIRS:
        ours, theirs = actions(kind, images, labels)
        pairs = [(seconds(ours), seconds(theirs) if theirs else 0.0) for _ in range(rounds + 1)][
            1:
        ]  # the first warms up
        own, other = (statistics.median(column) * 1e3 for column in zip(*pairs, strict=True))
        ratio = statistics.median(first / second for first, second in pairs) if theirs else 0.0
        print(f"| {kind} | {own:.2f} ms | {f'{other:.2f} ms | {ratio:.3f}' if theirs else '- | -'} |", flush=True)


if __name__ == "__main__":
    main()
