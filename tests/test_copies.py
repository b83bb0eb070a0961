"""Copies, in a `repeat` or of calls, are made of the first: they are what a walk through each of them gives."""

import gc
from collections.abc import Sequence
from pathlib import Path

import pytest
from composition_generator import as_text, generated_data
from spec_generator import plan_of

from builder import SpecError, load_spec, make_plan
from builder.layers import Layer
from builder.lints import remarks
from builder.plan import Row, paused_collector, walk
from builder.plan.copies import Pattern
from builder.plan.fitting import Fitting
from builder.problems import Problem
from builder.signals import Signal, Step

ZOO = sorted((Path(__file__).parent.parent / "specs" / "zoo").glob("[!_]*.yaml"))
CONV = "conv2d: {out_channels: 4, kernel_size: 3, padding: 1}"
# What may be in a copy, on a map of 4x9x12.
BODIES = {
    "layers": f"[{CONV}, relu]",
    "one layer": "[relu]",
    "nothing": "[relu: {when: $(count < 0)}]",
    "rows of another size in the first": "[conv2d: {out_channels: 6, kernel_size: 3, padding: 1}, relu]",
    "channels that grow": "[conv2d: {out_channels: $(in_channels + 1), kernel_size: 1}]",
    "another first": f"[{CONV}, relu: {{when: $(index == 0)}}]",
    "a number that grows": "[dropout: {p: $(0.1 * index / count)}]",
    "a residual": f"[residual: [{CONV}, batch_norm2d], relu]",
    "a shortcut": f"[residual: {{layers: [{CONV}], shortcut: [conv2d: {{out_channels: 4, kernel_size: 1}}]}}]",
    "no skip": f"[residual: {{skip: false, layers: [{CONV}]}}]",
    "branches": f"[concat: [identity, {CONV}], conv2d: {{out_channels: 4, kernel_size: 1}}]",
    "a gate": f"[multiply: [identity, sequential: [adaptive_avg_pool2d: {{output_size: 1}}, sigmoid]], {CONV}]",
    "halves": "[split: [identity, relu], channel_shuffle: {groups: 2}]",
    "pixels": "[per_pixel: [linear: {out_features: 4}, gelu], layer_scale: {init: 1, layers: [relu, tanh]}]",
    "uneven units": "[upsample: {scale_factor: 2}, max_pool2d: {kernel_size: 2}]",
    "branches whose centres differ": "[add: [conv2d: {out_channels: 4, kernel_size: 1}, sequential: [zero_pad2d: "
    "{padding: [1, 0, 1, 0]}, conv2d: {out_channels: 4, kernel_size: 2}]]]",
    "a repeat": f"[repeat: {{times: 3, layers: [{CONV}]}}, tanh]",
    "a repeat that counts": "[repeat: {times: 3, layers: [dropout: {p: $(index / 10)}]}]",
    "calls": "[Block: {width: 4}, Block: {width: $(4 + index % 2)}]",
    "a call that is given layers": "[Block: {width: 4, activation: [tanh, sigmoid]}]",
    "a call that counts": "[Counted]",
}
BLOCKS = {
    "Block": """\
  Block:
    parameters: {width, activation: relu}
    layers: [conv2d: {out_channels: $width, kernel_size: 3, padding: 1}, $activation]
""",
    "Counted": "  Counted: [dropout: {p: $(0.5 * block_index / block_count)}]\n",
}


def written(body: str, times: int = 5) -> str:
    blocks = "".join(text for name, text in BLOCKS.items() if name in body)
    head = f"input: [4, 9, 12]\n{'blocks:' if blocks else ''}\n{blocks}"
    return f"{head}layers: [repeat: {{times: {times}, layers: {body}}}, relu]\n"


def outcome(path: Path) -> tuple[Sequence[Row], Sequence[Problem]]:
    """The rows, and what is told."""
    try:
        plan = make_plan(load_spec(path))
    except SpecError as error:
        return error.rows, error.problems
    return plan.rows, remarks(plan, advice=True)


def check_copies(path: Path, monkeypatch: pytest.MonkeyPatch) -> Sequence[Problem]:
    """That a spec comes to the same with copies and without; gives what is told of it."""
    copied = outcome(path)
    with monkeypatch.context() as patch:
        patch.setattr(Pattern, "copied", lambda *_: None)
        assert copied == outcome(path)
    return copied[1]


@pytest.mark.parametrize("path", ZOO, ids=lambda path: path.stem)
def test_the_copies_in_a_network_of_the_zoo_are_as_if_walked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_copies(path, monkeypatch)


@pytest.mark.parametrize("seed", range(60))
def test_the_copies_in_a_generated_composition_are_as_if_walked(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(as_text(generated_data(seed)), encoding="utf-8")
    check_copies(path, monkeypatch)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_copies_are_as_if_walked_whatever_is_in_them(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(written(body), encoding="utf-8")
    check_copies(path, monkeypatch)


@pytest.mark.parametrize(
    ("limit", "code", "body"),
    [
        ("builder.plan.fitting.MAX_FIELD", "too-large-field", f"[{CONV}, relu]"),
        ("builder.plan.walk.MAX_LAYERS", "too-many-layers", f"[{CONV}, Block: {{width: 4}}]"),
        ("builder.plan.walk.MAX_INTERVALS", "too-many-intervals", BODIES["uneven units"]),
    ],
)
def test_a_copy_that_passes_a_limit_is_told_of_as_if_walked(
    limit: str, code: str, body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limit, 30)
    path = tmp_path / "spec.yaml"
    path.write_text(written(body, times=40), encoding="utf-8")
    assert [problem.code for problem in check_copies(path, monkeypatch)] == [code]


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each layer that a walk comes to, whether the collector is awake."""
    seen: list[bool] = []

    class Watched(Fitting):
        def through(self, layer: Layer, name: str, signal: Signal) -> tuple[Step, Signal]:
            seen.append(gc.isenabled())
            return super().through(layer, name, signal)

    monkeypatch.setattr(walk, "Fitting", Watched)
    return seen


def test_copies_that_are_alike_are_walked_once(fitted: list[bool], tmp_path: Path) -> None:
    plan = plan_of(written(BODIES["layers"], times=1000), tmp_path)
    assert [len(plan.rows[0].rows), len(fitted)] == [1000, 2 + 1]


def test_calls_with_the_same_arguments_are_walked_once(fitted: list[bool], tmp_path: Path) -> None:
    plan = plan_of(written("[Block: {width: $(8 if index == 0 else 4)}]", times=1000), tmp_path)
    # The first gives 8 channels, the second takes 8, and all others are as the third.
    assert [len(plan.rows[0].rows), len(fitted)] == [1000, 3 * 2 + 1]


# --- the collector ---


def test_the_collector_is_paused_while_a_network_is_planned(fitted: list[bool], tmp_path: Path) -> None:
    plan_of(written("[relu]"), tmp_path)
    assert set(fitted) == {False}
    assert gc.isenabled()


def test_a_collector_that_was_paused_stays_so() -> None:
    with paused_collector():
        with paused_collector():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_goes_on_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        plan_of(written("[linear: {out_features: 3}, conv2d: {out_channels: 3, kernel_size: 99}]"), tmp_path)
    assert gc.isenabled()
