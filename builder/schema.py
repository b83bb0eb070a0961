"""The JSON Schema of a spec (draft-07), made from the tables of kinds.

`builder/net.schema.json` is this schema written down, for editors; a test keeps it current.
"""

import json
from functools import cache

from builder.fields import LAYER_NAME, SPEC_NAME, Schema
from builder.kinds import choice_schema, parameters_schema
from builder.layers import LAYERS
from builder.limits import MAX_LAYERS, MAX_SIZE
from builder.recipe import Recipe

REGENERATE = "python -m builder schema > builder/net.schema.json"


@cache
def net_schema() -> Schema:
    """The schema of a whole spec; closed everywhere, with neither `oneOf` nor `anyOf`."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "description": "A convolutional network, layer by layer, and how to train it (yamlnet).",
        "type": "object",
        "properties": {
            "$schema": {"type": "string", "description": "where an editor finds this schema (default: none)"},
            "name": SPEC_NAME.schema()
            | {"description": "names the run folder (default: the file's name without ending)"},
            "input": {
                "type": "array",
                "description": "channels, height and width of an image, such as [1, 28, 28] (required)",
                "items": {"type": "integer", "minimum": 1, "maximum": MAX_SIZE},
                "minItems": 3,
                "maxItems": 3,
            },
            "layers": {
                "type": "array",
                "description": "the layers, in the order in which an image passes them (required)",
                "items": _layer_schema(),
                "minItems": 1,
                "maxItems": MAX_LAYERS,
            },
            "training": parameters_schema(Recipe)
            | {"description": "how the network is trained and tested; `check` and `show` do without (default: none)"},
        },
        "required": ["input", "layers"],
        "additionalProperties": False,
    }


def _layer_schema() -> Schema:
    name = LAYER_NAME.schema() | {"description": "names the layer (default: its kind and its number, as in conv2d_2)"}
    behind: dict[str, Schema] = {}
    for kind, cls in LAYERS.items():
        schema = parameters_schema(cls)
        behind[kind] = schema | {"properties": {"name": name} | schema["properties"]}
    return choice_schema(LAYERS, behind)


def schema_text() -> str:
    """The schema as `builder/net.schema.json` holds it."""
    return json.dumps(net_schema(), indent=2) + "\n"
