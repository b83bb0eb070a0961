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
Numbers = float | list[float]  # as they are written
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


# --- what is written as one number or as several ---


def bounds(written: Numbers, around: float = 0.0, least: float = -math.inf) -> tuple[float, float]:
    if isinstance(written, list):
        return written[0], written[1]
    return max(least, around - written), around + written


def each(written: Numbers, count: int) -> list[float]:
    return written if isinstance(written, list) else [written] * count


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


def resampled(image: Image, origin: Callable[[int, int], Place], interpolation: str, fill: Numbers) -> Image:
    """Each pixel from where it comes from."""
    result = np.empty_like(image)
    fills = each(fill, len(image))
    for channel, row, column in np.ndindex(image.shape):
        result[channel, row, column] = between(image[channel], origin(column, row), interpolation, fills[channel])
    return result


# --- geometry ---


def random_rotation(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    """Counter-clockwise, where `random_affine` turns clockwise."""
    least, most = bounds(written["degrees"])
    others = {"degrees": [-most, -least], "translate": None, "scale": None, "shear": None}
    return random_affine(draws, images, written | others)


def random_affine(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    """By the inverse of the whole matrix: shift * turn * scale * lean * slant, each about the centre."""
    height, width = images.shape[2:]
    angles = draws.uniform(*bounds(written["degrees"]))
    shifts = pixels_moved(draws, images, written["translate"]) if written["translate"] else np.zeros((draws.n, 2))
    scales = draws.uniform(*written["scale"]) if written["scale"] else np.ones(draws.n)
    shear: Any = written["shear"] or 0
    slants = draws.uniform(*bounds(shear)) if any(bounds(shear)) else np.zeros(draws.n)
    is_level = not (isinstance(shear, list) and any(shear[2:]))
    leans = np.zeros(draws.n) if is_level else draws.uniform(*shear[2:])
    for image, angle, (right, down), scale, slant, lean in zip(
        images, angles, shifts, scales, slants, leans, strict=True
    ):
        turn = math.radians(angle)
        to_centre = np.array([[1, 0, -(width - 1) / 2], [0, 1, -(height - 1) / 2], [0, 0, 1]])
        slanted = np.array([[1, -math.tan(math.radians(slant)), 0], [0, 1, 0], [0, 0, 1]])
        leaned = np.array([[1, 0, 0], [-math.tan(math.radians(lean)), 1, 0], [0, 0, 1]])
        scaled = np.diag([scale, scale, 1])
        turned = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
        shifted = np.array([[1, 0, right], [0, 1, down], [0, 0, 1]])
        about_centre = turned @ scaled @ leaned @ slanted
        inverse = np.linalg.inv(shifted @ np.linalg.inv(to_centre) @ about_centre @ to_centre)

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
    sides = padding if isinstance(padding, list) else [padding, padding]
    left, above, right, below = sides if len(sides) == 4 else sides * 2
    tops, lefts = draws.integers(above + below), draws.integers(left + right)
    height, width = images.shape[2:]
    pad_width = ((above, below), (left, right))
    for image, top, start in zip(images, tops, lefts, strict=True):
        fills = [{"constant_values": fill} if mode == "constant" else {} for fill in each(written["fill"], len(image))]
        padded = [np.pad(channel, pad_width, mode=mode, **fill) for channel, fill in zip(image, fills, strict=True)]
        yield np.stack(padded)[:, top : top + height, start : start + width]


def random_horizontal_flip(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    for image, chance in zip(images, draws.uniform(0, 1), strict=True):
        yield image[:, :, ::-1] if chance < written["p"] else image


def random_vertical_flip(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    for image, chance in zip(images, draws.uniform(0, 1), strict=True):
        yield image[:, ::-1] if chance < written["p"] else image


def elastic_transform(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    alphas, sigmas = each(written["alpha"], 2), each(written["sigma"], 2)
    for image, noise in zip(images, draws.uniform(-1, 1, 2, *images.shape[2:]), strict=True):
        right, down = (gaussian_blur(one, sigmas) * alpha / 2 for one, alpha in zip(noise, alphas, strict=True))

        def origin(column: int, row: int, right: Map = right, down: Map = down) -> Place:
            return column + float(right[row, column]), row + float(down[row, column])

        yield resampled(image, origin, written["interpolation"], written["fill"])


def gaussian_blur(noise: Map, sigmas: list[float]) -> Map:
    """Along the rows by the first deviation, and along the columns by the second."""
    along_rows = np.array([blurred(row, sigmas[0]) for row in noise])
    return np.array([blurred(column, sigmas[1]) for column in along_rows.T]).T


def blurred(line: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    if sigma == 0:
        return line
    size = int(8 * sigma + 1)
    reach = (size + 1 if size % 2 == 0 else size) // 2
    kernel = np.array([math.exp(-0.5 * (step / sigma) ** 2) for step in range(-reach, reach + 1)])
    return np.convolve(np.pad(line, reach, mode="reflect"), kernel / kernel.sum(), mode="valid")


# --- values ---


def random_erasing(draws: Draws, images: Image, written: dict[str, Any]) -> Iterator[Image]:
    height, width = images.shape[2:]
    chances = draws.uniform(0, 1)
    areas = draws.uniform(*written["scale"], 10) * height * width
    ratios = np.exp(draws.uniform(math.log(written["ratio"][0]), math.log(written["ratio"][1]), 10))
    tops, lefts = draws.uniform(0, 1), draws.uniform(0, 1)
    if written["value"] == "random":
        values = draws.uniform(0, 1, *images.shape[1:])
    else:
        values = np.broadcast_to(np.reshape(written["value"], (-1, 1, 1)), images.shape)
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
        np.ones(draws.n) if jitter in (0, [1, 1]) else draws.uniform(*bounds(jitter, around=1, least=0))
        for jitter in (written["brightness"], written["contrast"])
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
