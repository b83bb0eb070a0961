"""`python -m builder new NAME`: a spec to start from, which trains as it stands."""

import json
import re
from pathlib import Path

import pytest
from commands import BUILDER, ROOT, RUNNER, run

from builder import load_spec, make_plan
from builder.__main__ import main
from builder.exits import Status
from builder.starter import SCHEMA, starter_text


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_spec_has_no_problem_and_a_recipe(here: Path) -> None:
    assert main(["new", "mine"]) == Status.DONE
    plan = make_plan(load_spec(here / "mine.yaml"))
    assert plan.problems == ()
    assert plan.name == "mine"
    assert plan.spec.recipe


def test_a_new_spec_trains_on_the_images_that_come_with_the_package(here: Path) -> None:
    main(["new", "mine"])
    words = ["mine.yaml", "training.epochs=1", "training.dataset=mnist_sample", "--quiet"]
    done = run([*RUNNER, *words], cwd=here)
    assert done.returncode == Status.DONE, done.stderr
    (summary,) = here.glob("runs/mine/*/summary.json")
    assert json.loads(summary.read_text(encoding="utf-8"))["test"]["accuracy"] > 0.8


def test_a_new_spec_opens_with_the_line_that_names_its_schema(here: Path) -> None:
    main(["new", "mine"])
    first, _, rest = (here / "mine.yaml").read_text(encoding="utf-8").partition("\n")
    assert first == "# yaml-language-server: $schema=net.schema.json"
    assert rest == starter_text()


def test_a_new_spec_says_how_to_get_a_schema_that_is_not_there(here: Path) -> None:
    done = run([*BUILDER, "new", "mine"], cwd=here)
    assert done.stdout == "wrote mine.yaml: python -m builder show mine.yaml\n"
    assert done.stderr == "yamlnet: for completion in an editor: python -m builder schema > net.schema.json\n"
    (here / SCHEMA.name).write_text("{}", encoding="utf-8")
    assert run([*BUILDER, "new", "other"], cwd=here).stderr == ""


def test_a_new_spec_in_a_checkout_names_the_schema_of_the_checkout(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = here / "builder" / "net.schema.json"
    folder = here / "specs" / "mine"
    for path in (schema.parent, folder):
        path.mkdir(parents=True)
    schema.write_text("{}", encoding="utf-8")
    monkeypatch.setattr("builder.starter.SCHEMA", schema)
    assert main(["new", "specs/mine/net"]) == Status.DONE
    text = (folder / "net.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../../builder/net.schema.json\n")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["mine.yaml", "mine.yml"])
def test_a_name_with_an_ending_keeps_it(here: Path, name: str) -> None:
    assert main(["new", name]) == Status.DONE
    assert [path.name for path in here.iterdir()] == [name]


def test_a_file_that_exists_stays_as_it_is(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine.yaml").write_text("precious", encoding="utf-8")
    assert main(["new", "mine"]) == Status.OUTPUT
    assert capsys.readouterr().err == "yamlnet: `mine.yaml` exists already, and stays as it is\n"
    assert (here / "mine.yaml").read_text(encoding="utf-8") == "precious"


def test_a_link_that_leads_nowhere_is_not_written_through(here: Path) -> None:
    (here / "mine.yaml").symlink_to(here / "elsewhere")
    assert main(["new", "mine"]) == Status.OUTPUT
    assert not (here / "elsewhere").exists()


@pytest.mark.parametrize(
    ("name", "shown"), [("My Net", "My Net"), ("a.b", "a.b"), ("_base", "_base"), ("", ""), ("\x1b[31m", r"\x1b[31m")]
)
def test_a_name_that_no_spec_can_have_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], name: str, shown: str
) -> None:
    assert main(["new", name]) == Status.USAGE
    assert capsys.readouterr().err == (
        f"yamlnet: `{shown}` can't name a spec: a spec's name is 1 to 64 lower-case letters, digits, `_` and `-`, "
        "and begins with a letter or a digit\n"
    )
    assert list(here.iterdir()) == []


def test_a_folder_that_is_missing_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "there/mine"]) == Status.USAGE
    assert capsys.readouterr().err == "yamlnet: there is no folder `there`\n"
    assert list(here.iterdir()) == []


def test_a_file_system_that_refuses_exits_with_6(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert main(["new", "mine"]) == Status.OUTPUT
    assert capsys.readouterr().err == "yamlnet: can't write `mine.yaml`: Permission denied\n"


def test_new_without_a_name_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["new"])
    assert stop.value.code == Status.USAGE
    assert "NAME" in capsys.readouterr().err


def test_every_line_of_the_starter_is_at_most_120_characters_and_most_explain_themselves() -> None:
    lines = starter_text().splitlines()
    assert max(map(len, lines)) <= 120
    assert sum("#" in line for line in lines) >= len(lines) / 3


def test_the_starter_has_no_character_that_an_editor_reads_as_a_tab_stop() -> None:
    assert not re.search(r"[$\\]", starter_text())


def test_new_is_listed_among_the_commands() -> None:
    done = run([*BUILDER, "--help"], cwd=ROOT)
    assert re.search(r"^ +new +write a spec to start from, with comments$", done.stdout, re.MULTILINE)
