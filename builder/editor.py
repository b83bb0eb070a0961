"""The schema as editors get it: the one that checks, and words that only editors read.

`builder/net.schema.json` is this schema written down; a test keeps it current. What each word does was tried in
yaml-language-server: `defaultSnippets` are offered and inserted, `doNotSuggest` leaves a key to its snippet,
`enumDescriptions` are shown beside a word, `errorMessage` replaces a message.
"""

import json
from collections.abc import Mapping
from typing import Any

from builder.fields import Schema
from builder.schema import net_schema
from builder.starter import starter_text
from builder.wording import TEXTS, is_computed_pattern, wanted, words

REGENERATE = "python -m builder schema > builder/net.schema.json"
STARTER_LABEL = "a whole spec to start from"
COMPUTED_TOO = ", or a computed value: `$name` or `$(expression)`"


def schema_text() -> str:
    """The schema as `builder/net.schema.json` holds it."""
    return json.dumps(editor_schema(), indent=2) + "\n"


def editor_schema() -> Schema:
    """The schema of a spec's file, with the words that editors read.

    A spec that extends another may leave to it whatever is required of the two together; a base of blocks may leave
    `input` and `layers` to its members.
    """
    schema: Schema = _told(net_schema())
    keys = {word: schema.pop(word) for word in ("properties", "additionalProperties")}
    schema.pop("required")
    starter = {"label": STARTER_LABEL, "description": "Trains on MNIST as it stands.", "bodyText": starter_text()}
    first_word = {"if": {"maxProperties": 1}, "then": {"defaultSnippets": [starter]}}
    return schema | {
        "if": {"required": ["extends"]},
        "then": _without_required(keys),
        "else": keys | {"dependencies": {"layers": ["input"]}} | first_word,
    }


def _without_required(schema: Any) -> Any:
    """The schema of a part: what is missing stands elsewhere. Lists are replaced whole, so layers are whole."""
    if not isinstance(schema, dict):
        return schema
    return {word: _without_required(inner) for word, inner in schema.items() if word != "required"}


def _told(schema: Any) -> Any:
    """The schema and all in it, with what an editor is told."""
    if not isinstance(schema, dict):
        return schema
    told = {word: _all_told(inner) if word in _HOLDS_NAMES else _told(inner) for word, inner in schema.items()}
    if _is_choice(schema):
        return _told_choice(told)
    return told | _values(schema) | _message(schema)


_HOLDS_NAMES = {"properties", "patternProperties", "definitions"}


def _all_told(schemas: Mapping[str, Any]) -> Schema:
    return {name: _told(schema) for name, schema in schemas.items()}


def _is_choice(schema: Schema) -> bool:
    """Whether one of several kinds is chosen here."""
    return "maxProperties" in schema.get("else", {})


def _told_choice(schema: Schema) -> Schema:
    """A choice whose kinds are offered once: as the word alone, or with the fields that the kind requires.

    In a list of layers the server makes the second itself, and would offer a snippet besides.
    """
    kinds: Schema = schema["else"]["properties"]
    is_layer = "patternProperties" in schema["else"]
    by_snippet = [kind for kind in kinds if not (is_layer and "required" in kinds[kind])]
    hidden = {kind: kinds[kind] | {"doNotSuggest": True} for kind in by_snippet}
    return schema | {
        "defaultSnippets": [_snippet(kind, kinds[kind]) for kind in by_snippet],
        "then": _with_descriptions(schema["then"], kinds),
        "else": schema["else"] | {"properties": kinds | hidden},
    }


def _snippet(kind: str, schema: Schema) -> Schema:
    fields = {name: f"${number}" for number, name in enumerate(schema.get("required", []), start=1)}
    return {"label": kind, "description": schema["description"], "body": {kind: fields} if fields else kind}


def _with_descriptions(words_alone: Schema, kinds: Schema) -> Schema:
    """The list of kinds that need no parameters, with what each means."""
    if "enum" not in words_alone:
        return words_alone | {"else": _with_descriptions(words_alone["else"], kinds)}
    return words_alone | {"enumDescriptions": [kinds[kind]["description"] for kind in words_alone["enum"]]}


def _values(schema: Schema) -> Schema:
    """Words that the server doesn't find by itself, because a computed value may stand in their place."""
    is_hidden = "pattern" in schema or "enum" in schema.get("else", {})
    if not is_hidden or "description" not in schema:
        return {}
    snippets = [{"label": word, "body": word} for word in words(schema)]
    return {"defaultSnippets": snippets} if snippets else {}


def _message(schema: Schema) -> Schema:
    """What is wanted, in place of "Expected one of integer, string" and of a pattern."""
    pattern = schema.get("pattern", "")
    if pattern in TEXTS:
        return {"errorMessage": TEXTS[pattern].meaning}
    if not is_computed_pattern(pattern):
        return {}
    accepted = wanted(schema)  # nothing of an `if`, whose `else` says it
    return {"errorMessage": f"write {accepted}{COMPUTED_TOO}"} if accepted else {}
