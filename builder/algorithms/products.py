"""Products of matrices, by the library that is faster at them.

On a CPU torch leaves those in float32 to MKL, which uses AVX-512 on its maker's processors only; oneDNN, which torch
has for convolutions, uses it on all. Measured on an AMD EPYC, where it is twice as fast.
"""

from functools import cache

import torch
from torch import Tensor


def product(left: Tensor, right: Tensor) -> Tensor:
    """(m, k) and (n, k) -> left @ right.T, (m, n). Nothing learns through it."""
    if left.device.type == "cpu" and left.dtype == torch.float32 and has_onednn():
        result: Tensor = torch.ops.mkldnn._linear_pointwise(left.contiguous(), right.contiguous(), None, "none", [], "")
        return result
    return left @ right.T


def products(left: Tensor, right: Tensor) -> Tensor:
    """Of stacks: (p, m, k) and (p, n, k) -> (p, m, n)."""
    if not has_onednn():
        return torch.bmm(left, right.transpose(1, 2))
    return torch.stack([product(*pair) for pair in zip(left, right, strict=True)])


def add_products(goal: Tensor, left: Tensor, right: Tensor) -> None:
    """The same, added to what stands in the goal."""
    if not has_onednn():
        goal.baddbmm_(left, right.transpose(1, 2))
        return
    for place, *pair in zip(goal, left, right, strict=True):
        place += product(*pair)


@cache
def has_onednn() -> bool:
    """Whether it is there, with a way to call it, and has AVX-512 to use."""
    return (
        torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
