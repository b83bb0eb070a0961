"""Overrides that reach inside: into composites, blocks and their arguments, and variables."""

from pathlib import Path

import pytest

from builder import SpecError, load_spec, make_plan
from builder.problems import Problem

COMPOSED = """\
input: [4, 16, 16]
variables: {width: 8, depths: [1, 2]}
blocks:
  ConvNorm:
    parameters: {out_channels, stride: 1, activation: relu, around: [relu, {dropout: {p: 0.1}}], last: {tanh: {}}}
    variables: {kernel: 3}
    layers:
      - conv2d: {out_channels: $out_channels, kernel_size: $kernel, stride: $stride, padding: 1}
      - $activation
      - $around
      - $last
  Listed: [relu, conv2d: {out_channels: $width, kernel_size: 1}]
layers:
  - residual:
      layers:
        - relu
        - conv2d: {out_channels: 4, kernel_size: 3, padding: 1}
  - concat: [identity, relu]
  - ConvNorm: {out_channels: 8, around: [relu, {dropout: {p: 0.1}}], last: silu}
  - repeat: {for: {depth: $depths}, layers: [relu]}
  - repeat: {times: 2, layers: [relu, Listed]}
  - ConvNorm: {out_channels: $(2 * width)}
"""
# What an override says, and the change to the file that says the same.
EDITS = {
    "variables.width=4": ("width: 8", "width: 4"),
    "variables.width=$(2 * 4)": ("width: 8", "width: $(2 * 4)"),
    "variables.depths[1]=5": ("depths: [1, 2]", "depths: [1, 5]"),
    "variables.more=3": ("depths: [1, 2]}", "depths: [1, 2], more: 3}"),
    "blocks.ConvNorm.parameters.stride=2": ("stride: 1,", "stride: 2,"),
    "blocks.ConvNorm.parameters.activation=tanh": ("activation: relu", "activation: tanh"),
    "blocks.ConvNorm.parameters.activation.relu.name=act": ("activation: relu", "activation: {relu: {name: act}}"),
    "blocks.ConvNorm.parameters.around[0].relu.name=act": ("around: [relu, {dropout: {p: 0.1}}], last: {tanh",
        "around: [relu: {name: act}, {dropout: {p: 0.1}}], last: {tanh"),
    "blocks.ConvNorm.parameters.last.tanh.name=act": ("last: {tanh: {}}", "last: {tanh: {name: act}}"),
    "blocks.ConvNorm.variables.kernel=1": ("kernel: 3", "kernel: 1"),
    "blocks.ConvNorm.layers[0].conv2d.kernel_size=1": ("kernel_size: $kernel,", "kernel_size: 1,"),
    "blocks.ConvNorm[0].conv2d.kernel_size=1": ("kernel_size: $kernel,", "kernel_size: 1,"),
    "blocks.ConvNorm.layers[1]=gelu": ("- $activation", "- gelu"),
    "blocks.Listed[1].conv2d.out_channels=3": ("out_channels: $width", "out_channels: 3"),
    "blocks.Listed.layers[1].conv2d.out_channels=3": ("out_channels: $width", "out_channels: 3"),
    "blocks.Listed[0].relu.name=act": ("Listed: [relu,", "Listed: [relu: {name: act},"),
    "blocks.Listed=[tanh]": ("Listed: [relu, conv2d: {out_channels: $width, kernel_size: 1}]", "Listed: [tanh]"),
    "layers[0].residual.skip=false": ("- residual:\n", "- residual:\n      skip: false\n"),
    "layers[0].residual.layers[1].conv2d.dilation=1": ("kernel_size: 3, padding: 1}\n  - concat",
        "kernel_size: 3, padding: 1, dilation: 1}\n  - concat"),
    "layers[0].residual[1].conv2d.bias=false": ("padding: 1}\n  - concat", "padding: 1, bias: false}\n  - concat"),
    "layers[0].residual.shortcut=[tanh]": ("- residual:\n", "- residual:\n      shortcut: [tanh]\n"),
    "layers[1].concat[1].relu.name=act": ("concat: [identity, relu]", "concat: [identity, relu: {name: act}]"),
    "layers[1].concat.branches[1]=tanh": ("concat: [identity, relu]", "concat: [identity, tanh]"),
    "layers[1].concat.name=both": ("concat: [identity, relu]", "concat: {name: both, branches: [identity, relu]}"),
    "layers[2].ConvNorm.out_channels=$width": ("out_channels: 8, around", "out_channels: $width, around"),
    "layers[2].ConvNorm.stride=2": ("last: silu}", "last: silu, stride: 2}"),
    "layers[2].ConvNorm.around[0].relu.name=act": ("8, around: [relu,", "8, around: [relu: {name: act},"),
    "layers[2].ConvNorm.around[1].dropout.p=0.5": ("0.1}}], last: silu", "0.5}}], last: silu"),
    "layers[2].ConvNorm.last.silu.name=act": ("last: silu", "last: {silu: {name: act}}"),
    "layers[3].repeat.for.depth=[1, 2, 3]": ("depth: $depths", "depth: [1, 2, 3]"),
    "layers[4].repeat.times=3": ("times: 2", "times: 3"),
    "layers[4].repeat.layers[1].Listed.when=false": ("[relu, Listed]", "[relu, Listed: {when: false}]"),
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "base.yaml"
    path.write_text(COMPOSED, encoding="utf-8")
    return path


def problem(path: Path, override: str) -> Problem:
    with pytest.raises(SpecError) as caught:
        make_plan(load_spec(path, [override]))
    (only,) = caught.value.problems
    return only


@pytest.mark.parametrize("override", EDITS)
def test_an_override_that_reaches_inside_says_what_the_edited_file_says(override: str, path: Path) -> None:
    old, new = EDITS[override]
    assert COMPOSED.count(old) == 1
    changed = make_plan(load_spec(path, [override]))
    path.write_text(COMPOSED.replace(old, new), encoding="utf-8")
    edited = make_plan(load_spec(path))
    assert changed.spec.resolved() == edited.spec.resolved()
    assert (changed.output, changed.params, changed.macs) == (edited.output, edited.params, edited.macs)


def test_a_variable_from_the_command_line_is_seen_in_input_and_training(path: Path) -> None:
    training = "training: {dataset: mnist, epochs: $size, batch_size: 1, loss: cross_entropy, optimizer: sgd}"
    path.write_text(f"input: [1, $size, 28]\nlayers: [flatten]\n{training}\n", encoding="utf-8")
    spec = load_spec(path, ["variables.size=28"])
    assert (spec.input, spec.require_recipe().epochs) == ((1, 28, 28), 28)


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("variables[0]=3", "`variables` is no list", "`[0]` is an item of a list"),
        ("variables.width.x=3", "`variables.width` is `8`, and has no `x`", ""),
        ("layers[2].out_channels=3", "`layers[2]` is `ConvNorm`, and has no `out_channels`",
         "write `layers[2].ConvNorm.out_channels`"),
        ("layers[2].conv2d.stride=2", "`layers[2]` is `ConvNorm`, and has no `conv2d`",
         "to choose another kind, set it whole: `layers[2]={conv2d: {...}}`"),
        ("layers[2].ConvNorm.last.tanh.name=x", "`layers[2].ConvNorm.last` is `silu`, and has no `tanh`",
         "to choose another kind, set it whole: `layers[2].ConvNorm.last={tanh: {...}}`"),
        ("layers[2].ConvNorm.out_channels.x=3", "`layers[2].ConvNorm.out_channels` is `8`, and has no `x`", ""),
        ("blocks.ConvNorm.layers[1].gelu.approximate=tanh", "`blocks.ConvNorm.layers[1]` is `$activation`, and has no"
         " `gelu`", "to choose another kind, set it whole: `blocks.ConvNorm.layers[1]={gelu: {...}}`"),
        ("blocks.ConvNorm.parameters.last.sigmoid.name=x", "`blocks.ConvNorm.parameters.last` is `tanh`, and has no"
         " `sigmoid`", "set it whole: `blocks.ConvNorm.parameters.last={sigmoid: {...}}`"),
        ("blocks.Listed[2]=relu", "`blocks.Listed` has no item 2", "its last is `[1]`; items count from 0"),
        ("layers[0].residual.layers[2]=relu", "`layers[0].residual.layers` has no item 2", "its last is `[1]`"),
        ("layers[0].residual[2]=relu", "`layers[0].residual` has no item 2", "its last is `[1]`; items count from 0"),
        ("layers[0].residual.shortcut[0]=relu", "`layers[0].residual.shortcut` is no list", "an item of a list"),
        ("layers[3].repeat[0]=relu", "`layers[3].repeat` is no list", "`[0]` is an item of a list"),
        ("layers[3].repeat.for.depth[0]=3", "`layers[3].repeat.for.depth` is no list", "an item of a list"),
    ],
)  # fmt: skip
def test_a_path_inside_that_leads_nowhere_is_an_error(path: Path, override: str, message: str, hint: str) -> None:
    found = problem(path, override)
    assert (found.code, found.message) == ("wrong-path", message)
    assert hint in found.hint
    assert found.location == f"command line: {override.partition('=')[0]}"


@pytest.mark.parametrize(
    ("override", "code", "marked"),
    [
        ("layers[2].ConvNorm.out_channels=$(2 * widht)", "unknown-name", "widht"),
        ("layers[2].ConvNorm.out_chanels=3", "unknown-argument", "layers[2].ConvNorm.out_chanels"),
        ("layers[2].ConvNorm={}", "missing-argument", "layers[2].ConvNorm"),
        ("layers[2]=ConvNrom", "unknown-block", "ConvNrom"),
        ("layers[2]={concat: [relu]}", "wrong-length", "[relu]"),
        ("blocks.listed=[relu]", "wrong-name", "blocks.listed"),
        ("variables.if=3", "wrong-name", "variables.if"),
        ("layers[3].repeat.for.width=[1, 2]", "name-twice", "layers[3].repeat.for.width"),
        ("layers[2].ConvNorm={out_channels: $(min(width, 3))}", "unquoted-comma", "$(min(width, 3))"),
    ],
)
def test_a_mistake_inside_is_marked_in_the_argument(path: Path, override: str, code: str, marked: str) -> None:
    found = problem(path, override)
    assert (found.code, found.place.source.is_override) == (code, True)
    first = override.index(marked)
    assert found.frame()[2:4] == [f" | {override}", f" | {' ' * first}{'^' * len(marked)} {found.hint}"]


def test_what_an_override_breaks_inside_a_block_is_told_there_with_its_call(path: Path) -> None:
    found = problem(path, "variables.width=0.5")
    assert (found.code, found.message, found.place.line) == ("fraction", "`out_channels` is `0.5`", 12)
    assert [(use.block, use.place.line) for use in found.uses] == [("Listed", 21)]


def test_a_call_from_the_command_line_is_named_so(path: Path) -> None:
    found = problem(path, "layers[2]={ConvNorm: {out_channels: 0}}")
    assert (found.place.line, found.uses[0].text) == (8, "in block `ConvNorm`, used at command line")
