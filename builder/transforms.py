"""What augmentations are made of: draws for each image of a batch, and what is done with them to all images at once.

Images are float32 (n, channels, height, width), from 0 to 1; draws are float32 or int64 (n, ...), on their device.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Generator, Tensor
from torch.nn import functional as F  # noqa: N812  # its usual name

GREY = (0.2989, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as torchvision has them
ATTEMPTS = 10  # to find a rectangle that fits, as many as torchvision makes
PAD_MODES = {"edge": "replicate", "reflect": "reflect"}  # torchvision's words, and torch's

# ---------------------------------------------------------------------------------------------------------------- draws


def uniform(images: Tensor, low: float, high: float, generator: Generator, shape: Sequence[int] = ()) -> Tensor:
    """Numbers of this shape for each image, from `low` up to `high`."""
    numbers = torch.rand(len(images), *shape, generator=generator, device=images.device)
    return numbers.mul_(high - low).add_(low)


def integers(images: Tensor, most: int, generator: Generator) -> Tensor:
    """A whole number for each image, from 0 to `most`."""
    return torch.randint(most + 1, (len(images),), generator=generator, device=images.device)


def normal(images: Tensor, mean: float, deviation: float, generator: Generator) -> Tensor:
    """A number for each value of the images."""
    return torch.randn(images.shape, generator=generator, device=images.device).mul_(deviation).add_(mean)


def happens(images: Tensor, p: float, generator: Generator) -> Tensor:
    """Whether it happens to each image, with probability `p`: bool (n, 1, 1, 1)."""
    return uniform(images, 0, 1, generator, (1, 1, 1)) < p


def farthest(images: Tensor, shares: tuple[float, float]) -> tuple[int, int]:
    """The most pixels that `shifts` gives, to the right and down."""
    height, width = images.shape[2:]
    return round(shares[0] * width), round(shares[1] * height)


def shifts(images: Tensor, shares: tuple[float, float], generator: Generator) -> Tensor:
    """Whole pixels to the right and down, up to these shares of width and height, either way: int64 (n, 2)."""
    height, width = images.shape[2:]
    most = torch.tensor([shares[0] * width, shares[1] * height], device=images.device)
    return (uniform(images, -1, 1, generator, (2,)) * most).round_().long()


def symmetric_beta(images: Tensor, alpha: float, generator: Generator) -> Tensor:
    """A share for each image, from Beta(alpha, alpha).

    From two uniform numbers, for every alpha above 0: (1 + t / sqrt(1 + t^2)) / 2 with t from Student's distribution,
    t = sqrt(u^(-1/alpha) - 1) cos(2 pi v) (Bailey 1994, doi:10.1090/S0025-5718-1994-1219702-8; Devroye 1996,
    doi:10.1145/256562.256676), written so that nothing overflows.
    """
    u, v = uniform(images, 0, 1, generator, (2,)).unbind(1)
    log_u, cosine = u.log() / alpha, (2 * math.pi * v).cos()
    above = -log_u.expm1() * cosine.square()
    return (1 + cosine.sign() * (above / (log_u.exp() + above)).sqrt()) / 2


def partners(images: Tensor, generator: Generator) -> Tensor:
    """The positions of the images in another order."""
    return torch.randperm(len(images), generator=generator, device=images.device)


def rectangles(images: Tensor, areas: tuple[float, float], ratios: tuple[float, float], generator: Generator) -> Tensor:
    """A rectangle within each image, whose share of the area and height by width lie within bounds.

    Of some attempts the first that is lower and narrower than the image counts; where none is, there is no rectangle.

    Returns:
        Whether a pixel lies in it: bool (n, 1, height, width).
    """
    height, width = images.shape[2:]
    area = uniform(images, *areas, generator, (ATTEMPTS,)) * (height * width)
    ratio = uniform(images, math.log(ratios[0]), math.log(ratios[1]), generator, (ATTEMPTS,)).exp_()
    heights, widths = (area * ratio).sqrt_().round_(), (area / ratio).sqrt_().round_()
    fits = (heights < height) & (widths < width)
    first = fits.int().argmax(dim=1, keepdim=True)
    found = fits.gather(1, first).squeeze(1)
    tall, wide = (sides.gather(1, first).squeeze(1) * found for sides in (heights, widths))
    tops = (uniform(images, 0, 1, generator) * (height + 1 - tall)).floor_()
    lefts = (uniform(images, 0, 1, generator) * (width + 1 - wide)).floor_()
    return within(images, tops, lefts, tall, wide)


# --------------------------------------------------------------------------------------------------------- what is done


def per_channel(numbers: Sequence[float], images: Tensor) -> float | Tensor:
    """One number, or one for each channel, as it is calculated with images: (channels, 1, 1)."""
    return numbers[0] if len({*numbers}) == 1 else torch.tensor(numbers, device=images.device).view(-1, 1, 1)


def warped(
    images: Tensor,
    angles: Tensor,
    moves: Tensor | None = None,
    scales: Tensor | None = None,
    slants: Tensor | None = None,
    leans: Tensor | None = None,
    *,
    interpolation: str,
    fill: Sequence[float],
) -> Tensor:
    """Images slanted, turned and scaled about their centre, then moved.

    Args:
        images: the images.
        angles: degrees, clockwise.
        moves: pixels to the right and down, (n, 2).
        scales: factors on the size.
        slants: degrees by which upright lines lean, their upper end to the right.
        leans: degrees by which level lines lean after that, their right end upwards.
        interpolation: `nearest` or `bilinear`.
        fill: what stands where there is no image, in all channels or in each.
    """
    angles = angles.deg2rad()
    sine, cosine = angles.sin(), angles.cos()
    slope = torch.zeros_like(sine) if slants is None else slants.deg2rad().tan()
    # Where the lean and then the turn take a step to the right: so far to the right, and so far down.
    across, below = cosine, sine
    if leans is not None:
        rise = leans.deg2rad().tan()
        across, below = cosine + sine * rise, sine - cosine * rise
    shrink = torch.ones_like(sine) if scales is None else 1 / scales
    rows, columns = _from_centre(images)
    if moves is not None:
        columns, rows = columns - moves[:, :1], rows - moves[:, 1:]
    # From a pixel to where it comes from: undo the turn, then the lean, the slant and the scale.
    right = _times(shrink * (cosine - slope * below), columns)[:, None, :]
    right = right + _times(shrink * (sine + slope * across), rows)[:, :, None]
    down = _times(shrink * across, rows)[:, :, None] - _times(shrink * below, columns)[:, None, :]
    return _sampled(images, right, down, interpolation, fill)


def displaced(images: Tensor, moves: Tensor, *, interpolation: str, fill: Sequence[float]) -> Tensor:
    """Images whose pixels come from somewhere else.

    Args:
        images: the images.
        moves: from each pixel to where it comes from, in pixels to the right and down, (n, 2, height, width).
        interpolation: `nearest` or `bilinear`.
        fill: what stands where there is no image, in all channels or in each.
    """
    rows, columns = _from_centre(images)
    return _sampled(images, columns + moves[:, 0], rows[:, None] + moves[:, 1], interpolation, fill)


def _from_centre(images: Tensor) -> tuple[Tensor, Tensor]:
    """Where rows and columns lie, in pixels below and to the right of the image's centre."""
    height, width = (torch.arange(side, device=images.device) - (side - 1) / 2 for side in images.shape[2:])
    return height, width


def _times(factors: Tensor, places: Tensor) -> Tensor:
    """Places, the same for all images or (n, places), times the factor of each image."""
    return factors[:, None] * places


def _sampled(images: Tensor, right: Tensor, down: Tensor, interpolation: str, fill: Sequence[float]) -> Tensor:
    """The images at places given in pixels from their centre, (n, height, width) each; outside of them is `fill`."""
    height, width = images.shape[2:]
    grid = torch.stack([right * (2 / width), down * (2 / height)], dim=3)  # torch counts in half sides
    if not any(fill):
        return F.grid_sample(images, grid, mode=interpolation, align_corners=False)
    ground = per_channel(fill, images)
    return F.grid_sample(images - ground, grid, mode=interpolation, align_corners=False).add_(ground)


def smoothed(noise: Tensor, sigmas: tuple[float, float]) -> Tensor:
    """The maps (..., height, width) under a Gaussian, reflected at the border.

    Its deviations are in pixels, to the right and down.
    """
    height, width = noise.shape[-2:]
    right, down = sigmas
    if _reach(down) > 0:
        noise = _gaussian(height, down, noise.device) @ noise
    if _reach(right) > 0:
        noise = noise @ _gaussian(width, right, noise.device).T
    return noise


def _reach(sigma: float) -> int:
    """So many pixels away a Gaussian ends, after four deviations, as torchvision's does."""
    return int(8 * sigma + 1) // 2


@lru_cache(maxsize=8)
def _gaussian(side: int, sigma: float, device: torch.device) -> Tensor:
    """The matrix that smooths along one side."""
    reach = _reach(sigma)
    distances = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = (-(distances**2) / (2 * sigma**2)).exp()
    # Reflected as often as it takes: places 0 1 2 3 2 1 0 1 ... for a side of 4.
    period = max(2 * (side - 1), 1)
    places = (torch.arange(side)[:, None] + distances.long()).remainder(period)
    places = torch.minimum(places, period - places) if side > 1 else places
    matrix = torch.zeros(side, side, dtype=torch.float64)
    matrix.scatter_add_(1, places, (weights / weights.sum()).expand(side, -1))
    return matrix.to(device, torch.float32)


def padded(images: Tensor, sides: tuple[int, int, int, int], mode: str, fill: Sequence[float]) -> Tensor:
    """Images with more pixels left, right, above and below."""
    if mode != "constant":
        return F.pad(images, sides, PAD_MODES[mode])
    ground = per_channel(fill, images)
    if isinstance(ground, Tensor):
        return F.pad(images - ground, sides).add_(ground)
    return F.pad(images, sides, value=ground)


def windows(images: Tensor, tops: Tensor, lefts: Tensor, size: Sequence[int]) -> Tensor:
    """From each image a part of this size, whose first row and column are given."""
    height, width = size
    every = images.unfold(2, height, 1).unfold(3, width, 1)  # a view: (n, channels, tops, lefts, height, width)
    return every[torch.arange(len(images), device=images.device), :, tops, lefts]


def within(images: Tensor, tops: Tensor, lefts: Tensor, heights: Tensor | int, widths: Tensor | int) -> Tensor:
    """Whether a pixel lies in the rectangle of its image: bool (n, 1, height, width)."""
    rows, columns = (torch.arange(side, device=images.device) for side in images.shape[2:])
    in_rows = (rows >= tops[:, None]) & (rows < (tops + heights)[:, None])
    in_columns = (columns >= lefts[:, None]) & (columns < (lefts + widths)[:, None])
    return in_rows[:, None, :, None] & in_columns[:, None, None, :]


def erased(images: Tensor, where: Tensor, value: Sequence[float] | str, generator: Generator) -> Tensor:
    """Images with a value, for all channels or for each, or with `random` ones, where their mask is true."""
    if isinstance(value, str):
        return uniform(images, 0, 1, generator, images.shape[1:]).where(where, images)
    return torch.where(where, per_channel(value, images), images)


def brightened(images: Tensor, factors: Tensor) -> Tensor:
    """Images with all pixels multiplied."""
    return (images * factors.view(-1, 1, 1, 1)).clamp_(0, 1)


def contrasted(images: Tensor, factors: Tensor) -> Tensor:
    """Images whose pixels' distance to the mean of the grey image is multiplied."""
    channels = images.shape[1]
    weights = GREY if channels == len(GREY) else [1 / channels] * channels
    means = images.mean(dim=(2, 3)) @ torch.tensor(weights, device=images.device)
    factors = factors.view(-1, 1, 1, 1)
    return (images * factors + (1 - factors) * means.view(-1, 1, 1, 1)).clamp_(0, 1)


def mixed(values: Tensor, shares: Tensor, others: Tensor) -> Tensor:
    """Each of the values (n, ...) with its share, and the rest from another of them."""
    return values[others].lerp(values, shares.view(-1, *[1] * (values.dim() - 1)))
