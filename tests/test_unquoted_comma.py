"""Inside brackets YAML ends a value at a comma: one problem tells so, and what it makes of the rest gives no second."""

import time

import pytest

from builder import SpecError
from builder.problems import Problem, Source
from builder.source import parse


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        parse(Source("spec.yaml", text))
    return caught.value.problems


def marked(problem: Problem) -> str:
    place = problem.place
    assert place.line == place.end_line
    return place.text[place.column - 1 : place.end_column - 1]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("a: {b: $(min(c, d))}", "$(min(c, d))"),
        ("a: {b: $(min(c, d)), e: 3}", "$(min(c, d))"),
        ("a: {b: $(min(c,d,e)) , f: 3}", "$(min(c,d,e))"),
        ("a: {b: $(max(c, 2, d) > 3)}", "$(max(c, 2, d) > 3)"),
        ("a: {b: $(max(c, -1, 1e3, true, d))}", "$(max(c, -1, 1e3, true, d))"),
        ("a: {b: $round_to(c, 8)}", "$round_to(c, 8)"),
        ("a: [$(min(c, d)), 3]", "$(min(c, d))"),
        ("a: [3, $(min(c, 2, 010)), 3]", "$(min(c, 2, 010))"),
        ("a: [b: 1, $(min(c, d))]", "$(min(c, d))"),
    ],
)
def test_a_value_that_a_comma_cuts_is_one_problem(text: str, whole: str) -> None:
    (found,) = problems(text)
    assert (found.code, marked(found)) == ("unquoted-comma", whole)
    first, *rest = (part.strip() for part in whole.split(","))
    assert found.message == f"a comma ends the value `{first}`"
    assert found.hint == f'write it in quotes: `"{", ".join([first, *rest])}"`'


def test_each_value_that_is_cut_is_told() -> None:
    found = problems("a: {b: $(min(c, d)), e: $(min(c, d)), f: [$(min(c, d)), $(max(c, d))]}")
    assert [marked(problem) for problem in found] == ["$(min(c, d))"] * 3 + ["$(max(c, d))"]


def test_a_value_over_several_lines_is_one_problem() -> None:
    (found,) = problems("a: {b: $(min(c,\n  d,\n  e)),\n  f: 3}")
    assert (found.place.line, found.place.end_line) == (1, 3)
    assert found.hint == 'write it in quotes: `"$(min(c, d, e))"`'


@pytest.mark.parametrize("text", ["a: {b: $(min(c, d}", "a: {b: $(min(c, d, e: 3}", "a: [$(min(c, d]"])
def test_a_value_that_is_never_closed_is_told_to_be(text: str) -> None:
    (found,) = problems(text)
    assert found.hint == "close it, and write it in quotes"
    assert marked(found) == "$(min(c, d"


@pytest.mark.parametrize(
    "text",
    [
        'a: {b: "$(min(c, d))", e}',
        "a: {b: '$(min(c', d))}",
        "a: $(min(c, d))",
        "a: {b: $(min(c, d: 3}",
        "a: {b: $c, d}",
        "a: {b: (min(c, d))}",
        "a: {b: $(c), d: $(e)}",
        "a: [$(c), d]",
        "a: {b: $(c, d: 1, e}",
    ],
)
def test_other_commas_are_those_of_yaml(text: str) -> None:
    parse(Source("spec.yaml", text))


def test_a_long_list_behind_an_open_parenthesis_is_read_fast() -> None:
    begin = time.perf_counter()
    (found,) = problems(f"a: [$(min(c, {'d, ' * 50_000}]")
    assert found.code == "unquoted-comma"
    assert time.perf_counter() - begin < 10  # a fifth of a second; this only guards against a blow-up
