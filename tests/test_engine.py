"""How the arithmetic of a run is done changes its speed, and nothing else but rounding."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from builder import build_model, load_spec, make_plan
from builder.algorithms import batch_norm, convolution
from builder.data.images import load_data
from builder.exits import UsageError
from builder.training import precision
from builder.training.engine import Engine, apply_settings, arrange
from builder.training.evaluation import evaluate
from builder.training.loop import train_step
from builder.training.precision import chosen_precision
from builder.training.session import Session

CPU = torch.device("cpu")
SPEC = """\
input: [1, 28, 28]
layers:
  - conv2d: {out_channels: 8, kernel_size: 5, stride: 2, bias: false}
  - batch_norm2d
  - relu
  - max_pool2d: {kernel_size: 2}
  - conv2d: {out_channels: 256, kernel_size: 3}
  - relu
  - conv2d: {out_channels: 256, kernel_size: 3, bias: false}
  - batch_norm2d
  - relu
  - flatten
  - linear: {out_features: 10}
training:
  dataset: {synthetic: {train_size: 200, test_size: 20}}
  epochs: 1
  batch_size: 64
  loss: cross_entropy
  optimizer: {sgd: {lr: 0.05, momentum: 0.9}}
"""
# Two convolutions that are wide enough for other algorithms, on maps of 3x3.
WIDE = """\
input: [1, 28, 28]
layers:
  - conv2d: {out_channels: 256, kernel_size: 5, stride: 5, bias: false}
  - batch_norm2d
  - relu
  - conv2d: {out_channels: 256, kernel_size: 3, bias: false}
  - batch_norm2d
  - relu
  - conv2d: {out_channels: 256, kernel_size: 3, padding: 1}
  - relu
  - flatten
  - linear: {out_features: 10}
training:
  dataset: {synthetic: {train_size: 200, test_size: 20}}
  epochs: 1
  batch_size: 64
  loss: cross_entropy
  optimizer: sgd
"""
PLAIN = ["training.fast_algorithms=false", "training.channels_last=false"]


def session(tmp_path: Path, overrides: Sequence[str] = (), text: str = SPEC) -> Session:
    path = tmp_path / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    plan = make_plan(load_spec(path, overrides))
    recipe = plan.spec.require_recipe()
    torch.manual_seed(recipe.seed)
    data = load_data(recipe.dataset, data_dir=None, offline=True, device=CPU)
    return Session(plan, build_model(plan), data)


def trained(session: Session, steps: int = 3) -> dict[str, Tensor]:
    session.start_training()
    for indices in islice(session.sampler, steps):
        train_step(session, indices)
    return session.model.state_dict()


@pytest.mark.parametrize(
    "optimizer", ["sgd", "adam", "adamw", "muon", "{sgd: {lr: 0.05, momentum: 0.9, nesterov: true}}"]
)
@pytest.mark.parametrize("channels_last", ["true", "false"])
def test_a_fast_run_learns_what_a_plain_one_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str, channels_last: str
) -> None:
    monkeypatch.setattr(batch_norm, "MIN_NUMBERS", 0)
    written = f"training.optimizer={optimizer}"
    plain = trained(session(tmp_path, [*PLAIN, written]))
    fast = trained(session(tmp_path, [written, f"training.channels_last={channels_last}"]))
    for name, tensor in plain.items():
        if tensor.is_floating_point():
            assert float((fast[name] - tensor).norm()) <= 0.005 * float(tensor.norm()), name


@pytest.mark.parametrize(("precision", "used"), [("float32", "Winograd"), ("bfloat16", "Lowered")])
def test_a_network_of_convolutions_that_are_computed_otherwise_learns_and_is_tested_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, used: str
) -> None:
    taken: list[str] = []
    right = convolution.applied

    def applied(algorithm: type[torch.autograd.Function], *arguments: Any) -> Tensor:
        taken.append(algorithm.__name__)
        result: Tensor = right(algorithm, *arguments)
        return result

    written = [f"training.precision={precision}", "training.optimizer={sgd: {lr: 0.05, momentum: 0.9}}"]
    plain = session(tmp_path, [*PLAIN, *written], WIDE)
    fast = session(tmp_path, written, WIDE)
    monkeypatch.setattr(convolution, "applied", applied)
    true = trained(plain)
    assert taken == []
    found = trained(fast)
    assert taken == [used] * 6  # two layers, three steps
    tolerance = 0.05 if precision == "float32" else 0.1  # a wrong gradient would be off by 1
    for name, tensor in true.items():
        if tensor.is_floating_point():
            assert float((found[name] - tensor).norm()) <= tolerance * float(tensor.norm()), name
    results = [
        evaluate(run.model, run.data.train, run.test_loss, calling=run.engine.testing).loss for run in (plain, fast)
    ]
    assert taken == [used] * 10  # two layers, two batches: one of them behind a batch norm that is folded in
    assert results[1] == pytest.approx(results[0], rel=tolerance)


@pytest.mark.parametrize("optimizer", ["{sgd: {lr: 0.05, momentum: 0.9}}", "adam", "adamw"])
@pytest.mark.parametrize("orders", [("false", "true"), ("true", "false")])
def test_a_run_goes_on_with_another_order_in_memory(tmp_path: Path, optimizer: str, orders: tuple[str, str]) -> None:
    written = [f"training.optimizer={optimizer}"]
    first, second = (session(tmp_path, [*written, f"training.channels_last={order}"]) for order in orders)
    trained(first, 2)
    second.load_state_dict(first.state_dict())
    states = [*zip(first.optimizer.state.values(), second.optimizer.state.items(), strict=True)]
    assert states
    for state, (parameter, loaded) in states:
        for name, tensor in state.items():
            assert torch.equal(loaded[name], tensor)
            if tensor.shape == parameter.shape:
                assert loaded[name].stride() == parameter.stride()  # one call for all takes them as flat memory


def test_a_state_that_was_fused_is_not_where_torchs_own_steps_are_asked_for(tmp_path: Path) -> None:
    fast, plain = session(tmp_path), session(tmp_path, PLAIN)
    plain.load_state_dict(fast.state_dict())
    assert plain.optimizer.param_groups[0]["fused"] is None
    fast.load_state_dict(plain.state_dict())
    assert fast.optimizer.param_groups[0]["fused"] is True


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_step_is_one_call_where_torch_has_one(tmp_path: Path, optimizer: str) -> None:
    written = f"training.optimizer={optimizer}"
    assert session(tmp_path, [written]).optimizer.param_groups[0]["fused"] is True
    assert session(tmp_path, [written, *PLAIN]).optimizer.param_groups[0]["fused"] is None


def test_numbers_too_small_to_be_written_in_full_are_zero_in_a_fast_run(tmp_path: Path) -> None:
    small = torch.tensor([1e-30])
    try:
        apply_settings(session(tmp_path).recipe)
        assert float(small * 1e-10) == 0.0
    finally:
        apply_settings(session(tmp_path, PLAIN).recipe)
    assert float(small * 1e-10) > 0.0


@pytest.mark.parametrize("channels", [1, 3])
def test_a_convolution_gives_channels_last_also_of_images_with_one(channels: int) -> None:
    model = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.Linear(6, 5))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    arrange(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    for dtype in (torch.float32, torch.bfloat16):
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            output = model[0](torch.randn(2, channels, 8, 8).contiguous(memory_format=torch.channels_last))
        assert output.dtype == dtype
        assert not output.is_contiguous()
        assert output.is_contiguous(memory_format=torch.channels_last)


class Wrong(nn.Linear):
    """A layer that is no good in bfloat16."""

    def forward(self, input: Tensor) -> Tensor:  # torch's name
        output: Tensor = super().forward(input)
        return output * 1.1 if output.dtype == torch.bfloat16 else output


class Slow(nn.Linear):
    """A layer that takes its time in bfloat16: a second more than in float32."""

    clock = 0.0

    def forward(self, input: Tensor) -> Tensor:  # torch's name
        output: Tensor = super().forward(input)
        Slow.clock += 1.1 if output.dtype == torch.bfloat16 else 0.1
        return output


def choice(model: nn.Module, asked: str = "auto") -> str:
    return chosen_precision(asked, model, torch.linspace(-1, 1, 160).sin().view(8, 20), CPU)


def test_auto_is_bfloat16_where_the_processor_has_it_and_float32_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Linear(20, 10), nn.BatchNorm1d(10), nn.Dropout(), nn.Linear(10, 5))
    monkeypatch.setattr(precision, "MAX_SLOWDOWN", 1e9)
    for has_it, chosen in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(precision, "computes_bfloat16", lambda device, has_it=has_it: has_it)
        assert choice(model) == chosen
        assert choice(model, "float32") == "float32"
        assert choice(model, "bfloat16") == "bfloat16"


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (Wrong(10, 5), "computing in float32, for bfloat16 is wrong in `2` on this machine: an error of 10%"),
        (Slow(10, 5), "computing in float32, for bfloat16 takes 11.0 times as long on this machine"),
    ],
)
def test_auto_is_float32_where_bfloat16_is_wrong_or_slow_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], layer: nn.Module, reason: str
) -> None:
    monkeypatch.setattr(precision, "computes_bfloat16", lambda device: True)
    monkeypatch.setattr(precision, "perf_counter", lambda: Slow.clock)
    assert choice(nn.Sequential(nn.Linear(20, 10), nn.ReLU(), layer)) == "float32"
    assert reason in capsys.readouterr().err


def test_trying_a_precision_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "computes_bfloat16", lambda device: True)
    model = nn.Sequential(nn.Linear(20, 10), nn.BatchNorm1d(10), nn.Dropout(), nn.Linear(10, 5))
    model[1].eval()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()
    choice(model)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in model] == [True, False, True, True]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(not module._forward_pre_hooks for module in model)


def test_a_network_without_a_matrix_can_be_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "computes_bfloat16", lambda device: True)
    assert choice(nn.Sequential(nn.ReLU())) == "bfloat16"


def test_a_resumed_run_keeps_the_precision_that_it_has_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "computes_bfloat16", lambda device: False)
    first = session(tmp_path, ["training.precision=auto"])
    assert first.engine.precision == "float32"
    for before, kept in (({"cpu": "bfloat16"}, "bfloat16"), ({"cuda": "bfloat16"}, "float32"), ({}, "float32")):
        resumed = Session(first.plan, build_model(first.plan), first.data, before)
        assert resumed.engine.precision == kept


def test_where_compiling_fails_the_run_goes_on_as_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[int] = []

    def compiling(model: nn.Module, mode: str | None) -> Callable[[Tensor], Tensor]:
        def call(inputs: Tensor) -> Tensor:
            calls.append(len(inputs))
            if len(inputs) < 64:
                raise ValueError("no compiler")
            output: Tensor = model(inputs)
            return output

        return call

    monkeypatch.setattr(torch, "compile", compiling)
    ours = session(tmp_path, ["training.compile=true"])
    trained(ours, 4)
    assert calls == [64, 64, 64, 8]  # the smaller last batch is compiled anew
    assert capsys.readouterr().err.count("going on without it") == 1
    trained(ours, 2)
    assert len(calls) == 4


@pytest.mark.parametrize(("written", "asked"), [("true", None), ("reduce-overhead", "reduce-overhead")])
def test_torch_is_told_how_to_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, asked: str | None
) -> None:
    modes: list[str | None] = []

    def compiling(model: nn.Module, mode: str | None) -> nn.Module:
        modes.append(mode)
        return model

    monkeypatch.setattr(torch, "compile", compiling)
    trained(session(tmp_path, [f"training.compile={written}"]), 1)
    assert modes == [asked]


def test_float16_needs_a_gpu(tmp_path: Path) -> None:
    ours = session(tmp_path)
    with pytest.raises(UsageError, match="needs a GPU"):
        Engine(ours.recipe.changed(precision="float16"), ours.model, CPU)
