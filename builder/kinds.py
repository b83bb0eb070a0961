"""What a kind is: a frozen class whose annotated fields are its parameters, registered under the word that YAML uses.

Layers, data sets, losses, optimizers and schedulers are all kinds. From the class come its schema, the reading of
what a person wrote, and the writing of it with every default spelled out.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import FrozenInstanceError, dataclass, is_dataclass
from typing import Annotated, Any, ClassVar, Self, dataclass_transform, get_args, get_origin

from builder.fields import Declared, FieldType, Schema, as_yaml_text, or_computed, parameter
from builder.problems import Severity


@dataclass(frozen=True)
class Misfit:
    """A rule that a kind's parameters, or its input, break; whoever knows the place makes it a `Problem`.

    `field` names the parameter to point at; without one (or when it isn't written) the kind itself is meant.
    """

    code: str
    message: str
    hint: str = ""
    field: str = ""
    severity: Severity = "error"


class MisfitError(Exception):
    """Raised by a kind that can't work on what it is given."""

    def __init__(self, misfit: Misfit) -> None:
        super().__init__(misfit.message)
        self.misfit = misfit


@dataclass(frozen=True)
class Parameter:
    """One field of a kind: its name, its type, its meaning in words, and whether it must be written."""

    name: str
    type: FieldType
    meaning: str
    required: bool
    default: Any
    default_text: str

    @property
    def description(self) -> str:
        """The meaning, with the default in words: editors don't show the keyword `default`."""
        if self.required:
            return f"{self.meaning} (required)"
        return f"{self.meaning} (default: {self.default_text or as_yaml_text(self.default)})"

    def schema(self) -> Schema:
        """What may be written: a value, or a computed one."""
        return or_computed(self.type.schema()) | {"description": self.description}

    def value_schema(self) -> Schema:
        """What may come out of a computed value."""
        return self.type.schema() | {"description": self.description}


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(parameter,))
class Kind:
    """The base of everything that is chosen by a key.

    A subclass names its word, `class Conv2d(Layer, kind="conv2d")`, and is entered in the table of its family, the
    nearest base that was declared with a `family`. To a reader, and to a type checker, it is a frozen dataclass; but
    `dataclass` would write five methods for each, which for all kinds takes longer than the check of a spec.
    """

    kind: ClassVar[str] = ""
    family: ClassVar[str] = ""
    table: ClassVar[dict[str, type[Any]]]  # each family has its own, of its own members

    def __init_subclass__(cls, *, kind: str = "", family: str = "") -> None:
        if family:
            cls.family = family
            cls.table = {}
        if kind:
            if kind in cls.table:
                raise TypeError(f"{cls.family} {kind} is defined twice")
            cls.kind = kind
            cls.table[kind] = cls

    def __init__(self, **arguments: Any) -> None:
        known = parameters(type(self))
        missing = [field.name for field in known if field.required and field.name not in arguments]
        unknown = arguments.keys() - {field.name for field in known}
        if missing or unknown:
            raise TypeError(f"{type(self).__name__} lacks {missing} and doesn't take {sorted(unknown)}")
        # Into the dict itself, for nothing can be assigned.
        vars(self).update(
            (field.name, field.type.canonical(arguments.get(field.name, field.default))) for field in known
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    @classmethod
    def read(cls, arguments: Mapping[str, Any]) -> Self:
        """The kind with these arguments, which the schema has accepted."""
        return cls(**arguments)

    def changed(self, **arguments: Any) -> Self:
        """The same with these arguments in place of its own."""
        return type(self)(**vars(self) | arguments)

    def written(self) -> dict[str, Any]:
        """Every parameter as YAML data, defaults included."""
        return {field.name: field.type.written(getattr(self, field.name)) for field in parameters(type(self))}

    def rules(self) -> Iterator[Misfit]:
        """What is wrong between parameters that are each right."""
        return iter(())


_PARAMETERS: dict[type[Kind], tuple[Parameter, ...]] = {}


def parameters(cls: type[Kind]) -> tuple[Parameter, ...]:
    """The parameters of a kind, in the order of its class; those of its bases come first."""
    if cls not in _PARAMETERS:
        _PARAMETERS[cls] = tuple(_read_parameters(cls))
    return _PARAMETERS[cls]


def _read_parameters(cls: type[Kind]) -> Iterator[Parameter]:
    if is_dataclass(cls):
        raise TypeError(f"{cls.__name__} must not be decorated with `dataclass`: `Kind` does its work")
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        hints |= inspect.get_annotations(base)
    for name, hint in hints.items():
        if ClassVar in (hint, get_origin(hint)):
            continue
        declared = getattr(cls, name, None)
        if not isinstance(declared, Declared):
            raise TypeError(f"{cls.__name__}.{name} is neither a `parameter` nor a `ClassVar`")
        default = None if declared.required else declared.default
        yield Parameter(name, _field_type(hint), declared.meaning, declared.required, default, declared.default_text)


def _field_type(hint: Any) -> FieldType:
    if get_origin(hint) is Annotated:
        for extra in get_args(hint)[1:]:
            if isinstance(extra, FieldType):
                return extra
    raise TypeError(f"{hint} names no field type")


def required_names(cls: type[Kind]) -> list[str]:
    """The parameters that have no default."""
    return [field.name for field in parameters(cls) if field.required]


def parameters_schema(cls: type[Kind]) -> Schema:
    """The schema of the mapping behind a kind's word."""
    schema: Schema = {
        "type": "object",
        "description": first_paragraph(cls),
        "properties": {field.name: field.schema() for field in parameters(cls)},
        "additionalProperties": False,
    }
    needed = required_names(cls)
    if needed:
        return schema | {"required": needed}
    return schema | {"type": ["object", "null"]}  # `relu:` with nothing after it, as editors insert it


def first_paragraph(cls: type) -> str:
    """The first paragraph of the docstring, on one line."""
    return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


def bare_kinds(table: Mapping[str, type[Kind]]) -> list[str]:
    """The kinds that may be written as their word alone."""
    return [kind for kind, cls in table.items() if not required_names(cls)]


def choice_schema(table: Mapping[str, type[Kind]], properties: Mapping[str, Schema]) -> Schema:
    """The schema of a place where one kind is chosen: `adam`, or `sgd: {...}`.

    With neither `oneOf` nor `anyOf`, which confuse editors and lose jsonschema's messages.
    """
    return {
        "type": ["string", "object"],
        "if": {"type": "string"},
        "then": {"enum": bare_kinds(table)},
        "else": {
            "properties": dict(properties),
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    }


@dataclass(frozen=True)
class OneOf(FieldType):
    """A field that chooses one kind of a family, such as an optimizer."""

    family: type[Kind]

    def schema(self) -> Schema:
        table = self.family.table
        return choice_schema(table, {kind: parameters_schema(cls) for kind, cls in table.items()})

    def canonical(self, value: Any) -> Any:
        if isinstance(value, Kind):
            return value
        kind, arguments = chosen(value)
        return self.family.table[kind].read(arguments)

    def written(self, value: Any) -> Any:
        arguments = value.written()
        return {value.kind: arguments} if arguments else value.kind

    def kinds(self, value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
        yield (value.kind,), value


@dataclass(frozen=True)
class Nested(FieldType):
    """A mapping with fixed keys below a field: the parameters of a kind that nothing chooses."""

    cls: type[Kind]

    def schema(self) -> Schema:
        return parameters_schema(self.cls)

    def canonical(self, value: Any) -> Any:
        return value if isinstance(value, Kind) else self.cls.read(value or {})

    def written(self, value: Any) -> Any:
        return value.written()

    def kinds(self, value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
        yield (), value


def chosen(value: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The word and the arguments of a choice: `relu` and `relu:` are `{relu: {}}`."""
    if isinstance(value, str):
        return value, {}
    ((kind, arguments),) = value.items()
    return kind, dict(arguments or {})
