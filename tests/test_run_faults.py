"""What can go wrong around a run: a sentence and a status for each, and nothing that was saved is lost."""

import errno
import json
import os
import signal
import subprocess
import sys
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import run_in_terminal
from resumed_runs import EACH_STEP, QUIET, RUN, assert_same, prepare, uninterrupted_run
from run_processes import run

import runner
from builder.runs.storage import Files
from builder.training.session import Best, Session

ROOT = Path(__file__).parent.parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the spec in it."""
    monkeypatch.delenv("MNIST_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    return prepare(tmp_path)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing stopped."""
    return uninterrupted_run(tmp_path_factory.mktemp("uninterrupted"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("nth", [0, 7, 40])
def test_a_disk_that_fails_ends_the_run_with_6_and_it_can_be_gone_on_with(
    folder: Path,
    uninterrupted: Path,
    nth: int,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = iter(range(10_000))
    sound = Files.write

    def failing(self: Files, file: FileIO, content: memoryview) -> None:
        if next(calls) >= nth:
            raise OSError(number, os.strerror(number))
        sound(self, file, content)

    with monkeypatch.context() as patch:
        patch.setattr(Files, "write", failing)
        assert runner.main(["stateful.yaml", *QUIET]) == 6
    said = capsys.readouterr().err
    assert "yamlnet: can't write to runs/stateful/1/" in said
    assert os.strerror(number).lower() in said
    if nth == 0:  # not even the spec could be kept
        return
    assert runner.main(["--resume", RUN, *QUIET]) == 0
    assert_same(folder / RUN, uninterrupted)


def test_weights_that_are_not_finite_are_never_saved(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The loss stays finite here: the norm makes small numbers of large ones."""
    words = ["training.scheduler=null", "training.clip_grad_norm=null", "training.optimizer={sgd: {lr: 1e30}}"]
    assert runner.main(["stateful.yaml", *QUIET, *EACH_STEP, *words]) == 4
    assert capsys.readouterr().err == (
        "yamlnet: training stopped at step 2: batch_norm2d_1.running_var holds numbers that are not finite; "
        f"try a lower lr; the last good checkpoint is {RUN}/checkpoints/step-000000001.pt\n"
    )
    assert [path.name for path in folder.rglob("*.pt")] == ["step-000000001.pt"]


def test_a_loss_that_is_not_a_number_is_never_the_best() -> None:
    best = Best()
    for step, loss in enumerate([float("nan"), 0.5, float("nan"), 0.6], start=1):
        best.see(loss, step)
    assert (best.loss, best.step, best.epochs_since) == (0.5, 2, 2)


def test_a_reader_that_leaves_ends_no_training(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stdout:
        ended = subprocess.run(
            [sys.executable, str(ROOT / "runner.py"), "stateful.yaml", "training.epochs=1"],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert json.loads((folder / RUN / "summary.json").read_text(encoding="utf-8"))["epochs"] == 1


def test_forty_columns_are_enough(folder: Path) -> None:
    text = run_in_terminal(
        [sys.executable, str(ROOT / "runner.py"), str(folder / "stateful.yaml"), "--runs", str(folder / "runs")],
        width=40,
    )
    assert "Traceback" not in text
    assert "test accuracy" in text
    assert (folder / RUN / "summary.json").exists()


def test_early_stopping_looks_at_the_validation_images_and_ends_the_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nothing is learned: no epoch is better than the first.
    words = ["training.epochs=9", "training.early_stopping={patience: 2}", "training.scheduler=null"]
    assert runner.main(["stateful.yaml", *QUIET, *words, "training.optimizer={sgd: {lr: 0}}"]) == 0
    lines = [json.loads(line) for line in (folder / RUN / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    summary = json.loads((folder / RUN / "summary.json").read_text(encoding="utf-8"))
    assert (summary["epochs"], summary["stopped_early"]) == (3, True)
    capsys.readouterr()
    assert runner.main(["--resume", RUN]) == 0
    assert capsys.readouterr().err == f"yamlnet: {RUN} is finished: it was stopped early, after epoch 3\n"


def test_a_resumed_run_stops_as_early_as_one_that_nothing_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["training.epochs=9", "training.early_stopping={patience: 3}", "training.scheduler=null"]
    words += ["training.optimizer={sgd: {lr: 0}}"]
    assert run(["stateful.yaml", *QUIET, *words], folder, die_at=("step", 30)).status == -signal.SIGKILL
    assert runner.main(["--resume", RUN, *QUIET]) == 0
    assert json.loads((folder / RUN / "summary.json").read_text(encoding="utf-8"))["epochs"] == 4
    # The control: without what the checkpoint knows of the best, it would go on longer.
    assert run(["stateful.yaml", *QUIET, *words], folder, die_at=("step", 30)).status == -signal.SIGKILL
    load = Session.load_state_dict
    without = {"best": {"loss": None, "step": None, "epochs_since": 0}}
    monkeypatch.setattr(Session, "load_state_dict", lambda session, state: load(session, state | without))
    assert runner.main(["--resume", "runs/stateful/2", *QUIET]) == 0
    assert json.loads((folder / "runs/stateful/2/summary.json").read_text(encoding="utf-8"))["epochs"] == 6


def test_the_best_checkpoint_is_kept(folder: Path) -> None:
    assert runner.main(["stateful.yaml", *QUIET, "training.epochs=4", "training.averaging=null"]) == 0
    lines = [json.loads(line) for line in (folder / RUN / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    best = min(lines, key=lambda line: line["validation_loss"])["step"]
    kept = {int(path.stem.removeprefix("step-")) for path in (folder / RUN / "checkpoints").glob("*.pt")}
    assert {best, lines[-2]["step"], lines[-1]["step"]} <= kept
    assert len(kept) <= 4  # and what was the best when the last but one was written


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:40],
)
def test_out_of_memory_is_a_sentence(
    error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from builder.training import loop

    def full(*arguments: object) -> float:
        raise error

    monkeypatch.setattr(loop, "train_step", full)
    for options in (QUIET, [*QUIET, "--dry-run"]):
        assert runner.main(["stateful.yaml", *options]) == 4
        assert capsys.readouterr().err == (
            "yamlnet: training stopped: out of memory with batch_size 200; write a smaller one\n"
        )


def test_memory_that_really_runs_out_is_a_sentence(folder: Path) -> None:
    """Torch's own words for it are no class of their own on a CPU."""
    words = ["layers[0].conv2d.out_channels=900000", "training.batch_size=1000000"]
    limited = 'ulimit -v 9000000; exec "$@"'
    ended = subprocess.run(
        ["bash", "-c", limited, "bash", sys.executable, str(ROOT / "runner.py"), "stateful.yaml", "--dry-run", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 4, ended.stderr
    assert "yamlnet: training stopped: out of memory with" in ended.stderr


def test_an_operation_that_is_never_deterministic_is_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from builder.training import loop

    def refuse(*arguments: object) -> float:
        raise RuntimeError("adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, but ...")

    monkeypatch.setattr(loop, "train_step", refuse)
    assert runner.main(["stateful.yaml", *QUIET]) == 4
    assert capsys.readouterr().err == (
        "yamlnet: training stopped: torch has no deterministic adaptive_avg_pool2d_backward_cuda on this device; "
        "write `deterministic: false`, or train on a CPU\n"
    )


def test_threads_and_deterministic_are_obeyed_and_left_again(folder: Path) -> None:
    before = torch.get_num_threads()
    words = ["training.epochs=1", "training.threads=2", "training.deterministic=true"]
    assert runner.main(["stateful.yaml", *QUIET, *words]) == 0
    assert json.loads((folder / RUN / "summary.json").read_text(encoding="utf-8"))["threads"] == 2
    assert torch.are_deterministic_algorithms_enabled()
    assert runner.main(["stateful.yaml", *QUIET, "--dry-run"]) == 0
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (before, False)


def test_metrics_that_are_removed_during_a_run_end_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from builder.training import loop

    sound, steps = loop.train_step, iter(range(1, 100))

    def removing(*arguments: Any) -> float:
        if next(steps) == 20:
            (folder / RUN / "metrics.jsonl").unlink()
        return sound(*arguments)

    monkeypatch.setattr(loop, "train_step", removing)
    assert runner.main(["stateful.yaml", *QUIET]) == 6
    assert capsys.readouterr().err.startswith(
        f"yamlnet: {RUN}/metrics.jsonl was removed or shortened while the run went on; the last good checkpoint is"
    )


def test_a_test_loss_that_is_not_finite_ends_the_run_and_no_file_holds_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "one.yaml").write_text(ONE_STEP, encoding="utf-8")
    assert runner.main(["one.yaml", *QUIET]) == 4
    assert capsys.readouterr().err.startswith("yamlnet: training stopped after epoch 1: the test loss is ")
    assert not (folder / "runs" / "one" / "1" / "metrics.jsonl").exists()


ONE_STEP = """\
name: one
input: [1, 28, 28]
layers: [flatten, {linear: {out_features: 50}}, relu, {linear: {out_features: 10}}]
training:
  dataset: mnist_sample
  epochs: 1
  batch_size: 5000
  loss: cross_entropy
  optimizer: {sgd: {lr: 1e30}}
"""


def test_an_average_that_never_began_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["training.epochs=9", "training.early_stopping={patience: 1}", "training.averaging={swa: {start: 9}}"]
    words += ["training.scheduler=null", "training.optimizer={sgd: {lr: 0}}"]
    assert runner.main(["stateful.yaml", *QUIET, *words]) == 0
    said = capsys.readouterr().err
    assert "yamlnet: the run ended before its averaging began: these are the weights of its last step\n" in said
