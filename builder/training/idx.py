"""IDX, the file format of MNIST: a file is read whole and verified before anything in it is believed."""

import gzip
import hashlib
import struct
import zlib
from dataclasses import dataclass
from functools import cached_property
from importlib.resources.abc import Traversable
from math import prod

import torch
from torch import Tensor

from builder.recipe.datasets import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, Dataset

FILE_NAMES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

_UNSIGNED_BYTES = 0x0800  # the magic number is the type of the values and, in its last byte, the number of dimensions


class IdxError(Exception):
    """A file is not what it must be; the text goes on where the file's name ends."""


@dataclass(frozen=True)
class IdxFile:
    """What one of the four files of a data set must be."""

    dataset: type[Dataset]
    name: str

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """(images, height, width), or (images,) for labels."""
        count = self.dataset.num_train if self.name in (TRAIN_IMAGES, TRAIN_LABELS) else self.dataset.num_test
        return (count, *self.dataset.image[1:]) if self.name in (TRAIN_IMAGES, TEST_IMAGES) else (count,)

    @property
    def header(self) -> bytes:
        return struct.pack(f">I{len(self.shape)}I", _UNSIGNED_BYTES | len(self.shape), *self.shape)

    @property
    def num_bytes(self) -> int:
        return len(self.header) + prod(self.shape)


def read_tensor(file: Traversable, expected: IdxFile) -> Tensor:
    """The values in a file as uint8, in the shape of `expected`. Raises IdxError."""
    # A bytearray, because torch warns of memory that nobody may write to.
    content = bytearray(read_content(file, expected))
    return torch.frombuffer(content, dtype=torch.uint8, offset=len(expected.header)).view(expected.shape)


def read_content(file: Traversable, expected: IdxFile) -> bytes:
    """The uncompressed bytes of a file, plain or gzipped, verified. Raises IdxError."""
    content = _uncompressed(file, expected.num_bytes + 1)  # one byte more, to see that nothing follows
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected.dataset.sha256.get(expected.name):  # the right digest proves all the rest
        _check_owner(digest, expected)
        _check_header(content, expected)
        _check_length(content, expected)
        _check_labels(content, expected)
        _check_digest(digest, expected)
    return content


def _uncompressed(file: Traversable, limit: int) -> bytes:
    """At most `limit` bytes, so that a small file can't grow into all memory."""
    try:
        if not file.is_file():  # opening a pipe would wait for ever
            raise IdxError("is not a regular file")
        with file.open("rb") as stream:
            # The content decides and not the name: some browsers unpack what they download and keep its name.
            is_gzipped = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            content: bytes = (gzip.GzipFile(fileobj=stream) if is_gzipped else stream).read(limit)
            return content
    except EOFError:
        raise IdxError("is truncated: it ends within its gzip stream") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise IdxError(f"is damaged: its gzip stream can't be unpacked ({error})") from None
    except OSError as error:
        raise IdxError(f"can't be read ({error.strerror})") from None


def _check_owner(digest: str, expected: IdxFile) -> None:
    """The four names are the same for every data set of this format, and so is the mistake of mixing them up."""
    for dataset in Dataset.table.values():
        for name, known in dataset.sha256.items():
            if digest == known:
                right = f"{expected.name} of {expected.dataset.kind}"
                raise IdxError(f"holds the {name} of {dataset.kind}, where the {right} belongs")


def _check_header(content: bytes, expected: IdxFile) -> None:
    size = len(expected.header)
    if len(content) < size:
        raise IdxError(f"is truncated: it has {len(content)} of {expected.num_bytes} bytes")
    magic, *shape = struct.unpack(f">I{len(expected.shape)}I", content[:size])
    right = _UNSIGNED_BYTES | len(expected.shape)
    if magic != right:
        raise IdxError(f"begins with 0x{magic:08x}, where an IDX file of {_what(expected.shape)} has 0x{right:08x}")
    if tuple(shape) != expected.shape:
        found, wanted = _count(tuple(shape)), _count(expected.shape)
        raise IdxError(f"holds {found}, where {expected.dataset.kind} has {wanted}")


def _check_length(content: bytes, expected: IdxFile) -> None:
    if len(content) < expected.num_bytes:
        raise IdxError(f"is truncated: it has {len(content)} of {expected.num_bytes} bytes")
    if len(content) > expected.num_bytes:
        raise IdxError(f"goes on after the {expected.num_bytes} bytes of {_count(expected.shape)}")


def _check_labels(content: bytes, expected: IdxFile) -> None:
    if len(expected.shape) > 1:
        return
    labels = content[len(expected.header) :]
    largest, last = max(labels), len(expected.dataset.classes) - 1
    if largest > last:
        raise IdxError(f"holds the label {largest} (image {labels.index(largest)}), where labels are 0 to {last}")


def _check_digest(digest: str, expected: IdxFile) -> None:
    right = expected.dataset.sha256.get(expected.name)
    if right is not None:
        raise IdxError(f"is damaged: the SHA-256 of its content is {digest}, where {right} is right")


def _what(shape: tuple[int, ...]) -> str:
    return "labels" if len(shape) == 1 else "images"


def _count(shape: tuple[int, ...]) -> str:
    """`60000 images of 28x28`, or `60000 labels`."""
    size = "x".join(str(length) for length in shape[1:])
    return f"{shape[0]} {_what(shape)}" + (f" of {size}" if size else "")
