"""Somebody's own pictures become images as a network knows them."""

import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from builder.data.images import load_data
from builder.data.pictures import find_pictures, read_picture
from builder.exits import UsageError
from builder.recipe.datasets import MnistSample

DIGIT = (1, 28, 28)
COLOURS = (3, 20, 30)
KINDS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM")


@pytest.fixture(scope="module")
def digits() -> Tensor:
    """A hundred test images of the sample, uint8 (100, 1, 28, 28)."""
    return load_data(MnistSample(), data_dir=None, offline=True, device=torch.device("cpu")).test.images[::10]


def grey(image: Tensor) -> Image.Image:
    """As Pillow has it; the image is uint8 (1, height, width)."""
    return Image.frombytes("L", (image.shape[2], image.shape[1]), bytes(image.flatten().tolist()))


def saved(picture: Image.Image, folder: Path, name: str = "picture.png") -> Path:
    picture.save(folder / name)
    return folder / name


def stroke(size: tuple[int, int], line: tuple[int, int, int, int], width: int = 10) -> Image.Image:
    """A black line on white."""
    picture = Image.new("L", size, 255)
    ImageDraw.Draw(picture).line(line, fill=0, width=width)
    return picture


def centre_of_mass(image: Tensor) -> tuple[float, float]:
    """Of (1, height, width), in pixels from 0."""
    masses = image[0].double()
    rows, columns = masses.sum(dim=1), masses.sum(dim=0)
    places = torch.arange(28)
    return float((rows * places).sum() / rows.sum()), float((columns * places).sum() / columns.sum())


def extent(image: Tensor) -> tuple[int, int]:
    """Height and width of what isn't black."""
    inked = image[0] > 0
    return int(inked.any(dim=1).sum()), int(inked.any(dim=0).sum())


def difference(image: Tensor, other: Tensor) -> float:
    """As a share of the other's ink."""
    return float((image.float() - other.float()).abs().sum() / other.sum())


# --- which files ---


def test_pictures_of_a_folder_are_found_below_it_in_order(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "b/10.jpg", "a.webp", "notes.txt", "c/deep/er/x.pgm"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    found = [str(path.relative_to(tmp_path)) for path in find_pictures(tmp_path)]
    assert found == ["a.webp", "b/10.jpg", "b/2.PNG", "c/deep/er/x.pgm"]


def test_a_file_is_taken_whatever_its_name(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("", encoding="utf-8")
    assert find_pictures(file) == [file]


def test_a_folder_without_pictures_says_how_they_end(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        find_pictures(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds no pictures; they end with .png, .jpg, .jpeg, .bmp, .gif, .webp, .pgm or .ppm"
    )


@pytest.mark.parametrize("name", ["missing.png", "a\nb", "x" * 300])
def test_a_missing_picture_is_named(name: str) -> None:
    with pytest.raises(UsageError, match=r"^there is no picture [ -~]+$"):
        find_pictures(Path(name))


# --- drawings: MNIST and its kin ---


@pytest.mark.parametrize("dataset", ["mnist", "mnist_sample", "emnist", "kmnist", "fashion_mnist"])
def test_an_image_of_the_data_set_and_its_negative_come_back_bit_by_bit(
    tmp_path: Path, digits: Tensor, dataset: str
) -> None:
    for number, image in enumerate(digits[:10]):
        for picture in (image, 255 - image):
            file = saved(grey(picture), tmp_path, f"{number}.png")
            assert torch.equal(read_picture(file, DIGIT, dataset), image)


def test_images_enlarged_moved_and_inverted_come_back_nearly_as_they_were(tmp_path: Path, digits: Tensor) -> None:
    draw = random.Random(1)  # noqa: S311  # no secret
    for image in digits[:30]:
        width, height = draw.randint(180, 260), draw.randint(180, 260)
        paper = Image.new("L", (width, height), 0)
        paper.paste(grey(image).resize((170, 170)), (draw.randint(0, width - 170), draw.randint(0, height - 170)))
        dark_on_light = paper.point([230 - value * 200 // 255 for value in range(256)])
        found = read_picture(saved(dark_on_light, tmp_path), DIGIT, "mnist")
        # A centre of mass that lies between two pixels may come to lie in the other one.
        moved = [found.roll((down, right), (1, 2)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
        assert min(difference(each, image) for each in moved) < 0.4


@pytest.mark.parametrize("line", [(60, 20, 60, 180), (100, 100, 390, 110), (5, 5, 50, 25)])
@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "CMYK"])
def test_a_drawing_fills_20_pixels_around_its_centre_of_mass(
    tmp_path: Path, line: tuple[int, int, int, int], mode: str
) -> None:
    name = "picture.jpg" if mode == "CMYK" else "picture.png"
    image = read_picture(saved(stroke((400, 200), line).convert(mode), tmp_path, name), DIGIT, "mnist")
    assert image.shape == DIGIT
    assert image.dtype == torch.uint8
    assert image.max() == 255
    assert max(extent(image)) == 20
    assert all(abs(place - 14) <= 0.51 for place in centre_of_mass(image))


def test_a_garment_fills_the_image_and_keeps_its_aspect(tmp_path: Path) -> None:
    picture = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(picture).rectangle((100, 20, 139, 179), fill=(30, 40, 80))
    image = read_picture(saved(picture, tmp_path), DIGIT, "fashion_mnist")
    assert extent(image) == (28, 7)
    assert image[0, 14].nonzero().flatten().tolist() == list(range(10, 17))


def test_a_thin_line_is_as_strong_as_a_thick_one(tmp_path: Path) -> None:
    image = read_picture(saved(stroke((900, 900), (450, 20, 450, 880), width=3), tmp_path), DIGIT, "mnist")
    assert image.max() == 255


@pytest.mark.parametrize("grounds", [(255, 255), (0, 0), (120, 125)])
@pytest.mark.parametrize("size", [(28, 28), (90, 40)])
def test_a_picture_of_one_colour_shows_nothing(tmp_path: Path, grounds: tuple[int, int], size: tuple[int, int]) -> None:
    picture = Image.new("L", size, grounds[0])
    picture.putpixel((9, 9), grounds[1])
    file = saved(picture, tmp_path)
    with pytest.raises(UsageError) as caught:
        read_picture(file, DIGIT, "mnist")
    assert str(caught.value) == f"{file} shows nothing: it is all of one colour"


# --- other data sets ---


def test_of_other_data_sets_a_picture_of_the_right_size_is_taken_as_it_is(tmp_path: Path) -> None:
    pixels = torch.randint(0, 256, COLOURS, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    picture = Image.frombytes("RGB", (30, 20), bytes(pixels.permute(1, 2, 0).flatten().tolist()))
    assert torch.equal(read_picture(saved(picture, tmp_path), COLOURS, "image_folder"), pixels)


@pytest.mark.parametrize("size", [(120, 40), (60, 200), (31, 21)])
def test_of_other_data_sets_the_middle_is_cut_out_as_large_as_it_can_be(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    scale = max(20 / height, 30 / width)
    picture = Image.new("RGB", size, "red")
    middle = (width - 30 / scale) / 2, (height - 20 / scale) / 2
    ImageDraw.Draw(picture).rectangle((*middle, width - 1 - middle[0], height - 1 - middle[1]), fill="blue")
    image = read_picture(saved(picture, tmp_path), COLOURS, "cifar10")
    assert image.shape == COLOURS
    inner = image[:, 3:-3, 3:-3].float()
    assert inner[2].min() > 250
    assert inner[0].max() < 5


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (1, 1_000_000), (1_000_000, 1)])
def test_a_picture_of_any_size_becomes_as_large_as_the_input(tmp_path: Path, size: tuple[int, int]) -> None:
    image = read_picture(saved(Image.new("RGB", size, "white"), tmp_path), COLOURS, "cifar10")
    assert image.shape == COLOURS
    assert image.unique().tolist() == [255]


def test_a_colour_picture_is_grey_for_a_network_of_one_channel(tmp_path: Path) -> None:
    image = read_picture(saved(Image.new("RGB", (9, 9), (255, 0, 0)), tmp_path), (1, 4, 4), "image_folder")
    assert image.unique().tolist() == [76]  # 0.299 of 255, ITU-R BT.601


def test_a_network_of_two_channels_takes_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^the network takes images of 2 channels, and pictures have 1 or 3$"):
        read_picture(tmp_path / "any.png", (2, 28, 28), "synthetic")


# --- what cameras and programs write ---


def test_a_picture_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    picture = Image.new("L", (40, 20), 0)
    picture.paste(255, (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # the top is at the right: turn it clockwise
    picture.save(tmp_path / "turned.png", exif=exif)
    image = read_picture(tmp_path / "turned.png", (1, 40, 20), "image_folder")
    assert image[0, :20].unique().tolist() == [255]
    assert image[0, 20:].unique().tolist() == [0]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGBA", (28, 28), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (10, 10, 20, 20))
    image = read_picture(saved(picture.convert(mode), tmp_path), DIGIT, "image_folder")
    assert image[0, 10:20, 10:20].unique().tolist() == [0]
    assert image[0, :10].unique().tolist() == [255]


@pytest.mark.parametrize("name", ["deep.png", "deep.pgm"])
def test_sixteen_bits_become_eight(tmp_path: Path, name: str) -> None:
    values = [round(value * 65535 / 255) for value in range(256)]
    picture = Image.frombytes("I;16", (16, 16), struct.pack("<256H", *values))
    image = read_picture(saved(picture, tmp_path, name), (1, 16, 16), "image_folder")
    assert image.flatten().tolist() == pytest.approx(list(range(256)), abs=1)


# --- faults ---


def text_file(file: Path) -> None:
    file.write_text("a picture of a cat", encoding="utf-8")


def empty_file(file: Path) -> None:
    file.write_bytes(b"")


def truncated(file: Path) -> None:
    stroke((100, 100), (5, 5, 50, 90)).save(file)
    file.write_bytes(file.read_bytes()[:-200])


def bomb(file: Path) -> None:
    """A PNG of 20,000 x 20,000 pixels, none of which are there."""
    parts = (b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0), b"IDAT", b"IEND")
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts]
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def smaller_bomb(file: Path) -> None:
    """One of which Pillow only warns."""
    file.write_bytes(b"P5 10000 10000 255\n")


def tiff(file: Path) -> None:
    Image.new("L", (30, 30)).save(file, "TIFF")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (text_file, "is no picture of a kind that is read (PNG, JPEG, BMP, GIF, WEBP, PPM)"),
        (tiff, "is no picture of a kind that is read (PNG, JPEG, BMP, GIF, WEBP, PPM)"),
        (empty_file, "is empty"),
        (truncated, "can't be read: it is damaged"),
        (bomb, "is too large: pictures have up to 89 million pixels"),
        (smaller_bomb, "is too large: pictures have up to 89 million pixels"),
        (Path.mkdir, "can't be read: Is a directory"),
        (lambda file: None, "can't be read: No such file or directory"),
    ],
)
def test_a_file_that_is_no_picture_is_named_with_the_reason(
    tmp_path: Path, make: Callable[[Path], None], sentence: str
) -> None:
    file = tmp_path / "cat.png"
    make(file)
    with pytest.raises(UsageError) as caught:
        read_picture(file, DIGIT, "mnist")
    assert str(caught.value) == f"{file} {sentence}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_is_cut_off_is_refused_or_whole(tmp_path: Path, kind: str) -> None:
    """Where only what stands behind the pixels is missing, they are all there."""
    stroke((40, 30), (5, 5, 30, 25), width=4).convert("RGB").save(tmp_path / "whole", kind)
    content = (tmp_path / "whole").read_bytes()
    whole = read_picture(tmp_path / "whole", (3, 30, 40), "cifar10")
    file = tmp_path / "cut"
    refused = 0
    for length in {*range(0, len(content), 1 + len(content) // 100), *range(len(content) - 24, len(content))}:
        file.write_bytes(content[:length])
        try:
            assert torch.equal(read_picture(file, (3, 30, 40), "cifar10"), whole)
        except UsageError:
            refused += 1
    assert refused > 50


@pytest.mark.filterwarnings("ignore")  # Pillow's, of damaged EXIF
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_pictures_give_an_image_or_one_sentence(tmp_path: Path, kind: str) -> None:
    draw = random.Random(1)  # noqa: S311  # no secret
    picture = stroke((40, 30), (5, 5, 30, 25), width=4).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "whole", kind, **({"exif": exif} if kind in ("PNG", "JPEG", "WEBP") else {}))
    content = (tmp_path / "whole").read_bytes()
    file = tmp_path / "damaged"
    for _ in range(60):
        damaged = bytearray(content[: draw.choice([len(content), draw.randrange(len(content))])])
        for _ in range(draw.randint(0, 4)):
            if damaged:
                damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        file.write_bytes(damaged)
        try:
            image = read_picture(file, COLOURS, "image_folder")
        except UsageError as error:
            said = str(error)
        else:
            said = f"{file} has {tuple(image.shape)}"
        assert said.startswith(f"{file} ")
        assert "\n" not in said
