"""Batch norm with pixels side by side is the batch norm of torch: outputs, gradients, and what it remembers."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from builder.algorithms import batch_norm
from builder.algorithms.calls import Calls

ALL = ("outputs", "input gradient", "weight gradient", "bias gradient", "running mean", "running variance")
# images, channels, height, width
SHAPES = [(16, 8, 14, 14), (7, 10, 5, 6), (12, 3, 9, 9), (4, 15, 7, 8), (2, 1, 3, 3), (127, 4, 1, 2)]


@pytest.fixture(autouse=True)
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_norm, "MIN_NUMBERS", 0)


def inputs_of(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """Far from a mean of 0 and a deviation of 1."""
    random = torch.Generator().manual_seed(1)
    return (2 * torch.randn(shape, generator=random) + 3).to(dtype).contiguous(memory_format=torch.channels_last)


def norm_of(channels: int, *, momentum: float | None = 0.1, tracks: bool = True) -> nn.BatchNorm2d:
    torch.manual_seed(2)
    module = nn.BatchNorm2d(channels, momentum=momentum, track_running_stats=tracks)
    nn.init.normal_(module.weight)
    nn.init.normal_(module.bias)
    return module


def learned(module: nn.BatchNorm2d, inputs: Tensor, *, ours: bool) -> list[Tensor]:
    """What `ALL` names, behind one step."""
    inputs = inputs.clone().requires_grad_()
    output = batch_norm.batch_norm(module)(inputs) if ours else module(inputs)
    # Far from a mean of 0: the part that the mean takes away must not be rounded before.
    output.backward((torch.arange(output.numel()).sin() + 5).view(output.shape).to(output.dtype))
    assert output.is_contiguous(memory_format=torch.channels_last)
    found = (inputs.grad, module.weight.grad, module.bias.grad, module.running_mean, module.running_var)
    return [output.detach(), *(tensor for tensor in found if tensor is not None)]


def error(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).norm() / exact.norm())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_about_as_exact_as_torchs(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    inputs, module = inputs_of(shape, dtype), norm_of(shape[1])
    assert batch_norm.pixels_at_once(inputs) > 1
    exact = learned(copy.deepcopy(module).double(), inputs.double(), ours=False)
    theirs = learned(copy.deepcopy(module), inputs, ours=False)
    found = learned(module, inputs, ours=True)
    assert [tensor.dtype for tensor in found] == [tensor.dtype for tensor in theirs]
    errors = {
        name: (error(ours, true), error(their, true))
        for name, ours, their, true in zip(ALL, found, theirs, exact, strict=True)
    }
    assert {name: pair for name, pair in errors.items() if pair[0] > 2 * pair[1] + 1e-6} == {}


@pytest.mark.parametrize("momentum", [0.3, None])
def test_the_running_statistics_follow_over_steps(momentum: float | None) -> None:
    ours, theirs = (norm_of(8, momentum=momentum) for _ in range(2))
    for step in range(3):
        inputs = inputs_of((6, 8, 4, 5)) * (step + 1)
        learned(ours, inputs, ours=True)
        learned(theirs, inputs, ours=False)
    for name, tensor in theirs.state_dict().items():
        assert torch.allclose(ours.state_dict()[name].float(), tensor.float(), rtol=1e-5), name
    assert int(ours.state_dict()["num_batches_tracked"]) == 3


def test_without_running_statistics_there_are_none() -> None:
    ours, theirs = (learned(norm_of(8, tracks=False), inputs_of((6, 8, 4, 5)), ours=ours) for ours in (True, False))
    assert len(ours) == len(theirs) == 4
    assert all(error(found, true.double()) < 1e-4 for found, true in zip(ours, theirs, strict=True))


def test_in_eval_mode_the_module_itself_is_called() -> None:
    module = norm_of(8).eval()
    before = copy.deepcopy(module.state_dict())
    inputs = inputs_of((6, 8, 4, 5))
    assert torch.equal(batch_norm.batch_norm(module)(inputs), module(inputs))
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        (torch.randn(6, 8, 4, 5), "channels first"),
        (inputs_of((6, batch_norm.MAX_CHANNELS + 1, 4, 5)), "many channels"),
        (inputs_of((1, 14, 17, 19)), "no pixels that go into rows evenly"),
        (inputs_of((6, 8, 4, 5), torch.float64), "statistics in float32 are not enough"),
    ],
)
def test_what_would_not_pay_is_left_to_the_module(inputs: Tensor, why: str) -> None:
    module = norm_of(inputs.shape[1]).to(inputs.dtype)
    assert batch_norm.pixels_at_once(inputs) == 1, why
    assert torch.equal(batch_norm.batch_norm(module)(inputs), module(inputs))


def test_without_weight_and_bias_the_module_itself_is_called() -> None:
    module, inputs = nn.BatchNorm2d(8, affine=False), inputs_of((6, 8, 4, 5))
    assert batch_norm.pixels_at_once(inputs) > 1
    assert torch.equal(batch_norm.batch_norm(module)(inputs), module(inputs))


def test_few_numbers_are_left_to_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = inputs_of((6, 8, 4, 5))
    monkeypatch.setattr(batch_norm, "MIN_NUMBERS", inputs.numel() + 1)
    assert batch_norm.pixels_at_once(inputs) == 1
    monkeypatch.setattr(batch_norm, "MIN_NUMBERS", inputs.numel())
    assert batch_norm.pixels_at_once(inputs) == 15


def test_a_single_pixel_is_refused_as_torch_refuses_it() -> None:
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        batch_norm.batch_norm(norm_of(8))(inputs_of((1, 8, 1, 1)))


@pytest.mark.parametrize("learns", ["inputs", "weight", "bias"])
def test_each_gradient_is_there_without_the_others(learns: str) -> None:
    gradients: list[Tensor] = []
    for ours in (True, False):
        module, inputs = norm_of(8), inputs_of((6, 8, 4, 5)).requires_grad_(learns == "inputs")
        module.weight.requires_grad_(learns == "weight")
        module.bias.requires_grad_(learns == "bias")
        (batch_norm.batch_norm(module) if ours else module)(inputs).square().sin().sum().backward()
        all_gradients = {"inputs": inputs.grad, "weight": module.weight.grad, "bias": module.bias.grad}
        assert [name for name, gradient in all_gradients.items() if gradient is not None] == [learns]
        gradients.extend(gradient for gradient in all_gradients.values() if gradient is not None)
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-3, atol=1e-4)


def test_what_follows_may_write_over_the_output() -> None:
    """As `Calls` lets a ReLU do: the gradient is that of a ReLU that doesn't."""
    calls = Calls(dtype=torch.float32, is_fast=True, is_on_cpu=True)
    model, inputs = nn.Sequential(norm_of(8), nn.ReLU()), inputs_of((6, 8, 4, 5))
    found = []
    for call in (calls.of(model), model):
        seen = inputs.clone().requires_grad_()
        call(seen).square().sum().backward()
        assert seen.grad is not None
        found.append(seen.grad)
    assert error(found[0], found[1].double()) < 1e-5


def test_channels_that_never_change_become_their_bias() -> None:
    module = norm_of(4)
    inputs = torch.full((4, 4, 3, 4), math.pi).contiguous(memory_format=torch.channels_last)
    found = batch_norm.batch_norm(module)(inputs)
    assert torch.allclose(found, module.bias.view(-1, 1, 1).expand_as(found), atol=1e-4)
