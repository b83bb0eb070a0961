"""The loop against one that is written by hand, with torch's own classes only."""

from pathlib import Path
from typing import NoReturn

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from builder import build_model, load_spec, make_plan
from builder.data.images import Data, load_data
from builder.training.augmentation import Augmentations
from builder.training.keeper import Keeper
from builder.training.loop import EpochResult, train
from builder.training.session import Session

SPEC = """\
input: [1, 28, 28]
layers:
  - conv2d: {out_channels: 4, kernel_size: 5, stride: 3}
  - batch_norm2d
  - relu
  - flatten
  - dropout: {p: 0.3}
  - linear: {out_features: 10}
training:
  dataset: {synthetic: {train_size: 150, test_size: 20}}
  epochs: 2
  batch_size: 32
  loss: cross_entropy
  optimizer: {sgd: {lr: 0.05, momentum: 0.9}}
  seed: 3
"""
# What nothing but a choice of the recipe calls, and such a choice.
CHOICES: list[tuple[object, str, str]] = [
    (Augmentations, "__call__", "augmentations=[random_horizontal_flip]"),
    (AveragedModel, "update_parameters", "averaging=ema"),
    (nn.utils, "clip_grad_norm_", "clip_grad_norm=1"),
    (nn.utils, "clip_grad_value_", "clip_grad_value=1"),
    (LRScheduler, "step", "scheduler={exponential: {gamma: 0.9}}"),
    (nn.Module, "requires_grad_", "freeze=[conv2d_1]"),
    (torch, "autocast", "precision=bfloat16"),
    (Tensor, "contiguous", "channels_last=true"),
    (Tensor, "contiguous", "channels_last=auto"),
    (Tensor, "random_", "fast_algorithms=true"),
    (torch, "compile", "compile=true"),
]


def session(tmp_path: Path, *overrides: str) -> Session:
    """A run of the spec, before its first step; nothing is computed in another way than by torch's modules."""
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC, encoding="utf-8")
    plan = make_plan(load_spec(path, ["training.fast_algorithms=false", "training.channels_last=false", *overrides]))
    recipe = plan.spec.require_recipe()
    torch.manual_seed(recipe.seed)
    data = load_data(recipe.dataset, data_dir=None, offline=True, device=torch.device("cpu"))
    return Session(plan, build_model(plan), data)


def trained(session: Session) -> list[EpochResult]:
    return list(train(session, Keeper(), lambda num_images, loss: None))


def trained_by_hand(data: Data) -> tuple[nn.Module, list[float]]:
    """The network after the same two epochs, and the mean loss of each."""
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 5, stride=3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(4 * 8 * 8, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    order = torch.Generator().manual_seed(3)
    images, labels = data.train.images, data.train.labels
    losses = []
    for _ in range(2):
        total = 0.0
        for indices in torch.randperm(150, generator=order).split(32):
            inputs = (images[indices] / 255 - data.train.mean) / data.train.std
            loss = nn.functional.cross_entropy(model(inputs), labels[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(indices)
        losses.append(total / 150)
    return model, losses


def refuse(patch: pytest.MonkeyPatch, owner: object, name: str) -> None:
    """Let every call of it fail."""

    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise AssertionError(f"{name} was called")

    patch.setattr(owner, name, fail)


def test_two_epochs_give_the_bits_of_a_loop_written_by_hand(tmp_path: Path) -> None:
    ours = session(tmp_path)
    results = trained(ours)
    by_hand, losses = trained_by_hand(ours.data)
    assert [result.train_loss for result in results] == losses
    assert [result.step for result in results] == [5, 10]  # the last of each with 22 images
    pairs = zip(ours.model.state_dict().items(), by_hand.state_dict().values(), strict=True)
    assert [name for (name, our_tensor), tensor in pairs if not torch.equal(our_tensor, tensor)] == []


def test_a_plain_recipe_calls_nothing_that_nobody_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name, _ in CHOICES:
        refuse(monkeypatch, owner, name)
    ours = session(tmp_path)
    assert len(trained(ours)) == ours.recipe.epochs
    assert ours.tested_model is ours.model


@pytest.mark.parametrize(("owner", "name", "choice"), CHOICES)
def test_a_choice_calls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, choice: str
) -> None:
    refuse(monkeypatch, owner, name)
    with pytest.raises(AssertionError, match=f"^{name} was called$"):
        trained(session(tmp_path, f"training.{choice}"))
