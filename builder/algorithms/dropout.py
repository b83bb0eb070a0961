"""Dropout with a mask that is drawn sixteen bits at a time."""

import torch
from torch import Tensor

DRAWS = 2**16  # of one number: the probability is rounded to a multiple of 1/65536
DRAWS_EACH = 4  # from one 64-bit number


def dropout(inputs: Tensor, p: float) -> Tensor:
    """Each number zero with probability `p`, the others scaled up so that the mean stays; from torch's generator."""
    kept = round((1 - p) * DRAWS)
    if kept == DRAWS:
        return inputs
    if kept == 0:
        return inputs * 0.0
    count = inputs.numel()
    random = torch.empty(-(-count // DRAWS_EACH), dtype=torch.int64).random_(-(2**63), None)
    factors = torch.empty(count, dtype=inputs.dtype)
    # Writing the comparison as numbers is much faster than as truth values that then are multiplied with.
    torch.ge(random.view(torch.int16)[:count], DRAWS // 2 - kept, out=factors)
    factors.mul_(DRAWS / kept)
    # Laid over the inputs as these lie in memory.
    return inputs * factors.as_strided(inputs.shape, torch.empty_like(inputs).stride())
