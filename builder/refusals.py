"""A value that the schema refuses, and what is said of it in the voice of this project.

All of jsonschema's errors about one value are taken together, for one mistake may break several rules.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from jsonschema.exceptions import ValidationError

from builder.expressions import is_computed
from builder.fields import BLOCK_NAME, Schema, schema_types
from builder.hints import LEFT_OUT, block_name_hint, computed_like, layer_kinds, with_all_it_needs
from builder.layers.composites import COMPOSITES, Group
from builder.limits import MAX_NUMBER
from builder.other_words import elsewhere, field_of_kind, other_key
from builder.paths import Path, follow, path_text
from builder.problems import Place, Problem, both, certain, did_you_mean, show, suggest
from builder.schema import COMMON_FIELDS, LAYER, resolved
from builder.source import Node, Scalar
from builder.wording import TEXTS, is_computed_pattern, kind_like, listed, meaning, wanted, words

_NUMBER = {
    "integer": re.compile(r"[-+]?[0-9]+"),
    "number": re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?"),
}
_LISTS = {held.name for cls in COMPOSITES.values() for held in cls.holds}
_YES_AND_NO = {"yes": "true", "on": "true", "no": "false", "off": "false"}


class Refused:
    """One value that the schema refuses, with all of jsonschema's errors about it."""

    def __init__(
        self,
        root: Node,
        path: Path,
        errors: Sequence[ValidationError],
        schema: Schema,
        at: Path,
        blocks: Mapping[str, Any],
    ) -> None:
        found = follow(root, path)
        self.path = (*at, *path)
        self.node: Node = found.node
        self.head = found.head
        self.value: Any = errors[0].instance
        self.errors = {str(error.validator): error for error in errors}
        self.schema = _schema_around(errors[0], schema)
        self.kinds: Schema = self.schema["else"]["properties"] if _is_choice(self.schema) else {}
        self.is_layer = "patternProperties" in self.schema.get("else", {})
        self.is_call = "properties" in self.schema and "additionalProperties" not in self.schema  # nothing else is open
        self.blocks = blocks

    @property
    def has_strays(self) -> bool:
        """Whether several keys stand where one kind should."""
        return bool(self.kinds) and isinstance(self.value, dict) and len(self.value) > 1

    def is_echo(self, strays: set[Path]) -> bool:
        """Whether another problem tells of the same mistake.

        So it is where a kind lacks what stands beside it, at the call of a block whose name is wrong, and where what is
        given to a block that doesn't exist is wrong too.
        """
        if self.path[:-1] in strays:
            return self.value is None or set(self.errors) == {"required"}
        if self.is_layer:
            word = next(iter(self.value)) if isinstance(self.value, dict) and len(self.value) == 1 else self.value
            return isinstance(word, str) and word in self.blocks
        return self.is_call and self.path[-1] not in self.blocks

    def problems(self) -> Iterator[Problem]:
        if self.kinds:
            yield self._wrong_choice()
        elif "patternProperties" in self.schema and "additionalProperties" in self.errors:
            yield from self._wrong_block_names()
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
        unknown = [key for key in self.value if key not in self.schema["properties"]]
        told: set[str] = set()
        layers = [key for key in unknown if self._lists() and (key in layer_kinds() or key in self.blocks)]
        for key in unknown:
            if key in layers[1:]:
                continue  # all of them are one mistake
            meant = self._lists()[0] if key in layers else self._meant_by(key)
            hint = self._as_item(key, meant) if key in layers else self._right_key(key, meant)
            missing = [other for other in missing if other not in (meant, field_of_kind(key, missing))]
            problem = self._problem("unknown-key", f"unknown key {show(key)}", hint, self._head_of(key), key)
            certainly = other_key(key, self._unwritten) or certain(key, self._unwritten)
            yield problem.fixed_by(certainly if meant in self._unwritten and meant not in told else "")
            told.add(meant)
        if missing:
            yield self._missing_keys(missing)

    def _as_item(self, kind: str, items: str) -> str:
        """The hint for a layer that stands as a key."""
        if items in self.value:
            return f"a layer is an item of a list: move it into `{items}`"
        return f"a layer is an item of a list: write `{items}:`, and below it `- {kind}: ...`"

    def _wrong_block_names(self) -> Iterator[Problem]:
        for key in self.value:
            if not re.search(BLOCK_NAME.pattern, key):
                message = f"{show(key)} can't name a block" if key else "the name of a block is empty"
                yield self._problem("wrong-name", message, block_name_hint(key), self._head_of(key), key)

    @property
    def _unwritten(self) -> list[str]:
        return [key for key in self.schema["properties"] if key not in self.value and key != "$schema"]

    def _meant_by(self, key: str) -> str:
        """The key that an unknown one most probably stands for, be it one that a spec leaves out."""
        key = key.partition(":")[0]
        is_block = "parameters" in self.schema["properties"]
        left_out = {} if is_block else LEFT_OUT
        if key in left_out:
            return key
        if elsewhere(key, self.schema["properties"]):
            return ""
        if other := other_key(key, self._unwritten):
            return other
        if key in _LISTS and (lists := [name for name in self._lists() if name not in self.value]):
            return lists[0]
        meant = suggest(key, [*self._unwritten, *left_out])
        is_near = meant in self._unwritten or suggest(key, [meant], likeness=0.8)
        return meant if is_near else suggest(key, self._unwritten)

    def _right_key(self, key: str, meant: str) -> str:
        start, colon, rest = key.partition(":")
        if colon and start in self.schema["properties"]:
            return f"write a space after the colon: {show(f'{start}: {rest}')}"
        if meant:
            return f"did you mean `{meant}`?" if meant in self._unwritten else LEFT_OUT[meant]
        if place := elsewhere(key, self.schema["properties"]):
            return place
        written = [name for name in self.schema["properties"] if name in self.value]
        if twin := other_key(key, written) or suggest(key, written):
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
        return self._problem("wrong-type", f"{self._label} is {self._found}", self._one_kind())

    def _one_kind(self) -> str:
        if not self.is_layer:
            return f"write one of {listed(self.kinds)}"
        if isinstance(self.value, list):
            return f"write one kind; several layers are one as `{Group.kind}: [...]`"
        return "write one kind, like `relu` or `conv2d: {...}`"

    def _bare_kind(self, kind: str) -> Problem:
        schema = self.kinds[kind]
        message = f"`{kind}` lacks {_all(schema['required'])}"
        return self._problem("missing-key", message, f"write {with_all_it_needs(kind, schema)}")

    def _strays(self) -> Problem:
        kinds = [key for key in self.value if key in self.kinds or key in self.blocks]
        if len(kinds) > 1:
            message = f"{self._label} names {len(kinds)} kinds: {listed(kinds)}"
            hint = "start each with a `-` of its own" if isinstance(self.path[-1], int) else "keep one"
            return self._problem("several-kinds", message, hint, self._head_of(kinds[1]))
        if not kinds:
            return self._unknown_kind_with_key(self._key_of_kind())
        strays = [key for key in self.value if key not in kinds]
        message = (
            f"{both([show(key) for key in strays])} {'stands' if len(strays) == 1 else 'stand'} beside `{kinds[0]}`"
        )
        hint = f"indent further, to below `{kinds[0]}:`, what belongs to it"
        return self._problem("stray-key", message, hint, self._head_of(strays[0]), strays[0])

    def _key_of_kind(self) -> str:
        """The key whose value names a kind, `{name: x, type: conv2d}`, or else the first one."""
        keys: list[str] = list(self.value)
        named = (key for key in keys if isinstance(self.value[key], str) and self.value[key] in self.kinds)
        return next(named, keys[0])

    def _unknown_kind_with_key(self, key: str) -> Problem:
        """An unknown kind as the (first) key of a mapping; `type: conv2d` is what other tools take."""
        named = self.value[key]
        hint = ""
        if isinstance(named, str) and (kind := self._known_kind(named)):
            hint = f"a kind is a key: write `{kind}: {{...}}`"
        elif self.is_layer and key.startswith("$"):
            hint = f"layers that are given stand alone: write {show(key)}, and nothing after it"
        if hint:
            return self._problem("unknown-kind", f"unknown kind {show(key)}", hint, self._head_of(key), key)
        return self._unknown_kind(key, self._head_of(key), key)

    def _unknown_kind(self, word: str, place: Place, key: str = "") -> Problem:
        kind = self._known_kind(word)
        hint = f"did you mean `{kind}`?" if kind else f"known are {listed(sorted(self.kinds))}"
        problem = self._problem("unknown-kind", f"unknown kind {show(word)}", hint, place, key)
        return problem.fixed_by(certain(word, [*self.kinds, *self.blocks]))

    def _known_kind(self, word: str) -> str:
        """The kind, or the block of this spec, that a word most probably means."""
        blocks = self.blocks if self.is_layer else ()
        return suggest(word, blocks, likeness=0.8) or kind_like(word, self.kinds) or suggest(word, blocks)

    # --- one value ---

    def _wrong_type(self, error: ValidationError) -> Problem:
        message = f"{self._label} is {self._found}"
        if isinstance(self.value, float) and not isfinite(self.value):
            return self._problem("not-finite", message, self._write().replace("a number", "a finite number"))
        if (
            isinstance(self.value, int | float)
            and abs(self.value) > MAX_NUMBER
            and "number" in schema_types(self.schema)
        ):
            hint = f"torch computes in float32, which ends at about {MAX_NUMBER:g}"
            return self._problem("not-finite", f"{message}, which is infinite for torch", hint)
        if self._is_fraction:
            hint = "a whole number is due: use `//`, or `round`, `floor` or `ceil`"
            return self._problem("fraction", message, hint)
        if isinstance(self.node, Scalar) and self.node.quoted and self._is_number(self.node.raw):
            message = f"{self._label} is a text, {show(chr(34) + self.node.raw + chr(34))}"
            problem = self._problem("quoted-number", message, f"write {self.node.raw} without quotes")
            return problem.fixed_by(self.node.raw)
        return self._problem("wrong-type", message, self._instead())

    @property
    def _is_fraction(self) -> bool:
        """Whether a computed value is a fraction where only whole numbers may stand."""
        was_computed = isinstance(self.node, Scalar) and self.node.computed
        return was_computed and isinstance(self.value, float) and "number" not in schema_types(self.schema)

    def _is_number(self, text: str) -> bool:
        """Whether the text reads like a number that may stand here."""
        return any(kind in _NUMBER and _NUMBER[kind].fullmatch(text) for kind in schema_types(self.schema))

    def _instead(self) -> str:
        """What to write in place of a value of another type."""
        if "properties" in self.schema:
            return self._as_mapping()
        if isinstance(self.value, float) and self.value.is_integer() and "integer" in schema_types(self.schema):
            return f"write {int(self.value)}, without a point or an exponent"
        if "boolean" in schema_types(self.schema) and self.value in ("true", "false"):
            return f"write `{self.value}` without quotes"
        if "boolean" in schema_types(self.schema) and (meant := _YES_AND_NO.get(str(self.value).lower())):
            return f"write `{meant}`; in YAML 1.2 `{self.value}` is a text"
        if is_computed_pattern(self.schema.get("pattern", "")) and (computed := computed_like(str(self.value))):
            return f"write `{computed}`"
        return self._write()

    def _as_mapping(self) -> str:
        """A kind's parameters go by name: `dropout: {p: 0.5}`."""
        kind = str(self.path[-1])
        if self.schema.get("items") == LAYER and self._is_computed:
            return self._write()
        if self._lists():
            alone = ", or the list alone" if "items" in self.schema else ""
            return f"write {with_all_it_needs(kind, self.schema)}{alone}"
        given = _parameters_of(self.blocks[kind]) if self.is_call else self.schema["properties"]
        keys = [key for key in given if key not in COMMON_FIELDS]
        if not keys:
            return f"write `{kind}` alone: it takes no parameters"
        if meaning(self.schema) != self.schema.get("description", ""):  # a key, which tells its default, and no kind
            return f"write a mapping, like `{kind}: {{{keys[0]}: ...}}`"
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        by_name = f"parameters by name, like `{kind}: {{{keys[0]}: {self.value if is_number else '...'}}}`"
        must = None in given.values() if self.is_call else "required" in self.schema
        return f"write {by_name}" if must else f"write `{kind}` alone, or {by_name}"

    def _lists(self) -> list[str]:
        """The lists of layers that a composite must be given."""
        properties = self.schema["properties"]
        return [key for key in self.schema.get("required", []) if properties[key].get("items") == LAYER]

    @property
    def _is_computed(self) -> bool:
        return isinstance(self.value, str) and is_computed(self.value)

    def _write(self) -> str:
        if text := TEXTS.get(self.schema.get("pattern", "")):
            return f"nothing is computed here: {text.meaning}" if self._is_computed else text.meaning
        if self.schema.get("items") == LAYER and self._is_computed:
            return f"write `[{self.value}]`: layers that are given are an item of a list"
        has_free_form = schema_types(self.schema) in (["object"], ["string"]) and not words(self.schema)
        return f"write {wanted(self.schema)}" + (f": {meaning(self.schema)}" if has_free_form else "")

    def _wrong_pattern(self, error: ValidationError) -> Problem:
        is_value = is_computed_pattern(self.schema["pattern"]) and not words(self.schema)
        return self._wrong_type(error) if is_value else self._wrong_value(error)

    def _too_many_keys(self, error: ValidationError) -> Problem:
        message = f"{self._label} holds {len(self.value):,} names"
        return self._problem("wrong-length", message, f"write at most {self.schema['maxProperties']}", self.head)

    def _too_few_keys(self, error: ValidationError) -> Problem:
        return self._problem("wrong-length", f"{self._label} is empty", "write at least one name", self.head)

    def _wrong_value(self, error: ValidationError) -> Problem:
        hint = did_you_mean(str(self.value), words(self.schema)) or self._write()
        problem = self._problem("wrong-value", f"{self._label} is {self._found.removeprefix('the text ')}", hint)
        return problem.fixed_by(certain(str(self.value), words(self.schema)))

    def _out_of_range(self, error: ValidationError) -> Problem:
        number = [kind for kind in schema_types(self.schema) if kind in _NUMBER]  # and not what else may stand here
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
            hint = f"write {most}: {limits['$comment']}"
        return self._problem("wrong-length", f"{self._label} {items}", hint)


# The errors of a single value, the most telling first: only that one is shown.
_VALUES: Mapping[str, Callable[[Refused, ValidationError], Problem]] = {
    "type": Refused._wrong_type,
    "enum": Refused._wrong_value,
    "pattern": Refused._wrong_pattern,
    "maxLength": Refused._wrong_value,
    "minimum": Refused._out_of_range,
    "maximum": Refused._out_of_range,
    "exclusiveMinimum": Refused._out_of_range,
    "exclusiveMaximum": Refused._out_of_range,
    "minItems": Refused._wrong_length,
    "maxItems": Refused._wrong_length,
    "maxProperties": Refused._too_many_keys,
    "minProperties": Refused._too_few_keys,
}


def _schema_around(error: ValidationError, root: Schema) -> Schema:
    """The schema of the value that the error is about; its parts `then` and `else` are not taken for the whole."""
    steps = list(error.absolute_schema_path)[:-1]
    while steps[-1:] in (["then"], ["else"]):
        steps.pop()
    schema: Any = resolved(root)
    for step in steps:
        schema = schema[step]
        schema = resolved(schema) if isinstance(schema, dict) else schema
    return dict(schema)


def _parameters_of(block: Any) -> Mapping[str, Any]:
    """The parameters of a block's data, with their defaults."""
    parameters = block.get("parameters") if isinstance(block, dict) else None
    return parameters if isinstance(parameters, dict) else {}


def _is_choice(schema: Schema) -> bool:
    """Whether one kind is chosen here, as `kinds.choice_schema` writes it."""
    return "maxProperties" in schema.get("else", {})


def _all(keys: Sequence[str]) -> str:
    return both([f"`{key}`" for key in keys])
