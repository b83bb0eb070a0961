"""What would be right in place of what is wrong, where the schema alone doesn't say it."""

import re
from collections.abc import Mapping

from builder.expressions import Fault, parse
from builder.fields import BLOCK_NAME, Schema
from builder.layers.composites import Repeat
from builder.schema import LAYER, net_schema

_INPUT_SIZE = "it is computed from what arrives at the layer; remove it"
_RUN_LENGTH = "a run is as long as `epochs` of `training` says; remove it"
_ENGINE = "it changes no result, and the engine chooses it; remove it"
# What torch's classes, and other trainers, take and a spec doesn't, and why not.
LEFT_OUT: Mapping[str, str] = {
    **dict.fromkeys(("in_channels", "in_features", "num_features", "num_channels", "normalized_shape"), _INPUT_SIZE),
    **dict.fromkeys(("epochs", "steps", "max_steps", "total_steps", "steps_per_epoch"), _RUN_LENGTH),
    **dict.fromkeys(("T_max", "total_iters"), _RUN_LENGTH),
    **dict.fromkeys(("foreach", "fused", "capturable", "differentiable", "inplace"), _ENGINE),
    "device": "the whole run has one, `device` of `training`; remove it",
    "dtype": "numbers are float32; remove it",
    "return_indices": "a layer gives its values only; remove it",
    "recompute_scale_factor": "`scale_factor` counts as it is written; remove it",
    "padding_mode": "only convolutions that slide over their input have one; remove it",
    "last_epoch": "a run starts at its beginning; remove it",
    **dict.fromkeys(("reduction", "reduce", "size_average"), "a loss is a mean over images; remove it"),
    "ignore_index": "every image counts alike; remove it",
    "bias": "an offset is learned with the factor, by `affine`; remove it",
}


def layer_kinds() -> Schema:
    """The schema of what may stand behind each kind of layer and composite."""
    properties: Schema = net_schema()["definitions"]["layer"]["else"]["properties"]
    return properties


def with_all_it_needs(kind: str, schema: Schema) -> str:
    """The kind of this schema with all that it must be given: `layer_scale: {init: ..., layers: [...]}`."""
    # Of a repeat, the schema can't say that it needs one of `times` and `for`.
    keys = [*(["times"] if kind == Repeat.kind else []), *schema["required"]]
    fields = (f"{key}: {'[...]' if schema['properties'][key].get('items') == LAYER else '...'}" for key in keys)
    return f"`{kind}: {{{', '.join(fields)}}}`"


def computed_like(text: str) -> str:
    """The computed value that a text like `2 * $width` was meant to be, or an empty text."""
    inside = text.replace("$", "")
    computed = f"${inside}" if inside.startswith("(") else f"$({inside})"
    try:
        parse(computed)
    except Fault:
        return ""
    return computed if "$" in text or re.search(r"\(| [-+*/%]", text) else ""


def block_name_hint(name: str) -> str:
    """What to write in place of a name that no block can have."""
    with_capital = name[:1].upper() + name[1:]
    if with_capital != name and re.search(BLOCK_NAME.pattern, with_capital):
        return f"write `{with_capital}`: names of blocks begin with a capital, those of kinds never do"
    return BLOCK_NAME.meaning
