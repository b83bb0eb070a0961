"""YAML text -> nodes. Every test runs with libyaml and with PyYAML's own parser; the answers must be the same."""

import os
import random
import re
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.exits import UsageError
from builder.limits import MAX_DEPTH, MAX_SPEC_BYTES
from builder.problems import COMMAND_LINE, Place, Problem, Source, SpecError
from builder.source import (
    Entry,
    ListNode,
    MapNode,
    Node,
    Scalar,
    events,
    find_specs,
    parse,
    parse_value,
    plain,
    read_file,
)

PARSERS: dict[str, Callable[[str], events.Events]] = {"python": events.PythonEvents}
if events.open_events is not events.PythonEvents:
    PARSERS["libyaml"] = events.open_events


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    monkeypatch.setattr(events, "open_events", PARSERS[name])
    return name


def source(text: str) -> Source:
    return Source("net.yaml", text)


def problems(text: str, read: Callable[[Source], Node] = parse) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        read(source(text))
    return list(caught.value.problems)


def problem(text: str, read: Callable[[Source], Node] = parse) -> Problem:
    found = problems(text, read)
    assert len(found) == 1, found
    return found[0]


def span(place: Place) -> str:
    end = f"{place.end_line}:{place.end_column}" if place.end_line != place.line else str(place.end_column)
    return f"{place.line}:{place.column}-{end}"


def told(problem: Problem) -> tuple[str, str, str, str]:
    return problem.code, message_of(problem), problem.hint, span(problem.place)


def message_of(problem: Problem) -> str:
    assert problem.severity == "error"
    assert problem.path == ""
    return problem.message


def value(text: str) -> object:
    return plain(parse_value(source(text)))


def node(text: str) -> Node:
    return parse_value(source(text))


pytestmark = pytest.mark.usefixtures("parser")

NEEDS = "a spec needs at least `input: [1, 28, 28]` and `layers: [flatten, linear: {out_features: 10}]`"
IS_A_MAPPING = "a spec is a mapping with at least the keys `input` and `layers`"
NO_TAG = "remove it; text, numbers, true, false and null need no tag"
DECIMAL = "write it in decimal, or in quotes if it is text"


# ------------------------------------------------------------------------------------------- A1, A2: what a spec is


@pytest.mark.parametrize("text", ["", "\n", "# only\n# comments\n", "---\n...\n", "---\n"])
def test_empty_spec_says_the_least_that_a_spec_needs(text: str) -> None:
    assert told(problem(text)) == ("empty-spec", "spec is empty", NEEDS, "1:1-1")


@pytest.mark.parametrize(
    ("text", "message", "hint", "where"),
    [
        ("- conv2d\n- relu\n", "spec is a list", f"{IS_A_MAPPING}; put the layers below `layers:`", "1:1-9"),
        ("# c\n[a, b]\n", "spec is a list", f"{IS_A_MAPPING}; put the layers below `layers:`", "2:1-7"),
        ("hello\n", "spec is the text `hello`", IS_A_MAPPING, "1:1-6"),
        ("3\n", "spec is the value `3`", IS_A_MAPPING, "1:1-2"),
        ("null\n", "spec is the value `null`", IS_A_MAPPING, "1:1-5"),
        ("name:net\n", "spec is the text `name:net`", "a space is missing after the colon of `name`", "1:1-9"),
    ],
)
def test_top_level_that_is_no_mapping_says_what_was_found(text: str, message: str, hint: str, where: str) -> None:
    assert told(problem(text)) == ("not-a-mapping", message, hint, where)


def test_a_list_with_other_problems_reports_all_of_them() -> None:
    assert [found.code for found in problems("- {a: 1, a: 2}\n- 010\n")] == [
        "not-a-mapping",
        "duplicate-key",
        "ambiguous-number",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("3", 3),
        ("[1, 28, 28]", [1, 28, 28]),
        ("{adam: {lr: 0.001}}", {"adam": {"lr": 0.001}}),
        ("no", "no"),
    ],
)
def test_an_override_may_be_any_value(text: str, expected: object) -> None:
    assert plain(parse_value(Source(COMMAND_LINE, text))) == expected


def test_an_override_with_a_mistake_is_located_on_the_command_line() -> None:
    with pytest.raises(SpecError) as caught:
        parse_value(Source(COMMAND_LINE, "[1, 2"))
    assert [found.location for found in caught.value.problems] == ["command line"]


# -------------------------------------------------------------------------------------------- A3: what is not YAML

SYNTAX = [
    # tabs
    ("a:\n\tb: 1\n", "tab in the indentation", "indent with spaces", "2:1-2"),
    ("layers:\n  - relu\n\t\t- x\n", "tab in the indentation", "indent with spaces", "3:1-3"),
    ("- a\n-\tb: 1\n", "tab in the indentation", "indent with spaces", "2:2-3"),
    ("a: |\n\tx\n", "tab in the indentation", "indent with spaces", "2:1-2"),
    # brackets and quotes left open
    (
        "input: [1, 28, 28\nlayers:\n  - conv2d: {a: [1, 2]}\n",
        "bracket `[` is never closed",
        "opened on line 1; close it with `]`",
        "1:8-9",
    ),
    (
        "layers:\n  - conv2d: {out_channels: 32\n  - relu\n  - max_pool2d: {kernel_size: 2}\n",
        "bracket `{` is never closed",
        "opened on line 2; close it with `}`",
        "2:13-14",
    ),
    ("a: [1, 2", "bracket `[` is never closed", "opened on line 1; close it with `]`", "1:4-5"),
    ("a: [1, {b: 2]\n", "bracket `{` is never closed", "opened on line 1; close it with `}`", "1:8-9"),
    ("a: [x\n---\ny]\n", "bracket `[` is never closed", "opened on line 1; close it with `]`", "1:4-5"),
    ("a: [1, ", "bracket `[` is never closed", "opened on line 1; close it with `]`", "1:4-5"),
    ("a: [1, # ]\n  '], x'\n", "bracket `[` is never closed", "opened on line 1; close it with `]`", "1:4-5"),
    ('b: 1\na: "x\n', 'quote `"` is never closed', 'opened on line 2; close it with `"`', "2:4-5"),
    ("a: 'x\n---\n", "quote `'` is never closed", "opened on line 1; close it with `'`", "1:4-5"),
    # brackets closed too often, or by the wrong one
    ("a: [1, 28}\n", "`}` closes no bracket", "`[`, opened on line 1, is closed with `]`", "1:10-11"),
    ("a: [1]]\n", "`]` closes no bracket", "remove it, or open the bracket with `[`", "1:7-8"),
    ("a: }\n", "`}` closes no bracket", "remove it, or open the bracket with `{`", "1:4-5"),
    ("}\n", "`}` closes no bracket", "remove it, or open the bracket with `{`", "1:1-2"),
    ("{a: 1}\n}\n", "`}` closes no bracket", "remove it, or open the bracket with `{`", "2:1-2"),
    # commas
    (
        "- conv2d: {out_channels: 32\n    padding: 1}\n",
        "a comma is missing before `padding`",
        "what is between `{` and `}` is separated by commas",
        "2:5-12",
    ),
    (
        "a: ['日本' \"b\"]\n",
        'a comma is missing before `"b"`',
        "what is between `[` and `]` is separated by commas",
        "1:10-13",
    ),
    ("a: {b: 1,, c: 2}\n", "nothing before this comma", "remove it, or write what is missing", "1:10-11"),
    ("a: [\n  - b\n  ]\n", "`-` starts no list item inside brackets", "separate items with commas there", "2:3-4"),
    ("a: {x: ${y}}\n", "`${` can't stand inside brackets", "write `$name` or `$(expression)`", "1:8-10"),
    # colons
    ("a:1\nb: 2\n", "a space is missing after the colon of `a`", "write `a: 1`", "1:1-4"),
    ("b: 1\nname:net\nc: []\n", "a space is missing after the colon of `name`", "write `name: net`", "2:1-9"),
    (
        "a: {b: 1, c:}\n",
        "a space is missing after the colon of `c`",
        "write `c: ...`, or put the text in quotes",
        "1:11-13",
    ),
    ("a: 1\nb\nc: 2\n", "`b` has no colon", "a line among keys reads `key: value`", "2:1-2"),
    (
        "a: b: c\n",
        "this line has a second colon",
        "put the text after the first colon in quotes, or write what it holds in braces",
        "1:5-6",
    ),
    (
        "- conv2d\n  kernel_size: 3\n",
        "key `kernel_size` is indented below `conv2d`, which is complete",
        "write `conv2d:` on line 1 if `kernel_size` belongs to it",
        "2:3-14",
    ),
    (
        "a: 1\n\n  b: 2\n",
        "key `b` is indented below `a: 1`, which is complete",
        "align it with the key on line 1, or write nothing after that key's colon",
        "3:3-4",
    ),
    (f"{'a' * 1100}: 1\n", f"key `{'a' * 57}...` is too long", "a key has at most 1024 characters", "1:1-1101"),
    (f"{{{'a' * 1100}: 1}}\n", f"key `{'a' * 57}...` is too long", "a key has at most 1024 characters", "1:2-1102"),
    # indentation and list marks
    (
        "a:\n    b: 1\n  c: 2\n",
        "the indentation of `c` fits no line above",
        "align it with the keys or items it belongs to",
        "3:3-4",
    ),
    (
        "a:\n  - b\n - c\n",
        "the indentation of `-` fits no line above",
        "align it with the keys or items it belongs to",
        "3:2-3",
    ),
    ("a: 1\n- b\n", "list item among keys", "give the list a key, and indent its items below it", "2:1-2"),
    ("- a\nb: 1\n", "`b` is no list item", "start it with `- `, or indent it below an item", "2:1-2"),
    (": 2\n", "colon without a key", "write `key: value`", "1:1-2"),
    ("{a: 1, : 2}\n", "colon without a key", "write `key: value`", "1:8-9"),
    ("a: 1\n: 2\n", "colon without a key", "write `key: value`", "2:1-2"),
    (
        "a: - b\n",
        "a list item can't start in the middle of a line",
        "start the list on the next line, or write it in brackets: `[a, b]`",
        "1:4-5",
    ),
    (
        "  a: 1\nb: 2\n",
        "`b` does not belong to what is above it",
        "indent all keys of the top level alike, and write no brackets around them",
        "2:1-2",
    ),
    # text after a value
    ("a: [1, 2] x\n", "`x` follows the closing `]`", "remove it, or put the whole value in quotes", "1:11-12"),
    ("[1, 2] x", "`x` follows the closing `]`", "remove it, or put the whole value in quotes", "1:8-9"),
    ("a: 'it's'\n", "`s'` follows the closing `'`", "inside these quotes write `''` for `'`", "1:8-10"),
    ('a: "x" y\n', '`y` follows the closing `"`', 'inside these quotes write `\\"` for `"`', "1:8-9"),
    (
        "a: 'x\nb: 'y'\n",
        "`y'` follows the closing `'`",
        "this quote was opened on line 1; is one missing there?",
        "2:5-7",
    ),
    ("a: 1\n...\nb: 1\n", "`b` follows `...`, the end of the spec", "remove the line `...`", "3:1-2"),
    ("a: &a &b c\n", "`&b` can't stand here", "put text with special characters in quotes", "1:7-9"),
    # characters with a meaning of their own
    ("a: @x\n", "text can't start with `@`", "put the text in quotes", "1:4-6"),
    ("a: %x\n", "text can't start with `%`", "put the text in quotes", "1:4-6"),
    ("a: `x`\n", "text can't start with a backtick", "put the text in quotes", "1:4-7"),
    ("a: ,\n", "text can't start with `,`", "put the text in quotes", "1:4-5"),
    (
        "a: *.py\n",
        "`*` starts an alias, and its name is missing or not plain",
        "put text that starts with `*` in quotes",
        "1:4-8",
    ),
    (
        "a: & b\n",
        "`&` starts an anchor, and its name is missing or not plain",
        "put text that starts with `&` in quotes",
        "1:4-5",
    ),
    (
        "a: > b\n",
        "`> b` starts no block of text",
        "after `>` the text starts on the next line; in quotes it can stand here",
        "1:4-7",
    ),
    (
        'a: "C:\\data"\n',
        "escape `\\d` stands for no character",
        "write `\\\\` for a backslash, or use single quotes",
        "1:7-9",
    ),
]
DIRECTIVE = "a spec needs no directive; text that starts with `%` needs quotes"


@pytest.mark.parametrize(("text", "message", "hint", "where"), SYNTAX)
def test_text_that_is_not_yaml_is_explained_where_it_broke(text: str, message: str, hint: str, where: str) -> None:
    assert told(problem(text)) == ("yaml-syntax", message, hint, where)


@pytest.mark.parametrize("line", ["%x", "%FOO bar", "%YAML 1.3", "%YAML 2.0", "%YAML x", "%YAML " + "1" * 5000 + ".1"])
def test_a_directive_of_no_yaml_is_refused(line: str) -> None:
    found = problem(f"# c\n{line}\n---\na: 1\n")
    assert told(found) == ("yaml-syntax", "`%` starts a directive of YAML", DIRECTIVE, f"2:1-{1 + len(line)}")


@pytest.mark.parametrize(
    "text", ["%YAML 1.2\n---\na: 1\n", "%TAG !e! x:\n--- \na: 1\n", "# c\n\n%YAML 1.1\n---\na: 1\n"]
)
def test_a_directive_of_yaml_does_no_harm(text: str) -> None:
    assert plain(parse(source(text))) == {"a": 1}


def test_problems_found_before_a_syntax_error_are_kept() -> None:
    assert [found.code for found in problems("a: 010\na: !x 1\nb: [\n")] == [
        "ambiguous-number",
        "duplicate-key",
        "tag",
        "yaml-syntax",
    ]


def test_a_frame_points_below_wide_characters() -> None:
    text = "日本: {é: 1, b: 010}\n"
    assert str(problem(text)) == (
        "error[ambiguous-number]: number `010` (a leading zero) means different things to different readers\n"
        " --> net.yaml:1:15\n"
        "  |\n"
        "1 | 日本: {é: 1, b: 010}\n"
        f"  |                 ^^^ {DECIMAL}"
    )


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"])
def test_every_line_break_of_yaml_counts_as_one(line_break: str) -> None:
    found = problem(f"a: 1{line_break}# c{line_break}b: 日 # x{line_break}c: [010]{line_break}")
    assert span(found.place) == "4:5-8"
    assert found.place.text == "c: [010]"


# ------------------------------------------------------------------------- A4, A5, A18: documents, keys


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: 1\n---\nb: 2\n", "2:1-4"),
        ("--- # first\na: 1\n...\n%YAML 1.2\n---\nb: [\n", "5:1-4"),
        ("---\n---\na: 1\n", "2:1-4"),
        ("a: 1\n---\n", "2:1-4"),
    ],
)
def test_a_second_document_is_refused_where_it_starts(text: str, where: str) -> None:
    hint = "a spec is one document: remove `---`, or use two files"
    assert told(problem(text)) == ("several-documents", "a second document starts here", hint, where)


def test_duplicate_key_names_both_lines() -> None:
    assert told(problem("lr: 1\nb: 2\nlr: 3\n")) == (
        "duplicate-key",
        "key `lr` is given on line 1 and again on line 3",
        "keep one of the two",
        "3:1-3",
    )


def test_duplicate_key_on_one_line_names_it_once() -> None:
    found = problem('a: {é: 1, "\\xe9": 2}\n')
    assert told(found) == ("duplicate-key", "key `é` is given twice on line 1", "keep one of the two", "1:11-17")


def test_a_key_given_three_times_is_two_problems() -> None:
    assert [found.message for found in problems("a: 1\na: 2\na: 3\n")] == [
        "key `a` is given on line 1 and again on line 2",
        "key `a` is given on line 1 and again on line 3",
    ]


def test_the_same_key_at_different_levels_is_no_duplicate() -> None:
    assert plain(parse(source("a: {a: [{a: 1}, {a: 2}]}\n"))) == {"a": {"a": [{"a": 1}, {"a": 2}]}}


@pytest.mark.parametrize("key", ["1", "1.0", "1.5", "true", "null", "~", ".inf", "1e3", "010", "0x1F", "1_0", "-3"])
def test_a_key_that_is_no_text_is_refused(key: str) -> None:
    hint = f'a key is text; in quotes, `"{key}"` would be'
    assert told(problem(f"a:\n  {key}: b\n")) == (
        "key-not-text",
        f"key `{key}` is not text",
        hint,
        f"2:3-{3 + len(key)}",
    )


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        ("? [a]\n: b\n", "key is a list", "1:3-6"),
        ("? {a: b}\n: c\n", "key is a mapping", "1:3-9"),
        ("? - a\n  - b\n: c\n", "key is a list", "1:3-6"),
        ("[a]: b\n", "key is a list", "1:1-4"),
        ("a: {{ x }}\n", "key is a mapping", "1:5-10"),
    ],
)
def test_a_key_that_is_a_collection_is_refused(text: str, message: str, where: str) -> None:
    assert told(problem(text)) == ("key-not-text", message, "a key is text; a text with brackets needs quotes", where)


@pytest.mark.parametrize(("text", "where"), [("? \n: b\n", "1:2-2"), ("a: {? : b}\n", "1:6-6")])
def test_an_empty_key_is_refused(text: str, where: str) -> None:
    assert told(problem(text)) == ("key-not-text", "key is empty", "write a name before the colon", where)


@pytest.mark.parametrize("key", ["on", "no", "y", "2024-13-45", '"1"', "'true'", "a b", "$schema", "tRue", "=", '""'])
def test_a_key_that_is_text_stays_as_written(key: str) -> None:
    assert list(plain(parse(source(f"{key}: x\n")))) == [key.strip("\"'")]


# ------------------------------------------------------------------------------ A6, A7, A8: aliases and merge keys


def test_an_alias_is_the_node_it_repeats() -> None:
    root = parse(source("a: &x [1, {b: 2}]\nc: *x\n"))
    assert root.entries[1].value is root.entries[0].value


def test_an_alias_can_be_a_key_and_stands_where_it_is_written() -> None:
    entry = parse(source("a: &k name\n*k : d\n")).get("name")
    assert entry is not None
    assert span(entry.key_place) == "2:1-3"


def test_an_unknown_alias_is_an_error() -> None:
    hint = "set `&c` before it; text that starts with `*` needs quotes"
    assert told(problem("a: 1\nb: *c\n")) == ("unknown-alias", "alias `*c` repeats nothing", hint, "2:4-6")


@pytest.mark.parametrize(
    ("text", "line", "where"),
    [("a: &a [*a]\n", 1, "1:8-10"), ("a: &a\n  b: {c: *a}\n", 2, "2:10-12"), ("&a a: *a\n", 0, "")],
)
def test_an_alias_inside_of_what_it_repeats_is_an_error(text: str, line: int, where: str) -> None:
    if not line:  # the anchor is of the key alone
        assert plain(parse(source(text))) == {"a": "a"}
        return
    message = f"alias `*a` is inside the value that it repeats, which starts on line {line}"
    assert told(problem(text)) == ("alias-of-itself", message, "a value can't hold itself", where)


def test_an_anchor_set_twice_names_both_lines() -> None:
    message = "anchor `&a` is set on line 1 and again on line 3"
    found = problem("a: &a 1\nb: *a\nc: &a 2\n")
    assert told(found) == ("duplicate-anchor", message, "give each its own name", "3:4-6")


def test_more_aliases_than_allowed_are_refused() -> None:
    text = "a: &a 1\n" + "".join(f"b{number}: *a\n" for number in range(101))
    assert len(plain(parse(source(text[: text.rindex("b100")])))) == 101
    message = "spec has more than 100 aliases"
    assert told(problem(text)) == ("too-many-aliases", message, "write the values out", "102:7-9")


def alias_bomb(open_: str, close: str) -> str:
    lines = [f"a0: &a0 {open_}x{close}\n"]
    for level in range(9):
        inner = ", ".join([f"*a{level}"] * 9)
        lines.append(f"a{level + 1}: &a{level + 1} {open_}{inner}{close}\n")
    return "".join(lines)


def test_an_alias_bomb_is_refused_within_a_tenth_of_a_second_and_50_megabytes() -> None:
    text = alias_bomb("[", "]")
    tracemalloc.start()
    begin = time.perf_counter()
    found = problem(text)
    seconds = time.perf_counter() - begin
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    message = "aliases repeat more than 10,000 values"
    assert told(found) == ("too-many-aliases", message, "write the values out", "5:35-38")
    assert seconds < 0.1
    assert peak < 50e6


def test_a_merge_key_is_refused() -> None:
    found = problem("a: &a {k: 1}\nb: {<<: *a}\n")
    message = "merge key `<<` is not allowed"
    assert told(found) == ("merge-key", message, "write the keys here", "2:5-7")


def test_a_quoted_merge_key_is_text() -> None:
    assert plain(parse(source("'<<': <<\n"))) == {"<<": "<<"}


def test_a_merge_key_bomb_is_refused_before_anything_is_merged() -> None:
    begin = time.perf_counter()
    found = problems(alias_bomb("{<<: [", "]}"))
    assert time.perf_counter() - begin < 0.1
    assert {code.code for code in found} == {"merge-key", "too-many-aliases"}


# ---------------------------------------------------------------------------------------------------- A9: depth


def nested(levels: int) -> str:
    return "a: " + "[" * (levels - 1) + "]" * (levels - 1) + "\n"


def test_the_deepest_nesting_allowed_is_read() -> None:
    assert isinstance(parse(source(nested(MAX_DEPTH))), MapNode)


@pytest.mark.parametrize("levels", [65, 500, 2_000, 400_000])
def test_deeper_nesting_is_refused_where_it_starts(levels: int) -> None:
    hint = "nest the values less deeply"
    found = problem(nested(levels))
    assert told(found) == ("too-deep", "spec is nested deeper than 64 levels", hint, "1:67-68")


def test_depth_counts_through_aliases() -> None:
    half = "[" * 40 + "]" * 40
    found = problem(f"a: &a {half}\nb: {'[' * 30}*a{']' * 30}\n")
    assert (found.code, span(found.place)) == ("too-deep", "2:34-36")


HUGE = MAX_SPEC_BYTES - 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[" * HUGE, "too-deep"),
        ("{" * HUGE, "too-deep"),
        ("- " * (HUGE // 2), "too-deep"),
        ("? " * (HUGE // 2), "too-deep"),
        ("[a: " * (HUGE // 4), "too-deep"),
        ("\n".join(" " * level + "a:" for level in range(1_400)), "too-deep"),
        ("{" + "a" * HUGE + ": 1}", "yaml-syntax"),
        ('{"' + "a" * HUGE + '": 1}', "yaml-syntax"),
        ('a: "' + "\\n" * (HUGE // 2), "yaml-syntax"),
        ("a: [" + '" " ' * (HUGE // 4), "yaml-syntax"),
        ("a: [" + "{}" * (HUGE // 2), "yaml-syntax"),
        (":" * HUGE, "yaml-syntax"),
        ("\t" * HUGE, "yaml-syntax"),
        ("\0" * HUGE, "control-character"),
        ("---\n" * (HUGE // 4), "several-documents"),
        ("\n" * HUGE, "empty-spec"),
        ("a: " + "1" * HUGE, "number-too-long"),
        ("a: " + "1_" * (HUGE // 2), "ambiguous-number"),
        ("a: [" + "a," * (HUGE // 2) + "]", "too-many-values"),
    ],
    ids=lambda text: repr(text[:12]),
)
def test_a_huge_text_is_refused_fast(text: str, code: str) -> None:
    begin = time.perf_counter()
    assert code in {found.code for found in problems(text)}
    assert time.perf_counter() - begin < 30  # a second or less, but on a busy machine and with the slower parser


# ---------------------------------------------------------------------------------- A10, A12: files and characters


def written(folder: Path, data: bytes) -> Path:
    path = folder / "net.yaml"
    path.write_bytes(data)
    return path


def file_problem(folder: Path, data: bytes) -> Problem:
    with pytest.raises(SpecError) as caught:
        read_file(written(folder, data))
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


def test_a_file_is_read_with_its_bytes_and_its_name_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "é: 1\n".encode())
    monkeypatch.chdir(tmp_path)
    assert read_file(Path("net.yaml")) == (Source("net.yaml", "é: 1\n"), "é: 1\n".encode())


def test_a_byte_order_mark_is_tolerated(tmp_path: Path) -> None:
    text, data = read_file(written(tmp_path, b"\xef\xbb\xbfa: 010\n"))
    assert data.startswith(b"\xef\xbb\xbf")
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert span(caught.value.problems[0].place) == "1:4-7"


def test_a_file_over_the_size_cap_is_refused(tmp_path: Path) -> None:
    assert told(file_problem(tmp_path, b"#" * (MAX_SPEC_BYTES + 1))) == (
        "file-too-large",
        "file has more than 1,000,000 bytes",
        "that is no spec",
        "1:1-1",
    )


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    assert len(read_file(written(tmp_path, b"#" * MAX_SPEC_BYTES))[1]) == MAX_SPEC_BYTES


@pytest.mark.parametrize(
    ("data", "message", "hint", "where"),
    [
        (b"a: 1\nb: \xe9\n", "byte 8 (0xe9) is not UTF-8", "save the file as UTF-8", "2:4-5"),
        ("a: 日 ".encode() + b"\xff", "byte 7 (0xff) is not UTF-8", "save the file as UTF-8", "1:6-7"),
        (b"\xef\xbb\xbfa: \xe9\n", "byte 6 (0xe9) is not UTF-8", "save the file as UTF-8", "1:4-5"),
        (
            "a: 1\n".encode("utf-16"),
            "byte 0 (0xff) is not UTF-8",
            "save the file as UTF-8; it seems to be UTF-16",
            "1:1-2",
        ),
    ],
)
def test_a_file_that_is_not_utf8_names_the_byte(
    tmp_path: Path, data: bytes, message: str, hint: str, where: str
) -> None:
    assert told(file_problem(tmp_path, data)) == ("not-utf8", message, hint, where)


def test_utf16_without_a_mark_is_recognised() -> None:
    found = problems("a: 1\n".encode("utf-16-le").decode())
    hint = "save the file as UTF-8; it seems to be UTF-16"
    assert told(found[0]) == ("control-character", "character `\\x00` at byte 1 is not allowed", hint, "1:2-3")


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        ("a: 日本\nb: x\0y\n", "character `\\x00` at byte 14 is not allowed", "2:5-6"),
        ("a: \x1b[31m\n", "character `\\x1b` at byte 3 is not allowed", "1:4-5"),
        ("a: \x9b\n", "character `\\x9b` at byte 3 is not allowed", "1:4-5"),
        ("a: \x7f\n", "character `\\x7f` at byte 3 is not allowed", "1:4-5"),
        ("a: \ufeffb\n", "character `\\ufeff` at byte 3 is not allowed", "1:4-5"),
        ("a: \uffff\n", "character `\\uffff` at byte 3 is not allowed", "1:4-5"),
        ("a: \udcff\n", "character `\\udcff` at byte 3 is not allowed", "1:4-5"),  # a byte of the command line
        ("# \x0c\n", "character `\\x0c` at byte 2 is not allowed", "1:3-4"),
    ],
)
def test_a_control_character_is_refused_and_escaped(text: str, message: str, where: str) -> None:
    assert told(problem(text)) == ("control-character", message, "remove it", where)
    assert told(problem(text, parse_value)) == ("control-character", message, "remove it", where)


def test_the_byte_of_a_control_character_counts_a_byte_order_mark(tmp_path: Path) -> None:
    assert file_problem(tmp_path, b"\xef\xbb\xbfa: \0\n").message == "character `\\x00` at byte 6 is not allowed"


def test_several_control_characters_are_several_problems() -> None:
    assert [span(found.place) for found in problems("a: \0\nb: \1\n")] == ["1:4-5", "2:4-5"]


def usage(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read_file(path)
    return str(caught.value)


def test_a_missing_file_is_wrong_usage() -> None:
    assert usage(Path("specs/no\x1b.yaml")) == "can't read `specs/no\\x1b.yaml`: there is no such file"


def test_a_name_that_no_file_can_have_is_wrong_usage() -> None:
    assert usage(Path("a\0b")) == "can't read `a\\x00b`: this is no file name"
    assert usage(Path("a" * 5000)) == f"can't read `{'a' * 5000}`: file name too long"


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert usage(tmp_path).endswith(": it is a directory, not a file")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFOs and no /dev")
def test_fifos_and_devices_are_no_files(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.yaml"
    os.mkfifo(fifo)
    assert usage(fifo).endswith(": it is a named pipe, not a file")
    assert usage(Path("/dev/zero")) == "can't read `/dev/zero`: it is a device, not a file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_wrong_usage(tmp_path: Path) -> None:
    path = written(tmp_path, b"a: 1\n")
    path.chmod(0)
    assert usage(path).endswith(": permission denied")


def test_specs_are_found_sorted_without_hidden_and_unfinished_ones(tmp_path: Path) -> None:
    for name in ["b/z.yaml", "b/a.yml", "a.yaml", "_base.yaml", ".x.yaml", ".git/c.yaml", "notes.txt", "c/d/e.yaml"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "c/loop").symlink_to(tmp_path, target_is_directory=True)
    found = [path.relative_to(tmp_path).as_posix() for path in find_specs(tmp_path)]
    assert found == ["a.yaml", "b/a.yml", "b/z.yaml", "c/d/e.yaml"]


def test_a_file_is_found_whatever_its_name_is(tmp_path: Path) -> None:
    assert find_specs(tmp_path / "_x.txt") == [tmp_path / "_x.txt"]


# -------------------------------------------------------------------------------------------------- A11: tags


def test_every_tag_is_refused() -> None:
    text = "a: !!python/object/apply:os.system [ls]\nb: !foo x\n? !!str c\n: &n !t {d: 1}\ne: !<tag:x> 1\nf: ! g\n"
    tags = [
        ("!!python/object/apply:os.system", "1:4-35"),
        ("!foo", "2:4-8"),
        ("!!str", "3:3-8"),
        ("!t", "4:6-8"),
        ("!<tag:x>", "5:4-12"),
        ("!", "6:4-5"),
    ]
    assert [told(found) for found in problems(text)] == [
        ("tag", f"tag `{tag}` is not allowed", NO_TAG, where) for tag, where in tags
    ]


@pytest.mark.parametrize("tag", ["!!", "!e!x", "!<x", "!%ff"])
def test_a_broken_tag_is_refused_as_a_tag(tag: str) -> None:
    assert told(problem(f"a: {tag} b\n")) == ("tag", f"tag `{tag}` is not allowed", NO_TAG, f"1:4-{4 + len(tag)}")


# ------------------------------------------------------------------------ A13 to A17: what an unquoted word means


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-1.", -1.0),
        ("+.5e+2", 50.0),
        ("01.5", 1.5),
        ("0", 0),
        ("-0", 0),
        ("+12", 12),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("9" * 300, int("9" * 300)),
        ("null", None),
        ("Null", None),
        ("NULL", None),
        ("~", None),
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("false", False),
    ],
)
def test_a_word_means_what_yaml_1_2_says(text: str, expected: object) -> None:
    for found in (value(text), value(f"[{text}]")[0]):  # type: ignore[index]
        assert found == expected
        assert type(found) is type(expected)


def test_not_a_number_is_a_number() -> None:
    assert [str(value(word)) for word in (".nan", ".NaN", ".NAN")] == ["nan"] * 3


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "on",
        "off",
        "yes",
        "y",
        "tRUE",
        "nULL",
        "2024-13-45",
        "2001-12-14t21:59:43.10-05:00",
        "1:99",
        "e5",
        ".",
        "1.2.3",
        "+-1",
        "0x",
        "_1",
        "1_a",
        ".Nan",
        "1a",
        "<<",
        "=",
        "inf",
        "nan",
        "1e",
        "٣",
    ],
)
def test_other_words_are_text(text: str) -> None:
    assert value(f"a: {text}") == {"a": text}


@pytest.mark.parametrize("text", ["1", "true", "null", "010", "1:30", "1e400", ""])
def test_a_quoted_word_is_text(text: str) -> None:
    for quote in ("'", '"'):
        assert value(f"{quote}{text}{quote}") == text
    assert value(f"a: |\n  {text}") == {"a": text}


def test_raw_keeps_a_number_as_it_was_written() -> None:
    found = node("32.0")
    assert isinstance(found, Scalar)
    assert (found.value, found.raw, found.quoted) == (32.0, "32.0", False)


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("010", "a leading zero"),
        ("-017", "a leading zero"),
        ("08", "a leading zero"),
        ("00", "a leading zero"),
        ("0x1F", "hexadecimal"),
        ("0x_1", "hexadecimal"),
        ("0X1f", "hexadecimal"),
        ("0o17", "octal"),
        ("0b1", "binary"),
        ("0b_", "binary"),
        ("-0b1_0", "binary"),
        ("1_000", "an underscore"),
        ("1_000.5", "an underscore"),
        ("1_0e3", "an underscore"),
        ("1:30", "base 60"),
        ("-12:30:45", "base 60"),
        ("1:30.5", "base 60"),
        ("1_0:30", "base 60"),
    ],
)
def test_a_number_that_tools_read_differently_is_refused(word: str, form: str) -> None:
    message = f"number `{word}` ({form}) means different things to different readers"
    assert told(problem(f"é: {{b: {word}}}\n")) == ("ambiguous-number", message, DECIMAL, f"1:8-{8 + len(word)}")


def test_a_number_with_too_many_digits_is_elided() -> None:
    message = f"number `{'1' * 57}...` has 5,000 digits"
    assert told(problem(f"a: {'1' * 5000}\n")) == (
        "number-too-long",
        message,
        "a number has at most 300 digits",
        "1:4-5004",
    )


def test_a_hexadecimal_number_of_5000_digits_is_elided() -> None:
    found = problem(f"a: 0x{'f' * 5000}\n")
    message = f"number `0x{'f' * 55}...` (hexadecimal) means different things to different readers"
    assert told(found) == ("ambiguous-number", message, DECIMAL, "1:4-5006")


@pytest.mark.parametrize("word", ["1e400", "-1e400", "1e" + "9" * 299])
def test_a_number_that_overflows_is_refused(word: str) -> None:
    found = problem(f"a: {word}\n")
    assert (found.code, found.hint) == ("number-too-large", "the largest number is about `1.8e308`")
    assert found.message == f"number `{word if len(word) < 60 else word[:57] + '...'}` is too large"


@pytest.mark.parametrize("escape", ["\\UFFFFFFFF", "\\U00110000", "\\ud800", "\\uDFFF", "\\u12", "\\x4", "\\U0000D800"])
def test_an_escape_that_is_no_character_is_refused(escape: str) -> None:
    hint = (
        "`\\x`, `\\u` and `\\U` take 2, 4 and 8 digits of a Unicode character; "
        "write `\\\\` for a backslash, or use single quotes"
    )
    found = problem(f'a: "\\\\ud800 \\x41{escape}"\n')
    message = f"escape `{escape}` stands for no character"
    assert told(found) == ("yaml-syntax", message, hint, f"1:17-{17 + len(escape)}")


# --------------------------------------------------------------------------------------------- A19: what is shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"\\e[31m": 1, "\\e[31m": 2}', "key `\\x1b[31m` is given twice on line 1"),
        ("{\u202ex: 1, \u202ex: 2}", "key `\\u202ex` is given twice on line 1"),
        ('{"a\\n::error::": 1, "a\\n::error::": 2}', "key `a\\n::error::` is given twice on line 1"),
        ("{'[/]': 1, '[/]': 2}", "key `[/]` is given twice on line 1"),
        ("a: !\u202e b", "tag `!\\u202e` is not allowed"),
    ],
)
def test_text_that_steers_a_terminal_is_shown_escaped(text: str, message: str) -> None:
    found = problems(text)[0]
    assert found.message == message
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", str(found))


# ----------------------------------------------------------------------------------------------- nodes and places


def places(found: Node) -> Iterator[tuple[str, str]]:
    """Every key and value with its span."""
    if isinstance(found, Scalar):
        yield found.raw, span(found.place)
    elif isinstance(found, ListNode):
        yield "[]", span(found.place)
        for item in found.items:
            yield from places(item)
    else:
        yield "{}", span(found.place)
        for entry in found.entries:
            yield f"{entry.key}:", span(entry.key_place)
            yield from places(entry.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\n", [("{}", "1:1-5"), ("a:", "1:1-2"), ("1", "1:4-5")]),
        ("é日: 'x' # c\n", [("{}", "1:1-12"), ("é日:", "1:1-3"), ("x", "1:5-8")]),
        ("- [a, b]  \n- c", [("[]", "1:1-9"), ("[]", "1:3-9"), ("a", "1:4-5"), ("b", "1:7-8"), ("c", "2:3-4")]),
        ("a:\n- b\n", [("{}", "1:1-3"), ("a:", "1:1-2"), ("[]", "2:1-4"), ("b", "2:3-4")]),
        ("[1,\n 2]\n", [("[]", "1:1-2:4"), ("1", "1:2-3"), ("2", "2:2-3")]),
        ("a: b\n  c\n", [("{}", "1:1-5"), ("a:", "1:1-2"), ("b c", "1:4-2:4")]),
        ('"a\n b"', [("a b", "1:1-2:4")]),
        ("a: |\n  x\n  y\n", [("{}", "1:1-5"), ("a:", "1:1-2"), ("x\ny\n", "1:4-5")]),
        (
            "a:\nb: {c: , d}\n",
            [
                ("{}", "1:1-3"),
                ("a:", "1:1-2"),
                ("", "1:3-3"),
                ("b:", "2:1-2"),
                ("{}", "2:4-12"),
                ("c:", "2:5-6"),
                ("", "2:7-7"),
                ("d:", "2:10-11"),
                ("", "2:11-11"),
            ],
        ),
        ("[a: b c , d]", [("[]", "1:1-13"), ("{}", "1:2-8"), ("a:", "1:2-3"), ("b c", "1:5-8"), ("d", "1:11-12")]),
        ("a: &x 3\n", [("{}", "1:1-8"), ("a:", "1:1-2"), ("3", "1:7-8")]),
        ("a: &x [3]\n", [("{}", "1:1-10"), ("a:", "1:1-2"), ("[]", "1:7-10"), ("3", "1:8-9")]),
        ("a: &x # c\n  - 3\n", [("{}", "1:1-10"), ("a:", "1:1-2"), ("[]", "2:3-6"), ("3", "2:5-6")]),
        ("a: &x\n  b: &y\n", [("{}", "1:1-6"), ("a:", "1:1-2"), ("{}", "2:3-8"), ("b:", "2:3-4"), ("", "2:8-8")]),
    ],
)
def test_every_node_knows_where_it_stands(text: str, expected: list[tuple[str, str]]) -> None:
    assert list(places(node(text))) == expected


def test_a_mapping_finds_its_entries() -> None:
    root = parse(source("a: 1\nb: [x]\n"))
    assert root.get("b") == root.entries[1]
    assert root.get("c") is None
    assert MapNode((Entry("c", root.place, root),), root.place).get("c") is not None


SPEC = """# yaml-language-server: $schema=../builder/net.schema.json
name: net
input: [1, 28, 28]                  # channels, height, width

layers:
  - conv2d: {name: conv1, out_channels: 32, kernel_size: 3, padding: 1}
  - relu
  - max_pool2d: {kernel_size: 2}
  - 'flatten'
  - linear:
      out_features: "10"
  - log_softmax:

training: &t
  dataset: {mnist: {fallback: mnist_sample}}
  lr: 1e-3
  note: |
    line
      more
again: *t
"""
TEXTS = [
    SPEC,
    SPEC.replace("\n", "\r\n"),
    "a: \t1\t# c\nb: [1,\t2\t]\nc:\t{d: e}\n",
    "? a\n? b\n: c\nd: >-\n  folded\n  text\n\ne: ''\n",
    "- - 1\n  - 2\n-\n  - é: \U0001f600 x\n    日本: {a: [], b: {}}\n- \n",
    "%YAML 1.2\n--- {a: 'it''s', b: \"\\U0001F600\\x41\\\n  c\", c: [d: e, f], g: http://x/y?z=1}\n...\n",
    "a: b\u2028c: [d,\u2029 e]\x85f:\n",
    "a: &a {b: &b [1]}\nc: [*a, *b]\n",
]


@pytest.mark.skipif(len(PARSERS) < 2, reason="PyYAML is built without libyaml")
@pytest.mark.parametrize("text", TEXTS)
def test_both_parsers_give_equal_nodes_and_places(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for parser in PARSERS.values():
        monkeypatch.setattr(events, "open_events", parser)
        found.append(node(text))
    assert found[0] == found[1]
    assert list(places(found[0])) == list(places(found[1]))


def spoiled(text: str, chance: random.Random) -> str:
    """The text with a few characters changed, put in, taken away or repeated."""
    characters = list(text)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(characters) or 1)
        letter = chance.choice("\t\n :-[]{},?'\"|>&*!%#@`ab1.\\<\r\u2028é日\x85\0\x1b\ufeff\ud800")
        length = chance.randint(0, 6)
        characters[at : at + length] = chance.choice([[letter], [], characters[at : at + length] * 2])
    return "".join(characters)


def whatever_is_wrong(text: str) -> tuple[Problem, ...]:
    try:
        parse(source(text))
    except SpecError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("seed", range(8))
def test_a_spoiled_spec_gives_nodes_or_placed_problems_and_nothing_else(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for _ in range(150):
        text = spoiled(chance.choice(TEXTS), chance)
        for found in whatever_is_wrong(text):
            place = found.place
            assert 1 <= place.line <= len(place.source.lines), text
            assert 1 <= place.column <= len(place.text) + 1, text
            assert (place.end_line, place.end_column) >= (place.line, place.column), text
            assert str(found)


def test_a_spec_of_100_kilobytes_is_read_in_a_blink(parser: str) -> None:
    layers = "".join(f"  - conv2d: {{name: c{number}, out_channels: 32, kernel_size: 3}}\n" for number in range(1900))
    text = f"input: [1, 28, 28]\nlayers:\n{layers}"
    begin = time.perf_counter()
    parse(source(text))
    # 0.05 s with libyaml and 0.3 s without on a machine that does nothing else; this only guards against a blow-up
    assert time.perf_counter() - begin < 5
