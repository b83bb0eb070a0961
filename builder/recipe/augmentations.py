"""Augmentations, named as in `torchvision.transforms.v2`: what is done to training images before they are normalised.

Each works on a whole batch at once, on the images' device, and gives every image its own draw.
"""

from collections.abc import Iterator
from math import floor
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from builder.fields import (
    Choice,
    Count,
    Finite,
    Integer,
    ListOf,
    NonNegative,
    Number,
    OrNull,
    Positive,
    Probability,
    WordOr,
    parameter,
)
from builder.kinds import Kind, Misfit
from builder.layers import Shape
from builder.limits import MAX_SIZE
from builder.problems import both

if TYPE_CHECKING:
    from torch import Generator, Tensor

MAX_DEVIATION = 1_000  # of a Gaussian, in pixels: its weights are held in memory, for each pixel along a side

_SHARE = Number(minimum=0, maximum=1)
_FACTORS = ListOf(Number(above=0), 2, 2)

Degrees = Annotated[float, Number(minimum=0, maximum=180)]
Pixel = Annotated[float, _SHARE]
PixelOrRandom = Annotated[float | str, WordOr(("random",), _SHARE)]
Shares = Annotated[tuple[float, float], ListOf(_SHARE, 2, 2)]
OptionalShares = Annotated[tuple[float, float] | None, OrNull(ListOf(_SHARE, 2, 2))]
Factors = Annotated[tuple[float, float], _FACTORS]
OptionalFactors = Annotated[tuple[float, float] | None, OrNull(_FACTORS)]
OptionalSlant = Annotated[float | None, OrNull(Number(minimum=0, below=90))]
Interpolation = Annotated[str, Choice(("nearest", "bilinear"))]
PaddingMode = Annotated[str, Choice(("constant", "edge", "reflect"))]

DEGREES = "most degrees that an image is turned by, either way, such as 10"
TRANSLATE = "most that an image is shifted by, either way, as shares of its width and of its height"
INTERPOLATION = "how a value between pixels follows from them"
FILL = "what stands where there is no image, from 0 to 1"
FLIP = "probability that an image is flipped"


class Augmentation(Kind, family="augmentation"):
    """What is done to training images, with new draws each time; pixels lie between 0 and 1, before normalisation."""

    strength: ClassVar[tuple[str, ...]] = ()  # where all of these are 0 or null, no image is changed
    mixes_targets: ClassVar[bool] = False  # gives an image shares of several classes

    def rules(self) -> Iterator[Misfit]:
        if not self.strength or any(_is_something(getattr(self, field)) for field in self.strength):
            return
        fields = both([f"`{field}`" for field in self.strength])
        what = f"{fields} is 0" if len(self.strength) == 1 else f"{fields} are 0 or left out"
        yield self._without_effect(what, self.strength[0])

    def _without_effect(self, why: str, field: str) -> Misfit:
        message = f"`{self.kind}` changes no image: {why}"
        return Misfit("without-effect", message, "write more, or remove it", field, "warning")

    def check_images(self, shape: Shape) -> Misfit | None:
        """What is wrong with it for images of this shape, if anything."""
        return None

    def augment(self, images: "Tensor", targets: "Tensor", generator: "Generator") -> tuple["Tensor", "Tensor"]:
        """Images and targets after it, as new tensors where they differ.

        Args:
            images: float32 (n, channels, height, width), from 0 to 1.
            targets: labels, int64 (n,), or where an augmentation `mixes_targets` shares, float32 (n, classes).
            generator: gives every random number; on the images' device.
        """
        return self.transformed(images, generator), targets

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        """The images after it."""
        raise NotImplementedError


class RandomRotation(Augmentation, kind="random_rotation"):
    """Turns an image about its centre."""

    strength: ClassVar = ("degrees",)

    degrees: Degrees = parameter(DEGREES)
    interpolation: Interpolation = parameter(INTERPOLATION, default="nearest")
    fill: Pixel = parameter(FILL, default=0.0)

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import uniform, warped

        angles = uniform(images, -self.degrees, self.degrees, generator)
        return warped(images, angles, interpolation=self.interpolation, fill=self.fill)


class RandomAffine(Augmentation, kind="random_affine"):
    """Slants, turns and scales an image about its centre, and shifts it by whole pixels."""

    strength: ClassVar = ("degrees", "translate", "scale", "shear")

    degrees: Degrees = parameter(DEGREES)
    translate: OptionalShares = parameter(TRANSLATE, default=None, default_text="no shift")
    scale: OptionalFactors = parameter("least and most factor on its size", default=None, default_text="its own size")
    shear: OptionalSlant = parameter(
        "most degrees that upright lines are slanted by, either way", default=None, default_text="no slant"
    )
    interpolation: Interpolation = parameter(INTERPOLATION, default="nearest")
    fill: Pixel = parameter(FILL, default=0.0)

    def rules(self) -> Iterator[Misfit]:
        yield from super().rules()
        yield from _backwards("scale", self.scale)

    def check_images(self, shape: Shape) -> Misfit | None:
        return _leaves_the_image(self.translate, shape) if self.translate else None

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import shifts, uniform, warped

        angles = uniform(images, -self.degrees, self.degrees, generator)
        moved = shifts(images, self.translate, generator) if self.translate else None
        scales = uniform(images, *self.scale, generator) if self.scale else None
        slants = uniform(images, -self.shear, self.shear, generator) if self.shear else None
        return warped(images, angles, moved, scales, slants, interpolation=self.interpolation, fill=self.fill)


class RandomTranslate(Augmentation, kind="random_translate"):
    """Shifts an image by whole pixels: `random_affine` with nothing else, and faster."""

    strength: ClassVar = ("translate",)

    translate: Shares = parameter(f"{TRANSLATE}, such as [0.1, 0.1]")
    fill: Pixel = parameter(FILL, default=0.0)

    def check_images(self, shape: Shape) -> Misfit | None:
        return _leaves_the_image(self.translate, shape)

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import farthest, padded, shifts, windows

        right, down = shifts(images, self.translate, generator).unbind(1)
        sides, ends = farthest(images, self.translate)
        around = padded(images, (sides, sides, ends, ends), "constant", self.fill)
        return windows(around, ends - down, sides - right, images.shape[2:])


class RandomCrop(Augmentation, kind="random_crop"):
    """Pads an image on all sides, and cuts its own size out of that, anywhere."""

    strength: ClassVar = ("padding",)

    padding: Annotated[int, Integer(0, MAX_SIZE)] = parameter("pixels added on each side, such as 2")
    padding_mode: PaddingMode = parameter(
        "what is added: `fill`, the pixel at the edge, or the image reflected", default="constant"
    )
    fill: Pixel = parameter(FILL, default=0.0)

    def check_images(self, shape: Shape) -> Misfit | None:
        return _leaves_no_image("padding", self.padding, shape)

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import integers, padded, windows

        tops, lefts = integers(images, 2 * self.padding, generator), integers(images, 2 * self.padding, generator)
        around = padded(images, (self.padding,) * 4, self.padding_mode, self.fill)
        return windows(around, tops, lefts, images.shape[2:])


class RandomHorizontalFlip(Augmentation, kind="random_horizontal_flip"):
    """Mirrors an image, left for right."""

    strength: ClassVar = ("p",)

    p: Probability = parameter(FLIP, default=0.5)

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import happens

        return images.flip(3).where(happens(images, self.p, generator), images)


class RandomVerticalFlip(Augmentation, kind="random_vertical_flip"):
    """Mirrors an image, top for bottom."""

    strength: ClassVar = ("p",)

    p: Probability = parameter(FLIP, default=0.5)

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import happens

        return images.flip(2).where(happens(images, self.p, generator), images)


class RandomErasing(Augmentation, kind="random_erasing"):
    """Erases a rectangle within an image (Zhong et al. 2020, arXiv:1708.04896)."""

    strength: ClassVar = ("p",)

    p: Probability = parameter("probability that a rectangle is erased", default=0.5)
    scale: Shares = parameter("least and most share of the image's area", default=(0.02, 0.33))
    ratio: Factors = parameter("least and most height of the rectangle, divided by its width", default=(0.3, 3.3))
    value: PixelOrRandom = parameter("what it is filled with, from 0 to 1, or `random` pixels", default=0.0)

    def rules(self) -> Iterator[Misfit]:
        yield from super().rules()
        yield from _backwards("scale", self.scale)
        yield from _backwards("ratio", self.ratio)
        if self.scale == (0, 0):
            yield self._without_effect("`scale` ends at 0", "scale")

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import erased, happens, rectangles

        is_erased = happens(images, self.p, generator)
        boxes = rectangles(images, self.scale, self.ratio, generator)
        return erased(images, is_erased & boxes, self.value, generator)


class Cutout(Augmentation, kind="cutout"):
    """Blackens a square whose centre lies anywhere in an image (DeVries & Taylor 2017, arXiv:1708.04552)."""

    size: Count = parameter("side of the square, which the image's border may cut, such as 8")

    def check_images(self, shape: Shape) -> Misfit | None:
        return _leaves_no_image("size", self.size, shape)

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import erased, integers, within

        height, width = images.shape[2:]
        tops, lefts = (integers(images, side - 1, generator) - self.size // 2 for side in (height, width))
        return erased(images, within(images, tops, lefts, self.size, self.size), 0.0, generator)


class ElasticTransform(Augmentation, kind="elastic_transform"):
    """Moves every pixel a little, and neighbours alike (Simard et al. 2003, doi:10.1109/ICDAR.2003.1227801)."""

    strength: ClassVar = ("alpha",)

    alpha: NonNegative = parameter(
        "how far: half of it is what noise from -1 to 1, smoothed, is multiplied by", default=50.0
    )
    sigma: Annotated[float, Number(minimum=0, maximum=MAX_DEVIATION)] = parameter(
        "how smooth: deviation of the Gaussian, in pixels, that smooths the noise", default=5.0
    )
    interpolation: Interpolation = parameter(INTERPOLATION, default="bilinear")
    fill: Pixel = parameter(FILL, default=0.0)

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import displaced, smoothed, uniform

        noise = uniform(images, -1, 1, generator, (2, *images.shape[2:]))
        moves = smoothed(noise, self.sigma) * (self.alpha / 2)
        return displaced(images, moves, interpolation=self.interpolation, fill=self.fill)


class ColorJitter(Augmentation, kind="color_jitter"):
    """Makes an image darker or brighter, then less or more contrasted; what leaves 0 to 1 is cut."""

    strength: ClassVar = ("brightness", "contrast")

    brightness: NonNegative = parameter("most that the factor on all pixels differs from 1, such as 0.2", default=0.0)
    contrast: NonNegative = parameter(
        "most that the factor on the distance to the mean grey differs from 1", default=0.0
    )

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import brightened, contrasted, uniform

        if self.brightness:
            images = brightened(images, uniform(images, max(0, 1 - self.brightness), 1 + self.brightness, generator))
        if self.contrast:
            images = contrasted(images, uniform(images, max(0, 1 - self.contrast), 1 + self.contrast, generator))
        return images


class GaussianNoise(Augmentation, kind="gaussian_noise"):
    """Adds noise to every value; what leaves 0 to 1 is cut."""

    strength: ClassVar = ("mean", "sigma")

    mean: Finite = parameter("mean of the noise", default=0.0)
    sigma: NonNegative = parameter("deviation of the noise", default=0.1)

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import normal

        return (images + normal(images, self.mean, self.sigma, generator)).clamp_(0, 1)


class Mixup(Augmentation, kind="mixup"):
    """Mixes each image, and its target, with another of the batch (Zhang et al. 2018, arXiv:1710.09412)."""

    mixes_targets: ClassVar = True

    alpha: Positive = parameter("shares are drawn from Beta(alpha, alpha): the smaller, the less is mixed", default=1.0)

    def augment(self, images: "Tensor", targets: "Tensor", generator: "Generator") -> tuple["Tensor", "Tensor"]:
        from builder.transforms import mixed, partners, symmetric_beta

        shares, others = symmetric_beta(images, self.alpha, generator), partners(images, generator)
        return mixed(images, shares, others), mixed(targets, shares, others)


def _is_something(value: Any) -> bool:
    return any(value) if isinstance(value, tuple) else bool(value)


def _backwards(field: str, bounds: tuple[float, float] | None) -> Iterator[Misfit]:
    if bounds and bounds[0] > bounds[1]:
        least, most = bounds
        message = f"`{field}` goes from {least:g} to {most:g}, and holds nothing"
        yield Misfit("empty-range", message, f"write [{most:g}, {least:g}]", field)


def _leaves_no_image(field: str, pixels: int, shape: Shape) -> Misfit | None:
    _, height, width = shape
    side = min(height, width)
    if pixels < side:
        return None
    message = f"`{field}` (={pixels}) may leave nothing of an image of {height}x{width} pixels"
    return Misfit("nothing-left", message, f"write at most {side - 1}", field)


def _leaves_the_image(translate: tuple[float, float], shape: Shape) -> Misfit | None:
    """Shares of width and height that shift the whole image away; shifts are rounded to whole pixels."""
    _, height, width = shape
    for share, side in zip(translate, (width, height), strict=True):
        pixels = round(share * side)
        if pixels >= side:
            message = (
                f"`translate` (={share:g}) may leave nothing of an image of {height}x{width} pixels: "
                f"it shifts by up to {pixels}"
            )
            most = floor(100 * (side - 1) / side) / 100
            return Misfit("nothing-left", message, f"write at most {most:g}", "translate")
    return None
