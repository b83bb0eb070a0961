"""Convolution as one product of matrices: what each output sees, side by side, times the kernels.

Libraries choose this for themselves where it pays; on small maps with many channels, in bfloat16, they don't
(Chellapilla, Puri & Simard 2006 describe the method).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad


class Lowered(torch.autograd.Function):
    """A convolution of stride 1, without dilation or groups; the kernels are computed with in the type of the inputs.

    The windows are laid side by side once more for the gradients: keeping them would take the memory of a layer for
    each place in the kernel.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.padding = padding
        columns = windows(inputs, weight, padding)
        # Of this shape from the start, and no view, so that what follows may write over it.
        result = torch.empty(
            (len(inputs), len(weight), *columns.shape[1:3]), dtype=inputs.dtype, memory_format=torch.channels_last
        )
        pixels = result.permute(0, 2, 3, 1).view(-1, len(weight))
        torch.mm(columns.flatten(0, 2), as_matrix(weight, inputs.dtype).T, out=pixels)
        return result if bias is None else result.add_(bias.to(inputs.dtype).view(-1, 1, 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        inputs, weight = ctx.saved_tensors
        of_inputs, of_weight, of_bias, _ = ctx.needs_input_grad
        out_channels, in_channels, *kernel_size = weight.shape
        grad_columns = grad.permute(0, 2, 3, 1).reshape(-1, out_channels)
        grad_inputs = grad_weight = None
        if of_inputs:
            grad_windows = grad_columns @ as_matrix(weight, grad.dtype)
            grad_inputs = put_back(grad_windows, inputs, weight, ctx.padding)
        if of_weight:
            columns = windows(inputs, weight, ctx.padding).flatten(0, 2)
            grad_weight = (grad_columns.T @ columns).view(out_channels, *kernel_size, in_channels)
            grad_weight = grad_weight.permute(0, 3, 1, 2).to(weight.dtype)
        return grad_inputs, grad_weight, grad_columns.sum(0, dtype=weight.dtype) if of_bias else None, None


def as_matrix(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """(out, in, height, width) -> (out, height * width * in), a view where channels are last in memory."""
    return weight.permute(0, 2, 3, 1).flatten(1).to(dtype)


def windows(inputs: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
    """What each output sees: (n, out height, out width, kernel height * kernel width * in)."""
    return torch.cat(shifted(padded(inputs, padding), weight), dim=-1)


def put_back(grad_windows: Tensor, inputs: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
    """The transpose of `windows`: the sum, in float32, for each input, over all windows that see it."""
    grad = torch.zeros_like(padded(inputs, padding), dtype=torch.float32)
    places = shifted(grad, weight)
    for place, part in zip(places, grad_windows.view(*places[0].shape[:3], -1).chunk(len(places), -1), strict=True):
        place += part
    (top, left), (height, width) = padding, inputs.shape[2:]
    return grad[:, top : top + height, left : left + width].permute(0, 3, 1, 2).to(inputs.dtype)


def padded(inputs: Tensor, padding: tuple[int, int]) -> Tensor:
    """Channels last, with zeros around."""
    (vertical, horizontal) = padding
    return pad(inputs.permute(0, 2, 3, 1), (0, 0, horizontal, horizontal, vertical, vertical))


def shifted(images: Tensor, weight: Tensor) -> list[Tensor]:
    """For each place in the kernel, what lies there for all outputs: views of (n, out height, out width, in)."""
    kernel_height, kernel_width = weight.shape[2:]
    height, width = images.shape[1] - kernel_height + 1, images.shape[2] - kernel_width + 1
    return [images[:, i : i + height, j : j + width] for i in range(kernel_height) for j in range(kernel_width)]
