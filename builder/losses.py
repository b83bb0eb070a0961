"""The losses that torch lacks, or lacks for targets that are shares of the classes, (n, classes), as mixup gives them.

Each takes (output, target): a floating-point output (n, classes), and labels, int64 (n,), or shares.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # its usual name


def class_weights(weight: Sequence[float] | None) -> Tensor | None:
    """One weight per class, as torch's losses take them."""
    return None if weight is None else torch.tensor(weight)


class NLLLoss(nn.NLLLoss):
    """Torch's for labels; for shares, minus the sum over classes of share times log-probability (and class weight)."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # torch's names
        if not target.is_floating_point():
            return super().forward(input, target)
        terms = target * input if self.weight is None else self.weight * target * input
        return -terms.sum(dim=1).mean()


class OneHotMSELoss(nn.MSELoss):
    """Torch's, of the output and the shares of the classes: all of the right one for a label."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # torch's names
        return super().forward(input, _shares(target, input))


class FocalLoss(nn.Module):
    """-(1 - p)^gamma log p of the right class, p being the softmax of the scores (Lin et al. 2017, arXiv:1708.02002).

    For shares, the sum of this over the classes, each times its share.
    """

    def __init__(self, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # torch's names
        log_p = F.log_softmax(input, dim=1)
        # With gamma below 1 the slope at p = 1 has no bound; that of a clamped value is 0.
        unsure = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny)
        return -(_shares(target, input) * unsure**self.gamma * log_p).sum(dim=1).mean()

    def extra_repr(self) -> str:
        return f"gamma={self.gamma}"


def _shares(target: Tensor, output: Tensor) -> Tensor:
    return target if target.is_floating_point() else F.one_hot(target, output.shape[1]).to(output.dtype)
