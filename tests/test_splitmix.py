"""Random bits from counters are the published sequence, whatever computes them."""

import pytest
import torch

from builder.algorithms import splitmix
from builder.algorithms.splitmix import random_words, words

# Of the seed 1234567, as the page "Pseudo-random numbers/Splitmix64" of Rosetta Code prints them.
PUBLISHED = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]


def expected(seed: int, count: int) -> list[int]:
    """The definition, one number after another."""
    found = []
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) % 2**64
        z = seed
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        found.append(z ^ (z >> 31))
    return found


def unsigned(numbers: torch.Tensor) -> list[int]:
    return [number % 2**64 for number in numbers.tolist()]


def test_the_numbers_are_the_published_ones() -> None:
    assert unsigned(words(1234567, 5)) == PUBLISHED == expected(1234567, 5)


@pytest.mark.parametrize("seed", [0, -1, -(2**63), 2**63 - 1, 2**64 - 1, 987654321])
def test_any_seed_gives_its_sequence_over_the_bounds_of_blocks(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(splitmix, "BLOCK", 7)
    splitmix.counters.cache_clear()
    try:
        assert unsigned(words(seed, 24)) == expected(seed, 24)
    finally:
        splitmix.counters.cache_clear()


def test_the_number_of_threads_changes_nothing() -> None:
    before = torch.get_num_threads()
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(words(5, 300_000))
    torch.set_num_threads(before)
    assert torch.equal(*found)


def test_torchs_generator_says_where_the_numbers_begin() -> None:
    torch.manual_seed(3)
    first, second = random_words(1000), random_words(1000)
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    assert torch.equal(random_words(1000), first)
    assert torch.equal(random_words(1000), second)


@pytest.mark.parametrize("count", [0, 1])
def test_there_may_be_few_or_none(count: int) -> None:
    assert random_words(count).shape == (count,)


def test_each_bit_is_set_as_often_as_not_and_says_nothing_of_the_others() -> None:
    torch.manual_seed(4)
    count = 200_000
    bits = torch.stack([random_words(count) >> place & 1 for place in range(64)]).double() - 0.5
    bound = 5 * 0.5 / count**0.5  # deviations of a mean
    assert float(bits.mean(dim=1).abs().max()) < bound
    together = bits @ bits.T / count - 0.25 * torch.eye(64)
    assert float(together.abs().max()) < bound
    next_to_each_other = (bits[:, 1:] * bits[:, :-1]).mean(dim=1)
    assert float(next_to_each_other.abs().max()) < bound
