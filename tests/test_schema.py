"""The schema: current, valid, closed, described; and its parameters are torch's."""

import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from torch import nn
from torchvision import ops
from training_contract import OPTIMIZERS, SCHEDULERS

from builder.editor import REGENERATE, editor_schema, schema_text
from builder.fields import LAYER_NAME, RESERVED_NAMES, SPEC_NAME, Text, matches
from builder.hints import LEFT_OUT
from builder.kinds import Kind, Parameter, first_paragraph, parameters
from builder.layers import LAYERS
from builder.layers.composites import COMPOSITES
from builder.problems import Source
from builder.recipe import DEVICE, Dataset, Loss, Optimizer, Recipe, Scheduler
from builder.schema import net_schema
from builder.source import parse_value, plain

ROOT = Path(__file__).parent.parent
FAMILIES: tuple[type[Kind], ...] = (Dataset, Loss, Optimizer, Scheduler)
# Not by their words: `linear` is a layer, and a scheduler too.
ALL_KINDS: tuple[type[Kind], ...] = (
    *LAYERS.values(),
    *COMPOSITES.values(),
    *(cls for family in FAMILIES for cls in family.table.values()),
)

# The torch class behind each kind that has one.
LOSSES = {"nll_loss": nn.NLLLoss, "cross_entropy": nn.CrossEntropyLoss, "mse_loss": nn.MSELoss}
TORCH: dict[type[Kind], Callable[..., object]] = {
    **{cls: getattr(nn, cls.__name__, None) or getattr(ops, cls.__name__) for cls in LAYERS.values()},
    **{Loss.table[kind]: cls for kind, cls in LOSSES.items()},
    **{Optimizer.table[kind]: cls for kind, cls in OPTIMIZERS.items()},
    **{Scheduler.table[kind]: cls for kind, cls in SCHEDULERS.items()},
}
WITHOUT_TORCH = {Loss.table["focal_loss"]}
OURS = {Optimizer.table["muon"]: {"adamw"}}  # what torch leaves to a second optimizer
# And to whoever steps a scheduler.
OURS |= {cls: {"interval"} for kind, cls in Scheduler.table.items() if kind not in ("one_cycle", "reduce_on_plateau")}
# What the engine hands over, and what some torch classes swallow.
HANDED_OVER = {"params", "optimizer", "mode", "args", "kwargs"}  # mode: a loss should fall


def subschemas(schema: dict[str, Any], where: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """The schema and every schema inside it, with the way there."""
    yield where, schema
    for key, value in schema.items():
        if key in ("properties", "patternProperties", "definitions"):
            for name, inner in value.items():
                yield from subschemas(inner, f"{where}/{key}/{name}")
        elif isinstance(value, dict) and key != "dependencies":  # which are names of keys
            yield from subschemas(value, f"{where}/{key}")


ALL_SCHEMAS = list(subschemas(net_schema()))
EDITOR_SCHEMAS = list(subschemas(editor_schema()))

# Words that only editors read, tried in yaml-language-server (see test_editor.py): what each is for.
EDITOR_WORDS = {
    "defaultSnippets": "a kind is inserted with the fields that it requires, a whole spec into an empty file",
    "doNotSuggest": "a kind that has a snippet is not offered a second time, as a key",
    "enumDescriptions": "a word's meaning, beside it",
    "errorMessage": "what is wanted, in place of `Expected one of integer, string`",
}


def parameter_schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that a person may write, kinds themselves left out."""
    for where, schema in ALL_SCHEMAS:
        if "properties" in schema and "maxProperties" not in schema:
            yield from ((f"{where}/{name}", inner) for name, inner in schema["properties"].items())


def test_the_schema_file_is_current() -> None:
    written = (ROOT / "builder" / "net.schema.json").read_text(encoding="utf-8")
    assert written == schema_text(), f"run: {REGENERATE}"


def test_the_schema_is_valid_draft_07() -> None:
    schema = json.loads(schema_text())
    assert schema["$schema"] == Draft7Validator.META_SCHEMA["$id"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(schema)


def test_every_word_of_the_schema_is_one_of_draft_07() -> None:
    # A misspelt keyword is ignored silently, and would check nothing.
    known = set(Draft7Validator.META_SCHEMA["properties"])
    assert {word for _, schema in EDITOR_SCHEMAS for word in schema} - known == set(EDITOR_WORDS)


def test_every_message_for_editors_says_what_to_write() -> None:
    messages = {schema["errorMessage"] for _, schema in EDITOR_SCHEMAS if "errorMessage" in schema}
    assert messages
    assert [message for message in messages if message.startswith("write ,")] == []


def test_what_is_added_for_editors_checks_nothing() -> None:
    told, plain_schema = (_without(schema, set(EDITOR_WORDS)) for schema in (editor_schema(), net_schema()))
    # At the root of a file, what is required may stand in the spec that it extends, or in those that extend it.
    keys = {word: plain_schema.pop(word) for word in ("properties", "additionalProperties")}
    assert plain_schema.pop("required") == ["input", "layers"]
    whole = keys | {"dependencies": {"layers": ["input"]}, "if": {"maxProperties": 1}, "then": {}}
    part = _without(keys, {"required"})
    assert told == plain_schema | {"if": {"required": ["extends"]}, "then": part, "else": whole}


def _without(schema: Any, words: set[str]) -> Any:
    if isinstance(schema, list):
        return [_without(inner, words) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {word: _without(inner, words) for word, inner in schema.items() if word not in words}


# Where names are free: variables, a block's parameters, the lists of a `for`, a call's arguments, and names of layers.
FREE = re.compile(r"/(variables|parameters|for|initialisation|lr_factors|patternProperties/\^\[A-Z\])$")


def test_every_mapping_is_closed_but_where_names_are_free() -> None:
    mappings = [(where, schema) for where, schema in ALL_SCHEMAS if "properties" in schema]
    assert len(mappings) > len(ALL_KINDS)  # that is, they are found
    is_open = [where for where, schema in mappings if schema.get("additionalProperties") is not False]
    assert [where for where in is_open if not FREE.search(where)] == []
    # What takes a mapping says which keys: itself, or in the `else` of a choice.
    shapeless = [
        where
        for where, schema in ALL_SCHEMAS
        if "object" in types(schema) and not {"properties", "patternProperties"} & {*schema, *schema.get("else", {})}
    ]
    assert [where for where in shapeless if not FREE.search(where)] == []


def types(schema: dict[str, Any]) -> list[str]:
    found = schema.get("type", [])
    return found if isinstance(found, list) else [found]


def test_no_alternative_or_keyword_that_confuses_an_editor_is_used() -> None:
    for keyword in ("oneOf", "anyOf", "allOf", "not", "default", "title", "propertyNames", "uniqueItems"):
        assert [where for where, schema in EDITOR_SCHEMAS if keyword in schema] == []


def test_every_parameter_has_a_description_that_ends_with_its_default() -> None:
    described = list(parameter_schemas())
    assert len(described) > 100  # that is, they are found
    ending = re.compile(r"[^ ].* \((required|default: .+)\)$")
    assert [where for where, schema in described if not ending.match(schema["description"])] == []


def test_what_is_required_says_so_and_nothing_else_does() -> None:
    for where, schema in ALL_SCHEMAS:
        if "maxProperties" not in schema:
            said = {key for key, inner in schema.get("properties", {}).items() if "(required)" in inner["description"]}
            assert said == set(schema.get("required", [])), where


@pytest.mark.parametrize("cls", ALL_KINDS)
def test_every_kind_is_described_in_one_line(cls: type[Kind]) -> None:
    description = first_paragraph(cls)
    assert description in {
        schema["properties"][cls.kind]["description"]
        for _, schema in ALL_SCHEMAS
        if "maxProperties" in schema and cls.kind in schema.get("properties", {})
    }
    assert 5 < len(description) <= 120
    assert description.endswith(".")
    assert "\n" not in description


@pytest.mark.parametrize(
    ("cls", "field"), [(cls, field) for cls in (*ALL_KINDS, Recipe) for field in parameters(cls)], ids=str
)
def test_a_default_is_told_as_a_person_would_write_it(cls: type[Kind], field: Parameter) -> None:
    if field.required:
        return
    told = field.description.rpartition("(default: ")[2].removesuffix(")")
    if field.default_text:
        assert told == field.default_text
        assert field.default in (None, ())
        told = "null" if field.default is None else "[]"
    written = plain(parse_value(Source("description", told)))
    assert field.type.canonical(written) == field.type.canonical(field.default)
    assert Draft7Validator(field.schema()).is_valid(written)
    assert Draft7Validator(field.value_schema()).is_valid(written)


TEXTS = [(LAYER_NAME, "relu_1"), (SPEC_NAME, "net-1"), (DEVICE, "cuda:1")]


@pytest.mark.parametrize(("text", "good"), TEXTS)
@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\u2028", "!", "\u0663"])
def test_a_pattern_holds_to_the_very_end(text: Text, good: str, end: str) -> None:
    assert matches(text, good)
    assert not matches(text, good + end)
    assert not matches(text, end + good)


@pytest.mark.parametrize(("text", "good"), TEXTS)
def test_a_pattern_takes_time_in_proportion_to_the_text(text: Text, good: str) -> None:
    assert not matches(text, "a" * 100_000 + "!")  # with nested repetition this line would never end


@pytest.mark.parametrize("word", ["padding: sames", "padding: same\n", "padding: xsame"])
def test_a_word_beside_numbers_holds_to_the_very_end(word: str) -> None:
    (padding,) = [field for field in parameters(LAYERS["conv2d"]) if field.name == "padding"]
    validator = Draft7Validator(padding.schema())
    assert validator.is_valid("same")
    assert not validator.is_valid(word.partition(": ")[2])


# --- torch ---


def test_reserved_names_are_the_public_attributes_of_a_sequential() -> None:
    attributes = {name for name in dir(nn.Sequential()) if matches(LAYER_NAME, name)}
    assert attributes - RESERVED_NAMES == set()
    for name in RESERVED_NAMES & attributes:
        with pytest.raises(KeyError):
            nn.Sequential().add_module(name, nn.ReLU())


def test_every_kind_but_data_sets_and_composites_has_a_torch_class() -> None:
    assert set(TORCH) == set(ALL_KINDS) - set(Dataset.table.values()) - set(COMPOSITES.values()) - WITHOUT_TORCH


@pytest.mark.parametrize("cls", TORCH)
def test_parameters_are_named_as_in_torch_and_none_is_forgotten(cls: type[Kind]) -> None:
    ours = {field.name for field in parameters(cls)}
    torchs = set(inspect.signature(TORCH[cls]).parameters)
    assert ours - torchs == OURS.get(cls, set())
    assert torchs - ours - HANDED_OVER - set(LEFT_OUT) == set(), "a parameter of torch is neither taken nor refused"


def test_what_is_left_out_is_torchs_and_told_with_a_reason() -> None:
    torchs = {name for cls in TORCH.values() for name in inspect.signature(cls).parameters}
    of_other_trainers = {"steps", "max_steps"}
    of_later_releases = {"bias"}
    assert set(LEFT_OUT) <= torchs | of_other_trainers | of_later_releases
    assert all(reason.endswith("; remove it") for reason in LEFT_OUT.values())
