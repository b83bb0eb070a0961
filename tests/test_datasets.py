"""Data sets: what is known of them without a file, what a spec may ask of them, and which images a run then gets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tiny_dataset import FILE_NAMES, Tiny, idx_images, idx_labels, write_files

import runner
from builder import load_spec, make_plan
from builder.data.choosing import evenly, kept_apart
from builder.data.images import Data, load_data
from builder.data.scaling import channel_statistics
from builder.exits import DataError
from builder.kinds import parameters
from builder.plan import problems_of_size
from builder.recipe import Dataset, Recipe, Validation
from builder.recipe.datasets import Cifar10, Emnist, Mnist, MnistSample, Synthetic


@dataclass(frozen=True)
class Case:
    """What the spec says of a data set, and what follows from that alone."""

    kind: str
    written: Mapping[str, Any]
    image: tuple[int, int, int]
    num_classes: int
    num_train: int | None
    num_test: int | None


CASES = (
    Case("mnist", {}, (1, 28, 28), 10, 60_000, 10_000),
    Case("mnist", {"train_size": 100, "test_size": 50, "mean": "computed"}, (1, 28, 28), 10, 100, 50),
    Case("mnist_sample", {}, (1, 28, 28), 10, 5_000, 1_000),
    Case("fashion_mnist", {}, (1, 28, 28), 10, 60_000, 10_000),
    Case("kmnist", {"std": 0.5}, (1, 28, 28), 10, 60_000, 10_000),
    Case("emnist", {"split": "balanced"}, (1, 28, 28), 47, 112_800, 18_800),
    Case("emnist", {"split": "byclass"}, (1, 28, 28), 62, 697_932, 116_323),
    Case("emnist", {"split": "bymerge"}, (1, 28, 28), 47, 697_932, 116_323),
    Case("emnist", {"split": "digits", "fallback": "mnist_sample"}, (1, 28, 28), 10, 240_000, 40_000),
    Case("emnist", {"split": "letters"}, (1, 28, 28), 26, 124_800, 20_800),
    Case("emnist", {"split": "mnist"}, (1, 28, 28), 10, 60_000, 10_000),
    Case("cifar10", {"mean": [0.5, 0.5, 0.5]}, (3, 32, 32), 10, 50_000, 10_000),
    Case("image_folder", {"path": "a", "image": [3, 9, 8], "classes": ["x", "y"]}, (3, 9, 8), 2, None, None),
    Case("image_folder", {"path": "a", "image": [1, 4, 4], "classes": 3, "train_size": 9}, (1, 4, 4), 3, 9, None),
    Case("synthetic", {}, (1, 28, 28), 10, 1_000, 200),
    Case("synthetic", {"image": [3, 5, 7], "num_classes": 4, "train_size": 40}, (3, 5, 7), 4, 40, 200),
)


def read(case: Case) -> Dataset:
    dataset: Dataset = Dataset.table[case.kind].read(case.written)
    return dataset


def called(case: Case) -> str:
    return f"{case.kind} {' '.join(case.written)}"


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNIST_DIR", raising=False)


def spec(dataset: Mapping[str, Any] | str, image: object, num_classes: int, training: str = "") -> Path:
    file = Path("spec.yaml")
    file.write_text(
        f"input: {list(image)}\n"  # type: ignore[call-overload]
        f"layers: [flatten, {{linear: {{out_features: {num_classes}}}}}, batch_norm1d]\n"
        f"training:\n  dataset: {dataset}\n  epochs: 2\n  batch_size: 10\n  loss: cross_entropy\n  optimizer: adam\n"
        f"{training}"
    )
    return file


# --- Without any file


def test_every_data_set_has_a_case() -> None:
    assert {case.kind for case in CASES} == set(Dataset.table), "add the data set to tests/test_datasets.py"


@pytest.mark.parametrize("case", CASES, ids=called)
def test_what_a_network_must_fit_is_known_without_a_file(case: Case) -> None:
    dataset = read(case)
    assert (dataset.image, len(dataset.classes)) == (case.image, case.num_classes)
    assert (dataset.num_train, dataset.num_test) == (case.num_train, case.num_test)
    assert list(dataset.rules()) == []
    assert len(set(dataset.classes)) == case.num_classes
    assert Dataset.table[case.kind].read(dataset.written()) == dataset


@pytest.mark.parametrize("case", CASES, ids=called)
def test_a_spec_is_checked_without_its_data(case: Case) -> None:
    file = spec({case.kind: dict(case.written)}, case.image, case.num_classes)
    plan = make_plan(load_spec(file))
    assert not plan.problems
    assert plan.spec.recipe is not None
    assert plan.spec.recipe.dataset == read(case)
    assert load_spec(write(plan.spec.resolved())).recipe == plan.spec.recipe


def write(text: str) -> Path:
    Path("resolved.yaml").write_text(text)
    return Path("resolved.yaml")


@pytest.mark.parametrize("kind", Dataset.table)
def test_every_data_set_has_subsets_and_a_normalisation(kind: str) -> None:
    names = {parameter.name for parameter in parameters(Dataset.table[kind])}
    assert {"mean", "std", "train_size", "test_size"} <= names


@pytest.mark.parametrize("split", ["balanced", "byclass", "bymerge", "digits", "letters", "mnist"])
def test_classes_of_emnist_are_torchvisions(split: str) -> None:
    from torchvision.datasets import EMNIST

    theirs = [name for name in EMNIST.classes_split_dict[split] if name != "N/A"]  # letters begin with label 1
    assert list(Emnist(split=split).classes) == theirs


def test_classes_of_kmnist_are_torchvisions() -> None:
    from torchvision.datasets import KMNIST

    assert list(Dataset.table["kmnist"]().classes) == KMNIST.classes


def test_the_own_normalisation_is_known_of_some_data_sets() -> None:
    known = {kind for kind, cls in Dataset.table.items() if cls.own_normalisation()}
    assert known == {"mnist", "mnist_sample", "fashion_mnist", "cifar10"}
    assert Cifar10.own_normalisation() == ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))


def test_fallback_takes_the_numbers_of_images_as_far_as_it_has_them() -> None:
    other = Mnist(fallback="mnist_sample", train_size=30_000, test_size=500, mean=(0.5,)).fallback_dataset
    assert other == MnistSample(train_size=5_000, test_size=500, mean=(0.5,))
    assert Mnist(fallback="mnist_sample").fallback_dataset == MnistSample()


# --- Subsets


def test_subset_takes_the_first_of_each_class_and_keeps_their_order() -> None:
    labels = torch.tensor([0, 0, 0, 0, 2, 1, 1, 2])
    assert evenly(labels, 3).tolist() == [0, 4, 5]
    assert evenly(labels, 5).tolist() == [0, 1, 4, 5, 6]
    assert evenly(labels, 7).tolist() == [0, 1, 2, 4, 5, 6, 7]  # the others have no more
    assert evenly(labels, 8).tolist() == list(range(8))


def test_larger_subset_holds_the_smaller_one() -> None:
    labels = torch.randint(10, (500,), generator=torch.Generator().manual_seed(0))
    subsets = [set(evenly(labels, size).tolist()) for size in range(1, 500, 7)]
    assert [len(subset) for subset in subsets] == list(range(1, 500, 7))
    assert all(smaller < larger for smaller, larger in pairwise(subsets))


def load(dataset: Dataset, validation: Validation | None = None) -> Data:
    return load_data(dataset, validation=validation, data_dir=None, offline=True, device=torch.device("cpu"))


def test_subset_of_the_sample_is_balanced() -> None:
    found = load(MnistSample(train_size=50, test_size=20))
    assert found.train.labels.bincount().tolist() == [5] * 10
    assert found.test.labels.bincount().tolist() == [2] * 10
    whole = load(MnistSample())
    first = [int((whole.train.labels == digit).nonzero()[0]) for digit in range(10)]
    assert sorted(first) == evenly(whole.train.labels, 10).tolist()
    assert torch.equal(load(MnistSample(train_size=10)).train.images, whole.train.images[sorted(first)])


# --- Validation


def test_validation_takes_the_last_of_a_permutation_with_a_seed_of_its_own() -> None:
    order = torch.randperm(20, generator=torch.Generator().manual_seed(7)).tolist()
    train, apart = kept_apart(20, Validation(size=6, seed=7))
    assert (train.tolist(), apart.tolist()) == (sorted(order[:14]), sorted(order[14:]))


def test_validation_images_are_taken_from_those_to_train_on() -> None:
    whole, parted = load(MnistSample(train_size=500)), load(MnistSample(train_size=500), Validation(size=100))
    assert parted.validation is not None
    assert (len(parted.train), len(parted.validation), len(parted.test)) == (400, 100, 1000)
    assert torch.equal(parted.test.images, whole.test.images)
    both = torch.cat([parted.train.images, parted.validation.images]).flatten(1).tolist()
    assert sorted(both) == sorted(whole.train.images.flatten(1).tolist())
    assert whole.validation is None


def test_seed_of_the_validation_decides_which_images() -> None:
    first, same, other = (load(MnistSample(), Validation(size=100, seed=seed)).validation for seed in (1, 1, 2))
    assert first
    assert same
    assert other
    assert torch.equal(first.images, same.images)
    assert not torch.equal(first.images, other.images)


def test_validation_takes_no_part_in_the_computed_normalisation() -> None:
    found = load(MnistSample(mean="computed", std="computed"), Validation(size=4000))
    assert found.validation is not None
    ((mean, std),) = channel_statistics(found.train.images)
    assert (found.train.mean.item(), found.train.std.item()) == pytest.approx((mean, std))
    assert torch.equal(found.validation.mean, found.train.mean)
    assert torch.equal(found.test.std, found.train.std)


def recipe(**changes: Any) -> Recipe:
    written = {"dataset": "mnist", "epochs": 2, "batch_size": 100, "loss": "nll_loss", "optimizer": "adam"}
    return Recipe.read(written | changes)


def test_training_sees_what_validation_leaves() -> None:
    parted = recipe(validation={"size": 5_000})
    assert parted.num_train(parted.dataset) == 55_000
    folder = {"image_folder": {"path": "a", "image": [3, 9, 8], "classes": 10}}
    parted = recipe(dataset=folder, validation={"size": 5_000})
    assert parted.num_train(parted.dataset) is None
    assert list(parted.rules()) == []


@pytest.mark.parametrize("dataset", ["mnist_sample", {"mnist": {"fallback": "mnist_sample"}}], ids=str)
def test_validation_leaves_something_to_train_on_in_every_data_set_that_may_be_used(dataset: Any) -> None:
    assert list(recipe(dataset=dataset, validation={"size": 4_999}).rules()) == []
    (misfit,) = recipe(dataset=dataset, validation={"size": 5_000}).rules()
    assert (misfit.code, misfit.field) == ("too-few-images", "validation.size")


def test_what_only_a_run_can_count_is_checked_then() -> None:
    folder = {"image_folder": {"path": "a", "image": [1, 4, 4], "classes": 2}}
    training = "  validation: {size: 5}\n  scheduler: {one_cycle: {max_lr: 0.1, pct_start: 0.25}}\n"
    plan = make_plan(load_spec(spec(folder, (1, 4, 4), 2, training)))
    assert plan.spec.recipe is not None
    found = {count: problems_of_size(plan, plan.spec.recipe.dataset, count) for count in (0, 20, 21, 30)}
    assert {count: [problem.code for problem in problems] for count, problems in found.items()} == {
        0: ["too-few-images"],
        20: ["climb-of-one-step"],
        21: ["batch-of-one"],
        30: [],
    }
    assert found[21][0].message == (
        "the last batch of an epoch holds 1 of the 21 images of image_folder, and `batch_norm1d_1` needs 2 values per "
        "channel"
    )


def test_validation_that_leaves_no_picture_is_an_error_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("train", "test"):
        for name in ("0", "1"):
            folder = Path("pictures", part, name)
            folder.mkdir(parents=True)
            Image.new("L", (4, 4), 9).save(folder / "a.png")
    pictures = {"image_folder": {"path": "pictures", "image": [1, 4, 4], "classes": 2}}
    path = spec(pictures, (1, 4, 4), 2, "  validation: {size: 3}\n")
    assert runner.main([str(path), "--quiet"]) == 1
    assert capsys.readouterr().err.splitlines()[:2] == [
        "error[too-few-images]: `validation` takes 3 of the 2 training images of image_folder, and leaves none to "
        "train on",
        f" --> {path}:9:22",
    ]


# --- Normalisation


def test_statistics_are_those_of_all_pixels_of_a_channel() -> None:
    images = torch.randint(256, (50, 3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels = images.double().div(255).transpose(0, 1).flatten(1)
    found = torch.tensor(channel_statistics(images), dtype=torch.float64)
    assert torch.allclose(found[:, 0], pixels.mean(dim=1), rtol=1e-12)
    assert torch.allclose(found[:, 1], pixels.std(dim=1, correction=0), rtol=1e-12)


def test_computed_normalisation_gives_mean_0_and_deviation_1() -> None:
    images, _ = load(MnistSample(mean="computed", std="computed")).train.batch(slice(None))
    assert abs(images.mean().item()) < 1e-4
    assert abs(images.std().item() - 1) < 1e-4


def test_one_of_the_two_may_be_computed() -> None:
    found = load(MnistSample(mean="computed", std=(0.5,)))
    assert found.train.std.item() == 0.5
    assert found.train.mean.item() == pytest.approx(0.1307, abs=0.002)


# --- EMNIST


class TinyEmnist(Emnist):
    """Not in the table: letters in images of 3x2, six to train and three to test."""

    image = (1, 3, 2)
    num_train_stored = 6
    num_test_stored = 3


def test_images_of_emnist_are_turned_and_letters_begin_at_1() -> None:
    dataset = TinyEmnist(split="letters")
    contents = (idx_images(6), idx_labels([1, 2, 26, 3, 1, 1]), idx_images(3), idx_labels([1, 2, 3]))
    write_files(Path("data/EMNIST/raw"), dict(zip(dataset.file_names, contents, strict=True)))
    found = load(dataset)
    assert found.train.labels.tolist() == [0, 1, 25, 2, 0, 0]
    stored = torch.tensor([31 * number % 256 for number in range(6)]).view(3, 2)
    assert found.train.images[0, 0].flatten().tolist() == stored.T.flatten().tolist()


@pytest.mark.parametrize("wrong", [0, 27])
def test_label_of_no_letter_is_named(wrong: int) -> None:
    dataset = TinyEmnist(split="letters")
    contents = (idx_images(6), idx_labels([1, 2, wrong, 3, 1, 1]), idx_images(3), idx_labels([1, 2, 3]))
    write_files(Path("data/EMNIST/raw"), dict(zip(dataset.file_names, contents, strict=True)))
    with pytest.raises(DataError) as caught:
        load(dataset)
    assert f" holds the label {wrong} (image 2), where labels are 1 to 26; replace it, or " in str(caught.value)


# --- Made images


def test_made_images_follow_from_their_seed_alone() -> None:
    first = load(Synthetic(seed=3))
    torch.manual_seed(99)
    again, other = load(Synthetic(seed=3)), load(Synthetic(seed=4))
    assert torch.equal(first.train.images, again.train.images)
    assert torch.equal(first.test.images, again.test.images)
    assert not torch.equal(first.train.images, other.train.images)


def test_made_images_are_as_many_of_each_class_and_all_different() -> None:
    found = load(Synthetic(train_size=80, num_classes=8, image=(3, 6, 9)))
    assert found.train.images.shape == (80, 3, 6, 9)
    assert found.train.labels.bincount().tolist() == [10] * 8
    assert len(torch.cat([found.train.images, found.test.images]).flatten(1).unique(dim=0)) == 280


def test_made_images_are_made_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.data.synthetic.NUMBERS_AT_ONCE", 28 * 28 * 70)
    assert load(Synthetic()).train.labels.bincount().tolist() == [100] * 10


# --- Training for real

NETWORK = """\
input: [1, 28, 28]
layers:
  - conv2d: {out_channels: 16, kernel_size: 5, stride: 2}
  - relu
  - max_pool2d: {kernel_size: 2}
  - flatten
  - linear: {out_features: 10}
training:
  dataset: synthetic
  epochs: 3
  batch_size: 50
  loss: cross_entropy
  optimizer: {adam: {lr: 0.01}}
  device: cpu
"""


def trained(capsys: pytest.CaptureFixture[str], *overrides: str) -> float:
    """The accuracy that a run of the network reaches."""
    Path("net.yaml").write_text(NETWORK)
    assert runner.main(["net.yaml", *overrides, "--quiet"]) == 0
    capsys.readouterr()
    (summary,) = Path("runs/net").glob("*/summary.json")
    return float(json.loads(summary.read_text())["test"]["accuracy"])


def test_network_learns_made_images(capsys: pytest.CaptureFixture[str]) -> None:
    assert trained(capsys, "training.validation={size: 100}") > 0.8


def test_network_learns_pictures_in_folders(capsys: pytest.CaptureFixture[str]) -> None:
    """The embedded digits, as somebody's own pictures."""
    sample = load(MnistSample(train_size=400, test_size=100))
    for part, images in (("train", sample.train), ("test", sample.test)):
        for number, (image, label) in enumerate(zip(images.images, images.labels.tolist(), strict=True)):
            folder = Path("pictures", part, str(label))
            folder.mkdir(parents=True, exist_ok=True)
            Image.frombytes("L", (28, 28), bytes(image.flatten().tolist())).save(folder / f"{number:03}.png")
    dataset = "{image_folder: {path: pictures, image: [1, 28, 28], classes: 10}}"
    assert trained(capsys, f"training.dataset={dataset}", "training.epochs=4") > 0.7


def test_tiny_files_are_those_of_a_data_set() -> None:
    assert Tiny().file_names == FILE_NAMES
