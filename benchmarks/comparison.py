"""Two sides of one thing, measured in turn: what is asked of each, and what came of it.

A side is a function of this folder, called in a new process for each round: neither side finds what the other has
imported, cached or set. Nothing here imports torch: a process begins with the peak of memory of the one that starts it.
"""

import io
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from itertools import zip_longest
from multiprocessing import get_context
from typing import Any

THEIRS = "theirs"


@dataclass(frozen=True)
class Call:
    """A function, as `module.name`, and what it is given."""

    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def here(self) -> Any:
        """Call it in this process; what it prints goes nowhere."""
        module, _, name = self.function.partition(".")
        function = getattr(import_module(module), name)
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            return function(**self.arguments)

    def elsewhere(self) -> Any:
        """Call it in a new process, which ends with it."""
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            return pool.submit(self.here).result()


@dataclass(frozen=True)
class Comparison:
    """What the script does, and what we do in one way or in several, each with a call for every round."""

    what: str
    theirs: Sequence[Call]
    ours: Mapping[str, Sequence[Call]]  # by what is special about it
    is_mean: bool = False  # over seeds; otherwise the median over rounds of the same


Figures = Mapping[str, float]
Measured = Mapping[str, Sequence[Figures]]  # by side, round by round


def measured(comparison: Comparison, call: Callable[[Call], Figures]) -> Measured:
    """All sides in turn, round by round; every other round begins at the other end."""
    found: dict[str, list[Figures]] = {side: [] for side in (THEIRS, *comparison.ours)}
    for side, asked in in_turn({THEIRS: comparison.theirs, **comparison.ours}):
        print(f"{comparison.what}: {side or 'ours'}, {len(found[side]) + 1}", file=sys.stderr, flush=True)
        found[side].append(call(asked))
    return found


def in_turn(sides: Mapping[str, Sequence[Call]]) -> Iterator[tuple[str, Call]]:
    """The calls, and whose they are; a side with fewer of them is done earlier."""
    for number, calls in enumerate(zip_longest(*sides.values())):
        turn = [(side, call) for side, call in zip(sides, calls, strict=True) if call]
        yield from reversed(turn) if number % 2 else turn


def seconds(action: Callable[[], object]) -> float:
    """What one call takes, on the clock."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
