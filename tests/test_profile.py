"""The profile of a training step: every layer, in the order computed, with its own time and operations."""

import itertools
from collections import Counter
from pathlib import Path

import pytest
import torch
from test_table import in_terminal
from torch.autograd.graph import Node

import runner
from builder import build_model, load_spec, make_plan
from builder.data.images import load_data
from builder.report.profile import profile_table
from builder.training import loop, profile
from builder.training.profile import (
    Direction,
    LayerProfile,
    Name,
    Outside,
    Pass,
    Profile,
    Step,
    StopWatch,
    full_batches,
    timed_step,
)
from builder.training.session import Session

FORWARD, BACKWARD = Direction

RECIPE = """\
training:
  dataset: {synthetic: {train_size: 70, test_size: 20}}
  epochs: 1
  batch_size: 32
  loss: cross_entropy
  optimizer: {sgd: {lr: 0.05, momentum: 0.9}}
"""
PLAIN = f"""\
input: [1, 28, 28]
layers:
  - conv2d: {{name: conv, out_channels: 4, kernel_size: 5, stride: 3}}
  - relu
  - max_pool2d: {{name: pool, kernel_size: 2}}
  - dropout: {{p: 0.3}}
  - flatten
  - linear: {{name: head, out_features: 10}}
{RECIPE}"""
CONV_MACS, HEAD_MACS = 8 * 8 * 4 * 25, 4 * 4 * 4 * 10

BRANCHES = f"""\
input: [1, 28, 28]
layers:
  - conv2d: {{out_channels: 4, kernel_size: 5, stride: 3}}
  - residual:
      layers: [batch_norm2d, relu, conv2d: {{out_channels: 4, kernel_size: 3, padding: 1}}]
      shortcut: [conv2d: {{out_channels: 4, kernel_size: 1}}]
  - concat:
      - sequential: [conv2d: {{out_channels: 2, kernel_size: 1}}, sigmoid]
      - conv2d: {{out_channels: 2, kernel_size: 3, padding: 1}}
      - identity
  - split: [conv2d: {{out_channels: 3, kernel_size: 1}}, relu]
  - layer_scale: {{init: 0.5, layers: [per_pixel: [linear: {{out_features: 5}}, relu, linear: {{out_features: 7}}]]}}
  - flatten
  - linear: {{out_features: 10}}
{RECIPE}"""
IN_BRANCHES = [
    "conv2d_1",
    "residual_1.layers.batch_norm2d_1",
    "residual_1.layers.relu_1",
    "residual_1.layers.conv2d_1",
    "residual_1.shortcut.conv2d_1",
    "concat_1.sequential_1.conv2d_1",
    "concat_1.sequential_1.sigmoid_1",
    "concat_1.conv2d_1",
    "concat_1.identity_1",
    "split_1.conv2d_1",
    "split_1.relu_1",
    "layer_scale_1.layers.per_pixel_1",
    "flatten_1",
    "linear_1",
]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few and as small computations as there can be."""
    monkeypatch.setattr(profile, "PRODUCT_SIZE", 16)
    monkeypatch.setattr(profile, "PRODUCT_SECONDS", 1e-12)
    monkeypatch.setattr(profile, "STEPS_SECONDS", 0.0)


def session(tmp_path: Path, text: str, *overrides: str) -> Session:
    path = tmp_path / "net.yaml"
    path.write_text(text, encoding="utf-8")
    plan = make_plan(load_spec(path, overrides))
    recipe = plan.spec.require_recipe()
    torch.manual_seed(recipe.seed)
    data = load_data(recipe.dataset, data_dir=None, offline=True, device=torch.device("cpu"))
    return Session(plan, build_model(plan), data)


def first_step(session: Session) -> Step:
    session.start_training()
    return timed_step(session, next(full_batches(session)))


def flops(profiled: Profile) -> dict[str, tuple[int, ...]]:
    """Of each layer that multiplies, in each direction."""
    layers = {layer.name: tuple(each.flops for each in layer.passes.values()) for layer in profiled.layers}
    return {name: each for name, each in layers.items() if any(each)}


# --- what is measured ---


def test_every_layer_has_its_times_in_the_order_in_which_it_is_computed(tmp_path: Path) -> None:
    found = profile.profile(session(tmp_path, PLAIN))
    assert [layer.name for layer in found.layers] == ["conv", "pool", "relu_1", "dropout_1", "flatten_1", "head"]
    for layer in found.layers:
        assert [*layer.passes] == [FORWARD, BACKWARD]
    assert len(found.step_seconds) == profile.MIN_STEPS


def test_layers_in_branches_are_named_with_the_composites_around_them(tmp_path: Path) -> None:
    found = profile.profile(session(tmp_path, BRANCHES))
    assert [layer.name for layer in found.layers] == IN_BRANCHES
    without_gradient = [layer.name for layer in found.layers if BACKWARD not in layer.passes]
    assert without_gradient == ["concat_1.identity_1"]


def test_the_operations_are_two_for_each_mac_and_gradient(tmp_path: Path) -> None:
    found = profile.profile(session(tmp_path, PLAIN))
    assert found.images == 32
    assert flops(found) == {
        "conv": (2 * 32 * CONV_MACS, 2 * 32 * CONV_MACS),  # nobody wants the gradient of the images
        "head": (2 * 32 * HEAD_MACS, 4 * 32 * HEAD_MACS),
    }
    assert found.flops == 32 * (4 * CONV_MACS + 6 * HEAD_MACS)


def test_a_layer_that_keeps_still_computes_fewer_gradients(tmp_path: Path) -> None:
    assert flops(profile.profile(session(tmp_path, PLAIN, "training.freeze=[head]"))) == {
        "conv": (2 * 32 * CONV_MACS, 2 * 32 * CONV_MACS),
        "head": (2 * 32 * HEAD_MACS, 2 * 32 * HEAD_MACS),
    }
    assert flops(profile.profile(session(tmp_path, PLAIN, "training.freeze=[conv]"))) == {
        "conv": (2 * 32 * CONV_MACS,),
        "head": (2 * 32 * HEAD_MACS, 2 * 32 * HEAD_MACS),
    }


def test_a_composite_that_is_computed_as_one_has_the_operations_of_its_layers(tmp_path: Path) -> None:
    found = profile.profile(session(tmp_path, BRANCHES))
    macs = 8 * 8 * (7 * 5 + 5 * 7)
    assert flops(found)["layer_scale_1.layers.per_pixel_1"] == (2 * 32 * macs, 4 * 32 * macs)


@pytest.mark.parametrize("text", [PLAIN, BRANCHES])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_outside_the_layers_has_its_parts_too(tmp_path: Path, text: str, precision: str) -> None:
    step = first_step(session(tmp_path, text, f"training.precision={precision}"))
    assert set(Outside) < {name for name, _ in step.parts}


class Clock:
    """Stands still until somebody sets it forward."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self, device: torch.device) -> float:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += seconds


def test_time_is_told_apart_by_layer_and_direction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(profile, "now", clock)
    slow = session(tmp_path, BRANCHES, "training.fast_algorithms=false")
    amounts = map(float, itertools.count(1))
    expected: dict[tuple[Name, Direction], float] = {}
    for name in IN_BRANCHES:
        module = slow.model.get_submodule(name)
        expected[name, FORWARD] = takes = next(amounts)
        module.register_forward_pre_hook(lambda module, args, takes=takes: clock.forward(takes))
        for weight in module.parameters():
            takes = next(amounts)
            expected[name, BACKWARD] = expected.get((name, BACKWARD), 0.0) + takes
            weight.register_post_accumulate_grad_hook(lambda weight, takes=takes: clock.forward(takes))
    slow.optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: clock.forward(1000.0))
    expected[Outside.OPTIMIZER, FORWARD] = 1000.0
    for _ in range(2):  # what a step leaves behind isn't counted in the next
        step = first_step(slow)
        assert {part: seconds for part, seconds in step.parts.items() if seconds} == expected
        assert step.seconds == sum(expected.values())


def test_no_layer_is_given_the_gradients_of_another_or_of_what_joins_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[tuple[Name, Node]] = []
    monkeypatch.setattr(StopWatch, "_watch_node", lambda watch, name, node: watched.append((name, node)))
    first_step(session(tmp_path, BRANCHES))
    assert max(Counter(node for _, node in watched).values()) == 1
    kinds = {node.name() for _, node in watched}
    assert not kinds & {"AddBackward0", "CatBackward0", "SplitBackward0"}
    of_first = Counter(node.name().split(":")[-1] for name, node in watched if name == "conv2d_1")
    assert of_first == {"ConvolutionBackward0": 1, "AccumulateGrad": 2}


@pytest.mark.parametrize("parts", [1, 4])
def test_a_step_of_the_profile_is_a_step_of_the_loop(tmp_path: Path, parts: int) -> None:
    choices = ["training.augmentations=[random_rotation: {degrees: 9}]", "training.averaging=ema"]
    choices += ["training.clip_grad_norm=0.1", "training.scheduler={one_cycle: {max_lr: 0.1}}"]
    choices += [f"training.batch_size={32 // parts}", f"training.gradient_accumulation={parts}"]
    watched, plain = (session(tmp_path, PLAIN, *choices) for _ in range(2))
    for each, train in ((watched, timed_step), (plain, loop.train_step)):
        torch.manual_seed(5)
        each.start_training()
        train(each, torch.arange(32))
    for ours, theirs in ((watched.model, plain.model), (watched.tested_model, plain.tested_model)):
        pairs = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)
    assert watched.schedule.lr == plain.schedule.lr != 0.1 / 25


def test_a_step_of_several_batches_counts_all_of_them(tmp_path: Path) -> None:
    found = profile.profile(session(tmp_path, PLAIN, "training.batch_size=16", "training.gradient_accumulation=2"))
    assert found.images == 32
    assert flops(found)["head"] == (2 * 32 * HEAD_MACS, 4 * 32 * HEAD_MACS)


def test_batches_are_full_and_never_end(tmp_path: Path) -> None:
    batches = full_batches(session(tmp_path, PLAIN))  # of 70 images
    assert [len(next(batches)) for _ in range(5)] == [32] * 5
    small = full_batches(session(tmp_path, PLAIN, "training.batch_size=100"))
    assert [len(next(small)) for _ in range(3)] == [70] * 3


def test_the_ceiling_is_that_of_the_fastest_product(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 4.0, 4.0, 6.0, 6.0, 9.0])  # three products of 4, 2 and 3 seconds
    monkeypatch.setattr(profile, "now", lambda device: next(times))
    monkeypatch.setattr(profile, "PRODUCT_SECONDS", 9.0)
    assert profile.product_flops_per_second("bfloat16", torch.device("cpu")) == 2 * 16**3 / 2.0


def test_times_are_medians_over_steps() -> None:
    times = [(3.0, 5.0), (1.0, 6.0), (9.0, 4.0)]
    steps = [Step(8, {("a", FORWARD): of_a, ("b", FORWARD): of_b}, set()) for of_a, of_b in times]
    found = profile.typical(steps)
    assert found.parts == {("a", FORWARD): 3.0, ("b", FORWARD): 5.0}
    assert found.seconds == 8.0


# --- what is shown ---


def profiled(*layers: LayerProfile, is_compiled: bool = False) -> Profile:
    outside = {Outside.BATCH: 0.0001, Outside.LOSS: 0.0002, Outside.OPTIMIZER: 0.0013, Outside.BETWEEN: 0.0009}
    return Profile(
        "net", torch.device("cpu"), "float32", is_compiled, 50e9, 64, [0.0121, 0.015, 0.0119], layers, outside
    )


CONV = LayerProfile("conv", {FORWARD: Pass(0.002, 80_000_000), BACKWARD: Pass(0.005, 160_000_000)})
NORM = LayerProfile("block.layers.norm", {FORWARD: Pass(0.001, 0), BACKWARD: Pass(0.0015, 0)})
LAZY = LayerProfile("identity", {FORWARD: Pass(0.0, 0)})


def test_the_table_shows_the_step_and_says_where_most_can_be_won() -> None:
    assert (
        profile_table(profiled(CONV, NORM, LAZY)).text()
        == """\
net: a step of 64 images, float32 on cpu
layer              pass         ms   share  images/s  GFLOP/s  of ceiling
──────────────────────────────────────────────────────────────────────────
conv               forward    2.00   16.7%    32,000     40.0         80%
                   backward   5.00   41.7%    12,800     32.0         64%
block.layers.norm  forward    1.00    8.3%    64,000
                   backward   1.50   12.5%    42,667
identity           forward    0.00    0.0%

whole step                   12.00  100.0%     5,333     20.0         40%
outside the layers: batch 0.10 ms, loss 0.20 ms, optimizer 1.30 ms, between layers 0.90 ms; together 20.8%
times: medians over 3 steps, which took 11.90 to 15.00 ms
GFLOP/s: 2 operations for each MAC forward; backward 4, or 2 where only one gradient is wanted
ceiling: 50 GFLOP/s, reached here by a product of two matrices of 2048x2048 in float32; algorithms that save \
operations may exceed it
attack block.layers.norm first: it takes 21% of the step (8% forward, 12% backward) without any MACs, and no layer \
has more time to win"""
    )


def test_the_layer_to_attack_is_far_from_the_ceiling_and_not_only_slow() -> None:
    slow = LayerProfile("slow", {FORWARD: Pass(0.004, 190_000_000), BACKWARD: Pass(0.004, 180_000_000)})
    far = LayerProfile("far", {FORWARD: Pass(0.001, 5_000_000), BACKWARD: Pass(0.002, 10_000_000)})
    said = profile_table(profiled(slow, far)).notes[-1]
    assert said.startswith(
        "attack far first: it takes 22% of the step (7% forward, 15% backward) at 10% of the ceiling"
    )


def test_a_run_that_is_compiled_is_said_to_be_another() -> None:
    note = "the layers are called one by one, as without `compile`"
    assert note in profile_table(profiled(CONV, is_compiled=True)).notes
    assert note not in profile_table(profiled(CONV)).notes


def test_a_narrow_terminal_shows_time_share_and_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = in_terminal(profile_table(profiled(CONV, NORM)), 60, monkeypatch)
    assert max(map(len, lines)) <= 60
    assert lines[1].split() == ["layer", "pass", "ms", "share", "of", "ceiling"]
    assert lines[4].split() == ["backward", "5.00", "41.7%", "64%"]
    assert lines[-1] == "not shown in this width: images/s, GFLOP/s"


# --- the command ---


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the plain spec in it."""
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(PLAIN, encoding="utf-8")
    return tmp_path


def test_a_profile_is_printed_and_nothing_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["net.yaml", "--profile", "training.batch_size=20"]) == 0
    printed = capsys.readouterr()
    assert printed.out.index("receptive field in pixels") < printed.out.index("net: a step of 20 images")
    assert printed.out.splitlines()[-1].startswith("attack ")
    assert [path.name for path in folder.rglob("*")] == ["net.yaml"]


def test_a_quiet_profile_is_the_table_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["net.yaml", "--profile", "--quiet", "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("net: a step of 32 images, float32 on cpu\n")
    assert printed.err == ""


def test_of_several_specs_each_is_profiled_and_the_first_failure_counts(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("branches.yaml").write_text(BRANCHES, encoding="utf-8")
    assert runner.main(["net.yaml", "missing.yaml", "branches.yaml", "--profile", "--quiet"]) == 2
    printed = capsys.readouterr()
    assert printed.out.count("\nattack ") == 2
    assert "comparison" not in printed.out
    assert "missing.yaml" in printed.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--resume", "latest", "--profile"], "--profile times a new run, and --resume goes on with another"),
        (["net.yaml", "--dry-run", "--profile"], "--dry-run tries one step, and --profile times several: give one"),
    ],
)
def test_a_profile_goes_with_no_other_command(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        runner.main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
