"""What a finished run makes of images: `runner.py test` and `runner.py predict`."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from builder.data.images import Images, load_data
from builder.data.pictures import find_pictures, read_picture
from builder.exits import Status, Stop, UsageError, output, reported, say, stop_if_asked
from builder.modules import Call
from builder.runs.trained import TrainedRun, load_run, probabilities
from builder.table import Column, Table
from builder.training.device import choose_device
from builder.training.engine import Engine, apply_settings
from builder.training.evaluation import TEST_BATCH_SIZE, TestResult, evaluate, itself
from builder.training.failures import explained

PICTURES_AT_ONCE = 100  # in memory, and in a batch
LESS_MEMORY = "free some, or choose another device with --device"


@dataclass(frozen=True)
class Prediction:
    """What a network takes a picture for: its most probable classes, with their probabilities, the likeliest first."""

    picture: Path
    classes: Sequence[tuple[str, float]]


@explained(f"with {TEST_BATCH_SIZE:,} images at a time; {LESS_MEMORY}", "testing")
def test(
    run: str,
    runs: Path,
    *,
    data_dir: Path | None,
    offline: bool,
    device: str | None,
    quiet: bool,
) -> Status:
    """Test a finished run on the test images of its data set, and print how it does.

    Args:
        run: its folder, or `latest`.
        runs: where runs are kept.
        data_dir: where the data set lies, or is downloaded to.
        offline: whether nothing may be downloaded.
        device: the name of one; by default a GPU if there is one, wherever the network was trained.
        quiet: whether only the results are printed.

    Raises:
        TrainingError: memory runs out.
    """
    trained = load_run(run, runs)
    where = choose_device(device or "auto")
    data = load_data(trained.dataset, data_dir=data_dir, offline=offline, device=where, quiet=quiet)
    if data.fallback_used:
        say(f"testing on {data.dataset.kind} instead of {trained.dataset.kind}: {data.fallback_reason}")
    loss = trained.recipe.loss.test_loss().to(where)
    images = replace(data.test, mean=trained.mean.to(where), std=trained.std.to(where))
    model = trained.model.to(where)
    result = evaluate(model, images, loss, stop_if_asked, _as_in_training(trained, where))
    with output() as stream:
        test_table(trained.plan.name, data.dataset.kind, result).print(stream)
        stream.write("\n")
        class_table(data.dataset.classes, result).print(stream)
    return Status.DONE


def _as_in_training(trained: TrainedRun, device: torch.device) -> Callable[[nn.Module], Call]:
    """How the run called networks to test them, so that the same comes out; in float32 if the device can't do that."""
    recipe = trained.recipe.changed(precision=trained.precision, compile=False)
    apply_settings(recipe)
    try:
        return Engine(recipe, trained.model, device).testing
    except UsageError:
        say(f"computing in float32: {device} doesn't compute in {trained.precision}, as the run did")
        return itself


@explained(f"with {PICTURES_AT_ONCE} pictures at a time; {LESS_MEMORY}", "predicting")
def predict(run: str, paths: Sequence[str], runs: Path, *, device: str | None) -> Status:
    """Print what a finished run takes pictures for; those that can't be read are said, and the others predicted.

    Args:
        run: its folder, or `latest`.
        paths: pictures, and folders of pictures.
        runs: where runs are kept.
        device: the name of one; by default a GPU if there is one.

    Raises:
        TrainingError: memory runs out.
    """
    trained = load_run(run, runs)
    where = choose_device(device or "auto")
    call = _as_in_training(trained, where)(trained.model.to(where).eval())
    pictures, status = _found(paths)
    predictions: list[Prediction] = []
    for start in range(0, len(pictures), PICTURES_AT_ONCE):
        stop_if_asked()
        read, failure = _read(pictures[start : start + PICTURES_AT_ONCE], trained)
        status = status or failure
        predictions += _predicted(read, trained, call, where) if read else ()
    if predictions:
        with output() as stream:
            prediction_table(predictions).print(stream)
    return status


def _found(paths: Sequence[str]) -> tuple[Sequence[Path], Status]:
    """The pictures at these paths and below them, each once; what isn't there is said."""
    pictures: dict[Path, None] = {}
    status = Status.DONE
    for path in paths:
        try:
            pictures |= dict.fromkeys(find_pictures(Path(path)))
        except Stop as stop:
            status = reported(stop)
    return tuple(pictures), status


def _read(pictures: Sequence[Path], trained: TrainedRun) -> tuple[dict[Path, Tensor], Status]:
    """The pictures as the network wants them, uint8; what can't be read is said."""
    read: dict[Path, Tensor] = {}
    status = Status.DONE
    for picture in pictures:
        try:
            read[picture] = read_picture(picture, trained.plan.spec.input, trained.dataset.kind)
        except Stop as stop:
            status = reported(stop)
    return read, status


@torch.inference_mode()
def _predicted(read: dict[Path, Tensor], trained: TrainedRun, call: Call, device: torch.device) -> list[Prediction]:
    unlabelled = torch.zeros(len(read), dtype=torch.int64)
    images = Images(torch.stack(list(read.values())), unlabelled, trained.mean, trained.std)
    inputs, _ = images.batch(slice(None))
    shares = probabilities(call(inputs.to(device)).cpu())
    names = trained.dataset.classes
    best = shares.topk(min(2, len(names)), dim=1)
    return [
        Prediction(picture, [(names[index], share) for index, share in zip(indices, row, strict=True)])
        for picture, indices, row in zip(read, best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def prediction_table(predictions: Sequence[Prediction]) -> Table:
    """A picture a row."""
    columns = (
        Column("picture"),
        Column("class"),
        Column("probability", "right"),
        Column("second", drop=2),
        Column("its probability", "right", drop=1),
    )
    rows = [
        (str(prediction.picture), *(cell for name, share in prediction.classes for cell in (name, f"{share:.1%}")))
        for prediction in predictions
    ]
    return Table(columns[: len(rows[0])], rows)


def test_table(name: str, dataset: str, result: TestResult) -> Table:
    """How a network does on the whole."""
    rows = [
        ("data set", dataset),
        ("test loss", f"{result.loss:.4f}"),
        ("test accuracy", f"{result.accuracy:.2%} ({result.correct:,} of {result.total:,})"),
    ]
    return Table((Column("test"), Column(name)), rows)


def class_table(classes: Sequence[str], result: TestResult) -> Table:
    """How it does on each class, and which other one it takes its images for most often."""
    columns = (
        Column("class"),
        Column("accuracy", "right"),
        Column("correct", "right", drop=2),
        Column("images", "right", drop=1),
        Column("most often taken for", drop=3),
    )
    rows = []
    for index, counts in enumerate(result.confusion.tolist()):
        share = result.per_class[index]
        mistakes = Counter(dict(zip(classes, counts, strict=True)))
        del mistakes[classes[index]]
        other, count = mistakes.most_common(1)[0] if mistakes else ("", 0)
        taken_for = f"{other} ({count:,})" if count else ""
        accuracy = "" if share is None else f"{share:.2%}"
        rows.append((classes[index], accuracy, f"{counts[index]:,}", f"{sum(counts):,}", taken_for))
    return Table(columns, rows)
