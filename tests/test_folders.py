"""Pictures in folders: which are read, in which order, how they come out, and what can be wrong with them."""

from pathlib import Path
from threading import active_count
from typing import Any

import pytest
import torch
from PIL import Image

from builder.data.images import Data, load_data
from builder.exits import DataError
from builder.recipe.datasets import ImageFolder

CLASSES = ["cat", "dog"]
COLOURS = {"cat": (255, 0, 0), "dog": (0, 0, 51)}


@pytest.fixture(autouse=True)
def _pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three training and one test picture of each class, of one colour and of different sizes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNIST_DIR", raising=False)
    for name, colour in COLOURS.items():
        for part, count in (("train", 3), ("test", 1)):
            for number in range(count):
                save(Path("pictures", part, name, f"{number}.png"), colour, 8 + number)


def save(file: Path, colour: tuple[int, int, int] | int, size: int = 8) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if isinstance(colour, int) else "RGB", (size, size + 2), colour).save(file)


def load(data_dir: str | None = None, **changes: Any) -> Data:
    written = {"path": "pictures", "image": [3, 4, 4], "classes": CLASSES} | changes
    root = Path(data_dir) if data_dir else None
    return load_data(ImageFolder.read(written), data_dir=root, offline=True, device=torch.device("cpu"))


def refusal(**changes: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(**changes)
    return str(caught.value)


def test_pictures_come_out_in_the_size_of_the_spec_with_the_labels_of_their_folders() -> None:
    found = load()
    assert (found.train.images.dtype, found.train.images.shape) == (torch.uint8, (6, 3, 4, 4))
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.test.labels.tolist() == [0, 1]
    for image, label in zip(found.train.images, found.train.labels, strict=True):
        assert image.flatten(1).unique(dim=1).flatten().tolist() == list(COLOURS[CLASSES[label]])


def test_order_of_the_classes_is_the_one_of_the_spec() -> None:
    assert load(classes=["dog", "cat"]).test.images[:, 0, 0, 0].tolist() == [0, 255]


def test_number_of_classes_stands_for_folders_with_numbers() -> None:
    for part in ("train", "test"):
        for name in ("0", "1"):
            save(Path("numbers", part, name, "a.png"), 10 * int(name) + 5)
    found = load(path="numbers", classes=2, image=[1, 2, 2])
    assert found.test.images[:, 0, 0, 0].tolist() == [5, 15]
    assert found.dataset.classes == ("0", "1")


def test_colours_become_grey_where_the_spec_has_one_channel() -> None:
    images = load(image=[1, 4, 4]).test.images
    assert images.shape == (2, 1, 4, 4)
    assert images[:, 0, 0, 0].tolist() == [76, 6]  # 0.299 red + 0.114 blue


def test_endings_in_capitals_and_other_formats_are_read_and_other_files_are_not() -> None:
    save(Path("pictures/train/cat/3.JPG"), COLOURS["cat"])
    save(Path("pictures/train/cat/4.bmp"), COLOURS["cat"])
    Path("pictures/train/cat/notes.txt").write_text("mine")
    Path("pictures/train/cat/.DS_Store").write_text("the system's")
    Path("pictures/train/.hidden").mkdir()
    assert load().train.labels.tolist() == [0] * 5 + [1] * 3


def test_mean_and_std_are_those_of_the_training_pictures() -> None:
    found = load()
    channels = found.train.images.double().div(255).transpose(0, 1).flatten(1)
    assert found.train.mean.flatten().tolist() == pytest.approx(channels.mean(dim=1).tolist())
    assert found.train.std.flatten().tolist() == pytest.approx([127.5 / 255, 1.0, 25.5 / 255])


def test_channel_that_is_the_same_everywhere_becomes_0() -> None:
    assert load().train.batch(slice(None))[0][:, 1].unique().tolist() == [0]


def test_size_takes_the_first_pictures_of_each_class() -> None:
    found = load(train_size=3)
    assert found.train.labels.tolist() == [0, 0, 1]


def test_pictures_that_are_not_used_are_not_read() -> None:
    Path("pictures/train/dog/2.png").write_bytes(b"damaged")
    assert len(load(train_size=5).train) == 5


def test_path_is_looked_for_below_the_data_directories_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for root in ("mine", "data"):
        for part in ("train", "test"):
            for name in CLASSES:
                save(Path(root, "pictures", part, name, "a.png"), {"mine": 1, "data": 2}[root])
    assert load("mine").test.images[0, 0, 0, 0] == 1
    assert load().test.images[0, 0, 0, 0] == 2
    assert load(path=str(Path("pictures").absolute())).test.images[0, 0, 0, 0] == 255


def test_reading_ends_with_its_threads() -> None:
    before = active_count()
    load()
    assert active_count() == before


# --- What can be wrong


def test_missing_folder_says_where_it_was_looked_for() -> None:
    assert refusal(path="photos", data_dir="mine") == (
        "there is no folder mine/photos, data/photos or photos; `path` of image_folder names what holds `train` and "
        "`test`"
    )


def test_class_without_a_folder_is_named() -> None:
    assert refusal(classes=["cat", "dog", "cow"]) == (
        "pictures/train lacks a folder for `cow`; it holds `cat` and `dog`, and each class needs one of its name"
    )


def test_missing_part_is_a_class_without_a_folder() -> None:
    assert refusal(path="pictures/train") == (
        "pictures/train/train lacks a folder for `cat` and `dog`; it holds no folders, and each class needs one of its "
        "name"
    )


def test_folder_of_no_class_is_named() -> None:
    Path("pictures/test/cow\x1b[31m").mkdir()
    assert refusal() == (
        "pictures/test holds `cow\\x1b[31m`, which `classes` doesn't name; add it there, or move it away"
    )


def test_many_names_are_not_all_listed() -> None:
    for number in range(9):
        Path("pictures/test", str(number)).mkdir()
    assert refusal().startswith("pictures/test holds `0`, `1`, `2`, `3`, `4` and 4 more, which")


def test_folder_without_pictures_is_an_error() -> None:
    Path("pictures/test/dog/0.png").unlink()
    said = refusal()
    assert said.startswith("pictures/test/dog holds no pictures; they end with .png, .jpg, ")


def test_too_few_pictures_are_counted() -> None:
    assert refusal(train_size=7) == "`train_size` is 7, and pictures/train holds 6 pictures"
    assert refusal(test_size=3) == "`test_size` is 3, and pictures/test holds 2 pictures"


DAMAGED = {
    "empty": (b"", "is empty"),
    "a web page": (b"<!DOCTYPE html><html>", "is no picture of a kind that is read"),
    "half a picture": (None, "can't be read: "),
}


@pytest.mark.parametrize(("content", "words"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_picture_is_named(content: bytes | None, words: str) -> None:
    file = Path("pictures/train/dog/1.png")
    if content is None:
        noise = torch.randint(256, (64 * 64 * 3,), dtype=torch.uint8)
        Image.frombytes("RGB", (64, 64), bytes(noise.tolist())).save(file)
        content = file.read_bytes()[:3000]
    file.write_bytes(content)
    assert refusal().startswith(f"{file} {words}")


def test_link_to_nothing_is_named() -> None:
    Path("pictures/train/dog/5.png").symlink_to("gone")
    assert refusal().startswith("pictures/train/dog/5.png can't be read: No such file or directory")


def test_images_that_fit_into_no_memory_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def empty(*size: int, dtype: torch.dtype) -> None:
        raise RuntimeError("DefaultCPUAllocator: not enough memory")

    monkeypatch.setattr("builder.data.folders.torch.empty", empty)
    assert refusal() == "6 images of 3x4x4 don't fit into memory; write a smaller `image`, or a `train_size`"
