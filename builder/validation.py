"""The schema's verdict on a tree. There is no second validator: every problem comes from jsonschema's errors.

The values come from our own reading of YAML, and the type checker below knows no 3.0 for 3 and no NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from builder.fields import Schema
from builder.paths import Path
from builder.problems import Problem
from builder.refusals import Refused
from builder.schema import net_schema
from builder.source import Node


def _is_integer(checker: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(checker: object, value: object) -> bool:
    return _is_integer(checker, value) or (isinstance(value, float) and isfinite(value))


_Validator = extend(
    Draft7Validator,
    type_checker=Draft7Validator.TYPE_CHECKER.redefine("integer", _is_integer).redefine("number", _is_number),
)


@dataclass(frozen=True)
class SchemaCheck:
    """What the schema says of a tree: the problems, and the paths of the values that it refuses."""

    problems: Sequence[Problem]
    refused: Sequence[Path]


def check_schema(
    root: Node, data: Any, schema: Schema | None = None, at: Path = (), blocks: Mapping[str, Any] | None = None
) -> SchemaCheck:
    """Every way in which a node, whose data (see `lists.plain_values`) are `data`, doesn't fit the schema.

    Args:
        root: the whole spec, or one value of it.
        data: the same as dicts, lists and values.
        schema: of the value; of a spec when left out.
        at: the way to the value.
        blocks: those of the spec, by name; they are among the data of a whole spec.
    """
    schema = net_schema() if schema is None else schema
    by_path: dict[Path, list[ValidationError]] = {}
    for error in _Validator(schema).iter_errors(data):
        by_path.setdefault(tuple(error.absolute_path), []).append(error)
    known_blocks = data.get("blocks") if blocks is None and isinstance(data, dict) else blocks
    known_blocks = known_blocks if isinstance(known_blocks, dict) else {}
    refused = [Refused(root, path, errors, schema, at, known_blocks) for path, errors in by_path.items()]
    strays = {value.path for value in refused if value.has_strays}
    problems = [problem for value in refused if not value.is_echo(strays) for problem in value.problems()]
    return SchemaCheck(problems, [(*at, *path) for path in by_path])
