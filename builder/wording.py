"""Fragments of the schema in words: what a person may write at a place."""

import re
from collections.abc import Iterable

from builder.fields import LAYER_NAME, SPEC_NAME, Schema
from builder.problems import either
from builder.recipe import DEVICE

MAX_LISTED_WORDS = 30

TEXTS = {text.pattern: text for text in (LAYER_NAME, SPEC_NAME, DEVICE)}
_WORD_OR = re.compile(r"\^\(([a-z|]+)\)\$")  # as `fields.WordOr` writes it
_IN_BRACKETS = re.compile(r" \((required|default: .*)\)$")


def types(schema: Schema) -> list[str]:
    """What the values may be, as JSON Schema names it."""
    found = schema.get("type", [])
    return found if isinstance(found, list) else [found]


def words(schema: Schema) -> list[str]:
    """The words to choose from, where there are such."""
    listing = _WORD_OR.match(schema.get("pattern", ""))
    return listing[1].split("|") if listing else [word for word in schema.get("enum", []) if word is not None]


def listed(listing: Iterable[str]) -> str:
    """`a`, `b`, `c` and 3 more."""
    quoted = [f"`{word}`" for word in listing]
    more = len(quoted) - MAX_LISTED_WORDS
    return ", ".join(quoted) if more <= 0 else f"{', '.join(quoted[:MAX_LISTED_WORDS])} and {more} more"


def meaning(schema: Schema) -> str:
    """The description, without the default that it ends with."""
    return _IN_BRACKETS.sub("", str(schema.get("description", "")))


def wanted(schema: Schema) -> str:
    """What the schema accepts: `a whole number from 1 to 10,000 or a list of 2 whole numbers`."""
    kinds = types(schema)
    parts = [f"`{word}`" for word in words(schema)]
    if "string" in kinds and not parts:
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
    count = f"{least} " if least == most else ""
    item = types(schema["items"])
    if "object" in item:
        return "a list of layers, each after a `-`"
    return f"a list of {count}{'whole numbers' if 'integer' in item else 'numbers'}"


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    start = (
        f" from {low:,} to {high:,}"
        if None not in (low, high)
        else f" of at least {low:,}"
        if low is not None
        else f" above {above:,}"
        if above is not None
        else ""
    )
    end = f" below {below:,}" if below is not None else ""
    start += " and" if start and end else ""
    return start + end
