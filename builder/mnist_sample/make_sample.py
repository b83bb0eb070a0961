"""Make the embedded sample from the files of MNIST, uncompressed as published:

    python builder/mnist_sample/make_sample.py DIR_OF_RAW_FILES

Writes four `.gz` files beside this script and prints the SHA-256 of what they hold, for
`builder/recipe/datasets/mnist.py`. Needs nothing but Python.
"""

import gzip
import hashlib
import io
import struct
import sys
from pathlib import Path

SPLITS = {"train": 500, "t10k": 100}  # images per digit, from the official split of that name
DIGITS = range(10)


def make_sample(folder: Path) -> dict[str, bytes]:
    """The content of the four IDX files of the sample, by name, from the four of MNIST in `folder`."""
    sample = {}
    for split, per_digit in SPLITS.items():
        images_name, labels_name = f"{split}-images-idx3-ubyte", f"{split}-labels-idx1-ubyte"
        images = (folder / images_name).read_bytes()
        labels = (folder / labels_name).read_bytes()[8:]
        _, _, height, width = struct.unpack(">IIII", images[:16])
        area = height * width
        chosen = evenly_spaced(labels, per_digit)
        pixels = b"".join(images[16 + area * i : 16 + area * (i + 1)] for i in chosen)
        sample[images_name] = struct.pack(">IIII", 0x803, len(chosen), height, width) + pixels
        sample[labels_name] = struct.pack(">II", 0x801, len(chosen)) + bytes(labels[i] for i in chosen)
    return sample


def evenly_spaced(labels: bytes, per_digit: int) -> list[int]:
    """Which images to take: `per_digit` of each digit, evenly spaced through its occurrences, in their order."""
    chosen = []
    for digit in DIGITS:
        occurrences = [i for i, label in enumerate(labels) if label == digit]
        chosen += [occurrences[k * len(occurrences) // per_digit] for k in range(per_digit)]
    return sorted(chosen)


def compressed(content: bytes) -> bytes:
    """Gzipped without a time and a name, so that making it again gives the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as stream:
        stream.write(content)
    return buffer.getvalue()


def main(folder: str) -> None:
    """Write the files and print their digests."""
    for name, content in make_sample(Path(folder)).items():
        Path(__file__).with_name(f"{name}.gz").write_bytes(compressed(content))
        print(hashlib.sha256(content).hexdigest(), name)  # noqa: T201 - what this command is for


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python builder/mnist_sample/make_sample.py DIR_OF_RAW_FILES")
    main(sys.argv[1])
