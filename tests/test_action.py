"""The composite action and the hook of pre-commit: right by their official schemas, and safe from their inputs."""

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from published_schemas import published_schema

ROOT = Path(__file__).parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BASH = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c"]  # as the runner starts it


@pytest.mark.parametrize(("name", "document"), [("GitHub Action", ACTION), (".pre-commit-hooks.yml", HOOKS)])
def test_they_are_valid_by_the_official_schemas(name: str, document: object) -> None:
    assert [error.message for error in published_schema(name).iter_errors(document)] == []


def test_inputs_come_through_the_environment_and_never_stand_in_a_command() -> None:
    assert [step["name"] for step in STEPS if "${{" in step["run"]] == []
    written = {value for step in STEPS for value in step["env"].values()}
    assert written == {"${{ github.action_path }}", *(f"${{{{ inputs.{name} }}}}" for name in ACTION["inputs"])}


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """The folder of temporary files of a runner, where a `yamlnet` is installed that prints its arguments."""
    programs = tmp_path / "temp with spaces" / "yamlnet" / "bin"
    programs.mkdir(parents=True)
    (programs / "activate").write_text('PATH="$RUNNER_TEMP/yamlnet/bin:$PATH"\n', encoding="utf-8")
    (programs / "yamlnet").write_text("#!/bin/sh\nprintf '<%s>\\n' \"$@\"\n", encoding="utf-8")
    (programs / "yamlnet").chmod(0o755)
    return programs.parents[1]


@pytest.mark.parametrize(
    ("paths", "strict", "arguments"),
    [
        ("specs", "false", ["check", "specs"]),
        ("specs\nmodels/a b.yaml\n\n  c\n", "true", ["check", "--strict", "specs", "models/a b.yaml", "c"]),
        ("--format\n-", "false", ["check", "./--format", "./-"]),
        ("$(touch pwned)\n`touch pwned`\n; touch pwned\n*\n\"; touch pwned; \"", "$(touch pwned)",
         ["check", "$(touch pwned)", "`touch pwned`", "; touch pwned", "*", '"; touch pwned; "']),
    ],
)  # fmt: skip
def test_the_action_gives_its_inputs_to_check_as_they_are(
    paths: str, strict: str, arguments: list[str], runner: Path
) -> None:
    environment = {"PATH": os.environ["PATH"], "RUNNER_TEMP": str(runner), "PATHS": paths, "STRICT": strict}
    done = subprocess.run(
        [*BASH, STEPS[1]["run"]], cwd=runner, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"<{argument}>" for argument in arguments]
    assert [path.name for path in runner.iterdir()] == ["yamlnet"]


def test_what_they_start_is_a_command_of_the_package_and_needs_no_torch() -> None:
    """`python -m builder` would start a package of this name in the repository that is checked."""
    assert [hook["entry"] for hook in HOOKS] == ["yamlnet check"]
    assert re.findall(r"^ *(yamlnet \w+)", STEPS[1]["run"], re.MULTILINE) == ["yamlnet check"]
    assert "yamlnet" in PROJECT["scripts"]
    assert not any("torch" in requirement for requirement in PROJECT["dependencies"])
    assert '"$SOURCE"\n' in STEPS[0]["run"]  # without extras


def test_the_hook_is_for_files_in_folders_of_specs() -> None:
    pattern = HOOKS[0]["files"]
    for path in ("specs/net.yaml", "models/specs/zoo/net.yml", "specs/_base.yaml"):
        assert re.search(pattern, path)
    for path in ("mkdocs.yml", "myspecs/a.yaml", "specs/readme.md"):
        assert not re.search(pattern, path)
