"""A data set of thirty images in the format of MNIST, for tests of finding, reading and downloading."""

import gzip
import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from builder.recipe.datasets import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, Mnist, Remote

HEIGHT, WIDTH = 3, 2  # not square, so that swapping them shows


def idx_images(count: int, height: int = HEIGHT, width: int = WIDTH) -> bytes:
    pixels = bytes(31 * i % 256 for i in range(count * height * width))
    return struct.pack(">IIII", 0x803, count, height, width) + pixels


def idx_labels(labels: list[int]) -> bytes:
    return struct.pack(">II", 0x801, len(labels)) + bytes(labels)


CONTENT = {
    TRAIN_IMAGES: idx_images(20),
    TRAIN_LABELS: idx_labels([i % 10 for i in range(20)]),
    TEST_IMAGES: idx_images(10),
    TEST_LABELS: idx_labels(list(range(10))),
}
GZIPPED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in CONTENT.items()}


FILE_NAMES = tuple(CONTENT)
MD5 = tuple((name, hashlib.md5(content, usedforsecurity=False).hexdigest()) for name, content in GZIPPED.items())


class Tiny(Mnist):
    """Not in the table: it has no word of its own."""

    kind: ClassVar = "tiny"
    image: ClassVar = (1, HEIGHT, WIDTH)
    num_train_stored: ClassVar = 20
    num_test_stored: ClassVar = 10
    folder: ClassVar = "Tiny/raw"
    remote: ClassVar = Remote((), MD5)
    sha256: ClassVar = MappingProxyType({name: hashlib.sha256(it).hexdigest() for name, it in CONTENT.items()})


def write_files(folder: Path, files: Mapping[str, bytes] = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
