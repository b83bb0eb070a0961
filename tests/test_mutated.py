"""Broken specs: each gives a plan that torch can run, or problems with a place. Never anything else.

Some hundreds are broken here, and those are replayed that `specs/mutated` keeps; `full_mutations.py` breaks twenty
thousand. `UPDATE_GOLDEN=1 python -m pytest tests/test_mutated.py -n0` writes down what the kept ones are told.
"""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from mutation_corpus import MAX_KEPT_BYTES, codes_of, corpus, pin, pinned
from mutation_verdicts import Verdict, judged, warm_up, watched
from mutations import mutated, originals

SEEDS = range(400)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where specs are written; the bases that some extend stay there."""
    return tmp_path_factory.mktemp("mutated")


def shown(data: bytes) -> str:
    return data.decode(errors="backslashreplace")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_broken_spec_gives_a_plan_or_placed_problems_and_does_nothing(seed: int, folder: Path) -> None:
    data = mutated(seed)
    assert judged(data, folder).faults == (), f"the spec of seed {seed}:\n{shown(data)}"


@pytest.mark.parametrize("path", corpus(), ids=lambda path: path.stem)
def test_a_kept_spec_is_told_what_it_was_told(path: Path, folder: Path) -> None:
    data = path.read_bytes()
    verdict = judged(data, folder)
    assert verdict.faults == (), shown(data)
    if not os.environ.get("UPDATE_GOLDEN"):
        assert codes_of(verdict) == pinned()[path.stem], shown(data)


def test_what_is_pinned_is_that_of_the_kept_specs(folder: Path) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        pin({path.stem: codes_of(judged(path.read_bytes(), folder)) for path in corpus()})
    assert list(pinned()) == [path.stem for path in corpus()]


def test_the_kept_specs_are_small_and_of_many_kinds() -> None:
    assert len(corpus()) >= 100
    assert max(path.stat().st_size for path in corpus()) <= MAX_KEPT_BYTES
    assert len({told.split()[1] for codes in pinned().values() for told in codes}) >= 80


# --- the mutations ---


@cache
def verdicts(folder: Path) -> list[Verdict]:
    return [judged(mutated(seed), folder) for seed in SEEDS[:100]]


def test_the_mutations_break_most_specs_and_leave_some(folder: Path) -> None:
    assert 5 < sum(verdict.plan is not None for verdict in verdicts(folder)) < 50


def test_the_mutations_reach_many_kinds_of_problems(folder: Path) -> None:
    codes = {problem.code for verdict in verdicts(folder) for problem in verdict.problems}
    assert len(codes) >= 20, codes


def test_the_same_seed_breaks_a_spec_in_the_same_way() -> None:
    assert mutated(3) == mutated(3) != mutated(4)


def test_originals_are_valid(folder: Path) -> None:
    assert all(judged(text.encode(), folder).plan for text in originals()[::20])


# --- the watch ---


def test_a_check_that_takes_too_long_is_stopped_and_told(folder: Path) -> None:
    layers = b"input: [1, 8, 8]\nlayers: [repeat: {times: 50000, layers: [relu, tanh]}]\n"
    assert "TooLongError" in judged(layers, folder, limit=0.01).faults[0]


@pytest.mark.parametrize(
    ("event", "act"),
    [
        ("open", lambda folder: (folder / "new").write_text("")),
        ("open", lambda folder: Path(__file__).read_text(encoding="utf-8")),
        ("import", lambda folder: __import__("this_is_no_module")),
        ("exec", lambda folder: exec("1")),  # noqa: S102  # what is watched for
        ("os.system", lambda folder: os.system("true")),  # noqa: S605
        ("subprocess.Popen", lambda folder: subprocess.run([sys.executable, "-c", ""], check=True)),
        ("socket.__new__", lambda folder: socket.socket().close()),
        ("os.remove", lambda folder: (folder / "missing").unlink()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_watch_sees_what_a_spec_must_not_do(event: str, act: Callable[[Path], object], tmp_path: Path) -> None:
    with watched(tmp_path) as seen, contextlib.suppress(ImportError, OSError):
        act(tmp_path)
    assert any(told.startswith(event) for told in seen), seen


def test_the_watch_lets_specs_be_read(tmp_path: Path) -> None:
    warm_up()
    (tmp_path / "spec.yaml").write_text("", encoding="utf-8")
    with watched(tmp_path) as seen:
        (tmp_path / "spec.yaml").read_bytes()
    assert seen == []
