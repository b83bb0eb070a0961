"""Names and what they stand for: what a name can be, and which values an operator refuses."""

import pytest
from expression_cases import ENGLISH, WHOLE_ENDS, Case, evaluated_told, refusal, refused, value
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.expressions import CONTEXT_NAMES, NAME, RESERVED, Fault, evaluate, name_fault, parse


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
        operand("$(2 - sizes)", "sizes", "a list: `[null, 7]`", "`-` wants numbers", 6),
        operand("$(given * 2)", "given", "layers", "`*` wants numbers", 2),
        operand("$(nothing + 1)", "nothing", "null", "`+` wants numbers", 2),
        operand("$(-text)", "text", "a text: `relu`", "`-` wants numbers", 3),
        operand("$(text < 1)", "text", "a text: `relu`", "`<` wants numbers", 2),
        operand("$(1 >= (a == b))", "a == b", "a truth value: `false`", "`>=` wants numbers", 8),
        operand("$(max(a, skip))", "skip", "a truth value: `true`", "`max` wants numbers", 9),
        operand("$(round_to(text, 8))", "text", "a text: `relu`", "`round_to` wants numbers", 11),
        operand("$(skip and a)", "a", "a number: `7`", f"`and` {TRUTH}; compare, as in `a != 0`", 11),
        operand("$(1 or skip)", "1", "a number", f"`or` {TRUTH}; compare, as in `1 != 0`", 2),
        operand("$(not text)", "text", "a text: `relu`", f"`not` {TRUTH}", 6),
        operand("$(not given)", "given", "layers", f"`not` {TRUTH}", 6),
        operand("$(1 if nothing else 2)", "nothing", "null", f"`if` {TRUTH}", 7),
        operand("$(1 if a % 2 else 2)", "a % 2", "a number: `1`", f"`if` {TRUTH}; compare, as in `a % 2 != 0`", 7),
        unequal("a == skip", "a number with a truth value"),
        unequal("text != a", "a text with a number", "!="),
        unequal("depths == depths", "a list with a list"),
        unequal("given == given", "layers with layers"),
        unequal("given != text", "layers with a text", "!="),
        unequal("nothing == nothing", "null with null"),
        unequal("a == nothing", "a number with null"),
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


# --------------------------------------------------------------------------------------------------------------- names


NO_DIGIT_FIRST = f"{ENGLISH}, and don't begin with a digit"
CHOOSE_ANOTHER = "expressions reserve this word; choose another"
IN_REPEAT = "it has one inside a `repeat`, not in the blocks that it calls"
IN_BLOCK = "it has one inside a block, not in `times`, `for` or `when`"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("in_channels", "it has one in layers and blocks, but not in `times` and `for`"),
        ("index", IN_REPEAT),
        ("count", IN_REPEAT),
        ("block_index", IN_BLOCK),
        ("block_count", IN_BLOCK),
    ],
)
def test_a_name_of_the_context_tells_where_it_has_a_value(name: str, hint: str) -> None:
    scope = {"indexes": 1, "counts": 2, "in_channel": 3}
    expected = ("unknown-name", f"`{name}` has no value here", hint, f"6:{name}")
    assert evaluated_told(f"$(1 + {name})", scope) == expected
    assert value(f"$(1 + {name})", {name: 2}) == 3


@pytest.mark.parametrize(("text", "name"), [("$depth", "depth"), ("$(a + in_channels)", "in_channels")])
def test_a_fault_tells_the_name_that_is_missing(text: str, name: str) -> None:
    assert refusal(lambda: value(text)).name == name


@pytest.mark.parametrize("text", ["$(text + 1)", "$(a / zero)", "$(a +)", "$(sqrt(a))", "$(1e400)", "$if", "$"])
def test_a_fault_of_another_kind_tells_no_name(text: str) -> None:
    assert refusal(lambda: value(text)).name == ""


def known_as(name: str, meaning: str) -> tuple[str, str, str]:
    return name, f"`{name}` can't be a name", f"expressions know it as {meaning}; choose another"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("", "a name is empty", ENGLISH),
        ("my-width", "`my-width` can't be a name", NO_DIGIT_FIRST),
        ("2x", "`2x` can't be a name", NO_DIGIT_FIRST),
        ("a.b", "`a.b` can't be a name", NO_DIGIT_FIRST),
        ("$a", "`$a` can't be a name", NO_DIGIT_FIRST),
        ("a ", "`a ` can't be a name", NO_DIGIT_FIRST),
        ("a\n", r"`a\n` can't be a name", NO_DIGIT_FIRST),
        ("\u0430", "`\u0430` can't be a name", NO_DIGIT_FIRST),
        ("n" * 65, f"name `{'n' * 57}...` has 65 characters", "it may have 64"),
        ("n" * 100_000, f"name `{'n' * 57}...` has 100,000 characters", "it may have 64"),
        ("if", "`if` can't be a name", CHOOSE_ANOTHER),
        ("class", "`class` can't be a name", CHOOSE_ANOTHER),
        ("None", "`None` can't be a name", CHOOSE_ANOTHER),
        ("true", "`true` can't be a name", CHOOSE_ANOTHER),
        ("min", "`min` can't be a name", CHOOSE_ANOTHER),
        ("round_to", "`round_to` can't be a name", CHOOSE_ANOTHER),
        known_as("in_channels", "the channels that arrive"),
        known_as("index", "the number of an iteration"),
        known_as("count", "how many iterations there are"),
        known_as("block_index", "the number of a call of its block"),
        known_as("block_count", "how many calls of its block there are"),
    ],
)
def test_a_word_that_cant_be_a_name_is_told_why(name: str, message: str, hint: str) -> None:
    assert name_fault(name) == (message, hint)


@pytest.mark.parametrize("name", ["a", "_", "_x", "A1", "wide_2", "indexes", "If", "null", "match", "n" * 64])
def test_other_words_can_be_names(name: str) -> None:
    assert name_fault(name) is None


@settings(max_examples=500, deadline=None, derandomize=True)
@given(name=st.from_regex(NAME, fullmatch=True) | st.sampled_from(sorted(RESERVED)) | st.text(max_size=3))
def test_a_word_can_be_a_name_just_if_an_expression_can_look_it_up(name: str) -> None:
    assert (name_fault(name) is None) is is_looked_up(name)


def is_looked_up(name: str) -> bool:
    try:
        return len(name) <= 64 and name not in CONTEXT_NAMES and evaluate(parse(f"${name}"), {name: "found"}) == "found"
    except Fault:
        return False
