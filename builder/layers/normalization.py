"""Normalisation. Its statistics count as constants: no norm enlarges a receptive field."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from builder.fields import Flag, Number, OrNull, Positive, parameter
from builder.layers.base import Layer, Shape, positions

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Layer):
    """What batch norms share: per channel, the batch's mean is subtracted and its deviation divided by."""

    eps: Positive = parameter("added to the variance, so that nothing is divided by zero", default=1e-5)
    momentum: Annotated[float | None, OrNull(Number(minimum=0, maximum=1))] = parameter(
        "share of a new batch in the running statistics; null averages over all batches", default=0.1
    )
    affine: Flag = parameter("learn a factor and an offset per channel", default=True)
    track_running_stats: Flag = parameter("keep running statistics and use them in testing", default=True)

    def params(self, in_shape: Shape) -> int:
        return 2 * in_shape[0] if self.affine else 0

    def buffers(self, in_shape: Shape) -> int:
        """Running mean and variance per channel, and the count of batches."""
        return 2 * in_shape[0] + 1 if self.track_running_stats else 0

    def values_per_channel(self, in_shape: Shape) -> int:
        return positions(in_shape)


@dataclass(frozen=True, kw_only=True)
class BatchNorm2d(BatchNorm, kind="batch_norm2d"):
    """Batch normalisation of a map, per channel: (channels, height, width) -> the same shape."""

    ranks: ClassVar = (3,)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.BatchNorm2d(in_shape[0], self.eps, self.momentum, self.affine, self.track_running_stats)


@dataclass(frozen=True, kw_only=True)
class BatchNorm1d(BatchNorm, kind="batch_norm1d"):
    """Batch normalisation of features: (features,) -> the same shape, or (channels, length) -> the same shape."""

    ranks: ClassVar = (1, 2)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.BatchNorm1d(in_shape[0], self.eps, self.momentum, self.affine, self.track_running_stats)
