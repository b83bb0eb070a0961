"""Kinds of layers by what they do to a network, as lints see them."""

from builder.layers import Layer
from builder.layers.activation import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Hardsigmoid,
    Hardswish,
    LeakyReLU,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from builder.layers.conv import Convolution
from builder.layers.linear import Flatten, Identity, Linear, Unflatten
from builder.layers.normalization import BatchNorm, ChannelNorm, GroupNorm, LayerNorm
from builder.layers.pooling import AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d
from builder.layers.regularization import Dropout, Dropout2d, StochasticDepth

CUTTING = (ReLU, ReLU6)  # no gradient where they cut
BOUNDED = (*CUTTING, Sigmoid, Tanh, Hardsigmoid, Softplus, ELU, SELU, CELU, GELU, SiLU, Hardswish, Mish)  # on one side
ACTIVATIONS = (*BOUNDED, LeakyReLU, PReLU, GLU)
TWO_SIDED = (Sigmoid, Tanh, Hardsigmoid)  # their slope lies around zero
NEVER_NEGATIVE = (ReLU, ReLU6, Softplus, Sigmoid, Hardsigmoid)
SOFTMAXES = (Softmax, LogSoftmax)
DROPOUTS = (Dropout, Dropout2d)
AFFINE = (Convolution, Linear)  # they learn a weighted sum
AVERAGES = (AvgPool1d, AvgPool2d, AdaptiveAvgPool1d, AdaptiveAvgPool2d)
RESHAPING = (Flatten, Unflatten, Identity)  # they change no value
PASSING = (*RESHAPING, *DROPOUTS)  # they change no value, or set some to zero

# A weighted sum stays one through these. A norm of the image itself divides by what it is given, and is none of them.
KEEPING_LINEAR = (*RESHAPING, *DROPOUTS, StochasticDepth, *AVERAGES, BatchNorm)
NORMS = (ChannelNorm, GroupNorm, LayerNorm)


def is_depthwise(layer: Layer | None) -> bool:
    """Whether a convolution filters its channels in groups, as one half of a separable convolution does."""
    return isinstance(layer, Convolution) and layer.groups > 1


def is_pointwise(layer: Layer | None) -> bool:
    """Whether a convolution sees a single unit at a time."""
    return isinstance(layer, Convolution) and set(layer.kernel_size) == {1}
