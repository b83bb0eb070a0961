"""What reading a computed value refuses, to the character."""

import ast
import re

import pytest
from expression_cases import ENGLISH, WHOLE_ENDS, Case, read_told, refusal, refused, value

from builder.expressions import parse, reading

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
        no_value("${(a)}", "write `$(a)`"),
        no_value("${if}", FORMS),
        no_value("${min}", FORMS),
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
        form("$if", "`if` can't be a name", "expressions reserve this word; choose another", "1:if"),
        form("$not", "`not` can't be a name", "expressions reserve this word; choose another", "1:not"),
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
    monkeypatch.setattr(reading, "check_words", lambda text: None)
    monkeypatch.setattr(reading, "FORBIDDEN", re.compile(r"(?!)"))
    fault = refusal(lambda: parse.__wrapped__(f"$({text})"))
    assert fault.code == "invalid-expression"
    assert "not" in fault.message


# ---------------------------------------------------------------------------------------------------- hostile texts


LONG = "it may have 200; `variables` can hold parts of it"
DEEP = "it may nest 50 levels deep; `variables` can hold parts of it"


@pytest.mark.parametrize("word", ["-", "(", "9", "a", "not ", "min(", "${"])
@pytest.mark.parametrize("shape", ["$(%s)", "$%s", "${%s}"])
def test_a_long_text_never_reaches_a_parser(monkeypatch: pytest.MonkeyPatch, shape: str, word: str) -> None:
    monkeypatch.setattr(reading, "ast", None)
    monkeypatch.setattr(reading, "re", None)
    text = shape % (word * 100_000)
    code, message, hint, place = read_told(text)
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
