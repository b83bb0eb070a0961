"""Lints: each with a spec that triggers it and one that just doesn't, and a page that says why.

The specs lie in `specs/lints/CODE/`, with exactly what `check --advice` prints beside them. `UPDATE_GOLDEN=1 python -m
pytest tests/test_lints.py` writes the reports, and `docs/lints.md`, anew.
"""

import os
import re
from pathlib import Path

import pytest
import torch

from builder import Plan, build_model, load_spec, make_plan
from builder.__main__ import main
from builder.codes import CODES, LINT_CODES, PROBLEM_CODES
from builder.lints import LINTS, page, pages, remarks
from builder.lints.flow import Flow
from builder.lints.reach import Reach, units_text

ROOT = Path(__file__).parent.parent
SPECS = ROOT / "tests" / "specs" / "lints"
NAMES = ("triggers", "quiet")
HEAD = "input: [1, 28, 28]\n"
TRAINING = (
    "training: {{dataset: mnist_sample, epochs: 5, batch_size: 50, loss: {loss}, optimizer: {{adam: {{lr: 0.01}}}}}}\n"
)


@pytest.fixture(autouse=True)
def _in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def compare(found: str, golden: Path) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8"), f"if this is better: UPDATE_GOLDEN=1, and read {golden}"


def plan_of(text: str, folder: Path) -> Plan:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return make_plan(load_spec(path))


def told(layers: str, folder: Path, loss: str = "") -> list[str]:
    """The codes of all that is said about a list of layers, warnings and advice."""
    training = TRAINING.format(loss=loss) if loss else ""
    return [problem.code for problem in remarks(plan_of(f"{HEAD}layers: {layers}\n{training}", folder), advice=True)]


# --- every lint ---


def test_every_code_of_a_lint_has_a_class_two_specs_and_two_reports() -> None:
    assert set(LINT_CODES) == set(LINTS)
    assert {folder.name for folder in SPECS.iterdir()} == set(LINTS)
    for code in LINTS:
        files = {f"{name}.{ending}" for name in NAMES for ending in ("yaml", "txt")}
        assert {path.name for path in (SPECS / code).iterdir()} == files, code


@pytest.mark.parametrize("code", LINT_CODES)
@pytest.mark.parametrize("name", NAMES)
def test_the_report_of_a_lint_is_the_one_beside_its_spec(
    code: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = SPECS / code / f"{name}.yaml"
    assert main(["check", "--advice", str(path.relative_to(ROOT))]) == 0
    report = capsys.readouterr().out
    if os.environ.get("UPDATE_GOLDEN") and not path.with_suffix(".txt").exists():
        path.with_suffix(".txt").touch()
    compare(report, path.with_suffix(".txt"))
    expected = {(LINTS[code].severity, code)} if name == "triggers" else set()
    assert set(re.findall(r"^(\w+)\[(.*?)\]: ", report, re.MULTILINE)) == expected


@pytest.mark.parametrize("code", LINT_CODES)
def test_the_page_of_a_lint_gives_a_reason_an_effect_and_a_source(code: str) -> None:
    text = page(code)
    assert text.startswith(f"## {code} ({LINTS[code].severity})\n")
    why, effect, source = re.split(r"^(?:Effect|Source): ", text, flags=re.MULTILINE)
    assert len(why.split("\n\n")) >= 3
    assert re.search(r"%|none|one step", effect)
    assert re.search(r"arXiv:|doi:|et al|torch's documentation|`python |=", source)


def test_the_page_of_all_lints_is_current() -> None:
    compare(pages(), ROOT / "docs" / "lints.md")


@pytest.mark.parametrize("code", LINT_CODES)
def test_a_lint_is_switched_off_by_its_code_and_the_reason_survives(
    code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (SPECS / code / "triggers.yaml").read_text(encoding="utf-8")
    plan = plan_of(f"{text}lint: {{allow: {{{code}: 'it is right here, no doubt'}}}}\n", tmp_path)
    assert remarks(plan, advice=True) == []
    again = plan_of(plan.spec.resolved(), tmp_path)
    assert again.spec.allowed == plan.spec.allowed == {code: "it is right here, no doubt"}
    assert code not in [problem.code for problem in remarks(again, advice=True)]


def test_the_specs_of_this_repository_show_one_warning_and_it_is_the_lesson_of_the_notebook(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "specs", "--format", "concise"]) == 0
    *found, verdict = capsys.readouterr().out.splitlines()
    assert [line.partition(": `")[0] for line in found] == ["specs/notebook.yaml:25:5: warning[activation-on-logits]"]
    assert verdict.startswith("0 errors, 1 warning in ")


# --- advice ---


def test_an_info_is_shown_with_advice_only_and_never_counted(capsys: pytest.CaptureFixture[str]) -> None:
    spec = str((SPECS / "dense-head" / "triggers.yaml").relative_to(ROOT))
    assert main(["check", spec, "--strict"]) == 0
    assert capsys.readouterr().out == "no problems in 1 spec\n"
    assert main(["check", spec, "--strict", "--advice"]) == 0
    report = capsys.readouterr().out
    assert report.startswith("info[dense-head]: ")
    assert report.endswith("no problems in 1 spec\n")


def test_a_warning_of_a_lint_fails_a_strict_check(capsys: pytest.CaptureFixture[str]) -> None:
    spec = str(SPECS / "activation-on-logits" / "triggers.yaml")
    assert (main(["check", spec]), main(["check", spec, "--strict"])) == (0, 1)
    assert capsys.readouterr().out.endswith("0 errors, 1 warning in 1 spec\n")


def test_show_tells_the_warnings_of_lints_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "specs/notebook.yaml"]) == 0
    assert "warning[activation-on-logits]" in capsys.readouterr().err


# --- pages ---


def test_explain_prints_the_page_of_a_lint_and_a_line_for_other_codes(capsys: pytest.CaptureFixture[str]) -> None:
    for code in ("dense-head", "unknown-key"):
        with pytest.raises(SystemExit) as ended:
            main(["check", "--explain", code])
        assert ended.value.code == 0
        assert capsys.readouterr().out == page(code)
    assert page("unknown-key") == "## unknown-key\n\nno key of this name is known here\n"
    assert page("all") == pages()


def test_explain_of_an_unknown_code_suggests_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", "--explain", "dense-haed"])
    assert ended.value.code == 2
    assert "unknown code 'dense-haed'; did you mean `dense-head`?" in capsys.readouterr().err


def test_every_code_in_a_report_of_the_tests_is_explained() -> None:
    reports = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "specs").rglob("*.txt"))
    found = set(re.findall(r"^(?:error|warning|info)\[(.*?)\]: ", reports, re.MULTILINE))
    assert found - set(CODES) == set()
    assert not set(LINT_CODES) & set(PROBLEM_CODES)


# --- what feeds what ---


def flow_of(layers: str, folder: Path) -> Flow:
    return Flow(plan_of(f"input: [4, 8, 8]\nlayers: {layers}\n", folder))


def feeds(flow: Flow) -> dict[str, list[str]]:
    return {node.name: [before.name for before in node.before] for node in flow.nodes}


def test_layers_of_groups_and_blocks_follow_each_other_as_torch_runs_them(tmp_path: Path) -> None:
    flow = flow_of(
        "[relu, sequential: [tanh, sequential: [gelu, silu]], repeat: {times: 2, layers: [sigmoid]}]", tmp_path
    )
    assert feeds(flow) == {
        "relu_1": [],
        "tanh_1": ["relu_1"],
        "gelu_1": ["tanh_1"],
        "silu_1": ["gelu_1"],
        "0": ["silu_1"],
        "1": ["0"],
    }


def test_branches_see_the_same_input_and_meet(tmp_path: Path) -> None:
    flow = flow_of("[relu, concat: [tanh, sequential: [gelu, silu]], sigmoid]", tmp_path)
    assert feeds(flow)["concat_1"] == ["tanh_1", "silu_1"]
    assert feeds(flow)["gelu_1"] == feeds(flow)["tanh_1"] == ["relu_1"]
    assert [(node.name, node.in_branch) for node in flow.nodes if node.in_branch] == [
        ("tanh_1", True),
        ("gelu_1", True),
        ("silu_1", True),
    ]
    assert [node.name for node in flow.exits] == ["sigmoid_1"]


def test_a_residual_adds_what_arrives_and_without_its_sum_is_a_group(tmp_path: Path) -> None:
    assert feeds(flow_of("[relu, residual: [tanh]]", tmp_path))["residual_1"] == ["tanh_1", "relu_1"]
    with_shortcut = "[relu, residual: {layers: [tanh], shortcut: [gelu]}]"
    assert feeds(flow_of(with_shortcut, tmp_path))["residual_1"] == ["tanh_1", "gelu_1"]
    without_sum = feeds(flow_of("[relu, residual: {skip: false, layers: [tanh]}, gelu]", tmp_path))
    assert without_sum == {"relu_1": [], "tanh_1": ["relu_1"], "gelu_1": ["tanh_1"]}


# --- near misses ---


@pytest.mark.parametrize(
    "layers",
    [
        # SqueezeNet's end: the activation stands before the mean, and no score is lost.
        "[conv2d: {out_channels: 10, kernel_size: 28}, relu, adaptive_avg_pool2d: {output_size: 1}, flatten]",
        "[flatten, linear: {out_features: 10}, leaky_relu]",
    ],
)
def test_activations_that_kill_no_class_are_left_alone(layers: str, tmp_path: Path) -> None:
    assert told(layers, tmp_path, "cross_entropy") == []


def test_the_logits_are_found_through_groups_and_dropouts(tmp_path: Path) -> None:
    layers = "[flatten, sequential: [linear: {out_features: 10}, relu], dropout: {p: 0.1}, sequential: [log_softmax]]"
    assert told(layers, tmp_path, "nll_loss") == ["activation-on-logits", "dropout-on-logits"]


def test_a_trunk_without_a_recipe_may_end_with_an_activation(tmp_path: Path) -> None:
    assert told("[flatten, linear: {out_features: 10}, relu]", tmp_path) == []


def test_softmax_before_nll_loss_is_no_log_softmax(tmp_path: Path) -> None:
    layers = "[flatten, linear: {out_features: 10}, softmax]"
    assert told(layers, tmp_path, "nll_loss") == ["nll-loss-without-log-softmax"]


@pytest.mark.parametrize(
    "between",
    [
        "max_pool2d: {kernel_size: 2}",  # not linear
        "layer_norm",  # neither
        "residual: [relu]",
        "sequential: [relu, dropout: {p: 0.1}]",
    ],
)
def test_what_is_not_linear_between_two_convolutions_counts_as_an_activation(between: str, tmp_path: Path) -> None:
    convolution = "conv2d: {out_channels: 4, kernel_size: 3, padding: 1}"
    assert "missing-activation" not in told(f"[{convolution}, {between}, {convolution}]", tmp_path)


@pytest.mark.parametrize("between", ["batch_norm2d", "avg_pool2d: {kernel_size: 2}", "identity", "dropout2d: {p: 0.1}"])
def test_what_is_linear_between_two_convolutions_counts_as_nothing(between: str, tmp_path: Path) -> None:
    convolution = "conv2d: {out_channels: 4, kernel_size: 3, padding: 1, bias: false}"
    assert "missing-activation" in told(f"[{convolution}, {between}, {convolution}]", tmp_path)


def test_separable_convolutions_and_linear_bottlenecks_need_no_activation(tmp_path: Path) -> None:
    wide = "conv2d: {out_channels: 8, kernel_size: 1}, relu"
    separable = (
        "conv2d: {out_channels: 8, kernel_size: 3, padding: 1, groups: 8}, conv2d: {out_channels: 4, kernel_size: 1}"
    )
    assert told(f"[{wide}, {separable}, conv2d: {{out_channels: 8, kernel_size: 1}}, relu]", tmp_path) == []


def test_a_bias_that_reaches_more_than_a_batch_norm_is_needed(tmp_path: Path) -> None:
    convolution = "conv2d: {out_channels: 4, kernel_size: 3, padding: 1}"
    both = f"[{convolution}, add: [batch_norm2d, identity]]"
    assert told(both, tmp_path) == []
    assert told(f"[{convolution}, add: [batch_norm2d, batch_norm2d]]", tmp_path) == ["bias-before-batch-norm"]


def test_a_finding_in_a_block_is_told_once_with_the_call(tmp_path: Path) -> None:
    text = (
        f"{HEAD}blocks: {{Twice: [conv2d: {{out_channels: 4, kernel_size: 3, padding: 1}}, batch_norm2d, relu]}}\n"
        "layers: [Twice, Twice, Twice]\n"
    )
    (problem,) = remarks(plan_of(text, tmp_path), advice=True)
    assert (problem.code, problem.path, problem.place.line) == (
        "bias-before-batch-norm",
        "blocks.Twice[0].conv2d.bias",
        2,
    )
    assert [(use.block, use.place.line) for use in problem.uses] == [("Twice", 3)]


def test_a_finding_under_an_alias_is_told_once(tmp_path: Path) -> None:
    layers = "[&twice {sequential: [relu, relu]}, conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, *twice]"
    assert told(layers, tmp_path) == ["two-activations"]


def test_layers_behind_a_gate_are_not_called_unproductive(tmp_path: Path) -> None:
    convolution = "conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, relu"
    gate = "multiply: [identity, sequential: [adaptive_avg_pool2d: {output_size: 1}, sigmoid]]"
    assert told(f"[{convolution}, {gate}, {convolution}]", tmp_path) == []


def test_a_schedule_that_dies_half_way_is_told_with_its_share(tmp_path: Path) -> None:
    training = TRAINING.format(loss="cross_entropy").replace("epochs: 5", "epochs: 20")
    training = training.replace("optimizer", "scheduler: {step: {step_size: 1, gamma: 0.1}}, optimizer")
    layers = "layers: [flatten, linear: {out_features: 10}]\n"
    (problem,) = remarks(plan_of(HEAD + layers + training, tmp_path))
    assert problem.message == "half way through the run the learning rate is 1e-10 of what it was"


# --- lost pixels, against torch ---


@pytest.mark.parametrize(
    ("layers", "rows", "columns"),
    [
        ("[conv2d: {out_channels: 2, kernel_size: 3, stride: 2}]", "27", "27"),
        ("[conv2d: {out_channels: 2, kernel_size: 3, stride: 2, padding: 1}]", "", ""),
        ("[conv2d: {out_channels: 2, kernel_size: [5, 3], stride: [3, 1]}]", "26, 27", ""),
        ("[avg_pool2d: {kernel_size: 3}, avg_pool2d: {kernel_size: 2}]", "24 to 27", "24 to 27"),
        ("[avg_pool2d: {kernel_size: 3, ceil_mode: true}, avg_pool2d: {kernel_size: 2}]", "", ""),
        ("[conv2d: {out_channels: 2, kernel_size: 2, stride: 2, dilation: 3}]", "1, 26", "1, 26"),
        ("[conv2d: {out_channels: 2, kernel_size: 1, stride: 9}]", "1 to 8, 10 to 17, 19 to 26", None),
        ("[conv2d: {out_channels: 2, kernel_size: 3, stride: 5}, flatten, linear: {out_features: 3}]", None, None),
        ("[add: [avg_pool2d: {kernel_size: 3}, avg_pool2d: {kernel_size: 4, stride: 3}]]", "", ""),
        ("[add: [identity, conv2d: {out_channels: 1, kernel_size: 1}], avg_pool2d: {kernel_size: 9}]", "27", "27"),
        ("[upsample: {scale_factor: 2}, conv2d: {out_channels: 2, kernel_size: 5, stride: 5}]", "", ""),
        ("[zero_pad2d: {padding: [0, 0, 0, 1]}, avg_pool2d: {kernel_size: 3, stride: 3}]", "27", "27"),
        ("[adaptive_avg_pool2d: {output_size: 5}, avg_pool2d: {kernel_size: 2}]", "23 to 27", "23 to 27"),
        ("[multiply: [identity, adaptive_avg_pool2d: {output_size: 1}], avg_pool2d: {kernel_size: 3}]", "", ""),
        ("[flatten, unflatten: {dim: 1, unflattened_size: [1, 28, 28]}, avg_pool2d: {kernel_size: 3}]", "", None),
    ],
)  # fmt: skip
def test_lost_pixels_are_those_that_get_no_gradient(
    layers: str, rows: str | None, columns: str | None, tmp_path: Path
) -> None:
    plan = plan_of(f"{HEAD}layers: {layers}\n", tmp_path)
    lost = Reach(Flow(plan), (28, 28)).lost
    for units, expected in zip(lost, (rows, columns), strict=True):
        assert expected is None or units_text(units) == expected
    image = torch.rand(1, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    model = build_model(plan).double()
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, 0.1, 1)  # so that nothing cancels out
    model(image).sum().backward()
    assert image.grad is not None
    seen = image.grad[0, 0] != 0
    for axis, units in enumerate(lost):
        unseen = {index for index, found in enumerate(seen.any(dim=1 - axis)) if not found}
        told_lost = {index for index in range(28) if units >> index & 1}
        # A way through features is taken to need all of the map before it.
        assert told_lost == unseen or (told_lost < unseen and "unflatten" in layers)


@pytest.mark.parametrize(
    ("layers", "name"),
    [
        # The composite halves the map, and its branches see all of it.
        ("[residual: {layers: [CONV], shortcut: [CONV]}, avg_pool2d: {kernel_size: 3}]", "avg_pool2d_1"),
        # Both ways skip the same rows and columns.
        ("[residual: {layers: [SKIPPING], shortcut: [SKIPPING]}]", "conv2d_1"),
    ],
)
def test_the_layer_that_leaves_units_out_is_named_and_no_composite_around_others(
    layers: str, name: str, tmp_path: Path
) -> None:
    layers = layers.replace("CONV", "conv2d: {out_channels: 2, kernel_size: 3, stride: 2, padding: 1}")
    layers = layers.replace("SKIPPING", "conv2d: {out_channels: 2, kernel_size: 1, stride: 2}")
    plan = plan_of(f"{HEAD}layers: {layers}\n", tmp_path)
    (problem,) = (problem for problem in remarks(plan, advice=True) if problem.code == "lost-pixels")
    assert f"`{name}` is the first layer that leaves units of its input out" in problem.message


def test_units_are_told_as_runs_and_of_many_the_first() -> None:
    assert units_text(0b1110_0101) == "0, 2, 5 to 7"
    assert units_text(sum(1 << 2 * index for index in range(9))) == "0, 2, 4, 6 and 5 more"
