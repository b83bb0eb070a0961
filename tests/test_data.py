"""Finding, verifying and batching the images of a data set."""

import gzip
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tiny_dataset import CONTENT, FILE_NAMES, GZIPPED, HEIGHT, WIDTH, Tiny, write_files

from builder.data.images import Data, Images, load_data
from builder.exits import DataError, Status
from builder.problems import both
from builder.recipe import Validation
from builder.recipe.datasets import (
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Dataset,
    FashionMnist,
    Mnist,
    MnistSample,
)

BUILDER = Path(__file__).parents[1] / "builder"
OWN = Path("data/Tiny/raw")  # the place of `Tiny`, in the working directory that each test has of its own
CPU = torch.device("cpu")
REPLACE = "replace it, or remove the files of all 4 names to have them downloaded"


def full_mnist() -> Path | None:
    for root in (os.environ.get("MNIST_DIR"), Path(__file__).parents[2] / "shared" / "data"):
        if root and (Path(root) / "MNIST" / "raw" / TRAIN_IMAGES).is_file():
            return Path(root).absolute()
    return None


FULL_MNIST = full_mnist()
needs_full_mnist = pytest.mark.skipif(
    FULL_MNIST is None, reason="MNIST lies neither in $MNIST_DIR nor in ../shared/data"
)


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNIST_DIR", raising=False)


def load(dataset: Dataset | None = None, data_dir: str | None = None) -> Data:
    return load_data(dataset or Tiny(), data_dir=Path(data_dir) if data_dir else None, offline=True, device=CPU)


def refusal(dataset: Dataset | None = None, data_dir: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        load(dataset, data_dir)
    assert caught.value.status == Status.DATA
    return str(caught.value)


# --- Which images they are


def test_the_digest_tells_other_pixels_labels_and_parts_from_these() -> None:
    write_files(OWN)
    found = load()
    assert found.digest == load().digest
    changed = (
        replace(found, train=replace(found.train, images=found.train.images.roll(1, 0))),
        replace(found, test=replace(found.test, labels=found.test.labels.roll(1))),
        replace(found, train=found.test, test=found.train),
        replace(found, validation=found.test),
        load_data(Tiny(), validation=Validation(size=3), data_dir=None, offline=True, device=CPU),
        load_data(Tiny(), validation=Validation(size=3, seed=1), data_dir=None, offline=True, device=CPU),
    )
    assert len({found.digest, *(other.digest for other in changed)}) == 1 + len(changed)


def test_only_the_data_set_itself_will_do_where_no_fallback_may_be_used() -> None:
    dataset = Tiny(fallback="mnist_sample")
    assert load(dataset).fallback_used
    with pytest.raises(DataError) as caught:
        load_data(dataset, data_dir=None, offline=True, device=CPU, may_fall_back=False)
    assert str(caught.value) == (
        "no file of tiny lies under data, and --offline forbids the download; "
        f"put {both(FILE_NAMES)}, plain or as .gz, into {OWN}"
    )


# --- Batches


def test_images_and_labels_have_their_types_and_shapes() -> None:
    write_files(OWN)
    found = load()
    assert (found.train.images.dtype, found.train.images.shape) == (torch.uint8, (20, 1, HEIGHT, WIDTH))
    assert (found.train.labels.dtype, found.train.labels.shape) == (torch.int64, (20,))
    assert (len(found.train), len(found.test)) == (20, 10)
    assert found.train.images.flatten().tolist() == list(CONTENT[TRAIN_IMAGES][16:])
    assert found.train.labels.tolist() == list(CONTENT[TRAIN_LABELS][8:])


@pytest.mark.parametrize("index", [torch.tensor([7, 0, 19]), slice(5, 15), torch.tensor([], dtype=torch.int64)])
def test_batch_is_normalised_as_by_torchvision_to_the_last_bit(index: torch.Tensor | slice) -> None:
    from torchvision.transforms.functional import normalize

    write_files(OWN)
    train = load().train
    images, labels = train.batch(index)
    assert images.dtype == torch.float32
    assert torch.equal(images, normalize(train.images[index].float().div(255), [0.1307], [0.3081]))
    assert torch.equal(labels, train.labels[index])


def test_batch_leaves_the_stored_images_alone() -> None:
    write_files(OWN)
    train = load().train
    train.batch(slice(None))[0].zero_()
    assert train.images.flatten().tolist() == list(CONTENT[TRAIN_IMAGES][16:])


def test_mean_and_std_of_the_spec_are_used() -> None:
    write_files(OWN)
    images, _ = load(Tiny(mean=(0.5,), std=(0.25,))).test.batch(slice(0, 1))
    assert images.flatten().tolist() == pytest.approx([(31 * i / 255 - 0.5) / 0.25 for i in range(6)])


def test_each_channel_has_its_own_mean_and_std() -> None:
    images = Images(
        images=torch.full((2, 3, 1, 1), 255, dtype=torch.uint8),
        labels=torch.zeros(2, dtype=torch.int64),
        mean=torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1),
        std=torch.tensor([1.0, 0.5, 2.0]).view(3, 1, 1),
    )
    assert images.batch(torch.tensor([1]))[0].flatten().tolist() == [1.0, 1.0, 0.0]


# --- Places


@pytest.mark.parametrize("folder", ["data/Tiny/raw", "data/raw", "data"])
@pytest.mark.parametrize("files", [CONTENT, GZIPPED], ids=["plain", "gzipped"])
def test_files_are_found_in_each_layout(folder: str, files: Mapping[str, bytes]) -> None:
    write_files(Path(folder), files)
    found = load()
    assert len(found.train) == 20
    assert not found.fallback_used


def test_data_dir_comes_before_mnist_dir_and_that_before_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_DIR", "second")
    for root in ("data", "second", "first"):  # from the last place to the first: each is seen before those behind it
        write_files(Path(root), {TEST_LABELS: b""})
        assert refusal(data_dir="first").startswith(f"{root} holds files of tiny")


def test_own_folder_comes_before_the_bare_files() -> None:
    write_files(Path("data"), {TEST_LABELS: b"of something else"})
    write_files(OWN)
    assert len(load().train) == 20


def test_plain_file_is_read_before_the_gzipped_one() -> None:
    write_files(OWN)
    write_files(OWN, dict.fromkeys(GZIPPED, b"half a download"))
    assert len(load().train) == 20


def test_content_decides_what_is_gzipped_and_not_the_name() -> None:
    write_files(OWN, {f"{TRAIN_IMAGES}.gz": CONTENT[TRAIN_IMAGES], TRAIN_LABELS: GZIPPED[f"{TRAIN_LABELS}.gz"]})
    write_files(OWN, {name: CONTENT[name] for name in (TEST_IMAGES, TEST_LABELS)})
    assert len(load().train) == 20


def test_tilde_in_a_data_directory_is_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_files(tmp_path / "mine")
    assert len(load(data_dir="~/mine").train) == 20


def test_torchvision_is_not_imported_for_local_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    write_files(OWN)
    assert len(load().train) == 20


@pytest.mark.parametrize("option", ["--data-dir", "$MNIST_DIR"])
def test_data_directory_that_is_a_file_is_an_error(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("notes.txt").write_text("")
    monkeypatch.setenv("MNIST_DIR", "notes.txt" if option == "$MNIST_DIR" else "")
    said = refusal(Tiny(fallback="mnist_sample"), data_dir="notes.txt" if option == "--data-dir" else None)
    assert said == f"notes.txt is not a directory; {option} names a directory that holds data sets"


def test_data_directory_that_nobody_may_read_is_no_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def iterdir(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert refusal(Tiny(fallback="mnist_sample")) == "data/Tiny/raw can't be read (Permission denied); make it readable"


# --- Damaged files never fall back


@pytest.mark.parametrize("dataset", [Tiny(), Tiny(fallback="mnist_sample")], ids=["alone", "with fallback"])
def test_incomplete_place_names_what_is_missing(dataset: Tiny) -> None:
    write_files(OWN, {TRAIN_IMAGES: CONTENT[TRAIN_IMAGES]})
    assert refusal(dataset) == (
        f"data/Tiny/raw holds files of tiny, but not {TRAIN_LABELS}, {TEST_IMAGES} and {TEST_LABELS}; "
        "add what is missing, or remove the others to have all of them downloaded"
    )


def test_damaged_file_is_named_with_its_fault_and_never_replaced_by_the_fallback() -> None:
    write_files(OWN, CONTENT | {TEST_IMAGES: b""})
    fault = f"data/Tiny/raw/{TEST_IMAGES} is truncated: it has 0 of 76 bytes"
    assert refusal(Tiny(fallback="mnist_sample")) == f"{fault}; {REPLACE}"


def test_link_to_nothing_is_not_taken_for_a_missing_file() -> None:
    OWN.mkdir(parents=True)
    for name in FILE_NAMES:
        (OWN / name).symlink_to("gone")
    assert refusal(Tiny(fallback="mnist_sample")) == f"data/Tiny/raw/{TRAIN_IMAGES} is not a regular file; {REPLACE}"


def test_half_extracted_file_says_that_its_archive_is_there() -> None:
    write_files(OWN, CONTENT | GZIPPED | {TRAIN_IMAGES: CONTENT[TRAIN_IMAGES][:50]})
    fault = f"data/Tiny/raw/{TRAIN_IMAGES} is truncated: it has 50 of 136 bytes"
    assert refusal() == f"{fault}; remove it, and {TRAIN_IMAGES}.gz beside it is read instead"


def test_bare_files_of_another_data_set_are_recognised() -> None:
    for file in (BUILDER / "mnist_sample").glob("*.gz"):
        write_files(Path("data"), {file.name: file.read_bytes()})
    assert refusal(FashionMnist()) == (
        f"data/{TRAIN_IMAGES}.gz holds the {TRAIN_IMAGES} of mnist_sample, where the {TRAIN_IMAGES} of fashion_mnist "
        "belongs; replace it, or put the files of fashion_mnist into data/FashionMNIST/raw, which is looked at first"
    )


def test_control_characters_of_a_path_are_escaped() -> None:
    write_files(Path("a\x1b[31m"), {TRAIN_IMAGES: b""})
    assert refusal(data_dir="a\x1b[31m").startswith("a\\x1b[31m holds files of tiny")


# --- Missing files, and the fallback


def test_missing_data_set_says_where_its_files_may_be_put(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_DIR", "mine")
    assert refusal(FashionMnist(), data_dir="yours") == (
        "no file of fashion_mnist lies under yours, mine or data, and --offline forbids the download; "
        f"put {TRAIN_IMAGES}, {TRAIN_LABELS}, {TEST_IMAGES} and {TEST_LABELS}, plain or as .gz, "
        "into yours/FashionMNIST/raw, or try the network on images made for it: "
        "'training.dataset={synthetic: {image: [1, 28, 28], num_classes: 10}}'"
    )


def test_missing_data_set_that_could_fall_back_says_how() -> None:
    assert refusal(Mnist()).endswith("into data/MNIST/raw, or let the spec say `mnist: {fallback: mnist_sample}`")


def test_fallback_says_why_and_keeps_mean_and_std() -> None:
    found = load(Mnist(fallback="mnist_sample", mean=(0.25,), std=(0.5,)))
    assert found.dataset == MnistSample(mean=(0.25,), std=(0.5,))
    assert found.fallback_used
    assert found.fallback_reason == "no file of mnist lies under data, and --offline forbids the download"
    assert (found.train.mean.item(), found.train.std.item()) == (0.25, 0.5)
    assert (len(found.train), len(found.test)) == (5000, 1000)


def test_offline_makes_no_folder() -> None:
    load(Mnist(fallback="mnist_sample"))
    assert not list(Path().iterdir())


# --- The embedded sample


def test_sample_is_balanced_and_no_fallback() -> None:
    found = load(MnistSample())
    assert not found.fallback_used
    assert torch.bincount(found.train.labels).tolist() == [500] * 10
    assert torch.bincount(found.test.labels).tolist() == [100] * 10


def test_sample_is_about_a_megabyte_and_reproducible() -> None:
    files = sorted((BUILDER / "mnist_sample").glob("*.gz"))
    assert [file.name for file in files] == sorted(f"{name}.gz" for name in FILE_NAMES)
    assert sum(file.stat().st_size for file in files) < 1_000_000
    for file in files:
        assert file.read_bytes()[3:8] == bytes(5), f"{file.name} holds a name or a time"


def test_damaged_sample_asks_for_a_new_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.data.images.resources.files", Path)
    write_files(Path("builder/mnist_sample"), {f"{TRAIN_IMAGES}.gz": b"version https://git-lfs.github.com/spec/v1"})
    assert refusal(MnistSample()) == (
        f"{TRAIN_IMAGES}.gz of the embedded mnist_sample begins with 0x76657273, "
        "where an IDX file of images has 0x00000803; install yamlnet again"
    )


def sample_maker() -> ModuleType:
    """The script, loaded as a file: it belongs to no package when somebody runs it."""
    spec = importlib.util.spec_from_file_location("make_sample", BUILDER / "mnist_sample" / "make_sample.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_evenly_spaced_takes_the_first_of_each_stretch_of_a_digit() -> None:
    labels = bytes([*range(10)] * 4)
    assert sample_maker().evenly_spaced(labels, 2) == [*range(10), *range(20, 30)]


@needs_full_mnist
def test_sample_is_what_its_script_makes() -> None:
    assert FULL_MNIST is not None
    for name, content in sample_maker().make_sample(FULL_MNIST / "MNIST" / "raw").items():
        assert gzip.decompress((BUILDER / "mnist_sample" / f"{name}.gz").read_bytes()) == content


# --- The real files


@needs_full_mnist
def test_full_mnist_is_what_torchvision_reads() -> None:
    from torchvision.datasets import MNIST

    found = load(Mnist(), str(FULL_MNIST))
    for ours, train in ((found.train, True), (found.test, False)):
        theirs = MNIST(str(FULL_MNIST), train=train, download=False)
        assert torch.equal(ours.images.squeeze(1), theirs.data)
        assert torch.equal(ours.labels, theirs.targets)


@needs_full_mnist
def test_mean_and_std_are_those_of_the_training_images() -> None:
    images, _ = load(Mnist(mean=(0.0,), std=(1.0,)), str(FULL_MNIST)).train.batch(slice(None))
    assert (round(images.mean().item(), 4), round(images.std().item(), 4)) == (Mnist().mean[0], Mnist().std[0])


@pytest.mark.skipif(not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="dataset-fashion-mnist is missing")
def test_fashion_mnist_of_debian_is_read() -> None:
    found = load(FashionMnist(), "/usr/share/datasets/fashion-mnist")
    assert torch.bincount(found.train.labels).tolist() == [6000] * 10
    images, _ = found.train.batch(slice(None))
    assert abs(images.mean().item()) < 1e-3
