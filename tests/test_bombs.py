"""Small texts that would grow without bound: each is refused at its place, before anything is expanded.

Every one is read in a process of its own, which measures itself. The times that `MOST_SECONDS` allows are generous, so
that no slow machine fails a test; `pytest --junit-xml` shows what each bomb took.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import environment

MOST_SECONDS = 10
MOST_MEGABYTES = 200
INPUT = "input: [4, 8, 8]\n"
TWICE = "blocks: {Twice: {parameters: {inner}, layers: [$inner, $inner]}}\n"

# A process for each bomb, forked from one that has imported everything. A process's peak of memory starts at what
# it was forked from, so that a process of pytest itself, with torch in it, can't be the parent.
MEASURE = """\
import json, os, resource, signal, sys, time
from builder import SpecError, load_spec, make_plan

def measure(path):
    started = time.perf_counter()
    try:
        make_plan(load_spec(path))
        problems = []
    except SpecError as error:
        problems = [(problem.code, problem.place.line, problem.message) for problem in error.problems]
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = peak / (2**20 if sys.platform == "darwin" else 2**10)
    return {"problems": problems, "seconds": seconds, "megabytes": megabytes}

for path in sys.argv[1:]:
    sys.stdout.flush()
    child = os.fork()
    if not child:
        signal.alarm(60)
        print(json.dumps(measure(path)), flush=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        print(json.dumps({"problems": [("killed", 0, f"status {status}")], "seconds": 60, "megabytes": 0}))
"""


@dataclass(frozen=True)
class Bomb:
    """A text, and the problem that it is refused with."""

    text: str
    code: str
    line: int
    message: str = ""  # a part of it


def layers(item: str) -> str:
    return f"layers:\n  - {item}\n"


def nested(levels: int, before: str, inner: str, after: str) -> str:
    return before * levels + inner + after * levels


def chain(length: int, block: Callable[[int], str], last: str) -> str:
    """Blocks of which each stands for the next, from line 3 on."""
    lines = "".join(f"  B{number}: {block(number)}\n" for number in range(length))
    return f"blocks:\n{lines}  B{length}: {last}\n"


def variables(first: str, following: Callable[[str], str], number: int) -> str:
    """Variables of which each is made from the one before, from line 3 on."""
    return f"variables:\n  v0: {first}\n" + "".join(f"  v{i + 1}: {following(f'v{i}')}\n" for i in range(number))


def repeat(times: object, inner: str) -> str:
    return f"repeat: {{times: {times}, layers: [{inner}]}}"


def conv(channels: str) -> str:
    return f"conv2d: {{out_channels: {channels}, kernel_size: 1}}"


LIST = f"[{', '.join(['1'] * 10_000)}]"
DOUBLING = variables("[1]", lambda name: f"[${name}, ${name}]", 60)

REPEATS = {
    "nested repeats": Bomb(layers(repeat(1000, repeat(1000, repeat(1000, "relu")))), "too-many-layers", 3),
    "times": Bomb(layers(repeat(10**9, "relu")), "out-of-range", 3),
    "times that are computed": Bomb(layers(repeat("$(1000 * 1000000)", "relu")), "too-many-layers", 3),
    "a million layers": Bomb(layers(repeat("$(1000 * 1000)", "relu")), "too-many-layers", 3),
    "times nothing": Bomb(layers(repeat("$(1000 * 1000)", "{relu: {when: false}}")), "too-many-layers", 3),
    "times of an iteration": Bomb(layers(repeat(1000, repeat("$(index + 1)", "relu"))), "too-many-layers", 3),
    "a long list under when": Bomb(
        layers(f"repeat: {{for: {{a: {LIST}}}, layers: [{repeat('$(99 * a)', '{relu: {when: $(a == 2)}}')}]}}"),
        "too-many-layers",
        3,
    ),
    "two long lists under when": Bomb(
        layers(
            f"repeat: {{when: false, for: {{a: {LIST}}}, layers: [repeat: {{for: {{b: {LIST}}}, layers: [relu]}}]}}"
        ),
        "too-many-layers",
        3,
    ),
    "arguments that all differ": Bomb(
        f"blocks: {{Block: {{parameters: {{n}}, layers: [{repeat('$n', 'relu')}]}}}}\n"
        + layers(repeat(100_000, "Block: {n: $index}")),
        "too-many-layers",
        4,
    ),
}

CIRCLES = {
    "direct": Bomb("blocks: {A: [A]}\n" + layers("A"), "circular-block", 2, "`A` -> `A`"),
    "mutual": Bomb("blocks:\n  A: [B]\n  B: [A]\n" + layers("A"), "circular-block", 4, "`A` -> `B` -> `A`"),
    "through an argument": Bomb(
        "blocks:\n  A: {parameters: {x}, layers: [$x]}\n  B: [A: {x: [B]}]\n" + layers("B"), "circular-block", 4
    ),
    "through a default": Bomb(
        "blocks:\n  A: {parameters: {x: [{A: {}}]}, layers: [$x]}\n" + layers("A"), "circular-block", 3
    ),
    "through a text": Bomb(
        "blocks:\n  A: {parameters: {x}, layers: [$x]}\n  B: [A: {x: B}]\n" + layers("B"), "circular-block", 4
    ),
    "through a variable": Bomb("blocks:\n  A: {variables: {x: A}, layers: [$x]}\n" + layers("A"), "circular-block", 3),
    "through a variable of the file": Bomb(
        "variables: {x: A}\nblocks:\n  A: [$x]\n" + layers("A"), "circular-block", 4
    ),
    "through a choice": Bomb(
        "variables: {x: A, y: relu}\nblocks:\n  A: {variables: {z: $(x if in_channels > 2 else y)}, layers: [$z]}\n"
        + layers("A"), "circular-block", 4,
    ),
    "through a list of for": Bomb(
        "blocks:\n  A: [repeat: {for: {x: [A, relu]}, layers: [$x]}]\n" + layers("A"), "circular-block", 3
    ),
}  # fmt: skip

GROWING = {
    "layers that double with each level": Bomb(
        TWICE + layers(nested(20, "Twice: {inner: [", "relu", "]}")), "too-many-layers", 2
    ),
    "as deep as YAML goes": Bomb(TWICE + layers(nested(60, "Twice: {inner: [", "relu", "]}")), "too-deep", 4),
    "layers that double through blocks": Bomb(
        chain(60, lambda i: f"{{parameters: {{x}}, layers: [B{i + 1}: {{x: [$x, $x]}}]}}",
              "{parameters: {x}, layers: [$x]}") + layers("B0: {x: relu}"), "too-large-list", 9,
    ),
    "groups that double through blocks": Bomb(
        chain(60, lambda i: f"{{parameters: {{x}}, layers: [B{i + 1}: {{x: [sequential: [$x, $x]]}}]}}",
              "{parameters: {x}, layers: [$x]}") + layers("B0: {x: relu}"), "too-deep", 43,
    ),
    "calls that double": Bomb(
        chain(60, lambda i: f"[B{i + 1}, B{i + 1}]", "[relu]") + layers("B0"), "too-many-layers", 46
    ),
    "a long chain of blocks": Bomb(chain(500, lambda i: f"[B{i + 1}]", "[relu]") + layers("B0"), "too-deep", 103),
    "lists that double": Bomb(DOUBLING + layers("$v60"), "too-large-list", 10),
    "lists that double in times": Bomb(DOUBLING + layers(repeat("$v60", "relu")), "too-large-list", 10),
    "lists that double in a field": Bomb(DOUBLING + layers("max_pool2d: {kernel_size: $v60}"), "too-large-list", 10),
    "lists that double in an expression": Bomb(DOUBLING + layers(conv("$(v60 + 1)")), "too-large-list", 10),
    "lists that double in calls": Bomb(
        chain(60, lambda i: f"{{parameters: {{x}}, layers: [B{i + 1}: {{x: [$x, $x]}}]}}",
              f"{{parameters: {{x}}, layers: [{conv('$(x + 1)')}]}}") + layers("B0: {x: 1}"), "too-large-list", 9,
    ),
    "channels that double": Bomb(layers(repeat(100, conv("$(2 * in_channels)"))), "too-many-params", 3),
}  # fmt: skip

NUMBERS = {
    "channels": Bomb(layers(conv("$(1000000 * 1000000)")), "out-of-range", 3),
    "a power": Bomb(layers(conv("$(9**9**9)")), "invalid-expression", 3),
    "an exponent": Bomb(layers(conv("$(1e400)")), "number-too-large", 3),
    "an exponent of YAML": Bomb("variables: {a: 1e999999999}\n" + layers("relu"), "number-too-large", 2),
    "products": Bomb(layers(conv("$(10 * 1e300 * 1e300)")), "not-finite", 3),
    "minus signs": Bomb(layers(conv(f"$({'-' * 100_000}1)")), "invalid-expression", 3),
    "variables that square": Bomb(
        variables("9", lambda name: f"$({name} * {name})", 100) + layers(conv("$v100")), "number-too-large", 8
    ),
    "variables that double": Bomb(
        variables("9", lambda name: f"$({name} + {name})", 600) + layers(conv("$v600")), "number-too-large", 60
    ),
}

BOMBS: dict[str, Bomb] = REPEATS | CIRCLES | GROWING | NUMBERS


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of every bomb: its problems, the seconds and the megabytes that it took."""
    folder = tmp_path_factory.mktemp("bombs")
    paths: list[Path] = []
    for number, bomb in enumerate(BOMBS.values()):
        paths.append(folder / f"bomb{number}.yaml")
        paths[-1].write_text(INPUT + bomb.text, encoding="utf-8")
    words = [sys.executable, "-c", MEASURE, *map(str, paths)]
    output = subprocess.run(words, env=environment(), capture_output=True, encoding="utf-8", check=True).stdout
    return dict(zip(BOMBS, map(json.loads, output.splitlines()), strict=True))


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_at_its_place(measured: dict[str, Any], name: str) -> None:
    bomb = BOMBS[name]
    (code, line, message), *others = measured[name]["problems"]
    assert (code, line, others) == (bomb.code, bomb.line, [])
    assert bomb.message in message


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_little_time_and_memory(
    measured: dict[str, Any], name: str, record_property: Callable[[str, object], None]
) -> None:
    seconds, megabytes = measured[name]["seconds"], measured[name]["megabytes"]
    record_property("seconds", round(seconds, 3))
    record_property("megabytes", round(megabytes))
    assert seconds < MOST_SECONDS
    assert megabytes < MOST_MEGABYTES
