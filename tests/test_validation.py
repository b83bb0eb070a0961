"""The parts of the schema tell what jsonschema's own validator tells."""

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from builder.lists import plain_values
from builder.problems import SpecError
from builder.schema import layer_schema, layers_schema, net_schema
from builder.source import parse, read_file
from builder.validation import _TYPES, _Part

INVALID = Path(__file__).parent / "specs" / "invalid"
FOLDERS = sorted(folder for folder in INVALID.iterdir() if folder.is_dir())
Validator = extend(Draft7Validator, type_checker=_TYPES)


def told(error: ValidationError) -> tuple[Any, ...]:
    """All of an error that makes a problem of it."""
    where = tuple(error.absolute_path), tuple(error.absolute_schema_path)
    return (*where, error.validator, error.validator_value, error.instance, error.schema, error.message)


@pytest.mark.parametrize("folder", FOLDERS, ids=[folder.name for folder in FOLDERS])
def test_every_error_of_invalid_specs_is_the_one_of_jsonschema(folder: Path) -> None:
    for path in sorted(folder.rglob("*.yaml")):
        try:
            data = plain_values(parse(read_file(path)[0]))
        except SpecError:
            continue
        ours, theirs = _Part(net_schema()).iter_errors(data), Validator(net_schema()).iter_errors(data)
        assert list(map(told, ours)) == list(map(told, theirs)), path


@pytest.mark.parametrize("layer", ["relu", 3, {"conv2d": {}}, {"relu": {"name": "?"}}, {"add": [3, "relu"]}, {}])
def test_so_are_those_of_a_layer_and_of_layers_that_are_given(layer: Any) -> None:
    for schema, data in ((layer_schema(), layer), (layers_schema(), [layer, "relu"])):
        ours, theirs = _Part(schema).iter_errors(data), Validator(schema).iter_errors(data)
        assert list(map(told, ours)) == list(map(told, theirs))
