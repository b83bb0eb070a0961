"""`check --format github` and `sarif`: pinned whole, escaped, and as those who read them want them."""

import importlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from github_runner import Command, obeyed
from published_schemas import published_schema

from builder.__main__ import main
from builder.formats import FORMATS, FileReport, Report
from builder.formats.github import github
from builder.formats.repository import in_repository
from builder.formats.sarif import FINGERPRINT, sarif
from builder.problems import Place, Problem, Severity, Source, Use, printable
from builder.source import STDIN
from builder.version import __version__
from builder.workflow import without_commands

ROOT = Path(__file__).parent.parent
INVALID = ROOT / "tests" / "specs" / "invalid"
FORMATTED = (
    *("fields/misspelt_required_keys", "fields/hostile_names", "rules/dropout_of_everything", "text/not_utf8"),
    "composition/fraction_in_a_block",
)
HOSTILE = "::error::100%\n::stop-commands::x\r##[add-mask]a, b: [red]c[/red] \x1b[31m \u202e"


def problem(
    message: str = "wrong",
    hint: str = "",
    *,
    file: str = "net.yaml",
    severity: Severity = "error",
    lines: tuple[int, int] = (2, 2),
    uses: tuple[Use, ...] = (),
    text: str = "input: [1]\nlayers: [relux]",
) -> Problem:
    """A problem of a file that needn't exist."""
    place = Place(Source(file, text), lines[0], 10, lines[1], 15)
    return Problem("unknown-kind", message, place, hint, severity=severity, uses=uses)


def report_of(*problems: Problem) -> Report:
    return Report([FileReport(problems[0].place.source.name, problems)])


def log_of(*problems: Problem) -> dict[str, Any]:
    """The run of a SARIF log, which the official schema accepts."""
    return validated("\n".join(sarif(report_of(*problems))))


def validated(text: str) -> dict[str, Any]:
    document = json.loads(text)
    assert [error.message for error in published_schema("sarif-2.1.0").iter_errors(document)] == []
    run: dict[str, Any] = document["runs"][0]
    return run


# --- pinned ---


@pytest.mark.parametrize("name", FORMATTED)
@pytest.mark.parametrize("format_name", ["github", "sarif"])
def test_a_format_prints_what_is_kept_in_golden(
    name: str, format_name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    path = INVALID / f"{name}.yaml"
    main(["check", str(path.relative_to(ROOT)), "--format", format_name])
    printed = capsys.readouterr().out.replace(f'"version": "{__version__}"', '"version": "VERSION"')
    golden = ROOT / "tests" / "golden" / f"{path.stem}.{format_name}"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(printed, encoding="utf-8")
    assert printed == golden.read_text(encoding="utf-8"), f"if this is better: UPDATE_GOLDEN=1, and read {golden}"


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_report_without_problems_says_so_in_every_format(format_name: str) -> None:
    text = "\n".join(FORMATS[format_name](Report([FileReport("net.yaml", [])])))
    if format_name == "sarif":
        assert validated(text)["results"] == []
    elif format_name == "json":
        assert json.loads(text)["problems"] == []
    else:
        assert text == "no problems in 1 spec"


# --- GitHub ---


def test_a_problem_is_a_command_at_its_characters_and_names_its_code() -> None:
    found = obeyed("\n".join(github(report_of(problem("unknown kind `relux`", "did you mean `relu`?")))))
    place = {"file": "net.yaml", "line": "2", "endLine": "2", "col": "10", "endColumn": "15"}
    text = "unknown kind `relux`\ndid you mean `relu`?"
    assert found == [Command("error", text, {**place, "title": "unknown-kind"})]


@pytest.mark.parametrize(("severity", "name"), [("error", "error"), ("warning", "warning"), ("info", "notice")])
def test_github_has_a_command_for_each_severity(severity: Severity, name: str) -> None:
    assert [command.name for command in obeyed("\n".join(github(report_of(problem(severity=severity)))))] == [name]


def test_columns_are_left_out_where_a_place_spans_lines_as_the_runner_refuses_them() -> None:
    [found] = obeyed("\n".join(github(report_of(problem(lines=(1, 2))))))
    assert found.properties.keys() == {"file", "line", "endLine", "title"}


def test_the_calls_that_led_into_a_block_stand_in_the_annotation() -> None:
    outer, inner = (Use(name, Place(Source("net.yaml", ""), line, 5, line, 9)) for name, line in (("B", 9), ("A", 7)))
    [found] = obeyed("\n".join(github(report_of(problem(uses=(inner, outer))))))
    assert found.data.splitlines()[1:] == [
        "in block `A`, used at net.yaml:7:5", "in block `B`, used at net.yaml:9:5"
    ]  # fmt: skip


def test_no_text_of_a_user_ends_a_command_or_begins_another() -> None:
    hostile = problem(HOSTILE, HOSTILE, file=f"specs/{HOSTILE}.yaml", uses=(Use(HOSTILE, problem().place),))
    printed = "\n".join(github(report_of(hostile)))
    [found] = obeyed(printed)
    assert found.name == "error"
    assert found.data.startswith(printable(HOSTILE))
    assert set(found.properties) == {"file", "line", "endLine", "col", "endColumn", "title"}
    assert "::error::100%\\n::stop-commands::x\\r##[add-mask]a, b" in found.properties["file"]
    assert len(printed.splitlines()) == 2


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("::add-mask::a", r"\u003a:add-mask::a"),
        ("  ::add-mask::a", r"  \u003a:add-mask::a"),
        ("a\n::add-mask::a", "a\n\\u003a:add-mask::a"),
        ("8 | # ##[add-mask]a", r"8 | # \u0023#[add-mask]a"),
        ("###[add-mask]a", r"#\u0023#[add-mask]a"),
        ("a ::error::b, ## [x]", "a ::error::b, ## [x]"),
        ("", ""),
    ],
)
def test_the_runner_takes_no_other_line_for_a_command(line: str, shown: str) -> None:
    assert without_commands(line) == shown
    assert obeyed(shown) == []


# --- SARIF ---


def test_sarif_of_every_report_is_valid_by_the_official_schema(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    main(["check", "tests/specs", "specs", "--advice", "--format", "sarif"])
    run = validated(capsys.readouterr().out)
    main(["check", "tests/specs", "specs", "--advice", "--format", "json"])
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [result["ruleId"] for result in run["results"]] == [found["code"] for found in problems]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == sorted({found["code"] for found in problems})
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    assert {result["level"] for result in run["results"]} == {"error", "warning", "note"}


def test_hostile_text_keeps_sarif_valid_and_inert() -> None:
    run = log_of(problem(HOSTILE + " [link](0)", file=f"specs/{HOSTILE} é#?.yaml"))
    text = run["results"][0]["message"]["text"]
    assert "\x1b" not in text
    assert "[link] (0)" in text  # `[link](0)` would lead to another location
    uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.isascii()
    assert not set(uri) & set(" :#?\n\x1b[]%") - {"%"}


def test_the_calls_that_led_into_a_block_are_related_locations() -> None:
    use = Use("Conv", Place(Source("net.yaml", ""), 9, 5, 9, 9))
    [related] = log_of(problem(uses=(use,)))["results"][0]["relatedLocations"]
    assert related["physicalLocation"]["region"]["startLine"] == 9
    assert related["message"]["text"] == "in block `Conv`, used at net.yaml:9:5"


def fingerprints(*problems: Problem) -> list[str]:
    return [result["partialFingerprints"][FINGERPRINT] for result in log_of(*problems)["results"]]


def test_a_fingerprint_stays_when_other_lines_change_and_tells_equal_ones_apart() -> None:
    lines = "input: [1]\nlayers: [relux]"
    moved = problem(text=f"# a comment\n{lines}", lines=(3, 3))
    assert fingerprints(moved) == fingerprints(problem(text=lines))
    assert fingerprints(problem(text=lines.replace("relux", "reluy"))) != fingerprints(problem(text=lines))
    assert len(set(fingerprints(problem(), problem(), problem(file="other.yaml")))) == 3


def test_of_too_many_results_the_errors_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("builder.formats.sarif")  # `builder.formats.sarif` is the function
    monkeypatch.setattr(module, "MAX_RESULTS", 3)
    found = [problem(severity=severity) for severity in ("info", "warning", "error", "warning", "error")]
    assert [result["level"] for result in log_of(*found)["results"]] == ["error", "error", "warning"]
    assert [result["level"] for result in log_of(*found[:3])["results"]] == ["note", "warning", "error"]


# --- paths ---


def test_paths_lead_from_the_root_of_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    (tmp_path / "repository" / "models" / "specs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "repository" / "models")
    assert in_repository("specs/net.yaml") == "models/specs/net.yaml"
    assert in_repository("../net.yaml") == "net.yaml"
    assert in_repository(str(tmp_path / "repository" / "net.yaml")) == "net.yaml"
    assert in_repository(STDIN) == STDIN


def test_without_a_repository_paths_lead_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert in_repository("specs/net.yaml") == "specs/net.yaml"
    assert in_repository("../net.yaml") == (tmp_path / "net.yaml").as_posix()
    located = log_of(problem(file="../a net.yaml"))["results"][0]["locations"][0]["physicalLocation"]
    assert located["artifactLocation"]["uri"] == (tmp_path / "a net.yaml").as_uri()
