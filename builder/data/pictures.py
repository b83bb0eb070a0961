"""Somebody's own pictures on their way into a network: read, and brought to the look of what it was trained on."""

import os
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn.functional import interpolate

from builder.exits import UsageError
from builder.layers import Shape
from builder.problems import either, printable, shown_path

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM")  # as Pillow calls them; the content decides, not the name
MODES = {1: "L", 3: "RGB"}  # Pillow's names of grey and of colours, by the channels of the network

INK = 0.25  # of the strongest stroke: weaker pixels don't belong to the drawing
MIN_CONTRAST = 16  # of 255: weaker strokes are noise


_one_at_a_time = threading.Lock()  # what a thread says of warnings holds for all


@dataclass(frozen=True)
class Framing:
    """How the makers of a data set placed what was drawn, light on dark: scaled into a square box, and centred."""

    box: int  # pixels of the longer side
    by_mass: bool  # centred by the centre of mass, not by the middle of the box


# MNIST: yann.lecun.com/exdb/mnist. EMNIST: Cohen et al. 2017, arXiv:1702.05373. Fashion-MNIST: Xiao, Rasul & Vollgraf
# 2017, arXiv:1708.07747. Kuzushiji-MNIST: Clanuwat et al. 2018, arXiv:1812.01718.
FRAMINGS = {
    "mnist": Framing(box=20, by_mass=True),
    "mnist_sample": Framing(box=20, by_mass=True),
    "emnist": Framing(box=24, by_mass=False),
    "fashion_mnist": Framing(box=28, by_mass=False),
    "kmnist": Framing(box=28, by_mass=False),
}


def find_pictures(path: Path) -> Sequence[Path]:
    """The file, or every picture below the folder, in the order of their paths.

    Raises:
        UsageError: there is no such file, or no picture in the folder.
    """
    if os.path.isfile(path):  # noqa: PTH113  # the methods of Path raise for long names
        return [path]
    if not os.path.isdir(path):  # noqa: PTH112
        raise UsageError(f"there is no picture {shown_path(path)}")
    files = [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
    pictures = sorted(file for file in files if file.suffix.lower() in ENDINGS and file.is_file())
    if not pictures:
        raise UsageError(f"{shown_path(path)} holds no pictures; they end with {either(ENDINGS)}")
    return pictures


def read_picture(file: Path, shape: Shape, dataset: str) -> Tensor:
    """A picture as the images of the data set are, uint8 of `shape`, which is (channels, height, width).

    For data sets of drawings, light on dark, one that is dark on light is inverted, cropped to what is drawn, scaled
    and centred as they were; for others the middle is cut out, as large as it can be. One that has the size of the
    network's input already keeps its place and its scale.

    Raises:
        UsageError: the file can't be read, is no picture, or shows nothing.
    """
    channels, height, width = shape
    if channels not in MODES:
        raise UsageError(f"the network takes images of {channels} channels, and pictures have 1 or 3")
    picture = _decoded(file, MODES[channels])
    framing = FRAMINGS.get(dataset)
    is_exact = picture.shape[1:] == (height, width)
    if framing is None:
        return picture if is_exact else _middle(picture, height, width)
    drawing = _light_on_dark(picture)
    if drawing.max() - _border(drawing).median() < MIN_CONTRAST:
        raise UsageError(f"{shown_path(file)} shows nothing: it is all of one colour")
    return drawing if is_exact else _framed(drawing, height, width, framing)


def _decoded(file: Path, mode: str) -> Tensor:
    """uint8 (channels, height, width), upright and without transparency."""
    try:
        with file.open("rb") as content, _opened(content) as opened:
            picture = _opaque(ImageOps.exif_transpose(opened)).convert(mode)
    except UnidentifiedImageError:
        what = f"is no picture of a kind that is read ({', '.join(FORMATS)})" if file.stat().st_size else "is empty"
        raise UsageError(f"{shown_path(file)} {what}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise UsageError(f"{shown_path(file)} is too large: pictures have up to {limit} million pixels") from None
    except Exception as error:  # decoders raise a dozen things for damaged files
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is damaged"
        raise UsageError(f"{shown_path(file)} can't be read: {printable(reason)}") from None
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return pixels.view(picture.height, picture.width, -1).permute(2, 0, 1)


def _opened(content: IO[bytes]) -> Image.Image:
    """Not decoded yet; one whose size Pillow warns of is refused, and what it says of damaged EXIF is let pass."""
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        picture = Image.open(content, formats=FORMATS)
        picture.getexif()  # kept for `exif_transpose`
        return picture


def _opaque(picture: Image.Image) -> Image.Image:
    """8 bits a channel, on white where it is transparent."""
    if picture.mode.startswith("I"):  # 16 bits, of which `convert` would cut off the upper half
        return picture.convert("I").point(lambda value: value * (255 / 65535)).convert("L")
    if not picture.has_transparency_data:
        return picture
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)


def _middle(picture: Tensor, height: int, width: int) -> Tensor:
    """The middle of a picture, uint8: as much of it as has the aspect of what is asked for, scaled to that."""
    scale = max(height / picture.shape[1], width / picture.shape[2])
    rows, columns = max(1, round(height / scale)), max(1, round(width / scale))
    top, left = (picture.shape[1] - rows) // 2, (picture.shape[2] - columns) // 2
    return _as_bytes(_scaled(picture[:, top : top + rows, left : left + columns], height, width))


def _light_on_dark(picture: Tensor) -> Tensor:
    """The picture, uint8, or, if its border is nearer to its lightest than to its darkest, its negative on black.

    Of the 70,000 images of Fashion-MNIST and the 6,000 of mnist_sample this inverts none.
    """
    is_dark_on_light = 2 * float(_border(picture).mean()) > float(picture.min()) + float(picture.max())
    if not is_dark_on_light:
        return picture
    negative = 255 - picture
    ground = float(_border(negative).median())
    return _as_bytes((negative.float() - ground) * (255 / (255 - ground)))


def _border(picture: Tensor) -> Tensor:
    """The outermost pixels, float32."""
    rows, columns = picture[:, (0, -1)], picture[:, :, (0, -1)]
    return torch.cat([rows.flatten(), columns.flatten()]).float()


def _framed(drawing: Tensor, height: int, width: int, framing: Framing) -> Tensor:
    """A drawing, uint8 (channels, ...), cropped, scaled, placed, and as strong as can be, on a black ground."""
    strokes = (drawing.float() - _border(drawing).median()).clamp(min=0)
    inked = strokes.amax(dim=0) > INK * strokes.max()
    top, bottom = _extent(inked.any(dim=1))
    left, right = _extent(inked.any(dim=0))
    cropped = strokes[:, top:bottom, left:right]
    scale = framing.box / max(cropped.shape[1:])
    small = _scaled(cropped, max(1, round(cropped.shape[1] * scale)), max(1, round(cropped.shape[2] * scale)))
    small = small * (255 / small.max())  # thin lines fade when they are scaled
    framed = torch.zeros(len(drawing), height, width)
    top = _place(small.sum(dim=(0, 2)), height, framing.by_mass)
    left = _place(small.sum(dim=(0, 1)), width, framing.by_mass)
    framed[:, top : top + small.shape[1], left : left + small.shape[2]] = small
    return _as_bytes(framed)


def _extent(is_inked: Tensor) -> tuple[int, int]:
    """The first and, excluded, the last position that holds ink."""
    positions = is_inked.nonzero().flatten()
    return int(positions[0]), int(positions[-1]) + 1


def _place(masses: Tensor, length: int, by_mass: bool) -> int:
    """Where along an axis of this length something begins, whose masses are these, so that it is centred.

    In MNIST the centre of mass lies in the pixel behind the middle: pixel 14 of 0 to 27.
    """
    room = length - len(masses)
    if not by_mass:
        return room // 2
    centre = float((masses * torch.arange(len(masses))).sum() / masses.sum())
    return min(max(0, round(length // 2 - centre)), room)


def _scaled(picture: Tensor, height: int, width: int) -> Tensor:
    """float32 (channels, height, width)."""
    size = (height, width)
    scaled: Tensor = interpolate(picture[None].float(), size=size, mode="bilinear", antialias=True, align_corners=False)
    return scaled[0]


def _as_bytes(picture: Tensor) -> Tensor:
    return picture.round().clamp(0, 255).to(torch.uint8)
