"""Downloading a data set: from mirrors on 127.0.0.1 that do everything wrong that mirrors do."""

import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import torch
from tiny_dataset import CONTENT, GZIPPED, Tiny, TinySource, write_files

from builder.exits import DataError, Status
from builder.recipe.datasets import FashionMnist, Mnist, MnistSample
from builder.training import download as download_module
from builder.training.data import Data, load_data
from builder.training.download import download
from builder.training.idx import FILE_NAMES

GOAL = Path("data/Tiny/raw")
FIRST = f"{FILE_NAMES[0]}.gz"
DOWNLOADING = "yamlnet: downloading tiny to data/Tiny/raw\n"


@dataclass
class Mirrors:
    """A server whose folders are mirrors, each with its own behaviour."""

    url: str
    released: Event = field(default_factory=Event)  # lets the slow ones go on
    asked: list[str] = field(default_factory=list)

    def use(self, *behaviours: str) -> list[str]:
        """Make these the mirrors of `Tiny`; their addresses."""
        TinySource.mirrors = [f"{self.url}/{behaviour}/" for behaviour in behaviours]
        return TinySource.mirrors

    def answer(self, path: str) -> tuple[int, bytes, int]:
        """Status, body, and the length that is announced."""
        self.asked.append(path)
        _, behaviour, name = path.split("/")
        if behaviour == "slow":
            self.released.wait(20)
        body = {"page": b"<!DOCTYPE html>", "changed": GZIPPED[name] + b"!"}.get(behaviour, GZIPPED[name])
        if behaviour == "missing" or (behaviour == "one_missing" and name == f"{FILE_NAMES[2]}.gz"):
            return 404, b"", 0
        if behaviour == "cut":
            return 200, body[:20], len(body)
        return 200, body, len(body)


@pytest.fixture
def mirrors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrors]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, length = served.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that went away are part of the tests
    served = Mirrors(f"http://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setattr(TinySource, "mirrors", [])
    yield served
    served.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNIST_DIR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def load(dataset: Tiny | Mnist | None = None, *, quiet: bool = False) -> Data:
    return load_data(dataset or Tiny(), data_dir=None, offline=False, device=torch.device("cpu"), quiet=quiet)


def refusal(dataset: Tiny | None = None) -> str:
    with pytest.raises(DataError) as caught:
        load(dataset)
    assert caught.value.status == Status.DATA
    return str(caught.value)


def names(folder: str | Path) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def everything() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*"))


# --- Success


def test_download_leaves_the_four_files_and_nothing_else(mirrors: Mirrors) -> None:
    mirrors.use("good")
    assert len(load().train) == 20
    assert {path.name: path.read_bytes() for path in GOAL.iterdir()} == CONTENT
    assert everything() == ["data", "data/Tiny", "data/Tiny/raw", *sorted(f"data/Tiny/raw/{n}" for n in FILE_NAMES)]


def test_second_run_asks_no_mirror(mirrors: Mirrors) -> None:
    mirrors.use("good")
    load()
    mirrors.use()
    assert len(load().train) == 20


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has these permissions")
def test_downloaded_folder_is_as_readable_as_any_other(mirrors: Mirrors) -> None:
    mirrors.use("good")
    load()
    Path("other").mkdir()
    assert GOAL.stat().st_mode == Path("other").stat().st_mode


def test_data_dir_and_then_mnist_dir_take_the_download(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    mirrors.use("good")
    monkeypatch.setenv("MNIST_DIR", "second/place")
    load()
    assert names("") == ["second"]
    assert names("second/place/Tiny/raw") == sorted(FILE_NAMES)
    monkeypatch.setenv("MNIST_DIR", "empty")
    load_data(Tiny(), data_dir=Path("first"), offline=False, device=torch.device("cpu"))
    assert names("") == ["first", "second"]


@pytest.mark.parametrize("bad", ["missing", "page", "changed", "cut"])
def test_next_mirror_is_asked_when_one_fails(mirrors: Mirrors, bad: str) -> None:
    mirrors.use(bad, "good")
    assert len(load().train) == 20
    assert {path.name: path.read_bytes() for path in GOAL.iterdir()} == CONTENT


def test_mirror_that_fails_is_not_asked_again_for_the_other_files(mirrors: Mirrors) -> None:
    mirrors.use("one_missing", "good")
    load()
    asked = [tuple(path.split("/")[1:]) for path in dict.fromkeys(mirrors.asked)]
    one, two, three, four = (f"{name}.gz" for name in FILE_NAMES)
    assert asked == [("one_missing", it) for it in (one, two, three)] + [("good", it) for it in (three, four)]


def test_slow_mirror_is_left_after_the_timeout(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "CONNECT_SECONDS", 0.2)
    mirrors.use("slow", "good")
    assert len(load().train) == 20


def test_timeout_is_ten_seconds_and_only_for_the_download(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("torchvision.datasets.utils.download_url", spy(lambda: seen.append(socket.getdefaulttimeout())))
    mirrors.use("good")
    load()
    assert seen == [10.0] * 4
    assert socket.getdefaulttimeout() is None


def spy(before: Callable[[], object]) -> Callable[..., None]:
    """torchvision's download, with something done before it."""
    from torchvision.datasets.utils import download_url

    def call(*args: Any, **kwargs: Any) -> None:
        before()
        download_url(*args, **kwargs)

    return call


def test_no_bar_is_drawn_without_a_terminal(mirrors: Mirrors, capsys: pytest.CaptureFixture[str]) -> None:
    mirrors.use("good")
    load()
    assert capsys.readouterr() == ("", DOWNLOADING)


def test_bars_are_drawn_on_a_terminal_unless_quiet(
    mirrors: Mirrors, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    mirrors.use("good")
    download(Tiny(), GOAL, quiet=True)
    assert capsys.readouterr().err == ""
    download(Tiny(), GOAL)
    assert "100%" in capsys.readouterr().err


# --- Failure


def test_every_mirror_and_its_fault_is_named(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "CONNECT_SECONDS", 0.2)
    missing, page, slow = mirrors.use("missing", "page", "slow")
    assert refusal() == (
        "no file of tiny lies under data, and no mirror has them "
        f"({missing}{FIRST}: status 404; {page}{FIRST}: what came is another file, by its MD5; "
        f"{slow}{FIRST}: timed out); "
        f"put {', '.join(FILE_NAMES[:3])} and {FILE_NAMES[3]}, plain or as .gz, into data/Tiny/raw"
    )
    assert everything() == []


def test_dead_server_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:  # bound, and nobody listens
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        monkeypatch.setattr(TinySource, "mirrors", [url])
        reason = f"no mirror has them ({url}{FIRST}: [Errno {errno.ECONNREFUSED}] Connection refused)"
        assert refusal().startswith(f"no file of tiny lies under data, and {reason}; put ")


def test_fallback_is_used_when_every_mirror_fails(mirrors: Mirrors) -> None:
    (changed,) = mirrors.use("changed")
    found = load(Tiny(fallback="mnist_sample", mean=(0.5,)))
    assert found.dataset == MnistSample(mean=(0.5,), std=(0.3081,))
    reason = f"no mirror has them ({changed}{FIRST}: what came is another file, by its MD5)"
    assert found.fallback_reason == f"no file of tiny lies under data, and {reason}"
    assert everything() == []


def test_folder_that_was_there_before_stays(mirrors: Mirrors) -> None:
    Path("data").mkdir()
    mirrors.use("missing")
    load(Tiny(fallback="mnist_sample"))
    assert everything() == ["data"]


def test_files_with_the_right_md5_are_verified_too(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    mirrors.use("good")
    monkeypatch.setattr(Tiny, "num_train", 21)
    monkeypatch.setattr(Tiny, "sha256", {})
    fault = f"{FILE_NAMES[0]} holds 20 images of 3x2, where tiny has 21 images of 3x2"
    assert refusal().startswith(f"no file of tiny lies under data, and what the mirrors have is wrong ({fault}); put ")
    assert everything() == []


@pytest.mark.parametrize(
    "error", [RuntimeError("operator torchvision::nms does not exist"), ImportError("no such file\n")]
)
def test_torchvision_that_fails_to_import_is_a_reason_to_fall_back(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def source(self: Tiny) -> None:
        raise error

    monkeypatch.setattr(Tiny, "source", source)
    reason = f"torchvision, which knows the mirrors, can't be imported ({str(error).strip()})"
    assert load(Tiny(fallback="mnist_sample")).fallback_reason == f"no file of tiny lies under data, and {reason}"


def test_torchvision_that_is_not_installed_is_a_reason_to_fall_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    found = load(Mnist(fallback="mnist_sample"))
    assert "torchvision, which knows the mirrors, can't be imported (" in found.fallback_reason


@pytest.mark.parametrize("folder", ["data", "data/Tiny"])
def test_file_where_a_folder_must_be_is_an_error_and_no_reason_to_fall_back(mirrors: Mirrors, folder: str) -> None:
    mirrors.use("good")
    Path(folder).parent.mkdir(exist_ok=True)
    Path(folder).write_text("")
    said = refusal(Tiny(fallback="mnist_sample"))
    reason = "Not a directory" if folder == "data" else "File exists"
    assert said == f"data/Tiny/raw can't be written ({reason}); --data-dir names another folder for the download"
    assert mirrors.asked == []


def test_full_disk_is_an_error_and_no_fault_of_a_mirror(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", spy(full))
    mirrors.use("good")
    said = refusal(Tiny(fallback="mnist_sample"))
    assert said.startswith("data/Tiny/raw can't be written (No space left on device); ")
    assert everything() == []


# --- Interruption, and two runs at once


def test_interrupted_download_leaves_nothing(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        if len(mirrors.asked) >= 4:  # in the middle: some files have come
            raise KeyboardInterrupt

    monkeypatch.setattr("torchvision.datasets.utils.download_url", spy(interrupt))
    mirrors.use("good")
    with pytest.raises(KeyboardInterrupt):
        load()
    assert everything() == []
    assert socket.getdefaulttimeout() is None


def test_remains_of_a_killed_download_are_no_place_of_files(mirrors: Mirrors) -> None:
    write_files(Path("data/Tiny/.download-killed"), {FIRST: b"half"})
    mirrors.use("good")
    assert len(load().train) == 20


def test_folder_with_other_things_in_it_keeps_them(mirrors: Mirrors) -> None:
    write_files(GOAL, {"notes.txt": b"mine"})
    mirrors.use("good")
    assert len(load().train) == 20
    assert names(GOAL) == sorted([*FILE_NAMES, "notes.txt"])


def test_run_that_downloads_while_another_does_no_harm(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_run() -> None:
        if len(mirrors.asked) == 4:  # the first run has two files by now; torchvision asks twice for each
            mirrors.asked.append("the other run")
            download(Tiny(), GOAL)

    mirrors.use("good")
    monkeypatch.setattr("torchvision.datasets.utils.download_url", spy(other_run))
    download(Tiny(), GOAL)
    assert len(mirrors.asked) == 17
    assert len(load().train) == 20
    assert names("data/Tiny") == ["raw"]


# --- What torchvision must go on offering


@pytest.mark.parametrize("dataset", [Mnist(), FashionMnist()])
def test_torchvision_knows_mirrors_and_the_four_files(dataset: Mnist | FashionMnist) -> None:
    source = dataset.source()
    assert source.mirrors
    assert sorted(name for name, _ in source.resources) == sorted(f"{name}.gz" for name in FILE_NAMES)
    assert source.__name__ == dataset.folder
