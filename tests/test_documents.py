"""What README and CONTRIBUTING show is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_house import FLOORS

from builder import load_spec, make_plan
from builder.formats import FORMATS
from builder.kinds import Kind
from builder.layers import LAYERS
from builder.layers.composites import COMPOSITES
from builder.recipe import Dataset, Loss, Optimizer, Scheduler
from builder.recipe.augmentations import Augmentation
from builder.recipe.averaging import Averaging
from builder.recipe.initialisation import Initialiser

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", [text for text in code_blocks(README, "yaml") if "input:" in text])
def test_the_examples_are_specs_without_problems(example: str, tmp_path: Path) -> None:
    spec = tmp_path / "example.yaml"
    spec.write_text(example, encoding="utf-8")
    plan = make_plan(load_spec(spec))
    assert plan.problems == ()
    assert plan.output == (10,)


def test_the_python_example_runs() -> None:
    example = code_blocks(README, "python")[0] + "\nprint(type(model.conv1).__name__)"
    done = subprocess.run([sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "Conv2d\n"


CHOICES: dict[str, type[Kind]] = {
    "data sets": Dataset,
    "losses": Loss,
    "optimizers": Optimizer,
    "schedulers": Scheduler,
    "augmentations": Augmentation,
    "averages": Averaging,
    "initialisations": Initialiser,
}
NUMBERS = {2: "two", 4: "four", 8: "eight", 9: "nine", 12: "twelve"}


@pytest.mark.parametrize("table", [LAYERS, COMPOSITES, *(CHOICES[noun].table for noun in list(CHOICES)[:-1])])
def test_the_readme_names_every_kind(table: dict[str, type]) -> None:
    assert [kind for kind in table if f"`{kind}`" not in README] == []


def test_the_changelog_counts_the_kinds() -> None:
    text = " ".join(CHANGELOG.split())
    assert f"{len(LAYERS)} layer kinds and {len(COMPOSITES)} composites" in text
    for noun, family in CHOICES.items():
        assert re.search(rf"\b{NUMBERS[len(family.table)]} {noun}\b", text), noun


ZOO = {path.stem: path for path in (ROOT / "specs" / "zoo").glob("[!_]*.yaml")}


def test_the_readme_names_every_network_of_the_zoo() -> None:
    assert [name for name in ZOO if f"`{name}`" not in README] == []


ZOO_ROWS = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| ([\d,]+) \|$", README, re.MULTILINE)


@pytest.mark.parametrize(("name", "params", "macs"), ZOO_ROWS)
def test_the_numbers_of_the_zoo_are_those_of_its_plans(name: str, params: str, macs: str) -> None:
    plan = make_plan(load_spec(ZOO[name]))
    assert (f"{plan.params:,}", f"{plan.macs:,}") == (params, macs)


def test_the_zoo_is_as_short_as_the_readme_says() -> None:
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in ZOO.values()]
    assert f"in {min(lengths)} to {max(lengths)} lines each" in README


def test_the_readme_names_every_format_of_check() -> None:
    assert r"\|".join(FORMATS) in README


@pytest.mark.parametrize("message", re.findall(r"^error\[.*$", README, re.MULTILINE))
def test_the_shown_errors_are_those_of_check(message: str, tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(MISTAKES, encoding="utf-8")
    fitting = tmp_path / "fitting.yaml"
    fitting.write_text(MISTAKES.replace("out_chanels", "out_channels"), encoding="utf-8")
    command = [sys.executable, "-m", "builder", "check", str(spec), str(fitting)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert message in done.stdout.splitlines()


MISTAKES = """\
input: [1, 28, 28]
layers:
  - conv2d: {name: conv1, out_chanels: 32, kernel_size: 3}
  - max_pool2d: {kernel_size: 6}
  - conv2d: {name: conv7, out_channels: 8, kernel_size: 5}
"""


def test_the_contributing_guide_shows_every_floor_of_the_house() -> None:
    shown = re.findall(r"^\| (`.*?`) \| ", CONTRIBUTING, re.MULTILINE)
    assert [floor.rstrip("/") for floors in shown for floor in floors.replace("`", "").split()] == list(FLOORS)


def printed(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


KIND, COMPOSITE, MODULE = code_blocks(CONTRIBUTING, "python")


def test_the_kind_of_the_contributing_guide_works() -> None:
    program = f"""
from dataclasses import dataclass
import torch
from builder.layers.base import Layer, Shape
{KIND}
from builder.schema import net_schema
from builder.reference import reference_text
from builder.layers import LAYERS
kind = net_schema()["definitions"]["layer"]["else"]["properties"]["softsign"]
print(kind["description"], "#### `softsign`" in reference_text())
print(LAYERS["softsign"]().module((3,))(torch.tensor([-1.0, 0.0, 3.0])).tolist())
"""
    assert printed(program) == "x / (1 + |x|), from -1 to 1. True\n[-0.5, 0.0, 0.75]\n"


def test_the_composite_of_the_contributing_guide_works(tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text("input: [2, 1, 1]\nlayers: [maximum: [identity, sigmoid]]\n", encoding="utf-8")
    program = f"""
from collections.abc import Mapping
import torch
from torch import Tensor
from builder import build_model, load_spec, make_plan, modules
from builder.layers.base import Shape
from builder.layers.composites import Branching
from builder.modules import Call, Composite
{MODULE}
modules.Maximum = Maximum
{COMPOSITE}
plan = make_plan(load_spec({str(spec)!r}))
print(plan.output, build_model(plan)(torch.tensor([[[[0.0]], [[2.0]]]])).flatten().tolist())
"""
    assert printed(program) == "(2, 1, 1) [0.5, 2.0]\n"


def test_ci_calls_the_test_command_of_the_readme() -> None:
    """`.ci/run` finds it by this pattern; there must be exactly one."""
    pattern = r"^python3 -m venv .* -m pytest$"
    assert len(re.findall(pattern, README, re.MULTILINE)) == 1
    assert pattern in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
