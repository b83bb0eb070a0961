"""Pictures of a run, refreshed as it goes: its curves, its confusion matrix, its worst mistakes.

Drawn with matplotlib, the extra `plots`, on its Agg canvas: neither pyplot nor a window, and nobody's settings change.
"""

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from builder.exits import say
from builder.problems import printable
from builder.runs.storage import write
from builder.runs.trained import probabilities
from builder.training.evaluation import TestResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES_FILE = "curves.png"
CONFUSION_FILE = "confusion_matrix.png"
MISTAKES_FILE = "mistakes.png"

# Okabe & Ito's colours, which colour-blind people tell apart (jfly.uni-koeln.de/color).
COLOURS = {"train": "#0072B2", "validation": "#009E73", "test": "#D55E00"}
DOTS_PER_INCH = 100
MAX_NUMBERED = 20  # classes whose counts are written into the matrix
MAX_NAMED = 50  # classes whose names are written beside it
MISTAKES = (4, 8)  # rows and columns
TILE = 96  # pixels of an image in `mistakes.png`
CAPTION = 52  # pixels below it
GAP = 12  # pixels between two
HEADING = 36  # pixels above all
MAX_NAME = 14  # characters of a class's name


def refresh(
    folder: Path, metrics: Sequence[Mapping[str, Any]], test: TestResult, images: Tensor, classes: Sequence[str]
) -> bool:
    """Draw the pictures of a run anew, after an epoch; if that fails, say so and return False.

    Args:
        folder: of the run.
        metrics: the lines of `metrics.jsonl` so far.
        test: the test after the last of them.
        images: those of the test, uint8 (n, channels, height, width), in the order of its scores.
        classes: the names of the classes.
    """
    try:
        for name, figure in (
            (CURVES_FILE, curves(metrics)),
            (CONFUSION_FILE, confusion_matrix(test, classes)),
            (MISTAKES_FILE, mistakes(test, images, classes)),
        ):
            write(folder / name, _png(figure))
    except Exception as error:  # whatever it is, a picture must not end the training
        say(f"the run's pictures are not drawn any more: {error}")
        return False
    return True


def curves(metrics: Sequence[Mapping[str, Any]]) -> "Figure":
    """Losses, accuracy and learning rate over the epochs."""
    figure = _figure(12, 3.6)
    figure.subplots_adjust(left=0.05, right=0.985, bottom=0.15, top=0.9, wspace=0.22)
    epochs = [line["epoch"] for line in metrics]
    panels = {
        "loss": ("train_loss", "validation_loss", "test_loss"),
        "accuracy": ("validation_accuracy", "test_accuracy"),
        "learning rate at the epoch's end": ("lr",),
    }
    for axes, (title, names) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for name in names:
            if name in metrics[-1]:
                _curve(axes, epochs, [line[name] for line in metrics], name.partition("_")[0])
        _finish(axes, title)
    return figure


def _curve(axes: "Axes", epochs: Sequence[int], values: Sequence[float], part: str) -> None:
    marker = "o" if len(epochs) <= 30 else ""
    axes.plot(epochs, values, marker=marker, markersize=4, color=COLOURS.get(part, "0.25"), label=part)


def _finish(axes: "Axes", title: str) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if title == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    if len(axes.lines) > 1:
        axes.legend(frameon=False)


def confusion_matrix(test: TestResult, classes: Sequence[str]) -> "Figure":
    """What the images of each class were taken for: counts, coloured by their share of the class."""
    from matplotlib.colors import PowerNorm

    counts = test.confusion
    num_classes = len(classes)
    names = [_short(name) for name in classes] if num_classes <= MAX_NAMED else []
    side = max(3.0, 0.42 * min(num_classes, MAX_NUMBERED))
    longest = max(map(len, names), default=0)
    rotation = 90 if longest > 3 else 0
    left, bottom = 0.7 + 0.08 * longest, 0.6 + (0.08 * longest if rotation else 0)  # inches, as all of these
    width, height = left + side + 0.8, bottom + side + 0.4
    figure = _figure(width, height)
    axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
    shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    # A power, because the mistakes of a good network are a few in a hundred and should be seen too.
    axes.imshow(shares.numpy(), cmap="Blues", norm=PowerNorm(0.4, vmin=0, vmax=1))
    axes.set_title(f"test accuracy {test.accuracy:.2%} ({test.correct:,} of {test.total:,})", fontsize=11)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    _name_classes(axes, names, rotation, test.per_class)
    if num_classes <= MAX_NUMBERED:
        for row, column in counts.nonzero().tolist():
            colour = "white" if shares[row, column] > 0.3 else "black"
            axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=8, color=colour)
    return figure


def _name_classes(axes: "Axes", names: Sequence[str], rotation: int, per_class: Sequence[float | None]) -> None:
    """The names beside the rows and below the columns, and each row's accuracy."""
    size = 9 if len(names) <= MAX_NUMBERED else 6
    axes.tick_params(length=0, labelsize=size)
    axes.set_xticks(range(len(names)), names, rotation=rotation, parse_math=False)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    for row, (_, share) in enumerate(zip(names, per_class, strict=False)):
        if share is not None:
            beside = axes.get_yaxis_transform()  # across in shares of the matrix, down in rows
            axes.text(1.015, row, f"{share:.1%}", va="center", fontsize=size, color="0.35", transform=beside)


def mistakes(test: TestResult, images: Tensor, classes: Sequence[str]) -> "Figure":
    """The images that the network was surest about, and wrong: what each is, what it was taken for, how surely."""
    shares = probabilities(test.scores)
    certainty, taken_for = shares.max(dim=1)
    wrong = (taken_for != test.labels).nonzero().flatten()
    worst = wrong[certainty[wrong].argsort(descending=True, stable=True)][: MISTAKES[0] * MISTAKES[1]].tolist()
    columns = min(len(worst), MISTAKES[1]) or 4
    rows = -(-len(worst) // columns) or 1
    step = TILE + GAP
    height, width = HEADING + rows * (TILE + CAPTION), columns * step + GAP
    figure = _figure(width / DOTS_PER_INCH, height / DOTS_PER_INCH)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    counts = f"worst mistakes, {len(worst)} of {len(wrong):,}: is \u2192 taken for, how surely"
    axes.text(GAP, HEADING / 2, counts if worst else "no mistakes", va="center", fontsize=10)
    for place, index in enumerate(worst):
        row, column = divmod(place, columns)
        left, top = GAP + column * step, HEADING + row * (TILE + CAPTION)
        tile = _tile(images[index])
        axes.imshow(tile.numpy(), extent=(left, left + TILE, top + TILE, top), cmap="gray", vmin=0, vmax=255)
        caption = _caption(classes[int(test.labels[index])], classes[int(taken_for[index])], float(certainty[index]))
        axes.text(left + TILE / 2, top + TILE + 4, caption, ha="center", va="top", fontsize=8, parse_math=False)
    axes.set_xlim(0, width)  # pixels
    axes.set_ylim(height, 0)
    return figure


def _caption(true: str, taken_for: str, certainty: float) -> str:
    """On two lines, or on three if the names are long."""
    true, taken_for = _short(true), _short(taken_for)
    separator = " " if len(true + taken_for) <= 10 else "\n"
    return f"{true}{separator}\u2192 {taken_for}\n{certainty:.1%}"


def _short(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= MAX_NAME else f"{shown[: MAX_NAME - 3]}..."


def _tile(image: Tensor) -> Tensor:
    """An image, uint8 (channels, height, width), as it is shown: (side, side), or (side, side, 3) in colour."""
    colours = image if len(image) == 3 else image.float().mean(dim=0, keepdim=True)
    height, width = colours.shape[1:]
    top, left = (max(height, width) - height) // 2, (max(height, width) - width) // 2
    bottom, right = max(height, width) - height - top, max(height, width) - width - left
    square = pad(colours.float(), (left, right, top, bottom), value=255)
    if len(square[0]) > TILE:
        square = interpolate(square[None], size=(TILE, TILE), mode="bilinear", antialias=True, align_corners=False)[0]
    return square.round().to(torch.uint8).permute(1, 2, 0).squeeze(2)


def _figure(width: float, height: float) -> "Figure":
    """An empty one, of this size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH)


def _png(figure: "Figure") -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of characters that no font has: the box in their place is enough
        figure.savefig(stream, format="png")
    return stream.getvalue()
