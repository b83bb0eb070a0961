"""A scalar becomes an expression: its form and its words are checked, then Python's tree is walked."""

import ast
import re
from dataclasses import dataclass, field
from functools import lru_cache

from builder.expressions.names import NAME
from builder.expressions.terms import Name, Term
from builder.expressions.tree import Walk
from builder.expressions.values import Fault, Part, Scope, Value
from builder.expressions.words import FORBIDDEN, check_words, forbidden, misplaced
from builder.limits import MAX_EXPRESSION
from builder.problems import show

_FORMS = "a computed value is `$name` or `$(expression)`"
_QUOTES = 'inside braces a comma ends a value: write the expression in quotes there, as in `"$(min(a, b))"`'


@dataclass(frozen=True, slots=True)
class Expression:
    """A computed value that was read. `names` are those it uses, in branches not taken too: (name, start, end)."""

    text: str
    names: tuple[tuple[str, int, int], ...]
    _term: Term = field(repr=False, compare=False)

    @property
    def is_name(self) -> bool:
        """Just `$name`, or `$(name)`: whatever the name means passes through unchanged."""
        return isinstance(self._term, Name)


def is_computed(text: str) -> bool:
    """Whether a scalar is a computed value, right or wrong; every other scalar means itself."""
    return text.startswith("$")


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """The expression of a computed value. Raises `Fault`; names are not looked up yet."""
    _check_form(text)
    check_words(text)
    walk = Walk(text)
    term = walk.term(_parsed(text), 0)
    return Expression(text, tuple(sorted(walk.names, key=lambda name: name[1])), term)


def evaluate(expression: Expression, scope: Scope) -> Value:
    """The value, with names as in `scope`. Raises `Fault`."""
    return expression._term.value(scope)


def _check_form(text: str) -> None:
    """The scalar is `$name` or `$(...)` to its end, short, and of known characters."""
    whole_text = Part(text, 0, len(text))
    if len(text) > MAX_EXPRESSION:
        message = f"expression {show(text)} has {len(text):,} characters"
        raise whole_text.fault(message, f"it may have {MAX_EXPRESSION}; `variables` can hold parts of it")
    if braced := re.fullmatch(r"\$\{(.*)\}?", text, re.DOTALL):
        raise whole_text.fault(f"{show(text)} is not a computed value", _without_braces(braced[1].rstrip("}")))
    if not re.match(r"\$[^\x00-\x7f]|\$[A-Za-z_(]", text):
        raise whole_text.fault(f"{show(text)} is not a computed value", _FORMS)
    bad = FORBIDDEN.search(text, 1)
    if bad and bad[0] != "$":
        raise forbidden(Part(bad[0], *bad.span()))
    _check_end(whole_text)  # `$a + $b` goes on after its end; `$(a + $b)` doesn't
    if bad:
        raise forbidden(Part(bad[0], *bad.span()))


def _without_braces(inside: str) -> str:
    """What `${...}` should be: it can't stand unquoted inside YAML's own braces, so it is no form at all."""
    readable = [text for text in (f"${inside}", f"$({inside})") if _can_be_read(text)]
    return f"write `{readable[0]}`" if readable else _FORMS


def _check_end(whole_text: Part) -> None:
    text = whole_text.text
    end = _end_of_value(text)
    if end is None:
        message = f"expression {show(text)} has no closing `)`"
        raise whole_text.fault(message, _closed(text))
    if end < len(text):
        rest = Part(text[end:], end, len(text))
        message = f"{show(rest.text)} stands after the computed value {show(text[:end])}"
        raise rest.fault(message, _without_rest(text, rest.text))
    if not text[2:-1].strip() and text.endswith(")"):
        raise whole_text.fault(f"expression {show(text)} is empty", _FORMS)


def _closed(text: str) -> str:
    """What to write in place of a text that lacks parentheses at its end."""
    closed = text + ")" * (text.count("(") - text.count(")"))
    return f"write `{closed}`" if _can_be_read(closed) else _QUOTES


def _without_rest(text: str, rest: str) -> str:
    inside = f"$({text[1:].replace('$', '')})"
    if _can_be_read(inside):
        return f"write `{inside}`"
    return _QUOTES if rest.count("(") > rest.count(")") else f"{_FORMS}, and nothing after it"


def _end_of_value(text: str) -> int | None:
    """Behind `$name`, or behind the parenthesis that closes `$(`."""
    if name := NAME.match(text, 1):
        return name.end()
    depth = 0
    for bracket in re.finditer(r"[()]", text):
        depth += 1 if bracket[0] == "(" else -1
        if not depth:
            return bracket.end()
    return None


def _can_be_read(text: str) -> bool:
    """Whether a hint may offer the text: only what is right is worth offering."""
    if FORBIDDEN.search(text, 1) or _end_of_value(text) != len(text):
        return False  # and so the hints of these faults don't look for hints in turn
    try:
        parse(text)
    except Fault:
        return False
    return True


def _parsed(text: str) -> ast.expr:
    try:
        # The parentheses go along: inside them Python allows a space at the start.
        return ast.parse(text[1:], mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise misplaced(text) from None
