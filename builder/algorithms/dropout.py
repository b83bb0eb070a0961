"""Dropout with a mask that is drawn sixteen bits at a time."""

import torch
from torch import Tensor

from builder.algorithms.splitmix import random_words

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
    random = random_words(-(-count // DRAWS_EACH))
    # Where the comparison is written as numbers of the same width, all of it is done many numbers at a time.
    truths = random.view(torch.int16)[:count].ge_(DRAWS // 2 - kept)
    factors = times(truths, torch.tensor(DRAWS / kept, dtype=inputs.dtype))
    # Laid over the inputs as these lie in memory.
    return inputs * factors.as_strided(inputs.shape, torch.empty_like(inputs).stride())


def times(truths: Tensor, factor: Tensor) -> Tensor:
    """The factor for each 1, else 0; writes over the truths if they are as wide."""
    if factor.element_size() == truths.element_size():
        return truths.mul_(factor.view(truths.dtype)).view(factor.dtype)
    return truths.to(factor.dtype).mul_(factor)
