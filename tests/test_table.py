"""The plan table: pinned whole, its columns add up to its totals, and what a narrow place leaves out."""

import html
import io
import os
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from builder import Plan, load_spec, make_plan
from builder.table import Column, Table

ROOT = Path(__file__).parent.parent
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
GOLDEN = ROOT / "tests" / "golden" / "net_plan.txt"
TITLES = ["name", "kind", "line", "input", "output", "field", "stride", "params", "MACs"]


def test_the_table_of_net_is_the_one_in_golden() -> None:
    found = f"{make_plan(load_spec(ROOT / 'specs' / 'net.yaml'))}\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


def number(text: str) -> int:
    return int(text.replace(",", ""))


def numbers(shape: str) -> list[int]:
    return [int(size) for size in shape.split("x")]


def cells(plan: Plan) -> tuple[list[list[str]], list[str]]:
    """The rows and the totals of the printed table, read back from its text."""
    title, head, rule, *lines = str(plan).splitlines()
    assert title.startswith(f"{plan.name}: input ")
    assert head.split() == TITLES
    assert set(rule) == {"\u2500"}
    end = lines.index("")
    # A star after the field marks one that covers the input.
    return [re.sub(r" \*", "*", line).split() for line in lines[:end]], lines[end + 1].split()


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_printed_columns_add_up_to_the_printed_totals(path: Path) -> None:
    plan = make_plan(load_spec(path))
    rows, totals = cells(plan)
    assert [len(row) for row in rows] == [len(TITLES)] * len(plan.rows)
    assert totals == ["total", f"{plan.params:,}", f"{plan.macs:,}"]
    assert sum(number(row[7]) for row in rows) == number(totals[1])
    assert sum(number(row[8]) for row in rows) == number(totals[2])


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_printed_rows_are_those_of_the_plan(path: Path) -> None:
    plan = make_plan(load_spec(path))
    rows, _ = cells(plan)
    for row, printed in zip(plan.rows, rows, strict=True):
        name, kind, line, in_shape, out_shape, field, stride, params, macs = printed
        assert (name, kind, int(line)) == (row.name, row.kind, row.line)
        assert (tuple(numbers(in_shape)), tuple(numbers(out_shape))) == (row.in_shape, row.out_shape)
        assert field.endswith("*") == row.receptive_field.covers_input
        assert numbers(field.rstrip("*")) in ([row.receptive_field.size[0]], list(row.receptive_field.size))
        assert stride in (str(row.receptive_field.stride[0]), "x".join(map(str, row.receptive_field.stride)))
        assert (number(params), number(macs)) == (row.params, row.macs)
    assert all(rows[i + 1][3] == rows[i][4] for i in range(len(rows) - 1))


def test_a_layer_stands_at_its_line_of_the_file() -> None:
    path = ROOT / "specs" / "net.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    for row in make_plan(load_spec(path)).rows:
        assert row.line is not None
        assert lines[row.line - 1].strip().startswith(f"- {row.kind}")


def test_buffers_are_told_apart_from_parameters() -> None:
    plan = make_plan(load_spec(ROOT / "specs" / "tiny.yaml"))
    assert plan.buffers > 0
    assert f"buffers (running statistics, not learned): {plan.buffers:,}" in str(plan)
    assert "buffers" not in str(make_plan(load_spec(ROOT / "specs" / "net.yaml")))


def test_a_table_says_what_its_numbers_are() -> None:
    text = str(make_plan(load_spec(ROOT / "specs" / "net.yaml")))
    assert "field: receptive field in pixels" in text
    assert "FLOPs = 2 x MACs" in text


# --- any table ---

HOSTILE = ["[red]x[/red]", "[/]", "\x1b[31mred", "a\u202eb", "line\nbreak", "::error::", ":smile:", "\u5b57", "100%"]
SHOWN = ["[red]x[/red]", "[/]", "\\x1b[31mred", "a\\u202eb", "line\\nbreak", "::error::", ":smile:", "\u5b57", "100%"]


@pytest.mark.parametrize(("text", "shown"), list(zip(HOSTILE, SHOWN, strict=True)))
def test_user_text_is_inert_wherever_it_stands(text: str, shown: str) -> None:
    table = Table((Column("name"), Column("value", "right")), [(text, "1")], (text, "1"), title=text, notes=[text])
    title, _, _, row, _, totals, note = table.text().splitlines()
    assert (title, note) == (shown, shown)
    assert row.startswith(shown)
    assert totals.startswith(shown)


def in_terminal(table: Table, width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that a terminal of this width shows."""
    stream = io.StringIO()
    wide = Console(file=stream, width=width, force_terminal=True, color_system=None, highlight=False, emoji=False)
    monkeypatch.setattr("rich.console.Console", lambda **options: wide)
    table.print(stream)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


ROWS = [("conv_1", "kindest", "1,000", "7"), ("a_name_that_is_long", "kind", "2", "8")]
COLUMNS = (Column("name"), Column("kind", drop=1), Column("params", "right"), Column("line", "right", drop=2))


def test_the_column_that_matters_least_is_left_out_first(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(COLUMNS, ROWS)
    for width, titles, note in (
        (60, ["name", "kind", "params", "line"], ""),
        (38, ["name", "kind", "params"], " in this width: line"),
        (32, ["name", "params"], " in this width: kind, line"),
    ):
        lines = in_terminal(table, width, monkeypatch)
        assert lines[0].split() == titles
        assert " ".join(lines).partition("not shown")[1:] == (("not shown", note) if note else ("", ""))
        assert max(map(len, lines)) <= width


def test_what_still_does_not_fit_is_folded_and_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table((Column("name"),), [("a_name_that_is_long",)])
    lines = in_terminal(table, 10, monkeypatch)
    assert max(map(len, lines)) <= 10
    assert "".join(lines[2:]) == "a_name_that_is_long"


def test_a_table_without_rows_prints_its_titles() -> None:
    assert Table(COLUMNS, []).text().split()[:4] == ["name", "kind", "params", "line"]


# --- Markdown ---

MARKUP = ["a|b", "`code`", "<b>x</b>", "[a](b)", "*a*", "_a_", "# a", "~~a~~", "&amp;", "https://a.b", "www.a.b", "\\|"]


def cells_of(markdown: str) -> list[list[str]]:
    """What a reader sees in the rows of the table, those of titles first."""
    page = MarkdownIt("commonmark").enable("table").render(markdown)
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    found = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    assert not any(re.search("<(?!/?strong>)", cell) for row in found for cell in row)
    return [[html.unescape(cell) for cell in row] for row in found]


@pytest.mark.parametrize(
    ("text", "shown"), [*zip(HOSTILE, SHOWN, strict=True), *((markup, markup) for markup in MARKUP)]
)
def test_user_text_is_inert_in_markdown_wherever_it_stands(text: str, shown: str) -> None:
    table = Table((Column("name"), Column(text, "right")), [(text, "1")], ("1", text), title=text, notes=[text])
    assert cells_of(table.markdown()) == [
        ["name", shown],
        [shown, "1"],
        ["<strong>1</strong>", f"<strong>{shown}</strong>"],
    ]
    assert not re.search(r"(?<!\\)://|www\.", table.markdown())  # GitHub makes links of these
    assert len(table.markdown().splitlines()) == 8


def test_markdown_keeps_the_sides_of_columns_and_the_indentation_of_rows() -> None:
    table = Table((Column("name"), Column("params", "right")), [("block", "1,000"), ("  conv", "  1")])
    assert table.markdown().splitlines() == [
        "| name | params |",
        "| :--- | ---: |",
        "| block | 1,000 |",
        "| &nbsp;&nbsp;conv | &nbsp;&nbsp;1 |",
    ]
