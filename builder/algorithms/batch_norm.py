"""Batch norm of few channels, with pixels side by side as if they were more channels.

Torch's own takes the channels of one pixel at a time where they are last in memory: with eight of them, most of what a
processor computes at once stays empty, and threads write their sums so close together that they wait for each other.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from builder.modules import Call

# Where it began to pay when measured: benchmarks/results/batch_norms.md.
MAX_CHANNELS = 15
MIN_NUMBERS = 100_000  # of the whole batch
COLUMNS = 128  # pixels side by side times channels, at most


def batch_norm(module: nn.BatchNorm2d) -> Call:
    """How to call a batch norm while it learns."""

    def call(inputs: Tensor) -> Tensor:
        if not module.training or not module.affine or pixels_at_once(inputs) == 1:
            itself: Tensor = module(inputs)
            return itself
        mean, var = statistics(inputs.detach())
        track(module, mean, var, inputs.numel() // len(mean))
        result: Tensor = Normalised.apply(inputs, module.weight, module.bias, mean, var, module.eps)
        return result

    return call


class Normalised(torch.autograd.Function):
    """(inputs - mean) / sqrt(var + eps) * weight + bias, where mean and variance are those of the inputs."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: float
    ) -> Tensor:
        inverse = torch.rsqrt(var + eps)
        ctx.save_for_backward(inputs, weight, mean, inverse)
        return affine(inputs, mean, weight * inverse, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None, None, None]:
        inputs, weight, mean, inverse = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        grad_weight, grad_bias = sums(grad, inputs, mean, inverse)
        if not ctx.needs_input_grad[0]:
            return None, grad_weight, grad_bias, None, None, None
        # What an input does by itself, less what it does by way of the mean and of the variance.
        scale = weight * inverse
        count = inputs.numel() // len(mean)
        nothing = torch.zeros_like(mean)
        grad_inputs = affine(inputs, mean, -scale * inverse * grad_weight / count, nothing)
        grad_inputs += affine(grad, grad_bias / count, scale, nothing)  # less the mean before either is rounded
        return grad_inputs, grad_weight, grad_bias, None, None, None


def pixels_at_once(inputs: Tensor) -> int:
    """How many pixels are taken side by side; 1 where that doesn't pay, or can't be."""
    if inputs.dtype == torch.float64 or not inputs.is_contiguous(memory_format=torch.channels_last):
        return 1
    channels = inputs.shape[1]
    if channels > MAX_CHANNELS or inputs.numel() < MIN_NUMBERS:
        return 1
    count = inputs.numel() // channels
    return next((pixels for pixels in range(COLUMNS // channels, 1, -1) if count % pixels == 0), 1)


def rows(images: Tensor) -> Tensor:
    """(n, channels, height, width) -> (1, pixels * channels, n * height * width / pixels, 1), a view."""
    columns = pixels_at_once(images) * images.shape[1]
    return images.permute(0, 2, 3, 1).view(1, -1, 1, columns).permute(0, 3, 1, 2)


def statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the variance of each channel, in float32."""
    seen = rows(images)
    zeros, ones = torch.zeros(seen.shape[1]), torch.ones(seen.shape[1])
    means, variances = torch.batch_norm_update_stats(seen, zeros, ones, 0.0)
    means, variances = (each.view(-1, images.shape[1]) for each in (means, variances))
    mean = means.mean(0)
    return mean, (variances + (means - mean).square()).mean(0)


def affine(images: Tensor, mean: Tensor, slope: Tensor, shift: Tensor) -> Tensor:
    """(images - mean) * slope + shift, computed in float32."""
    result = torch.empty_like(images)  # no view, so that what follows may write over it
    seen, outputs = rows(images), rows(result)
    mean, slope, shift = torch.stack((mean, slope, shift)).repeat(1, seen.shape[1] // len(mean))
    none = torch.empty(0)
    torch.native_batch_norm(seen, slope, shift, mean, torch.ones_like(mean), False, 0.0, 0.0, out=(outputs, none, none))
    return result


def sums(grad: Tensor, inputs: Tensor, mean: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of weight and bias, in float32."""
    seen = rows(inputs)
    mean, inverse, ones = torch.stack((mean, inverse, torch.ones_like(mean))).repeat(1, seen.shape[1] // len(mean))
    _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
        rows(grad), seen, ones, None, None, mean, inverse, True, 0.0, [False, True, True]
    )
    channels = inputs.shape[1]
    return of_weight.view(-1, channels).sum(0), of_bias.view(-1, channels).sum(0)


@torch.no_grad()
def track(module: nn.BatchNorm2d, mean: Tensor, var: Tensor, count: int) -> None:
    """Let the running statistics follow, as torch does."""
    if module.running_mean is None or module.running_var is None or module.num_batches_tracked is None:
        return
    module.num_batches_tracked += 1
    momentum = 1 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
    module.running_mean.lerp_(mean, momentum)
    module.running_var.lerp_(var * (count / (count - 1)), momentum)
