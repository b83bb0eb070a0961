"""The pictures, the table and the curves that are refreshed as a run goes."""

import csv
import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from builder.exits import UsageError
from builder.report import plots
from builder.report.results import results_csv
from builder.report.tensorboard import TensorBoard
from builder.requirements import require_tensorboard
from builder.training import evaluation

CLASSES = ("cat", "dog", "emu")
FILES = ("confusion_matrix.png", "curves.png", "mistakes.png")


def epoch(number: int) -> dict[str, float]:
    """A line of metrics."""
    falling = 1 / number
    return {
        "epoch": number,
        "step": 10 * number,
        "lr": 0.1 * falling,
        "train_loss": 2 * falling,
        "test_loss": 3 * falling,
        "test_accuracy": 1 - 0.5 * falling,
        "seconds": 1.5,
        "images_per_second": 100.0,
    }


METRICS = [epoch(number) for number in (1, 2, 3)]


def result(taken_for: Sequence[int], labels: Sequence[int], num_classes: int = 3) -> evaluation.TestResult:
    """Of images that are taken for these classes, each more surely than the one before."""
    scores = torch.nn.functional.one_hot(torch.tensor(taken_for), num_classes).float()
    sureness = torch.arange(1, len(taken_for) + 1).view(-1, 1) / len(taken_for)
    return evaluation.TestResult(0.5, 5 * sureness * scores, torch.tensor(labels))


def images(count: int, channels: int = 1, height: int = 6, width: int = 6) -> Tensor:
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def drawn(figure: Figure) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of characters that no font has
        figure.savefig(io.BytesIO(), format="png")


# --- pictures ---


def test_every_refresh_writes_three_pictures_and_leaves_nothing_else(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_text("of the epoch before", encoding="utf-8")
    assert plots.refresh(tmp_path, METRICS, result([0, 1, 2, 1], [0, 1, 1, 0]), images(4), ("cat", "$d_g$", "漢字"))
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(FILES)
    for name in FILES:
        with Image.open(tmp_path / name) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert min(picture.size) > 100


def test_curves_show_what_the_metrics_hold() -> None:
    figure = plots.curves(METRICS)
    drawn = [[line.get_label() for line in axes.lines] for axes in figure.axes]
    assert drawn == [["train", "test"], ["test"], ["lr"]]
    accuracies = np.asarray(figure.axes[1].lines[0].get_ydata())
    assert accuracies.tolist() == [line["test_accuracy"] for line in METRICS]
    kept_apart = [line | {"validation_loss": 1.0, "validation_accuracy": 0.5} for line in METRICS]
    drawn = [[line.get_label() for line in axes.lines] for axes in plots.curves(kept_apart).axes]
    assert drawn == [["train", "validation", "test"], ["validation", "test"], ["lr"]]


def test_the_confusion_matrix_counts_what_each_class_was_taken_for() -> None:
    figure = plots.confusion_matrix(result([0, 0, 1, 2, 2], [0, 0, 0, 2, 1]), CLASSES)
    assert texts(figure) == ["66.7%", "0.0%", "100.0%", "2", "1", "1", "1"]
    assert figure.axes[0].get_title() == "test accuracy 60.00% (3 of 5)"


def test_the_worst_mistakes_come_first_with_what_they_are_and_were_taken_for() -> None:
    figure = plots.mistakes(result([0, 1, 2, 1], [0, 2, 1, 0]), images(4), CLASSES)
    heading, *captions = texts(figure)
    assert heading == "worst mistakes, 3 of 3: is → taken for, how surely"
    assert [caption.rpartition("\n")[0] for caption in captions] == ["cat → dog", "dog → emu", "emu → dog"]
    shares = [float(caption.rpartition("\n")[2].removesuffix("%")) for caption in captions]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(98.7)  # softmax of (0, 5, 0)


def test_of_many_mistakes_the_worst_are_shown() -> None:
    figure = plots.mistakes(result([1] * 50, [0] * 50), images(50), CLASSES)
    assert texts(figure)[0].startswith("worst mistakes, 32 of 50:")
    assert len(figure.axes[0].images) == 32


def test_a_network_without_mistakes_gets_a_picture_that_says_so() -> None:
    assert texts(plots.mistakes(result([0, 1], [0, 1]), images(2), CLASSES)) == ["no mistakes"]


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 28, 28), (3, 150, 100), (2, 5, 9)])
def test_images_of_any_size_and_channels_are_drawn(channels: int, height: int, width: int) -> None:
    shown = images(3, channels, height, width)
    drawn(plots.mistakes(result([0, 1, 2], [1, 1, 1]), shown, CLASSES))


@pytest.mark.parametrize("num_classes", [2, 21, 62])
def test_names_of_any_characters_and_number_are_drawn(num_classes: int) -> None:
    names = [f"$x_{number}$ \\frac 漢字\x1b[31m" for number in range(num_classes)]
    test = result([0, 1], [1, 1], num_classes)
    drawn(plots.confusion_matrix(test, names))
    drawn(plots.mistakes(test, images(2), names))


def test_a_picture_that_cannot_be_drawn_is_said_and_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    assert not plots.refresh(gone, METRICS, result([0], [0]), images(1), CLASSES)
    said = capsys.readouterr().err
    assert said.startswith("yamlnet: the run's pictures are not drawn any more: can't write to ")
    assert said.count("\n") == 1
    assert not plots.refresh(tmp_path, [], result([0], [0]), images(1), CLASSES)


# --- results.csv ---


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_the_table_has_the_columns_of_the_metrics_and_a_row_per_epoch() -> None:
    content = results_csv(METRICS)
    assert content.decode().splitlines()[0] == ",".join(METRICS[0])
    assert [{name: float(value) for name, value in row.items()} for row in rows(content)] == METRICS


def test_a_column_that_comes_later_is_empty_before() -> None:
    content = results_csv([{"epoch": 1}, {"epoch": 2, "validation_loss": 0.5}])
    assert content == b"epoch,validation_loss\r\n1,\r\n2,0.5\r\n"
    assert results_csv([]) == b"\r\n"


# --- TensorBoard ---


def curve(folder: Path, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_each_metric_is_a_curve_over_the_epochs(tmp_path: Path) -> None:
    folder = tmp_path / "tensorboard"
    board = TensorBoard(folder)
    for number in range(len(METRICS)):
        board.draw(METRICS[: number + 1])
    events = EventAccumulator(str(folder))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {*METRICS[0]} - {"epoch", "step"}
    assert curve(folder, "train_loss") == [
        (1, 2),
        (2, 1),
        (3, pytest.approx(2 / 3)),
    ]


def lines(*losses: float) -> list[dict[str, float]]:
    return [{"epoch": number, "test_loss": loss} for number, loss in enumerate(losses, start=1)]


def test_a_resumed_run_has_each_epoch_once_in_the_same_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = TensorBoard(tmp_path)
    board.draw(lines(1))  # the second was killed between its checkpoint and the curves; the third is taken back
    monkeypatch.setattr("os.getpid", lambda: 99_999_998)
    board = TensorBoard(tmp_path)
    for losses in ([1, 1, 1], [1, 1, 1, 1]):
        board.draw(lines(*losses))
    monkeypatch.setattr("os.getpid", lambda: 99_999_999)  # the next process
    board = TensorBoard(tmp_path)
    for losses in ([1, 1, 2], [1, 1, 2, 2], [1, 1, 2, 2]):  # the last again, by a run that was killed behind it
        board.draw(lines(*losses))
    assert len(list(tmp_path.iterdir())) == 3
    assert curve(tmp_path, "test_loss") == [(1, 1), (2, 1), (3, 2), (4, 2)]


def test_curves_that_cannot_be_written_are_said_once_and_end_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = TensorBoard(tmp_path / "gone" / "tensorboard")
    board.draw(METRICS)
    assert capsys.readouterr().err == "yamlnet: the curves for TensorBoard end here: no such file or directory\n"


def test_without_tensorboard_the_option_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    require_tensorboard()
    monkeypatch.setattr("builder.requirements.find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        require_tensorboard()
    assert str(caught.value) == '--tensorboard needs tensorboard; install with: pip install "yamlnet[tensorboard]"'


@pytest.mark.parametrize("error", [ImportError("No module named 'pkg_resources'"), TypeError("Descriptors\nbla")])
def test_a_broken_tensorboard_is_a_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise error

    monkeypatch.setattr("builder.requirements.import_module", broken)
    with pytest.raises(UsageError) as caught:
        require_tensorboard()
    reason = str(error).partition("\n")[0]
    assert str(caught.value) == (
        f"--tensorboard needs tensorboard, which can't be imported ({reason}); "
        'install with: pip install "yamlnet[tensorboard]"'
    )
