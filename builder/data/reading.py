"""The files of a data set, each read in its format."""

from collections.abc import Mapping
from importlib.resources.abc import Traversable

from builder.data.cifar import cifar_images, read_cifar
from builder.data.idx import IdxFile, idx_images, read_idx
from builder.data.stored import Labelled
from builder.recipe.datasets import Cifar10, FileDataset, IdxDataset


def read_content(dataset: FileDataset, name: str, file: Traversable) -> bytes:
    """What one file of a data set holds, uncompressed and verified. Raises WrongFileError."""
    if isinstance(dataset, IdxDataset):
        return read_idx(file, IdxFile(dataset, name))
    assert isinstance(dataset, Cifar10)  # there are no other formats
    return read_cifar(file, dataset)


def images_of(dataset: FileDataset, contents: Mapping[str, bytes]) -> tuple[Labelled, Labelled]:
    """The training and the test images, from the verified contents of all files."""
    if isinstance(dataset, IdxDataset):
        return idx_images(dataset, contents)
    assert isinstance(dataset, Cifar10)
    return cifar_images(dataset, contents)
