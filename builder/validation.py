"""The schema's verdict on a tree. There is no second validator: every problem comes from jsonschema's errors.

The values come from our own reading of YAML, and the type checker below knows no 3.0 for 3 and no NaN.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from builder.fields import Schema
from builder.limits import MAX_NUMBER
from builder.paths import Path
from builder.problems import Problem
from builder.schema import net_schema, resolved
from builder.source import Node


def _is_integer(checker: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(checker: object, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_NUMBER


_TYPES = Draft7Validator.TYPE_CHECKER.redefine("integer", _is_integer).redefine("number", _is_number)


class _Part:
    """One part of a schema: jsonschema's functions for its keywords, and the parts below it.

    It stands in for jsonschema's validators, which are made anew for each value, and resolve `$ref` anew: with one for
    each part of the schema a spec is validated in a third of the time. What the functions ask of a validator is what
    jsonschema documents for those who write keywords of their own.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._keywords = [(word, value, _KEYWORDS[word]) for word, value in schema.items() if word in _KEYWORDS]
        self._parts: dict[int, _Part] = {}  # by the identity of their schemas, which this one holds

    def evolve(self, schema: Schema) -> "_Part":
        """The part of this schema, which stands below this one."""
        if id(schema) not in self._parts:
            self._parts[id(schema)] = _Part(schema)
        return self._parts[id(schema)]

    def iter_errors(self, instance: Any) -> Iterator[ValidationError]:
        for word, value, errors_of in self._keywords:
            for error in errors_of(self, value, instance, self._schema) or ():
                if not error.schema_path:  # it comes from this keyword itself, not from a part below
                    error.validator, error.validator_value = word, value
                    error.instance, error.schema = instance, self._schema
                if word not in ("if", "$ref"):  # which jsonschema leaves out too
                    error.schema_path.appendleft(word)
                yield error

    def descend(
        self, instance: Any, schema: Schema, path: str | int | None = None, schema_path: str | int | None = None
    ) -> Iterator[ValidationError]:
        for error in self.evolve(schema).iter_errors(instance):
            if path is not None:
                error.path.appendleft(path)
            if schema_path is not None:
                error.schema_path.appendleft(schema_path)
            yield error

    def is_valid(self, instance: Any) -> bool:
        return next(self.iter_errors(instance), None) is None

    def is_type(self, instance: Any, type: str) -> bool:  # jsonschema's name
        return bool(_TYPES.is_type(instance, type))


def _referred(part: _Part, reference: str, instance: Any, schema: Schema) -> Iterator[ValidationError]:
    return _whole_part().evolve(resolved(schema)).iter_errors(instance)


_KEYWORDS: Mapping[str, Any] = {**Draft7Validator.VALIDATORS, "$ref": _referred}


@cache
def _whole_part() -> _Part:
    return _Part(net_schema())


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
    part = _whole_part() if schema is None else _Part(schema)
    schema = net_schema() if schema is None else schema
    by_path: dict[Path, list[ValidationError]] = {}
    for error in part.iter_errors(data):
        by_path.setdefault(tuple(error.absolute_path), []).append(error)
    if not by_path:
        return SchemaCheck((), ())
    from builder.refusals import Refused  # most specs are right: the check of one starts faster without

    known_blocks = data.get("blocks") if blocks is None and isinstance(data, dict) else blocks
    known_blocks = known_blocks if isinstance(known_blocks, dict) else {}
    refused = [Refused(root, path, errors, schema, at, known_blocks) for path, errors in by_path.items()]
    strays = {value.path for value in refused if value.has_strays}
    problems = [problem for value in refused if not value.is_echo(strays) for problem in value.problems()]
    return SchemaCheck(problems, [(*at, *path) for path in by_path])
