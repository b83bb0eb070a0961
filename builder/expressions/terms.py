"""The terms that an expression is made of, each with its value in a scope."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from builder.expressions.functions import round_to
from builder.expressions.names import unknown_name
from builder.expressions.values import MAX_WHOLE, WHOLE_ENDS, Layers, Number, Part, Scope, Value, kind_of, whole
from builder.problems import show


@dataclass(frozen=True, slots=True)
class Term(ABC):
    """One node of an expression. It asks of the terms inside it only what it needs, as Python does."""

    part: Part

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
        raise self.part.fault(f"{show(self.part.text)} is too large", WHOLE_ENDS, "number-too-large")

    def _is(self, value: Value) -> str:
        """What the term is, and its value, unless the term or the kind says it already."""
        says_it = value is None or isinstance(value, Layers) or show(value) == show(self.part.text)
        return f"{show(self.part.text)} is {kind_of(value)}{'' if says_it else f': {show(value)}'}"


@dataclass(frozen=True, slots=True)
class Constant(Term):
    """A number, `true` or `false`."""

    constant: Value

    def value(self, scope: Scope) -> Value:
        return self.constant


@dataclass(frozen=True, slots=True)
class Name(Term):
    """A name, looked up in the scope."""

    def value(self, scope: Scope) -> Value:
        try:
            return scope[self.part.text]
        except KeyError:
            raise unknown_name(self.part, scope) from None


@dataclass(frozen=True, slots=True)
class Negative(Term):
    """`-a`."""

    operand: Term

    def value(self, scope: Scope) -> Number:
        return -self.operand.number(scope, "-")


@dataclass(frozen=True, slots=True)
class Arithmetic(Term):
    """`a + b`, or another operator of two numbers."""

    symbol: str
    operate: Callable[[Number, Number], Number]
    left: Term
    right: Term

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
class Equality(Term):
    """`==` or `!=`, of two numbers, two truth values or two texts: `1 == true` is a slip, not an answer."""

    symbol: str
    left: Term
    right: Term

    def value(self, scope: Scope) -> bool:
        left, right = self.left.value(scope), self.right.value(scope)
        kind, other = kind_of(left), kind_of(right)
        if kind != other or kind not in _COMPARABLE:
            message = f"{show(self.part.text)} compares {kind} with {other}"
            hint = f"`{self.symbol}` compares two numbers, two truth values or two texts"
            raise self.part.fault(message, hint, "wrong-operand")
        return (left == right) is (self.symbol == "==")


_COMPARABLE = frozenset(("a number", "a truth value", "a text"))


@dataclass(frozen=True, slots=True)
class Order(Term):
    """`a < b`, or another comparison of two numbers."""

    symbol: str
    compare: Callable[[Number, Number], bool]
    left: Term
    right: Term

    def value(self, scope: Scope) -> bool:
        return self.compare(self.left.number(scope, self.symbol), self.right.number(scope, self.symbol))


@dataclass(frozen=True, slots=True)
class Not(Term):
    """`not a`."""

    operand: Term

    def value(self, scope: Scope) -> bool:
        return not self.operand.truth(scope, "not")


@dataclass(frozen=True, slots=True)
class Logic(Term):
    """`and` or `or`: the first term that decides ends it."""

    word: str
    decisive: bool
    terms: tuple[Term, ...]

    def value(self, scope: Scope) -> bool:
        for term in self.terms:
            if term.truth(scope, self.word) is self.decisive:
                return self.decisive
        return not self.decisive


@dataclass(frozen=True, slots=True)
class Choice(Term):
    """`a if c else b`: the one that is not chosen is not evaluated."""

    condition: Term
    chosen: Term
    other: Term

    def value(self, scope: Scope) -> Value:
        return (self.chosen if self.condition.truth(scope, "if") else self.other).value(scope)


@dataclass(frozen=True, slots=True)
class Call(Term):
    """A call of any function but `round_to`."""

    name: str
    apply: Callable[..., Number]
    arguments: tuple[Term, ...]

    def value(self, scope: Scope) -> Number:
        return self.bounded(self.apply(*[argument.number(scope, self.name) for argument in self.arguments]))


@dataclass(frozen=True, slots=True)
class RoundTo(Term):
    """`round_to(x, m)`, whose m must be a number that there are multiples of."""

    amount: Term
    multiple: Term

    def value(self, scope: Scope) -> Number:
        amount, given = self.amount.number(scope, "round_to"), self.multiple.number(scope, "round_to")
        multiple = whole(given)
        if multiple is None or multiple < 1:
            part = self.multiple.part
            but_is = "" if show(given) == show(part.text) else f": it is {show(given)}"
            hint = "`round_to(x, m)` wants a whole number of at least 1 as m"
            raise part.fault(f"{show(part.text)} is no multiple to round to{but_is}", hint, "wrong-operand")
        return self.bounded(round_to(amount, multiple))
