"""Computed values: what they mean, against Python itself, and what is refused, to the character."""

import ast
import math
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torchvision.models._utils import _make_divisible

from builder import expressions
from builder.expressions import Expression, Fault, Scope, Value, evaluate, is_computed, parse, requested, whole

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
}


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


# ------------------------------------------------------------------------------------------------------ what they mean


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$a", 7),
        ("$(a)", 7),
        ("$( a )", 7),
        ("$true", True),
        ("$(false)", False),
        ("$text", "relu"),
        ("$depths", (3, 4, 6)),
        ("$huge", 10**40),
        ("$(text if skip else a)", "relu"),
        ("$(2 * a + 1)", 15),
        ("$(a + b * c)", 13),
        ("$((a + b) * c)", 27),
        ("$(a - b - c)", 2),
        ("$(6 / 2)", 3.0),
        ("$(a // b)", 3),
        ("$(-a // b)", -4),
        ("$(7.0 // 2)", 3.0),
        ("$(a % b)", 1),
        ("$(-a % 4)", 1),
        ("$(--a)", 7),
        ("$(a * -1)", -7),
        ("$(0.5 + .5 + 1. + 1e-3 + 2E+2 + 1.5e1)", 0.5 + 0.5 + 1.0 + 1e-3 + 2e2 + 15.0),
        ("$(a == 7)", True),
        ("$(a == 7.0)", True),
        ("$(a != 7)", False),
        ("$(text == text)", True),
        ("$(skip == true)", True),
        ("$((a < b) == false)", True),
        ("$(infinite == infinite)", True),
        ("$(b < c)", True),
        ("$(b <= 2)", True),
        ("$(b > c)", False),
        ("$(b >= 2)", True),
        ("$(not skip)", False),
        ("$(not a == b)", True),
        ("$(skip and a == 7)", True),
        ("$(a == b or skip)", True),
        ("$(false or true and false)", False),
        ("$(a if skip else b)", 7),
        ("$(1 if a == 1 else 2 if a == 2 else 3)", 3),
        ("$(min(a, b))", 2),
        ("$(max(a, b, x))", 7),
        ("$(min(2, 2.0))", 2),
        ("$(min(a, b,))", 2),
        ("$(round(0.5))", 0),
        ("$(round(1.5))", 2),
        ("$(round(x))", 2),
        ("$(floor(-x))", -3),
        ("$(ceil(x))", 3),
        ("$(round_to(a, 8))", 8),
        ("$(round_to(24 * 1.4, 16 / 2))", 32),
        ("$(1000000000000000000)", 10**18),
        ("$(999999999999999999 + 1)", 10**18),
        ("$(-999999999999999999 - 1)", -(10**18)),
        ("$(" + "(" * 90 + "a" + ")" * 90 + ")", 7),
    ],
)
def test_a_computed_value_means_what_python_would_mean(text: str, expected: Value) -> None:
    found = value(text)
    assert (type(found), found) == (type(expected), expected)


def test_zero_keeps_its_sign() -> None:
    assert repr(value("$(-0.0)")) == "-0.0"


def test_a_branch_that_is_not_taken_is_not_evaluated() -> None:
    assert value("$(1 if zero == 0 else 1 / zero)") == 1
    assert value("$(unknown if false else 2)") == 2
    assert value("$(false and 1 / zero == 1)") is False
    assert value("$(true or unknown)") is True


@pytest.mark.parametrize("text", ["$a", "$(a)", "${a}", "$", "$1"])
def test_a_scalar_that_begins_with_a_dollar_is_computed(text: str) -> None:
    assert is_computed(text)


@pytest.mark.parametrize("text", ["", "a", " $a", "US$"])
def test_any_other_scalar_means_itself(text: str) -> None:
    assert not is_computed(text)


def test_names_are_listed_where_they_stand_without_functions_and_constants() -> None:
    text = "$(max(a, wide) * a if skip and true else 2)"
    names = parse(text).names
    assert [name for name, _, _ in names] == ["a", "wide", "a", "skip"]
    assert [text[start:end] for _, start, end in names] == ["a", "wide", "a", "skip"]
    assert parse("$wide").names == (("wide", 1, 5),)
    assert parse("$(3)").names == ()


@pytest.mark.parametrize(
    ("text", "is_name"),
    [("$a", True), ("$(a)", True), ("$( (a) )", True), ("$(-a)", False), ("$true", False), ("$(1)", False)],
)
def test_an_expression_knows_whether_it_is_just_a_name(text: str, is_name: bool) -> None:
    assert parse(text).is_name is is_name


def test_an_expression_is_read_once() -> None:
    parse.cache_clear()
    assert parse("$(a + 1)") is parse("$(a + 1)")
    assert parse("$(a + 1)") == parse.__wrapped__("$(a + 1)")
    assert repr(parse("$a")) == "Expression(text='$a', names=(('a', 1, 2),))"


def test_python_words_and_our_functions_are_reserved() -> None:
    assert {"lambda", "if", "None", "true", "min", "round_to"} <= expressions.RESERVED
    for word in sorted(expressions.RESERVED - {"true", "false"}):
        assert is_fault_in(f"${word}"), word


@pytest.mark.parametrize(
    ("given", "expected"),
    [(3, 3), (3.0, 3), (-2.0, -2), (3.5, None), (math.inf, None), (math.nan, None), (True, None), ("3", None)],
)
def test_a_whole_float_will_do_where_a_whole_number_is_due(given: Value, expected: int | None) -> None:
    assert whole(given) == expected
    assert type(whole(given)) is type(expected)


def test_a_list_is_no_whole_number() -> None:
    assert whole((3,)) is None


# ------------------------------------------------------------------------------------------------------------ round_to


@pytest.mark.parametrize("multiple", [1, 2, 3, 4, 7, 8, 16, 32])
def test_round_to_equals_torchvision(multiple: int) -> None:
    expression = parse("$(round_to(amount, multiple))")
    for amount in [*range(-20, 600), *(quarter / 4 for quarter in range(0, 1200)), *(16 * i / 10 for i in range(900))]:
        found = evaluate(expression, {"amount": amount, "multiple": multiple})
        assert (type(found), found) == (int, _make_divisible(amount, multiple)), amount


@given(amount=st.floats(0, 1e6), multiple=st.integers(1, 1000))
def test_round_to_is_never_more_than_a_tenth_below(amount: float, multiple: int) -> None:
    found = evaluate(parse("$(round_to(amount, multiple))"), {"amount": amount, "multiple": multiple})
    assert isinstance(found, int)
    assert found % multiple == 0
    assert found >= max(multiple, 0.9 * amount)
    assert found <= amount + multiple


def test_what_was_requested_of_round_to_is_told() -> None:
    assert requested(parse("$(round_to(a * x, 8))"), SCOPE) == 17.5
    assert requested(parse("$(round_to(a * x, 8) + 1)"), SCOPE) is None
    assert requested(parse("$a"), SCOPE) is None


# -------------------------------------------------------------------------------------------- against Python's own eval


NUMBERS = {"n": 3, "m": -4, "k": 17, "f": 0.25, "g": -1.5}
TRUTHS = {"p": True, "q": False}


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


def words(*options: str) -> st.SearchStrategy[str]:
    return st.sampled_from(options)


def calls(argument: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    one = joined(words("round(", "floor(", "ceil("), argument, st.just(")"))
    several = st.lists(argument, min_size=2, max_size=3).map(", ".join)
    return one | joined(words("min(", "max("), several, st.just(")")) | rounded(argument)


def rounded(argument: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return joined(st.just("round_to("), argument, words(", 8)", ", 3)", ",4/2)"))


# Without parentheses where Python needs none: who binds tighter is part of the question.
LITERALS = st.integers(0, 1000).map(str) | words("0.5", "1e-3", ".25", "3.", "1E3")
SUMS: st.SearchStrategy[str] = st.deferred(
    lambda: (
        LITERALS
        | words(*NUMBERS)
        | joined(SUMS, words(" + ", " - ", "*", " / ", "//", " % "), SUMS)
        | joined(st.just("-"), SUMS)
        | joined(st.just("("), NUMERIC, st.just(")"))
        | calls(NUMERIC)
    )
)
NUMERIC: st.SearchStrategy[str] = st.deferred(
    lambda: SUMS | joined(SUMS, st.just(" if "), LOGIC, st.just(" else "), NUMERIC)
)
LOGIC: st.SearchStrategy[str] = st.deferred(
    lambda: (
        words("true", "false", *TRUTHS)
        | joined(SUMS, words(" < ", "<=", " > ", ">=", "==", " != "), SUMS)
        | joined(st.just("not "), LOGIC)
        | joined(LOGIC, words(" and ", " or "), LOGIC)
        | joined(st.just("("), LOGIC, st.just(")"))
        | joined(st.just("("), LOGIC, words(") == (", ") != ("), LOGIC, st.just(")"))
    )
)


def as_python(text: str) -> object:
    """The value of text of ours (its characters are checked before) as Python gives it."""
    functions = {"min": min, "max": max, "round": round, "floor": math.floor, "ceil": math.ceil}
    names = {**NUMBERS, **TRUTHS, **functions, "true": True, "false": False, "round_to": round_to}
    return eval(text, {"__builtins__": {}}, names)  # noqa: S307  # the text is generated above


def round_to(amount: float, multiple: float) -> int:
    rounded: int = _make_divisible(amount, int(multiple))
    return rounded


@settings(max_examples=500)
@given(text=NUMERIC | LOGIC)
def test_every_expression_gives_what_python_gives(text: str) -> None:
    assume(len(text) <= expressions.MAX_EXPRESSION - 3)
    expression = parse(f"$({text})")
    try:
        found = evaluate(expression, {**NUMBERS, **TRUTHS})
    except Fault as fault:
        check_against_python(f"$({text})", fault)
    else:
        expected = as_python(text)
        assert (type(found), repr(found)) == (type(expected), repr(expected))  # repr: -0.0 is not 0.0


def check_against_python(text: str, fault: Fault) -> None:
    """Where we see no result Python sees none either, or one beyond our bounds, at exactly these characters."""
    marked = text[fault.start : fault.end]
    if fault.code == "division-by-zero":
        assert as_python(marked) == 0
        with pytest.raises(ZeroDivisionError):
            as_python(text[1:])
        return
    assert fault.code in ("number-too-large", "not-finite")
    result = as_python(marked)
    assert isinstance(result, int | float)
    assert not math.isfinite(result) or abs(result) > expressions.MAX_WHOLE


TOKENS = ["a", "b", "x", "skip", "text", "zero", "true", "2", "1.5", "(", ")", ",", " ", "+", "-", "*", "/", "//", "%"]
TOKENS += ["<", "==", "!=", " and ", " or ", " not ", " if ", " else ", "min(", "round(", "round_to(", "=", "!", "."]
TOKENS += ["**", "lambda ", " in ", " is ", " for ", "<<", "0x1", "None", "$", "{", "é", "\n", "\0"]


def is_fault_in(text: str) -> bool:
    """Whether the text is refused, at characters of it; whatever else is raised escapes."""
    try:
        value(text)
    except Fault as fault:
        return bool(fault.message and fault.hint) and 0 <= fault.start < fault.end <= len(text)
    return False


@settings(max_examples=2000)
@given(tokens=st.lists(st.sampled_from(TOKENS), max_size=12))
def test_any_words_give_a_value_or_one_placed_fault(tokens: list[str]) -> None:
    for text in ("$" + "".join(tokens), f"$({''.join(tokens)})"):
        assert is_fault_in(text) or ast.parse(text[1:], mode="eval")  # what we read, Python reads


@given(text=st.text(max_size=30))
def test_any_characters_give_a_value_or_one_placed_fault(text: str) -> None:
    for computed in (f"${text}", f"$({text})"):
        assert is_fault_in(computed) or ast.parse(computed[1:], mode="eval")
    assert is_fault_in(f"${{{text}}}")


# ------------------------------------------------------------------------------------------- refused: the form


FORMS = "a computed value is `$name` or `$(expression)`"
NOTHING_AFTER = f"{FORMS}, and nothing after it"
QUOTES = 'inside braces a comma ends a value: write the expression in quotes there, as in `"$(min(a, b))"`'
FUNCTIONS = "`min`, `max`, `round`, `floor`, `ceil` or `round_to`"
LANGUAGE = (
    "an expression has numbers, names, `true`, `false`, `+ - * / // %`, one comparison, `and or not`, "
    f"`a if c else b` and {FUNCTIONS}"
)
OPERATORS = "operators are `+ - * / // %`, `== != < <= > >=`, `and or not` and `if else`"
VALUES = "a value is a number, a name, a call or an expression in parentheses"
DECIMAL = "write it like `1000`, `0.5` or `1e-3`"
ENGLISH = "names are made of English letters, digits and `_`"
WHOLE_ENDS = "whole numbers end at 10^18"


def form(text: str, message: str, hint: str, place: str) -> Case:
    return refused("invalid-expression", text, message, hint, place)


def no_value(text: str, hint: str) -> Case:
    return form(text, f"`{text}` is not a computed value", hint, f"0:{text}")


def rest(text: str, value: str, hint: str) -> Case:
    after = text[len(value) :]
    message = f"`{after}` stands after the computed value `{value}`"
    return form(text, message, hint, f"{len(value)}:{after}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        no_value("$", FORMS),
        no_value("$1", FORMS),
        no_value("$ a", FORMS),
        no_value("$-a", FORMS),
        no_value("$$", FORMS),
        no_value("${a}", "write `$a`"),
        no_value("${a", "write `$a`"),
        no_value("${a + b}", "write `$(a + b)`"),
        no_value("${a b}", FORMS),
        no_value("${}", FORMS),
        form("$()", "expression `$()` is empty", FORMS, "0:$()"),
        form("$( )", "expression `$( )` is empty", FORMS, "0:$( )"),
        form("$(min(a", "expression `$(min(a` has no closing `)`", QUOTES, "0:$(min(a"),
        form("$(", "expression `$(` has no closing `)`", QUOTES, "0:$("),
        rest("$round_to(a", "$round_to", QUOTES),
        rest("$round_to(a, 8)", "$round_to", "write `$(round_to(a, 8))`"),
        rest("$a + 1", "$a", "write `$(a + 1)`"),
        rest("$a + $b", "$a", "write `$(a + b)`"),
        rest("$(a) + $(b)", "$(a)", "write `$((a) + (b))`"),
        rest("$(a) + 1", "$(a)", "write `$((a) + 1)`"),
        rest("$a.txt", "$a", NOTHING_AFTER),
        rest("$(a))", "$(a)", NOTHING_AFTER),
        rest("$a)))", "$a", NOTHING_AFTER),
        rest("$a ", "$a", "write `$(a )`"),
        form("$if", "`if` can't be a name", "expressions use this word", "1:if"),
        form("$not", "`not` can't be a name", "expressions use this word", "1:not"),
        form("$min", "`min` is a function", "call it: `min(a, b)`", "1:min"),
        form("$(2 * round_to)", "`round_to` is a function", "call it: `round_to(a, 8)`", "6:round_to"),
    ],
)
def test_a_computed_value_has_one_of_two_forms(text: str, expected: tuple[str, str, str, str]) -> None:
    assert read_told(text) == expected


# --------------------------------------------------------------------------------- refused: characters, words, numbers


def character(text: str, shown: str, hint: str, place: str) -> Case:
    return form(text, f"character {shown} can't stand in an expression", hint, place)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        character("$(\u0430 + 1)", "`\u0430` (CYRILLIC SMALL LETTER A)", ENGLISH, "2:\u0430"),
        character("$\u0430", "`\u0430` (CYRILLIC SMALL LETTER A)", ENGLISH, "1:\u0430"),
        character("$wide\u0455", "`\u0455` (CYRILLIC SMALL LETTER DZE)", ENGLISH, "5:\u0455"),
        character("$(a \u2212 1)", "`\u2212` (MINUS SIGN)", LANGUAGE, "4:\u2212"),
        character("$(\u0663)", "`\u0663` (ARABIC-INDIC DIGIT THREE)", LANGUAGE, "2:\u0663"),
        character("$(a\0)", r"`\x00`", LANGUAGE, "3:\0"),
        character("$(a +\n1)", r"`\n`", "write the expression in one line, with spaces", "5:\n"),
        character("$(a\t)", r"`\t`", "write the expression in one line, with spaces", "3:\t"),
        character("$(2 * $a)", "`$`", "inside the parentheses names stand without `$`", "6:$"),
        character("$(a == 'x')", "`'`", "an expression holds no text", "7:'"),
        character('$(a == "x")', '`"`', "an expression holds no text", '7:"'),
        character("$(depths[0])", "`[`", "an expression holds no lists", "8:["),
        character("$(a & b)", "`&`", "write `and` or `or`", "4:&"),
        character("$(a | b)", "`|`", "write `and` or `or`", "4:|"),
        character("$(a ^ b)", "`^`", "write a power as a product: `a * a`", "4:^"),
        character("$(~a)", "`~`", LANGUAGE, "2:~"),
        character("$(a := 1)", "`:`", LANGUAGE, "4::"),
        character("$(a @ b)", "`@`", LANGUAGE, "4:@"),
        character("$(a; b)", "`;`", LANGUAGE, "3:;"),
        character("$(a # b)", "`#`", LANGUAGE, "4:#"),
        character("$(a \\ b)", "`\\`", LANGUAGE, "4:\\"),
    ],
)
def test_a_foreign_character_is_refused_where_it_stands(text: str, expected: tuple[str, str, str, str]) -> None:
    assert read_told(text) == expected


def no_part(text: str, word: str, hint: str, start: int) -> Case:
    return form(text, f"`{word}` is not part of an expression", hint, f"{start}:{word}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        no_part("$(a ** 2)", "**", "write a power as a product: `a * a`", 4),
        no_part("$(a.b)", ".", "there are no attributes; a number is written `0.5`", 3),
        no_part("$(a .b)", ".", "there are no attributes; a number is written `0.5`", 4),
        no_part("$(...)", ".", "there are no attributes; a number is written `0.5`", 2),
        no_part("$(a = 1)", "=", "compare with `==`; arguments have no names", 4),
        no_part("$(round(a=1))", "=", "compare with `==`; arguments have no names", 9),
        no_part("$(a === b)", "=", "compare with `==`; arguments have no names", 6),
        no_part("$(a <> b)", "<>", "compare with `==` or `!=`", 4),
        no_part("$(a is b)", "is", "compare with `==` or `!=`", 4),
        no_part("$(!a)", "!", "write `not` or `!=`", 2),
        no_part("$(a << b)", "<<", LANGUAGE, 4),
        no_part("$(a >> b)", ">>", LANGUAGE, 4),
        no_part("$(a -> b)", "->", LANGUAGE, 4),
        no_part("$(a in depths)", "in", LANGUAGE, 4),
        no_part("$(lambda)", "lambda", LANGUAGE, 2),
        no_part("$(a for a in depths)", "for", LANGUAGE, 4),
        no_part("$(yield a)", "yield", LANGUAGE, 2),
        no_part("$(await a)", "await", LANGUAGE, 2),
        no_part("$True", "True", "write `true`", 1),
        no_part("$(a == False)", "False", "write `false`", 7),
        no_part("$(None)", "None", LANGUAGE, 2),
        no_part("$(+a)", "+a", "leave out the `+`", 2),
        no_part("$(1 - +a)", "+a", "leave out the `+`", 6),
        no_part("$(min(*depths))", "*depths", "a value is missing before `*`", 6),
    ],
)
def test_a_word_of_python_that_is_not_ours_is_refused(text: str, expected: tuple[str, str, str, str]) -> None:
    assert read_told(text) == expected


def number(text: str, word: str, start: int) -> Case:
    return refused("invalid-number", text, f"`{word}` is not a decimal number", DECIMAL, f"{start}:{word}")


def too_large(text: str, word: str, hint: str, start: int) -> Case:
    return refused("number-too-large", text, f"number `{word}` is too large", hint, f"{start}:{word}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        number("$(1_000)", "1_000", 2),
        number("$(a + 0x10)", "0x10", 6),
        number("$(0o7)", "0o7", 2),
        number("$(0b1)", "0b1", 2),
        number("$(010)", "010", 2),
        number("$(00)", "00", 2),
        number("$(01.5)", "01.5", 2),
        number("$(1j)", "1j", 2),
        number("$(2a)", "2a", 2),
        number("$(1if a else 2)", "1if", 2),
        number("$(1.2.3)", "1.2.3", 2),
        number("$(1..real)", "1..real", 2),
        number("$(1e)", "1e", 2),
        number("$(1e-2e-3)", "1e-2e-3", 2),
        too_large("$(1e400)", "1e400", "the largest number is about `1.8e308`", 2),
        too_large("$(-1e400)", "1e400", "the largest number is about `1.8e308`", 3),
        too_large("$(1000000000000000001)", "1000000000000000001", WHOLE_ENDS, 2),
    ],
)
def test_a_number_is_decimal_and_of_bounded_size(text: str, expected: tuple[str, str, str, str]) -> None:
    assert read_told(text) == expected


# ---------------------------------------------------------------------------------------------------- refused: grammar


def missing(text: str, before: str, start: int, *, operator: bool = False) -> Case:
    what, hint = ("an operator", OPERATORS) if operator else ("a value", VALUES)
    return form(text, f"{what} is missing before `{before}`", hint, f"{start}:{before}")


def unreadable(text: str, hint: str) -> Case:
    return form(text, f"expression `{text}` can't be read", hint, f"0:{text}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        missing("$(a +)", ")", 5),
        missing("$(* a)", "*", 2),
        missing("$(a + / b)", "/", 6),
        missing("$(a,, b)", ",", 4),
        missing("$(min(, a))", ",", 6),
        missing("$(if a else b)", "if", 2),
        missing("$(a if else b)", "else", 7),
        missing("$(a and or b)", "or", 8),
        missing("$(a b)", "b", 4, operator=True),
        missing("$(a 2)", "2", 4, operator=True),
        missing("$((a) b)", "b", 6, operator=True),
        missing("$(a not b)", "not", 4, operator=True),
        missing("$(min() b)", "b", 8, operator=True),
        missing("$(min(a,) b)", "b", 10, operator=True),
        unreadable("$(a if b)", "a choice is written `a if c else b`"),
        unreadable("$(a else b)", "a choice is written `a if c else b`"),
        unreadable("$(a + not b)", "put `not` and what follows it in parentheses"),
        unreadable("$(a == not b)", "put `not` and what follows it in parentheses"),
        form("$(a < b < c)", "`a < b < c` is a chain of comparisons", "write `a < b and b < c`", "2:a < b < c"),
        form("$(a, b)", "`(a, b)` is a list", "a comma stands only between arguments of a function", "1:(a, b)"),
        form("$(a + ())", "`()` is a list", "a comma stands only between arguments of a function", "6:()"),
        form("$(2 (a))", "`2` is not a function", "an operator is missing after it", "2:2"),
        refused(
            "unknown-function", "$(1 + sqrt(a))", "unknown function `sqrt`", f"the functions are {FUNCTIONS}", "6:sqrt"
        ),
        refused("unknown-function", "$(flor(a))", "unknown function `flor`", "did you mean `floor`?", "2:flor"),
        refused(
            "wrong-arguments",
            "$(min(a))",
            "`min(a)` gives `min` 1 argument",
            "it takes 2 or more: `min(a, b)`",
            "2:min(a)",
        ),
        refused(
            "wrong-arguments", "$(1 + ceil())", "`ceil()` gives `ceil` 0 arguments", "it takes 1: `ceil(a)`", "6:ceil()"
        ),
        refused(
            "wrong-arguments",
            "$(round(a, 2))",
            "`round(a, 2)` gives `round` 2 arguments",
            "it takes 1: `round(a)`",
            "2:round(a, 2)",
        ),
        refused(
            "wrong-arguments",
            "$(round_to(a))",
            "`round_to(a)` gives `round_to` 1 argument",
            "it takes 2: `round_to(a, 8)`",
            "2:round_to(a)",
        ),
    ],
)
def test_what_the_grammar_lacks_is_refused_where_it_stands(text: str, expected: tuple[str, str, str, str]) -> None:
    assert read_told(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("a ** 2", "a.b", "a.b()", "min(a=1)", "min(a, **b)", "min(*a)", "a is b", "a in b", "a not in b", "a << 1"),
        *("a | b", "~a", "a @ b", "1j", "None", "...", "'x'", "b'x'", "f'{a}'", "a[0]", "[a]", "{a}", "{a: b}"),
        *("lambda: a", "(lambda: a)()", "[a for a in b]", "(a for a in b)", "(a := 1)", "(yield)", "(await a)"),
    ],
)
def test_the_walk_is_closed_without_the_check_of_words(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(expressions, "_check_words", lambda text: None)
    monkeypatch.setattr(expressions, "_FORBIDDEN", re.compile(r"(?!)"))
    fault = refusal(lambda: parse.__wrapped__(f"$({text})"))
    assert fault.code == "invalid-expression"
    assert "not" in fault.message


# ------------------------------------------------------------------------------------------------- refused: evaluation


def operand(text: str, word: str, shown: str, hint: str, start: int) -> Case:
    return refused("wrong-operand", text, f"`{word}` is {shown}", hint, f"{start}:{word}")


def unequal(text: str, kinds: str, symbol: str = "==") -> Case:
    hint = f"`{symbol}` compares two numbers, two truth values or two texts"
    return refused("wrong-operand", f"$({text})", f"`{text}` compares {kinds}", hint, f"2:{text}")


def by_zero(text: str, whole: str, symbol: str, place: str) -> Case:
    hint = f"what stands after `{symbol}` must not be 0"
    return refused("division-by-zero", text, f"division by zero in `{whole}`", hint, place)


def no_multiple(text: str, word: str, shown: str, start: int) -> Case:
    hint = "`round_to(x, m)` wants a whole number of at least 1 as m"
    return refused("wrong-operand", text, f"`{word}` is no multiple to round to{shown}", hint, f"{start}:{word}")


TRUTH = "wants `true` or `false`"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        refused("unknown-name", "$depth", "unknown name `depth`", "did you mean `depths`?", "1:depth"),
        refused("unknown-name", "$(1 + depth)", "unknown name `depth`", "did you mean `depths`?", "6:depth"),
        by_zero("$(a / zero)", "a / zero", "/", "6:zero"),
        by_zero("$(1 + a // (b - 2))", "a // (b - 2)", "//", "12:b - 2"),
        by_zero("$(a % 0.0)", "a % 0.0", "%", "6:0.0"),
        operand("$(true + 1)", "true", "a truth value", "`+` wants numbers", 2),
        operand("$(1 + skip)", "skip", "a truth value: `true`", "`+` wants numbers", 6),
        operand("$(text * 2)", "text", "a text: `relu`", "`*` wants numbers", 2),
        operand("$(2 - depths)", "depths", "a list: `[3, 4, 6]`", "`-` wants numbers", 6),
        operand("$(-text)", "text", "a text: `relu`", "`-` wants numbers", 3),
        operand("$(text < 1)", "text", "a text: `relu`", "`<` wants numbers", 2),
        operand("$(1 >= (a == b))", "a == b", "a truth value: `false`", "`>=` wants numbers", 8),
        operand("$(max(a, skip))", "skip", "a truth value: `true`", "`max` wants numbers", 9),
        operand("$(round_to(text, 8))", "text", "a text: `relu`", "`round_to` wants numbers", 11),
        operand("$(skip and a)", "a", "a number: `7`", f"`and` {TRUTH}; compare, as in `a != 0`", 11),
        operand("$(1 or skip)", "1", "a number", f"`or` {TRUTH}; compare, as in `1 != 0`", 2),
        operand("$(not text)", "text", "a text: `relu`", f"`not` {TRUTH}", 6),
        operand("$(1 if a % 2 else 2)", "a % 2", "a number: `1`", f"`if` {TRUTH}; compare, as in `a % 2 != 0`", 7),
        unequal("a == skip", "a number with a truth value"),
        unequal("text != a", "a text with a number", "!="),
        unequal("depths == depths", "a list with a list"),
        no_multiple("$(round_to(a, 0))", "0", "", 14),
        no_multiple("$(round_to(a, -8))", "-8", "", 14),
        no_multiple("$(round_to(a, x))", "x", ": it is `2.5`", 14),
        refused(
            "number-too-large",
            "$(1 + 1000000000 * 1000000001)",
            "`1000000000 * 1000000001` is too large",
            WHOLE_ENDS,
            "6:1000000000 * 1000000001",
        ),
        refused("number-too-large", "$(floor(1e300))", "`floor(1e300)` is too large", WHOLE_ENDS, "2:floor(1e300)"),
        refused("number-too-large", "$(huge + 1)", "`huge` is too large", WHOLE_ENDS, "2:huge"),
        refused(
            "number-too-large",
            "$(round_to(1e300, 8))",
            "`round_to(1e300, 8)` is too large",
            WHOLE_ENDS,
            "2:round_to(1e300, 8)",
        ),
        refused(
            "not-finite", "$(1e308 * 10)", "`1e308 * 10` is not finite", "numbers end at `1.8e308`", "2:1e308 * 10"
        ),
        refused(
            "not-finite", "$(round(infinite))", "`infinite` is not finite", "numbers end at `1.8e308`", "8:infinite"
        ),
    ],
)
def test_what_has_no_value_is_refused_at_its_part(text: str, expected: tuple[str, str, str, str]) -> None:
    assert evaluated_told(text) == expected


def test_an_unknown_name_that_resembles_none_lists_those_that_are_known() -> None:
    assert evaluated_told("$a", {})[2] == "no names are known here"
    assert evaluated_told("$(9 * qqq)", {"b": 1, "a": 2})[2] == "names known here: `a`, `b`"
    many = {f"n{i}": i for i in range(10, 25)}
    listed = ", ".join(f"`n{i}`" for i in range(10, 20))
    assert evaluated_told("$qqq", many)[2] == f"names known here: {listed}, 5 more"


# ---------------------------------------------------------------------------------------------------- hostile texts


LONG = "it may have 200; `variables` can hold parts of it"
DEEP = "it may nest 50 levels deep; `variables` can hold parts of it"


@pytest.mark.parametrize("word", ["-", "(", "9", "a", "not ", "min(", "${"])
@pytest.mark.parametrize("shape", ["$(%s)", "$%s", "${%s}"])
def test_a_long_text_is_refused_at_once(shape: str, word: str) -> None:
    text = shape % (word * 100_000)
    started = time.perf_counter()
    code, message, hint, place = read_told(text)
    assert time.perf_counter() - started < 0.1
    assert (code, hint, place) == ("invalid-expression", LONG, f"0:{text}")
    assert message == f"expression `{text[:57]}...` has {len(text):,} characters"


def test_an_expression_has_at_most_200_characters() -> None:
    assert value(f"$(a{' ' * 196})") == 7
    assert read_told(f"$(a{' ' * 197})")[1].endswith("has 201 characters")


@pytest.mark.parametrize("body", ["-" * 190 + "1", "not " * 49 + "a", "1+" * 90 + "1", "round(" * 28 + "1" + ")" * 28])
def test_terms_nest_up_to_a_bound(body: str) -> None:
    text = f"$({body})"
    if body.startswith("r"):
        assert value(text) == 1
    elif body.startswith("not"):
        assert parse(text).names
    else:
        code, message, hint, _ = read_told(text)
        assert (code, hint) == ("invalid-expression", DEEP)
        assert message.endswith("is nested too deep")


def test_a_parser_that_gives_up_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (RecursionError, MemoryError, ValueError):

        def give_up(*args: object, error: type[Exception] = error, **options: object) -> ast.AST:
            raise error

        monkeypatch.setattr(ast, "parse", give_up)
        fault = refusal(lambda: parse.__wrapped__("$(a + 1)"))
        assert fault.message == "expression `$(a + 1)` can't be read"


def test_an_expression_is_a_plain_value() -> None:
    expression = parse("$(a + 1)")
    assert isinstance(expression, Expression)
    with pytest.raises(AttributeError):
        expression.text = "$b"  # type: ignore[misc]
