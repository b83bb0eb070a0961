"""Computed values under test: a scope, and what is told of a fault, to the character."""

import math
from collections.abc import Callable

import pytest

from builder.expressions import Fault, Layers, Scope, Value, evaluate, parse

Case = tuple[str, tuple[str, str, str, str]]  # a text, and what is told of it

SCOPE: Scope = {
    "a": 7,
    "b": 2,
    "c": 3,
    "zero": 0,
    "x": 2.5,
    "skip": True,
    "text": "relu",
    "depths": (3, 4, 6),
    "huge": 10**40,
    "infinite": math.inf,
    "nothing": None,
    "sizes": (None, 7),
    "given": Layers(),
}

ENGLISH = "names are made of English letters, digits and `_`"
WHOLE_ENDS = "whole numbers end at 10^18"


def value(text: str, scope: Scope = SCOPE) -> Value:
    return evaluate(parse(text), scope)


def refusal(act: Callable[[], object]) -> Fault:
    with pytest.raises(Fault) as caught:
        act()
    return caught.value


def told(text: str, fault: Fault) -> tuple[str, str, str, str]:
    """Code, message, hint, and what the carets mark: `<start>:<characters>`."""
    assert 0 <= fault.start < fault.end <= len(text)
    return fault.code, fault.message, fault.hint, f"{fault.start}:{text[fault.start : fault.end]}"


def read_told(text: str) -> tuple[str, str, str, str]:
    return told(text, refusal(lambda: parse(text)))


def evaluated_told(text: str, scope: Scope = SCOPE) -> tuple[str, str, str, str]:
    expression = parse(text)
    return told(text, refusal(lambda: evaluate(expression, scope)))


def refused(code: str, text: str, message: str, hint: str, place: str) -> Case:
    return text, (code, message, hint, place)
