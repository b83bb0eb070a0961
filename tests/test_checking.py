"""Where `check` reads, and what it does inside GitHub Actions."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import BUILDER, environment
from github_runner import obeyed

from builder.__main__ import main
from builder.formats import FileReport, Report
from builder.formats.summary import step_summary
from builder.problems import Place, Problem, Source

GOOD = "input: [1, 28, 28]\nlayers: [flatten, {linear: {out_features: 10}}]\n"
BAD = "input: [1, 28, 28]\nlayers: [relux]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a good and a bad spec."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "bad.yaml").write_text(BAD, encoding="utf-8")
    return tmp_path


@pytest.fixture
def summary(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """GitHub Actions, and the page of its step."""
    page = folder / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    return page


# --- standard input ---


def checked(text: bytes, *words: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    command = [*BUILDER, "check", *words]
    return subprocess.run(command, input=text, cwd=cwd, env=environment(), capture_output=True, timeout=60, check=False)


def test_a_dash_is_standard_input(tmp_path: Path) -> None:
    done = checked(BAD.encode(), "-", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b" --> <stdin>:2:10\n" in done.stdout
    assert done.stdout.endswith(b"1 error, 0 warnings in 1 spec\n")


def test_standard_input_may_stand_among_files_and_needs_no_name(folder: Path) -> None:
    done = checked(GOOD.encode(), "good.yaml", "-", "bad.yaml", "--format", "json", "--jobs", "3", cwd=folder)
    document = json.loads(done.stdout)
    assert document["files"] == 3
    assert [problem["file"] for problem in document["problems"]] == ["bad.yaml"]


def test_a_spec_of_standard_input_extends_a_file_of_the_working_directory(folder: Path) -> None:
    done = checked(b"extends: good.yaml\nname: other\n", "-", cwd=folder)
    assert (done.returncode, done.stdout) == (0, b"no problems in 1 spec\n")
    done = checked(b"extends: '-'\n", "-", cwd=folder)
    assert b"can't read `-`: there is no such file" in done.stdout


@pytest.mark.parametrize(
    ("text", "code"), [(b"", b"empty-spec"), (b"\xff\xfe", b"not-utf8"), (b"#" * 1_000_001, b"file-too-large")]
)
def test_what_is_no_spec_is_reported_at_standard_input(text: bytes, code: bytes, tmp_path: Path) -> None:
    done = checked(text, "-", "--format", "concise", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith(b"<stdin>:1:1: error[" + code + b"]: ")


def test_a_closed_standard_input_is_2(tmp_path: Path) -> None:
    words = ["bash", "-c", '"$0" -m builder check - <&-', sys.executable]
    done = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "yamlnet: can't read `<stdin>`: it is closed\n")


def test_a_spec_can_be_shown_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    assert main(["show", "-"]) == 0
    assert capsys.readouterr().out.startswith("stdin: input 1x28x28\n")


# --- GitHub Actions ---


def test_inside_github_actions_people_and_github_get_their_reports(
    summary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "."]) == 1
    printed = capsys.readouterr().out
    [command] = obeyed(printed)
    assert command.properties["file"] == "bad.yaml"
    assert " --> bad.yaml:2:10\n" in printed
    assert printed.endswith("\n1 error, 0 warnings in 2 specs\n")
    assert summary.read_text(encoding="utf-8") == (
        "**1 error, 0 warnings in 2 specs**\n\n"
        "| spec | output | params | MACs | field | verdict |\n"
        "| :--- | ---: | ---: | ---: | ---: | :--- |\n"
        "| bad.yaml |  |  |  |  | 1 error |\n"
        "| good.yaml | 10 | 7,850 | 7,840 | 28 \\* | ok |\n\n"
        "field: receptive field in pixels; \\* covers the whole input\n\n"
        "MACs: multiply-accumulates for one image, bias excluded (FLOPs = 2 x MACs)\n"
    )


@pytest.mark.parametrize("format_name", ["full", "concise", "json", "sarif", "github"])
def test_a_format_that_is_asked_for_is_all_that_is_printed(
    format_name: str, summary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", ".", "--format", format_name]) == 1
    assert len(obeyed(capsys.readouterr().out)) == (format_name == "github")
    assert not summary.exists()


@pytest.mark.parametrize("value", ["", "false", None])
def test_elsewhere_there_are_no_commands(
    value: str | None, summary: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv("GITHUB_ACTIONS")
    else:
        monkeypatch.setenv("GITHUB_ACTIONS", value)
    assert main(["check", "."]) == 1
    assert obeyed(capsys.readouterr().out) == []
    assert not summary.exists()


def test_two_checks_of_one_step_share_its_page(summary: Path) -> None:
    main(["check", "good.yaml"])
    main(["check", "bad.yaml"])
    assert summary.read_text(encoding="utf-8").count("| spec |") == 2


def test_a_page_that_can_not_be_written_fails_no_step(
    summary: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary.parent))
    assert main(["check", "good.yaml"]) == 0
    assert capsys.readouterr().err == "yamlnet: can't write the summary of the step: Is a directory\n"
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert main(["check", "good.yaml"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("format_name", [None, "full", "concise", "json", "sarif"])
def test_no_spec_and_no_name_of_a_file_gives_the_runner_an_order(
    format_name: str | None, summary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("::stop-commands::x", "##[stop-commands]x", "a%0A::error::b", "::add-mask::"):
        Path(f"{name}.yaml").write_text(
            f"name: '{name}'  # ##[add-mask]a\nlayers: ['{name}', relux]\n", encoding="utf-8"
        )
        Path(f"{name}.yml").symlink_to("nowhere")
    assert main(["check", ".", *([] if format_name is None else ["--format", format_name])]) == 1
    printed = capsys.readouterr()
    assert {command.name for command in obeyed(printed.out)} == (set() if format_name else {"error"})
    assert obeyed(printed.err) == []
    assert printed.err.count("there is no such file") == 4
    if format_name == "json":
        assert {problem["file"] for problem in json.loads(printed.out)["problems"]} >= {"##[stop-commands]x.yaml"}


def test_the_differences_of_fix_give_the_runner_no_order_either(
    summary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "::stop-commands::x: 1\nlayers: [flatten, linear: {out_featurs: 10}]  # ##[add-mask]a\ninput: [1, 28, 28]\n"
    Path("typo.yaml").write_text(text, encoding="utf-8")
    assert main(["check", "typo.yaml", "--fix"]) == 1
    printed = capsys.readouterr().out
    assert "+layers: [flatten, linear: {out_features: 10}]" in printed
    assert [command.name for command in obeyed(printed)] == ["error"]


# --- the page of a step ---


def report(*names: str, wrong: str = "") -> Report:
    mistake = Problem("unknown-kind", "wrong", Place(Source(wrong, ""), 1, 1, 1, 2))
    return Report([FileReport(name, [mistake] if name == wrong else []) for name in names])


def test_the_name_of_a_spec_is_only_text_on_the_page() -> None:
    name = "a|b`c`<img src=x>[d](http://e)*f*\n# g @h :smile: $i$ ~~j~~ &amp; www.k.l"
    [row] = [line for line in step_summary(report(name)).splitlines() if "img" in line]
    assert row == (
        r"| a\|b\`c\`\<img src=x\>\[d\](http:/e)\*f\*\\n\# g \@h \:smile: \$i\$ \~\~j\~\~ \&amp; www\.k.l "
        "|  |  |  |  | ok |"
    )


def test_a_page_has_at_most_as_many_bytes_as_github_takes_and_keeps_what_is_wrong() -> None:
    names = [f"specs/é{number:05}.yaml" for number in range(30_000)]
    page = step_summary(report(*names, wrong=names[-1]))
    assert 900_000 < len(page.encode()) <= 1_000_000
    assert "29999.yaml |  |  |  |  | 1 error |" in page
    shown = page.count(".yaml |")
    assert page.endswith(f"\n{30_000 - shown:,} more specs are not shown\n")


def test_a_page_that_is_full_already_gets_nothing() -> None:
    assert step_summary(report("net.yaml"), 10) == ""
