"""Composites, blocks and computed values: what they become, and what is said where they can't.

What a plan says of them is compared with torch in `test_generated_composition.py`.
"""

from pathlib import Path
from typing import Any

import pytest
from spec_generator import plan_of

from builder import Plan, SpecError, build_model
from builder.plan import plan_json, plan_table, with_levels
from builder.problems import Problem

INPUT = "input: [4, 8, 8]\n"

BLOCKS = """\
blocks:
  ConvNorm:
    parameters: {out_channels, kernel_size: 3}
    layers:
      - conv2d: {out_channels: $out_channels, kernel_size: $kernel_size, padding: $(kernel_size // 2), bias: false}
      - batch_norm2d
"""


@pytest.fixture
def planned(tmp_path: Path) -> "Planner":
    return Planner(tmp_path)


class Planner:
    """Plans specs from their text; the input is 4x8x8 where they name none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, text: str) -> Plan:
        return plan_of(text if "input:" in text else INPUT + text, self.folder)

    def problems(self, text: str) -> tuple[Problem, ...]:
        with pytest.raises(SpecError) as caught:
            self(text)
        return caught.value.problems

    def problem(self, text: str) -> Problem:
        (only,) = self.problems(text)
        return only


def names_of(plan: Plan) -> list[str]:
    """The rows of all levels by their path."""
    names: list[str] = []
    way: list[str] = []
    for row, level in with_levels(plan.rows):
        way = [*way[:level], row.name]
        names.append(".".join(way))
    return names


def channels_of(plan: Plan) -> list[int]:
    """What each convolution gives, in the order of the file."""
    return [row.out_shape[0] for row, _ in with_levels(plan.rows) if row.kind == "conv2d"]


# --- names ---


def test_a_nested_layer_is_named_by_the_way_to_it(planned: Planner) -> None:
    stages = """
layers:
  - repeat:
      name: stages
      times: 2
      layers:
        - residual: [ConvNorm: {out_channels: 4}, ConvNorm: {out_channels: 4}]
        - relu
"""
    plan = planned(BLOCKS + stages)
    name = "stages.0.residual_1.layers.ConvNorm_2.conv2d_1"
    assert name in names_of(plan)
    assert f"{name}.weight" in build_model(plan).state_dict()


def test_the_modules_of_torch_have_the_names_of_the_rows(planned: Planner) -> None:
    layers = """
layers:
  - add: [identity, sequential: [relu, ConvNorm: {out_channels: 4}], {relu: {name: gate}}]
  - layer_scale: {init: 1, layers: [relu]}
  - per_pixel: [{linear: {out_features: 4}}]
  - split: [identity, tanh]
"""
    plan = planned(BLOCKS + layers)
    assert names_of(plan) == [name for name, _ in build_model(plan).named_modules() if name]


@pytest.mark.parametrize("group", ["sequential: [relu]", "Only", "sequential: [Only]", "Twice: {layer: relu}"])
def test_what_holds_a_single_layer_is_that_layer_under_the_outer_name(planned: Planner, group: str) -> None:
    blocks = "blocks: {Only: [relu], Twice: {parameters: {layer}, layers: [sequential: [$layer]]}}\n"
    plan = planned(f"{blocks}layers: [{group}, tanh]")
    word = group.split(":")[0]
    assert [(row.name, row.kind) for row in plan.rows] == [(f"{word}_1", "relu"), ("tanh_1", "tanh")]


def test_a_repeat_numbers_its_iterations_even_if_there_is_one(planned: Planner) -> None:
    plan = planned("layers: [repeat: {times: 1, layers: [relu]}]")
    assert names_of(plan) == ["repeat_1", "repeat_1.0"]
    assert plan.rows[0].rows[0].kind == "relu"


def test_a_group_that_holds_nothing_is_the_identity(planned: Planner) -> None:
    plan = planned("layers: [sequential: [{relu: {when: false}}], repeat: {times: 0, layers: [relu]}]")
    assert names_of(plan) == ["sequential_1", "repeat_1"]
    assert plan.output == plan.spec.input


def test_what_when_leaves_out_keeps_its_number(planned: Planner) -> None:
    plan = planned("layers: [relu, {relu: {when: $(in_channels == 1)}}, relu]")
    assert names_of(plan) == ["relu_1", "relu_3"]


def test_a_branch_that_is_left_out_keeps_its_number(planned: Planner) -> None:
    plan = planned("layers: [add: [relu, {relu: {when: false}}, relu]]")
    assert names_of(plan) == ["add_1", "add_1.relu_1", "add_1.relu_3"]


# --- the state dict ---


def state_of(plan: Plan) -> list[str]:
    return list(build_model(plan).state_dict())


def test_a_residual_registers_its_layers_before_its_shortcut(planned: Planner) -> None:
    conv = "conv2d: {out_channels: 4, kernel_size: 1, bias: false}"
    plan = planned(f"layers: [residual: {{shortcut: [{conv}], layers: [{conv}]}}]")
    assert state_of(plan) == [f"residual_1.{arm}.conv2d_1.weight" for arm in ("layers", "shortcut")]


def test_parameters_of_a_module_come_before_those_of_its_children(planned: Planner) -> None:
    conv = "conv2d: {out_channels: 4, kernel_size: 1, bias: false}"
    plan = planned(f"layers: [layer_scale: {{layers: [{conv}], init: 0.5}}]")
    assert state_of(plan) == ["layer_scale_1.layer_scale", "layer_scale_1.layers.conv2d_1.weight"]


# --- scopes ---


def conv(channels: str) -> str:
    return f"conv2d: {{out_channels: {channels}, kernel_size: 1}}"


def test_index_and_count_are_those_of_the_innermost_repeat(planned: Planner) -> None:
    inner = f"repeat: {{times: 2, layers: [{conv('$(10 * count + index + 1)')}]}}"
    plan = planned(f"layers: [repeat: {{times: 3, layers: [{inner}]}}]")
    assert channels_of(plan) == [21, 22] * 3


def test_names_of_for_are_seen_in_the_repeats_inside(planned: Planner) -> None:
    inner = f"repeat: {{for: {{b: [1, 2]}}, layers: [{conv('$(10 * a + b)')}]}}"
    plan = planned(f"layers: [repeat: {{for: {{a: [1, 2]}}, layers: [{inner}]}}]")
    assert channels_of(plan) == [11, 12, 21, 22]


@pytest.mark.parametrize("name", ["a", "index", "count"])
def test_names_of_an_iteration_are_not_seen_in_the_blocks_that_it_calls(planned: Planner, name: str) -> None:
    blocks = f"blocks: {{Block: [{conv(f'${name}')}]}}\n"
    problem = planned.problem(f"{blocks}layers: [repeat: {{for: {{a: [1, 2]}}, layers: [Block]}}]")
    assert (problem.code, problem.place.line) == ("unknown-name", 2)
    assert f"`{name}`" in problem.message


def test_variables_of_a_block_are_taken_at_its_entrance(planned: Planner) -> None:
    block = f"{{variables: {{width: $in_channels}}, layers: [{conv('7')}, {conv('$width')}]}}"
    assert channels_of(planned(f"blocks: {{Block: {block}}}\nlayers: [Block]")) == [7, 4]


def test_defaults_are_taken_at_the_entrance_and_may_use_other_parameters(planned: Planner) -> None:
    block = f"{{parameters: {{b: $(a + in_channels), a: 1}}, layers: [{conv('9')}, {conv('$b')}]}}"
    assert channels_of(planned(f"blocks: {{Block: {block}}}\nlayers: [Block, Block: {{a: 2}}]")) == [9, 5, 9, 7]


def test_arguments_are_evaluated_where_the_call_stands(planned: Planner) -> None:
    block = f"{{parameters: {{a}}, layers: [{conv('9')}, {conv('$a')}]}}"
    assert channels_of(planned(f"blocks: {{Block: {block}}}\nlayers: [Block: {{a: $(2 * in_channels)}}]")) == [9, 8]


def test_layers_as_an_argument_mean_the_callers_names_and_the_channels_where_they_arrive(planned: Planner) -> None:
    blocks = f"""
blocks:
  Around: {{parameters: {{inner}}, variables: {{a: 3}}, layers: [{conv("7")}, $inner]}}
  Caller: {{parameters: {{a}}, layers: [Around: {{inner: [{conv("$(a + in_channels)")}]}}]}}
"""
    assert channels_of(planned(f"{blocks}layers: [Caller: {{a: 10}}]")) == [7, 17]


def test_layers_as_an_argument_may_use_the_iteration_that_they_are_written_in(planned: Planner) -> None:
    around = "blocks: {Around: {parameters: {inner}, layers: [repeat: {times: 2, layers: [$inner]}]}}\n"
    call = f"Around: {{inner: {{{conv('$(index + 5)')}}}}}"
    assert channels_of(planned(f"{around}layers: [repeat: {{times: 2, layers: [{call}]}}]")) == [5, 5, 6, 6]


def test_calls_of_a_block_are_counted_in_the_whole_model(planned: Planner) -> None:
    block = f"[{conv('$(10 * block_count + block_index)')}]"
    skipped = "residual: {skip: false, layers: [Block, {Block: {when: false}}]}"
    layers = f"[Block, {skipped}, repeat: {{times: 2, layers: [Block]}}]"
    assert channels_of(planned(f"blocks: {{Block: {block}}}\nlayers: {layers}")) == [40, 41, 42, 43]


def test_an_argument_may_be_a_kind_a_block_or_a_list_of_both(planned: Planner) -> None:
    blocks = "blocks: {Act: [tanh, relu], Block: {parameters: {act: silu}, layers: [$act]}}\n"
    plan = planned(f"{blocks}layers: [Block, Block: {{act: gelu}}, Block: {{act: Act}}, Block: {{act: [relu, Act]}}]")
    kinds = [row.kind for row, _ in with_levels(plan.rows) if not row.rows]
    assert kinds == ["silu", "gelu", "tanh", "relu", "relu", "tanh", "relu"]


def test_an_empty_list_as_an_argument_is_no_layer(planned: Planner) -> None:
    blocks = "blocks: {Block: {parameters: {act}, layers: [tanh, $act]}}\n"
    assert [row.kind for row in planned(f"{blocks}layers: [Block: {{act: []}}]").rows] == ["tanh"]


def test_variables_of_the_file_may_use_each_other_in_any_order(planned: Planner) -> None:
    assert channels_of(planned(f"variables: {{b: $(2 * a), a: 3}}\nlayers: [{conv('$b')}]")) == [6]


def test_input_and_training_may_be_computed_from_variables(planned: Planner) -> None:
    training = "{dataset: mnist_sample, epochs: $(e + 1), batch_size: 32, loss: nll_loss, optimizer: {sgd: {lr: $lr}}}"
    head = "variables: {size: 28, e: 1, lr: 0.5}\ninput: [1, $size, $(size + 0)]\n"
    plan = planned(f"{head}layers: [flatten, linear: {{out_features: 10}}]\ntraining: {training}")
    recipe = plan.spec.require_recipe()
    assert (plan.spec.input, recipe.epochs) == ((1, 28, 28), 2)
    assert recipe.optimizer.written()["lr"] == 0.5


def test_a_resolved_spec_has_plain_numbers_and_every_default(planned: Planner) -> None:
    resolved = planned('input: ["$(round_to(5, 2))", 8, 8]\nlayers: [residual: [relu]]').spec.resolved()
    assert "input: [6, 8, 8]" in resolved
    assert "shortcut: []" in resolved
    assert planned(resolved).spec.resolved() == resolved


def test_the_channels_that_arrive_can_not_be_used_in_input(planned: Planner) -> None:
    problem = planned.problem("input: [$in_channels, 8, 8]\nlayers: [relu]")
    assert (problem.code, problem.path, problem.place.line) == ("unknown-name", "input[0]", 1)


# --- computed values that are of no use ---


@pytest.mark.parametrize(
    ("layers", "code", "message"),
    [
        (f"[{conv('$(in_channels / 3)')}]", "fraction", "`out_channels` is `1.3333333333333333`"),
        (f"[{conv('$(in_channels - 4)')}]", "out-of-range", "`out_channels` is `0`"),
        ("[repeat: {times: $(3 / 2), layers: [relu]}]", "fraction", "`times` is `1.5`"),
        ("[repeat: {times: $(-1), layers: [relu]}]", "out-of-range", "`times` is `-1`"),
        ("[{relu: {when: $in_channels}}]", "wrong-type", "`when` is `4`"),
        (
            "[repeat: {for: {a: [1], b: [1, 2]}, layers: [relu]}]",
            "unequal-lists",
            "the lists of `for` differ in length: `a` has 1, `b` has 2",
        ),
    ],
)
def test_a_computed_value_of_no_use_is_refused_where_it_stands(
    planned: Planner, layers: str, code: str, message: str
) -> None:
    problem = planned.problem(f"layers: {layers}")
    assert (problem.code, problem.message, problem.place.line) == (code, message, 2)


def test_lists_stay_out_of_lists_and_do_not_double_without_end(planned: Planner) -> None:
    variables = "variables: {a: [$b, 1], b: [2]}"
    problem = planned.problem(f"{variables}\nlayers: [max_pool2d: {{kernel_size: $a}}]")
    assert (problem.code, problem.message) == ("wrong-type", "`$a` puts a list into a list")
    large = ", ".join(["$b"] * 200)
    problem = planned.problem(f"variables: {{a: [{large}], b: [2]}}\nlayers: [relu]")
    assert (problem.code, problem.place.line) == ("too-large-list", 2)


def test_a_problem_inside_a_block_tells_the_calls_that_led_there(planned: Planner) -> None:
    text = """\
blocks:
  Inner: {parameters: {size}, layers: [conv2d: {out_channels: 4, kernel_size: $size}]}
  Outer:
    - Inner: {size: 9}
layers:
  - relu
  - Outer
"""
    problem = planned.problem(text)
    assert (problem.code, problem.place.line) == ("kernel-too-large", 3)
    assert [(use.block, use.place.line) for use in problem.uses] == [("Inner", 5), ("Outer", 8)]


def test_a_problem_in_layers_given_as_a_default_tells_the_call_too(planned: Planner) -> None:
    text = """\
blocks:
  Block: {parameters: {size, inner: {conv2d: {out_channels: 4, kernel_size: $size}}}, layers: [relu, $inner]}
layers:
  - Block: {size: 9}
"""
    problem = planned.problem(text)
    assert (problem.code, problem.place.line) == ("kernel-too-large", 3)
    assert [(use.block, use.place.line) for use in problem.uses] == [("Block", 5)]


def test_a_circle_of_thousands_of_names_is_told_in_a_line(planned: Planner) -> None:
    names = [f"v{number}" for number in range(5_000)]
    circle = "".join(f"  {name}: ${names[number - 1]}\n" for number, name in enumerate(names))
    problem = planned.problem(f"variables:\n{circle}layers: [relu]")
    assert problem.code == "circular-variable"
    assert "`v0` -> `v4999` -> `v4998`" in problem.message
    assert len(problem.message) < 200


def test_among_very_many_names_none_is_suggested(planned: Planner) -> None:
    many = ", ".join(f"width{number}: 1" for number in range(2000))
    problem = planned.problem(f"variables: {{{many}}}\nlayers: [conv2d: {{out_channels: $widht7, kernel_size: 1}}]")
    assert (problem.code, problem.message) == ("unknown-name", "unknown name `$widht7`".replace("$", ""))
    assert "did you mean" not in problem.hint
    assert problem.replacement == ""


# --- what is shown ---


def test_json_has_nested_layers_with_the_lines_of_the_items_and_of_their_use(planned: Planner) -> None:
    text = BLOCKS + "layers:\n  - relu\n  - residual: [ConvNorm: {out_channels: 4}]\n"
    plan = planned(text)
    data: Any = plan_json(plan.spec, plan.rows, plan.problems)
    relu, residual = data["layers"]
    (arm,) = residual["layers"]
    (call,) = arm["layers"]
    convolution, norm = call["layers"]
    described = [(row["index"], row["name"], row["kind"], row["line"]) for row in (relu, residual, arm, call, norm)]
    assert described == [
        (0, "relu_1", "relu", 9),
        (1, "residual_1", "residual", 10),
        (0, "layers", "sequential", 10),
        (0, "ConvNorm_1", "ConvNorm", 10),
        (1, "batch_norm2d_1", "batch_norm2d", 7),
    ]
    assert [row.get("used_at") for row in (residual, call, convolution, norm)] == [None, None, 10, 10]
    assert "layers" not in relu
    assert residual["params"] == call["params"] == convolution["params"] + norm["params"]


def test_the_number_that_round_to_was_asked_for_is_shown(planned: Planner) -> None:
    layers = "- conv2d:\n    out_channels: $(round_to(4 * w, 8))\n    kernel_size: 1\n"
    plan = planned(f"variables: {{w: 3.4}}\nlayers:\n{layers}")
    assert plan.rows[0].to_json()["requested"] == {"out_channels": pytest.approx(13.6)}
    assert plan.rows[0].params == 16 * 4 + 16
    assert "out_channels 13.6" in plan_table(plan.spec, plan.rows).text()
