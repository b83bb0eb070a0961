"""Downloading a data set: from mirrors on 127.0.0.1 that do everything wrong that mirrors do."""

import errno
import io
import os
import socket
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, ClassVar

import pytest
import torch
from tiny_dataset import CONTENT, FILE_NAMES, GZIPPED, MD5, Tiny, write_files

from builder.data import download as download_module
from builder.data.download import download
from builder.data.images import Data, load_data
from builder.exits import DataError, Status, UsageError
from builder.recipe.datasets import Cifar10, Downloadable, Emnist, FashionMnist, Kmnist, Mnist, MnistSample, Remote

GOAL = Path("data/Tiny/raw")
FIRST = f"{FILE_NAMES[0]}.gz"
DOWNLOADING = "yamlnet: downloading tiny to data/Tiny/raw\n"


@dataclass
class Mirrors:
    """A server whose folders are mirrors, each with its own behaviour."""

    url: str
    patch: pytest.MonkeyPatch
    released: Event = field(default_factory=Event)  # lets the slow ones go on
    asked: list[str] = field(default_factory=list)

    def use(self, *behaviours: str) -> list[str]:
        """Make these the mirrors of `Tiny`; their addresses."""
        mirrors = [f"{self.url}/{behaviour}/" for behaviour in behaviours]
        self.patch.setattr(Tiny, "remote", Remote(tuple(mirrors), MD5))
        return mirrors

    def answer(self, path: str) -> tuple[int, bytes, int]:
        """Status, body, and the length that is announced."""
        self.asked.append(path)
        behaviour, name = path.split("/")[-2:]
        if behaviour == "slow":
            self.released.wait(20)
        right = ARCHIVES.get(name) or GZIPPED[name]
        body = {"page": b"\n<!DOCTYPE html>", "changed": right + b"!"}.get(behaviour, right)
        if behaviour.isdigit() or (behaviour == "one_missing" and name == f"{FILE_NAMES[2]}.gz"):
            return int(behaviour) if behaviour.isdigit() else 404, b"", 0
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
            if self.path.split("/")[-2] != "dripping":
                self.wfile.write(body)
                return
            for byte in body:
                self.wfile.write(bytes([byte]))
                if served.released.wait(0.02):
                    return

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that went away are part of the tests
    served = Mirrors(f"http://127.0.0.1:{server.server_address[1]}", monkeypatch)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield served
    served.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MNIST_DIR", "YAMLNET_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def load(dataset: Downloadable | None = None, *, quiet: bool = False, offline: bool = False) -> Data:
    return load_data(dataset or Tiny(), data_dir=None, offline=offline, device=torch.device("cpu"), quiet=quiet)


def refusal(dataset: Downloadable | None = None, *, offline: bool = False) -> str:
    with pytest.raises(DataError) as caught:
        load(dataset, offline=offline)
    assert caught.value.status == Status.DATA
    return str(caught.value)


def names(folder: str | Path) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def everything() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*"))


def zipped(contents: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(contents: dict[str, bytes], link: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
    return stream.getvalue()


IN_FOLDER = {f"gzip/{name}": content for name, content in GZIPPED.items()} | {"../outside": b"never written"}
ARCHIVES = {
    "tiny.zip": zipped(IN_FOLDER),
    "tiny.tar.gz": tarred({f"../../{name}": content for name, content in CONTENT.items()}),
    "lacking.tar.gz": tarred({f"a/{name}": CONTENT[name] for name in FILE_NAMES[:3]}, link=f"a/{FILE_NAMES[3]}"),
    "wrong.zip": zipped(IN_FOLDER | {f"gzip/{FILE_NAMES[1]}.gz": b"of something else"}),
    "broken.tar.gz": tarred(CONTENT)[:100],
    "broken.zip": zipped(CONTENT)[:100],
}


def archived(name: str) -> type[Tiny]:
    """`Tiny` as it would be if it were published in an archive."""
    digest = md5(ARCHIVES[name], usedforsecurity=False).hexdigest()

    class Archived(Tiny):
        remote: ClassVar = Remote((), ((name, digest),), is_kept=name.endswith(".zip"))

    return Archived


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


@pytest.mark.parametrize("bad", ["403", "404", "503", "page", "changed", "cut"])
def test_next_mirror_is_asked_when_one_fails(mirrors: Mirrors, bad: str) -> None:
    mirrors.use(bad, "good")
    assert len(load().train) == 20
    assert {path.name: path.read_bytes() for path in GOAL.iterdir()} == CONTENT


def test_mirror_that_fails_is_not_asked_again_for_the_other_files(mirrors: Mirrors) -> None:
    mirrors.use("one_missing", "good")
    load()
    asked = [tuple(path.split("/")[1:]) for path in mirrors.asked]
    one, two, three, four = (f"{name}.gz" for name in FILE_NAMES)
    assert asked == [("one_missing", it) for it in (one, two, three)] + [("good", it) for it in (three, four)]


def test_slow_mirror_is_left_after_the_timeout(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "CONNECT_SECONDS", 0.2)
    mirrors.use("slow", "good")
    assert len(load().train) == 20


def test_mirror_that_drips_is_left_when_patience_ends(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "PATIENCE_SECONDS", 0.2)
    mirrors.use("dripping", "good")
    assert len(load().train) == 20


def test_file_without_an_end_is_not_taken(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "MAX_BYTES", 50)
    mirrors.use("good")
    assert ": more than 50 bytes came); put " in refusal()


@pytest.mark.parametrize("end", ["", "/"])
def test_mirror_of_ones_own_is_asked_and_no_other(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    mirrors.use("good")
    monkeypatch.setenv("YAMLNET_MIRROR", f"{mirrors.url}/mine{end}")
    assert len(load().train) == 20
    assert mirrors.asked == [f"/mine/tiny/{name}.gz" for name in FILE_NAMES]


def test_mirror_of_ones_own_that_is_no_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YAMLNET_MIRROR", "file:///etc")
    with pytest.raises(UsageError) as caught:
        load(Tiny(fallback="mnist_sample"))
    assert str(caught.value) == "$YAMLNET_MIRROR is file:///etc, and has to begin with http:// or https://"


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
    missing, page, cut, slow = mirrors.use("404", "page", "cut", "slow")
    assert refusal() == (
        "no file of tiny lies under data, and no mirror has them "
        f"({missing}{FIRST}: status 404; {page}{FIRST}: a web page came in its place; "
        f"{cut}{FIRST}: it broke off after 20 of {len(GZIPPED[FIRST])} bytes; {slow}{FIRST}: timed out); "
        f"put {', '.join(FILE_NAMES[:3])} and {FILE_NAMES[3]}, plain or as .gz, into data/Tiny/raw, "
        "or try the network on images made for it: 'training.dataset={synthetic: {image: [1, 3, 2], num_classes: 10}}'"
    )
    assert everything() == []


def test_dead_server_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:  # bound, and nobody listens
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        monkeypatch.setattr(Tiny, "remote", Remote((url,), MD5))
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
    mirrors.use("404")
    load(Tiny(fallback="mnist_sample"))
    assert everything() == ["data"]


def test_files_with_the_right_md5_are_verified_too(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    mirrors.use("good")
    monkeypatch.setattr(Tiny, "num_train_stored", 21)
    monkeypatch.setattr(Tiny, "sha256", {})
    fault = f"{FILE_NAMES[0]} holds 20 images of 3x2, where tiny has 21 images of 3x2"
    assert refusal().startswith(f"no file of tiny lies under data, and what the mirrors have is wrong ({fault}); put ")
    assert everything() == []


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
    mirrors.use("good")
    while_fetching(monkeypatch, 3, OSError(errno.ENOSPC, "No space left on device"))
    said = refusal(Tiny(fallback="mnist_sample"))
    assert said.startswith("data/Tiny/raw can't be written (No space left on device); ")
    assert everything() == []


def while_fetching(monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException) -> None:
    """Let something happen when this file, from 1, has come."""
    fetch, fetched = download_module._fetch_file, []

    def call(*args: Any) -> None:
        fetch(*args)
        fetched.append(args)
        if len(fetched) == number:
            raise error

    monkeypatch.setattr(download_module, "_fetch_file", call)


def test_read_only_disk_is_an_error(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    def mkdir(self: Path, **options: bool) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    mirrors.use("good")
    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert refusal().startswith("data/Tiny/raw can't be written (Read-only file system); ")


# --- Archives


@pytest.mark.parametrize("name", ["tiny.zip", "tiny.tar.gz"])
def test_archive_is_unpacked_and_nothing_lands_outside(mirrors: Mirrors, name: str) -> None:
    dataset = archived(name)
    dataset.remote = Remote((f"{mirrors.url}/good/",), dataset.remote.files, dataset.remote.is_kept)
    assert len(load(dataset()).train) == 20
    kept = [name] if dataset.remote.is_kept else []
    assert everything() == [
        "data",
        "data/Tiny",
        "data/Tiny/raw",
        *(f"data/Tiny/raw/{n}" for n in sorted([*FILE_NAMES, *kept])),
    ]


@pytest.mark.parametrize("folder", ["data", "data/raw", "data/Tiny/raw"])
@pytest.mark.parametrize("name", ["tiny.zip", "tiny.tar.gz"])
def test_archive_that_somebody_put_there_is_unpacked_without_a_network(name: str, folder: str) -> None:
    write_files(Path(folder), {name: ARCHIVES[name]})
    assert len(load(archived(name)(), offline=True).train) == 20
    assert Path(folder, name).read_bytes() == ARCHIVES[name]


def tried(dataset: Downloadable) -> Data:
    """As `--dry-run` loads it."""
    return load_data(dataset, data_dir=None, offline=False, device=torch.device("cpu"), may_write=False)


@pytest.mark.parametrize("name", ["tiny.zip", "tiny.tar.gz"])
def test_a_dry_run_unpacks_no_archive(name: str) -> None:
    write_files(Path("data"), {name: ARCHIVES[name]})
    found = tried(archived(name)(fallback="mnist_sample"))
    assert found.fallback_reason == f"no file of tiny lies under data, and --dry-run doesn't unpack data/{name}"
    assert everything() == ["data", f"data/{name}"]


def test_a_dry_run_downloads_nothing_and_gives_that_as_its_reason(mirrors: Mirrors) -> None:
    with pytest.raises(DataError, match="no file of tiny lies under data, and --dry-run downloads nothing; put "):
        tried(Tiny())
    assert everything() == []


def test_damaged_archive_is_named_and_never_replaced_by_the_fallback() -> None:
    write_files(Path("data"), {"tiny.zip": b"half a download"})
    digests = [
        md5(content, usedforsecurity=False).hexdigest() for content in (b"half a download", ARCHIVES["tiny.zip"])
    ]
    assert refusal(archived("tiny.zip")(fallback="mnist_sample"), offline=True) == (
        f"data/tiny.zip is damaged: its MD5 is {digests[0]}, where {digests[1]} is right; replace or remove it"
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lacking.tar.gz", f"it has no {FILE_NAMES[3]}"),  # but a link of its name
        ("wrong.zip", f"{FILE_NAMES[1]} begins with 0x6f662073, where an IDX file of labels has "),
        ("broken.tar.gz", "broken.tar.gz can't be unpacked: "),
        ("broken.zip", "broken.zip can't be unpacked: File is not a zip file"),
    ],
)
def test_archive_with_the_right_md5_is_verified_too(name: str, words: str) -> None:
    write_files(Path("data"), {name: ARCHIVES[name]})
    said = refusal(archived(name)(), offline=True)
    assert said.startswith(f"data/{name} is not what it should be ({words}")
    assert everything() == ["data", f"data/{name}"]


def test_no_member_is_unpacked_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.data.unpacking.MAX_MEMBER_BYTES", 100)
    write_files(Path("data"), {"tiny.tar.gz": ARCHIVES["tiny.tar.gz"]})
    assert f"(its {FILE_NAMES[0]} has 136 bytes)" in refusal(archived("tiny.tar.gz")(), offline=True)


def test_missing_archive_is_named_as_the_way_out() -> None:
    said = refusal(Cifar10(), offline=True)
    assert "; put cifar-10-binary.tar.gz, or data_batch_1.bin, data_batch_2.bin, " in said
    assert said.endswith(
        "into data/cifar-10-batches-bin, or try the network on images made for it: "
        "'training.dataset={synthetic: {image: [3, 32, 32], num_classes: 10}}'"
    )


# --- Interruption, and two runs at once


def test_interrupted_download_leaves_nothing(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    mirrors.use("good")
    while_fetching(monkeypatch, 2, KeyboardInterrupt())  # in the middle: some files have come
    with pytest.raises(KeyboardInterrupt):
        load()
    assert everything() == []


def test_remains_of_a_killed_download_are_no_place_of_files(mirrors: Mirrors) -> None:
    write_files(Path("data/Tiny/.download-killed"), {FIRST: b"half"})
    mirrors.use("good")
    assert len(load().train) == 20


def test_remains_of_a_killed_download_are_swept_when_they_are_old(mirrors: Mirrors) -> None:
    for name, age in (("old", download_module.STALE_SECONDS + 60), ("new", 60)):
        folder = write_files(Path(f"data/Tiny/.download-{name}"), {FIRST: b"half"})
        then = folder.stat().st_mtime - age
        os.utime(folder, (then, then))
    mirrors.use("good")
    load()
    assert names("data/Tiny") == [".download-new", "raw"]


def test_folder_with_other_things_in_it_keeps_them(mirrors: Mirrors) -> None:
    write_files(GOAL, {"notes.txt": b"mine"})
    mirrors.use("good")
    assert len(load().train) == 20
    assert names(GOAL) == sorted([*FILE_NAMES, "notes.txt"])


def test_run_that_downloads_while_another_does_no_harm(mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = download_module._fetch_file

    def call(*args: Any) -> None:
        fetch(*args)
        if len(mirrors.asked) == 2:  # the first run has two files by now
            mirrors.asked.append("the other run")
            download(Tiny(), GOAL)

    mirrors.use("good")
    monkeypatch.setattr(download_module, "_fetch_file", call)
    download(Tiny(), GOAL)
    assert len(mirrors.asked) == 9
    assert len(load().train) == 20
    assert names("data/Tiny") == ["raw"]


# --- What torchvision knows too


@pytest.mark.parametrize("cls", [Mnist, FashionMnist, Kmnist])
def test_files_and_their_md5_are_those_that_torchvision_knows(cls: type[Downloadable]) -> None:
    from torchvision import datasets

    theirs = getattr(datasets, cls.folder.removesuffix("/raw"))
    assert cls.remote.files == tuple(theirs.resources)
    assert set(cls.remote.mirrors) <= set(theirs.mirrors)


def test_the_archive_of_emnist_is_the_one_that_torchvision_knows() -> None:
    from torchvision.datasets import EMNIST

    ((name, digest),), (mirror,) = Emnist.remote.files, Emnist.remote.mirrors
    assert (f"{mirror}{name}", digest) == (EMNIST.url, EMNIST.md5)


def test_cifar_lies_where_torchvision_gets_it_in_another_format() -> None:
    from torchvision.datasets import CIFAR10

    assert CIFAR10.url == f"{Cifar10.remote.mirrors[0]}cifar-10-python.tar.gz"
