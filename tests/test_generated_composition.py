"""A thousand generated specs of nested composites: every number of every level of every plan is torch's."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from composition_generator import as_text, generated_data
from composition_meaning import layers_of
from composition_oracle import differences, paths_and_rows
from spec_generator import plan_of

from builder import Plan, build_model
from builder.layers import LAYERS
from builder.layers.composites import COMPOSITES
from builder.plan import leaves

SEEDS = range(1000)
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),  # torch's own forward-mode gradients use it
    pytest.mark.filterwarnings("ignore:Initializing zero-element tensors"),
]


@cache
def text_of(seed: int) -> str:
    return as_text(generated_data(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_generated_spec_is_planned_as_torch_runs_it(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    plan = plan_of(text_of(seed), tmp_path_factory.getbasetemp())
    assert differences(plan) == [], f"the spec of seed {seed}:\n{text_of(seed)}"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_generated_spec_becomes_the_layers_that_it_means(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    plan = plan_of(text_of(seed), tmp_path_factory.getbasetemp())
    expected = [(LAYERS[layer.kind].read(layer.fields), layer.channels) for layer in layers_of(generated_data(seed))]
    assert [(row.layer, row.out_shape[0]) for row in leaves(plan.rows)] == expected, text_of(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_generated_spec_resolved_is_the_same_network(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    first = plan_of(text_of(seed), folder)
    second = plan_of(first.spec.resolved(), folder)
    assert numbers(second) == numbers(first)
    assert second.spec.resolved() == first.spec.resolved()


def numbers(plan: Plan) -> list[tuple[object, ...]]:
    """All that a plan says of its rows, but for where they are written."""
    return [
        (path, row.kind, row.in_shape, row.out_shape, row.receptive_field, row.params, row.buffers, row.macs)
        for path, row in paths_and_rows(plan)
    ]


def test_the_same_seed_generates_the_same_spec() -> None:
    assert as_text(generated_data(7)) == text_of(7) != text_of(8)


# --- what occurs ---


def everything_in(data: Any) -> Iterator[tuple[str, Any]]:
    """The keys of all mappings of a spec with their values; its texts come as keys without one."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield key, value
            yield from everything_in(value)
    elif isinstance(data, list):
        for item in data:
            yield from everything_in(item)
    elif isinstance(data, str):
        yield data, None


@cache
def occurring() -> list[tuple[str, Any]]:
    return [pair for seed in SEEDS for pair in everything_in(generated_data(seed))]


def test_every_composite_kind_occurs_in_each_form() -> None:
    lists = {key for key, value in occurring() if isinstance(value, list)}
    mappings = {key for key, value in occurring() if isinstance(value, Mapping)}
    assert mappings >= set(COMPOSITES)
    assert lists >= {kind for kind, cls in COMPOSITES.items() if cls.list_form}


@pytest.mark.parametrize(
    "word", ["for", "times", "when", "skip", "shortcut", "parameters", "variables", "blocks", "name", "groups"]
)
def test_every_field_of_the_language_occurs(word: str) -> None:
    assert any(key == word for key, _ in occurring())


@pytest.mark.parametrize(
    "word",
    [
        *("in_channels", "index", "count", "block_index", "block_count"),
        *("min", "max", "round_to", "floor", "ceil", "if", "and", "or", "not"),
        *("+", "-", "*", "/", "//", "%", "==", "!=", "<", "<=", ">", ">="),
    ],
)
def test_every_word_of_expressions_occurs(word: str) -> None:
    assert word in words_of_expressions()


@cache
def words_of_expressions() -> set[str]:
    texts = {text for text, value in occurring() if value is None and text.startswith("$")}
    return {word for text in texts for word in re.findall(r"\w+|//|[<>=!]=|[-+*/%<>]", text)}


def test_layers_occur_as_arguments_and_as_texts() -> None:
    arguments = [value for key, value in occurring() if key.startswith("act")]
    assert any(isinstance(value, list) and any(isinstance(item, Mapping) for item in value) for value in arguments)
    assert any(isinstance(value, str) and value.startswith("$") for value in arguments)
    assert [] in arguments
    assert "relu" in arguments


def test_most_networks_are_nested_and_keep_their_state(tmp_path: Path) -> None:
    plans = [plan_of(text_of(seed), tmp_path) for seed in SEEDS[:100]]
    depths = [max(path.count(".") for path, _ in paths_and_rows(plan)) for plan in plans]
    assert sum(depth >= 2 for depth in depths) > 50
    assert sum(len(build_model(plan).state_dict()) > 3 for plan in plans) > 50
