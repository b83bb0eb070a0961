"""The vocabulary of parameters: what a field may hold, as a type and as a fragment of JSON Schema.

A kind declares its parameters as annotated fields,

    kernel_size: Size = parameter("height and width of the window")

and the annotation says everything: the Python type, how it is written in YAML, and its bounds.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from builder.limits import MAX_CHANNELS, MAX_NAME, MAX_NESTING, MAX_SIZE
from builder.problems import both

Schema = dict[str, Any]
Pair = tuple[int, int]

# The very end of a text: Python's `$` alone lets a final newline pass. ECMAScript reads it the same.
END = r"$(?!\n)"

# A scalar that begins so is computed, `$name` or `$(expression)`, and may stand where its value may.
COMPUTED = r"^\$"


class FieldType:
    """How one parameter is written. `canonical` turns what the schema accepted into the one form that code sees."""

    def schema(self) -> Schema:
        raise NotImplementedError

    def canonical(self, value: Any) -> Any:
        return value

    def written(self, value: Any) -> Any:
        """The canonical value as YAML data that means the same."""
        return list(value) if isinstance(value, tuple) else value

    def kinds(self, value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
        """The kinds that a canonical value holds, each behind the steps that lead to it in the spec."""
        return iter(())


@dataclass(frozen=True)
class Integer(FieldType):
    """A whole number within bounds."""

    minimum: int
    maximum: int

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True)
class Number(FieldType):
    """A finite number; `above` and `below` exclude their bound."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None

    def schema(self) -> Schema:
        bounds = {
            "minimum": self.minimum,
            "maximum": self.maximum,
            "exclusiveMinimum": self.above,
            "exclusiveMaximum": self.below,
        }
        return {"type": "number"} | {key: bound for key, bound in bounds.items() if bound is not None}

    def canonical(self, value: Any) -> Any:
        return float(value)


@dataclass(frozen=True)
class Boolean(FieldType):
    """True or false."""

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Choice(FieldType):
    """One of a few words."""

    words: tuple[str, ...]

    def schema(self) -> Schema:
        return {"type": "string", "enum": list(self.words)}


@dataclass(frozen=True)
class Text(FieldType):
    """A text that matches `pattern` from its first character to its very last."""

    pattern: str
    max_length: int
    meaning: str  # the pattern in words

    def schema(self) -> Schema:
        return {"type": "string", "pattern": self.pattern, "maxLength": self.max_length}


@dataclass(frozen=True)
class EachOf(FieldType):
    """One value for all of `names`, or a list with one for each; canonically always a tuple of all."""

    item: Integer | Number
    names: tuple[str, ...] = ("height", "width")
    nullable: bool = False  # each value of the list may be null

    def schema(self) -> Schema:
        one = self.item.schema()
        if len(self.names) == 1:
            return one
        null = ["null"] if self.nullable else []
        each = one | {"type": [*schema_types(one), *null]} if null else one
        return one | {
            "type": [*schema_types(one), "array", *null],
            # Array keywords beside `integer` would make an editor insert a list.
            "if": {"type": "array"},
            "then": {
                "$comment": both(self.names),
                "items": each,
                "minItems": len(self.names),
                "maxItems": len(self.names),
            },
        }

    def canonical(self, value: Any) -> Any:
        values = value if isinstance(value, list | tuple) else (value,) * len(self.names)
        return tuple(None if item is None else self.item.canonical(item) for item in values)

    def written(self, value: Any) -> Any:
        return value[0] if len(set(value)) == 1 else list(value)


@dataclass(frozen=True)
class WordOr(FieldType):
    """One of a few words, or what `other` says."""

    words: tuple[str, ...]
    other: FieldType

    def schema(self) -> Schema:
        fragment = self.other.schema()
        # A pattern and not an enum, which would have to list every number.
        pattern = f"^({'|'.join(self.words)}){END}"
        return fragment | {"type": [*schema_types(fragment), "string"], "pattern": pattern}

    def canonical(self, value: Any) -> Any:
        return value if isinstance(value, str) else self.other.canonical(value)

    def written(self, value: Any) -> Any:
        return value if isinstance(value, str) else self.other.written(value)


@dataclass(frozen=True)
class OrNull(FieldType):
    """What `other` says, or null, which torch calls None."""

    other: FieldType

    def schema(self) -> Schema:
        fragment = self.other.schema()
        words = {"enum": [*fragment["enum"], None]} if "enum" in fragment else {}
        return fragment | {"type": list(dict.fromkeys([*schema_types(fragment), "null"]))} | words

    def canonical(self, value: Any) -> Any:
        return None if value is None else self.other.canonical(value)

    def written(self, value: Any) -> Any:
        return None if value is None else self.other.written(value)

    def kinds(self, value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
        return iter(()) if value is None else self.other.kinds(value)


@dataclass(frozen=True)
class ListOf(FieldType):
    """A list of `min_items` to `max_items`."""

    item: FieldType
    min_items: int
    max_items: int

    def schema(self) -> Schema:
        return {"type": "array", "items": self.item.schema(), "minItems": self.min_items, "maxItems": self.max_items}

    def canonical(self, value: Any) -> Any:
        return tuple(self.item.canonical(item) for item in value)

    def written(self, value: Any) -> Any:
        return [self.item.written(item) for item in value]

    def kinds(self, value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
        for index, item in enumerate(value):
            yield from (((index, *steps), kind) for steps, kind in self.item.kinds(item))


@dataclass(frozen=True)
class PerChannel(FieldType):
    """One number for all channels of an image, or a list with one for each; canonically a tuple."""

    item: Number

    def schema(self) -> Schema:
        one = self.item.schema()
        return one | {
            "type": ["number", "array"],
            "if": {"type": "array"},
            "then": {"items": one, "minItems": 1, "maxItems": MAX_CHANNELS},
        }

    def canonical(self, value: Any) -> Any:
        return tuple(float(item) for item in value) if isinstance(value, list | tuple) else (float(value),)

    def written(self, value: Any) -> Any:
        return value[0] if len(value) == 1 else list(value)


def schema_types(fragment: Schema) -> list[str]:
    """What the values may be, as JSON Schema names it."""
    kinds = fragment.get("type", [])
    return list(kinds) if isinstance(kinds, list) else [kinds]


def or_computed(fragment: Schema) -> Schema:
    """The same values, or a computed one in their place. Texts of free form and choices of a kind stay literal."""
    kinds = schema_types(fragment)
    is_choice = "object" in (*kinds, *schema_types(fragment.get("items", {})))
    is_text = {*kinds} - {"null"} == {"string"}
    if is_choice or (is_text and "enum" not in fragment):
        return fragment
    if "enum" in fragment:
        others = {key: value for key, value in fragment.items() if key != "enum"}
        return others | {"if": {"pattern": COMPUTED}, "else": {"enum": fragment["enum"]}}
    if "string" in kinds:  # words beside other values: see `WordOr`
        return _items_or_computed(fragment) | {"pattern": rf"^(\$|{fragment['pattern'].removeprefix('^')})"}
    return _items_or_computed(fragment) | {"type": [*kinds, "string"], "pattern": COMPUTED}


def _items_or_computed(fragment: Schema) -> Schema:
    """The fragment with computed values allowed in its lists, those of `then` too."""
    if "then" in fragment:
        return fragment | {"then": _items_or_computed(fragment["then"])}
    return fragment | {"items": or_computed(fragment["items"])} if "items" in fragment else fragment


Channels = Annotated[int, Integer(1, MAX_CHANNELS)]
Count = Annotated[int, Integer(1, MAX_SIZE)]
Dimension = Annotated[int, Integer(-4, 3)]
Flag = Annotated[bool, Boolean()]
Probability = Annotated[float, Number(minimum=0, maximum=1)]
Decay = Annotated[float, Number(minimum=0, below=1)]
Finite = Annotated[float, Number()]
Positive = Annotated[float, Number(above=0)]
NonNegative = Annotated[float, Number(minimum=0)]

Betas = Annotated[tuple[float, float], ListOf(Number(minimum=0, below=1), 2, 2)]
Means = Annotated[tuple[float, ...], PerChannel(Number())]
Deviations = Annotated[tuple[float, ...], PerChannel(Number(above=0))]

Size = Annotated[Pair, EachOf(Integer(1, MAX_SIZE))]
OptionalSize = Annotated[Pair | None, OrNull(EachOf(Integer(1, MAX_SIZE)))]
PartialSize = Annotated[tuple[int | None, int | None], EachOf(Integer(1, MAX_SIZE), nullable=True)]
Padding = Annotated[Pair, EachOf(Integer(0, MAX_SIZE))]
ConvPadding = Annotated[Pair | str, WordOr(("same", "valid"), EachOf(Integer(0, MAX_SIZE)))]
OptionalFactors = Annotated[tuple[float, float] | None, OrNull(EachOf(Number(1 / MAX_SIZE, MAX_SIZE)))]

FOUR_SIDES = ("left", "right", "top", "bottom")  # in torch's order
FourPaddings = Annotated[tuple[int, int, int, int], EachOf(Integer(0, MAX_SIZE), FOUR_SIDES)]

# Along a row: one number, canonically a tuple of one, as a size of a map is a tuple of two.
ALONG = ("length",)
Length = Annotated[tuple[int], EachOf(Integer(1, MAX_SIZE), ALONG)]
OptionalLength = Annotated[tuple[int] | None, OrNull(EachOf(Integer(1, MAX_SIZE), ALONG))]
LengthPadding = Annotated[tuple[int], EachOf(Integer(0, MAX_SIZE), ALONG)]
LengthConvPadding = Annotated[tuple[int] | str, WordOr(("same", "valid"), EachOf(Integer(0, MAX_SIZE), ALONG))]

LAYER_NAME = Text(
    rf"^(?![0-9]+$)[A-Za-z0-9][A-Za-z0-9_]{{0,{MAX_NAME - 1}}}{END}",
    MAX_NAME,
    f"a name is 1 to {MAX_NAME} letters, digits and underscores, begins with no underscore, and is not all digits",
)
DOTTED_NAME = Text(
    rf"^[A-Za-z0-9][A-Za-z0-9_]*(\.[A-Za-z0-9][A-Za-z0-9_]*)*{END}",
    MAX_NAME * MAX_NESTING,
    "a layer is called by its name, one inside of others by the names that lead to it, as in `block1.bn2`",
)
SPEC_NAME = Text(
    rf"^[a-z0-9][a-z0-9_-]{{0,{MAX_NAME - 1}}}{END}",
    MAX_NAME,
    f"a spec's name is 1 to {MAX_NAME} lower-case letters, digits, `_` and `-`, and begins with a letter or a digit",
)

BLOCK_NAME = Text(
    rf"^[A-Z][A-Za-z0-9_]{{0,{MAX_NAME - 1}}}{END}",
    MAX_NAME,
    f"a block's name is 1 to {MAX_NAME} letters, digits and underscores, and begins with a capital",
)

# Public attributes of `nn.Sequential`, any release from 2.10 on: torch refuses a child of such a name.
RESERVED_NAMES = frozenset(
    """
    T_destination add_module append apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches
    eval extend extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half insert ipu
    load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters pop
    register_backward_hook register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
    register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state
    set_submodule share_memory state_dict to to_empty train training type xpu zero_grad
    """.split()  # noqa: SIM905  # a list of words reads better as words
)


@dataclass(frozen=True)
class Declared:
    """What a kind says of one of its parameters besides the type; a required one has no default."""

    meaning: str
    default: Any
    default_text: str

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING


def parameter(meaning: str, *, default: Any = dataclasses.MISSING, default_text: str = "") -> Any:
    """A parameter of a kind: its meaning, and its default as one would write it in YAML.

    `default_text` says in words what a default of null stands for.
    """
    return Declared(meaning, default, default_text)


def matches(text_type: Text, value: str) -> bool:
    """Whether the whole value matches."""
    return re.search(text_type.pattern, value) is not None


def pair_text(pair: Pair) -> str:
    """`3`, or `[3, 5]`, as it would be written."""
    height, width = pair
    return str(height) if height == width else str([height, width])


def as_yaml_text(value: Any) -> str:
    """A default as it is shown in a description."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(as_yaml_text(item) for item in value)}]"
    return "{}" if isinstance(value, Mapping) else str(value)
