"""Every augmentation once more, one image and one pixel after another: what `test_augmentations` compares with.

Random numbers are drawn as the augmentations draw them; all that follows from them is written anew, in plain loops over
double precision, from the definitions.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

Map = NDArray[np.float64]  # (height, width)
Image = NDArray[np.float64]  # (channels, height, width)
Place = tuple[float, float]  # to the right and down, from the middle of the first pixel
Reference = Callable[["Draws", Image, dict[str, Any]], Iterator[Image]]


class Draws:
    """The random numbers of a batch of n images, as float64."""

    def __init__(self, generator: Generator, n: int) -> None:
        self.generator = generator
        self.n = n

    def uniform(self, low: float, high: float, *shape: int) -> NDArray[np.float64]:
        numbers = torch.rand(self.n, *shape, generator=self.generator).double().numpy()
        return numbers * (high - low) + low

    def integers(self, most: int) -> NDArray[np.int64]:
        return torch.randint(most + 1, (self.n,), generator=self.generator).numpy()

    def normal(self, *shape: int) -> NDArray[np.float64]:
        return torch.randn(self.n, *shape, generator=self.generator).double().numpy()

    def order(self) -> NDArray[np.int64]:
        return torch.randperm(self.n, generator=self.generator).numpy()


def reference(kind: str, images: Tensor, written: dict[str, Any], generator: Generator) -> Tensor:
    """The images after one augmentation whose parameters are all given; `mixup` is apart."""
    found = list(REFERENCES[kind](Draws(generator, len(images)), images.double().numpy(), written))
    return torch.tensor(np.stack(found), dtype=torch.float32)


# --- pixels between pixels ---


def pixel(image: Map, x: int, y: int, fill: float) -> float:
    height, width = image.shape
    return float(image[y, x]) if 0 <= x < width and 0 <= y < height else fill


def between(image: Map, place: Place, interpolation: str, fill: float) -> float:
    x, y = place
    if interpolation == "nearest":
        return pixel(image, round(x), round(y), fill)
    left, top = math.floor(x), math.floor(y)
    found = 0.0
    for column in (left, left + 1):
        for row in (top, top + 1):
            weight = (1 - abs(x - column)) * (1 - abs(y - row))
            found += weight * pixel(image, column, row, fill)
    return found


def resampled(image: Image, origin: Callable[[int, int], Place], interpolation: str, fill: float) -> Image:
    """Each pixel from where it comes from."""
    result = np.empty_like(image)
    for channel, row, column in np.ndindex(image.shape):
        result[channel, row, column] = between(image[channel], origin(column, row), interpolation, fill)
    return result


# --- geometry ---


def random_rotation(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    return random_affine(draws, images, {"translate": None, "scale": None, "shear": None} | written)


def random_affine(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    """By the inverse of the whole matrix: shift * turn * scale * slant, each about the centre."""
    height, width = images.shape[2:]
    angles = draws.uniform(-written["degrees"], written["degrees"])
    shifts = pixels_moved(draws, images, written["translate"]) if written["translate"] else np.zeros((draws.n, 2))
    scales = draws.uniform(*written["scale"]) if written["scale"] else np.ones(draws.n)
    slants = draws.uniform(-written["shear"], written["shear"]) if written["shear"] else np.zeros(draws.n)
    for image, angle, (right, down), scale, slant in zip(images, angles, shifts, scales, slants, strict=True):
        turn = math.radians(angle)
        to_centre = np.array([[1, 0, -(width - 1) / 2], [0, 1, -(height - 1) / 2], [0, 0, 1]])
        slanted = np.array([[1, -math.tan(math.radians(slant)), 0], [0, 1, 0], [0, 0, 1]])
        scaled = np.diag([scale, scale, 1])
        turned = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
        shifted = np.array([[1, 0, right], [0, 1, down], [0, 0, 1]])
        inverse = np.linalg.inv(shifted @ np.linalg.inv(to_centre) @ turned @ scaled @ slanted @ to_centre)

        def origin(column: int, row: int, inverse: Map = inverse) -> Place:
            x, y, _ = inverse @ (column, row, 1)
            return float(x), float(y)

        yield resampled(image, origin, written["interpolation"], written["fill"])


def pixels_moved(draws: Draws, images: Image, shares: tuple[float, float]) -> NDArray[np.float64]:
    height, width = images.shape[2:]
    return np.asarray(np.rint(draws.uniform(-1, 1, 2) * (shares[0] * width, shares[1] * height)))


def random_translate(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    for image, (right, down) in zip(images, pixels_moved(draws, images, written["translate"]), strict=True):

        def origin(column: int, row: int, right: float = right, down: float = down) -> Place:
            return column - right, row - down

        yield resampled(image, origin, "nearest", written["fill"])


def random_crop(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    padding, mode = written["padding"], written["padding_mode"]
    tops, lefts = draws.integers(2 * padding), draws.integers(2 * padding)
    height, width = images.shape[2:]
    for image, top, left in zip(images, tops, lefts, strict=True):
        fill = {"constant_values": written["fill"]} if mode == "constant" else {}
        around = np.stack([np.pad(channel, padding, mode=mode, **fill) for channel in image])
        yield around[:, top : top + height, left : left + width]


def random_horizontal_flip(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    for image, chance in zip(images, draws.uniform(0, 1), strict=True):
        yield image[:, :, ::-1] if chance < written["p"] else image


def random_vertical_flip(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    for image, chance in zip(images, draws.uniform(0, 1), strict=True):
        yield image[:, ::-1] if chance < written["p"] else image


def elastic_transform(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    for image, noise in zip(images, draws.uniform(-1, 1, 2, *images.shape[2:]), strict=True):
        right, down = (gaussian_blur(one, written["sigma"]) * written["alpha"] / 2 for one in noise)

        def origin(column: int, row: int, right: Map = right, down: Map = down) -> Place:
            return column + float(right[row, column]), row + float(down[row, column])

        yield resampled(image, origin, written["interpolation"], written["fill"])


def gaussian_blur(noise: Map, sigma: float) -> Map:
    if sigma == 0:
        return noise
    size = int(8 * sigma + 1)
    reach = (size + 1 if size % 2 == 0 else size) // 2
    kernel = np.array([math.exp(-0.5 * (step / sigma) ** 2) for step in range(-reach, reach + 1)])
    padded = np.pad(noise, reach, mode="reflect")
    rows = [np.convolve(row, kernel / kernel.sum(), mode="valid") for row in padded]
    columns = [np.convolve(column, kernel / kernel.sum(), mode="valid") for column in np.array(rows).T]
    return np.array(columns).T


# --- values ---


def random_erasing(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    height, width = images.shape[2:]
    chances = draws.uniform(0, 1)
    areas = draws.uniform(*written["scale"], 10) * height * width
    ratios = np.exp(draws.uniform(math.log(written["ratio"][0]), math.log(written["ratio"][1]), 10))
    tops, lefts = draws.uniform(0, 1), draws.uniform(0, 1)
    is_random = written["value"] == "random"
    values = draws.uniform(0, 1, *images.shape[1:]) if is_random else np.full(images.shape, written["value"])
    for index, image in enumerate(images):
        result = image.copy()
        for area, ratio in zip(areas[index], ratios[index], strict=True):
            tall, wide = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if tall < height and wide < width and chances[index] < written["p"]:
                top, left = int(tops[index] * (height - tall + 1)), int(lefts[index] * (width - wide + 1))
                part = (slice(None), slice(top, top + tall), slice(left, left + wide))
                result[part] = values[index][part]
                break
        yield result


def cutout(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    height, width = images.shape[2:]
    size = written["size"]
    rows, columns = draws.integers(height - 1), draws.integers(width - 1)
    for image, row, column in zip(images, rows, columns, strict=True):
        result = image.copy()
        top, left = row - size // 2, column - size // 2
        result[:, max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] = 0
        yield result


def color_jitter(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    brightness, contrast = (
        draws.uniform(max(0, 1 - most), 1 + most) if most else np.ones(draws.n)
        for most in (written["brightness"], written["contrast"])
    )
    for image, bright, strong in zip(images, brightness, contrast, strict=True):
        brightened = np.clip(image * bright, 0, 1)
        mean = grey(brightened).mean()
        yield np.clip(mean + (brightened - mean) * strong, 0, 1)


def grey(image: Image) -> Map:
    if len(image) != 3:
        return np.asarray(image.mean(axis=0))
    red, green, blue = image
    return np.asarray(0.2989 * red + 0.587 * green + 0.114 * blue)


def gaussian_noise(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    for image, noise in zip(images, draws.normal(*images.shape[1:]), strict=True):
        yield np.clip(image + written["mean"] + written["sigma"] * noise, 0, 1)


def mixup(images: Tensor, shares_of_classes: Tensor, alpha: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Images and targets; the share from Student's distribution, as it is usually written."""
    draws = Draws(generator, len(images))
    mixed_images: list[Tensor] = []
    mixed_targets: list[Tensor] = []
    for index, ((u, v), other) in enumerate(zip(draws.uniform(0, 1, 2), draws.order(), strict=True)):
        student = math.sqrt(u ** (-1 / alpha) - 1) * math.cos(2 * math.pi * v)
        share = (1 + student / math.sqrt(1 + student**2)) / 2
        for values, mixed in ((images, mixed_images), (shares_of_classes, mixed_targets)):
            mixed.append(share * values[index].double() + (1 - share) * values[other].double())
    return torch.stack(mixed_images).float(), torch.stack(mixed_targets).float()


REFERENCES: dict[str, Reference] = {
    "random_rotation": random_rotation,
    "random_affine": random_affine,
    "random_translate": random_translate,
    "random_crop": random_crop,
    "random_horizontal_flip": random_horizontal_flip,
    "random_vertical_flip": random_vertical_flip,
    "random_erasing": random_erasing,
    "cutout": cutout,
    "elastic_transform": elastic_transform,
    "color_jitter": color_jitter,
    "gaussian_noise": gaussian_noise,
}
