"""Which way a convolution is computed: torch's, Winograd's or as one product. By size alone, so that runs repeat."""

from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from builder.algorithms.lowering import Lowered
from builder.algorithms.winograd import KERNEL, PATCH, Grid, Winograd
from builder.modules import Call

# Where each began to pay when measured: benchmarks/results/convolutions.md.
WINOGRAD_PRODUCT = 1.5  # the time of one in stacks of matrices, beside one of torch's
TRANSFORM_CHANNELS = 60  # to transform an input or an output takes as long as multiplying it with so many channels
WINOGRAD_TILES = 64  # of the whole batch, at least: below, transforming the kernels takes longer than it saves
LOWERED_CHANNELS = 256
LOWERED_OUTPUTS = 25  # of an image, at most
LOWERED_PADDED_OUTPUTS = 9  # where zeros lie around, which only here are multiplied too


def convolution(module: nn.Conv2d, dtype: torch.dtype) -> Call:
    """How to call a convolution whose inputs and kernels are taken in this type."""
    if not is_plain(module):
        return module
    return lambda inputs: convolve(inputs, module, module.weight, module.bias, dtype)


def convolve(inputs: Tensor, module: nn.Conv2d, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    """What a plain module would give with this weight and bias."""
    padding = simple_padding(module)
    if padding is not None and dtype == torch.float32 and winograd_pays(inputs, weight, padding):
        return applied(Winograd, inputs, weight, bias, padding)
    if padding is not None and dtype == torch.bfloat16 and lowering_pays(inputs, weight, padding):
        return applied(Lowered, inputs.to(dtype), weight, bias, padding)
    return by_torch(inputs, module, weight, bias)


def by_torch(inputs: Tensor, module: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What a plain module would give with this weight and bias, as torch computes it."""
    return conv2d(inputs, weight, bias, module.stride, module.padding, module.dilation, module.groups)


def is_plain(module: nn.Conv2d) -> bool:
    """Whether zeros are what surrounds the images, if anything does."""
    return module.padding_mode == "zeros"


def winograd_pays(inputs: Tensor, weight: Tensor, padding: tuple[int, int]) -> bool:
    """Whether what products take, more in tiles that reach beyond the map, and transforms is less than torch's time."""
    out_channels, in_channels, *kernel_size = weight.shape
    if kernel_size != [KERNEL, KERNEL]:
        return False
    grid = Grid.of(inputs, padding)
    tiles, outputs = prod(grid.tiles), prod(grid.out_size)
    products = WINOGRAD_PRODUCT * tiles * PATCH**2 / (outputs * KERNEL**2)
    transforms = TRANSFORM_CHANNELS * (1 / in_channels + 1 / out_channels)
    return products + transforms < 1 and len(inputs) * tiles >= WINOGRAD_TILES


def lowering_pays(inputs: Tensor, weight: Tensor, padding: tuple[int, int]) -> bool:
    """Whether there are channels enough, and few places for them."""
    sizes = zip(inputs.shape[2:], padding, weight.shape[2:], strict=True)
    height, width = (size + 2 * around - kernel + 1 for size, around, kernel in sizes)
    most = LOWERED_PADDED_OUTPUTS if any(padding) else LOWERED_OUTPUTS
    return min(weight.shape[:2]) >= LOWERED_CHANNELS and height * width <= most


def simple_padding(module: nn.Conv2d) -> tuple[int, int] | None:
    """That above and below, and left and right, if the stride is 1 and neither dilation nor groups are used."""
    if module.stride != (1, 1) or module.dilation != (1, 1) or module.groups != 1:
        return None
    if isinstance(module.padding, str):
        height, width = module.kernel_size if module.padding == "same" else (1, 1)
        return (height // 2, width // 2) if height % 2 and width % 2 else None
    vertical, horizontal = module.padding
    return vertical, horizontal


def applied(
    algorithm: type[torch.autograd.Function],
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    padding: tuple[int, int],
) -> Tensor:
    """The algorithm's result, which torch leaves without a type."""
    result: Tensor = algorithm.apply(inputs, weight, bias, padding)
    return result


def folded(module: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """The weight and bias of a convolution that does what the two do one after another, outside of training."""
    assert norm.running_mean is not None  # as the caller knows
    assert norm.running_var is not None
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight
    before = norm.running_mean if module.bias is None else norm.running_mean - module.bias
    bias = -before * scale
    if norm.bias is not None:
        bias = bias + norm.bias
    return module.weight * scale.view(-1, 1, 1, 1), bias
