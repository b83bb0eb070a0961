"""The JSON Schema of a spec (draft-07), made from the tables of kinds; `editor.py` adds what only editors read."""

from functools import cache
from typing import Any

from builder.codes import LINT_CODES
from builder.fields import BLOCK_NAME, LAYER_NAME, SPEC_NAME, Boolean, Schema, or_computed
from builder.kinds import bare_kinds, parameters_schema
from builder.layers import LAYERS
from builder.layers.composites import COMPOSITES, Composite, Held
from builder.limits import MAX_LAYERS, MAX_LISTS, MAX_REASON, MAX_SIZE
from builder.recipe import Budget, Recipe

LAYER = {"$ref": "#/definitions/layer"}
COMMON_FIELDS = ("name", "when")  # of every kind and every call


@cache
def net_schema() -> Schema:
    """The schema of a whole spec; with neither `oneOf` nor `anyOf`, and closed where names are not free."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "description": "A convolutional network, layer by layer, and how to train it (yamlnet).",
        "type": "object",
        "properties": {
            "$schema": {"type": "string", "description": "where an editor finds this schema (default: none)"},
            "extends": {
                "type": "string",
                "description": "a spec in this folder, or below it, that this one changes (default: none)",
            },
            "name": SPEC_NAME.schema()
            | {"description": "names the run folder (default: the file's name without ending)"},
            "input": {
                "type": "array",
                "description": "channels, height and width of an image, such as [1, 28, 28] (required)",
                "items": or_computed({"type": "integer", "minimum": 1, "maximum": MAX_SIZE}),
                "minItems": 3,
                "maxItems": 3,
            },
            "variables": _variables("constants of the file, for computed values such as $width (default: none)"),
            "blocks": _blocks(),
            "layers": _layers("the layers, in the order in which an image passes them (required)"),
            "training": parameters_schema(Recipe)
            | {"description": "how the network is trained and tested; `check` and `show` do without (default: none)"},
            "budget": parameters_schema(Budget)
            | {"description": "what the network may cost and must reach (default: no bounds)"},
            "lint": _lint(),
        },
        "required": ["input", "layers"],
        "additionalProperties": False,
        "definitions": {"layer": _layer()},
    }


def resolved(schema: Schema) -> Schema:
    """The schema itself, where one only refers to it."""
    return net_schema()["definitions"]["layer"] if "$ref" in schema else schema


def layer_schema() -> Schema:
    """The schema of one layer on its own."""
    return LAYER | {"definitions": net_schema()["definitions"]}


def layers_schema() -> Schema:
    """The schema of a list of layers on its own."""
    return _layers("layers, one after another") | {"definitions": net_schema()["definitions"]}


def _layers(description: str, minimum: int = 1) -> Schema:
    return {
        "type": "array",
        "description": description,
        "items": LAYER,
        "minItems": minimum,
        "maxItems": MAX_LAYERS,
    }


def _layer() -> Schema:
    """The place where one layer stands: `relu`, `conv2d: {...}`, a call of a block, or `$activation`.

    The shape was tried in yaml-language-server: it completes and reports each kind on its own.
    """
    behind = {kind: _with_common(parameters_schema(cls)) for kind, cls in LAYERS.items()}
    behind |= {kind: _composite(cls) for kind, cls in COMPOSITES.items()}
    return {
        "type": ["string", "object"],
        "if": {"type": "string"},
        "then": {"if": {"pattern": "^[A-Z$]"}, "else": {"enum": bare_kinds(LAYERS)}},
        "else": {
            "properties": behind,
            "patternProperties": {"^[A-Z]": _call()},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    }


@cache
def _common() -> Schema:
    """What every kind and every call may be given."""
    when = or_computed(Boolean().schema()) | {"description": "leave the layer out where this is false (default: true)"}
    return {
        "name": LAYER_NAME.schema()
        | {"description": "names the layer (default: its kind and its number, as in conv2d_2)"},
        "when": when,
    }


def _with_common(schema: Schema) -> Schema:
    return schema | {"properties": _common() | schema["properties"]}


def _composite(cls: type[Composite]) -> Schema:
    """A composite: a mapping, or its list alone where it has a list form."""
    schema = _with_common(parameters_schema(cls))
    lists = {held.name: _layers(_list_description(held), held.minimum) for held in cls.holds}
    needed = [held.name for held in cls.holds if held.minimum]
    schema |= {
        "type": "object",
        "properties": schema["properties"] | cls.more_properties() | lists,
        "required": [*schema.get("required", []), *needed],
    }
    if not cls.list_form:
        return schema
    (held,) = (held for held in cls.holds if held.name == cls.list_form)
    return schema | {"type": ["array", "object"], "items": LAYER, "minItems": held.minimum, "maxItems": MAX_LAYERS}


def _list_description(held: Held) -> str:
    return f"{held.meaning} (required)" if held.minimum else held.meaning


def _call() -> Schema:
    return {
        "type": ["object", "null"],
        "description": "A call of a block, with its arguments.",
        "properties": _common(),
    }


def _variables(description: str) -> Schema:
    one: dict[str, Any] = {"type": ["number", "string", "boolean"]}
    return {
        "type": "object",
        "description": description,
        "additionalProperties": {"type": [*one["type"], "array"], "items": one},
    }


def block_schema() -> Schema:
    """The schema of one named block on its own."""
    return _block() | {"definitions": net_schema()["definitions"]}


def _block() -> Schema:
    """A named block: just the list of layers, or a mapping with parameters and variables too."""
    return {
        "type": ["array", "object"],
        "description": "A block of layers.",
        "items": LAYER,
        "minItems": 1,
        "maxItems": MAX_LAYERS,
        "properties": {
            "parameters": {
                "type": "object",
                "description": "what a call may be given: no value is required, a value is the default (default: none)",
                "maxProperties": MAX_LISTS,
            },
            "variables": _variables("values taken once, where the block begins (default: none)")
            | {"maxProperties": MAX_LISTS},
            "layers": _layers("the layers, one after another (required)"),
        },
        "required": ["layers"],
        "additionalProperties": False,
    }


def _blocks() -> Schema:
    return {
        "type": "object",
        "description": "layers under a name that begins with a capital, used like a kind (default: none)",
        "patternProperties": {BLOCK_NAME.pattern: _block()},
        "additionalProperties": False,
    }


def _lint() -> Schema:
    """What the checker is told: which lints say nothing of this spec, and why."""
    reason: Schema = {"type": "string", "pattern": r"\S", "maxLength": MAX_REASON}
    allow = {
        "type": "object",
        "description": "lints that say nothing of this spec: the code, and the reason why it is right here (required)",
        "properties": {
            code: reason | {"description": f"why it is right here: {meaning} (default: it is told)"}
            for code, meaning in LINT_CODES.items()
        },
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "description": "what the checker should know about this spec (default: nothing)",
        "properties": {"allow": allow},
        "required": ["allow"],
        "additionalProperties": False,
    }
