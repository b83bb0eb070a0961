"""A finished run taken up again: its network loaded, tested, and shown pictures."""

import io
import json
import os
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

import runner
from builder import SpecError, build_model, load_model, load_spec, make_plan
from builder.data.images import Data, load_data
from builder.exits import UsageError
from builder.recipe.datasets import MnistSample
from builder.report import predictions
from builder.report.predictions import Prediction, class_table, predict, prediction_table
from builder.runs.directory import RunDirectory
from builder.runs.trained import load_run, probabilities
from builder.training import evaluation
from builder.training.engine import Engine
from builder.training.evaluation import evaluate

SPEC = """\
name: glance
input: [1, 28, 28]
layers:
  - conv2d: {out_channels: 8, kernel_size: 5, stride: 3}
  - batch_norm2d
  - relu
  - flatten
  - linear: {out_features: 10}
training:
  dataset: {mnist: {fallback: mnist_sample}}
  epochs: 1
  batch_size: 100
  loss: {cross_entropy: {label_smoothing: 0.1}}
  optimizer: {sgd: {lr: 0.1, momentum: 0.9}}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the sample, in place of MNIST: one pass over its images in plain torch."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "glance.yaml").write_text(SPEC, encoding="utf-8")
    spec = load_spec(folder / "glance.yaml")
    torch.manual_seed(1)
    model = build_model(make_plan(spec))
    data = sample()
    for indices in torch.randperm(len(data.train)).split(50):
        inputs, labels = data.train.batch(indices)
        loss = nn.functional.cross_entropy(model(inputs), labels)
        parameters = list(model.parameters())
        with torch.no_grad():
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter.sub_(0.3 * gradient)
    directory = RunDirectory.create(folder / "runs", spec)
    directory.save_weights(model)
    result = evaluate(model, data.test, nn.CrossEntropyLoss())
    directory.save_summary(
        {"dataset": "mnist_sample", "precision": "float32", "test": {"loss": result.loss, "accuracy": result.accuracy}}
    )
    return directory.path


def sample() -> Data:
    return load_data(MnistSample(), data_dir=None, offline=True, device=torch.device("cpu"))


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be damaged."""
    copy = tmp_path / "runs" / "glance" / "1"
    copy.mkdir(parents=True)
    for file in finished.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    return copy


# --- load_model ---


def test_a_loaded_network_does_as_its_run_did_and_is_ready_for_use(finished: Path) -> None:
    model = load_model(finished)
    assert isinstance(model, nn.Sequential)
    assert not model.training
    summary = json.loads((finished / "summary.json").read_text(encoding="utf-8"))
    result = evaluate(model, sample().test, nn.CrossEntropyLoss())
    assert {"loss": result.loss, "accuracy": result.accuracy} == summary["test"]
    assert result.accuracy > 0.8


def test_loading_a_network_draws_no_random_numbers(finished: Path) -> None:
    before = torch.get_rng_state()
    load_model(str(finished))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_run_without_weights_says_how_to_resume_it(run: Path) -> None:
    (run / "weights.pt").unlink()
    with pytest.raises(UsageError) as caught:
        load_model(run)
    assert str(caught.value) == (
        f"the run {run} is not finished, it has no weights.pt; resume it with: python runner.py --resume {run}"
    )


def test_a_run_without_a_summary_is_not_finished_either(run: Path) -> None:
    (run / "summary.json").unlink()
    load_model(run)
    with pytest.raises(UsageError, match=r"is not finished, it has no summary\.json; resume it with: "):
        load_run(run)


def test_a_flipped_bit_in_the_weights_is_told_or_changes_nothing(run: Path) -> None:
    file = run / "weights.pt"
    content = file.read_bytes()
    right = load_model(run).state_dict()
    draw = random.Random(1)  # noqa: S311  # no secret
    said = set()
    for _ in range(60):
        damaged = bytearray(content)
        damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        file.write_bytes(damaged)
        try:
            weights = load_model(run).state_dict()
        except UsageError as error:
            said.add(str(error))
        else:
            assert all(torch.equal(weights[name], tensor) for name, tensor in right.items())
    assert said == {f"{file} is damaged, or not the weights of a run; run resolved.yaml beside it again"}


@pytest.mark.parametrize("length", [0, 1, 100, 5000, -1])
def test_truncated_weights_are_told(run: Path, length: int) -> None:
    file = run / "weights.pt"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(UsageError, match="is damaged, or not the weights of a run"):
        load_model(run)


class Runs:
    """Unpickled, it would run a command."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch it_ran",)


@pytest.mark.parametrize("content", [Runs(), [1, 2], {"conv2d_1.weight": 3}, "text"])
def test_what_is_no_mapping_of_tensors_is_refused_and_nothing_runs(
    run: Path, content: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    torch.save(content, run / "weights.pt")
    with pytest.raises(UsageError, match="is damaged, or not the weights of a run"):
        load_model(run)
    assert not (run / "it_ran").exists()


def test_weights_of_another_network_are_refused_by_the_first_that_differs(run: Path) -> None:
    weights = torch.load(run / "weights.pt", weights_only=True)
    larger = weights | {"conv2d_1.weight": torch.zeros(16, 1, 5, 5)}
    fewer = {name: tensor for name, tensor in weights.items() if name != "linear_1.bias"}
    for changed, misfit in (
        (larger, "its `conv2d_1.weight` is 16x1x5x5, where the network has 8x1x5x5"),
        (fewer, "it has no `linear_1.bias`"),
        (weights | {"linear_2.bias": torch.zeros(3)}, "the network has no `linear_2.bias`"),
        (
            weights | {"batch_norm2d_1.num_batches_tracked": torch.zeros(2)},
            "its `batch_norm2d_1.num_batches_tracked` is 2, where the network has a number",
        ),
    ):
        torch.save(changed, run / "weights.pt")
        with pytest.raises(UsageError) as caught:
            load_model(run)
        assert str(caught.value) == f"{run / 'weights.pt'} doesn't fit resolved.yaml beside it: {misfit}"


def test_a_resolved_spec_with_errors_is_reported_as_any_spec(run: Path) -> None:
    file = run / "resolved.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("relu", "relux"), encoding="utf-8")
    with pytest.raises(SpecError, match="unknown kind `relux`"):
        load_model(run)


@pytest.mark.parametrize("path", ["", "nothing/here", "glance.yaml"])
def test_what_is_no_run_is_a_usage_error(run: Path, path: str) -> None:
    (run / "glance.yaml").write_text(SPEC, encoding="utf-8")
    with pytest.raises(UsageError):
        load_model(run.parent / path)


# --- load_run ---


def test_a_run_knows_the_data_set_that_it_really_used(finished: Path) -> None:
    loaded = load_run("latest", finished.parent.parent)
    assert loaded.folder == finished
    assert loaded.recipe.dataset.kind == "mnist"
    assert loaded.dataset.kind == "mnist_sample"
    assert loaded.mean.shape == (1, 1, 1)
    assert loaded.mean.item() == pytest.approx(0.1307)


@pytest.mark.parametrize("summary", ['{"dataset": "cifar10"}', "{}"])
def test_a_summary_that_names_another_data_set_is_refused(run: Path, summary: str) -> None:
    (run / "summary.json").write_text(summary, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_run(run)
    assert str(caught.value) == (
        f"{run / 'summary.json'} names no data set of resolved.yaml; run resolved.yaml beside it again"
    )


def test_a_computed_mean_is_the_one_that_the_run_computed(run: Path) -> None:
    file = run / "resolved.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("mean: 0.1307", "mean: computed"), encoding="utf-8")
    with pytest.raises(UsageError, match="has no numbers for `mean`"):
        load_run(run)
    summary = '{"dataset": "mnist", "precision": "float32", "mean": [0.25]}'
    (run / "summary.json").write_text(summary, encoding="utf-8")
    assert load_run(run).mean.flatten().tolist() == [0.25]


# --- probabilities ---


def test_probabilities_follow_from_scores_log_probabilities_and_probabilities_alike() -> None:
    scores = torch.randn(50, 10, generator=torch.Generator().manual_seed(1)) * 5
    right = scores.softmax(dim=1)
    for given in (scores, scores.log_softmax(dim=1), right):
        assert torch.allclose(probabilities(given), right, atol=1e-6)
    assert torch.equal(probabilities(right), right)


# --- runner.py test ---


def test_testing_a_run_gives_what_its_summary_says(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = predictions.test(str(run), run.parent, data_dir=None, offline=True, device="cpu", quiet=False)
    printed = capsys.readouterr()
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))["test"]
    assert (status, printed.err) == (0, "")
    lines = [line.split() for line in printed.out.splitlines() if line]
    assert lines[0] == ["test", "glance"]
    assert ["data", "set", "mnist_sample"] in lines
    assert ["test", "loss", f"{summary['loss']:.4f}"] in lines
    correct = round(summary["accuracy"] * 1000)
    assert ["test", "accuracy", f"{summary['accuracy']:.2%}", f"({correct}", "of", "1,000)"] in lines
    per_class = lines[-10:]
    assert [line[0] for line in per_class] == list("0123456789")
    assert sum(int(line[2]) for line in per_class) == correct
    assert {line[3] for line in per_class} == {"100"}


def summary_with(run: Path, **changes: object) -> None:
    file = run / "summary.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def test_a_run_is_tested_in_its_own_precision(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary_with(run, precision="bfloat16")
    predictions.test(str(run), run.parent, data_dir=None, offline=True, device="cpu", quiet=True)
    model = load_model(run)
    recipe = load_spec(run / "resolved.yaml").require_recipe().changed(precision="bfloat16")
    engine = Engine(recipe, model, torch.device("cpu"))
    right = evaluate(model, sample().test, nn.CrossEntropyLoss(), calling=engine.testing)
    assert right.loss != evaluate(model, sample().test, nn.CrossEntropyLoss()).loss
    printed = capsys.readouterr()
    assert f"{right.loss:.4f}" in printed.out
    assert f"({right.correct} of 1,000)" in printed.out
    assert printed.err == ""


def test_where_a_precision_is_not_to_be_had_a_run_is_tested_in_float32(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary_with(run, precision="float16")
    predictions.test(str(run), run.parent, data_dir=None, offline=True, device="cpu", quiet=True)
    assert capsys.readouterr().err == "yamlnet: computing in float32: cpu doesn't compute in float16, as the run did\n"


@pytest.mark.parametrize("precision", [None, "float8", ["float32"]])
def test_a_summary_without_a_precision_is_refused(run: Path, precision: object) -> None:
    summary_with(run, precision=precision)
    with pytest.raises(UsageError, match=r"has no word for `precision`; run resolved\.yaml beside it again"):
        load_run(run)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")], ids=str)
def test_a_test_that_runs_out_of_memory_is_a_sentence(
    error: Exception, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(predictions, "evaluate", full)
    assert runner.main(["test", str(run), "--offline", "--device", "cpu"]) == 4
    assert capsys.readouterr().err == (
        f"yamlnet: testing stopped: out of memory with {evaluation.TEST_BATCH_SIZE:,} images at a time; free some, or "
        "choose another device with --device\n"
    )


def test_latest_is_no_run_where_the_folder_of_one_is_wanted() -> None:
    with pytest.raises(UsageError) as caught:
        load_model("latest")
    assert str(caught.value) == "`latest` names no run here; write the folder of one, such as runs/net/1"


def test_a_class_is_shown_with_what_it_is_most_often_taken_for() -> None:
    scores = torch.tensor([[9.0, 0, 0], [0, 9, 0], [0, 9, 0], [0, 0, 9], [9, 0, 0]])
    table = class_table(("cat", "dog", "emu"), evaluation.TestResult(0.5, scores, torch.tensor([0, 0, 0, 0, 1])))
    assert table.rows == [
        ("cat", "25.00%", "1", "4", "dog (2)"),
        ("dog", "0.00%", "0", "1", "cat (1)"),
        ("emu", "", "0", "0", ""),
    ]


# --- runner.py predict ---


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """A picture of each digit from the test images, the first of each that the plain network gets right."""
    folder = tmp_path / "digits"
    folder.mkdir()
    images = sample().test
    for digit in range(10):
        position = int((images.labels == digit).nonzero()[3])
        picture = Image.frombytes("L", (28, 28), bytes(images.images[position].flatten().tolist()))
        picture.save(folder / f"{digit}.png")
    return folder


def test_pictures_of_a_folder_are_predicted_in_order(
    run: Path, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(str(run), [str(digits), str(digits / "3.png")], run.parent, device="cpu") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = [line.split() for line in printed.out.splitlines()[2:]]
    assert [Path(line[0]).name for line in lines] == [f"{digit}.png" for digit in range(10)]
    assert sum(Path(line[0]).stem == line[1] for line in lines) >= 8
    loaded = load_run(run)
    inputs, _ = sample().test.batch(slice(None))
    position = int((sample().test.labels == 7).nonzero()[3])
    with torch.no_grad():
        shares = loaded.model(inputs[position : position + 1]).softmax(dim=1)[0]
    assert lines[7][1:] == [
        cell
        for share, index in zip(*shares.topk(2), strict=True)
        for cell in (str(index.item()), f"{share.item():.1%}")
    ]


def test_what_cannot_be_read_is_said_and_the_others_are_predicted(
    run: Path, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (digits / "4.png").write_text("four", encoding="utf-8")
    words = [str(digits), "missing.png"]
    assert predict(str(run), words, run.parent, device="cpu") == 2
    printed = capsys.readouterr()
    assert printed.err == (
        "yamlnet: there is no picture missing.png\n"
        f"yamlnet: {digits / '4.png'} is no picture of a kind that is read (PNG, JPEG, BMP, GIF, WEBP, PPM)\n"
    )
    assert len(printed.out.splitlines()) == 2 + 9


def test_a_prediction_that_runs_out_of_memory_is_a_sentence(
    run: Path, digits: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(predictions, "_predicted", full)
    assert runner.main(["predict", str(run), str(digits), "--device", "cpu"]) == 4
    assert capsys.readouterr().err == (
        "yamlnet: predicting stopped: out of memory with 100 pictures at a time; free some, or choose another device "
        "with --device\n"
    )


def test_without_a_readable_picture_nothing_is_printed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict(str(run), ["missing.png"], run.parent, device="cpu") == 2
    assert capsys.readouterr().out == ""


def test_predictions_are_the_same_in_batches_of_any_size(
    run: Path, digits: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predict(str(run), [str(digits)], run.parent, device="cpu") == 0
    at_once = capsys.readouterr().out
    monkeypatch.setattr("builder.report.predictions.PICTURES_AT_ONCE", 3)
    assert predict(str(run), [str(digits)], run.parent, device="cpu") == 0
    assert capsys.readouterr().out == at_once


def test_predictions_fit_into_60_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", None)  # its terminal would tell another width
    for name, value in (("COLUMNS", "60"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    pictures = [Path(f"a/{'very/' * number}long/folder/picture.png") for number in (1, 9)]
    classes = [("ankle boot", 0.876), ("T-shirt/top", 0.1)]
    terminal = Terminal()
    prediction_table([Prediction(picture, classes) for picture in pictures]).print(terminal)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert lines[2].split() == ["a/very/long/folder/picture.png", "ankle", "boot", "87.6%"]
    assert lines[-1] == "not shown in this width: second, its probability"


def test_a_network_of_one_class_has_no_second() -> None:
    table = prediction_table([Prediction(Path("a.png"), [("only", 1.0)])])
    assert [column.title for column in table.columns] == ["picture", "class", "probability"]
