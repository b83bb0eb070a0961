"""How files are written: all or nothing, and a sentence when nothing."""

import errno
import os
import stat
import subprocess
import sys
from io import FileIO
from pathlib import Path

import pytest
from commands import ROOT
from faulty_files import BROKEN, DIED, FORBIDDEN, FULL, Acting, Failing, Lying, Recording, dying_at, exit_status

from builder.exits import OutputError, Status
from builder.runs.storage import WRITE_POINTS, Files, is_other_process, make_folder, sweep, unwritable, write

OPERATIONS = ["create", "write", "write", "sync", "read", "rename", "sync_folder"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that says `old`."""
    path = tmp_path / "summary.json"
    path.write_bytes(b"old")
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_there_and_nothing_else(file: Path) -> None:
    for content in (b"new", b"", bytes(1_000_001)):
        write(file, content)
        assert file.read_bytes() == content
        assert names(file.parent) == ["summary.json"]


def test_writing_is_made_of_these_operations_and_points_in_this_order(file: Path) -> None:
    recording = Recording()
    write(file, b"new", recording)
    assert recording.operations == OPERATIONS
    assert recording.points == [f"summary.json {point}" for point in WRITE_POINTS]


@pytest.mark.parametrize("number", range(len(WRITE_POINTS)), ids=WRITE_POINTS)
def test_a_kill_leaves_the_old_file_or_the_new_one(file: Path, number: int) -> None:
    assert exit_status(lambda: write(file, b"new", dying_at(number))) == DIED
    renamed = WRITE_POINTS.index("renamed")
    assert file.read_bytes() == (b"new" if number >= renamed else b"old")
    assert len(names(file.parent)) == (1 if number >= renamed else 2)
    sweep(file.parent)
    assert names(file.parent) == ["summary.json"]


@pytest.mark.parametrize("number", range(len(WRITE_POINTS)), ids=WRITE_POINTS)
def test_a_signal_leaves_the_old_file_or_the_new_one_and_no_temporary(file: Path, number: int) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(file, b"new", Acting(number, interrupt))
    assert file.read_bytes() in (b"old", b"new")
    assert names(file.parent) == ["summary.json"]


@pytest.mark.parametrize("error", [FULL, BROKEN, FORBIDDEN])
@pytest.mark.parametrize("number", range(len(OPERATIONS)))
def test_an_operation_that_fails_leaves_the_old_file_or_the_new_one(file: Path, number: int, error: int) -> None:
    with pytest.raises(OutputError) as caught:
        write(file, b"new", Failing(number, error))
    assert caught.value.status == Status.OUTPUT
    assert os.strerror(error).lower() in str(caught.value)
    assert file.read_bytes() == (b"new" if OPERATIONS[number] == "sync_folder" else b"old")
    assert names(file.parent) == ["summary.json"]


def test_a_disk_that_turns_a_bit_is_noticed(file: Path) -> None:
    with pytest.raises(OutputError, match="it reads back differently, the disk may be failing"):
        write(file, b"new", Lying())
    assert file.read_bytes() == b"old"


def test_a_system_that_takes_a_few_bytes_at_a_time_gets_all(file: Path) -> None:
    class Slow(FileIO):
        def write(self, content: memoryview) -> int:  # type: ignore[override]
            return super().write(content[:3])

    class InSmallParts(Files):
        def create(self, path: Path) -> FileIO:
            return Slow(path, "wb")

    write(file, b"0123456789" * 10, InSmallParts())
    assert file.read_bytes() == b"0123456789" * 10


def test_the_mode_of_a_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write(tmp_path / "private", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600


def test_a_link_is_replaced_and_what_it_leads_to_is_not(file: Path) -> None:
    (file.parent / "link").symlink_to(file)
    write(file.parent / "link", b"new")
    assert file.read_bytes() == b"old"
    assert not (file.parent / "link").is_symlink()


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_sync_folders_is_good_enough(
    file: Path, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "fsync", refuse)
    write(file, b"new")
    assert file.read_bytes() == b"new"


def test_a_folder_that_fails_to_sync_is_an_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputError):
        write(file, b"new")


def test_what_is_appended_is_synced_and_the_name_of_a_new_file_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode)))
    Files().append(tmp_path / "metrics.jsonl", b"1\n")
    assert synced == [False, True]
    Files().append(tmp_path / "metrics.jsonl", b"2\n")
    assert synced == [False, True, False]
    assert (tmp_path / "metrics.jsonl").read_bytes() == b"1\n2\n"


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            Files().read(path)
    with pytest.raises(IsADirectoryError):
        Files().read(tmp_path)


def test_a_folder_is_made_once_and_synced(tmp_path: Path) -> None:
    recording = Recording()
    make_folder(tmp_path / "checkpoints", recording)
    assert recording.operations == ["make_folder", "sync_folder"]
    make_folder(tmp_path / "checkpoints", recording)
    assert recording.operations == ["make_folder", "sync_folder"]
    with pytest.raises(OutputError):
        make_folder(tmp_path / "gone" / "checkpoints")


def test_sweeping_removes_the_temporaries_of_those_who_are_gone(file: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    others = [".summary.json.tmp", f".summary.json.{os.getppid()}.tmp", ".summary.json.0.tmp", ".notes.12x.tmp"]
    for name in [*others, f".summary.json.{gone.pid}.tmp", f".a\nb.{os.getpid()}.tmp"]:
        (file.parent / name).write_bytes(b"")
    sweep(file.parent)
    assert names(file.parent) == sorted([*others, "summary.json"])


def test_sweeping_what_cannot_be_removed_is_no_error(file: Path) -> None:
    (file.parent / ".a.999999999.tmp").mkdir()
    sweep(file.parent)
    sweep(file.parent / "missing")


def test_a_process_of_somebody_else_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    assert not is_other_process(os.getpid())
    assert is_other_process(os.getppid())
    monkeypatch.setattr(os, "kill", refuse)
    assert is_other_process(999_999_999)


def test_what_is_taken_back_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b"1\n2\n")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    Files().truncate(file, 2)
    assert (file.read_bytes(), synced) == (b"1\n", [2])


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errno.ENOSPC, "no space left on device; free some space or choose another folder with --runs"),
        (errno.EACCES, "permission denied; choose another folder with --runs"),
        (errno.EROFS, "read-only file system; choose another folder with --runs"),
        (errno.ENOENT, "no such file or directory; choose another folder with --runs"),
    ],
)
def test_the_sentence_says_what_where_why_and_what_then(error: int, sentence: str) -> None:
    stop = unwritable(Path("runs/\x1b[31mnet"), OSError(error, os.strerror(error)))
    assert str(stop) == f"can't write to runs/\\x1b[31mnet: {sentence}"
    assert str(unwritable(Path("runs"), OSError("Strange"))).startswith("can't write to runs: strange;")


def test_neither_storage_nor_the_lock_needs_torch() -> None:
    code = "import sys, builder.runs.lock, builder.runs.storage; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
