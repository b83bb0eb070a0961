"""Fragments of the schema in words: what a person may write at a place."""

import re
from collections.abc import Iterable

from builder.fields import BLOCK_NAME, COMPUTED, DOTTED_NAME, LAYER_NAME, SPEC_NAME, Schema, schema_types
from builder.other_words import other_kind
from builder.problems import both, either, show, suggest
from builder.recipe import DEVICE
from builder.recipe.datasets.folders import CLASS_NAME, FOLDER

MAX_LISTED_WORDS = 30

TEXTS = {text.pattern: text for text in (LAYER_NAME, DOTTED_NAME, SPEC_NAME, BLOCK_NAME, DEVICE, CLASS_NAME, FOLDER)}
_WORD_OR = re.compile(r"\^(?:\(\\\$\|)?\(([a-z|-]+)\)\$")  # as `fields.WordOr` writes it, and `fields.or_computed`
_IN_BRACKETS = re.compile(r" \((required|default: .*)\)$")


def is_computed_pattern(pattern: str) -> bool:
    """Whether a pattern is there to let computed values in."""
    return pattern.startswith((COMPUTED, r"^(\$|"))


def words(schema: Schema) -> list[str]:
    """The words to choose from, where there are such."""
    listing = _WORD_OR.match(schema.get("pattern", ""))
    enum = schema.get("enum") or schema.get("else", {}).get("enum", [])
    return listing[1].split("|") if listing else [word for word in enum if word is not None]


def listed(listing: Iterable[str]) -> str:
    """`a`, `b`, `c` and 3 more."""
    quoted = [show(word) for word in listing]
    more = len(quoted) - MAX_LISTED_WORDS
    return ", ".join(quoted) if more <= 0 else f"{', '.join(quoted[:MAX_LISTED_WORDS])} and {more} more"


def meaning(schema: Schema) -> str:
    """The description, without the default that it ends with."""
    return _IN_BRACKETS.sub("", str(schema.get("description", "")))


def wanted(schema: Schema) -> str:
    """What the schema accepts: `a whole number from 1 to 10,000 or a list of 2 whole numbers`."""
    kinds = schema_types(schema)
    parts = [f"`{word}`" for word in words(schema)]
    if "string" in kinds and not parts and not is_computed_pattern(schema.get("pattern", "")):
        parts.append("a text")
    if "integer" in kinds:
        parts.append(f"a whole number{_bounds(schema)}")
    if "number" in kinds:
        parts.append(f"a number{_bounds(schema)}")
    if "boolean" in kinds:
        parts += ["`true`", "`false`"]
    if "array" in kinds:
        parts.append(_wanted_list(schema.get("then", schema)))
    if "object" in kinds:
        parts.append("a mapping")
    if "null" in kinds and "object" not in kinds:
        parts.append("`null`")
    return either(parts)


def _wanted_list(schema: Schema) -> str:
    least, most = schema.get("minItems"), schema.get("maxItems")
    count = f"{least} " if least == most and least is not None else ""
    if "$ref" in schema["items"]:
        return "a list of layers, each after a `-`"
    item = schema_types(schema["items"])
    if "object" in item:
        return "a list of kinds, each after a `-`"
    if "boolean" in item:
        return f"a list of {'such ' if 'boolean' in schema_types(schema) else ''}values"
    noun = "text" if item == ["string"] else "whole number" if "integer" in item else "number"
    if "null" in item:
        return f"a list of {count}values (each a {noun} or `null`)"
    return f"a list of {count}{noun}s"


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if None not in (low, high):
        return f" from {low:,} to {high:,}"
    bounds = (("of at least", low), ("above", above), ("up to", high), ("below", below))
    parts = [f"{words} {bound:,}" for words, bound in bounds if bound is not None]
    return f" {both(parts)}" if parts else ""


def kind_like(word: str, kinds: Iterable[str], likeness: float = 0.6) -> str:
    """The kind that a word like `nn.MaxPool2d`, `max-pool2d` or `Dense` most probably means, or an empty text."""
    kinds = list(kinds)
    if other := other_kind(word, kinds):
        return other
    last = word.rpartition(".")[2].replace("-", "_")
    return suggest(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", last).lower(), kinds, likeness)
