"""Every message, pinned: each spec in `specs/invalid` has beside it exactly what `check` prints about it.

A comment in a spec may ask for a run instead, `# python runner.py SPEC ...`, or for a file that is too large to be
kept, `# The test writes the last line 1,000 times.`

`UPDATE_GOLDEN=1 python -m pytest tests/test_reports.py` writes the reports anew; read the diff as a user would.
"""

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from written_codes import written_codes

import runner
from builder import SpecError, build_model, load_spec, make_plan
from builder.__main__ import main
from builder.kinds import Kind, OneOf, parameters
from builder.layers import LAYERS
from builder.layers.composites import COMPOSITES
from builder.lists import lists_of_layers, plain_values
from builder.problems import Source
from builder.recipe import Augmentation, Averaging, Dataset, Loss, Optimizer, Recipe, Scheduler
from builder.schema import COMMON_FIELDS, net_schema
from builder.source import parse

ROOT = Path(__file__).parent.parent
INVALID = ROOT / "tests" / "specs" / "invalid"
VALID = ROOT / "tests" / "specs" / "valid"
FORMATTED = (
    *("fields/misspelt_required_keys", "fields/hostile_names", "rules/dropout_of_everything", "text/not_utf8"),
    "composition/fraction_in_a_block",
)
RUN = re.compile(rb"^# python runner\.py \S+(.*)$", re.MULTILINE)
GROWN = re.compile(rb"^# The test writes the last line ([\d,]+) times\.$", re.MULTILINE)


def specs_below(folder: Path) -> list[Path]:
    """Bases of others are tested with those that extend them."""
    return sorted(path for path in folder.rglob("*.yaml") if not path.name.startswith("_"))


def called(path: Path) -> str:
    return str(path.relative_to(path.parents[1]).with_suffix(""))


@pytest.fixture(autouse=True)
def _in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports name files as they were given: from here, they read the same on every machine."""
    monkeypatch.chdir(ROOT)


def checked(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    status = main(["check", str(path.relative_to(ROOT)), *options])
    printed = capsys.readouterr()
    assert printed.err == ""
    return status, printed.out


def compare(found: str, golden: Path) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8"), f"if this is better: UPDATE_GOLDEN=1, and read {golden}"


def run(path: Path, arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The status of a run that ends before it begins, and what it says of the spec."""
    status = runner.main([str(path.relative_to(ROOT)), *shlex.split(arguments)])
    printed = capsys.readouterr()
    assert printed.out == ""
    return status, printed.err


def write_grown(path: Path, times: int, folder: Path) -> None:
    """Write a spec with its last line so many times, where its name in the folder is what it is here."""
    head, last, _ = path.read_bytes().rsplit(b"\n", 2)
    grown = folder / path.relative_to(ROOT)
    grown.parent.mkdir(parents=True)
    grown.write_bytes(head + b"\n" + (last + b"\n") * times)


@pytest.mark.parametrize("path", specs_below(INVALID), ids=called)
def test_the_report_of_an_invalid_spec_is_the_one_beside_it(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = path.read_bytes()
    if grown := GROWN.search(text):
        write_grown(path, int(grown[1].replace(b",", b"")), tmp_path)
        monkeypatch.chdir(tmp_path)
    asked = RUN.search(text)
    status, report = run(path, asked[1].decode(), capsys) if asked else checked(path, capsys)
    assert status == (1 if "error[" in report else 0)
    assert "no problems" not in report
    compare(report, path.with_suffix(".txt"))


def test_every_report_belongs_to_a_spec() -> None:
    assert [path for path in INVALID.rglob("*.txt") if not path.with_suffix(".yaml").exists()] == []


@pytest.mark.parametrize("name", FORMATTED)
@pytest.mark.parametrize("format_name", ["concise", "json"])
def test_the_other_formats_print_what_is_kept_in_golden(
    name: str, format_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = INVALID / f"{name}.yaml"
    _, report = checked(path, capsys, "--format", format_name)
    compare(report, ROOT / "tests" / "golden" / f"{path.stem}.{format_name}")


def test_every_code_of_the_sources_is_in_a_report() -> None:
    in_sources = written_codes()
    reports = "".join(path.read_text(encoding="utf-8") for path in INVALID.rglob("*.txt"))
    assert {"kernel-too-large", "tag", "unknown-name", "wrong-operand", "invalid-expression"} <= in_sources  # found
    assert {code for code in in_sources if f"[{code}]: " not in reports} == set()


# --- valid specs ---


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("path", specs_below(VALID), ids=called)
def test_a_valid_spec_has_no_problem_and_builds(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(path, capsys, "--strict") == (0, "no problems in 1 spec\n")
    plan = make_plan(load_spec(path))
    with torch.device("meta"):
        model = build_model(plan).eval()
        assert tuple(model(torch.empty(2, *plan.spec.input)).shape) == (2, *plan.output)
    assert [name for name, _ in model.named_children()] == [row.name for row in plan.rows]


def test_valid_specs_hold_every_kind_every_parameter_and_every_root_key() -> None:
    data = [
        plain_values(parse(Source(str(path), path.read_bytes().decode("utf-8-sig")))) for path in specs_below(VALID)
    ]
    recipes = [spec["training"] for spec in data if "training" in spec]
    assert {key for spec in data for key in spec} == set(net_schema()["properties"])
    assert {key for recipe in recipes for key in recipe} == {field.name for field in parameters(Recipe)}
    choices = [choice for spec in data for _, layers in lists_of_layers(spec) for choice in layers]
    choices += [
        recipe[field.name]
        for recipe in recipes
        for field in parameters(Recipe)
        if isinstance(getattr(field.type, "other", field.type), OneOf) and recipe.get(field.name) is not None
    ]
    choices += [choice for recipe in recipes for choice in recipe.get("augmentations", [])]
    written: dict[str, set[str]] = {}
    for choice in choices:
        word, names = given_names(choice)
        written.setdefault(word, set()).update(names)
    families = (Augmentation, Averaging, Dataset, Loss, Optimizer, Scheduler)
    every: dict[str, type[Kind]] = {**LAYERS, **{kind: cls for base in families for kind, cls in base.table.items()}}
    for kind, cls in every.items():
        assert {field.name for field in parameters(cls)} <= written[kind], kind
    for kind, composite in COMPOSITES.items():
        names = {field.name for field in parameters(composite)} | {held.name for held in composite.holds}
        names |= {*COMMON_FIELDS, *composite.more_properties(), *([LIST_FORM] if composite.list_form else [])}
        assert names <= written[kind], kind
    blocks = [block for spec in data for block in spec.get("blocks", {}).values()]
    written_keys = {LIST_FORM if isinstance(block, list) else key for block in blocks for key in block}
    assert written_keys == {LIST_FORM, "parameters", "variables", "layers"}


LIST_FORM = "[...]"


def given_names(choice: Any) -> tuple[str, set[str]]:
    """What is chosen, and the names of what it is given."""
    if isinstance(choice, str):
        return choice, set()
    ((word, given),) = choice.items()
    return word, set(given) if isinstance(given, dict) else {LIST_FORM} if isinstance(given, list) else set()


# --- many mistakes ---


def test_a_thousand_mistakes_print_the_first_twenty_and_the_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "many.yaml"
    path.write_text("input: [1, 28, 28]\nlayers:\n" + "  - relu: {kernal: 3}\n" * 1000, encoding="utf-8")
    for format_name in ("full", "concise"):
        assert main(["check", str(path), "--format", format_name]) == 1
        report = capsys.readouterr().out
        assert report.count("unknown key") == 20
        assert f"... and 980 more problems in {path}\n" in report
        assert report.endswith("1,000 errors, 0 warnings in 1 spec\n")
    assert main(["check", str(path), "--format", "json"]) == 1
    assert capsys.readouterr().out.count("unknown key") == 1000


def test_problems_of_one_file_leave_room_for_those_of_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        text = "input: [1, 28, 28]\nlayers:\n" + "  - relux\n" * 21
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    assert main(["check", str(tmp_path)]) == 1
    report = capsys.readouterr().out
    assert report.count("unknown kind") == 40
    assert report.count("... and 1 more problem in ") == 2


def test_a_misspelt_word_of_any_length_is_compared_quickly(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    word = "out_channels" * 1000
    path.write_text(f"input: [1, 28, 28]\nlayers:\n  - conv2d: {{{word[:1000]}: 1}}\n  - {word}\n", encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert [problem.code for problem in caught.value.problems] == ["missing-key", "unknown-key", "unknown-kind"]
    assert all(len(problem.sentence) < 600 for problem in caught.value.problems)


# --- the layers before one that fails ---

FITTING = "the last layers that fit, and what they give:"


@pytest.mark.parametrize(
    ("layers", "lines"),
    [
        ("[linear: {out_features: 3}]", []),
        ("[relu, linear: {out_features: 3}]", ["input         1x28x28", "relu_1  relu  1x28x28"]),
        (
            "[flatten, repeat: {times: 9, layers: [relu, linear: {out_features: $(784 - in_channels)}]}]",
            [
                "input                   1x28x28",
                "flatten_1   flatten     784",
                "repeat_1    repeat",
                "  0         sequential",
                "    relu_1  relu        784",
            ],
        ),
        (
            "[repeat: {times: 100, layers: [avg_pool2d: {kernel_size: 3, stride: 1}, relu]}]",
            [
                "...",
                "repeat_1  repeat",
                "  10      sequential  1x6x6",
                "  11      sequential  1x4x4",
                "  12      sequential  1x2x2",
                "  13      sequential",
            ],
        ),
    ],
)
def test_what_fits_before_a_layer_that_fails_is_shown_to_people(
    layers: str, lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(f"input: [1, 28, 28]\nlayers: {layers}\n", encoding="utf-8")
    assert main(["check", str(path)]) == 1
    report = capsys.readouterr().out
    shown = "".join(f"  {line}\n" for line in lines)
    assert report.partition(f"{FITTING}\n")[2] == (f"{shown}\n1 error, 0 warnings in 1 spec\n" if lines else "")
    for format_name in ("concise", "json", "github", "sarif"):
        main(["check", str(path), "--format", format_name])
        assert FITTING not in capsys.readouterr().out


def test_of_a_network_that_is_too_large_no_layers_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("input: [1, 28, 28]\nbudget: {macs: 1}\nlayers: [flatten, linear: {out_features: 3}]\n")
    assert main(["check", str(path)]) == 1
    report = capsys.readouterr().out
    assert "over-budget" in report
    assert FITTING not in report
