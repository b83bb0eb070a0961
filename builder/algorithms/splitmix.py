"""Random bits, many at a time: SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators").

Torch's own generator gives one number after another, on one core. This one computes each number from a counter, so that
several cores can.
"""

from functools import cache

import torch
from torch import Tensor


def signed(value: int) -> int:
    """The number whose 64 bits these are, with a sign as torch has it."""
    return value - 2**64 if value >= 2**63 else value


GAMMA = signed(0x9E3779B97F4A7C15)  # between two counters
ROUNDS = ((30, signed(0xBF58476D1CE4E5B9)), (27, signed(0x94D049BB133111EB)))  # a shift and a factor
LAST_SHIFT = 31
BLOCK = 2**17  # numbers at once: a megabyte stays near


def random_words(count: int) -> Tensor:
    """So many times 64 random bits, int64; torch's generator gives where they begin."""
    return words(int(torch.empty((), dtype=torch.int64).random_(-(2**63), None)), count)


def words(seed: int, count: int) -> Tensor:
    """The first numbers of the sequence of a seed."""
    result = torch.empty(count, dtype=torch.int64)
    for block in result.split(BLOCK):
        mix(torch.add(counters()[: len(block)], signed(seed % 2**64), out=block))
        seed += BLOCK * GAMMA
    return result


def mix(numbers: Tensor) -> None:
    """Write over each number what follows from it."""
    shifted = torch.empty_like(numbers)
    for shift, factor in ROUNDS:
        numbers.bitwise_xor_(right(numbers, shift, shifted)).mul_(factor)
    numbers.bitwise_xor_(right(numbers, LAST_SHIFT, shifted))


def right(numbers: Tensor, shift: int, result: Tensor) -> Tensor:
    """The bits moved to the right, zeros behind them, also where torch would repeat the sign."""
    return torch.bitwise_right_shift(numbers, shift, out=result).bitwise_and_((1 << (64 - shift)) - 1)


@cache
def counters() -> Tensor:
    """Of a block."""
    return torch.arange(1, BLOCK + 1).mul_(GAMMA)
