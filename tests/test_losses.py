"""Losses: torch's own where torch has them, the formulas of their papers where it doesn't; labels or shares."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # its usual name
from torchvision.ops import sigmoid_focal_loss
from training_contract import INPUTS, LABELS, are_equal, network, recipe

from builder.recipe import Loss

GENERATOR = torch.Generator().manual_seed(1)
SCORES = torch.randn(6, 3, generator=GENERATOR)
TARGETS = torch.tensor([1, 2, 0, 0, 2, 1])
SHARES = torch.rand(6, 3, generator=GENERATOR).softmax(dim=1)
ONE_HOT = F.one_hot(TARGETS, 3).float()
WEIGHT = [0.5, 2.0, 1.5]
WEIGHTS = torch.tensor(WEIGHT)


def loss(written: Any) -> Loss:
    return recipe(loss=written).loss


# What is written, what the network gives, and torch's loss of it in training and in testing, for labels.
CONTRACT: list[tuple[Any, Tensor, Tensor, Tensor]] = [
    ("nll_loss", SCORES.log_softmax(1), F.cross_entropy(SCORES, TARGETS), F.cross_entropy(SCORES, TARGETS)),
    (
        {"nll_loss": {"weight": WEIGHT}},
        SCORES.log_softmax(1),
        F.nll_loss(SCORES.log_softmax(1), TARGETS, WEIGHTS),
        F.cross_entropy(SCORES, TARGETS),
    ),
    ("cross_entropy", SCORES, F.cross_entropy(SCORES, TARGETS), F.cross_entropy(SCORES, TARGETS)),
    (
        {"cross_entropy": {"label_smoothing": 0.3, "weight": WEIGHT}},
        SCORES,
        F.cross_entropy(SCORES, TARGETS, WEIGHTS, label_smoothing=0.3),
        F.cross_entropy(SCORES, TARGETS),
    ),
    ("mse_loss", SCORES, F.mse_loss(SCORES, ONE_HOT), F.mse_loss(SCORES, ONE_HOT)),
    ({"focal_loss": {"gamma": 0}}, SCORES, F.cross_entropy(SCORES, TARGETS), F.cross_entropy(SCORES, TARGETS)),
    (
        "focal_loss",
        SCORES,
        ((1 - SCORES.softmax(1)) ** 2 * -SCORES.log_softmax(1) * ONE_HOT).sum(1).mean(),
        ((1 - SCORES.softmax(1)) ** 2 * -SCORES.log_softmax(1) * ONE_HOT).sum(1).mean(),
    ),
]


def test_every_loss_is_compared() -> None:
    assert {next(iter(written), "") if isinstance(written, dict) else written for written, *_ in CONTRACT} == set(
        Loss.table
    )


@pytest.mark.parametrize(("written", "output", "expected", "expected_in_test"), CONTRACT, ids=str)
def test_a_loss_is_torchs_and_neither_smooths_nor_weighs_in_testing(
    written: Any, output: Tensor, expected: Tensor, expected_in_test: Tensor
) -> None:
    assert torch.allclose(loss(written).training_loss()(output, TARGETS), expected)
    assert torch.allclose(loss(written).test_loss()(output, TARGETS), expected_in_test)


@pytest.mark.parametrize("written", [written for written, *_ in CONTRACT if "weight" not in str(written)], ids=str)
def test_a_share_of_one_is_a_label(written: Any) -> None:
    training_loss, output = loss(written).training_loss(), SCORES.log_softmax(1)
    assert torch.allclose(training_loss(output, ONE_HOT), training_loss(output, TARGETS))


@pytest.mark.parametrize("written", [written for written, *_ in CONTRACT], ids=str)
def test_a_loss_of_mixed_labels_is_the_mixed_loss(written: Any) -> None:
    """All are linear in the shares but mse_loss, whose target is the mixture itself (Zhang et al. 2018, mixup)."""
    training_loss, output = loss(written).training_loss(), SCORES.log_softmax(1)
    found = training_loss(output, SHARES)
    if written == "mse_loss":
        assert torch.allclose(found, F.mse_loss(output, SHARES))
        return
    each = [training_loss(output, F.one_hot(torch.full((6,), label), 3).float()) for label in range(3)]
    assert found.shape == ()
    mixed = [
        training_loss(output[[image]], SHARES[[image]])
        - sum(
            SHARES[image, label] * training_loss(output[[image]], F.one_hot(torch.tensor([label]), 3).float())
            for label in range(3)
        )
        for image in range(6)
    ]
    assert torch.allclose(torch.stack(mixed), torch.zeros(6), atol=1e-6)
    assert min(each) < found < max(each)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_shares_weigh_the_same_before_and_behind_the_softmax(weight: list[float] | None) -> None:
    nll, cross_entropy = (loss({kind: {"weight": weight}}).training_loss() for kind in ("nll_loss", "cross_entropy"))
    assert torch.allclose(nll(SCORES.log_softmax(1), SHARES), cross_entropy(SCORES, SHARES))
    assert torch.allclose(
        cross_entropy(SCORES, SHARES), F.cross_entropy(SCORES, SHARES, None if weight is None else WEIGHTS)
    )


# --- focal ---


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 5])
def test_focal_loss_of_two_classes_is_torchvisions(gamma: float) -> None:
    score = torch.linspace(-4, 4, 9, dtype=torch.float64)
    label = torch.arange(9) % 2
    ours = loss({"focal_loss": {"gamma": gamma}}).training_loss()(torch.stack([torch.zeros(9), score], dim=1), label)
    torchvisions = sigmoid_focal_loss(score, label.double(), alpha=-1, gamma=gamma, reduction="mean")
    assert torch.allclose(ours, torchvisions)


@pytest.mark.parametrize("gamma", [0, 0.3, 1, 2])
def test_focal_loss_has_a_slope_where_the_network_is_sure(gamma: float) -> None:
    scores = torch.tensor([[200.0, 0.0], [0.0, 200.0], [1e-9, 0.0]], requires_grad=True)
    loss({"focal_loss": {"gamma": gamma}}).training_loss()(scores, torch.tensor([0, 0, 1])).backward()
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()
    assert scores.grad[1, 0] < 0


# --- a batch in parts ---


@pytest.mark.parametrize("written", [written for written, *_ in CONTRACT], ids=str)
@pytest.mark.parametrize("is_mixed", [False, True])
def test_the_means_over_parts_give_that_over_the_batch(written: Any, is_mixed: bool) -> None:
    """Torch divides by the sum of the class weights, but for shares of the classes by their number."""
    kind, targets = loss(written), SHARES if is_mixed else TARGETS
    training_loss, output = kind.training_loss(), SCORES.log_softmax(1)
    shares = [kind.share(part, TARGETS) for part in targets.split(4)]
    means = [training_loss(*part) for part in zip(output.split(4), targets.split(4), strict=True)]
    assert sum(shares) == pytest.approx(1)
    assert torch.allclose(
        torch.stack([share * mean for share, mean in zip(shares, means, strict=True)]).sum(),
        training_loss(output, targets),
    )


# --- over a run ---


@pytest.mark.parametrize(
    ("written", "torchs"),
    [
        ({"nll_loss": {"weight": WEIGHT}}, nn.NLLLoss(WEIGHTS)),
        (
            {"cross_entropy": {"weight": WEIGHT, "label_smoothing": 0.1}},
            nn.CrossEntropyLoss(WEIGHTS, label_smoothing=0.1),
        ),
        ("mse_loss", lambda output, labels: F.mse_loss(output, F.one_hot(labels, 3).float())),
        (
            "focal_loss",
            lambda output, labels: F.nll_loss((1 - output.softmax(1)) ** 2 * output.log_softmax(1), labels),
        ),
    ],
    ids=["nll_loss", "cross_entropy", "mse_loss", "focal_loss"],
)
def test_twenty_steps_are_those_of_torchs_loss(written: Any, torchs: Any) -> None:
    spec = recipe(loss=written, optimizer={"sgd": {"lr": 0.1}})
    models = []
    for function in (spec.loss.training_loss(), torchs):
        model = network()
        model.append(nn.LogSoftmax(1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(20):
            optimizer.zero_grad()
            function(model(INPUTS[step % len(INPUTS)]), LABELS[step % len(LABELS)]).backward()
            optimizer.step()
        models.append(model)
    if written == "focal_loss":  # ours takes 1 - p from log p, which is exact where p is nearly 1
        first, second = (torch.cat([values.flatten() for values in model.state_dict().values()]) for model in models)
        assert torch.allclose(first, second, atol=1e-5)
    else:
        assert are_equal(*models)


# --- classes ---


def test_a_weight_is_needed_for_each_class() -> None:
    for kind in ("nll_loss", "cross_entropy"):
        found = list(recipe(loss={kind: {"weight": WEIGHT}}).rules())
        assert [(misfit.code, misfit.field) for misfit in found] == [("wrong-length", f"loss.{kind}.weight")]
        assert list(recipe(loss={kind: {"weight": [1.0] * 10}}).rules()) == []
