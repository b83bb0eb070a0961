"""What README and CONTRIBUTING show is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from builder import load_spec, make_plan
from builder.formats import FORMATS
from builder.layers import LAYERS
from builder.recipe import Dataset, Loss, Optimizer, Scheduler

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_first_example_is_a_spec_without_problems(tmp_path: Path) -> None:
    spec = tmp_path / "example.yaml"
    spec.write_text(code_blocks(README, "yaml")[0], encoding="utf-8")
    plan = make_plan(load_spec(spec))
    assert plan.problems == ()
    assert plan.output == (10,)


def test_the_python_example_runs() -> None:
    example = code_blocks(README, "python")[0] + "\nprint(type(model.conv1).__name__)"
    done = subprocess.run([sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "Conv2d\n"


@pytest.mark.parametrize("table", [LAYERS, Dataset.table, Loss.table, Optimizer.table, Scheduler.table])
def test_the_readme_names_every_kind(table: dict[str, type]) -> None:
    assert [kind for kind in table if f"`{kind}`" not in README] == []


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


def test_the_kind_of_the_contributing_guide_works() -> None:
    example = code_blocks(CONTRIBUTING, "python")[0]
    program = f"""
from dataclasses import dataclass
import torch
from builder.layers.base import Layer, Shape
{example}
from builder.schema import net_schema
from builder.layers import LAYERS
kind = net_schema()["properties"]["layers"]["items"]["else"]["properties"]["relu6"]
print(kind["description"], LAYERS["relu6"]().module((3,))(torch.tensor([-1.0, 2.0, 9.0])).tolist())
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "min(max(x, 0), 6). [0.0, 2.0, 6.0]\n"


def test_ci_calls_the_test_command_of_the_readme() -> None:
    """`.ci/run` finds it by this pattern; there must be exactly one."""
    pattern = r"^python3 -m venv .* -m pytest$"
    assert len(re.findall(pattern, README, re.MULTILINE)) == 1
    assert pattern in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
