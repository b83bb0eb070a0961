"""Mistakes at random: valid specs, broken in one to three places, the same for the same seed."""

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml
from composition_generator import as_text, generated_data
from spec_generator import generated_text

ROOT = Path(__file__).parent.parent
SPECS, ZOO, VALID = ROOT / "specs", ROOT / "specs" / "zoo", ROOT / "tests" / "specs" / "valid"

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
    $ $x $( $() ${a} $1 $(1/0) $(-1) $(0.5) $in_channels $index $block_index $(2*in_channels) "$(min(2,3))" $(min(2,3))
    when name times for layers branches shortcut skip blocks variables parameters Block block Relu residual concat add
    multiply split sequential per_pixel layer_scale [relu] [relu,tanh] {relu:} {relu:{}} [[relu]] [relu:{}]
""".split()  # noqa: SIM905  # a list of words reads better as words
# What would do something if it were imported, executed, opened or fetched.
OUTSIDE = """
    os.system evil.Layer builtins.eval torch.hub.load ../../etc/passwd /etc/passwd /dev/zero /dev/stdin ../spec.yaml
    spec.yaml file:///etc/passwd http://localhost:9/x.yaml !!python/object/apply:os.system !!python/name:os.system
    $(__import__('os').system('id')) $(open('/etc/passwd')) "$(().__class__.__bases__)" $(os.system) `id` $(exec('1'))
""".split()  # noqa: SIM905
CHARACTERS = ["\t", "\0", "\x1b", "\x7f", "\x85", "\u00a0", "\u2028", "\u202e", "\ufeff", "\r", "\n", " ", "  "]
CHARACTERS += list("[]{}:,-#&*!|>'\"%@`?")


@cache
def originals() -> list[str]:
    # Those with a recipe are few among the generated; the written ones all have one.
    generated = [generated_text(seed) for seed in range(300)] + [as_text(generated_data(seed)) for seed in range(200)]
    return generated + texts_in(SPECS) * 10 + (texts_in(ZOO) + texts_in(VALID)) * 5


def texts_in(folder: Path) -> list[str]:
    texts = [path.read_bytes().decode("utf-8-sig") for path in sorted(folder.glob("*.yaml")) if path.name[0] != "_"]
    assert texts
    return texts


def with_bases(folder: Path) -> Path:
    """The folder, with the files in it that others extend."""
    for base in (*ZOO.glob("_*.yaml"), *VALID.glob("_*.yaml")):
        if not (folder / base.name).exists():
            (folder / base.name).write_bytes(base.read_bytes())
    return folder


def mutated(seed: int) -> bytes:
    """A spec with one to three mistakes in it; the same for the same seed."""
    random = Random(seed)  # noqa: S311  # nothing secret
    text = random.choice(originals())
    data = None
    for _ in range(random.choice([1, 1, 1, 1, 2, 3])):
        text = random.choice(MUTATIONS)(random, text)
    if random.random() < 0.1:
        data = flip_bytes(random, (text or " ").encode())
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


def name_something_outside(random: Random, text: str) -> str:
    """Name a module, a file or an address in place of a word; sometimes as what the spec extends."""
    word = random.choice(OUTSIDE)
    if random.random() < 0.3:
        return f"extends: {word}\n{text}"
    tokens = TOKEN.findall(text)
    tokens[random.choice(words_in(tokens))] = word
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


def move_values(random: Random, text: str) -> str:
    """Put what stands in one place of the tree into another, or take it away: the text stays YAML."""
    try:
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return replace_token(random, text)
    spots = list(spots_in(tree))
    if len(spots) < 2:
        return replace_token(random, text)
    (there, key), (here, other) = random.sample(spots, 2)
    if random.random() < 0.2:
        del there[key]
    elif random.random() < 0.2 and isinstance(there, dict):
        there[random.choice(STRANGE)] = there.pop(key)
    else:
        there[key] = deepcopy(here[other])
    return yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=110)


def spots_in(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every mapping with each of its keys, and every list with each of its positions."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield tree, key
        yield from spots_in(value)


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
    *(misspell, delete_some, change_lines, insert_character, move_values, move_values, move_values),
    name_something_outside,
]
