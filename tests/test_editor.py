"""The schema in an editor: completion, hover and diagnostics of the real yaml-language-server.

The server comes from npm (`language_server.py`); where it can't be had, these tests are skipped.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from editor_cases import BARE_KINDS, HEAD, MISTAKES, RIGHT
from jsonschema import Draft7Validator
from language_server import NoServerError, Server, Typist, server_command, started
from spec_generator import generated_text, plan_of
from torch_oracle import on_meta, shapes

from builder import SpecError
from builder.editor import STARTER_LABEL
from builder.kinds import Kind, parameters, required_names
from builder.layers import LAYERS
from builder.layers.composites import COMPOSITES
from builder.recipe import Dataset, Loss, Optimizer, Scheduler
from builder.schema import COMMON_FIELDS
from builder.starter import starter_text

ROOT = Path(__file__).parent.parent
KINDS: dict[str, type[Kind]] = {**LAYERS, **COMPOSITES}
LISTS = {kind: [held.name for held in cls.holds if held.minimum] for kind, cls in COMPOSITES.items()}

SCHEMA = ROOT / "builder" / "net.schema.json"
TRAINING = f"{HEAD}  - flatten\n\ntraining:\n"


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that has this repository open, with the settings that it comes with."""
    settings = json.loads((ROOT / ".vscode" / "settings.json").read_text(encoding="utf-8"))
    of_yaml = {name.removeprefix("yaml."): value for name, value in settings.items() if name.startswith("yaml.")}
    assert request.config.cache is not None
    try:
        command = server_command(request.config.cache.mkdir("editor"))
    except NoServerError as error:
        pytest.skip(str(error))
    offline = {"schemaStore": {"enable": False}, "kubernetesCRDStore": {"enable": False}}
    with started(command, ROOT, of_yaml | offline) as ready:
        yield ready


def without_markdown(text: str) -> str:
    return re.sub(r"\\([\\`*_{}[\]#+!])", r"\1", text)


# --- completion ---


def test_an_empty_file_becomes_a_trainable_spec_by_one_completion(server: Server, tmp_path: Path) -> None:
    text = Typist(server).accept(STARTER_LABEL).text
    assert text == starter_text()
    assert server.diagnostics(text) == []
    plan = plan_of(text, tmp_path)
    assert plan.problems == ()
    assert plan.spec.recipe


def test_a_whole_spec_is_offered_only_where_there_is_none_yet(server: Server) -> None:
    assert STARTER_LABEL in server.completions("|")
    assert STARTER_LABEL in server.completions("# a comment\n|")
    assert STARTER_LABEL in server.completions("a|")
    assert STARTER_LABEL not in server.completions(f"{HEAD}  - relu\n|")


def test_an_empty_file_becomes_a_trainable_spec_key_by_key(server: Server, tmp_path: Path) -> None:
    """Every word is a completion; only numbers, dashes and new lines are typed."""
    typist = Typist(server)
    typist.accept("input").type("1").line("  - 28").line("  - 28")
    typist.line("").accept("layers").accept("conv2d").type("8").tab().type("3")
    typist.line("      ").accept("padding").accept("same")
    typist.line("      ").accept("padding_mode").accept("reflect")
    typist.line("      ").accept("bias").accept("false")
    typist.line("  - ").accept("batch_norm2d")
    typist.line("  - ").accept("relu")
    typist.line("  - ").accept("residual").type(" ").accept("relu")
    typist.line("  - ").accept("max_pool2d").type("2")
    typist.line("  - ").accept("flatten")
    typist.line("  - ").accept("linear").type("10")
    typist.line("").accept("training")
    typist.accept("mnist").tab().type("1").tab().type("64").tab().accept("cross_entropy").tab().accept("adam")
    typist.line("  ").accept("scheduler").accept("one_cycle").type("0.01")
    assert re.sub(r" +\n", "\n", typist.text) == EXPECTED
    assert server.diagnostics(typist.text) == []
    plan = plan_of(typist.text, tmp_path)
    assert plan.problems == ()
    assert plan.spec.recipe


EXPECTED = """\
input:
  - 1
  - 28
  - 28
layers:
  - conv2d:
      out_channels: 8
      kernel_size: 3
      padding: same
      padding_mode: reflect
      bias: false
  - batch_norm2d
  - relu
  - residual:
      layers:
        - relu
  - max_pool2d:
      kernel_size: 2
  - flatten
  - linear:
      out_features: 10
training:
  dataset: mnist
  epochs: 1
  batch_size: 64
  loss: cross_entropy
  optimizer: adam
  scheduler:
    one_cycle:
      max_lr: 0.01"""

LAYER_PLACES = {
    "the first of a list": f"{HEAD}  - |",
    "behind another": f"{HEAD}  - relu\n  - |",
    "between two others": f"{HEAD}  - relu\n  - |\n  - relu\n",
    "behind the dash alone": f"{HEAD}  - relu\n  -|",
    "behind a part of a word": f"{HEAD}  - re|",
    "a composite's list": f"{HEAD}  - residual:\n      layers:\n        - |",
    "a composite's list form": f"{HEAD}  - concat:\n      - |",
    "a block's list": f"blocks:\n  Block:\n    layers:\n      - |\n{HEAD}  - Block\n",
    "a block's list form": f"blocks:\n  Block:\n    - |\n{HEAD}  - Block\n",
}


@pytest.mark.parametrize("place", LAYER_PLACES)
def test_where_a_layer_stands_every_kind_is_offered_once(server: Server, place: str) -> None:
    assert set(server.completions(LAYER_PLACES[place])) == set(KINDS)


def test_every_kind_inserts_its_required_fields_and_tells_its_meaning(server: Server) -> None:
    offered = server.completions(f"{HEAD}  - |")
    for kind, cls in KINDS.items():
        needed = [*required_names(cls), *LISTS.get(kind, [])]
        lines = offered[kind].snippet.split("\n")
        assert [line.strip().partition(":")[0] for line in lines if line.strip() != "-"] == [kind, *needed]
        assert offered[kind].documentation.startswith(str(cls.__doc__).split("\n")[0])


@pytest.mark.parametrize(
    ("field", "family"),
    [("dataset", Dataset), ("loss", Loss), ("optimizer", Optimizer), ("scheduler", Scheduler)],
)
def test_every_choice_of_the_recipe_is_offered_beside_its_key_and_below(
    server: Server, field: str, family: type[Kind]
) -> None:
    for text in (f"{TRAINING}  {field}: |", f"{TRAINING}  {field}:\n    |", f"{TRAINING}  {field}: a|"):
        offered = server.completions(text)
        assert set(offered) - {"null"} == set(family.table)
        for kind, cls in family.table.items():
            words = re.findall(r"\w+(?=:)", offered[kind].snippet) or [offered[kind].snippet]
            assert words == [kind, *required_names(cls)]


def test_inside_a_kind_its_fields_are_offered_and_those_that_are_written_are_not(server: Server) -> None:
    offered = set(server.completions(f"{HEAD}  - conv2d:\n      out_channels: 3\n      |"))
    fields = {field.name for field in parameters(LAYERS["conv2d"])}
    assert offered - {"object"} == fields - {"out_channels"} | set(COMMON_FIELDS)


def test_what_is_required_is_offered_as_a_whole_too(server: Server) -> None:
    whole = server.completions(f"{HEAD}  - conv2d:\n      |")["object"].snippet
    assert re.findall(r"\w+(?=: )", whole) == ["out_channels", "kernel_size"]


# --- hover ---


@pytest.mark.parametrize("kind", KINDS)
def test_hover_over_a_kind_shows_its_meaning(server: Server, kind: str) -> None:
    shown = without_markdown(server.hover(f"{HEAD}  - |{kind}:\n      name: x\n"))
    assert shown.startswith(str(KINDS[kind].__doc__).split("\n")[0])


@pytest.mark.parametrize("kind", BARE_KINDS)
def test_hover_over_a_word_alone_shows_its_meaning_first(server: Server, kind: str) -> None:
    shown = without_markdown(server.hover(f"{HEAD}  - |{kind}\n"))
    assert shown.startswith(f"Allowed Values:\n\n* `{kind}`: {str(KINDS[kind].__doc__).splitlines()[0]}")


@pytest.mark.parametrize("kind", KINDS)
def test_hover_over_a_field_shows_its_meaning_and_default(server: Server, kind: str) -> None:
    for field in parameters(KINDS[kind]):
        shown = without_markdown(server.hover(f"{HEAD}  - {kind}:\n      |{field.name}: $x\n"))
        assert shown.startswith(field.description)
        assert field.description.endswith("(required)") or "(default: " in field.description


# --- diagnostics ---


def found(server: Server, text: str) -> list[tuple[int, str, str]]:
    return sorted((finding.line, finding.underlined, finding.message) for finding in server.diagnostics(text))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gives_its_exact_message_at_its_place(server: Server, mistake: str) -> None:
    layer, expected = MISTAKES[mistake]
    assert found(server, f"{HEAD}  - flatten\n{layer}") == [(4, *finding) for finding in expected]


def test_a_spec_without_its_input_or_with_half_a_recipe_says_what_is_missing(server: Server) -> None:
    text = "layers:\n  - flatten\ntraining:\n  dataset: mnist\n  epochs: 1\n  batch_size: 1\n  loss: nll_loss\n"
    assert found(server, text) == [
        (1, "layers:", "Object is missing property input required by property layers."),
        (3, "training", 'Missing property "optimizer".'),
    ]


def test_a_mistake_in_the_recipe_gives_its_exact_message(server: Server) -> None:
    text = f"{TRAINING}  dataset: mnis\n  epochs: 0\n  batch_size: 1\n  loss: nll_loss\n  optimizer: {{adm: {{}}}}\n"
    assert found(server, text) == [
        (
            6,
            "mnis",
            'Value is not accepted. Valid values: "mnist", "fashion_mnist", "kmnist", "mnist_sample", "cifar10", '
            '"synthetic".',
        ),
        (7, "0", "Value is below the minimum of 1."),
        (10, "adm", "Property adm is not allowed."),
    ]


def test_a_mistyped_root_key_gives_its_exact_message(server: Server) -> None:
    assert found(server, f"{HEAD}  - relu\ntraning:\n  epochs: 1\n") == [
        (4, "traning", "Property traning is not allowed.")
    ]


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_right_gives_no_diagnostic(server: Server, case: str) -> None:
    assert found(server, RIGHT[case]) == []


SPECS = [
    path.relative_to(ROOT)
    for folder in ("specs", "tests/specs/valid")
    for path in sorted((ROOT / folder).rglob("*.yaml"))
]


@pytest.mark.parametrize("path", SPECS, ids=str)
def test_a_spec_of_this_repository_gives_no_diagnostic_and_with_a_mistake_one(server: Server, path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8-sig")
    text = text.replace("https://example.org/any.json", SCHEMA.as_uri())  # any address will do for `check`
    folder = path.parent.as_posix()
    assert server.diagnostics(text, folder) == []
    mistaken = text.replace("layers:", "layer:", 1) if "layers:" in text else f"{text}\nvariable: 1\n"
    assert server.diagnostics(mistaken, folder) != []


# --- the schema, the checker and torch agree ---

# What stands in for a value: numbers within and out of bounds, and values of other types.
STRANGE: list[Any] = [0, 1, 2, 3, 5, 64, -1, 0.5, 1.5, True, None, "same", "zeros", "$width", "relux", [], [2, 3]]
SEEDS = range(90)


def changed(seed: int) -> str:
    """A generated spec; two in three have one value changed at random."""
    random = Random(seed)  # noqa: S311  # nothing secret
    data = yaml.safe_load(generated_text(seed))
    if seed % 3:
        holder, key = random.choice(list(places(data)))
        holder[key] = random.choice(STRANGE)
    return yaml.safe_dump(data, sort_keys=False, default_flow_style=None)


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every single value below a mapping or a list, as what holds it and the key."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        if isinstance(value, dict | list):
            yield from places(value)
        else:
            yield data, key


def is_accepted_by_the_schema(text: str) -> bool:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return bool(Draft7Validator(schema).is_valid(yaml.safe_load(text)))


def check_verdict(text: str, tmp_path: Path) -> bool:
    """Whether `check` accepts; what it accepts torch builds and runs, to the shapes of the plan."""
    try:
        plan = plan_of(text, tmp_path)
    except SpecError:
        return False
    assert shapes(on_meta(plan), plan.spec.input, "meta") == [row.out_shape for row in plan.rows]
    return True


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("seed", SEEDS)
def test_editor_schema_checker_and_torch_agree_on_a_generated_spec(server: Server, tmp_path: Path, seed: int) -> None:
    text = changed(seed)
    is_accepted = is_accepted_by_the_schema(text)
    assert is_accepted == (server.diagnostics(text) == []), text
    if check_verdict(text, tmp_path):
        assert is_accepted, text
    elif not seed % 3:
        pytest.fail(f"an unchanged spec is refused:\n{text}")


def test_of_the_changed_specs_some_are_accepted_and_some_refused_by_each(tmp_path: Path) -> None:
    texts = [changed(seed) for seed in SEEDS]
    verdicts = Counter((is_accepted_by_the_schema(text), check_verdict(text, tmp_path)) for text in texts)
    assert verdicts[True, True] >= len(SEEDS) / 3
    assert verdicts[True, False] >= len(SEEDS) / 20  # what only shapes and rules can tell
    assert verdicts[False, False] >= len(SEEDS) / 5
