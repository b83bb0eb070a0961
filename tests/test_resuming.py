"""Runs that are stopped, killed and gone on with: to the same bits, or refused with the reason."""

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest
from PIL import Image
from resumed_runs import EACH_STEP, QUIET, RUN, STEPS, assert_same, prepare, resume, start, uninterrupted_run
from run_processes import Moment, run, started

import runner
from builder.runs.checkpoints import CRASH_POINTS
from builder.runs.lock import LOCK_FILE, RunLock
from builder.training.session import Session


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the spec in it."""
    monkeypatch.delenv("MNIST_DIR", raising=False)
    return prepare(tmp_path)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing stopped."""
    return uninterrupted_run(tmp_path_factory.mktemp("uninterrupted"))


def snapshot(run: Path) -> dict[str, bytes]:
    """Every file of the run, but for the lock: that of a killed process lies there until the next one ends."""
    files = (path for path in run.rglob("*") if path.is_file() and path.name != LOCK_FILE)
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


@pytest.mark.parametrize("step", [7, 19, 36])  # in the first, a middle and the last epoch
def test_a_run_killed_at_a_step_is_resumed_to_the_same_bits(folder: Path, uninterrupted: Path, step: int) -> None:
    assert start(folder, *EACH_STEP, die_at=("step", step)) == -signal.SIGKILL
    assert resume(folder) == 0
    assert_same(folder / RUN, uninterrupted)


def test_a_run_killed_before_its_first_checkpoint_begins_anew(folder: Path, uninterrupted: Path) -> None:
    assert start(folder, die_at=("step", 5)) == -signal.SIGKILL
    assert not (folder / RUN / "checkpoints").exists()
    assert resume(folder) == 0
    assert_same(folder / RUN, uninterrupted)


@pytest.mark.parametrize("call", ["evaluate", "log", "save_summary"])
def test_a_run_killed_outside_of_training_is_resumed_to_the_same_bits(
    folder: Path, uninterrupted: Path, call: str
) -> None:
    assert start(folder, *EACH_STEP, die_at=("call", call)) == -signal.SIGKILL
    assert resume(folder) == 0
    assert_same(folder / RUN, uninterrupted)


# A share of CRASH_POINTS; test_checkpoints goes through all of them without a run, full_resuming with one.
POINTS = ["data half written", "data renamed", "manifest synced", "manifest renamed", "removed"]


@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_while_it_saves_is_resumed_to_the_same_bits(folder: Path, uninterrupted: Path, point: str) -> None:
    assert point in CRASH_POINTS
    # The third save of the first epoch: then there are older checkpoints to remove.
    assert start(folder, *EACH_STEP, die_at=("point", f"{point}#3")) == -signal.SIGKILL
    assert resume(folder) == 0
    assert_same(folder / RUN, uninterrupted)


def test_a_run_killed_again_and_again_is_resumed_to_the_same_bits(folder: Path, uninterrupted: Path) -> None:
    random = Random(1)  # noqa: S311  # nothing secret
    steps = sorted(random.sample(range(1, STEPS), 4))
    assert start(folder, *EACH_STEP, die_at=("step", steps[0])) == -signal.SIGKILL
    for step in steps[1:]:
        assert resume(folder, *EACH_STEP, die_at=("step", step)) == -signal.SIGKILL
    assert resume(folder) == 0
    assert_same(folder / RUN, uninterrupted)


PARTS = ["model", "optimizer", "schedule", "sampler", "average", "augment", "counts", "random"]


@pytest.mark.parametrize("part", PARTS)
def test_without_any_part_of_the_state_the_bits_differ(
    folder: Path, uninterrupted: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the tests above: each of them would see that a part is missing."""
    assert start(folder, *EACH_STEP, die_at=("step", 19)) == -signal.SIGKILL
    load = Session.load_state_dict

    def without(session: Session, state: dict[str, object]) -> None:
        load(session, state | {part: session.state_dict()[part]})

    monkeypatch.setattr(Session, "load_state_dict", without)
    monkeypatch.chdir(folder)
    if runner.main(["--resume", RUN, *QUIET]) == 0:
        with pytest.raises(AssertionError):
            assert_same(folder / RUN, uninterrupted)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    "moment", [("step", 1), ("step", 20), ("call", "evaluate"), ("point", "data written#1"), ("call", "save_weights")]
)
def test_a_signal_saves_and_ends_the_run(
    folder: Path, uninterrupted: Path, moment: Moment, number: signal.Signals, status: int
) -> None:
    with started(["stateful.yaml", *QUIET], folder, stop_at=moment) as process:
        process.wait_for_moment()
        process.send(number)
        began = time.monotonic()
        process.go_on()
        ended = process.end()
    assert ended.status == status, ended.text
    assert time.monotonic() - began < 10
    assert list((folder / RUN / "checkpoints").glob("step-*.json"))
    if moment != ("call", "save_weights"):
        assert f"go on with: python runner.py --resume {RUN}" in ended.text
    assert resume(folder) == 0
    assert_same(folder / RUN, uninterrupted)


def test_a_signal_before_there_is_a_run_leaves_none(folder: Path) -> None:
    with started(["stateful.yaml", *QUIET], folder, stop_at=("call", "build_model")) as process:
        process.wait_for_moment()
        process.send(signal.SIGINT)
        assert process.end().status == 130
    assert not (folder / "runs").exists()


def test_a_second_signal_ends_a_save_at_once_and_loses_nothing(folder: Path, uninterrupted: Path) -> None:
    with started(["stateful.yaml", *QUIET], folder, stop_at=("point", "data half written#2")) as process:
        process.wait_for_moment()
        process.send(signal.SIGTERM)
        time.sleep(0.1)
        process.send(signal.SIGTERM)
        assert process.end().status == 143
    assert not list((folder / RUN / "checkpoints").glob("*.tmp"))
    assert resume(folder) == 0
    assert_same(folder / RUN, uninterrupted)


def test_a_closed_terminal_ends_nothing(folder: Path, uninterrupted: Path) -> None:
    with started(["stateful.yaml", *QUIET], folder, stop_at=("step", 3)) as process:
        process.wait_for_moment()
        process.send(signal.SIGHUP)
        process.go_on()
        assert process.end().status == 0
    assert_same(folder / RUN, uninterrupted)


def test_resuming_a_finished_run_says_so_and_changes_nothing(folder: Path) -> None:
    assert start(folder) == 0
    before = snapshot(folder / RUN)
    ended = run(["--resume", RUN], folder)
    assert (ended.status, ended.text) == (
        0,
        f"yamlnet: {RUN} is finished; for more epochs than its 3, add training.epochs=N\n",
    )
    assert snapshot(folder / RUN) == before


def test_a_finished_run_is_extended_to_what_a_longer_run_gives(folder: Path) -> None:
    without_schedule = "training.scheduler=null"
    assert start(folder, without_schedule, "training.epochs=1") == 0
    assert resume(folder, "training.epochs=2") == 0
    assert start(folder, without_schedule, "training.epochs=2") == 0
    assert_same(folder / RUN, folder / "runs/stateful/2")
    resolved = [(folder / f"runs/stateful/{number}/resolved.yaml").read_bytes() for number in (1, 2)]
    assert resolved[0] == resolved[1]


def refusal(folder: Path, *words: str) -> str:
    """What a resume says that is refused; nothing is touched."""
    before = snapshot(folder / RUN)
    ended = run(list(words), folder)
    assert ended.status == 5, ended.text
    assert snapshot(folder / RUN) == before
    return ended.text


def test_more_epochs_are_refused_where_the_schedule_spans_the_run(folder: Path) -> None:
    assert start(folder, die_at=("step", 14)) == -signal.SIGKILL
    assert refusal(folder, "--resume", RUN, "training.epochs=4") == (
        "yamlnet: `one_cycle` spans the run: with 4 epochs instead of 3 all of its learning rates would have been "
        "others; train anew, or choose one that doesn't span it, such as `step`\n"
    )


def test_fewer_epochs_are_refused(folder: Path) -> None:
    assert start(folder, die_at=("step", 14)) == -signal.SIGKILL
    assert refusal(folder, "--resume", RUN, "training.epochs=2") == (
        "yamlnet: the run has 3 epochs, and fewer (2) are asked for; what may change is `training.epochs` (upwards), "
        "`training.device`, `budget` and `lint`\n"
    )


def test_another_network_or_recipe_is_refused_with_the_difference(folder: Path) -> None:
    assert start(folder, die_at=("step", 14)) == -signal.SIGKILL
    said = refusal(folder, "stateful.yaml", "--resume", RUN, "training.seed=4", "layers[0].conv2d.out_channels=5")
    assert said.startswith(
        "yamlnet: this is not the spec of that run (-: of the run, +: asked for); what may change is "
        "`training.epochs` (upwards), `training.device`, `budget` and `lint`\n"
    )
    changed = [line.strip() for line in said.splitlines()[1:]]
    assert [line[0] for line in changed] == ["-", "+", "-", "+"]
    assert "out_channels: 4" in changed[0]
    assert "out_channels: 5" in changed[1]
    assert changed[2:] == ["-  seed: 3", "+  seed: 4"]


def test_a_budget_and_a_lint_may_change(folder: Path, uninterrupted: Path) -> None:
    assert start(folder, die_at=("step", 14)) == -signal.SIGKILL
    assert resume(folder, "budget={params: 100000}", "lint={allow: {gap: for now}}") in (0, 1)
    ended = run(["stateful.yaml", "--resume", "latest", *QUIET, "budget={params: 100000}"], folder)
    assert ended.status == 0, ended.text
    assert_same(folder / RUN, uninterrupted)


def test_other_threads_warn_and_strict_refuses(folder: Path) -> None:
    assert start(folder, die_at=("step", 14)) == -signal.SIGKILL
    change_environment(folder / RUN, threads="7")
    said = refusal(folder, "--resume", RUN, "--strict", *QUIET)
    assert said == (
        "yamlnet: the result will not be equal to the last bit to that of a run without a stop: threads 7 -> 1; "
        "--strict refuses that\n"
    )
    ended = run(["--resume", RUN, *QUIET], folder)
    assert ended.status == 0
    assert "threads 7 -> 1" in ended.text


def change_environment(run: Path, **values: str) -> None:
    """Let the newest checkpoint look as if it came from elsewhere."""
    from builder.runs.checkpoints import Checkpoints

    checkpoints = Checkpoints(run / "checkpoints")
    found = checkpoints.latest()
    assert found is not None
    state = dict(found.state)
    checkpoints.save(found.step, state | {"environment": state["environment"] | values})


def test_a_checkpoint_can_be_gone_back_to(folder: Path, uninterrupted: Path) -> None:
    assert start(folder, die_at=("step", 30)) == -signal.SIGKILL
    checkpoints = sorted((folder / RUN / "checkpoints").glob("*.pt"))
    assert [path.name for path in checkpoints] == ["step-000000012.pt", "step-000000024.pt"]
    ended = run(["--resume", f"{RUN}/checkpoints/step-000000012.pt", *QUIET], folder)
    assert ended.status == 0, ended.text
    assert_same(folder / RUN, uninterrupted)


def test_a_damaged_checkpoint_is_passed_over_with_a_notice(folder: Path, uninterrupted: Path) -> None:
    assert start(folder, die_at=("step", 30)) == -signal.SIGKILL
    newest = folder / RUN / "checkpoints" / "step-000000024.pt"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 4
    newest.write_bytes(content)
    ended = run(["--resume", RUN, *QUIET], folder)
    assert ended.status == 0, ended.text
    assert "step-000000024.pt" in ended.text
    assert "going on from an older checkpoint" in ended.text
    assert_same(folder / RUN, uninterrupted)


def test_a_run_without_a_good_checkpoint_is_refused(folder: Path) -> None:
    assert start(folder, die_at=("step", 30)) == -signal.SIGKILL
    for path in (folder / RUN / "checkpoints").glob("*.pt"):
        path.write_bytes(b"")
    assert "no checkpoint is good" in refusal(folder, "--resume", RUN, *QUIET)


def test_shortened_metrics_are_refused(folder: Path) -> None:
    assert start(folder, die_at=("step", 30)) == -signal.SIGKILL
    (folder / RUN / "metrics.jsonl").write_text("")
    assert "metrics.jsonl has been shortened: 0 of" in refusal(folder, "--resume", RUN, *QUIET)


def test_a_second_run_in_a_directory_in_use_ends_at_once_and_touches_nothing(folder: Path, uninterrupted: Path) -> None:
    with started(["stateful.yaml", *QUIET], folder, stop_at=("step", 14)) as process:
        process.wait_for_moment()
        before = snapshot(folder / RUN)
        ended = run(["--resume", RUN, *QUIET], folder)
        assert ended.status == 6
        assert f"{RUN} is in use by process {process.pid}" in ended.text
        assert snapshot(folder / RUN) == before
        process.go_on()
        assert process.end().status == 0
    assert_same(folder / RUN, uninterrupted)


def test_a_run_that_another_process_finishes_before_the_lock_is_had_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(folder, *EACH_STEP, die_at=("step", 36)) == -signal.SIGKILL
    take = RunLock.__enter__
    written: dict[Path, int] = {}

    def take_late(lock: RunLock) -> RunLock:
        assert resume(folder) == 0  # in a process of its own
        written.update((path, path.stat().st_mtime_ns) for path in (folder / RUN).rglob("*") if path.is_file())
        return take(lock)

    monkeypatch.setattr(RunLock, "__enter__", take_late)
    monkeypatch.chdir(folder)
    assert runner.main(["--resume", RUN, *QUIET]) == 0
    assert f"{RUN} is finished" in capsys.readouterr().err
    assert folder / RUN / "summary.json" in written
    assert {path: path.stat().st_mtime_ns for path in (folder / RUN).rglob("*") if path.is_file()} == written


def test_eight_starts_on_one_directory_make_one_run(folder: Path, uninterrupted: Path) -> None:
    assert start(folder, die_at=("step", 14)) == -signal.SIGKILL
    with ExitStack() as stack:
        words = ["--resume", RUN, *QUIET]
        runs = [
            stack.enter_context(started(words, folder, stop_at=("step", 13), log=f".output{number}"))
            for number in range(8)
        ]
        (winner,) = (process for process in runs if process.comes_to_moment())
        assert [process.end().status for process in runs if process is not winner] == [6] * 7
        winner.go_on()
        assert winner.end().status == 0
    assert_same(folder / RUN, uninterrupted)


def test_a_run_whose_folder_is_deleted_ends_with_a_sentence(folder: Path) -> None:
    with started(["stateful.yaml", *QUIET], folder, stop_at=("step", 3)) as process:
        process.wait_for_moment()
        os.rename(folder / "runs", folder / "elsewhere")  # noqa: PTH104  # both are paths
        process.go_on()
        ended = process.end()
    assert ended.status == 6
    assert "no such file or directory" in ended.text


def test_resume_names_what_it_looked_for(folder: Path) -> None:
    ended = run(["--resume", "runs/other/1"], folder)
    assert (ended.status, ended.text) == (2, "yamlnet: there is no run runs/other/1\n")
    ended = run(["--resume", "latest"], folder)
    assert (ended.status, ended.text) == (2, "yamlnet: no run lies below runs; choose another folder with --runs\n")


def test_a_dry_run_takes_one_step_and_writes_nothing(folder: Path) -> None:
    ended = run(["stateful.yaml", "--quiet", "--dry-run"], folder)
    assert ended.status == 0, ended.text
    assert "one step with 400 images works: loss 2." in ended.text
    assert sorted(path.name for path in folder.iterdir()) == [".output", "stateful.yaml"]


FOLDERS = """\
name: folders
input: [1, 8, 8]
layers: [flatten, {linear: {out_features: 2}}]
training:
  dataset: {image_folder: {path: pictures, image: [1, 8, 8], classes: [dark, light]}}
  epochs: 1
  batch_size: 2
  loss: cross_entropy
  optimizer: sgd
"""


def test_other_images_than_before_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    for name, grey in (("dark", 20), ("light", 230)):
        for part in ("train", "test"):
            (folder / "pictures" / part / name).mkdir(parents=True)
            for number in range(3):
                picture = Image.new("L", (8, 8), grey + number)
                picture.save(folder / "pictures" / part / name / f"{number}.png")
    (folder / "folders.yaml").write_text(FOLDERS, encoding="utf-8")
    assert runner.main(["folders.yaml", *QUIET]) == 0
    run = folder / "runs" / "folders" / "1"
    before = snapshot(run)
    (folder / "pictures" / "train" / "dark" / "2.png").unlink()
    capsys.readouterr()
    assert runner.main(["--resume", "runs/folders/1", *QUIET, "training.epochs=2"]) == 5
    assert capsys.readouterr().err == (
        "yamlnet: the images are not those that the run has trained on; bring them back, or train anew\n"
    )
    assert snapshot(run) == before


def test_damaged_metrics_are_refused_before_anything_is_trained(folder: Path) -> None:
    assert start(folder, die_at=("step", 30)) == -signal.SIGKILL
    metrics = folder / RUN / "metrics.jsonl"
    metrics.write_bytes(b"?" * metrics.stat().st_size)
    assert "metrics.jsonl is damaged: a line of it is no JSON" in refusal(folder, "--resume", RUN, *QUIET)
