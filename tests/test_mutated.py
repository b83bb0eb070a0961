"""Two thousand broken specs: each gives a plan that torch can run, or problems with a place. Never anything else."""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from unicodedata import category

import pytest
from spec_generator import generated_text
from torch_oracle import on_meta, shapes

from builder import Plan, SpecError, load_spec, make_plan
from builder.problems import Problem, errors

SEEDS = range(2000)
SPECS = Path(__file__).parent.parent / "specs"

TOKEN = re.compile(r"[A-Za-z0-9_.$-]+|[^\sA-Za-z0-9_.$-]|[ \t]+|\n")
NUMBER = re.compile(r"-?[0-9][0-9.]*")

# What stands in for a token: values of other types, huge and odd ones, and what YAML reads in a way of its own.
STRANGE = """
    0 -1 1 2 3.0 1e3 1e-3 0.5 10000 10001 1000000 1000001 2147483648 4294967296 99999999999999999999 1e308 1e400 -0
    .inf -.inf .nan nan inf 010 0x1F 0o17 1_000 1:30 2024-01-01 +1 1. .5 true false yes no on off null ~ Null TRUE
    '' "" "3" '3' [] {} [1] [1,2] [1,2,3] [null,7] {a:1} {{} [[[[ }} ]] [a:b] a:b &a *a &a[*a]
    !!int !foo !!python/object:os <<: ? | > - -- --- ...
    % @ ` " ' # , : name kind relu conv2d Conv2d nn.ReLU flatten linear training layers input
    out_channels kernel_size in_channels same valid zeros one_cycle mnist train type __class__ self é 日本 \U0001f600
    \\ \\n $ref $schema extends repeat
""".split()  # noqa: SIM905  # a list of words reads better as words
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # of Unicode: what can change or forge what a terminal shows
CHARACTERS = ["\t", "\0", "\x1b", "\x7f", "\x85", "\u00a0", "\u2028", "\u202e", "\ufeff", "\r", "\n", " ", "  "]
CHARACTERS += list("[]{}:,-#&*!|>'\"%@`?")


@cache
def originals() -> list[str]:
    written = [path.read_text(encoding="utf-8") for path in sorted(SPECS.glob("*.yaml"))]
    assert written
    # Those with a recipe are few among the generated; the written ones all have one.
    return [generated_text(seed) for seed in range(300)] + written * 10


def mutated(seed: int) -> bytes:
    """A spec with one to three mistakes in it; the same for the same seed."""
    random = Random(seed)  # noqa: S311  # nothing secret
    text = random.choice(originals())
    data = None
    for _ in range(random.choice([1, 1, 1, 1, 2, 3])):
        text = random.choice(MUTATIONS)(random, text)
    if random.random() < 0.1:
        data = flip_bytes(random, text.encode())
    return text.encode() if data is None else data


def swap_tokens(random: Random, text: str) -> str:
    tokens = TOKEN.findall(text)
    first, second = (random.choice(words_in(tokens)) for _ in range(2))
    tokens[first], tokens[second] = tokens[second], tokens[first]
    return "".join(tokens)


def replace_token(random: Random, text: str) -> str:
    tokens = TOKEN.findall(text)
    tokens[random.choice(words_in(tokens))] = random.choice(STRANGE)
    return "".join(tokens)


def replace_number(random: Random, text: str) -> str:
    numbers = list(NUMBER.finditer(text))
    if not numbers:
        return replace_token(random, text)
    number = random.choice(numbers)
    value = random.choice([*STRANGE[:14], str(random.randrange(12)), str(random.randrange(40))])
    return text[: number.start()] + value + text[number.end() :]


def swap_layers(random: Random, text: str) -> str:
    """Exchange two words of the same sort, such as the kinds of two layers: the text stays YAML."""
    words = list(re.finditer(random.choice([r"\b[a-z]\w+\b", r"\b[0-9]+\b", r"(?m)^ *- .*$"]), text))
    if len(words) < 2:
        return replace_token(random, text)
    first, second = sorted(random.sample(words, 2), key=re.Match.start)
    between = text[first.end() : second.start()]
    return text[: first.start()] + second.group() + between + first.group() + text[second.end() :]


def words_in(tokens: list[str]) -> list[int]:
    return [place for place, token in enumerate(tokens) if token.strip()] or [0]


def misspell(random: Random, text: str) -> str:
    words = list(re.finditer(r"[a-z_]{3,}", text)) or list(re.finditer(r"(?s).", text))
    word = random.choice(words)
    at = random.randrange(word.start(), word.end())
    return text[:at] + random.choice(["", text[at] * 2, "x", "_", text[at].upper()]) + text[at + 1 :]


def delete_some(random: Random, text: str) -> str:
    first = random.randrange(len(text))
    return text[:first] + text[first + random.choice([1, 1, 2, 5, 30]) :]


def change_lines(random: Random, text: str) -> str:
    lines = text.splitlines(keepends=True)
    at = random.randrange(len(lines))
    choice = random.randrange(5)
    if choice == 0:
        del lines[at]
    elif choice == 1:
        lines.insert(random.randrange(len(lines) + 1), lines[at])
    elif choice == 2:
        lines[at] = random.choice([" ", "  ", "\t", "- "]) + lines[at]
    elif choice == 3:
        lines[at] = lines[at].lstrip()
    else:
        lines = lines[:at]
    return "".join(lines) or "\n"


def insert_character(random: Random, text: str) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(CHARACTERS) + text[at:]


def flip_bytes(random: Random, data: bytes) -> bytes:
    flipped = bytearray(data)
    for _ in range(random.choice([1, 1, 4])):
        flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
    return bytes(flipped)


MUTATIONS: list[Callable[[Random, str], str]] = [
    *(swap_tokens, replace_token, replace_number, replace_number, swap_layers, swap_layers),
    *(misspell, delete_some, change_lines, insert_character),
]


def outcome(data: bytes, folder: Path) -> Plan | SpecError:
    """The plan or the problems; whatever else is raised fails the test."""
    path = folder / "spec.yaml"
    path.write_bytes(data)
    try:
        return make_plan(load_spec(path))
    except SpecError as error:
        return error


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_broken_spec_gives_a_plan_or_placed_problems(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    data = mutated(seed)
    result = outcome(data, tmp_path_factory.getbasetemp())
    if isinstance(result, Plan):
        wrong = misjudged(result)
    else:
        wrong = [fault for problem in result.problems for fault in faults(problem)]
        wrong += [] if errors(result.problems) else ["no error among the problems"]
        assert str(result)
    assert wrong == [], f"the spec of seed {seed}:\n{data.decode(errors='backslashreplace')}"


def misjudged(plan: Plan) -> list[str]:
    """Where a spec that we accept is not one that torch runs as foreseen."""
    found = shapes(on_meta(plan), plan.spec.input, "meta")
    return [
        f"{row.name}: plan {row.out_shape}, torch {shape}"
        for row, shape in zip(plan.rows, found, strict=True)
        if row.out_shape != shape
    ] + [fault for problem in plan.problems for fault in faults(problem)]


def faults(problem: Problem) -> list[str]:
    """What is wrong with the problem itself."""
    place = problem.place
    lines = place.source.lines
    checks = {
        "code": re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", problem.code),
        "message": problem.message.strip(),
        "hint": problem.hint.strip(),
        "one line": "\n" not in problem.message + problem.hint,
        "printable": not any(category(char) in UNSEEN for char in problem.message + problem.hint),
        "line": 1 <= place.line <= len(lines),
        "column": 1 <= place.column <= len(place.text) + 1,
        "end line": place.line <= place.end_line <= len(lines),
        "end column": 1 <= place.end_column <= len(lines[min(place.end_line, len(lines)) - 1]) + 1,
        "order": (place.line, place.column) <= (place.end_line, place.end_column),
        "frame": any("^" in line for line in problem.frame()),
        "json": json.dumps(problem.to_json()),
    }
    return [f"{what} of {problem!r}" for what, is_right in checks.items() if not is_right]


def test_the_mutations_break_most_specs_and_leave_some(tmp_path: Path) -> None:
    results = [outcome(mutated(seed), tmp_path) for seed in SEEDS[:200]]
    plans = [result for result in results if isinstance(result, Plan)]
    assert 10 < len(plans) < 100


def test_the_mutations_reach_many_kinds_of_problems(tmp_path: Path) -> None:
    results = [outcome(mutated(seed), tmp_path) for seed in SEEDS[:400]]
    codes = {problem.code for result in results if isinstance(result, SpecError) for problem in result.problems}
    assert len(codes) >= 20, codes


def test_the_same_seed_breaks_a_spec_in_the_same_way() -> None:
    assert mutated(3) == mutated(3) != mutated(4)


def test_originals_are_valid(tmp_path: Path) -> None:
    assert all(isinstance(outcome(text.encode(), tmp_path), Plan) for text in originals()[::10])
