"""The lock of a run: one process at a time, and nobody is kept out by one that is gone."""

import errno
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest
from commands import environment
from faulty_files import exit_status
from lock_rounds import Contender, holding, play

from builder.exits import OutputError, Status
from builder.runs import lock
from builder.runs.lock import LOCK_FILE, RunLock


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Contender]:
    """Another process that holds the folder's lock."""
    with holding(tmp_path) as contender:
        yield contender


def refusal(folder: Path) -> str:
    with pytest.raises(OutputError) as caught, RunLock(folder):
        pass
    assert caught.value.status == Status.OUTPUT
    return str(caught.value)


def test_a_second_run_is_told_who_runs_where_since_when(tmp_path: Path, holder: Contender) -> None:
    before = (tmp_path / LOCK_FILE).stat()
    pattern = (
        rf"{re.escape(str(tmp_path))} is in use by process {holder.pid} on \S+ "
        r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d; wait for its end or start another run"
    )
    assert re.fullmatch(pattern, refusal(tmp_path))
    after = (tmp_path / LOCK_FILE).stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_size) == (before.st_ino, before.st_mtime_ns, before.st_size)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_second_lock_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        assert f"in use by process {os.getpid()} on" in refusal(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_lock_is_free_after_its_block_however_that_ends(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), RunLock(tmp_path):
            raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    with holding(tmp_path) as holder:
        holder.kill()
    assert (tmp_path / LOCK_FILE).exists()
    (tmp_path / LOCK_FILE).write_text("longer than what comes after it" * 100)
    with RunLock(tmp_path):
        assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getpid()


def test_a_worker_of_a_killed_run_does_not_keep_the_lock(tmp_path: Path) -> None:
    script = """
import os, sys, time
from multiprocessing import get_context
from pathlib import Path
from builder.runs.lock import RunLock

with RunLock(Path(sys.argv[1])):
    forked = get_context("fork").Process(target=time.sleep, args=(60,))
    forked.start()
    spawned = __import__("subprocess").Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(forked.pid, spawned.pid, flush=True)
    time.sleep(60)
"""
    run = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, env=environment(), text=True
    )
    assert run.stdout is not None
    workers = [int(pid) for pid in run.stdout.readline().split()]
    assert len(workers) == 2
    run.kill()
    run.wait()
    run.stdout.close()
    try:
        with RunLock(tmp_path):
            for worker in workers:
                os.kill(worker, 0)  # still there
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGKILL)


def test_a_fork_neither_frees_nor_removes_its_parents_lock(tmp_path: Path) -> None:
    with RunLock(tmp_path) as held:

        def leave() -> None:
            held.__exit__(None, None, None)

        assert exit_status(leave) == 0
        assert (tmp_path / LOCK_FILE).exists()
        assert "in use" in refusal(tmp_path)


def test_eight_at_once_are_one_that_runs(tmp_path: Path) -> None:
    for _ in range(2):
        play(tmp_path, 8)


def test_without_the_lock_more_than_one_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda descriptor, operation: None)
    with pytest.raises(AssertionError, match="runs"):
        play(tmp_path, 8)


def test_a_folder_that_was_made_anew_has_a_lock_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with RunLock(folder):
        rmtree(folder)
        folder.mkdir()
        with RunLock(folder):
            assert "in use" in refusal(folder)
        assert not (folder / LOCK_FILE).exists()
        (folder / LOCK_FILE).write_text("of somebody else")
    assert (folder / LOCK_FILE).read_text() == "of somebody else"


def test_a_lock_whose_file_is_gone_by_then_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = fcntl.flock, []

    def flock(descriptor: int, operation: int) -> None:
        real(descriptor, operation)
        calls.append(descriptor)
        if len(calls) < 3:  # the one that held it has just ended, and removed the file
            (tmp_path / LOCK_FILE).unlink()

    monkeypatch.setattr(fcntl, "flock", flock)
    with RunLock(tmp_path):
        assert len(calls) == 3
        assert (tmp_path / LOCK_FILE).exists()


def test_a_file_that_never_stays_ends_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda descriptor, operation: (tmp_path / LOCK_FILE).unlink())
    assert ".lock is another file at each look" in refusal(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"pid": "x", "host": 1}', '{"pid": 999999999, "host": "HOST"}'])
def test_a_holder_that_has_not_written_its_name_is_another_process(
    tmp_path: Path, holder: Contender, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_SECONDS_BETWEEN", 0)
    entry = content.replace("HOST", json.loads((tmp_path / LOCK_FILE).read_text())["host"])
    (tmp_path / LOCK_FILE).write_text(entry.replace("}", ', "started": "then"}'))
    assert refusal(tmp_path) == f"{tmp_path} is in use by another process; wait for its end or start another run"


def test_a_holder_on_another_machine_is_named_and_shown_without_control_characters(
    tmp_path: Path, holder: Contender
) -> None:
    (tmp_path / LOCK_FILE).write_text(json.dumps({"pid": 999999999, "host": "\x1b[31mother", "started": "then"}))
    assert "process 999999999 on \\x1b[31mother since then;" in refusal(tmp_path)


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_a_folder_that_is_none_is_a_sentence(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("")
    assert refusal(tmp_path / folder).startswith(f"can't write to {tmp_path / folder}: no")


def test_a_full_disk_frees_the_lock_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, content: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        assert "no space left on device" in refusal(tmp_path)
    with RunLock(tmp_path):
        pass


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_lets_runs_work(
    tmp_path: Path, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with RunLock(tmp_path), RunLock(tmp_path):
        pass


def test_windows_works_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "fcntl", None)
    with RunLock(tmp_path), RunLock(tmp_path):
        assert not list(tmp_path.iterdir())
