"""The reference page is current and complete, and every example in the documents is what it says."""

import contextlib
import io
import re
from pathlib import Path

import pytest
import yaml

from builder import SpecError, limits, load_spec, make_plan, reference
from builder.__main__ import main
from builder.codes import LINT_CODES
from builder.kinds import Kind, Nested, OneOf, parameters
from builder.layers import LAYERS
from builder.layers.composites import COMPOSITES
from builder.problems import Problem
from builder.recipe import Augmentation, Budget, Dataset, Initialiser, Loss, Optimizer, Recipe, Scheduler
from builder.reference import REGENERATE, reference_text
from builder.schema import COMMON_FIELDS, net_schema
from builder.source import is_base
from builder.spec import check_base

ROOT = Path(__file__).parent.parent
DOCUMENTS = {path: path.read_text(encoding="utf-8") for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]}
LANGUAGE = DOCUMENTS[ROOT / "docs" / "language.md"]
PAGE = reference_text()
FAMILIES = (Augmentation, Dataset, Initialiser, Loss, Optimizer, Scheduler)
# By their headings: `linear` is a layer, and a scheduler too.
KINDS: dict[str, type[Kind]] = {
    **{f"`{kind}`": cls for kind, cls in {**LAYERS, **COMPOSITES}.items()},
    **{
        f"`{kind}` ({family.family})" if kind in LAYERS else f"`{kind}`": cls
        for family in FAMILIES
        for kind, cls in family.table.items()
    },
}


def section(title: str, page: str = PAGE) -> str:
    """What stands below a heading, up to the next heading of any level."""
    _, _, behind = page.partition(f"# {title}\n")
    return re.split(r"^#+ ", behind, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def rows(text: str) -> set[str]:
    """The words in the first column of a table."""
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


# --- docs/spec.md ---


def test_the_reference_page_is_current() -> None:
    assert DOCUMENTS[ROOT / "docs" / "spec.md"] == PAGE, f"run: {REGENERATE}"


def test_the_command_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reference"]) == 0
    assert capsys.readouterr().out == PAGE


def test_every_terminal_can_print_the_page() -> None:
    assert PAGE.isascii()


@pytest.mark.parametrize("title", KINDS)
def test_every_kind_stands_there_with_every_parameter(title: str) -> None:
    entry = section(title)
    cls = KINDS[title]
    held = [held.name for held in getattr(cls, "holds", ())]
    also = ["for"] if cls.kind == "repeat" else []
    assert rows(entry) == {*(field.name for field in parameters(cls)), *held, *also}
    for field in parameters(cls):
        assert f"| `{field.name}` | {field.meaning} | " in entry
    assert len(blocks(entry, "yaml")) == 1


def test_every_key_of_every_mapping_stands_there() -> None:
    properties = net_schema()["properties"]
    (block,) = properties["blocks"]["patternProperties"].values()
    assert rows(section("The file")) == set(properties)
    assert rows(section("Blocks")) == set(block["properties"])
    assert rows(section("Training")) == {field.name for field in parameters(Recipe)}
    assert rows(section("Layers")) == set(COMMON_FIELDS)
    for field in parameters(Recipe):
        nested = getattr(field.type, "other", field.type)
        if isinstance(nested, Nested):
            assert rows(section(f"`{field.name}`")) == {inner.name for inner in parameters(nested.cls)}
    assert rows(section("Budget")) == {field.name for field in parameters(Budget)}
    assert rows(section("Lint")) == {"allow", *LINT_CODES}


def test_every_limit_stands_there() -> None:
    names = {name for name in vars(limits) if name.startswith("MAX_")}
    assert names <= set(vars(reference)), "add it to LIMITS of builder/reference.py"
    assert {limit for _, limit in reference.LIMITS} >= {getattr(limits, name) for name in names}


def test_bounds_defaults_and_choices_are_told() -> None:
    assert "| a whole number from 1 to 10,000 or a list of 2 whole numbers | required |" in section("`conv2d`")
    assert "| a list of 2, each a number of at least 0 and below 1 | [0.9, 0.999] |" in section("`adam`")
    assert "| [`one_cycle`](#one_cycle), [`cosine`](#cosine), " in section("Training")
    assert ", [`linear`](#linear-scheduler), " in section("Training")
    assert ", [`reduce_on_plateau`](#reduce_on_plateau) or `null` |" in section("Training")
    assert "MACs: `positions * in_features * out_features`." in section("`linear`")
    assert "It takes a map (channels, height, width)." in section("`max_pool2d`")
    assert "a list of at least 2 layers" in section("`concat`")


MAP = "input: [32, 7, 7]\nlayers:\n"
FEATURES = f"{MAP}- flatten\n"
ROWS = f"{MAP}- adaptive_avg_pool2d: {{output_size: [1, null]}}\n- flatten: {{start_dim: 2}}\n"


@pytest.mark.parametrize("kind", [*LAYERS, *COMPOSITES])
def test_the_example_of_every_layer_plans_without_problems(kind: str, tmp_path: Path) -> None:
    (example,) = blocks(section(f"`{kind}`"), "yaml")
    assert any(is_right(before + example, tmp_path) for before in (MAP, FEATURES, ROWS))


def is_right(text: str, folder: Path) -> bool:
    try:
        return not problems(text, folder)
    except SpecError:
        return False


CHOICES = [title for title, cls in KINDS.items() if cls not in {*LAYERS.values(), *COMPOSITES.values()}]
NESTED = [
    f"`{field.name}`" for field in parameters(Recipe) if isinstance(getattr(field.type, "other", field.type), Nested)
]


@pytest.mark.parametrize("title", [*CHOICES, *NESTED])
def test_the_example_of_every_choice_of_the_recipe_is_valid(title: str, tmp_path: Path) -> None:
    (example,) = blocks(section(title), "yaml")
    key = example.partition(":")[0]
    (training,) = blocks(section("Training"), "yaml")
    training = training.replace("epochs: 3", "epochs: 10")  # early stopping takes more than a few
    left_out = (f"  {key}:", "  validation:") if key == "dataset" else (f"  {key}:",)  # few images leave none
    others = [line for line in training.splitlines(keepends=True) if not line.startswith(left_out)]
    dataset = OneOf(Dataset).canonical(yaml.safe_load(example)[key] if key == "dataset" else "mnist")
    layers = f"[conv2d: {{out_channels: 8, kernel_size: 3}}, flatten, linear: {{out_features: {len(dataset.classes)}}}]"
    spec = f"input: {list(dataset.image)}\nlayers: {layers}\n{''.join(others)}  {example}"
    assert problems(spec, tmp_path) == ()


@pytest.mark.parametrize("title", ["The file", "Blocks", "Budget", "Lint"])
def test_the_examples_of_the_other_keys_are_valid(title: str, tmp_path: Path) -> None:
    (file,), (example,) = blocks(section("The file"), "yaml"), blocks(section(title), "yaml")
    assert problems(file if example == file else file + example, tmp_path) == ()


# --- docs/language.md ---


def problems(text: str, folder: Path, name: str = "example.yaml") -> tuple[Problem, ...]:
    """What `check` has to say of a spec."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return tuple(check_base(path)) if is_base(path) else make_plan(load_spec(path)).problems


def named(example: str) -> str:
    """The file that an example is, by its first line."""
    found = re.match(r"# (\w+\.yaml)\n", example)
    return found[1] if found else ""


EXAMPLES = blocks(LANGUAGE, "yaml")
RIGHT = [example for example in EXAMPLES if named(example) != "wrong.yaml"]
SHOWN = re.findall(r"^```\n\$ (.*?)\n(.*?)^```$", LANGUAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, which we are in, with the examples that are files."""
    for example in filter(named, EXAMPLES):
        (tmp_path / named(example)).write_text(example, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("example", RIGHT, ids=lambda example: example.splitlines()[0])
def test_every_example_of_the_guide_plans_without_problems(example: str, written: Path) -> None:
    is_piece = example.startswith("-")
    assert is_piece or named(example)
    text = f"input: [16, 32, 32]\nlayers:\n{example}" if is_piece else example
    assert problems(text, written, named(example) or "piece.yaml") == ()


@pytest.mark.parametrize(("command", "output"), SHOWN)
def test_every_output_in_the_guide_is_that_of_the_command(command: str, output: str, written: Path) -> None:
    words = command.split()
    assert words[:3] == ["python", "-m", "builder"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        main(words[3:])
    assert printed.getvalue() == output


def test_the_guide_names_every_composite() -> None:
    assert [kind for kind in COMPOSITES if f"`{kind}`" not in section("Composites", LANGUAGE)] == ["repeat"]
    assert "`repeat`" in section("Repetition", LANGUAGE)


# --- links ---


def anchors(text: str) -> list[str]:
    titles = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]


def test_no_two_headings_of_the_reference_have_the_same_anchor() -> None:
    assert len(anchors(PAGE)) == len(set(anchors(PAGE))) > len(KINDS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_and_a_heading_leads_there(document: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", DOCUMENTS[document]):
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(DOCUMENTS[target]), link
