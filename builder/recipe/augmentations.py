"""Augmentations, named as in `torchvision.transforms.v2`: what is done to training images before they are normalised.

Each works on a whole batch at once, on the images' device, and gives every image its own draw.
"""

from collections.abc import Iterator, Sequence
from itertools import cycle
from math import floor, sqrt
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from builder.fields import (
    Choice,
    Count,
    Finite,
    NonNegative,
    Number,
    PerChannel,
    Positive,
    Probability,
    WordOr,
    parameter,
)
from builder.kinds import Kind, Misfit
from builder.layers import Shape
from builder.limits import MAX_SIZE
from builder.problems import both
from builder.recipe.ranges import (
    Degrees,
    Deviations,
    Factors,
    Jitter,
    Moves,
    OptionalFactors,
    OptionalShares,
    OptionalSlants,
    Shares,
    Sides,
    backwards,
    three_numbers,
)

if TYPE_CHECKING:
    from torch import Generator, Tensor

_SHARE = Number(minimum=0, maximum=1)

Colour = Annotated[tuple[float, ...], PerChannel(_SHARE)]
ColourOrRandom = Annotated[tuple[float, ...] | str, WordOr(("random",), PerChannel(_SHARE))]
Interpolation = Annotated[str, Choice(("nearest", "bilinear"))]
PaddingMode = Annotated[str, Choice(("constant", "edge", "reflect"))]

DEGREES = "most degrees that an image is turned by, either way, or least and most"
TRANSLATE = "most that an image is shifted by, either way, as shares of its width and of its height"
INTERPOLATION = "how a value between pixels follows from them"
FILL = "what stands where there is no image, from 0 to 1, in all channels or in each"
FLIP = "probability that an image is flipped"


class Augmentation(Kind, family="augmentation"):
    """What is done to training images, with new draws each time; pixels lie between 0 and 1, before normalisation."""

    strength: ClassVar[tuple[str, ...]] = ()  # where all of these are null or hold nothing else, no image is changed
    nothing: ClassVar[float] = 0.0  # than this
    bounds: ClassVar[tuple[str, ...]] = ()  # of these, each most is no less than its least
    colours: ClassVar[tuple[str, ...]] = ()  # these are one number, or one for each channel
    mixes_targets: ClassVar[bool] = False  # gives an image shares of several classes

    def rules(self) -> Iterator[Misfit]:
        if self.strength and not any(self._changes(getattr(self, field)) for field in self.strength):
            fields = both([f"`{field}`" for field in self.strength])
            what = f"{fields} is 0" if len(self.strength) == 1 else f"{fields} are 0 or left out"
            yield self._without_effect(what, self.strength[0], "write more")
        written = self.written()
        for field in self.bounds:
            yield from backwards(field, written[field])

    def _changes(self, value: Any) -> bool:
        numbers = value if isinstance(value, tuple) else (value,)
        return any(number not in (None, self.nothing) for number in numbers)

    def _without_effect(self, why: str, field: str, hint: str) -> Misfit:
        message = f"`{self.kind}` changes no image: {why}"
        return Misfit("without-effect", message, f"{hint}, or remove it", field, "warning")

    def check_images(self, shape: Shape) -> Iterator[Misfit]:
        """What is wrong with it for images of this shape."""
        for field in self.colours:
            colour = getattr(self, field)
            if isinstance(colour, tuple) and len(colour) not in (1, shape[0]):
                channels = "1 channel" if shape[0] == 1 else f"{shape[0]} channels"
                message = f"`{field}` holds {len(colour)} numbers, and the images have {channels}"
                yield Misfit("wrong-length", message, "write one number per channel", field)

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
    bounds: ClassVar = ("degrees",)
    colours: ClassVar = ("fill",)

    degrees: Degrees = parameter(f"{DEGREES} counter-clockwise, such as 10")
    interpolation: Interpolation = parameter(INTERPOLATION, default="nearest")
    fill: Colour = parameter(FILL, default=0.0)

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import uniform, warped

        least, most = self.degrees  # counter-clockwise, as torchvision's rotation has them and its affine has not
        angles = uniform(images, -most, -least, generator)
        return warped(images, angles, interpolation=self.interpolation, fill=self.fill)


class RandomAffine(Augmentation, kind="random_affine"):
    """Slants, turns and scales an image about its centre, and shifts it by whole pixels."""

    strength: ClassVar = ("degrees", "translate", "scale", "shear")
    bounds: ClassVar = ("degrees", "scale", "shear")
    colours: ClassVar = ("fill",)

    degrees: Degrees = parameter(f"{DEGREES} clockwise, such as 10")
    translate: OptionalShares = parameter(TRANSLATE, default=None, default_text="no shift")
    scale: OptionalFactors = parameter("least and most factor on its size", default=None, default_text="its own size")
    shear: OptionalSlants = parameter(
        "most degrees that upright lines are slanted by, either way, or least and most, or both of these and then the "
        "same for level lines",
        default=None,
        default_text="no slant",
    )
    interpolation: Interpolation = parameter(INTERPOLATION, default="nearest")
    fill: Colour = parameter(FILL, default=0.0)

    def rules(self) -> Iterator[Misfit]:
        yield from super().rules()
        yield from three_numbers("shear", self.shear or ())

    def check_images(self, shape: Shape) -> Iterator[Misfit]:
        yield from super().check_images(shape)
        yield from _leaving_the_image(self.translate or (), shape)

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import shifts, uniform, warped

        angles = uniform(images, *self.degrees, generator)
        moved = shifts(images, self.translate, generator) if self.translate else None
        scales = uniform(images, *self.scale, generator) if self.scale else None
        least_x, most_x, least_y, most_y = self.shear or (0, 0, 0, 0)
        slants = uniform(images, least_x, most_x, generator) if least_x or most_x else None
        leans = uniform(images, least_y, most_y, generator) if least_y or most_y else None
        return warped(images, angles, moved, scales, slants, leans, interpolation=self.interpolation, fill=self.fill)


class RandomTranslate(Augmentation, kind="random_translate"):
    """Shifts an image by whole pixels: `random_affine` with nothing else, and faster."""

    strength: ClassVar = ("translate",)
    colours: ClassVar = ("fill",)

    translate: Shares = parameter(f"{TRANSLATE}, such as [0.1, 0.1]")
    fill: Colour = parameter(FILL, default=0.0)

    def check_images(self, shape: Shape) -> Iterator[Misfit]:
        yield from super().check_images(shape)
        yield from _leaving_the_image(self.translate, shape)

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import farthest, padded, shifts, windows

        right, down = shifts(images, self.translate, generator).unbind(1)
        sides, ends = farthest(images, self.translate)
        around = padded(images, (sides, sides, ends, ends), "constant", self.fill)
        return windows(around, ends - down, sides - right, images.shape[2:])


class RandomCrop(Augmentation, kind="random_crop"):
    """Pads an image, and cuts its own size out of that, anywhere."""

    strength: ClassVar = ("padding",)
    colours: ClassVar = ("fill",)

    padding: Sides = parameter(
        "pixels added on each side, or left and right and then above and below, or left, above, right and below, such "
        "as 2"
    )
    padding_mode: PaddingMode = parameter(
        "what is added: `fill`, the pixel at the edge, or the image reflected", default="constant"
    )
    fill: Colour = parameter(FILL, default=0.0)

    def rules(self) -> Iterator[Misfit]:
        yield from super().rules()
        yield from three_numbers("padding", self.padding)

    def check_images(self, shape: Shape) -> Iterator[Misfit]:
        yield from super().check_images(shape)
        yield from _leaving_nothing("padding", self.padding, shape)

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import integers, padded, windows

        left, above, right, below = self.padding
        tops, lefts = integers(images, above + below, generator), integers(images, left + right, generator)
        around = padded(images, (left, right, above, below), self.padding_mode, self.fill)
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
    bounds: ClassVar = ("scale", "ratio")
    colours: ClassVar = ("value",)

    p: Probability = parameter("probability that a rectangle is erased", default=0.5)
    scale: Shares = parameter("least and most share of the image's area", default=(0.02, 0.33))
    ratio: Factors = parameter("least and most height of the rectangle, divided by its width", default=(0.3, 3.3))
    value: ColourOrRandom = parameter(
        "what it is filled with, from 0 to 1, in all channels or in each, or `random` pixels", default=0.0
    )

    def rules(self) -> Iterator[Misfit]:
        yield from super().rules()
        if self.scale == (0, 0):
            yield self._without_effect("`scale` ends at 0", "scale", "write more")

    def check_images(self, shape: Shape) -> Iterator[Misfit]:
        yield from super().check_images(shape)
        if self.p > 0:
            yield from self._never_fitting(shape)

    def _never_fitting(self, shape: Shape) -> Iterator[Misfit]:
        """A smallest area that has no room, whatever its ratio; sides are rounded, and shorter than the image's."""
        _, height, width = shape
        longest = (height - 0.5, width - 0.5)
        ratio = min(max(self.ratio[0], longest[0] / longest[1]), self.ratio[1])  # the one that fits best
        area = self.scale[0] * height * width
        tall, wide = (round(min(sqrt(size), MAX_SIZE)) for size in (area * ratio, area / ratio))
        if tall < height and wide < width:
            return
        most = floor(100 * min(longest[0] ** 2 / ratio, longest[1] ** 2 * ratio) / (height * width)) / 100
        hint = f"let `scale` begin at {most:g} or less" if most > 0 else "write a `ratio` nearer to 1"
        why = (
            f"{self.scale[0]:g} of {height}x{width} pixels, at a ratio of {ratio:.3g}, is a rectangle of "
            f"{tall}x{wide}, and it has to be lower and narrower than the image"
        )
        yield self._without_effect(why, "scale" if most > 0 else "ratio", hint)

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import erased, happens, rectangles

        is_erased = happens(images, self.p, generator)
        boxes = rectangles(images, self.scale, self.ratio, generator)
        return erased(images, is_erased & boxes, self.value, generator)


class Cutout(Augmentation, kind="cutout"):
    """Blackens a square whose centre lies anywhere in an image (DeVries & Taylor 2017, arXiv:1708.04552)."""

    size: Count = parameter("side of the square, which the image's border may cut, such as 8")

    def check_images(self, shape: Shape) -> Iterator[Misfit]:
        return _leaving_nothing("size", (self.size, self.size), shape)

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import erased, integers, within

        height, width = images.shape[2:]
        tops, lefts = (integers(images, side - 1, generator) - self.size // 2 for side in (height, width))
        return erased(images, within(images, tops, lefts, self.size, self.size), (0.0,), generator)


class ElasticTransform(Augmentation, kind="elastic_transform"):
    """Moves every pixel a little, and neighbours alike (Simard et al. 2003, doi:10.1109/ICDAR.2003.1227801)."""

    strength: ClassVar = ("alpha",)
    colours: ClassVar = ("fill",)

    alpha: Moves = parameter(
        "how far: half of it is what noise from -1 to 1, smoothed, is multiplied by; both ways, or to the right and "
        "down",
        default=50.0,
    )
    sigma: Deviations = parameter(
        "how smooth: deviation of the Gaussian, in pixels, that smooths the noise; both ways, or to the right and down",
        default=5.0,
    )
    interpolation: Interpolation = parameter(INTERPOLATION, default="bilinear")
    fill: Colour = parameter(FILL, default=0.0)

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import displaced, per_channel, smoothed, uniform

        noise = uniform(images, -1, 1, generator, (2, *images.shape[2:]))
        moves = smoothed(noise, self.sigma) * (per_channel(self.alpha, noise) / 2)
        return displaced(images, moves, interpolation=self.interpolation, fill=self.fill)


class ColorJitter(Augmentation, kind="color_jitter"):
    """Makes an image darker or brighter, then less or more contrasted; what leaves 0 to 1 is cut."""

    strength: ClassVar = ("brightness", "contrast")
    nothing: ClassVar = 1.0
    bounds: ClassVar = ("brightness", "contrast")

    brightness: Jitter = parameter(
        "most that the factor on all pixels differs from 1, or least and most factor, such as 0.2", default=0.0
    )
    contrast: Jitter = parameter(
        "most that the factor on the distance to the mean grey differs from 1, or least and most factor", default=0.0
    )

    def transformed(self, images: "Tensor", generator: "Generator") -> "Tensor":
        from builder.transforms import brightened, contrasted, uniform

        if self._changes(self.brightness):
            images = brightened(images, uniform(images, *self.brightness, generator))
        if self._changes(self.contrast):
            images = contrasted(images, uniform(images, *self.contrast, generator))
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


def _leaving_nothing(field: str, pixels: Sequence[int], shape: Shape) -> Iterator[Misfit]:
    """Pixels along the width, the height, the width again, and so on, of which one takes all of the image."""
    _, height, width = shape
    too_many = [(pixel, side) for pixel, side in zip(pixels, cycle((width, height)), strict=False) if pixel >= side]
    if too_many:
        most, side = max(pixel for pixel, _ in too_many), min(side for _, side in too_many)
        message = f"`{field}` (={most}) may leave nothing of an image of {height}x{width} pixels"
        yield Misfit("nothing-left", message, f"write at most {side - 1}", field)


def _leaving_the_image(translate: Sequence[float], shape: Shape) -> Iterator[Misfit]:
    """Shares of width and height that shift the whole image away; shifts are rounded to whole pixels."""
    _, height, width = shape
    for share, side in zip(translate, (width, height), strict=False):  # without a shift there are no shares
        pixels = round(share * side)
        if pixels >= side:
            message = (
                f"`translate` (={share:g}) may leave nothing of an image of {height}x{width} pixels: "
                f"it shifts by up to {pixels}"
            )
            most = floor(100 * (side - 1) / side) / 100
            yield Misfit("nothing-left", message, f"write at most {most:g}", "translate")
            return
