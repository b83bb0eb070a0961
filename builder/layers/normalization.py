"""Normalisation. Its statistics count as constants: no norm enlarges a receptive field."""

from math import prod
from typing import TYPE_CHECKING, Annotated, ClassVar

from builder.fields import Channels, Count, Flag, NonNegative, Number, OrNull, Positive, Probability, parameter
from builder.kinds import Misfit, MisfitError
from builder.layers.base import Layer, Shape, positions
from builder.layers.conv import divisors_hint

if TYPE_CHECKING:
    from torch import nn


EPS_MEANING = "added to the variance, so that nothing is divided by zero"


class ChannelNorm(Layer):
    """What batch and instance norms share: per channel, the mean is subtracted and the deviation divided by."""

    eps: Positive = parameter(EPS_MEANING, default=1e-5)
    momentum: float | None
    affine: bool
    track_running_stats: bool

    def params(self, in_shape: Shape) -> int:
        return 2 * in_shape[0] if self.affine else 0

    def buffers(self, in_shape: Shape) -> int:
        """Running mean and variance per channel, and the count of batches."""
        return 2 * in_shape[0] + 1 if self.track_running_stats else 0


class BatchNorm(ChannelNorm):
    """What batch norms share: mean and deviation are those of the batch."""

    momentum: Annotated[float | None, OrNull(Number(minimum=0, maximum=1))] = parameter(
        "share of a new batch in the running statistics; null averages over all batches", default=0.1
    )
    affine: Flag = parameter("learn a factor and an offset per channel", default=True)
    track_running_stats: Flag = parameter("keep running statistics and use them in testing", default=True)

    def values_per_channel(self, in_shape: Shape) -> int:
        return positions(in_shape)


class BatchNorm2d(BatchNorm, kind="batch_norm2d"):
    """Batch normalisation of a map, per channel: (channels, height, width) -> the same shape."""

    ranks: ClassVar = (3,)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.BatchNorm2d(in_shape[0], self.eps, self.momentum, self.affine, self.track_running_stats)


class BatchNorm1d(BatchNorm, kind="batch_norm1d"):
    """Batch normalisation of features: (features,) -> the same shape, or (channels, length) -> the same shape."""

    ranks: ClassVar = (1, 2)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.BatchNorm1d(in_shape[0], self.eps, self.momentum, self.affine, self.track_running_stats)


class InstanceNorm2d(ChannelNorm, kind="instance_norm2d"):
    """Normalisation of each channel of each image alone: (channels, height, width) -> the same shape."""

    ranks: ClassVar = (3,)

    momentum: Probability = parameter("share of a new batch in the running statistics", default=0.1)
    affine: Flag = parameter("learn a factor and an offset per channel", default=False)
    track_running_stats: Flag = parameter("keep running statistics and use them in testing", default=False)

    def check_input(self, in_shape: Shape) -> None:
        """One value has no deviation; torch refuses it in training, whatever the batch."""
        if positions(in_shape) == 1:
            message = f"`{self.kind}` needs 2 values per channel of an image, and its input is a map of 1x1"
            raise MisfitError(Misfit("one-value", message, f"move `{self.kind}` to where the map is larger"))

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.InstanceNorm2d(in_shape[0], self.eps, self.momentum, self.affine, self.track_running_stats)


class GroupNorm(Layer, kind="group_norm"):
    """Normalisation of each group of channels of each image (Wu & He 2018, arXiv:1803.08494); it keeps the shape."""

    num_groups: Channels = parameter("groups that the channels are cut into, such as 8")
    eps: Positive = parameter(EPS_MEANING, default=1e-5)
    affine: Flag = parameter("learn a factor and an offset per channel", default=True)

    def check_input(self, in_shape: Shape) -> None:
        if in_shape[0] % self.num_groups:
            message = f"the {in_shape[0]} input channels are not divisible by `num_groups` (={self.num_groups})"
            raise MisfitError(Misfit("groups", message, divisors_hint(self.num_groups, in_shape[0]), "num_groups"))

    def params(self, in_shape: Shape) -> int:
        return 2 * in_shape[0] if self.affine else 0

    def values_per_channel(self, in_shape: Shape) -> int:
        """No batch statistic, but torch counts as if it were: one value per group of a single image is refused."""
        return in_shape[0] // self.num_groups * positions(in_shape)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.GroupNorm(self.num_groups, in_shape[0], self.eps, self.affine)


class LayerNorm(Layer, kind="layer_norm"):
    """Normalisation over all values of an image (Ba et al. 2016, arXiv:1607.06450); it keeps the shape."""

    eps: Positive = parameter(EPS_MEANING, default=1e-5)
    elementwise_affine: Flag = parameter("learn a factor, and an offset (see bias), per value", default=True)
    bias: Flag = parameter("learn an offset per value, where a factor is learned", default=True)

    def params(self, in_shape: Shape) -> int:
        per_value = 1 + self.bias if self.elementwise_affine else 0
        return per_value * prod(in_shape)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.LayerNorm(in_shape, self.eps, self.elementwise_affine, self.bias)


class LocalResponseNorm(Layer, kind="local_response_norm"):
    """Each value divided by a sum over neighbouring channels (Krizhevsky et al. 2012); it keeps the shape."""

    ranks: ClassVar = (2, 3)

    size: Count = parameter("channels that are summed over, such as 5")
    alpha: NonNegative = parameter("factor of the mean of squares", default=1e-4)
    beta: NonNegative = parameter("exponent of the divisor", default=0.75)
    k: Positive = parameter("added to the mean of squares, so that nothing is divided by zero", default=1.0)

    def module(self, in_shape: Shape) -> "nn.Module":
        from torch import nn

        return nn.LocalResponseNorm(self.size, self.alpha, self.beta, self.k)
