"""Averages of weights, and steps that are made of several batches: against the same by hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from builder import build_model, load_spec, make_plan
from builder.data.images import Data, Images, load_data
from builder.training.averaging import compute_statistics
from builder.training.evaluation import evaluate
from builder.training.loop import train_step
from builder.training.session import Session

SPEC = """\
input: [1, 28, 28]
layers:
  - conv2d: {out_channels: 3, kernel_size: 5, stride: 4}
  - batch_norm2d: {name: norm}
  - relu
  - flatten
  - linear: {name: head, out_features: 10}
training:
  dataset: mnist_sample
  epochs: 3
  batch_size: 500
  loss: cross_entropy
  optimizer: {sgd: {lr: 0.1}}
"""


@pytest.fixture(scope="module")
def data() -> Data:
    """The sample."""
    path = Path(__file__).parent.parent / "specs" / "tiny.yaml"
    recipe = load_spec(path, ["training.dataset=mnist_sample"]).require_recipe()
    return load_data(recipe.dataset, data_dir=None, offline=True, device=torch.device("cpu"))


def session(tmp_path: Path, data: Data, overrides: Sequence[str] = ()) -> Session:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC, encoding="utf-8")
    torch.manual_seed(0)
    plan = make_plan(load_spec(path, overrides))
    return Session(plan, build_model(plan), data)


def epoch(session: Session) -> None:
    session.start_training()
    for indices in session.sampler:
        train_step(session, indices)
    session.after_training(lambda: None)


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_ema_is_the_average_with_decay(tmp_path: Path, data: Data) -> None:
    ours = session(tmp_path, data, ["training.averaging={ema: {decay: 0.8}}"])
    assert ours.tested_model is ours.model  # nothing is averaged yet
    ours.start_training()
    expected: dict[str, Tensor] = {}
    for indices in ours.sampler:
        train_step(ours, indices)
        now = weights(ours.model)
        expected = {
            name: 0.8 * expected[name] + 0.2 * tensor if expected else tensor
            for name, tensor in now.items()
            if tensor.is_floating_point()
        }
    found = ours.tested_model.state_dict()
    assert ours.tested_model is not ours.model
    for name in expected:
        torch.testing.assert_close(found[name], expected[name])


def test_swa_is_the_plain_mean_over_epochs_with_statistics_of_its_own(tmp_path: Path, data: Data) -> None:
    ours = session(tmp_path, data, ["training.averaging={swa: {start: 2}}"])
    seen = []
    for number in (1, 2, 3):
        epoch(ours)
        if number == 1:
            assert ours.tested_model is ours.model
        else:
            seen.append(weights(ours.model))
        ours.finish_epoch(None)
    found = ours.tested_model.state_dict()
    for name in ("conv2d_1.weight", "norm.weight", "head.bias"):
        torch.testing.assert_close(found[name], (seen[0][name] + seen[1][name]) / 2)
    inputs, _ = data.train.batch(slice(None))
    with torch.no_grad():
        output = ours.tested_model.get_submodule("conv2d_1")(inputs)
    torch.testing.assert_close(found["norm.running_mean"], output.mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)


def test_swa_leaves_the_statistics_of_frozen_norms(tmp_path: Path, data: Data) -> None:
    ours = session(tmp_path, data, ["training.averaging={swa: {start: 1}}", "training.freeze=[norm]"])
    epoch(ours)
    found = ours.tested_model.state_dict()
    assert found["norm.running_mean"].tolist() == [0, 0, 0]
    assert found["norm.running_var"].tolist() == [1, 1, 1]


def test_swa_counts_an_epoch_once_when_its_test_is_interrupted(tmp_path: Path, data: Data) -> None:
    ours = session(tmp_path, data, ["training.averaging={swa: {start: 1}}"])
    epoch(ours)
    before = weights(ours.tested_model)
    ours.after_training(lambda: None)
    after = ours.tested_model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_accumulated_gradients_are_those_of_the_larger_batch(tmp_path: Path, data: Data) -> None:
    frozen = "training.freeze=[norm]"  # statistics of smaller batches would differ
    small = session(tmp_path, data, ["training.batch_size=60", "training.gradient_accumulation=3", frozen])
    large = session(tmp_path, data, ["training.batch_size=180", frozen])
    assert small.sampler.num_batches == large.sampler.num_batches == 28  # the last of them with 140 images
    for ours in (small, large):
        ours.start_training()
    for mine, other in zip(small.sampler, large.sampler, strict=True):
        assert torch.equal(mine, other)
        assert train_step(small, mine) == pytest.approx(train_step(large, other), rel=1e-4)
    for name, tensor in large.model.state_dict().items():
        torch.testing.assert_close(small.model.state_dict()[name], tensor, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("bound", ["clip_grad_norm", "clip_grad_value"])
def test_gradients_are_clipped_as_torch_clips_them(tmp_path: Path, data: Data, bound: str) -> None:
    ours = session(tmp_path, data, [f"training.{bound}=0.01"])
    theirs = session(tmp_path, data)
    indices = next(iter(ours.sampler))
    ours.start_training()
    train_step(ours, indices)
    theirs.start_training()
    inputs, labels = data.train.batch(indices)
    theirs.loss(theirs.model(inputs), labels).backward()
    getattr(nn.utils, f"{bound}_")(theirs.model.parameters(), 0.01)
    theirs.optimizer.step()
    for name, tensor in theirs.model.state_dict().items():
        assert torch.equal(ours.model.state_dict()[name], tensor), name


def test_bfloat16_trains_and_tests_in_bfloat16_with_float32_weights(tmp_path: Path, data: Data) -> None:
    ours = session(tmp_path, data, ["training.precision=bfloat16"])
    plain = session(tmp_path, data)
    inputs, labels = data.train.batch(slice(0, 64))
    output = ours.engine.forward(inputs)
    with torch.autocast("cpu", torch.bfloat16):
        expected = plain.model(inputs).float()
    assert output.dtype == torch.float32
    assert torch.equal(output, expected)
    indices = next(iter(ours.sampler))
    assert train_step(ours, indices) == pytest.approx(train_step(plain, indices), rel=0.05)
    assert {tensor.dtype for tensor in ours.model.parameters()} == {torch.float32}
    images = replace(data.test, images=data.test.images[:200], labels=data.test.labels[:200])
    result = evaluate(ours.model, images, ours.test_loss, calling=ours.engine.testing)
    assert result.scores.dtype == torch.float32
    assert result.total == 200
    assert len(labels) == 64


def test_channels_last_gives_the_same_numbers(tmp_path: Path, data: Data) -> None:
    ours, plain = session(tmp_path, data, ["training.channels_last=true"]), session(tmp_path, data)
    indices = next(iter(ours.sampler))
    assert train_step(ours, indices) == pytest.approx(train_step(plain, indices), rel=1e-5)
    weight = ours.model.get_submodule("conv2d_1").get_parameter("weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    for name, tensor in plain.model.state_dict().items():
        torch.testing.assert_close(ours.model.state_dict()[name], tensor, rtol=1e-4, atol=1e-6)


def test_where_torch_cannot_compile_the_run_goes_on_without(
    tmp_path: Path, data: Data, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_compiler(inputs: Tensor) -> Tensor:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", lambda model, mode: no_compiler)
    ours, plain = session(tmp_path, data, ["training.compile=true"]), session(tmp_path, data)
    for _ in range(2):
        indices = next(iter(ours.sampler))
        assert train_step(ours, indices) == train_step(plain, indices)
    assert capsys.readouterr().err == ("yamlnet: torch.compile doesn't work here (RuntimeError); going on without it\n")


def test_a_compiled_network_is_called_and_its_errors_are_not_swallowed(
    tmp_path: Path, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def compiled(model: nn.Module, mode: str | None) -> object:
        def call(inputs: Tensor) -> Tensor:
            calls.append(len(inputs))
            output: Tensor = model(inputs)
            return output

        return call

    def fail(module: nn.Module, arguments: object) -> None:
        raise RuntimeError("later")

    monkeypatch.setattr(torch, "compile", compiled)
    ours = session(tmp_path, data, ["training.compile=true"])
    indices = next(iter(ours.sampler))
    train_step(ours, indices)
    assert calls == [len(indices)]
    ours.model.get_submodule("head").register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="later"):
        train_step(ours, indices)


def test_a_network_in_which_nothing_learns_is_still_trained_through(tmp_path: Path, data: Data) -> None:
    ours = session(tmp_path, data, ["training.freeze=[conv2d_1, norm, head]"])
    before = weights(ours.model)
    epoch(ours)
    after = ours.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_statistics_of_an_average_weigh_a_last_smaller_batch_as_what_it_is(tmp_path: Path, data: Data) -> None:
    """A thousand black images and a white one: plain means over batches of 1,000 and of 1 would say 0.5."""
    pixels = torch.zeros(1001, 1, 28, 28, dtype=torch.uint8)
    pixels[-1] = 255
    zero, one = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    images = Images(pixels, torch.zeros(1001, dtype=torch.int64), zero, one)
    norm = nn.BatchNorm2d(1)
    compute_statistics(norm, norm, images, (), lambda: None)
    assert norm.running_mean is not None
    assert norm.running_mean.item() == pytest.approx(1 / 1001, rel=0.01)
