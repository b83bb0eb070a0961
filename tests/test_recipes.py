"""docs/recipes.md: its examples are recipes without problems, and nothing that can be chosen is left out."""

import re
from pathlib import Path

import pytest

from builder import load_spec, make_plan
from builder.kinds import Kind
from builder.lints import remarks
from builder.recipe import Augmentation, Dataset, Initialiser, Loss, Optimizer, Scheduler
from builder.recipe.averaging import Averaging

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "recipes.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TITLES: dict[str, type[Kind]] = {
    "Data": Dataset,
    "Augmentation": Augmentation,
    "Losses": Loss,
    "Optimizers": Optimizer,
    "Schedulers": Scheduler,
    "Initialisation": Initialiser,
    "Averaging": Averaging,
}
LEFT_OUT = {
    "dataset": "mnist_sample",
    "epochs": "10",
    "batch_size": "100",
    "loss": "cross_entropy",
    "optimizer": "{sgd: {lr: 0.1}}",
}


def completed(example: str) -> str:
    """A spec with this recipe, and whatever it leaves out."""
    keys = set(re.findall(r"^(\w+):", example, re.MULTILINE))
    lines = [*example.splitlines(), *(f"{key}: {value}" for key, value in LEFT_OUT.items() if key not in keys)]
    image = "[3, 32, 32]" if "cifar10" in example else "[1, 28, 28]"
    training = "".join(f"  {line}\n" for line in lines)
    return f"input: {image}\nlayers: [flatten, linear: {{out_features: 10}}]\ntraining:\n{training}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.splitlines()[0])
def test_every_example_of_the_recipes_plans_without_a_warning(example: str, tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(completed(example), encoding="utf-8")
    assert remarks(make_plan(load_spec(path))) == []


@pytest.mark.parametrize("title", TITLES)
def test_every_section_names_all_there_is_to_choose(title: str) -> None:
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    assert [kind for kind in TITLES[title].table if f"`{kind}`" not in section] == []


def test_the_pictures_of_the_recipes_are_there() -> None:
    shown = re.findall(r"\]\((pictures/\w+\.png)\)", PAGE)
    assert sorted(shown) == sorted(str(path.relative_to(DOCS)) for path in (DOCS / "pictures").iterdir())
    for name in shown:
        assert (DOCS / name).read_bytes().startswith(b"\x89PNG")
