"""Reading one IDX file: everything that can be wrong with it, each said in its own words."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from tiny_dataset import CONTENT, FILE_NAMES, GZIPPED, Tiny, idx_images, idx_labels

from builder.data.idx import IdxFile, idx_tensor, read_idx
from builder.data.stored import WrongFileError
from builder.recipe.datasets import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, Dataset

NO_DIGESTS: Mapping[str, str] = MappingProxyType({})


def fault(file: Path, name: str) -> str:
    with pytest.raises(WrongFileError) as caught:
        read_idx(file, IdxFile(Tiny(), name))
    return str(caught.value)


@pytest.mark.parametrize("name", FILE_NAMES)
@pytest.mark.parametrize(
    "files", [CONTENT, {name: GZIPPED[f"{name}.gz"] for name in FILE_NAMES}], ids=["plain", "gzip"]
)
def test_sound_file_is_read_whatever_its_name_says(name: str, files: dict[str, bytes], tmp_path: Path) -> None:
    file = tmp_path / "renamed"
    file.write_bytes(files[name])
    assert read_idx(file, IdxFile(Tiny(), name)) == CONTENT[name]


def test_tensor_has_height_before_width() -> None:
    images = idx_tensor(CONTENT[TEST_IMAGES], IdxFile(Tiny(), TEST_IMAGES))
    assert images.shape == (10, 3, 2)
    assert images[0].tolist() == [[0, 31], [62, 93], [124, 155]]


GZIP = GZIPPED[f"{TRAIN_IMAGES}.gz"]
CHANGED = CONTENT[TEST_IMAGES][:-1] + b"\0"
FAULTS = {
    "empty": (TRAIN_IMAGES, b"", "is truncated: it has 0 of 136 bytes"),
    "header only": (TRAIN_IMAGES, CONTENT[TRAIN_IMAGES][:16], "is truncated: it has 16 of 136 bytes"),
    "one byte short": (TRAIN_IMAGES, CONTENT[TRAIN_IMAGES][:-1], "is truncated: it has 135 of 136 bytes"),
    "one byte more": (
        TRAIN_IMAGES,
        CONTENT[TRAIN_IMAGES] + b"!",
        "goes on after the 136 bytes of 20 images of 3x2",
    ),
    "a web page": (
        TRAIN_IMAGES,
        b"<!DOCTYPE html><html>",
        "begins with 0x3c21444f, where an IDX file of images has 0x00000803",
    ),
    "labels for images": (
        TRAIN_IMAGES,
        idx_labels(list(range(10)) * 3),
        "begins with 0x00000801, where an IDX file of images has 0x00000803",
    ),
    "images for labels": (
        TEST_LABELS,
        idx_images(11),
        "begins with 0x00000803, where an IDX file of labels has 0x00000801",
    ),
    "too few images": (TEST_IMAGES, idx_images(9), "holds 9 images of 3x2, where tiny has 10 images of 3x2"),
    "turned images": (TEST_IMAGES, idx_images(10, 2, 3), "holds 10 images of 2x3, where tiny has 10 images of 3x2"),
    "too many labels": (TEST_LABELS, idx_labels([0] * 11), "holds 11 labels, where tiny has 10 labels"),
    "no such class": (
        TEST_LABELS,
        idx_labels([0, 1, 255, 3, 4, 5, 6, 7, 8, 9]),
        "holds the label 255 (image 2), where labels are 0 to 9",
    ),
    "a changed pixel": (
        TEST_IMAGES,
        CHANGED,
        f"is damaged: the SHA-256 of its content is {hashlib.sha256(CHANGED).hexdigest()}, "
        f"where {Tiny.sha256[TEST_IMAGES]} is right",
    ),
    "gzip truncated": (TRAIN_IMAGES, GZIP[:-9], "is truncated: it ends within its gzip stream"),
    "gzip with a wrong checksum": (
        TRAIN_IMAGES,
        GZIP[:-8] + bytes(4) + GZIP[-4:],
        "is damaged: its gzip stream can't be unpacked "
        f"(CRC check failed 0x0 != {zlib.crc32(CONTENT[TRAIN_IMAGES]):#x})",
    ),
    "gzip with bytes behind it": (
        TRAIN_IMAGES,
        GZIP + b"more",
        "is damaged: its gzip stream can't be unpacked (Not a gzipped file (b'mo'))",
    ),
    "gzip of too much": (
        TRAIN_IMAGES,
        gzip.compress(CONTENT[TRAIN_IMAGES] + bytes(10_000_000)),
        "goes on after the 136 bytes of 20 images of 3x2",
    ),
}


@pytest.mark.parametrize(("name", "content", "words"), FAULTS.values(), ids=FAULTS)
def test_fault_is_said_in_its_own_words(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    assert fault(file, name) == words


def test_damaged_deflate_stream_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "damaged"
    file.write_bytes(GZIP[:10] + b"\xff" * 20)
    assert fault(file, TRAIN_IMAGES).startswith("is damaged: its gzip stream can't be unpacked (Error -3 ")


def test_no_more_is_unpacked_than_a_file_should_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Counted(gzip.GzipFile):
        def read(self, size: int | None = -1) -> bytes:
            asked.append(size)
            return super().read(size)

    monkeypatch.setattr(gzip, "GzipFile", Counted)
    file = tmp_path / "bomb"
    file.write_bytes(gzip.compress(bytes(10_000_000)))
    assert fault(file, TRAIN_IMAGES) == "begins with 0x00000000, where an IDX file of images has 0x00000803"
    assert asked == [137]


def test_test_labels_in_place_of_training_labels_are_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Dataset.table, "tiny", Tiny)
    file = tmp_path / "file"
    file.write_bytes(CONTENT[TEST_LABELS])
    assert fault(file, TRAIN_LABELS) == f"holds the {TEST_LABELS} of tiny, where the {TRAIN_LABELS} of tiny belongs"


def test_training_images_in_place_of_test_images_are_known_by_their_count(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(CONTENT[TRAIN_IMAGES])
    assert fault(file, TEST_IMAGES) == "holds 20 images of 3x2, where tiny has 10 images of 3x2"


def test_without_known_digests_all_the_rest_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tiny, "sha256", NO_DIGESTS)
    file = tmp_path / "file"
    file.write_bytes(CHANGED)
    assert read_idx(file, IdxFile(Tiny(), TEST_IMAGES)) == CHANGED
    file.write_bytes(idx_labels([10] * 10))
    assert fault(file, TEST_LABELS) == "holds the label 10 (image 0), where labels are 0 to 9"


def test_directory_is_not_read(tmp_path: Path) -> None:
    assert fault(tmp_path, TEST_LABELS) == "is not a regular file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert fault(tmp_path / "pipe", TEST_LABELS) == "is not a regular file"


@pytest.mark.parametrize("method", ["is_file", "open"])
def test_file_that_nobody_may_read_is_a_fault(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: str) -> None:
        raise PermissionError(13, "Permission denied")

    file = tmp_path / "file"
    file.write_bytes(b"")
    monkeypatch.setattr(Path, method, refuse)
    assert fault(file, TEST_LABELS) == "can't be read (Permission denied)"
