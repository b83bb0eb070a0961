"""What an unquoted word of a spec means: null, true, false, a number, or text, as the core schema of YAML 1.2 says.

Numbers that YAML 1.1 and 1.2 (and JSON, and people) read differently are faults, not guesses.
"""

import math
import re
from dataclasses import dataclass

from builder.limits import MAX_DIGITS
from builder.problems import show

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a word: the parts of a `Problem` that need no place."""

    code: str
    message: str
    hint: str


_WORDS: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_STARTS = frozenset("+-.0123456789")

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
_NOT_A_NUMBER = re.compile(r"\.(?:nan|NaN|NAN)")

# Each is a number to some reader of YAML and text, or another number, to the next.
_AMBIGUOUS = {
    "a leading zero": re.compile(r"[-+]?0[0-9]+"),
    "hexadecimal": re.compile(r"[-+]?0[xX][0-9a-fA-F_]+"),
    "octal": re.compile(r"[-+]?0[oO][0-9_]+"),
    "binary": re.compile(r"[-+]?0[bB][0-9_]+"),
    "base 60": re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"),
    "an underscore": re.compile(r"(?=[^_]*_)[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?"),
}


def resolve(word: str) -> Value | Fault:
    """The value of an unquoted scalar."""
    if word[:1] not in _NUMBER_STARTS:
        return _WORDS.get(word, word)
    if _INTEGER.fullmatch(word):
        return _too_long(word) or int(word)
    for form, pattern in _AMBIGUOUS.items():
        if pattern.fullmatch(word):
            return _ambiguous(word, form)
    if _FLOAT.fullmatch(word):
        return _too_long(word) or _finite(word)
    if _INFINITY.fullmatch(word):
        return -math.inf if word[0] == "-" else math.inf
    return math.nan if _NOT_A_NUMBER.fullmatch(word) else word


def _ambiguous(word: str, form: str) -> Fault:
    message = f"number {show(word)} ({form}) means different things to different readers"
    return Fault("ambiguous-number", message, "write it in decimal, or in quotes if it is text")


def _too_long(word: str) -> Fault | None:
    digits = sum(char.isdigit() for char in word) if len(word) > MAX_DIGITS else 0
    if digits <= MAX_DIGITS:
        return None
    return Fault(
        "number-too-long", f"number {show(word)} has {digits:,} digits", f"a number has at most {MAX_DIGITS} digits"
    )


def _finite(word: str) -> float | Fault:
    number = float(word)
    if math.isfinite(number):
        return number
    return Fault("number-too-large", f"number {show(word)} is too large", "the largest number is about `1.8e308`")
