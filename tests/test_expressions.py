"""Computed values: what they mean, against Python itself."""

import ast
import copy
import json
import math

import pytest
from expression_cases import SCOPE, value
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torchvision.models._utils import _make_divisible

from builder import expressions
from builder.expressions import Expression, Fault, Layers, Rounded, Value, evaluate, is_computed, parse, whole
from builder.problems import show


def examples(count: int) -> settings:
    """The same examples in every run."""
    return settings(max_examples=count, deadline=None, derandomize=True)


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
        ("$nothing", None),
        ("$sizes", (None, 7)),
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
        ("$(round_to(a, 8))", Rounded(8, 7)),
        ("$(round_to(24 * 1.4, 16 / 2))", Rounded(32, 24 * 1.4)),
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


def test_an_expression_is_a_plain_value() -> None:
    expression = parse("$(a + 1)")
    assert isinstance(expression, Expression)
    with pytest.raises(AttributeError):
        expression.text = "$b"  # type: ignore[misc]


def test_layers_are_passed_on_as_they_are() -> None:
    assert isinstance(SCOPE["given"], Layers)
    assert value("$given") is SCOPE["given"]
    assert value("$(given if skip else nothing)") is SCOPE["given"]


@pytest.mark.parametrize(
    ("number", "expected"),
    [(3, 3), (3.0, 3), (-2.0, -2), (3.5, None), (math.inf, None), (math.nan, None), (True, None), ("3", None)],
)
def test_a_whole_float_will_do_where_a_whole_number_is_due(number: Value, expected: int | None) -> None:
    assert whole(number) == expected
    assert type(whole(number)) is type(expected)


@pytest.mark.parametrize("other", [(3,), None, Layers()])
def test_what_is_no_number_is_no_whole_number(other: Value) -> None:
    assert whole(other) is None


# ------------------------------------------------------------------------------------------------------------ round_to


@pytest.mark.parametrize("multiple", [1, 2, 3, 4, 7, 8, 16, 32])
def test_round_to_equals_torchvision(multiple: int) -> None:
    expression = parse("$(round_to(amount, multiple))")
    for amount in [*range(-20, 600), *(quarter / 4 for quarter in range(0, 1200)), *(16 * i / 10 for i in range(900))]:
        found = evaluate(expression, {"amount": amount, "multiple": multiple})
        assert (type(found), found) == (Rounded, _make_divisible(amount, multiple)), amount


@examples(100)
@given(amount=st.floats(0, 1e6), multiple=st.integers(1, 1000))
def test_round_to_is_never_more_than_a_tenth_below(amount: float, multiple: int) -> None:
    found = evaluate(parse("$(round_to(amount, multiple))"), {"amount": amount, "multiple": multiple})
    assert isinstance(found, Rounded)
    assert found.requested == amount
    assert found % multiple == 0
    assert found >= max(multiple, 0.9 * amount)
    assert found <= amount + multiple


@pytest.mark.parametrize(
    "text",
    ["$wide", "$(wide)", "$(wide if skip else a)", "$(min(wide, 16, 99))", "$(max(a, wide))", "$(round_to(17.5, 8))"],
)
def test_what_was_asked_of_round_to_survives_being_passed_on(text: str) -> None:
    found = value(text, {**SCOPE, "wide": value("$(round_to(a * x, 8))")})
    assert isinstance(found, Rounded)
    assert (found, found.requested) == (16, 17.5)


@pytest.mark.parametrize(
    "text", ["wide + 0", "0 + wide", "wide * 1", "-wide", "wide // 1", "wide % 99", "round(wide)", "ceil(wide)"]
)
def test_arithmetic_makes_a_plain_number_of_what_round_to_gave(text: str) -> None:
    assert type(value(f"$({text})", {"wide": Rounded(24, 21.5)})) is int


def test_a_whole_number_that_was_rounded_stays_so() -> None:
    rounded = Rounded(24, 21.5)
    assert whole(rounded) is rounded


def test_a_rounded_number_is_otherwise_a_plain_one() -> None:
    rounded = Rounded(24, 21.5)
    assert (rounded, hash(rounded), json.dumps(rounded), show(rounded)) == (24, hash(24), "24", "`24`")


def test_a_copy_of_a_rounded_number_knows_what_was_asked_for() -> None:
    for duplicate in (copy.copy(Rounded(24, 21.5)), copy.deepcopy([Rounded(24, 21.5)])[0]):
        assert (type(duplicate), duplicate, duplicate.requested) == (Rounded, 24, 21.5)


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


def round_to(amount: float, multiple: float) -> Rounded:
    return Rounded(_make_divisible(amount, int(multiple)), amount)


@examples(500)
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
        assert getattr(found, "requested", None) == getattr(expected, "requested", None)


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


@examples(2000)
@given(tokens=st.lists(st.sampled_from(TOKENS), max_size=12))
def test_any_words_give_a_value_or_one_placed_fault(tokens: list[str]) -> None:
    for text in ("$" + "".join(tokens), f"$({''.join(tokens)})"):
        assert is_fault_in(text) or ast.parse(text[1:], mode="eval")  # what we read, Python reads


@examples(100)
@given(text=st.text(max_size=30))
def test_any_characters_give_a_value_or_one_placed_fault(text: str) -> None:
    for computed in (f"${text}", f"$({text})"):
        assert is_fault_in(computed) or ast.parse(computed[1:], mode="eval")
    assert is_fault_in(f"${{{text}}}")
