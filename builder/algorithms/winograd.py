"""Convolution by few products: Winograd's minimal filtering.

A tile of m x m outputs of a 3x3 kernel takes (m+2)^2 products of channels instead of 9 m^2, for m = 3 a third of them
(Lavin & Gray 2016, arXiv:1509.09308). The tiles, the kernel and the outputs are transformed by small matrices,
which here come from evaluating polynomials at points (Toom-Cook) and the transposition of that.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from builder.algorithms.products import add_products, products

KERNEL = 3
TILE = 3  # outputs of a tile, each way: of 2, 3 and 4 the fastest here, and 4 wastes more at odd sizes
PATCH = TILE + KERNEL - 1  # inputs of a tile, each way
POINTS = (0.0, 1.0, -1.0, 2.0)  # and infinity; small ones keep rounding small
CHUNK_BYTES = 2**24  # transformed tiles of one round, about what stays in a cache


class Transforms(NamedTuple):
    """Both axes at once, as Kronecker products."""

    outputs: Tensor  # (TILE^2, PATCH^2)
    kernels: Tensor  # (PATCH^2, KERNEL^2)
    inputs: Tensor  # (PATCH^2, PATCH^2)


@cache
def transforms() -> Transforms:
    """Of a tile: outputs @ ((kernels @ kernel) * (inputs @ patch))."""
    kernels = evaluated(KERNEL)
    inputs = torch.linalg.inv(evaluated(PATCH)).T
    scale = inputs.abs().amax(dim=1, keepdim=True)  # what one gets, the other gives: both stay of a size
    parts = (evaluated(TILE).T, kernels * scale, inputs / scale)
    return Transforms(*(torch.kron(part.contiguous(), part.contiguous()).float() for part in parts))


def evaluated(coefficients: int) -> Tensor:
    """What turns a polynomial's coefficients into its values at POINTS and infinity, in float64."""
    points = torch.tensor(POINTS, dtype=torch.float64)
    at_infinity = torch.zeros(1, coefficients, dtype=torch.float64)
    at_infinity[0, -1] = 1
    return torch.cat([torch.stack([points**power for power in range(coefficients)], dim=1), at_infinity])


class Grid(NamedTuple):
    """Where the tiles lie."""

    padding: tuple[int, int]
    out_size: tuple[int, int]
    tiles: tuple[int, int]

    @classmethod
    def of(cls, inputs: Tensor, padding: tuple[int, int]) -> "Grid":
        sizes = zip(inputs.shape[2:], padding, strict=True)
        height, width = (size + 2 * around - (KERNEL - 1) for size, around in sizes)
        return cls(padding, (height, width), (-(-height // TILE), -(-width // TILE)))

    def patches(self, inputs: Tensor) -> Tensor:
        """The inputs of all tiles: (n, c, height, width) -> (PATCH^2, tiles, c)."""
        return torch.stack([*self._views(self._padded(inputs))]).view(PATCH**2, -1, inputs.shape[1])

    def put_back(self, patches: Tensor, inputs: Tensor) -> Tensor:
        """The transpose of `patches`: (PATCH^2, tiles, c) -> a new tensor of the shape of `inputs`."""
        padded = torch.zeros_like(self._padded(inputs))
        for view, patch in zip(self._views(padded), patches, strict=True):
            view += patch.view(view.shape)
        (top, left), (height, width) = self.padding, inputs.shape[2:]
        return padded[:, top : top + height, left : left + width].permute(0, 3, 1, 2)

    def outputs(self, tiles: Tensor) -> Tensor:
        """(TILE^2, tiles, c) -> (n, c, height, width)."""
        (rows, columns), (height, width) = self.tiles, self.out_size
        whole = tiles.view(TILE, TILE, -1, rows, columns, tiles.shape[-1]).permute(2, 3, 0, 4, 1, 5)
        whole = whole.reshape(-1, rows * TILE, columns * TILE, tiles.shape[-1])
        return whole[:, :height, :width].permute(0, 3, 1, 2)

    def of_outputs(self, outputs: Tensor) -> Tensor:
        """The transpose of `outputs`: (n, c, height, width) -> (TILE^2, tiles, c)."""
        (rows, columns), (height, width) = self.tiles, self.out_size
        whole = pad(outputs.permute(0, 2, 3, 1), (0, 0, 0, columns * TILE - width, 0, rows * TILE - height))
        whole = whole.reshape(-1, rows, TILE, columns, TILE, outputs.shape[1]).permute(2, 4, 0, 1, 3, 5)
        return whole.reshape(TILE**2, -1, outputs.shape[1])

    def _padded(self, inputs: Tensor) -> Tensor:
        """Channels last, with zeros around so that the tiles fit."""
        (top, left), (height, width) = self.padding, inputs.shape[2:]
        bottom = self.tiles[0] * TILE + KERNEL - 1 - height - top
        right = self.tiles[1] * TILE + KERNEL - 1 - width - left
        return pad(inputs.permute(0, 2, 3, 1), (0, 0, left, right, top, bottom))

    def _views(self, padded: Tensor) -> Iterator[Tensor]:
        """For each place in a patch, that place of all tiles: (n, rows, columns, c)."""
        rows, columns = (TILE * (count - 1) + 1 for count in self.tiles)
        for i in range(PATCH):
            for j in range(PATCH):
                yield padded[:, i : i + rows : TILE, j : j + columns : TILE]


class Winograd(torch.autograd.Function):
    """A convolution with a 3x3 kernel of stride 1, in float32; images are taken some at a time, as a cache holds."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.padding = padding
        grid = Grid.of(inputs, padding)
        kernels = transformed(weight)
        parts = []
        for part in inputs.split(images_at_once(grid, weight)):
            tiles = products(times(transforms().inputs, grid.patches(part)), kernels)
            parts.append(grid.outputs(times(transforms().outputs, tiles)))
        result = torch.cat(parts).contiguous(memory_format=torch.channels_last)
        return result if bias is None else result.add_(bias.view(-1, 1, 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        inputs, weight = ctx.saved_tensors
        of_inputs, of_weight, of_bias, _ = ctx.needs_input_grad
        grid = Grid.of(inputs, ctx.padding)
        return (  # one after the other: transformed kernels take nearly three times the memory of the weight
            grad_of_inputs(inputs, weight, grad, grid) if of_inputs else None,
            grad_of_weight(inputs, weight, grad, grid) if of_weight else None,
            grad.sum((0, 2, 3)) if of_bias else None,
            None,
        )


def grad_of_inputs(inputs: Tensor, weight: Tensor, grad: Tensor, grid: Grid) -> Tensor:
    """The transpose of the convolution, in its inputs."""
    kernels = transformed(weight.transpose(0, 1))
    size = images_at_once(grid, weight)
    result = []
    for part, grad_part in zip(inputs.split(size), grad.split(size), strict=True):
        tiles = times(transforms().outputs.T, grid.of_outputs(grad_part))
        result.append(grid.put_back(times(transforms().inputs.T, products(tiles, kernels)), part))
    return torch.cat(result)


def grad_of_weight(inputs: Tensor, weight: Tensor, grad: Tensor, grid: Grid) -> Tensor:
    """The transpose of the convolution, in its kernels."""
    kernels = torch.zeros(PATCH**2, *weight.shape[:2])
    size = images_at_once(grid, weight)
    for part, grad_part in zip(inputs.split(size), grad.split(size), strict=True):
        tiles = times(transforms().outputs.T, grid.of_outputs(grad_part))
        patches = times(transforms().inputs, grid.patches(part))
        add_products(kernels, tiles.transpose(1, 2), patches.transpose(1, 2))
    return transformed_back(kernels)


def transformed(weight: Tensor) -> Tensor:
    """(out, in, 3, 3) -> (PATCH^2, out, in)."""
    out_channels, in_channels = weight.shape[:2]
    flat = weight.permute(2, 3, 0, 1).reshape(KERNEL**2, out_channels, in_channels)
    return times(transforms().kernels, flat)


def transformed_back(kernels: Tensor) -> Tensor:
    """The transpose of `transformed`."""
    weight = times(transforms().kernels.T, kernels).view(KERNEL, KERNEL, *kernels.shape[1:]).permute(2, 3, 0, 1)
    return weight.contiguous(memory_format=torch.channels_last)


def times(matrix: Tensor, stack: Tensor) -> Tensor:
    """The matrix times the first dimension of a stack of tiles."""
    return (matrix @ stack.reshape(len(stack), -1)).view(-1, *stack.shape[1:])


def images_at_once(grid: Grid, weight: Tensor) -> int:
    """So many that their transformed tiles stay near, but large beside the kernels, which are read for each round."""
    numbers = PATCH**2 * grid.tiles[0] * grid.tiles[1] * (weight.shape[0] + weight.shape[1])
    kernels = PATCH**2 * weight.shape[0] * weight.shape[1]
    return max(1, max(CHUNK_BYTES // 4, kernels) // numbers)
