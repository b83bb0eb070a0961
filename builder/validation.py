"""What a JSON Schema error means in the voice of this project.

There is no second validator: every problem comes from jsonschema's errors. Those of one value are taken together, for
one mistake may break several rules. The values come from our own reading of YAML, and the type checker below knows no
3.0 for 3 and no NaN.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from builder.fields import Schema
from builder.paths import Path, follow, path_text
from builder.problems import Place, Problem, both, did_you_mean, show, suggest
from builder.schema import net_schema
from builder.source import MapNode, Node, Scalar, plain
from builder.wording import TEXTS, listed, meaning, types, wanted, words

_INPUT_SIZE = "it is computed from what arrives at the layer; remove it"
_RUN_LENGTH = "a run is as long as `epochs` of `training` says; remove it"
_ENGINE = "it changes no result, and the engine chooses it; remove it"
# What torch's classes, and other trainers, take and a spec doesn't, and why not.
LEFT_OUT: Mapping[str, str] = {
    **dict.fromkeys(("in_channels", "in_features", "num_features"), _INPUT_SIZE),
    **dict.fromkeys(("epochs", "steps", "max_steps", "total_steps", "steps_per_epoch", "T_max"), _RUN_LENGTH),
    **dict.fromkeys(("foreach", "fused", "capturable", "differentiable", "inplace"), _ENGINE),
    "device": "the whole run has one, `device` of `training`; remove it",
    "dtype": "numbers are float32; remove it",
    "return_indices": "a layer gives its values only; remove it",
    "last_epoch": "a run starts at its beginning; remove it",
    **dict.fromkeys(("reduction", "reduce", "size_average"), "a loss is a mean over images; remove it"),
    **dict.fromkeys(("weight", "ignore_index"), "every image counts alike; remove it"),
    "bias": "an offset is learned with the factor, by `affine`; remove it",
}

_NUMBER = {
    "integer": re.compile(r"[-+]?[0-9]+"),
    "number": re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?"),
}
_YES_AND_NO = {"yes": "true", "on": "true", "no": "false", "off": "false"}


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


def check_schema(root: MapNode, data: Any) -> SchemaCheck:
    """Every way in which the tree, whose `plain_values` are `data`, doesn't fit the schema."""
    by_path: dict[Path, list[ValidationError]] = {}
    for error in _Validator(net_schema()).iter_errors(data):
        by_path.setdefault(tuple(error.absolute_path), []).append(error)
    refused = [_Refused(root, path, errors) for path, errors in by_path.items()]
    strays = {value.path for value in refused if value.has_strays}
    problems = [problem for value in refused if not value.is_echo_of(strays) for problem in value.problems()]
    return SchemaCheck(problems, list(by_path))


def plain_values(root: MapNode) -> Any:
    """The tree as data; a mapping is empty where nothing stands behind its key (`relu:`, `training:`)."""
    data = plain(root)
    for item in data.get("layers") if isinstance(data.get("layers"), list) else ():
        _fill_empty(item)
    if "training" in data and data["training"] is None:
        data["training"] = {}
    training = data.get("training")
    for choice in training.values() if isinstance(training, dict) else ():
        _fill_empty(choice)
    return data


def _fill_empty(choice: Any) -> None:
    if isinstance(choice, dict) and len(choice) == 1:
        ((kind, arguments),) = choice.items()
        choice[kind] = {} if arguments is None else arguments


class _Refused:
    """One value that the schema refuses, with all of jsonschema's errors about it."""

    def __init__(self, root: MapNode, path: Path, errors: Sequence[ValidationError]) -> None:
        found = follow(root, path)
        self.path = path
        self.node: Node = found.node
        self.head = found.head
        self.value: Any = errors[0].instance
        self.errors = {str(error.validator): error for error in errors}
        self.schema = _schema_around(errors[0])
        self.kinds: Schema = self.schema["else"]["properties"] if _is_choice(self.schema) else {}

    @property
    def has_strays(self) -> bool:
        """Whether several keys stand where one kind should."""
        return bool(self.kinds) and isinstance(self.value, dict) and len(self.value) > 1

    def is_echo_of(self, strays: set[Path]) -> bool:
        """Whether a kind only lacks what stands beside it."""
        return self.path[:-1] in strays and (self.value is None or set(self.errors) == {"required"})

    def problems(self) -> Iterator[Problem]:
        if self.kinds:
            yield self._wrong_choice()
        elif {"required", "additionalProperties"} & set(self.errors):
            yield from self._wrong_keys()
        else:
            validator = next(name for name in _VALUES if name in self.errors)
            yield _VALUES[validator](self, self.errors[validator])

    def _problem(self, code: str, message: str, hint: str, place: Place | None = None, key: str = "") -> Problem:
        path = (*self.path, key) if key else self.path
        return Problem(code, message, place or self.node.place, hint, path_text(path))

    def _head_of(self, key: str) -> Place:
        return follow(self.node, (key,)).head

    @property
    def _label(self) -> str:
        """What a message calls the value: `kernel_size`, `kernel_size[0]`, `layers[3]`."""
        last_key = max((index for index, step in enumerate(self.path) if isinstance(step, str)), default=0)
        return f"`{path_text(self.path[last_key:])}`"

    @property
    def _found(self) -> str:
        """What a message says that the value is."""
        if isinstance(self.value, dict):
            return "a mapping" if self.value else "an empty mapping"
        if isinstance(self.value, list):
            return f"the list {show(self.value)}"
        raw = self.node.raw if isinstance(self.node, Scalar) else ""
        if not raw:
            return "empty" if self.value is None else "an empty text"
        return f"the text {show(raw)}" if isinstance(self.value, str) else show(raw)

    # --- keys ---

    def _wrong_keys(self) -> Iterator[Problem]:
        """Unknown and missing keys; a misspelt key is both, and one mistake."""
        missing = [key for key in self.schema.get("required", []) if key not in self.value]
        for key in self.value:
            if key not in self.schema["properties"]:
                meant = self._meant_by(key)
                missing = [other for other in missing if other != meant]
                hint = self._right_key(key, meant)
                yield self._problem("unknown-key", f"unknown key {show(key)}", hint, self._head_of(key), key)
        if missing:
            yield self._missing_keys(missing)

    @property
    def _unwritten(self) -> list[str]:
        return [key for key in self.schema["properties"] if key not in self.value and key != "$schema"]

    def _meant_by(self, key: str) -> str:
        """The key that an unknown one most probably stands for, be it one that a spec leaves out."""
        key = key.partition(":")[0]
        if key in LEFT_OUT:
            return key
        meant = suggest(key, [*self._unwritten, *LEFT_OUT])
        is_near = abs(len(meant) - len(key)) <= 2
        return meant if meant in self._unwritten or is_near else suggest(key, self._unwritten)

    def _right_key(self, key: str, meant: str) -> str:
        start, colon, rest = key.partition(":")
        if colon and start in self.schema["properties"]:
            return f"write a space after the colon: {show(f'{start}: {rest}')}"
        if meant:
            return f"did you mean `{meant}`?" if meant in self._unwritten else LEFT_OUT[meant]
        if twin := suggest(key, [name for name in self.schema["properties"] if name in self.value]):
            return f"remove it: `{twin}` stands on line {self._head_of(twin).line}"
        return f"known here are {listed(name for name in self.schema['properties'] if name != '$schema')}"

    def _missing_keys(self, keys: Sequence[str]) -> Problem:
        owner = f"`{self.path[-1]}`" if self.path else "the spec"
        meanings = [f"`{key}` ({meaning(self.schema['properties'][key])})" for key in keys]
        return self._problem("missing-key", f"{owner} lacks {_all(keys)}", f"add {both(meanings)}", self.head)

    # --- one kind of several ---

    def _wrong_choice(self) -> Problem:
        if isinstance(self.value, str) and self.value:
            if self.value in self.kinds:
                return self._bare_kind(self.value)
            return self._unknown_kind(self.value, self.node.place)
        if isinstance(self.value, dict) and self.value:
            return self._strays() if len(self.value) > 1 else self._unknown_kind_with_key(next(iter(self.value)))
        like = "like `relu` or `conv2d: {...}`" if self.path[0] == "layers" else f"one of {listed(self.kinds)}"
        return self._problem("wrong-type", f"{self._label} is {self._found}", f"write one kind, {like}")

    def _bare_kind(self, kind: str) -> Problem:
        needed = self.kinds[kind]["required"]
        hint = f"write `{kind}: {{{', '.join(f'{key}: ...' for key in needed)}}}`"
        return self._problem("missing-key", f"`{kind}` lacks {_all(needed)}", hint)

    def _strays(self) -> Problem:
        kinds = [key for key in self.value if key in self.kinds]
        if len(kinds) > 1:
            message = f"{self._label} names {len(kinds)} kinds: {listed(kinds)}"
            hint = "start each with a `-` of its own" if self.path[0] == "layers" else "keep one"
            return self._problem("several-kinds", message, hint, self._head_of(kinds[1]))
        if not kinds:
            return self._unknown_kind_with_key(next(iter(self.value)))
        strays = [key for key in self.value if key not in kinds]
        message = (
            f"{both([show(key) for key in strays])} {'stands' if len(strays) == 1 else 'stand'} beside `{kinds[0]}`"
        )
        hint = f"indent further, to below `{kinds[0]}:`, what belongs to it"
        return self._problem("stray-key", message, hint, self._head_of(strays[0]), strays[0])

    def _unknown_kind_with_key(self, key: str) -> Problem:
        """An unknown kind as the (first) key of a mapping; `type: conv2d` is what other tools take."""
        named = self.value[key]
        if isinstance(named, str) and (kind := self._known_kind(named)):
            hint = f"a kind is a key: write `{kind}: {{...}}`"
            return self._problem("unknown-kind", f"unknown kind {show(key)}", hint, self._head_of(key), key)
        return self._unknown_kind(key, self._head_of(key), key)

    def _unknown_kind(self, word: str, place: Place, key: str = "") -> Problem:
        kind = self._known_kind(word)
        hint = f"did you mean `{kind}`?" if kind else f"known are {listed(sorted(self.kinds))}"
        return self._problem("unknown-kind", f"unknown kind {show(word)}", hint, place, key)

    def _known_kind(self, word: str) -> str:
        """The kind that a word like `nn.MaxPool2d` or `max-pool2d` means."""
        last = word.rpartition(".")[2].replace("-", "_")
        return suggest(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", last).lower(), self.kinds)

    # --- one value ---

    def _wrong_type(self, error: ValidationError) -> Problem:
        message = f"{self._label} is {self._found}"
        if isinstance(self.value, float) and not isfinite(self.value):
            return self._problem("not-finite", message, self._write().replace("a number", "a finite number"))
        if isinstance(self.node, Scalar) and self.node.quoted and self._is_number(self.node.raw):
            message = f"{self._label} is a text, {show(chr(34) + self.node.raw + chr(34))}"
            return self._problem("quoted-number", message, f"write {self.node.raw} without quotes")
        return self._problem("wrong-type", message, self._instead())

    def _is_number(self, text: str) -> bool:
        """Whether the text reads like a number that may stand here."""
        return any(kind in _NUMBER and _NUMBER[kind].fullmatch(text) for kind in types(self.schema))

    def _instead(self) -> str:
        """What to write in place of a value of another type."""
        if "properties" in self.schema:
            return self._as_mapping()
        if isinstance(self.value, float) and self.value.is_integer() and "integer" in types(self.schema):
            return f"write {int(self.value)}, without a point or an exponent"
        if "boolean" in types(self.schema) and (meant := _YES_AND_NO.get(str(self.value).lower())):
            return f"write `{meant}`; in YAML 1.2 `{self.value}` is a text"
        return self._write()

    def _as_mapping(self) -> str:
        """A kind's parameters go by name: `dropout: {p: 0.5}`."""
        kind = self.path[-1]
        keys = [key for key in self.schema["properties"] if key != "name"]
        if not keys:
            return f"write `{kind}` alone: it takes no parameters"
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        by_name = f"parameters by name, like `{kind}: {{{keys[0]}: {self.value if is_number else '...'}}}`"
        return f"write {by_name}" if "required" in self.schema else f"write `{kind}` alone, or {by_name}"

    def _write(self) -> str:
        text = TEXTS.get(self.schema.get("pattern", ""))
        return text.meaning if text else f"write {wanted(self.schema)}"

    def _wrong_value(self, error: ValidationError) -> Problem:
        hint = did_you_mean(str(self.value), words(self.schema)) or self._write()
        return self._problem("wrong-value", f"{self._label} is {self._found.removeprefix('the text ')}", hint)

    def _out_of_range(self, error: ValidationError) -> Problem:
        number = [kind for kind in types(self.schema) if kind in _NUMBER]  # and not what else may stand here
        hint = f"write {wanted(self.schema | {'type': number})}"
        return self._problem("out-of-range", f"{self._label} is {self._found}", hint)

    def _wrong_length(self, error: ValidationError) -> Problem:
        found = len(self.value)
        items = f"has {found:,} item{'' if found == 1 else 's'}" if found else "is empty"
        limits = self.schema.get("then", self.schema)
        least, most = limits["minItems"], limits["maxItems"]
        if least != most:
            hint = f"write at least {least:,}" if found < least else f"write at most {most:,}"
        elif limits is self.schema:
            hint = f"write {most}: {meaning(self.schema)}"
        else:
            hint = "write 2: height and width"
        return self._problem("wrong-length", f"{self._label} {items}", hint)


# The errors of a single value, the most telling first: only that one is shown.
_VALUES: Mapping[str, Callable[[_Refused, ValidationError], Problem]] = {
    "type": _Refused._wrong_type,
    "enum": _Refused._wrong_value,
    "pattern": _Refused._wrong_value,
    "maxLength": _Refused._wrong_value,
    "minimum": _Refused._out_of_range,
    "maximum": _Refused._out_of_range,
    "exclusiveMinimum": _Refused._out_of_range,
    "exclusiveMaximum": _Refused._out_of_range,
    "minItems": _Refused._wrong_length,
    "maxItems": _Refused._wrong_length,
}


def _schema_around(error: ValidationError) -> Schema:
    """The schema of the value that the error is about; its parts `then` and `else` are not taken for the whole."""
    steps = list(error.absolute_schema_path)[:-1]
    if steps[-1:] in (["then"], ["else"]):
        steps.pop()
    schema: Any = net_schema()
    for step in steps:
        schema = schema[step]
    return dict(schema)


def _is_choice(schema: Schema) -> bool:
    """Whether one kind is chosen here, as `kinds.choice_schema` writes it."""
    return "maxProperties" in schema.get("else", {})


def _all(keys: Sequence[str]) -> str:
    return both([f"`{key}`" for key in keys])
