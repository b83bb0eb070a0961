"""Checkpoints: whatever happens while one is written or lies on the disk, a good one is found, and no bad one is."""

import json
import os
import pickle
import re
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_faults import (
    ERRORS,
    SCENARIOS,
    Scenario,
    damaged_at_rest,
    failing_at_each_operation,
    found,
    interrupted_at_each_point,
    killed_at_each_point,
    killed_from_outside,
    power_lost_after_each_operation,
    prepare,
    recorded,
    state,
)
from faulty_files import DIED, Lying, PowerLoss, dying_at, exit_status

from builder.exits import OutputError, Status, TrainingError
from builder.runs import manifest
from builder.runs.checkpoints import CRASH_POINTS, CheckpointError, Checkpoints
from builder.runs.manifest import Manifest
from builder.version import __version__

PRUNING = next(scenario for scenario in SCENARIOS if scenario.name == "with one to prune")
TWO = Scenario("", ((100, 0), (200, 0)), (300, 0))

# All of them, with all errors, are in full_checkpoints.py.
SHARE = [SCENARIOS[0], SCENARIOS[3], SCENARIOS[5], SCENARIOS[6]]

each_scenario = pytest.mark.parametrize("scenario", SHARE, ids=lambda scenario: scenario.name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


@pytest.fixture
def two(folder: Path) -> Path:
    """A folder with the checkpoints of steps 100 and 200."""
    prepare(folder, TWO)
    return folder


def skipped(folder: Path) -> list[str]:
    """What is said about the newer checkpoint, when the older is used."""
    checkpoint = Checkpoints(folder).latest()
    assert checkpoint is not None
    assert checkpoint.step == 100
    return [sentence.replace(f"{folder}{os.sep}", "") for sentence in checkpoint.skipped]


def refusal(folder: Path, name: str = "step-000000200.pt") -> str:
    """What is said when that very file is asked for."""
    with pytest.raises(CheckpointError) as caught:
        Checkpoints(folder).load(folder / name)
    assert caught.value.status == Status.RESUME
    return str(caught.value).replace(f"{folder}{os.sep}", "")


# What a save leaves.


def test_what_is_saved_comes_back_bit_by_bit(folder: Path) -> None:
    Checkpoints(folder).save(100, state((100, 0)))
    checkpoint = Checkpoints(folder).latest()
    assert checkpoint is not None
    assert (checkpoint.step, checkpoint.path, checkpoint.skipped) == (100, folder / "step-000000100.pt", ())
    assert found(folder) == (100, 0)
    assert Checkpoints(folder).load(checkpoint.path).step == 100


def test_a_folder_without_checkpoints_has_no_latest(folder: Path) -> None:
    assert Checkpoints(folder).latest() is None
    folder.mkdir()
    assert Checkpoints(folder).latest() is None
    Checkpoints(folder).sweep()


def test_the_last_two_stay_and_those_to_keep(folder: Path) -> None:
    checkpoints = Checkpoints(folder)
    for step in (1, 2, 3, 4, 5):
        checkpoints.save(step, state((step, 0)), keep=(2,))
    assert sorted(path.name for path in folder.glob("*.pt")) == [f"step-{step:09d}.pt" for step in (2, 4, 5)]
    checkpoints.save(6, state((6, 0)), keep=(6,))
    assert sorted(path.name for path in folder.iterdir()) == [
        *("step-000000005.json", "step-000000005.pt", "step-000000006.json", "step-000000006.pt")
    ]


def test_a_step_saved_again_replaces_the_first(two: Path) -> None:
    for number in (1, 2, 3):
        Checkpoints(two).save(200, state((200, number)))
        assert found(two) == (200, number)
        assert len(list(two.iterdir())) == 4


def test_steps_are_ordered_by_number_not_by_name(folder: Path) -> None:
    for step in (999_999_999, 10_000_000_000):
        Checkpoints(folder).save(step, state((step, 0)))
    assert found(folder) == (10_000_000_000, 0)


def test_a_run_that_goes_back_has_another_future(two: Path) -> None:
    checkpoints = Checkpoints(two)
    checkpoints.rewind(100)
    assert found(two) == (100, 0)
    assert sorted(path.name for path in two.iterdir()) == ["step-000000100.json", "step-000000100.pt"]
    checkpoints.rewind(100)


def test_a_save_after_going_back_removes_the_later_ones(two: Path) -> None:
    Checkpoints(two).save(150, state((150, 0)))
    assert found(two) == (150, 0)
    assert len(list(two.iterdir())) == 4


def test_later_ones_that_cannot_be_removed_stop_the_run(two: Path) -> None:
    (two / "step-000000300.json").mkdir()
    with pytest.raises(OutputError):
        Checkpoints(two).rewind(100)


def test_going_back_lasts_when_the_power_is_lost_afterwards(two: Path) -> None:
    files = PowerLoss(two)
    Checkpoints(two, files).rewind(100)
    files.outcomes.clear()
    files.collect()
    assert [sorted(path.name for path in outcome) for outcome in files.outcomes] == [
        ["step-000000100.json", "step-000000100.pt"]
    ]


def test_a_kill_while_going_back_leaves_no_manifest_without_its_data(two: Path) -> None:
    assert exit_status(lambda: Checkpoints(two, dying_at(0)).rewind(100)) == DIED
    assert sorted(path.name for path in two.iterdir()) == [
        *("step-000000100.json", "step-000000100.pt", "step-000000200.pt")
    ]


def test_data_that_cannot_be_removed_is_no_reason_not_to_go_back(two: Path) -> None:
    (two / "step-000000200.pt").unlink()
    (two / "step-000000200.pt").mkdir()
    Checkpoints(two).rewind(100)
    assert found(two) == (100, 0)


def test_data_that_was_never_finished_does_not_count_as_the_one_before(two: Path) -> None:
    (two / "step-000000250.pt").write_bytes(b"")
    Checkpoints(two).save(300, state((300, 0)))
    assert sorted(path.name for path in two.glob("*.pt")) == ["step-000000200.pt", "step-000000300.pt"]


def test_the_manifest_says_what_was_written(two: Path) -> None:
    entries = json.loads((two / "step-000000200.json").read_bytes())
    assert list(entries) == ["format", "file", "num_bytes", "sha256", "yamlnet", "torch", "seal"]
    assert entries["format"] == 1
    assert entries["file"] == "step-000000200.pt"
    assert entries["num_bytes"] == (two / "step-000000200.pt").stat().st_size
    assert entries["yamlnet"] == __version__
    assert entries["torch"] == torch.__version__


def test_a_state_that_could_not_be_loaded_again_is_not_written(two: Path) -> None:
    with pytest.raises(pickle.UnpicklingError):
        Checkpoints(two).save(300, state((300, 0)) | {"path": two})
    assert found(two) == (200, 0)


# Numbers that are not finite.


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_weight_that_is_not_finite_is_never_written(two: Path, number: float) -> None:
    broken = state((300, 0))
    broken["model"]["conv1.weight"][3, 4] = number
    before = sorted(two.iterdir())
    with pytest.raises(TrainingError) as caught:
        Checkpoints(two).save(300, broken)
    assert str(caught.value) == (
        "training stopped at step 300: conv1.weight holds numbers that are not finite; try a lower lr; "
        f"the last good checkpoint is {two / 'step-000000200.pt'}"
    )
    assert caught.value.status == Status.TRAINING
    assert sorted(two.iterdir()) == before


def test_the_last_good_checkpoint_is_named_only_if_it_is_good(two: Path) -> None:
    (two / "step-000000200.pt").write_bytes(b"")
    assert Checkpoints(two).last_good == f"the last good checkpoint is {two / 'step-000000100.pt'}"
    (two / "step-000000100.pt").unlink()
    assert Checkpoints(two).last_good == "there is no checkpoint yet"


def test_a_checkpoint_with_numbers_that_are_not_finite_is_not_used(two: Path) -> None:
    broken = state((200, 0))
    broken["model"]["conv1.weight"][0, 0] = float("nan")
    forge(two, broken)
    assert skipped(two) == ["step-000000200.pt holds numbers that are not finite (in conv1.weight)"]


# Killed, interrupted, without power, without space.


def test_the_scenarios_reach_every_named_point(folder: Path) -> None:
    reached = {point for scenario in SHARE for point in recorded(folder, scenario).points}
    assert reached == set(CRASH_POINTS)


@each_scenario
def test_a_kill_at_any_point_of_a_save_loses_nothing(folder: Path, scenario: Scenario) -> None:
    assert killed_at_each_point(folder, scenario) >= len(CRASH_POINTS) - 2


@each_scenario
def test_a_signal_at_any_point_of_a_save_loses_nothing_and_leaves_nothing(folder: Path, scenario: Scenario) -> None:
    interrupted_at_each_point(folder, scenario)


@each_scenario
def test_an_operation_that_fails_loses_nothing(folder: Path, scenario: Scenario) -> None:
    failing_at_each_operation(folder, scenario, errors=[ERRORS[SHARE.index(scenario) % len(ERRORS)]])


@each_scenario
def test_a_power_loss_at_any_moment_loses_nothing(folder: Path, scenario: Scenario) -> None:
    power_lost_after_each_operation(folder, scenario)


def test_kills_from_outside_lose_nothing(folder: Path) -> None:
    killed_from_outside(folder, num_kills=5)


def test_a_disk_that_turns_a_bit_is_noticed_before_anything_is_pruned(two: Path) -> None:
    with pytest.raises(OutputError, match=r"step-000000300\.pt: it reads back differently, the disk may be failing"):
        Checkpoints(two, Lying()).save(300, state((300, 0)))
    assert sorted(path.name[:14] for path in two.iterdir()) == ["step-000000100"] * 2 + ["step-000000200"] * 2
    assert found(two) == (200, 0)


def test_a_run_folder_that_was_deleted_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such file or directory"):
        Checkpoints(tmp_path / "gone" / "checkpoints").save(100, state((100, 0)))
    assert not list(tmp_path.iterdir())


def test_a_checkpoints_folder_that_was_deleted_is_made_anew(two: Path) -> None:
    for path in two.iterdir():
        path.unlink()
    two.rmdir()
    Checkpoints(two).save(300, state((300, 0)))
    assert found(two) == (300, 0)


def test_a_file_in_the_folders_place_ends_the_run(folder: Path) -> None:
    folder.write_text("")
    with pytest.raises(OutputError, match="file exists"):
        Checkpoints(folder).save(100, state((100, 0)))
    with pytest.raises(CheckpointError, match="not a directory"):
        Checkpoints(folder).latest()


# At rest.


@pytest.mark.parametrize("suffix", [".pt", ".json"])
def test_a_turned_bit_or_a_lost_end_is_detected_and_the_one_before_is_used(folder: Path, suffix: str) -> None:
    assert damaged_at_rest(folder, suffix, num_flips=40, num_cuts=20) == 60


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (bytes(3000), "holds nothing but zeros"),
        (b"PK\3\4", "is truncated, to 4 of N bytes"),
        (b"PK\3\4" * 10_000, "has 40,000 bytes instead of N"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2873\n",
         "is a pointer of Git LFS instead of the file, which `git lfs pull` fetches"),
    ],
)  # fmt: skip
def test_data_that_is_something_else_is_named(two: Path, content: bytes, sentence: str) -> None:
    path = two / "step-000000200.pt"
    size = path.stat().st_size
    path.write_bytes(content)
    expected = f"step-000000200.pt {sentence.replace('N', f'{size:,}')}"
    assert skipped(two) == [expected]
    assert refusal(two) == expected


def test_a_changed_byte_is_named_as_such(two: Path) -> None:
    path = two / "step-000000200.pt"
    path.write_bytes(path.read_bytes().replace(b"conv1", b"conv2"))
    assert skipped(two) == ["step-000000200.pt is not as it was written: its SHA-256 differs"]


@pytest.mark.parametrize("name", ["step-000000200.pt", "step-000000200.json"])
def test_a_folder_or_a_pipe_in_a_files_place_is_named(two: Path, name: str) -> None:
    (two / name).unlink()
    (two / name).mkdir()
    assert skipped(two) == [f"{name} is a folder"]
    (two / name).rmdir()
    os.mkfifo(two / name)
    assert skipped(two) == [f"{name} can't be read (not a regular file)"]


@pytest.mark.parametrize("name", ["step-000000200.pt", "step-000000200.json"])
def test_a_missing_file_is_named(two: Path, name: str) -> None:
    (two / name).unlink()
    assert skipped(two) == [f"{name} is missing"]
    assert refusal(two) == f"{name} is missing"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"3", b"{}", b"\xff", b"[" * 100_000, b'{"seal": 1}', b"9" * 10_000, b'{"format": 2}']
)
def test_a_manifest_that_is_none_is_damaged(two: Path, content: bytes) -> None:
    (two / "step-000000200.json").write_bytes(content)
    assert skipped(two) == ["step-000000200.json is damaged"]


def test_the_manifest_of_another_file_is_not_followed(two: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.pt").write_bytes((two / "step-000000200.pt").read_bytes())
    (two / "step-000000200.json").write_bytes(
        Manifest.of("../elsewhere.pt", (tmp_path / "elsewhere.pt").read_bytes()).to_bytes()
    )
    assert skipped(two) == ["step-000000200.json is the manifest of another file (../elsewhere.pt)"]


def test_none_good_is_an_error_that_says_what_is_wrong_with_each(two: Path) -> None:
    (two / "step-000000200.pt").write_bytes(b"")
    (two / "step-000000100.json").write_bytes(b"{}")
    with pytest.raises(CheckpointError) as caught:
        Checkpoints(two).latest()
    assert str(caught.value) == (
        f"no checkpoint is good: {two / 'step-000000200.pt'} is empty; {two / 'step-000000100.json'} is damaged"
    )
    assert caught.value.status == Status.RESUME


def test_a_file_that_is_no_checkpoint_is_refused_by_its_name(two: Path) -> None:
    (two / "cat.jpg").write_bytes(b"\xff\xd8\xff")
    sentence = "is no checkpoint: they are named as step-000000100.pt is"
    assert refusal(two, "cat.jpg") == f"cat.jpg {sentence}"
    assert refusal(two, "step-000000100.json") == f"step-000000100.json {sentence}"


def test_a_file_whose_step_was_saved_again_is_refused(two: Path) -> None:
    before = (two / "step-000000200.pt").read_bytes()
    Checkpoints(two).save(200, state((200, 1)))
    (two / "step-000000200.pt").write_bytes(before)
    assert refusal(two) == "step-000000200.pt was saved again, as step-000000200-2.pt"


def test_a_newer_format_is_refused_with_both_versions_and_not_passed_over(two: Path) -> None:
    path = two / "step-000000200.json"
    newer = re.sub(rb'"format": 1', b'"format": 2', path.read_bytes()).replace(__version__.encode(), b"9.9.9")
    entries = json.loads(newer)
    path.write_bytes(sealed(entries))
    sentence = f"{path} was written by yamlnet 9.9.9 in format 2; this is yamlnet {__version__}, for format 1"
    with pytest.raises(CheckpointError, match=re.escape(sentence)):
        Checkpoints(two).latest()
    with pytest.raises(CheckpointError, match=re.escape(sentence)):
        Checkpoints(two).load(two / "step-000000200.pt")
    Checkpoints(two).sweep()
    assert (two / "step-000000200.pt").exists()


# Hostile.


class Hostile:
    """Does something when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._path),)


def test_what_would_run_code_is_refused_and_runs_none(two: Path, tmp_path: Path) -> None:
    forge(two, state((200, 0)) | {"extra": Hostile(tmp_path / "executed")})
    sentence = "step-000000200.pt holds something else than tensors and plain values, so it is not loaded"
    assert skipped(two) == [sentence]
    assert refusal(two) == sentence
    assert not (tmp_path / "executed").exists()


def test_a_file_of_another_kind_with_a_manifest_is_refused(two: Path) -> None:
    archive = two / "step-000000200.pt"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("hello", "world")
    seal(archive)
    assert skipped(two) == ["step-000000200.pt holds something else than tensors and plain values, so it is not loaded"]


@pytest.mark.parametrize("other", [[1, 2], {"weights": 3}, {"model": 3}])
def test_a_file_of_torch_that_is_no_checkpoint_is_refused(two: Path, other: object) -> None:
    forge(two, other)
    assert skipped(two) == ["step-000000200.pt is no checkpoint of yamlnet"]


def test_the_digest_is_compared_before_torch_sees_the_bytes(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    (two / "step-000000200.pt").write_bytes((two / "step-000000100.pt").read_bytes())
    monkeypatch.setattr("torch.load", refuse)
    with pytest.raises(CheckpointError, match="SHA-256 differs"):
        Checkpoints(two).load(two / "step-000000200.pt")


def forge(folder: Path, content: object) -> None:
    """In place of step 200, with a manifest that fits."""
    torch.save(content, folder / "step-000000200.pt")
    seal(folder / "step-000000200.pt")


def seal(path: Path) -> None:
    path.with_suffix(".json").write_bytes(Manifest.of(path.name, path.read_bytes()).to_bytes())


def sealed(entries: dict[str, object]) -> bytes:
    from hashlib import sha256

    def text(entries: dict[str, object]) -> str:
        return json.dumps(entries, indent=2) + "\n"

    del entries["seal"]
    return text(entries | {"seal": sha256(text(entries).encode()).hexdigest()}).encode()


# Sweeping.


def test_sweeping_removes_what_killed_processes_left_and_nothing_else(two: Path) -> None:
    good = sorted(two.iterdir())
    (two / ".step-000000300.pt.999999999.tmp").write_bytes(b"half")
    (two / f".step-000000300.pt.{os.getpid()}.tmp").write_bytes(b"of an earlier process of the same number")
    (two / "step-000000300.pt").write_bytes(b"without a manifest")
    (two / "step-000000200-2.pt").write_bytes(b"not the one of the manifest")
    others = [two / f".step-000000300.pt.{os.getppid()}.tmp", two / "notes.txt", two / ".tmp", two / ".notes.tmp"]
    for path in others:
        path.write_bytes(b"")
    Checkpoints(two).sweep()
    assert sorted(two.iterdir()) == sorted([*good, *others])


def test_sweeping_leaves_data_whose_manifest_is_damaged(two: Path) -> None:
    (two / "step-000000200.json").write_bytes(b"{}")
    Checkpoints(two).sweep()
    assert (two / "step-000000200.pt").exists()


def test_data_that_was_never_finished_alone_counts_as_nothing(folder: Path) -> None:
    folder.mkdir()
    (folder / "step-000000100.pt").write_bytes(b"")
    assert Checkpoints(folder).latest() is None


# Negative controls: each guard left out, and the tests above go red.


class PruningFirst(Checkpoints):
    """Makes room before it writes."""

    def save(self, step: int, state: Mapping[str, Any], keep: Collection[int] = ()) -> None:
        for path in self.folder.iterdir():
            self._files.remove(path)
        super().save(step, state, keep)


class WithoutManifestLast(Checkpoints):
    """Writes the manifest of what is not there yet."""

    def save(self, step: int, state: Mapping[str, Any], keep: Collection[int] = ()) -> None:
        for path in self.folder.glob(f"step-{step:09d}*"):
            self._files.remove(path)
        super().save(step, state, keep)


def test_a_store_that_prunes_before_it_verifies_loses_a_checkpoint(folder: Path) -> None:
    with pytest.raises(AssertionError, match="with one to prune"):
        killed_at_each_point(folder, PRUNING, PruningFirst)


def test_a_store_that_overwrites_a_step_loses_it(folder: Path) -> None:
    again = next(scenario for scenario in SCENARIOS if scenario.name == "of the same step")
    with pytest.raises(AssertionError, match="of the same step"):
        killed_at_each_point(folder, again, WithoutManifestLast)


@pytest.mark.parametrize("forgotten", ["sync", "sync_folder"])
def test_a_store_that_does_not_sync_loses_a_checkpoint(folder: Path, forgotten: str) -> None:
    with pytest.raises((AssertionError, CheckpointError)):
        power_lost_after_each_operation(folder, PRUNING, forgotten=[forgotten])


def test_a_store_without_digests_takes_damaged_ones(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Manifest, "difference", lambda self, content: "")
    with pytest.raises(AssertionError):
        damaged_at_rest(folder, ".pt", num_flips=40, num_cuts=0)


def test_a_manifest_without_a_seal_hides_a_turned_bit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = manifest._sealed
    monkeypatch.setattr(manifest, "_sealed", lambda entries: AnyBytes(sealed(entries)))
    with pytest.raises(AssertionError):
        damaged_at_rest(folder, ".json", num_flips=1000, num_cuts=0)


class AnyBytes(bytes):
    """Equal to all others."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = bytes.__hash__
