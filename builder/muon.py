"""Muon for the weights of convolutions, which torch's own refuses, with AdamW beside it for everything else."""

from collections.abc import Callable, Iterable
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

# The factor on lr for a matrix of so many rows and columns, by torch's name for it: Jordan's, Moonshot's (Liu et al.
# 2025, arXiv:2502.16982), Bernstein's (jeremybernste.in/writing/deriving-muon).
ADJUSTMENTS: dict[str, Callable[[int, int], float]] = {
    "original": lambda rows, columns: sqrt(max(1, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * sqrt(max(rows, columns)),
    "spectral_unclamped": lambda rows, columns: sqrt(rows / columns),
}


class Muon(Optimizer):
    """Torch's Muon, on weights of two and more dimensions: all but the first count as columns.

    Groups with `by_adamw: True`, which bring all settings of AdamW, are trained by that. It is one optimizer to
    whoever schedules it or keeps its state.
    """

    def __init__(self, params: Iterable[nn.Parameter] | Iterable[dict[str, Any]], **settings: Any) -> None:
        super().__init__(params, settings | {"by_adamw": False})
        rest = self._groups(by_adamw=True)
        self._adamw = AdamW(rest) if rest else None

    def _groups(self, by_adamw: bool) -> list[dict[str, Any]]:
        return [group for group in self.param_groups if group["by_adamw"] == by_adamw]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self._groups(by_adamw=False):
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step(parameter, group)
        if self._adamw:
            # Loading a state makes new ones of both.
            self._adamw.param_groups, self._adamw.state = self._groups(by_adamw=True), self.state
            self._adamw.step()
        return loss

    def _step(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        gradient, lr, momentum = parameter.grad, group["lr"], group["momentum"]
        assert gradient is not None  # the caller has looked
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        mean = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        update = (gradient.lerp(mean, momentum) if group["nesterov"] else mean).flatten(1)
        update = orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        parameter.mul_(1 - lr * group["weight_decay"])
        adjusted = lr * ADJUSTMENTS[group["adjust_lr_fn"] or "original"](*update.shape)
        parameter.add_(update.reshape(parameter.shape), alpha=-adjusted)


def orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Roughly U V^T of the matrix's singular value decomposition U S V^T, in bfloat16.

    By the Newton-Schulz iteration X <- a X + (b A + c A^2) X with A = X X^T, which takes every singular value, none of
    them above 1 at first, to between 0.5 and 1.5 (Jordan 2024, kellerjordan.github.io/posts/muon).
    """
    a, b, c = coefficients
    is_tall = matrix.size(0) > matrix.size(1)
    x = matrix.bfloat16()
    x = x.T if is_tall else x
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if is_tall else x
