"""What a computed value may be, its bounds, and what may be wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass

MAX_NESTING = 50  # levels of terms within terms
MAX_WHOLE = 10**18  # magnitude of a whole number, so that arithmetic on them stays cheap
WHOLE_ENDS = "whole numbers end at 10^18"


class Layers:
    """Layers given as an argument: an expression can only pass them on, by `$name`."""

    __slots__ = ()


Value = int | float | bool | str | None | Layers | tuple["Value", ...]
Number = int | float
Scope = Mapping[str, Value]


class Rounded(int):
    """What `round_to` gives. It remembers the number asked for, until arithmetic makes a plain number of it."""

    requested: Number

    def __new__(cls, value: int, requested: Number) -> "Rounded":
        rounded = super().__new__(cls, value)
        rounded.requested = requested
        return rounded

    def __reduce__(self) -> tuple[type["Rounded"], tuple[int, Number]]:
        return Rounded, (int(self), self.requested)  # a copy is not made from the value alone


class Fault(Exception):  # noqa: N818  # the parts of a problem; whoever knows the scalar's place makes the problem
    """What is wrong with a computed value, from character `start` to before `end` of its text, the `$` counted.

    `name` is the name that the scope lacks, if that is what is wrong.
    """

    def __init__(self, code: str, message: str, hint: str, start: int, end: int, name: str = "") -> None:
        super().__init__(code, message, hint, start, end, name)
        self.code = code
        self.message = message
        self.hint = hint
        self.start = start
        self.end = end
        self.name = name


@dataclass(frozen=True, slots=True)
class Part:
    """Some characters of a computed value."""

    text: str
    start: int
    end: int

    def fault(self, message: str, hint: str, code: str = "invalid-expression", name: str = "") -> Fault:
        return Fault(code, message, hint, self.start, self.end, name)


def kind_of(value: Value) -> str:
    """The kind of a value, as it stands in a sentence."""
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case Layers():
            return "layers"
    return "a list"


def whole(value: Value) -> int | None:
    """The whole number that a value is: `6 / 2` is 3.0, which will do where a whole number is due.

    What `round_to` gave comes back as it is, with the number asked for.
    """
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
