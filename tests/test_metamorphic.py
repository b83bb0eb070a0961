"""Two ways to write one network give one network."""

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
import yaml
from composition_generator import as_text, generated_data
from composition_oracle import paths_and_rows
from spec_generator import plan_of

from builder import Plan, build_model, load_spec, make_plan
from builder.plan import leaves

Planner = Callable[[str], Plan]
INPUT = "input: [4, 9, 12]\n"
CONV_NORM = """\
blocks:
  ConvNorm:
    parameters: {out_channels: 4, stride: 1}
    layers:
      - conv2d: {out_channels: $out_channels, kernel_size: 3, stride: $stride, padding: 1, bias: false}
      - batch_norm2d
"""


@pytest.fixture
def planned(tmp_path: Path) -> Planner:
    return lambda text: plan_of(text if "input:" in text else INPUT + text, tmp_path)


def numbers(plan: Plan) -> list[tuple[object, ...]]:
    """What a plan says of its single layers, but for their names and places."""
    return [
        (row.layer, row.in_shape, row.out_shape, row.receptive_field, row.params, row.macs) for row in leaves(plan.rows)
    ]


def everything(plan: Plan) -> tuple[object, ...]:
    """What a plan and its model say, but for places: names, numbers, modules of every level, the state's order."""
    model = build_model(plan)
    rows = [
        (path, row.kind, row.in_shape, row.out_shape, row.receptive_field, row.params, row.buffers, row.macs)
        for path, row in paths_and_rows(plan)
    ]
    return rows, str(model), [(name, tensor.shape) for name, tensor in model.state_dict().items()]


def conv(channels: object) -> str:
    return f"conv2d: {{out_channels: {channels}, kernel_size: 3, padding: 1}}"


# --- repeats ---


@pytest.mark.parametrize("times", [0, 1, 2, 5])
def test_a_repeat_is_its_layers_written_so_many_times(planned: Planner, times: int) -> None:
    items = (
        f"{conv('$(2 * in_channels)')}, max_pool2d: {{kernel_size: 2, stride: 1}}, residual: [{conv('$in_channels')}]"
    )
    repeated = planned(f"layers: [relu, repeat: {{times: {times}, layers: [{items}]}}]")
    written = planned(f"layers: [{', '.join(['relu', *[items] * times])}]")
    assert numbers(repeated) == numbers(written)


def test_a_repeat_over_lists_is_the_list_of_its_iterations(planned: Planner) -> None:
    item = f"{conv('$(c + index)')}, avg_pool2d: {{kernel_size: $k, stride: 1}}, $act"
    lists = "{c: [3, 5, 2], k: [1, 2, 3], act: [relu, tanh, silu]}"
    repeated = planned(f"layers: [repeat: {{for: {lists}, layers: [{item}]}}]")
    unrolled = [
        f"{conv(c + index)}, avg_pool2d: {{kernel_size: {k}, stride: 1}}, {act}"
        for index, (c, k, act) in enumerate([(3, 1, "relu"), (5, 2, "tanh"), (2, 3, "silu")])
    ]
    assert numbers(repeated) == numbers(planned(f"layers: [{', '.join(unrolled)}]"))


def test_a_repeat_of_times_is_one_over_a_list_of_as_many(planned: Planner) -> None:
    repeats = [
        f"repeat: {{{how}, layers: [{conv('$(index + count)')}]}}" for how in ("times: 3", "for: {x: [7, 7, 7]}")
    ]
    first, second = (planned(f"layers: [{repeat}]") for repeat in repeats)
    assert everything(first) == everything(second)


# --- blocks ---


def test_a_block_is_what_it_expands_to(planned: Planner) -> None:
    called = planned(CONV_NORM + "layers: [ConvNorm: {name: a, out_channels: 6, stride: 2}, ConvNorm: {name: b}]")
    layers = [
        f"sequential: {{name: {name}, layers: [{{conv2d: {{out_channels: {channels}, kernel_size: 3, padding: 1, "
        f"stride: {stride}, bias: false}}}}, batch_norm2d]}}"
        for name, channels, stride in (("a", 6, 2), ("b", 4, 1))
    ]
    written = planned(f"layers: [{', '.join(layers)}]")
    assert numbers(called) == numbers(written)
    assert everything(called)[1:] == everything(written)[1:]


@pytest.mark.parametrize("given", ["relu", "[relu]", "[{relu: {}}]", "{relu: {}}", "{sequential: [relu]}"])
def test_a_layer_as_an_argument_is_that_layer(planned: Planner, given: str) -> None:
    block = "blocks: {Block: {parameters: {x}, layers: [tanh, $x]}}\n"
    written = planned("layers: [sequential: {name: b, layers: [tanh, relu]}]")
    assert numbers(planned(f"{block}layers: [Block: {{name: b, x: {given}}}]")) == numbers(written)


@pytest.mark.parametrize(
    "group", ["sequential: [{item}]", "repeat: {{times: 1, layers: [{item}]}}", "Only: {{x: [{item}]}}"]
)
def test_a_group_of_one_layer_changes_no_number_and_no_other_name(planned: Planner, group: str) -> None:
    block = "blocks: {Only: {parameters: {x}, layers: [$x]}}\n"
    plain = planned(f"layers: [relu, {conv(5)}, relu]")
    grouped = planned(f"{block}layers: [relu, {group.format(item=conv(5))}, relu]")
    assert numbers(grouped) == numbers(plain)
    assert [grouped.rows[0].name, grouped.rows[-1].name] == ["relu_1", "relu_2"]


@pytest.mark.parametrize("group", ["sequential: {{name: a, layers: [{item}]}}", "Only: {{name: a, x: [{item}]}}"])
def test_a_named_group_of_one_layer_is_that_layer_with_the_name(planned: Planner, group: str) -> None:
    block = "blocks: {Only: {parameters: {x}, layers: [$x]}}\n"
    named = planned("layers: [conv2d: {name: a, out_channels: 5, kernel_size: 1}]")
    item = "conv2d: {name: inner, out_channels: 5, kernel_size: 1}"
    assert everything(planned(f"{block}layers: [{group.format(item=item)}]")) == everything(named)


# --- branches ---


def test_an_identity_as_a_branch_adds_what_arrives(planned: Planner) -> None:
    added = planned(f"layers: [add: [identity, {conv(4)}]]")
    residual = planned(f"layers: [residual: [{conv(4)}]]")
    assert [added.params, added.macs, added.output, added.receptive_field] == [
        *(residual.params, residual.macs, residual.output, residual.receptive_field)
    ]


@pytest.mark.parametrize("layer", ["add: [identity, identity]", "residual: [identity]", "add: [{relu: {}}, relu]"])
def test_the_sum_of_two_identities_is_twice_what_arrives(planned: Planner, layer: str) -> None:
    image = torch.rand(1, 4, 9, 12)
    plan = planned(f"layers: [{layer}]")
    assert torch.equal(build_model(plan)(image), 2 * image)
    assert plan.receptive_field.size == (1, 1)


def test_the_order_of_branches_changes_only_the_order(planned: Planner) -> None:
    arms = [conv(4), "conv2d: {out_channels: 4, kernel_size: [5, 1], padding: [2, 0]}", "identity"]
    forwards, backwards = (planned(f"layers: [add: [{', '.join(order)}]]") for order in (arms, arms[::-1]))
    for what in ("params", "macs", "output", "receptive_field"):
        assert getattr(forwards, what) == getattr(backwards, what)


# --- when ---


LAYERS_AROUND = ["relu", conv(6), "residual: [relu, tanh]", "ConvNorm: {stride: 2}", "relu"]


@pytest.mark.parametrize("place", range(len(LAYERS_AROUND) + 1))
@pytest.mark.parametrize("never", ["false", "$(in_channels < 0)", "$(1 == 2)"])
def test_what_when_leaves_out_is_not_there(planned: Planner, place: int, never: str) -> None:
    layers = list(LAYERS_AROUND)
    layers.insert(place, f"silu: {{when: {never}}}")
    with_it, without = (
        planned(f"{CONV_NORM}layers: [{', '.join(f'{{{item}}}' if ':' in item else item for item in items)}]")
        for items in (layers, LAYERS_AROUND)
    )
    assert everything(with_it) == everything(without)


def test_names_count_what_is_left_out(planned: Planner) -> None:
    plan = planned("layers: [relu, {relu: {when: false}}, relu]")
    assert [row.name for row in plan.rows] == ["relu_1", "relu_3"]


def test_when_true_is_as_if_it_were_not_written(planned: Planner) -> None:
    conditional, plain = (planned(f"layers: [relu: {fields}]") for fields in ("{when: $(in_channels == 4)}", "{}"))
    assert everything(conditional) == everything(plain)


# --- the order of keys ---


def shuffled(data: Any, random: Random) -> Any:
    """The same data with the keys of every mapping in another order."""
    if isinstance(data, list):
        return [shuffled(item, random) for item in data]
    if not isinstance(data, dict):
        return data
    keys = list(data)
    random.shuffle(keys)
    return {key: shuffled(data[key], random) for key in keys}


@pytest.mark.parametrize("seed", range(2000, 2150))
def test_the_order_of_keys_changes_nothing(planned: Planner, seed: int) -> None:
    data = generated_data(seed)
    other = shuffled(data, Random(seed))  # noqa: S311  # nothing secret
    assert everything(planned(as_text(other))) == everything(planned(as_text(data)))


# --- files and the command line ---

SPEC = f"""\
name: net
variables: {{width: 1.0, depth: 2}}
input: [4, 9, 12]
{CONV_NORM}
layers:
  - repeat:
      times: $depth
      layers:
        - ConvNorm: {{out_channels: "$(round_to(12 * width, 4))", stride: $(index + 1)}}
  - ConvNorm
  - flatten
"""

CHANGES: list[tuple[str, Mapping[str, Any]]] = [
    ("variables.width=0.5", {"variables": {"width": 0.5}}),
    ("variables.depth=3", {"variables": {"depth": 3}}),
    ("blocks.ConvNorm.parameters.stride=2", {"blocks": {"ConvNorm": {"parameters": {"stride": 2}}}}),
    ("input=[2, 9, 12]", {"input": [2, 9, 12]}),
    ("layers=[ConvNorm, relu]", {"layers": ["ConvNorm", "relu"]}),
]


@pytest.mark.parametrize(("override", "change"), CHANGES)
def test_an_override_is_an_edit_and_so_is_a_spec_that_extends(
    tmp_path: Path, override: str, change: Mapping[str, Any]
) -> None:
    edited = yaml.safe_load(SPEC)
    merge(edited, change)
    texts = {"base": SPEC, "edited": as_text(edited), "member": as_text({"extends": "base.yaml", **change})}
    paths = {name: tmp_path / f"{name}.yaml" for name in texts}
    for name, path in paths.items():
        path.write_text(texts[name], encoding="utf-8")
    expected = everything(make_plan(load_spec(paths["edited"])))
    assert expected != everything(make_plan(load_spec(paths["base"])))
    assert everything(make_plan(load_spec(paths["base"], [override]))) == expected
    assert everything(make_plan(load_spec(paths["member"]))) == expected


def merge(data: dict[str, Any], change: Mapping[str, Any]) -> None:
    """Mappings merge, all else is replaced."""
    for key, value in change.items():
        if isinstance(value, Mapping) and isinstance(data.get(key), dict):
            merge(data[key], value)
        else:
            data[key] = value
