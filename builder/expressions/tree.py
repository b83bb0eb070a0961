"""From Python's tree to terms: a closed walk, so that what has no `case` here is not in the language."""

import ast
import operator
from collections.abc import Callable

from builder.expressions.functions import FUNCTIONS, Function
from builder.expressions.names import TRUTHS
from builder.expressions.terms import (
    Arithmetic,
    Call,
    Choice,
    Constant,
    Equality,
    Logic,
    Name,
    Negative,
    Not,
    Order,
    RoundTo,
    Term,
)
from builder.expressions.values import MAX_NESTING, Fault, Number, Part
from builder.expressions.words import LANGUAGE
from builder.problems import did_you_mean, either, show

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


class Walk:
    """Makes terms, and notes every name with its place."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: list[tuple[str, int, int]] = []

    def part(self, node: ast.expr) -> Part:
        # Python counts bytes, which are characters here, from behind the `$`.
        start, end = node.col_offset + 1, (node.end_col_offset or 0) + 1
        return Part(self.text[start:end], start, end)

    def term(self, node: ast.expr, depth: int) -> Term:
        part, depth = self.part(node), depth + 1
        if depth > MAX_NESTING:
            hint = f"it may nest {MAX_NESTING} levels deep; `variables` can hold parts of it"
            raise part.fault(f"{show(part.text)} is nested too deep", hint)
        match node:
            case ast.Constant(value=int() | float() as constant):
                return Constant(part, constant)
            case ast.Name(id=name):
                return self._name(part, name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Negative(part, self.term(operand, depth))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Not(part, self.term(operand, depth))
            case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
                return Arithmetic(
                    part, *_ARITHMETIC[type(op)], self.term(node.left, depth), self.term(node.right, depth)
                )
            case ast.Compare():
                return self._comparison(part, node, depth)
            case ast.BoolOp(op=op, values=values):
                is_or = isinstance(op, ast.Or)
                return Logic(part, "or" if is_or else "and", is_or, self._terms(values, depth))
            case ast.IfExp(test=test, body=body, orelse=other):
                return Choice(part, *self._terms([test, body, other], depth))
            case ast.Call():
                return self._call(part, node, depth)
        raise self._refused(part, node)

    def _terms(self, nodes: list[ast.expr], depth: int) -> tuple[Term, ...]:
        return tuple(self.term(node, depth) for node in nodes)

    def _name(self, part: Part, name: str) -> Term:
        if name in TRUTHS:
            return Constant(part, TRUTHS[name])
        if function := FUNCTIONS.get(name):
            raise part.fault(f"{show(name)} is a function", f"call it: `{function.example}`")
        self.names.append((name, part.start, part.end))
        return Name(part)

    def _comparison(self, part: Part, node: ast.Compare, depth: int) -> Term:
        if len(node.ops) > 1:
            raise part.fault(f"{show(part.text)} is a chain of comparisons", "write `a < b and b < c`")
        op = type(node.ops[0])
        left, right = self._terms([node.left, node.comparators[0]], depth)
        if op in _EQUALITY:
            return Equality(part, _EQUALITY[op], left, right)
        if op in _ORDER:
            return Order(part, *_ORDER[op], left, right)
        raise self._refused(part, node)

    def _call(self, part: Part, node: ast.Call, depth: int) -> Term:
        called = self.part(node.func)
        if not isinstance(node.func, ast.Name):
            raise called.fault(f"{show(called.text)} is not a function", "an operator is missing after it")
        function = FUNCTIONS.get(called.text)
        if function is None:
            hint = did_you_mean(called.text, FUNCTIONS) or f"the functions are {either(list(map(show, FUNCTIONS)))}"
            raise called.fault(f"unknown function {show(called.text)}", hint, "unknown-function")
        if node.keywords:
            raise self._refused(part, node)
        arguments = self._terms(node.args, depth)
        _check_count(part, called.text, function, len(arguments))
        if called.text == "round_to":
            return RoundTo(part, *arguments)
        return Call(part, called.text, function.apply, arguments)

    def _refused(self, part: Part, node: ast.expr) -> Fault:
        message = f"{show(part.text)} is not part of an expression"
        match node:
            case ast.Tuple():
                return part.fault(f"{show(part.text)} is a list", "a comma stands only between arguments of a function")
            case ast.UnaryOp(op=ast.UAdd()):
                return part.fault(message, "leave out the `+`")
            case ast.Starred():
                return part.fault(message, "a value is missing before `*`")
        return part.fault(message, LANGUAGE)


def _check_count(part: Part, name: str, function: Function, count: int) -> None:
    least, most = function.least, function.most
    if not least <= count <= most:
        wanted = f"{least} or more" if least != most else str(least)
        message = f"{show(part.text)} gives `{name}` {count} {'argument' if count == 1 else 'arguments'}"
        raise part.fault(message, f"it takes {wanted}: `{function.example}`", "wrong-arguments")
