"""IDX, the file format of MNIST: a header with the shape, and a byte for each number."""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources.abc import Traversable
from math import prod

import torch
from torch import Tensor

from builder.data.stored import Labelled, WrongFileError, check_labels, check_length, uncompressed
from builder.recipe.datasets import Dataset, IdxDataset

_UNSIGNED_BYTES = 0x0800  # the magic number is the type of the values and, in its last byte, the number of dimensions


@dataclass(frozen=True)
class IdxFile:
    """What one of the four files of a data set must be."""

    dataset: IdxDataset
    name: str

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """(images, height, width), or (images,) for labels."""
        position = self.dataset.file_names.index(self.name)
        count = self.dataset.num_train_stored if position < 2 else self.dataset.num_test_stored
        return (count, *self.dataset.image[1:]) if position % 2 == 0 else (count,)

    @property
    def header(self) -> bytes:
        return struct.pack(f">I{len(self.shape)}I", _UNSIGNED_BYTES | len(self.shape), *self.shape)

    @property
    def num_bytes(self) -> int:
        return len(self.header) + prod(self.shape)


def idx_images(dataset: IdxDataset, contents: Mapping[str, bytes]) -> tuple[Labelled, Labelled]:
    """The training and the test images, from the verified contents of the files."""
    images, labels, test_images, test_labels = (
        idx_tensor(contents[name], IdxFile(dataset, name)) for name in dataset.file_names
    )
    return _labelled(dataset, images, labels), _labelled(dataset, test_images, test_labels)


def _labelled(dataset: IdxDataset, images: Tensor, labels: Tensor) -> Labelled:
    if dataset.is_transposed:
        images = images.transpose(1, 2).contiguous()
    return Labelled(images.view(-1, *dataset.image), labels.to(torch.int64) - dataset.first_label)


def idx_tensor(content: bytes, expected: IdxFile) -> Tensor:
    """The values in a verified file as uint8, in the shape of `expected`."""
    # A bytearray, because torch warns of memory that nobody may write to.
    offset = len(expected.header)
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=offset).view(expected.shape)


def read_idx(file: Traversable, expected: IdxFile) -> bytes:
    """The uncompressed bytes of a file, plain or gzipped, verified. Raises WrongFileError."""
    content = uncompressed(file, expected.num_bytes + 1)  # one byte more, to see that nothing follows
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected.dataset.sha256.get(expected.name):  # the right digest proves all the rest
        _check_owner(digest, expected)
        _check_header(content, expected)
        check_length(content, expected.num_bytes, _count(expected.shape))
        if len(expected.shape) == 1:
            labels = content[len(expected.header) :]
            check_labels(labels, expected.dataset.first_label, len(expected.dataset.classes))
        _check_digest(digest, expected)
    return content


def _check_owner(digest: str, expected: IdxFile) -> None:
    """The four names are the same for every data set of this format, and so is the mistake of mixing them up."""
    for dataset in Dataset.table.values():
        for name, known in dataset.sha256.items() if issubclass(dataset, IdxDataset) else ():
            if digest == known:
                right = f"{expected.name} of {expected.dataset.kind}"
                raise WrongFileError(f"holds the {name} of {dataset.kind}, where the {right} belongs")


def _check_header(content: bytes, expected: IdxFile) -> None:
    size = len(expected.header)
    if len(content) < size:
        raise WrongFileError(f"is truncated: it has {len(content)} of {expected.num_bytes} bytes")
    magic, *shape = struct.unpack(f">I{len(expected.shape)}I", content[:size])
    right = _UNSIGNED_BYTES | len(expected.shape)
    if magic != right:
        raise WrongFileError(
            f"begins with 0x{magic:08x}, where an IDX file of {_what(expected.shape)} has 0x{right:08x}"
        )
    if tuple(shape) != expected.shape:
        found, wanted = _count(tuple(shape)), _count(expected.shape)
        raise WrongFileError(f"holds {found}, where {expected.dataset.kind} has {wanted}")


def _check_digest(digest: str, expected: IdxFile) -> None:
    right = expected.dataset.sha256.get(expected.name)
    if right is not None:
        raise WrongFileError(f"is damaged: the SHA-256 of its content is {digest}, where {right} is right")


def _what(shape: tuple[int, ...]) -> str:
    return "labels" if len(shape) == 1 else "images"


def _count(shape: tuple[int, ...]) -> str:
    """`60000 images of 28x28`, or `60000 labels`."""
    size = "x".join(str(length) for length in shape[1:])
    return f"{shape[0]} {_what(shape)}" + (f" of {size}" if size else "")
