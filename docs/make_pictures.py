"""The pictures of docs/recipes.md: what each augmentation does to an image, and the curve of each scheduler.

    python docs/make_pictures.py

Needs the extras `train` and `dev`. With the same versions of torch and matplotlib, the pictures are the same.
"""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from torch import Generator, Tensor, nn

from builder.data.images import load_data
from builder.recipe import Augmentation, Dataset, Recipe, Scheduler
from builder.training.augmentation import Augmentations
from builder.training.schedule import Schedule

PICTURES = Path(__file__).parent / "pictures"
DRAWS = 8
SHOWN = 2  # the image of the embedded sample that is augmented: it should have no symmetry

# What is shown of each augmentation: parameters that make it plain to see.
AUGMENTATIONS: Mapping[str, Mapping[str, Any]] = {
    "random_rotation": {"degrees": 15, "interpolation": "bilinear"},
    "random_affine": {
        "degrees": 10,
        "translate": [0.1, 0.1],
        "scale": [0.8, 1.2],
        "shear": 15,
        "interpolation": "bilinear",
    },
    "random_translate": {"translate": [0.15, 0.15]},
    "random_crop": {"padding": 3},
    "random_horizontal_flip": {},
    "random_vertical_flip": {},
    "random_erasing": {"p": 1, "value": "random"},
    "cutout": {"size": 14},
    "elastic_transform": {"alpha": 60},
    "color_jitter": {"brightness": 0.6, "contrast": 0.6},
    "gaussian_noise": {"sigma": 0.2},
    "mixup": {"alpha": 1},
}

EPOCHS, STEPS_PER_EPOCH = 10, 50
LR = 0.1
# A loss that falls for a while, and again after each fall of the rate: what `reduce_on_plateau` looks at.
LOSSES = (1.0, 0.6, 0.5, 0.5, 0.5, 0.4, 0.4, 0.4, 0.39, 0.39)
SCHEDULES: Mapping[str, Mapping[str, Any]] = {
    "one_cycle": {"one_cycle": {"max_lr": LR}},
    "cosine": {"cosine": {}},
    "cosine_restarts": {"cosine_restarts": {"T_0": 2, "T_mult": 2}},
    "linear": {"linear": {"start_factor": 1, "end_factor": 0}},
    "polynomial": {"polynomial": {"power": 2}},
    "step": {"step": {"step_size": 3, "gamma": 0.3}},
    "multi_step": {"multi_step": {"milestones": [5, 8], "gamma": 0.3}},
    "exponential": {"exponential": {"gamma": 0.75}},
    "reduce_on_plateau": {"reduce_on_plateau": {"factor": 0.3, "patience": 1}},
}


def main() -> None:
    """Write both pictures."""
    mpl.use("agg")
    plt.rcParams.update({"font.size": 9, "font.family": "DejaVu Sans", "svg.hashsalt": "", "savefig.dpi": 110})
    PICTURES.mkdir(exist_ok=True)
    augmentations(PICTURES / "augmentations.png")
    schedulers(PICTURES / "schedulers.png")


def augmentations(path: Path) -> None:
    """A row for each augmentation: the image itself, and as several draws make it."""
    assert set(AUGMENTATIONS) == set(Augmentation.table), "add the augmentation to AUGMENTATIONS"
    dataset = Dataset.table["mnist_sample"]()
    images = load_data(dataset, data_dir=None, offline=True, device=torch.device("cpu")).train.pixels(slice(0, 200))
    copies = images[SHOWN].expand(DRAWS, -1, -1, -1)
    others = images[torch.arange(len(images)) != SHOWN]
    figure, axes = plt.subplots(len(AUGMENTATIONS), DRAWS + 1, figsize=(9, 10.2))
    for row, (kind, written) in zip(axes, AUGMENTATIONS.items(), strict=True):
        augment = Augmentations([Augmentation.table[kind].read(written)], 10, Generator().manual_seed(1))
        labels = torch.zeros(len(copies) + len(others), dtype=torch.int64)
        found, _ = augment(torch.cat([copies, others]), labels)  # the others are there for `mixup`
        for place, image in zip(row, [images[SHOWN], *found[:DRAWS]], strict=True):
            show(place, image)
        label(row[0], kind, written)
    axes[0, 0].set_title("as it is")
    axes[0, DRAWS // 2].set_title("as eight draws make it", loc="left")
    figure.subplots_adjust(left=0.22, right=0.995, top=0.97, bottom=0.005, wspace=0.06, hspace=0.06)
    figure.savefig(path, metadata={"Software": None})


def label(place: Axes, kind: str, written: Mapping[str, Any]) -> None:
    """The kind, and below it its parameters, to the left of an image."""
    parameters = textwrap.wrap(_parameters(written), width=31)
    middle = 0.5 + 0.085 * (len(parameters) - 1)  # where the lines, taken together, lie in the middle
    place.text(-0.12, middle + 0.03, kind, ha="right", va="bottom", weight="bold", transform=place.transAxes)
    text = "\n".join(parameters)
    place.text(-0.12, middle, text, ha="right", va="top", color="0.35", fontsize=8, transform=place.transAxes)


def show(place: Axes, image: Tensor) -> None:
    """One image, without axes; black is 0 and white is 1, whatever it holds."""
    place.imshow(image[0], cmap="gray", vmin=0, vmax=1)
    place.set_axis_off()


def _parameters(written: Mapping[str, Any]) -> str:
    """As in a spec; a line may end between two, and not within one."""
    return ", ".join(f"{name}: {value}".replace(" ", "\N{NO-BREAK SPACE}") for name, value in written.items())


def schedulers(path: Path) -> None:
    """A curve for each scheduler, and one for a warm-up."""
    assert set(SCHEDULES) == set(Scheduler.table), "add the scheduler to SCHEDULES"
    panels = [(kind, curve({"scheduler": written}), written[kind]) for kind, written in SCHEDULES.items()]
    warm_up = {"epochs": 2}
    panels.append(("warmup, then cosine", curve({"scheduler": "cosine", "warmup": warm_up}), warm_up))
    figure, axes = plt.subplots(2, 5, figsize=(12, 4.6), sharex=True, sharey=True)
    for place, (kind, rates, written) in zip(axes.flat, panels, strict=True):
        place.plot([step / STEPS_PER_EPOCH for step in range(len(rates))], rates, color="tab:blue", linewidth=1.8)
        place.set_title(kind, weight="bold", loc="left", pad=16)
        place.text(0, 1.03, _parameters(written), color="0.35", fontsize=8, transform=place.transAxes)
        place.set_xticks(range(0, EPOCHS + 1, 2))
        place.grid(visible=True, color="0.9")
        place.spines[["top", "right"]].set_visible(False)
    for place in axes[1]:
        place.set_xlabel("epoch")
    for place in axes[:, 0]:
        place.set_ylabel("learning rate")
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})


def curve(written: Mapping[str, Any]) -> list[float]:
    """The learning rate of each step of a run with this scheduler and warm-up."""
    recipe = Recipe.read(
        {
            "dataset": "mnist_sample",
            "validation": {"size": 1000},
            "epochs": EPOCHS,
            "batch_size": 80,
            "loss": "cross_entropy",
            "optimizer": {"sgd": {"lr": LR, "momentum": 0.9}},
        }
        | dict(written)
    )
    optimizer = recipe.optimizer.optimizer([nn.Parameter(torch.zeros(1))])
    schedule = Schedule(recipe, optimizer, STEPS_PER_EPOCH)
    rates = []
    for loss in LOSSES:
        for _ in range(STEPS_PER_EPOCH):
            rates.append(schedule.lr)
            optimizer.step()
            schedule.after_step()
        schedule.after_epoch(loss)
    return rates


if __name__ == "__main__":
    main()
