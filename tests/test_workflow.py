"""Inside GitHub Actions, nothing that a spec holds becomes a command of the runner."""

import json
from pathlib import Path

import pytest
from github_runner import obeyed

from builder.__main__ import main
from builder.workflow import inert

HOSTILE = """\
name: hostile
input: [1, 28, 28]
layers:
  - relu
  - "##[error]forged": {}
  - "::error::forged"
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    path = tmp_path / "hostile.yaml"
    path.write_text(HOSTILE, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_what_show_prints_holds_no_command(spec: str, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", spec, *options]) == 1
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert "forged" in text
    assert obeyed(text) == []


def test_json_means_the_same_without_commands(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", spec, "--json"])
    messages = [problem["message"] for problem in json.loads(capsys.readouterr().out)["problems"]]
    assert messages == ["unknown kind `##[error]forged`", "unknown kind `::error::forged`"]


def test_elsewhere_texts_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert inert("##[error]x") == "##[error]x"
