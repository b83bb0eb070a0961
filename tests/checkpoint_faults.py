"""Faults in and around the saving of checkpoints, each as a campaign that returns how many cases it tried.

A case that loses a checkpoint is an AssertionError.
"""

import os
import random
import signal
import struct
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

import torch
from faulty_files import (
    BROKEN,
    DIED,
    FORBIDDEN,
    FULL,
    Acting,
    Failing,
    PowerLoss,
    Quick,
    Recording,
    dying_at,
    exit_status,
    forked,
)

from builder.exits import OutputError
from builder.runs.checkpoints import Checkpoint, Checkpoints
from builder.runs.storage import Files

Store = Callable[[Path, Files], Checkpoints]
Save = tuple[int, int]  # the step, and a number to tell states of the same step

ERRORS = (FULL, BROKEN, FORBIDDEN)


@dataclass(frozen=True)
class Scenario:
    """Saves that are done, and one that something happens to."""

    name: str
    before: tuple[Save, ...]
    save: Save
    keep: tuple[int, ...] = ()

    @property
    def allowed(self) -> set[Save | None]:
        """What may be found afterwards: what was there, or the new one, nothing less."""
        earlier = [done for done in self.before if done[0] <= self.save[0]]
        return {self.save, max(self.before, default=None), max(earlier, default=None)}


SCENARIOS = (
    Scenario("the first", (), (100, 0)),
    Scenario("the second", ((100, 0),), (200, 0)),
    Scenario("with one to prune", ((100, 0), (200, 0)), (300, 0)),
    Scenario("with one to prune and a best to keep", ((100, 0), (200, 0), (300, 0)), (400, 0), keep=(100,)),
    Scenario("of the same step", ((100, 0), (200, 0)), (200, 1)),
    Scenario("of the same step for the third time", ((100, 0), (200, 0), (200, 1)), (200, 2)),
    Scenario("after going back", ((100, 0), (300, 0), (400, 0)), (350, 0)),
)


def state(save: Save) -> dict[str, Any]:
    """What a small run would save, different for each save."""
    step, number = save
    weight = torch.arange(64, dtype=torch.float32).reshape(8, 8) + step
    return {
        "model": {"conv1.weight": weight, "norm1.num_batches_tracked": torch.tensor(step)},
        "optimizer": {"state": {0: {"momentum_buffer": weight / 2}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        "random": torch.full((16,), number, dtype=torch.uint8),
        "save": list(save),
    }


def prepare(folder: Path, scenario: Scenario) -> None:
    """The folder as it is before the save in question."""
    rmtree(folder, ignore_errors=True)
    if scenario.before:
        write_all(folder, contents_before(scenario))


@cache
def contents_before(scenario: Scenario) -> Mapping[str, bytes]:
    with TemporaryDirectory() as folder:
        for save in scenario.before:
            Checkpoints(Path(folder), Quick()).save(save[0], state(save), keep=[step for step, _ in scenario.before])
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def found(folder: Path) -> Save | None:
    """Which save would be gone on from; it has to be the same to the last bit."""
    checkpoint = Checkpoints(folder).latest()
    return save_of(checkpoint) if checkpoint else None


def save_of(checkpoint: Checkpoint) -> Save:
    save = (int(checkpoint.state["save"][0]), int(checkpoint.state["save"][1]))
    assert_same(checkpoint.state, state(save))
    assert checkpoint.step == save[0]
    return save


def assert_same(one: Any, other: Any) -> None:
    """That two states are equal, tensors bit by bit."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    else:
        assert one == other


def saved(folder: Path, scenario: Scenario, files: Files, store: Store = Checkpoints) -> None:
    store(folder, files).save(scenario.save[0], state(scenario.save), keep=scenario.keep)


def recorded(folder: Path, scenario: Scenario, store: Store = Checkpoints) -> Recording:
    """What a save does when nothing happens to it."""
    prepare(folder, scenario)
    recording = Recording()
    saved(folder, scenario, recording, store)
    assert found(folder) == scenario.save
    return recording


def assert_goes_on(folder: Path, scenario: Scenario) -> None:
    """The next start sweeps the folder, and the same save works: then there is nothing else than belongs there."""
    checkpoints = Checkpoints(folder, Quick())
    checkpoints.sweep()
    checkpoints.save(scenario.save[0], state(scenario.save), keep=scenario.keep)
    assert found(folder) == scenario.save
    checkpoints.sweep()
    names = {path.name for path in folder.iterdir()}
    steps = {step for step, _ in scenario.before if step < scenario.save[0]}
    kept = {scenario.save[0], max(steps, default=scenario.save[0]), *scenario.keep}
    assert len(names) == 2 * len(kept), names
    assert {name.partition(".")[0][:14] for name in names} == {f"step-{step:09d}" for step in kept}


def killed_at_each_point(folder: Path, scenario: Scenario, store: Store = Checkpoints) -> int:
    """A process that saves dies at each named point in turn."""
    points = recorded(folder, scenario, store).points
    for number in range(len(points)):
        prepare(folder, scenario)
        assert exit_status(partial(saved, folder, scenario, dying_at(number), store)) == DIED
        assert found(folder) in scenario.allowed, (scenario.name, points[number])
        assert_goes_on(folder, scenario)
    return len(points)


def interrupted_at_each_point(folder: Path, scenario: Scenario) -> int:
    """Ctrl-C at each named point in turn; what is half written is cleaned up at once."""
    points = recorded(folder, scenario).points
    for number in range(len(points)):
        prepare(folder, scenario)
        try:
            saved(folder, scenario, Acting(number, _interrupt))
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError(points[number])
        assert found(folder) in scenario.allowed, (scenario.name, points[number])
        assert not list(folder.glob(".*")), points[number]
        assert_goes_on(folder, scenario)
    return len(points)


def _interrupt() -> None:
    raise KeyboardInterrupt


def failing_at_each_operation(folder: Path, scenario: Scenario, errors: Collection[int] = ERRORS) -> int:
    """Each operation in turn fails, with each error, once or from then on."""
    operations = recorded(folder, scenario).operations
    cases = [(n, error, lasts) for n in range(len(operations)) for error in errors for lasts in (False, True)]
    for number, error, lasts in cases:
        prepare(folder, scenario)
        case = (scenario.name, number, operations[number], os.strerror(error), lasts)
        try:
            saved(folder, scenario, Failing(number, error, lasts))
        except OutputError as stop:
            said = str(stop)
            assert os.strerror(error).lower() in said, case
            assert found(folder) in scenario.allowed, case
        else:
            assert operations[number] == "remove", case  # to prune is no duty
            assert found(folder) == scenario.save, case
        assert lasts or not list(folder.glob(".*")), case
        assert_goes_on(folder, scenario)
    return len(cases)


def power_lost_after_each_operation(folder: Path, scenario: Scenario, forgotten: Collection[str] = ()) -> int:
    """The power fails after each operation, and of what was not synced any part is lost."""
    prepare(folder, scenario)
    files = PowerLoss(folder.parent, forgotten)
    saved(folder, scenario, files)
    for outcome in files.outcomes:
        write_all(folder, {path.name: content for path, content in outcome.items()})
        assert found(folder) in scenario.allowed, (scenario.name, sorted(path.name for path in outcome))
    num_outcomes = len(files.outcomes)
    files.outcomes.clear()
    files.collect()  # the power fails when all is done
    for outcome in files.outcomes:
        write_all(folder, {path.name: content for path, content in outcome.items()})
        assert found(folder) == scenario.save, scenario.name
    return num_outcomes


def write_all(folder: Path, contents: Mapping[str, bytes]) -> None:
    rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def damaged(content: bytes, num_flips: int, num_cuts: int, seed: int) -> Iterator[bytes]:
    """The content with one bit turned, and cut short, at places that the seed decides, none twice."""
    places = random.Random(seed)  # noqa: S311  # no secret
    for bit in places.sample(range(8 * len(content)), min(num_flips, 8 * len(content))):
        turned = bytearray(content)
        turned[bit // 8] ^= 1 << bit % 8
        yield bytes(turned)
    for length in places.sample(range(len(content)), min(num_cuts, len(content))):
        yield content[:length]


def damaged_at_rest(folder: Path, suffix: str, num_flips: int, num_cuts: int, seed: int = 1) -> int:
    """One bit of the newest checkpoint's data or manifest turns, or its end is lost: the one before it is used."""
    prepare(folder, Scenario("", ((100, 0), (200, 0)), (300, 0)))
    path = folder / f"step-000000200{suffix}"
    content = path.read_bytes()
    num_cases = 0
    for num_cases, wrong in enumerate(damaged(content, num_flips, num_cuts, seed), start=1):
        path.write_bytes(wrong)
        checkpoint = Checkpoints(folder).latest()
        assert checkpoint is not None
        assert save_of(checkpoint) == (100, 0), num_cases
        assert len(checkpoint.skipped) == 1
        assert path.name in checkpoint.skipped[0]
    path.write_bytes(content)
    assert found(folder) == (200, 0)
    return num_cases


def killed_from_outside(folder: Path, num_kills: int, seed: int = 1) -> int:
    """A process that saves without a pause is killed at a random moment, again and again in the same folder."""
    moments = random.Random(seed)  # noqa: S311  # no secret
    last = 0
    for _ in range(num_kills):
        reading, writing = os.pipe()
        child = forked(partial(_save_forever, folder, last, writing))
        os.close(writing)
        told = os.read(reading, 8)  # the first is there
        time.sleep(moments.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(reading, "rb") as pipe:
            told += pipe.read()
        committed = [step for (step,) in struct.iter_unpack("q", told[: len(told) // 8 * 8])][-1]
        now = found(folder)
        assert now is not None
        assert now[0] in (committed, committed + 1), "the save that was told is there, or the one that was in work"
        Checkpoints(folder).sweep()
        last = now[0]
        assert len(list(folder.iterdir())) <= 6  # three, where the pruning was cut off
    return num_kills


def _save_forever(folder: Path, last: int, writing: int) -> int:
    while True:
        last += 1
        Checkpoints(folder, Quick()).save(last, state((last, 0)))
        os.write(writing, struct.pack("q", last))
