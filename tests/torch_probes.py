"""Networks that take another's place to show what its units depend on, by gradient.

A probe has the same windows, with positive weights that sum to one, so that no gradient cancels and every value on an
image of ones is 1 unless some window on the way saw padding.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # its usual name
from torch import Tensor, nn

from builder.layers import Shape
from builder.modules import StochasticDepth

TOLERANCE = 1e-9  # of a sum of weights that should be 1; a padded border takes away far more
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
POOLS = (nn.MaxPool2d, nn.AvgPool2d)
POOLS_OF_ROWS = (nn.MaxPool1d, nn.AvgPool1d)
ADAPTIVE_POOLS = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
PADS = (nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d)
SOFTMAXES = (nn.Softmax, nn.LogSoftmax)
ELEMENT_WISE = (
    *(nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Identity),
    *(nn.ReLU6, nn.ELU, nn.SELU, nn.CELU, nn.PReLU, nn.Softplus, nn.Hardswish, nn.Hardsigmoid, nn.Mish),
)
CONSTANT_IN_TESTING = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm),
    *(nn.Dropout, nn.Dropout2d, StochasticDepth),
)
PROBES_OF_THEMSELVES = (nn.Flatten, nn.Unflatten, nn.ChannelShuffle, nn.PixelShuffle, nn.AdaptiveAvgPool1d)


class WindowOfOnes(nn.Module):
    """A pooling as a depthwise convolution with equal weights; its output size is asked of the real pooling."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, values: Tensor) -> Tensor:
        wanted = self.pool(torch.empty(values.shape, device="meta")).shape[-2:]
        kernel, stride, padding, dilation = (
            both(getattr(self.pool, name, 1)) for name in ("kernel_size", "stride", "padding", "dilation")
        )
        after = [
            # With ceil_mode the last window may reach further than the padding.
            max((wanted[axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1 - size - padding[axis], 0)
            for axis, size in enumerate(values.shape[-2:])
        ]
        padded = F.pad(values, (padding[1], after[1], padding[0], after[0]))
        channels = values.shape[1]
        ones = torch.ones(channels, 1, *kernel, dtype=values.dtype) / (kernel[0] * kernel[1])
        result = F.conv2d(padded, ones, stride=stride, dilation=dilation, groups=channels)
        return result[..., : wanted[0], : wanted[1]]


class MeanAlong(nn.Module):
    """A softmax's dependences: along one dimension, everything on everything."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, values: Tensor) -> Tensor:
        return values.mean(self.dim, keepdim=True).expand_as(values)


class PoolOfRows(nn.Module):
    """A pooling along rows, as one of a map of a single row."""

    def __init__(self, pool: nn.MaxPool1d | nn.AvgPool1d) -> None:
        super().__init__()
        kernel, stride, padding, dilation = (
            along(getattr(pool, name, 1)) for name in ("kernel_size", "stride", "padding", "dilation")
        )
        as_map = nn.MaxPool2d((1, kernel), (1, stride), (0, padding), (1, dilation), ceil_mode=pool.ceil_mode)
        self.window = WindowOfOnes(as_map)

    def forward(self, values: Tensor) -> Tensor:
        result: Tensor = self.window(values.unsqueeze(2)).squeeze(2)
        return result


class MeanOfHalves(nn.Module):
    """A GLU's dependences: every value on one of each half."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, values: Tensor) -> Tensor:
        first, second = values.chunk(2, self.dim)
        return (first + second) / 2


class Interpolation(nn.Module):
    """An upsampling's weights, without their signs, on a map that goes on beyond its border, as zeros.

    Torch itself repeats the border there. Its weights beyond come from a larger map: their pattern repeats after as
    many units as the map has, or as make the scale a whole number.
    """

    def __init__(self, upsample: nn.Upsample) -> None:
        super().__init__()
        self.upsample = upsample

    def forward(self, values: Tensor) -> Tensor:
        height, width = (self._weights(axis, size).to(values.dtype) for axis, size in enumerate(values.shape[-2:]))
        return height @ values @ width.T

    def _weights(self, axis: int, size: int) -> Tensor:
        """(output units, input units); the rows of an output unit at the border sum to less than one."""
        inside = self._torchs_weights(axis, size)
        if size == 1 or (self.upsample.align_corners and len(inside) == 1):
            return inside  # no unit stands between others
        for more_inputs, more_outputs, by_scale in self._repeats(axis, size, len(inside)):
            outputs = None if by_scale else len(inside) + 2 * more_outputs
            around = self._torchs_weights(axis, size + 2 * more_inputs, outputs)
            weights = around[more_outputs : more_outputs + len(inside), more_inputs : more_inputs + size]
            looks_beyond = weights.sum(1) < 1 - TOLERANCE
            if torch.equal(weights[~looks_beyond] > 0, inside[~looks_beyond] > 0):
                return weights
        raise AssertionError(f"{self.upsample} on {size} units doesn't repeat")

    def _repeats(self, axis: int, size: int, outputs: int) -> Iterator[tuple[int, int, bool]]:
        """How many units to add on each side of the input and of the output, and whether the scale makes them so."""
        if self.upsample.align_corners:
            yield 4 * (size - 1), 4 * (outputs - 1), False
            return
        if self.upsample.scale_factor is not None:
            scale = Fraction(self._of_axis(self.upsample.scale_factor, axis)).limit_denominator(1000)
            yield 4 * scale.denominator, 4 * scale.numerator, True
        yield 4 * size, 4 * outputs, False

    def _torchs_weights(self, axis: int, size: int, outputs: int | None = None) -> Tensor:
        """What torch makes of one unit after another, along one axis."""
        units = torch.eye(size, dtype=torch.float64).reshape(size, 1, size, 1)
        how: dict[str, Any] = {"mode": self.upsample.mode, "align_corners": self.upsample.align_corners}
        count = outputs or self._of_axis(self.upsample.size, axis)
        if count is None:
            factors = (self._of_axis(self.upsample.scale_factor, axis), 1.0)
            result = F.interpolate(units, scale_factor=factors, **how)
        else:
            result = F.interpolate(units, size=(count, 1), **how)
        weights = result.reshape(size, -1).T.abs()
        weights[weights < TOLERANCE] = 0  # left by rounding
        return weights / weights.sum(1, keepdim=True)

    def _of_axis(self, value: Any, axis: int) -> Any:
        return value[axis] if isinstance(value, tuple) else value


def along(value: Any) -> int:
    return int(value) if isinstance(value, int) else int(value[0])


def both(value: Any) -> tuple[int, int]:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def probe(model: nn.Sequential, in_shape: Shape, *, thin: bool = False) -> nn.Sequential:
    """The network's windows with positive weights; `thin` leaves one channel in every layer, for large networks."""
    generator = torch.Generator().manual_seed(0)
    values = torch.zeros(1, *((1, *in_shape[1:]) if thin else in_shape), dtype=torch.float64)
    children: list[nn.Module] = []
    with torch.no_grad():
        for child in model:
            children.append(_probe_child(child, tuple(values.shape[1:]), generator, thin))
            values = children[-1](values)
    return nn.Sequential(*children)


def _probe_child(child: nn.Module, in_shape: Shape, generator: torch.Generator, thin: bool) -> nn.Module:
    if isinstance(child, CONVOLUTIONS):
        same_kind: Any = type(child)
        conv = same_kind(
            in_shape[0],
            1 if thin else child.out_channels,
            child.kernel_size,
            stride=child.stride,
            padding=child.padding,
            dilation=child.dilation,
            groups=1 if thin else child.groups,
            bias=False,
            dtype=torch.float64,
        )
        return _with_positive_weights(conv, generator)
    if isinstance(child, nn.ConvTranspose2d):
        transposed = nn.ConvTranspose2d(
            in_shape[0],
            1 if thin else child.out_channels,
            both(child.kernel_size),
            both(child.stride),
            both(child.padding),
            both(child.output_padding),
            groups=1 if thin else child.groups,
            bias=False,
            dilation=both(child.dilation),
            dtype=torch.float64,
        )
        return _with_positive_weights_per_phase(transposed, generator)
    if isinstance(child, nn.Linear):
        linear = nn.Linear(in_shape[-1], 1 if thin else child.out_features, bias=False, dtype=torch.float64)
        return _with_positive_weights(linear, generator)
    if isinstance(child, POOLS):
        return WindowOfOnes(child)
    if isinstance(child, POOLS_OF_ROWS):
        return PoolOfRows(child)
    if isinstance(child, ADAPTIVE_POOLS):
        return nn.AdaptiveAvgPool2d(child.output_size)
    if isinstance(child, PADS):
        return nn.ZeroPad2d(child.padding)
    if isinstance(child, nn.Upsample):
        return Interpolation(child)
    if isinstance(child, SOFTMAXES):
        assert child.dim is not None
        return MeanAlong(child.dim)
    if isinstance(child, nn.GLU):
        return MeanOfHalves(child.dim)
    if isinstance(child, PROBES_OF_THEMSELVES):
        return child
    if isinstance(child, (*ELEMENT_WISE, *CONSTANT_IN_TESTING)):
        return nn.Identity()
    raise NotImplementedError(f"no probe for {child}: add it to tests/torch_probes.py")


def _with_positive_weights(child: nn.Conv1d | nn.Conv2d | nn.Linear, generator: torch.Generator) -> nn.Module:
    with torch.no_grad():
        weights = torch.rand(child.weight.shape, generator=generator, dtype=torch.float64) + 0.1
        child.weight.copy_(weights / weights.flatten(1).sum(1).reshape(-1, *[1] * (weights.dim() - 1)))
    return child


@torch.no_grad()
def _with_positive_weights_per_phase(child: nn.ConvTranspose2d, generator: torch.Generator) -> nn.Module:
    """Each output unit is reached by the elements of the kernel that one step of the stride leaves it."""
    weights = torch.rand(child.weight.shape, generator=generator, dtype=torch.float64) + 0.1
    phases = (
        [(torch.arange(kernel) * dilation % stride == phase).nonzero().flatten() for phase in range(stride)]
        for kernel, stride, dilation in zip(child.kernel_size, child.stride, child.dilation, strict=True)
    )
    for rows, columns in product(*phases):
        part = weights[:, :, rows][..., columns].unflatten(0, (child.groups, -1))
        totals = part.sum((1, 3, 4), keepdim=True)
        weights[:, :, rows[:, None], columns] = (part / totals).flatten(0, 1)
    child.weight.copy_(weights)
    return child
