"""The functions that an expression can call."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from builder.expressions.values import Number, Rounded
from builder.limits import MAX_EXPRESSION


def round_to(amount: Number, multiple: int) -> Rounded:
    """The nearest multiple (ties up), at least one, never more than 10% below the amount.

    This is how the MobileNets round their channels (torchvision: `_make_divisible`).
    """
    nearest = max(multiple, int(amount + multiple / 2) // multiple * multiple)
    if nearest < 0.9 * amount:
        nearest += multiple
    return Rounded(nearest, amount)


@dataclass(frozen=True, slots=True)
class Function:
    """What is called, how many arguments it takes, and how a call looks."""

    apply: Callable[..., Number]
    least: int
    most: int
    example: str


FUNCTIONS = {
    "min": Function(min, 2, MAX_EXPRESSION, "min(a, b)"),
    "max": Function(max, 2, MAX_EXPRESSION, "max(a, b)"),
    "round": Function(round, 1, 1, "round(a)"),
    "floor": Function(math.floor, 1, 1, "floor(a)"),
    "ceil": Function(math.ceil, 1, 1, "ceil(a)"),
    "round_to": Function(round_to, 2, 2, "round_to(a, 8)"),
}
