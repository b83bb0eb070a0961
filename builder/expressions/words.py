"""The characters and words of an expression, checked before Python's parser sees them."""

import keyword
import math
import re
import unicodedata

from builder.expressions.functions import FUNCTIONS
from builder.expressions.names import ENGLISH, IS_RESERVED
from builder.expressions.values import MAX_WHOLE, WHOLE_ENDS, Fault, Part
from builder.problems import either, show

FORBIDDEN = re.compile(r"[^A-Za-z0-9_ .+*/%<>=!(),-]")
# A number takes all letters and digits that touch it: `0x10` and `1_000` are one wrong word, not two right ones.
_WORD = re.compile(
    r"(?P<number>\.?[0-9](?:[eE][+-](?=[0-9])|[A-Za-z0-9_.])*)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<symbol>\*\*|//|<<|>>|->|<>|[<>=!]=|[-+*/%<>=!(),.])"
)
_DECIMAL = re.compile(r"(?P<whole>0|[1-9][0-9]*)|(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

LANGUAGE = (
    "an expression has numbers, names, `true`, `false`, `+ - * / // %`, one comparison, `and or not`, "
    f"`a if c else b` and {either([f'`{name}`' for name in FUNCTIONS])}"
)
_OPERATORS = "operators are `+ - * / // %`, `== != < <= > >=`, `and or not` and `if else`"
_VALUES = "a value is a number, a name, a call or an expression in parentheses"
_COMPARE = "compare with `==` or `!=`"
_REFUSED = {
    "**": "write a power as a product: `a * a`",
    ".": "there are no attributes; a number is written `0.5`",
    "=": "compare with `==`; arguments have no names",
    "<>": _COMPARE,
    "is": _COMPARE,
    "!": "write `not` or `!=`",
    "True": "write `true`",
    "False": "write `false`",
    **dict.fromkeys(set(keyword.kwlist) - {"and", "or", "not", "if", "else"} - {"is", "True", "False"}, LANGUAGE),
    **dict.fromkeys(("<<", ">>", "->"), LANGUAGE),
}
_HINTS_FOR_CHARACTERS = {
    "$": "inside the parentheses names stand without `$`",
    **dict.fromkeys("'\"", "an expression holds no text"),
    **dict.fromkeys("[]", "an expression holds no lists"),
    **dict.fromkeys("&|", "write `and` or `or`"),
    "^": "write a power as a product: `a * a`",
    **dict.fromkeys("\t\n\r", "write the expression in one line, with spaces"),
}


def forbidden(part: Part) -> Fault:
    """The fault of a character that is not part of the language."""
    name = "" if part.text.isascii() else f" ({unicodedata.name(part.text, 'unnamed')})"  # a look-alike tells itself
    hint = ENGLISH if part.text.isalpha() else LANGUAGE
    message = f"character {show(part.text)}{name} can't stand in an expression"
    return part.fault(message, _HINTS_FOR_CHARACTERS.get(part.text, hint))


def _words(text: str) -> list[re.Match[str]]:
    return list(_WORD.finditer(text, 1))


def check_words(text: str) -> None:
    """Raises `Fault` at the first number or word that is not part of the language."""
    for word in _words(text):
        part = Part(word[0], *word.span())
        if word["number"]:
            _check_number(part)
        elif word[0] in _REFUSED:
            raise part.fault(f"{show(word[0])} is not part of an expression", _REFUSED[word[0]])


def _check_number(part: Part) -> None:
    decimal = _DECIMAL.fullmatch(part.text)
    if decimal is None:
        hint = "write it like `1000`, `0.5` or `1e-3`"
        raise part.fault(f"{show(part.text)} is not a decimal number", hint, "invalid-number")
    if decimal["whole"] and int(part.text) > MAX_WHOLE:
        raise part.fault(f"number {show(part.text)} is too large", WHOLE_ENDS, "number-too-large")
    if math.isinf(float(part.text)):
        hint = "the largest number is about `1.8e308`"
        raise part.fault(f"number {show(part.text)} is too large", hint, "number-too-large")


_BEFORE_A_VALUE = frozenset(("(", "-", "not"))


def misplaced(text: str) -> Fault:
    """What Python's parser refused, in words that don't change with its version: the first word out of turn."""
    if keyword.iskeyword(text[1:]):
        return Part(text[1:], 1, len(text)).fault(f"{show(text[1:])} can't be a name", IS_RESERVED)
    after_value, previous = False, ""
    for word in _words(text):
        part = Part(word[0], *word.span())
        is_value = bool(word["number"]) or (bool(word["name"]) and not keyword.iskeyword(word[0]))
        if after_value and (is_value or word[0] == "not"):
            return part.fault(f"an operator is missing before {show(part.text)}", _OPERATORS)
        if word[0] == ")" and previous in ("(", ","):
            after_value = True  # a call without arguments, or with a comma after the last
        elif not after_value and not is_value and word[0] not in _BEFORE_A_VALUE:
            return part.fault(f"a value is missing before {show(part.text)}", _VALUES)
        else:
            after_value = is_value or word[0] == ")"
        previous = word[0]
    return Part(text, 0, len(text)).fault(f"expression {show(text)} can't be read", _reading_hint(text))


def _reading_hint(text: str) -> str:
    words = {word[0] for word in _words(text)}
    if ("if" in words) or ("else" in words):
        return "a choice is written `a if c else b`"
    return "put `not` and what follows it in parentheses" if "not" in words else LANGUAGE
