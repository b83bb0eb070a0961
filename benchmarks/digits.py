"""Where the images of a comparison lie: for scripts in torchvision's layout, for specs under the name of a data set."""

import gzip
import struct
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from builder.recipe.datasets import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, MnistSample

MAGIC_BYTES = 4
SIZE_BYTES = 4  # of each size in the header of an IDX file, big-endian


@dataclass(frozen=True)
class Digits:
    """MNIST below a folder, and what a spec has to say to use these very images."""

    root: str
    overrides: tuple[str, ...] = ()


def few_digits(root: Path, num_train: int, num_test: int) -> Digits:
    """So many images of the embedded sample, written below `root` as torchvision wants to find MNIST."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    numbers = {TRAIN_IMAGES: num_train, TRAIN_LABELS: num_train, TEST_IMAGES: num_test, TEST_LABELS: num_test}
    for name, number in numbers.items():
        stored = resources.files("builder") / MnistSample.folder / f"{name}.gz"
        (folder / name).write_bytes(first_of(gzip.decompress(stored.read_bytes()), number))
    sizes = f"{{train_size: {num_train}, test_size: {num_test}}}"
    return Digits(str(root), (f"training.dataset={{{MnistSample.kind}: {sizes}}}",))


def first_of(content: bytes, count: int) -> bytes:
    """An IDX file with the first items of another."""
    dimensions = content[MAGIC_BYTES - 1]
    stored, *shape = struct.unpack_from(f">{dimensions}I", content, MAGIC_BYTES)
    start = MAGIC_BYTES + SIZE_BYTES * dimensions
    item_bytes = (len(content) - start) // stored
    return content[:MAGIC_BYTES] + struct.pack(f">{dimensions}I", count, *shape) + content[start:][: count * item_bytes]
