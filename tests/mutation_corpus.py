"""The corpus of broken specs that are kept in `specs/mutated`: how they are chosen, made small, and written.

Interesting are: each code, each form of message, many problems in one spec, slow ones, and whatever once failed.
"""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mutation_verdicts import Verdict, judged
from mutations import mutated

from builder.problems import Problem
from builder.processes import mapped

CORPUS = Path(__file__).parent / "specs" / "mutated"
PINNED = CORPUS / "codes.json"
MAX_KEPT = 150
MAX_KEPT_BYTES = 3000
MAX_KEPT_LAYERS = 5000  # the tests build them all
NUM_MANY, NUM_SLOW = 10, 5
SLOW = "slow"
FAILED = "failed"  # how the names of those begin that once failed

Saying = tuple[str, str]  # a code, and the form of a message


@dataclass(frozen=True)
class Trial:
    """What became of the spec of one seed."""

    seed: int
    num_bytes: int
    is_plan: bool
    num_layers: int
    seconds: float
    sayings: tuple[Saying, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Kept:
    """A spec of the corpus: the seed that it came from, what it is called after, and what has to remain said."""

    seed: int
    label: str
    sayings: frozenset[Saying]


def saying(problem: Problem) -> Saying:
    """The code, and the message without its values: two messages of one form are much alike."""
    form = re.sub(r"`[^`]*`", "`_`", problem.message)
    form = re.sub(r"\d[\d,.]*", "0", form)
    return problem.code, re.sub(r"`_`((, | and | or )`_`)+", "`_`s", form)


def chosen(trials: Sequence[Trial]) -> list[Kept]:
    """The specs to keep: one of each code, some with many problems, some slow ones, then other forms of messages."""
    fitting = (trial for trial in trials if trial.num_bytes <= MAX_KEPT_BYTES and trial.num_layers <= MAX_KEPT_LAYERS)
    small = sorted(fitting, key=lambda trial: trial.num_bytes)
    first_of_form: dict[Saying, Trial] = {}
    first_of_code: dict[str, Kept] = {}
    for trial in small:
        for said in trial.sayings:
            first_of_form.setdefault(said, trial)
            first_of_code.setdefault(said[0], Kept(trial.seed, said[0], frozenset((said,))))
    many = sorted(small, key=lambda trial: -len(set(trial.sayings)))[:NUM_MANY]
    slow = sorted(small, key=lambda trial: -trial.seconds)[:NUM_SLOW]
    found = [
        *first_of_code.values(),
        *(Kept(trial.seed, "many", frozenset(trial.sayings)) for trial in many),
        *(Kept(trial.seed, SLOW, frozenset(trial.sayings)) for trial in slow),
        *_in_turn([Kept(trial.seed, said[0], frozenset((said,))) for said, trial in first_of_form.items()]),
    ]
    return list(_without_repetition(found))[:MAX_KEPT]


def _in_turn(found: Sequence[Kept]) -> list[Kept]:
    """The first of each label, then the second of each, and so on."""
    ranks: Counter[str] = Counter()
    ranked: list[tuple[int, Kept]] = []
    for kept in found:
        ranks[kept.label] += 1
        ranked.append((ranks[kept.label], kept))
    return [kept for _, kept in sorted(ranked, key=lambda pair: pair[0])]


def _without_repetition(found: Sequence[Kept]) -> Iterator[Kept]:
    said: set[Saying] = set()
    for kept in found:
        if kept.sayings - said or kept.label == SLOW:
            said |= kept.sayings
            yield kept


def smaller(kept: Kept) -> bytes:
    """The spec with as few lines as say the same; a slow one as it is."""
    if kept.label == SLOW:
        return mutated(kept.seed)
    with tempfile.TemporaryDirectory() as folder:
        return shrunk(mutated(kept.seed), lambda data: kept.sayings <= _sayings(judged(data, Path(folder))))


def _sayings(verdict: Verdict) -> set[Saying]:
    return set() if verdict.faults else {saying(problem) for problem in verdict.problems}


def shrunk(data: bytes, is_still_so: Callable[[bytes], bool]) -> bytes:
    """Without all lines that can be left out, tried in runs that get shorter."""
    lines = data.splitlines(keepends=True)
    length = len(lines) // 2
    while length:
        at = 0
        while at < len(lines):
            fewer = lines[:at] + lines[at + length :]
            if is_still_so(b"".join(fewer)):
                lines = fewer
            else:
                at += length
        length //= 2
    return b"".join(lines)


def corpus() -> list[Path]:
    """The specs that are kept."""
    return sorted(CORPUS.glob("*.yaml"))


def write_corpus(trials: Sequence[Trial]) -> None:
    """Choose the corpus anew, but for those that once failed."""
    for path in corpus():
        if not path.name.startswith(FAILED):
            path.unlink()
    specs = chosen(trials)
    numbers: Counter[str] = Counter()
    for kept, data in zip(specs, mapped(smaller, specs), strict=True):
        numbers[kept.label] += 1
        (CORPUS / f"{kept.label}-{numbers[kept.label]}.yaml").write_bytes(data)


def keep_failed(seed: int) -> None:
    """Keep the spec of a seed that failed, as it is."""
    data = mutated(seed)
    (CORPUS / f"{FAILED}-{sha256(data).hexdigest()[:8]}.yaml").write_bytes(data)


def codes_of(verdict: Verdict) -> list[str]:
    """The code of each problem, with its line."""
    return [f"{problem.place.line} {problem.code}" for problem in verdict.problems]


def pinned() -> dict[str, list[str]]:
    """What each spec of the corpus is to be told, as `codes_of` says it."""
    codes: dict[str, list[str]] = json.loads(PINNED.read_text(encoding="utf-8"))
    return codes


def pin(codes: dict[str, list[str]]) -> None:
    """Write down what is told now."""
    lines = (f'  "{name}": {json.dumps(told)}' for name, told in sorted(codes.items()))
    PINNED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
