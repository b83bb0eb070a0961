"""What became of a broken spec: a plan that torch runs as foreseen, or problems with a place; and what is wrong else.

Python tells an audit hook of every file that is opened, every import, process and connection. While a spec is checked,
nothing is allowed but to read files in its folder.
"""

import json
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any
from unicodedata import category

import torch
from composition_oracle import image_shape, passed, paths_and_rows
from mutations import SPECS, VALID, ZOO
from torch_oracle import BATCH, on_meta

from builder import Plan, SpecError, load_spec, make_plan
from builder.formats import FORMATS, FileReport, Report, Totals
from builder.lints import remarks
from builder.plan import Row, paused_collector, with_levels
from builder.problems import Place, Problem, errors

MAX_BUILT = 2000  # modules: torch is asked no more about larger networks
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # of Unicode: what can change or forge what a terminal shows
# Events of the interpreter that change nothing. Expressions are compiled to a tree by `ast`, and never executed.
HARMLESS = {"builtins.id", "compile", "object.__getattr__", "sys._getframe"}


@dataclass(frozen=True)
class Verdict:
    """What became of one spec. `faults` are ours: a spec may be as wrong as it likes, and has none."""

    plan: Plan | None
    problems: tuple[Problem, ...]
    num_layers: int  # of the plan, or before the layer that failed, at all levels
    seconds: float  # of computing, to check it and to print what was found
    faults: tuple[str, ...]


class TooLongError(BaseException):
    """A check took longer than it may; nothing that handles an `Exception` takes it for one."""


def judged(data: bytes, folder: Path, limit: float = 0) -> Verdict:
    """The verdict on a spec of these bytes, as a file of the folder.

    Args:
        data: the bytes.
        folder: where the spec may be written.
        limit: seconds after which its check is broken off, waiting included; 0 is no limit.
    """
    path = with_bases(folder) / "spec.yaml"
    path.write_bytes(data)
    before = sorted(folder.rglob("*"))
    found = Found(None, (), ())
    crash = ""
    warm_up()
    started = process_time()
    with watched(folder) as seen:
        signal.setitimer(signal.ITIMER_REAL, limit)
        try:
            found = checked(path)
            printed(path, found)
        except (Exception, TooLongError):
            crash = traceback.format_exc()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    seconds = process_time() - started
    faults = [crash] if crash else misjudged(found.plan, found.problems)
    faults += [f"did more than read: {what}" for what in seen]
    faults += ["wrote a file"] if sorted(folder.rglob("*")) != before else []
    num_layers = sum(1 for _ in with_levels(found.rows))
    return Verdict(found.plan, found.problems, num_layers, seconds, tuple(faults))


def _stop(*_: object) -> None:
    raise TooLongError


signal.signal(signal.SIGALRM, _stop)


def with_bases(folder: Path) -> Path:
    """The folder, with the files in it that others extend."""
    for base in (*ZOO.glob("_*.yaml"), *VALID.glob("_*.yaml")):
        if not (folder / base.name).exists():
            (folder / base.name).write_bytes(base.read_bytes())
    return folder


@dataclass(frozen=True)
class Found:
    """What `check --advice` finds."""

    plan: Plan | None
    problems: tuple[Problem, ...]
    rows: Sequence[Row]


@paused_collector()
def checked(path: Path) -> Found:
    """What there is to tell of a spec."""
    try:
        plan = make_plan(load_spec(path))
        return Found(plan, tuple(remarks(plan, advice=True)), plan.rows)
    except SpecError as error:
        return Found(None, error.problems, error.rows)


def printed(path: Path, found: Found) -> None:
    """Print it in every format, to nowhere."""
    report = Report([FileReport(str(path), found.problems, Totals.of(found.plan) if found.plan else None)])
    for lines in FORMATS.values():
        assert "".join(lines(report))


# --- what it did ---


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """What the interpreter is asked for meanwhile, but to read files of the folder."""
    seen: list[str] = []
    _watch().append((folder, seen))
    try:
        yield seen
    finally:
        _watch().pop()


@cache
def _watch() -> list[tuple[Path, list[str]]]:
    """The watchers; there is at most one. An audit hook can't be taken away again."""
    watchers: list[tuple[Path, list[str]]] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watchers and event not in HARMLESS:
            folder, seen = watchers[-1]
            if event != "open" or not _reads_below(folder, *arguments):
                seen.append(f"{event}{arguments}")

    sys.addaudithook(hook)
    return watchers


def _reads_below(folder: Path, path: object, mode: object, flags: int) -> bool:
    """Whether to open this is to read a file of the folder: flags of 1 to 3 write, mode is theirs in letters."""
    return Path(str(path)).is_relative_to(folder) and not (flags & 3) and not (set(str(mode)) & set("wax+"))


@cache
def warm_up() -> None:
    """Import what is imported only when it is needed."""
    for path in (SPECS / "net.yaml", VALID.parent / "invalid" / "fields" / "hostile_names.yaml"):
        printed(path, checked(path))


# --- what it said ---


def misjudged(plan: Plan | None, problems: tuple[Problem, ...]) -> list[str]:
    """What is wrong with problems, and where a spec that we accept is not one that torch runs as foreseen."""
    wrong = [fault for problem in problems for fault in faults(problem)]
    if plan:
        return wrong + unlike_torch(plan)
    return wrong + ([] if errors(problems) else ["no error among the problems"])


def unlike_torch(plan: Plan) -> list[str]:
    """Where torch's modules are not the plan's rows, at any level."""
    rows = dict(paths_and_rows(plan))
    if len(rows) > MAX_BUILT:
        return []
    model = on_meta(plan)
    names = [name for name, _ in model.named_modules() if name]
    if list(rows) != names:
        return [f"names: plan {list(rows)}, torch {names}"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel lengths")
        seen = passed(model, torch.zeros(BATCH, *plan.spec.input, device="meta"))
    found = {path: image_shape(seen[path].output, row.out_shape) for path, row in rows.items()}
    return [
        f"{path}: plan {row.out_shape}, torch {found[path]}"
        for path, row in rows.items()
        if row.out_shape != found[path]
    ]


def faults(problem: Problem) -> list[str]:
    """What is wrong with the problem itself."""
    checks: dict[str, object] = {
        "code": re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", problem.code),
        "message": problem.message.strip(),
        "hint": problem.hint.strip(),
        "one line": "\n" not in problem.message + problem.hint,
        "printable": not any(category(char) in UNSEEN for char in problem.message + problem.hint),
        "place": is_place(problem.place),
        "uses": all(is_place(use.place) for use in problem.uses),
        "frame": any("^" in line for line in problem.frame()),
        "json": json.dumps(problem.to_json()),
    }
    return [f"{what} of {problem!r}" for what, is_right in checks.items() if not is_right]


def is_place(place: Place) -> bool:
    lines = place.source.lines
    return (
        1 <= place.line <= place.end_line <= len(lines)
        and 1 <= place.column <= len(place.text) + 1
        and 1 <= place.end_column <= len(lines[place.end_line - 1]) + 1
        and (place.line, place.column) <= (place.end_line, place.end_column)
    )
