"""Computed values: the scalar `$name` or `$(expression)` becomes a tree of terms, read once and evaluated per use.

A spec comes from anybody, so an expression is never compiled or run by Python. Its characters and words are checked
first; then Python's own parser gives the tree, so that precedence is Python's, and a closed walk makes terms of the few
nodes that the language has. Whatever is wrong is a `Fault` at the characters where it is wrong.
"""

import ast
import keyword
import math
import operator
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from builder.problems import did_you_mean, either, show

Value = int | float | bool | str | tuple["Value", ...]
Number = int | float
Scope = Mapping[str, Value]

MAX_EXPRESSION = 200  # characters
MAX_NESTING = 50  # levels of terms within terms
MAX_WHOLE = 10**18  # magnitude of a whole number, so that arithmetic on them stays cheap
_MAX_LISTED = 10  # names in a hint


class Fault(Exception):  # noqa: N818  # the parts of a problem; whoever knows the scalar's place makes the problem
    """What is wrong with a computed value, from character `start` to before `end` of its text, the `$` counted."""

    def __init__(self, code: str, message: str, hint: str, start: int, end: int) -> None:
        super().__init__(code, message, hint, start, end)
        self.code = code
        self.message = message
        self.hint = hint
        self.start = start
        self.end = end


@dataclass(frozen=True, slots=True)
class _Part:
    """Some characters of a computed value."""

    text: str
    start: int
    end: int

    def fault(self, message: str, hint: str, code: str = "invalid-expression") -> Fault:
        return Fault(code, message, hint, self.start, self.end)


# ---------------------------------------------------------------------------------------------------------- the terms


@dataclass(frozen=True, slots=True)
class _Term(ABC):
    """One node of an expression. It asks of the terms inside it only what it needs, as Python does."""

    part: _Part

    @abstractmethod
    def value(self, scope: Scope) -> Value: ...

    def number(self, scope: Scope, wanted_by: str) -> Number:
        value = self.value(scope)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.part.fault(self._is(value), f"`{wanted_by}` wants numbers", "wrong-operand")
        return self.bounded(value)

    def truth(self, scope: Scope, wanted_by: str) -> bool:
        value = self.value(scope)
        if isinstance(value, bool):
            return value
        compare = f"; compare, as in `{self.part.text} != 0`" if isinstance(value, (int, float)) else ""
        raise self.part.fault(self._is(value), f"`{wanted_by}` wants `true` or `false`{compare}", "wrong-operand")

    def bounded(self, value: Number) -> Number:
        """The number, if it is finite and not so large that arithmetic on it gets slow."""
        if isinstance(value, float):
            if math.isfinite(value):
                return value
            raise self.part.fault(f"{show(self.part.text)} is not finite", "numbers end at `1.8e308`", "not-finite")
        if -MAX_WHOLE <= value <= MAX_WHOLE:
            return value
        raise self.part.fault(f"{show(self.part.text)} is too large", _WHOLE_ENDS, "number-too-large")

    def _is(self, value: Value) -> str:
        """What the term is, and its value, unless the term is that value already."""
        shown = f": {show(value)}" if show(value) != show(self.part.text) else ""
        return f"{show(self.part.text)} is {_kind(value)}{shown}"


def _kind(value: Value) -> str:
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, (int, float)):
        return "a number"
    return "a text" if isinstance(value, str) else "a list"


@dataclass(frozen=True, slots=True)
class _Constant(_Term):
    constant: Value

    def value(self, scope: Scope) -> Value:
        return self.constant


@dataclass(frozen=True, slots=True)
class _Name(_Term):
    def value(self, scope: Scope) -> Value:
        try:
            return scope[self.part.text]
        except KeyError:
            raise _unknown_name(self.part, scope) from None


def _unknown_name(part: _Part, known: Iterable[str]) -> Fault:
    hint = did_you_mean(part.text, known) or _listed(known)
    return part.fault(f"unknown name {show(part.text)}", hint, "unknown-name")


def _listed(known: Iterable[str]) -> str:
    names = sorted(known)
    quoted = [f"`{name}`" for name in names[:_MAX_LISTED]]
    if more := len(names) - len(quoted):
        quoted.append(f"{more} more")
    return f"names known here: {', '.join(quoted)}" if names else "no names are known here"


@dataclass(frozen=True, slots=True)
class _Negative(_Term):
    operand: _Term

    def value(self, scope: Scope) -> Number:
        return -self.operand.number(scope, "-")


@dataclass(frozen=True, slots=True)
class _Arithmetic(_Term):
    symbol: str
    operate: Callable[[Number, Number], Number]
    left: _Term
    right: _Term

    def value(self, scope: Scope) -> Number:
        left = self.left.number(scope, self.symbol)
        right = self.right.number(scope, self.symbol)
        if not right and self.symbol in _DIVISIONS:
            message = f"division by zero in {show(self.part.text)}"
            hint = f"what stands after `{self.symbol}` must not be 0"
            raise self.right.part.fault(message, hint, "division-by-zero")
        return self.bounded(self.operate(left, right))


_DIVISIONS = frozenset(("/", "//", "%"))


@dataclass(frozen=True, slots=True)
class _Equality(_Term):
    """`==` or `!=`, of two numbers, two truth values or two texts: `1 == true` is a slip, not an answer."""

    symbol: str
    left: _Term
    right: _Term

    def value(self, scope: Scope) -> bool:
        left, right = self.left.value(scope), self.right.value(scope)
        kinds = _kind(left), _kind(right)
        if kinds[0] != kinds[1] or "a list" in kinds:
            message = f"{show(self.part.text)} compares {kinds[0]} with {kinds[1]}"
            hint = f"`{self.symbol}` compares two numbers, two truth values or two texts"
            raise self.part.fault(message, hint, "wrong-operand")
        return (left == right) is (self.symbol == "==")


@dataclass(frozen=True, slots=True)
class _Order(_Term):
    symbol: str
    compare: Callable[[Number, Number], bool]
    left: _Term
    right: _Term

    def value(self, scope: Scope) -> bool:
        return self.compare(self.left.number(scope, self.symbol), self.right.number(scope, self.symbol))


@dataclass(frozen=True, slots=True)
class _Not(_Term):
    operand: _Term

    def value(self, scope: Scope) -> bool:
        return not self.operand.truth(scope, "not")


@dataclass(frozen=True, slots=True)
class _Logic(_Term):
    """`and` or `or`: the first term that decides ends it."""

    word: str
    decisive: bool
    terms: tuple[_Term, ...]

    def value(self, scope: Scope) -> bool:
        for term in self.terms:
            if term.truth(scope, self.word) is self.decisive:
                return self.decisive
        return not self.decisive


@dataclass(frozen=True, slots=True)
class _Choice(_Term):
    condition: _Term
    chosen: _Term
    other: _Term

    def value(self, scope: Scope) -> Value:
        return (self.chosen if self.condition.truth(scope, "if") else self.other).value(scope)


@dataclass(frozen=True, slots=True)
class _Call(_Term):
    name: str
    apply: Callable[..., Number]
    arguments: tuple[_Term, ...]

    def value(self, scope: Scope) -> Number:
        return self.bounded(self.apply(*[argument.number(scope, self.name) for argument in self.arguments]))


@dataclass(frozen=True, slots=True)
class _RoundTo(_Term):
    """`round_to(x, m)`: the nearest multiple of m (ties up), at least m, never more than 10% below x.

    This is how the MobileNets round their channels (torchvision: `_make_divisible`).
    """

    amount: _Term
    multiple: _Term

    def value(self, scope: Scope) -> int:
        amount = self.amount.number(scope, "round_to")
        multiple = whole(self.multiple.number(scope, "round_to"))
        if multiple is None or multiple < 1:
            part = self.multiple.part
            message = f"{show(part.text)} is no multiple to round to{self._but_is(scope)}"
            raise part.fault(message, "`round_to(x, m)` wants a whole number of at least 1 as m", "wrong-operand")
        rounded = max(multiple, int(amount + multiple / 2) // multiple * multiple)
        if rounded < 0.9 * amount:
            rounded += multiple
        self.bounded(rounded)
        return rounded

    def _but_is(self, scope: Scope) -> str:
        value = show(self.multiple.value(scope))
        return "" if value == show(self.multiple.part.text) else f": it is {value}"


# ---------------------------------------------------------------------------------------------------------- the words


@dataclass(frozen=True, slots=True)
class _Function:
    apply: Callable[..., Number]
    least: int  # arguments
    most: int
    example: str


_FUNCTIONS = {
    "min": _Function(min, 2, MAX_EXPRESSION, "min(a, b)"),
    "max": _Function(max, 2, MAX_EXPRESSION, "max(a, b)"),
    "round": _Function(round, 1, 1, "round(a)"),
    "floor": _Function(math.floor, 1, 1, "floor(a)"),
    "ceil": _Function(math.ceil, 1, 1, "ceil(a)"),
}
_EXAMPLES = {name: function.example for name, function in _FUNCTIONS.items()} | {"round_to": "round_to(a, 8)"}
_TRUTHS = {"true": True, "false": False}

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# No variable can be named so: an expression that uses it would mean something else, or nothing.
RESERVED = frozenset((*keyword.kwlist, *_EXAMPLES, *_TRUTHS))

_ARITHMETIC: dict[type[ast.operator], tuple[str, Callable[[Number, Number], Number]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
}
_EQUALITY: dict[type[ast.cmpop], str] = {ast.Eq: "==", ast.NotEq: "!="}
_ORDER: dict[type[ast.cmpop], tuple[str, Callable[[Number, Number], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
}

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_ .+*/%<>=!(),-]")
# A number takes all letters and digits that touch it: `0x10` and `1_000` are one wrong word, not two right ones.
_WORD = re.compile(
    r"(?P<number>\.?[0-9](?:[eE][+-](?=[0-9])|[A-Za-z0-9_.])*)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<symbol>\*\*|//|<<|>>|->|<>|[<>=!]=|[-+*/%<>=!(),.])"
)
_DECIMAL = re.compile(r"(?P<whole>0|[1-9][0-9]*)|(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

_FORMS = "a computed value is `$name` or `$(expression)`"
_QUOTES = 'inside braces a comma ends a value: write the expression in quotes there, as in `"$(min(a, b))"`'
_WHOLE_ENDS = "whole numbers end at 10^18"
_LANGUAGE = (
    "an expression has numbers, names, `true`, `false`, `+ - * / // %`, one comparison, `and or not`, "
    f"`a if c else b` and {either([f'`{name}`' for name in _EXAMPLES])}"
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
    **dict.fromkeys(set(keyword.kwlist) - {"and", "or", "not", "if", "else"} - {"is", "True", "False"}, _LANGUAGE),
    **dict.fromkeys(("<<", ">>", "->"), _LANGUAGE),
}
_HINTS_FOR_CHARACTERS = {
    "$": "inside the parentheses names stand without `$`",
    **dict.fromkeys("'\"", "an expression holds no text"),
    **dict.fromkeys("[]", "an expression holds no lists"),
    **dict.fromkeys("&|", "write `and` or `or`"),
    "^": "write a power as a product: `a * a`",
    **dict.fromkeys("\t\n\r", "write the expression in one line, with spaces"),
}


# -------------------------------------------------------------------------------------------------------- the surface


@dataclass(frozen=True, slots=True)
class Expression:
    """A computed value that was read. `names` are those it uses, in branches not taken too: (name, start, end)."""

    text: str
    names: tuple[tuple[str, int, int], ...]
    _term: _Term = field(repr=False, compare=False)

    @property
    def is_name(self) -> bool:
        """Just `$name`, or `$(name)`: whatever the name means passes through unchanged."""
        return isinstance(self._term, _Name)


def is_computed(text: str) -> bool:
    """Whether a scalar is a computed value, right or wrong; every other scalar means itself."""
    return text.startswith("$")


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """The expression of a computed value. Raises `Fault`; names are not looked up yet."""
    _check_form(text)
    _check_words(text)
    walk = _Walk(text)
    term = walk.term(_parsed(text), 0)
    return Expression(text, tuple(sorted(walk.names, key=lambda name: name[1])), term)


def evaluate(expression: Expression, scope: Scope) -> Value:
    """The value, with names as in `scope`. Raises `Fault`."""
    return expression._term.value(scope)


def requested(expression: Expression, scope: Scope) -> Number | None:
    """Of `$(round_to(x, m))` the x, to be shown beside what it was rounded to; None for any other expression."""
    term = expression._term
    return term.amount.number(scope, "round_to") if isinstance(term, _RoundTo) else None


def whole(value: Value) -> int | None:
    """The whole number that a value is: `6 / 2` is 3.0, which will do where a whole number is due."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if isinstance(value, int) or value.is_integer() else None


# ------------------------------------------------------------------------------------- before Python's parser sees it


def _check_form(text: str) -> None:
    """The scalar is `$name` or `$(...)` to its end, short, and of known characters."""
    whole_text = _Part(text, 0, len(text))
    if len(text) > MAX_EXPRESSION:
        message = f"expression {show(text)} has {len(text):,} characters"
        raise whole_text.fault(message, f"it may have {MAX_EXPRESSION}; `variables` can hold parts of it")
    if braced := re.fullmatch(r"\$\{(.*)\}?", text, re.DOTALL):
        raise whole_text.fault(f"{show(text)} is not a computed value", _without_braces(braced[1].rstrip("}")))
    if not re.match(r"\$[^\x00-\x7f]|\$[A-Za-z_(]", text):
        raise whole_text.fault(f"{show(text)} is not a computed value", _FORMS)
    bad = _FORBIDDEN.search(text, 1)
    if bad and bad[0] != "$":
        raise _forbidden(_Part(bad[0], *bad.span()))
    _check_end(whole_text)  # `$a + $b` goes on after its end; `$(a + $b)` doesn't
    if bad:
        raise _forbidden(_Part(bad[0], *bad.span()))


def _without_braces(inside: str) -> str:
    """What `${...}` should be: it can't stand unquoted inside YAML's own braces, so it is no form at all."""
    if NAME.fullmatch(inside):
        return f"write `${inside}`"
    return f"write `$({inside})`" if _can_be_read(f"$({inside})") else _FORMS


def _forbidden(part: _Part) -> Fault:
    name = "" if part.text.isascii() else f" ({unicodedata.name(part.text, 'unnamed')})"  # a look-alike tells itself
    hint = "names are made of English letters, digits and `_`" if part.text.isalpha() else _LANGUAGE
    message = f"character {show(part.text)}{name} can't stand in an expression"
    return part.fault(message, _HINTS_FOR_CHARACTERS.get(part.text, hint))


def _check_end(whole_text: _Part) -> None:
    text = whole_text.text
    end = _end_of_value(text)
    if end is None:
        message = f"expression {show(text)} has no closing `)`"
        raise whole_text.fault(message, _QUOTES)
    if end < len(text):
        rest = _Part(text[end:], end, len(text))
        message = f"{show(rest.text)} stands after the computed value {show(text[:end])}"
        raise rest.fault(message, _without_rest(text, rest.text))
    if not text[2:-1].strip() and text.endswith(")"):
        raise whole_text.fault(f"expression {show(text)} is empty", _FORMS)


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
    """Whether a hint may offer `$(...)`: only what is right is worth offering."""
    if _FORBIDDEN.search(text, 1) or _end_of_value(text) != len(text):
        return False  # and so the hints of these faults don't look for hints in turn
    try:
        parse(text)
    except Fault:
        return False
    return True


def _words(text: str) -> list[re.Match[str]]:
    return list(_WORD.finditer(text, 1))


def _check_words(text: str) -> None:
    for word in _words(text):
        part = _Part(word[0], *word.span())
        if word["number"]:
            _check_number(part)
        elif word[0] in _REFUSED:
            raise part.fault(f"{show(word[0])} is not part of an expression", _REFUSED[word[0]])


def _check_number(part: _Part) -> None:
    decimal = _DECIMAL.fullmatch(part.text)
    if decimal is None:
        hint = "write it like `1000`, `0.5` or `1e-3`"
        raise part.fault(f"{show(part.text)} is not a decimal number", hint, "invalid-number")
    if decimal["whole"] and int(part.text) > MAX_WHOLE:
        raise part.fault(f"number {show(part.text)} is too large", _WHOLE_ENDS, "number-too-large")
    if math.isinf(float(part.text)):
        hint = "the largest number is about `1.8e308`"
        raise part.fault(f"number {show(part.text)} is too large", hint, "number-too-large")


def _parsed(text: str) -> ast.expr:
    try:
        # The parentheses go along: inside them Python allows a space at the start.
        return ast.parse(text[1:], mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _misplaced(text) from None


_BEFORE_A_VALUE = frozenset(("(", "-", "not"))


def _misplaced(text: str) -> Fault:
    """What Python's parser refused, in words that don't change with its version: the first word out of turn."""
    if keyword.iskeyword(text[1:]):
        return _Part(text[1:], 1, len(text)).fault(f"{show(text[1:])} can't be a name", "expressions use this word")
    after_value, previous = False, ""
    for word in _words(text):
        part = _Part(word[0], *word.span())
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
    return _Part(text, 0, len(text)).fault(f"expression {show(text)} can't be read", _reading_hint(text))


def _reading_hint(text: str) -> str:
    words = {word[0] for word in _words(text)}
    if ("if" in words) or ("else" in words):
        return "a choice is written `a if c else b`"
    return "put `not` and what follows it in parentheses" if "not" in words else _LANGUAGE


# ----------------------------------------------------------------------------------------- from Python's tree to terms


class _Walk:
    """Python's tree becomes terms. What has no `case` here is not in the language."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: list[tuple[str, int, int]] = []

    def part(self, node: ast.expr) -> _Part:
        # Python counts bytes, which are characters here, from behind the `$`.
        start, end = node.col_offset + 1, (node.end_col_offset or 0) + 1
        return _Part(self.text[start:end], start, end)

    def term(self, node: ast.expr, depth: int) -> _Term:
        part, depth = self.part(node), depth + 1
        if depth > MAX_NESTING:
            hint = f"it may nest {MAX_NESTING} levels deep; `variables` can hold parts of it"
            raise part.fault(f"{show(part.text)} is nested too deep", hint)
        match node:
            case ast.Constant(value=int() | float() as constant):
                return _Constant(part, constant)
            case ast.Name(id=name):
                return self._name(part, name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _Negative(part, self.term(operand, depth))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _Not(part, self.term(operand, depth))
            case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
                return _Arithmetic(
                    part, *_ARITHMETIC[type(op)], self.term(node.left, depth), self.term(node.right, depth)
                )
            case ast.Compare():
                return self._comparison(part, node, depth)
            case ast.BoolOp(op=op, values=values):
                is_or = isinstance(op, ast.Or)
                return _Logic(part, "or" if is_or else "and", is_or, self._terms(values, depth))
            case ast.IfExp(test=test, body=body, orelse=other):
                return _Choice(part, *self._terms([test, body, other], depth))
            case ast.Call():
                return self._call(part, node, depth)
        raise self._refused(part, node)

    def _terms(self, nodes: list[ast.expr], depth: int) -> tuple[_Term, ...]:
        return tuple(self.term(node, depth) for node in nodes)

    def _name(self, part: _Part, name: str) -> _Term:
        if name in _TRUTHS:
            return _Constant(part, _TRUTHS[name])
        if name in _EXAMPLES:
            raise part.fault(f"{show(name)} is a function", f"call it: `{_EXAMPLES[name]}`")
        self.names.append((name, part.start, part.end))
        return _Name(part)

    def _comparison(self, part: _Part, node: ast.Compare, depth: int) -> _Term:
        if len(node.ops) > 1:
            raise part.fault(f"{show(part.text)} is a chain of comparisons", "write `a < b and b < c`")
        op = type(node.ops[0])
        left, right = self._terms([node.left, node.comparators[0]], depth)
        if op in _EQUALITY:
            return _Equality(part, _EQUALITY[op], left, right)
        if op in _ORDER:
            return _Order(part, *_ORDER[op], left, right)
        raise self._refused(part, node)

    def _call(self, part: _Part, node: ast.Call, depth: int) -> _Term:
        called = self.part(node.func)
        if not isinstance(node.func, ast.Name):
            raise called.fault(f"{show(called.text)} is not a function", "an operator is missing after it")
        if called.text not in _EXAMPLES:
            hint = did_you_mean(called.text, _EXAMPLES) or f"the functions are {either(list(map(show, _EXAMPLES)))}"
            raise called.fault(f"unknown function {show(called.text)}", hint, "unknown-function")
        if node.keywords:
            raise self._refused(part, node)
        arguments = self._terms(node.args, depth)
        self._check_count(part, called.text, len(arguments))
        if called.text == "round_to":
            return _RoundTo(part, *arguments)
        return _Call(part, called.text, _FUNCTIONS[called.text].apply, arguments)

    def _check_count(self, part: _Part, name: str, count: int) -> None:
        function = _FUNCTIONS.get(name)
        least, most = (function.least, function.most) if function else (2, 2)
        if not least <= count <= most:
            wanted = f"{least} or more" if least != most else str(least)
            message = f"{show(part.text)} gives `{name}` {count} {'argument' if count == 1 else 'arguments'}"
            raise part.fault(message, f"it takes {wanted}: `{_EXAMPLES[name]}`", "wrong-arguments")

    def _refused(self, part: _Part, node: ast.expr) -> Fault:
        message = f"{show(part.text)} is not part of an expression"
        match node:
            case ast.Tuple():
                return part.fault(f"{show(part.text)} is a list", "a comma stands only between arguments of a function")
            case ast.UnaryOp(op=ast.UAdd()):
                return part.fault(message, "leave out the `+`")
            case ast.Starred():
                return part.fault(message, "a value is missing before `*`")
        return part.fault(message, _LANGUAGE)
