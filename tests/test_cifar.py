"""Reading the binary version of CIFAR-10: records of a label and an image, and what can be wrong with them."""

import gzip
import io
import tarfile
from hashlib import md5
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from builder.data.images import Data, load_data
from builder.exits import DataError
from builder.recipe.datasets import Cifar10, Remote

FOLDER = Path("data/cifar-10-batches-bin")
RECORD = 1 + 3 * 2 * 4


class SmallCifar(Cifar10):
    """Eighteen images of 2x4 in six files; not in the table, for it has no word of its own."""

    kind: ClassVar = "small_cifar"
    image: ClassVar = (3, 2, 4)
    num_train_stored: ClassVar = 15
    num_test_stored: ClassVar = 3
    images_per_file: ClassVar = 3


def records(first_label: int) -> bytes:
    """Three images; the red pixels are the label, the green ones count, the blue ones are 200."""
    labels = [(first_label + number) % 10 for number in range(3)]
    return b"".join(bytes([label, *[label] * 8, *range(8), *[200] * 8]) for label in labels)


CONTENT = {name: records(number) for number, name in enumerate(SmallCifar().file_names)}


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNIST_DIR", raising=False)
    write(CONTENT)


def write(contents: dict[str, bytes]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (FOLDER / name).write_bytes(content)


def load(dataset: Cifar10 | None = None) -> Data:
    device = torch.device("cpu")
    return load_data(dataset or SmallCifar(), data_dir=None, offline=True, device=device)


def refusal() -> str:
    with pytest.raises(DataError) as caught:
        load()
    return str(caught.value)


def test_record_is_a_label_and_three_planes_of_rows() -> None:
    found = load()
    assert (found.train.images.dtype, found.train.images.shape) == (torch.uint8, (15, 3, 2, 4))
    assert found.train.labels.tolist() == [0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5, 4, 5, 6]
    assert found.test.labels.tolist() == [5, 6, 7]
    assert found.train.images[1].tolist() == [[[1] * 4] * 2, [[0, 1, 2, 3], [4, 5, 6, 7]], [[200] * 4] * 2]


def test_files_of_the_archive_are_unpacked_from_it() -> None:
    for file in FOLDER.iterdir():
        file.unlink()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in (CONTENT | {"batches.meta.txt": b"airplane", "readme.html": b"<html>"}).items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    packed = stream.getvalue()
    Path("data/cifar-10-binary.tar.gz").write_bytes(packed)

    class Archived(SmallCifar):
        remote: ClassVar = Remote((), (("cifar-10-binary.tar.gz", md5(packed, usedforsecurity=False).hexdigest()),))

    assert len(load(Archived()).train) == 15
    assert sorted(file.name for file in FOLDER.iterdir()) == sorted(CONTENT)


def test_gzipped_file_is_read_too() -> None:
    write({"test_batch.bin": gzip.compress(CONTENT["test_batch.bin"])})
    assert load().test.labels.tolist() == [5, 6, 7]


REPLACE = "replace it, or remove the files of all 6 names to have them downloaded"
FAULTS = {
    "empty": (b"", "is truncated: it has 0 of 75 bytes"),
    "one byte short": (records(0)[:-1], "is truncated: it has 74 of 75 bytes"),
    "one byte more": (records(0) + b"!", "goes on after the 75 bytes of 3 images of 25 bytes"),
    "no such class": (
        records(0)[:RECORD] + b"\x0a" + records(0)[RECORD + 1 :],
        "holds the label 10 (image 1), where labels are 0 to 9",
    ),
    "a web page": (
        b"<!DOCTYPE html>" + bytes(60),
        "begins with `<`, like a web page, where the label of an image belongs",
    ),
    "a pickle": (b"\x80\x04" + bytes(73), "holds the label 128 (image 0), where labels are 0 to 9"),
}


@pytest.mark.parametrize(("content", "words"), FAULTS.values(), ids=FAULTS)
def test_fault_is_said_in_its_own_words(content: bytes, words: str) -> None:
    write({"data_batch_3.bin": content})
    assert refusal() == f"{FOLDER / 'data_batch_3.bin'} {words}; {REPLACE}"


def test_missing_file_is_named() -> None:
    (FOLDER / "test_batch.bin").unlink()
    assert refusal() == (
        f"{FOLDER} holds files of small_cifar, but not test_batch.bin; "
        "add what is missing, or remove the others to have all of them downloaded"
    )
