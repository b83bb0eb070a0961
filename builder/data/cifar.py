"""The binary version of CIFAR-10: records of a label and the image's bytes, with no header.

The layout is that of https://www.cs.toronto.edu/~kriz/cifar.html: a label from 0 to 9, then the red, the green and the
blue pixels, each row by row.
"""

from collections.abc import Mapping
from importlib.resources.abc import Traversable
from math import prod

import torch
from torch import Tensor

from builder.data.stored import Labelled, WrongFileError, check_labels, check_length, uncompressed
from builder.recipe.datasets import Cifar10


def cifar_images(dataset: Cifar10, contents: Mapping[str, bytes]) -> tuple[Labelled, Labelled]:
    """The training and the test images, from the verified contents of the files."""
    *train, test = (_records(dataset, contents[name]) for name in dataset.file_names)
    return _labelled(dataset, torch.cat(train)), _labelled(dataset, test)


def read_cifar(file: Traversable, dataset: Cifar10) -> bytes:
    """The bytes of a file, verified. Raises WrongFileError."""
    record = _record_bytes(dataset)
    num_bytes = dataset.images_per_file * record
    content = uncompressed(file, num_bytes + 1)  # one byte more, to see that nothing follows
    if content[:1] == b"<":
        raise WrongFileError("begins with `<`, like a web page, where the label of an image belongs")
    check_length(content, num_bytes, f"{dataset.images_per_file} images of {record} bytes")
    check_labels(content[::record], 0, len(dataset.classes))
    return content


def _records(dataset: Cifar10, content: bytes) -> Tensor:
    """uint8 (images, label and pixels)."""
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).view(-1, _record_bytes(dataset))


def _record_bytes(dataset: Cifar10) -> int:
    return 1 + prod(dataset.image)


def _labelled(dataset: Cifar10, records: Tensor) -> Labelled:
    return Labelled(records[:, 1:].reshape(-1, *dataset.image), records[:, 0].to(torch.int64))
