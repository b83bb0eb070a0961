"""Data sets. What a network must fit (image size, classes, counts) is known here without any file.

A run adds what only it can know: how many pictures lie in the folders of `image_folder`.
"""

from builder.recipe.datasets.base import EMBEDDED, FROM_IMAGES, Dataset, Downloadable, FileDataset, Remote
from builder.recipe.datasets.mnist import (
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Emnist,
    FashionMnist,
    IdxDataset,
    Kmnist,
    Mnist,
    MnistSample,
)

# What is imported first comes first in lists and on the reference page.
# isort: split
from builder.recipe.datasets.cifar import Cifar10
from builder.recipe.datasets.folders import ImageFolder
from builder.recipe.datasets.synthetic import Synthetic

__all__ = [
    "EMBEDDED",
    "FROM_IMAGES",
    "TEST_IMAGES",
    "TEST_LABELS",
    "TRAIN_IMAGES",
    "TRAIN_LABELS",
    "Cifar10",
    "Dataset",
    "Downloadable",
    "Emnist",
    "FashionMnist",
    "FileDataset",
    "IdxDataset",
    "ImageFolder",
    "Kmnist",
    "Mnist",
    "MnistSample",
    "Remote",
    "Synthetic",
]
