"""The layer kinds, one frozen class each, by family; importing the families fills the table `LAYERS`."""

from builder.layers import (
    activation,
    conv,
    linear,
    normalization,
    padding,
    pooling,
    regularization,
    shuffle,
    upsampling,
)
from builder.layers.base import LAYERS, Layer, Shape

__all__ = [
    "LAYERS",
    "Layer",
    "Shape",
    "activation",
    "conv",
    "linear",
    "normalization",
    "padding",
    "pooling",
    "regularization",
    "shuffle",
    "upsampling",
]
