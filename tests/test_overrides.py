"""Overrides: which paths they take, what they make, and that their problems point into the argument."""

from pathlib import Path

import pytest

from builder import Spec, SpecError, load_spec, make_plan
from builder.problems import Problem

SPEC = """\
name: base
input: [1, 28, 28]
layers:
  - conv2d: {out_channels: 8, kernel_size: 3}
  - relu
  - flatten
  - linear: {out_features: 10}
training:
  dataset: mnist_sample
  epochs: 1
  batch_size: 64
  loss: cross_entropy
  optimizer: {sgd: {lr: 0.1, momentum: 0.9}}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "base.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def problems(path: Path, *overrides: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        make_plan(load_spec(path, overrides))
    return caught.value.problems


def problem(path: Path, override: str) -> Problem:
    (only,) = problems(path, override)
    return only


def resolved(spec: Spec, line: str) -> bool:
    return f"{line}\n" in spec.resolved()


# --- what they change ---


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("training.epochs=3", "  epochs: 3"),
        ("training.epochs = 3 ", "  epochs: 3"),
        ("training.seed=7", "  seed: 7"),
        ("training.device=cuda:1", "  device: cuda:1"),
        ('training.device="cpu"', "  device: cpu"),
        ("name=other", "name: other"),
        ('name="12"', "name: '12'"),
        ("$schema=x=y", "name: base"),
        ("training.optimizer.sgd.lr=1e-3", "  optimizer: {sgd: {lr: 0.001, weight_decay: 0.0, momentum: 0.9,"
         " dampening: 0.0, nesterov: false, maximize: false}}"),
        ("training.optimizer={adadelta: {rho: 0.5}}", "  optimizer: {adadelta: {lr: 1.0, weight_decay: 0.0, rho: 0.5,"
         " eps: 1.0e-06, maximize: false}}"),
        ("training.loss.cross_entropy.label_smoothing=0.1", "  loss: {cross_entropy: {weight: null,"
         " label_smoothing: 0.1}}"),
        ("training.dataset.mnist_sample.mean=[0.5]", "  dataset: {mnist_sample: {mean: 0.5, std: 0.3081,"
         " train_size: null, test_size: null}}"),
        ("training.scheduler.cosine.eta_min=0.1", "  scheduler: {cosine: {eta_min: 0.1, interval: step}}"),
        ("training.scheduler=cosine", "  scheduler: {cosine: {eta_min: 0.0, interval: step}}"),
        ("layers[3].linear.name=last", "  - {linear: {name: last, out_features: 10, bias: true}}"),
        ("layers[1].relu.name=act", "  - {relu: {name: act}}"),
        ("layers[1]={gelu: {approximate: tanh}}", "  - {gelu: {approximate: tanh}}"),
        ("layers[1]=silu", "  - silu"),
        ("layers[1].relu=", "  - relu"),
    ],
)  # fmt: skip
def test_an_override_shows_in_the_resolved_spec(path: Path, override: str, line: str) -> None:
    assert resolved(load_spec(path, [override]), line)


@pytest.mark.parametrize("name", ["12", "1e3", "true", "null", "no", "0o7", "1_0", "0x1f", "010", "1-2", "2024-01-01"])
def test_the_resolved_spec_quotes_names_that_read_like_something_else(path: Path, name: str) -> None:
    resolved_spec = path.with_name("resolved.yaml")
    resolved_spec.write_text(load_spec(path, [f'name="{name}"']).resolved(), encoding="utf-8")
    assert load_spec(resolved_spec).name == name


@pytest.mark.parametrize("name", ["1e3", "true", "null", "no", "0o7", "1_0", "0x1f"])
def test_the_resolved_spec_quotes_layer_names_that_read_like_something_else(path: Path, name: str) -> None:
    resolved_spec = path.with_name("resolved.yaml")
    resolved_spec.write_text(load_spec(path, [f'layers[1].relu.name="{name}"']).resolved(), encoding="utf-8")
    assert load_spec(resolved_spec).layers[1].given_name == name


def test_a_list_is_one_value(path: Path) -> None:
    assert load_spec(path, ["input=[1, 28, 28]"]).input == (1, 28, 28)
    assert len(load_spec(path, ["layers=[flatten, {linear: {out_features: 10}}]"]).layers) == 2


def test_one_item_of_a_list_can_be_set(path: Path) -> None:
    spec = load_spec(path, ["training.optimizer=adam", "training.optimizer.adam.betas=[0.1, 0.2]"])
    assert "betas: [0.1, 0.2]" in spec.resolved()
    spec = load_spec(path, ["layers[0].conv2d.kernel_size=[3, 5]", "layers[0].conv2d.kernel_size[0]=7"])
    assert "kernel_size: [7, 5]" in spec.resolved()


def test_the_last_of_several_overrides_of_one_value_counts(path: Path) -> None:
    assert resolved(load_spec(path, ["training.epochs=3", "training.epochs=4"]), "  epochs: 4")


def test_a_missing_mapping_is_made(path: Path) -> None:
    path.write_text(SPEC[: SPEC.index("training:")], encoding="utf-8")
    words = ["dataset=mnist_sample", "epochs=2", "batch_size=10", "loss=cross_entropy", "optimizer.adam.lr=0.1"]
    recipe = load_spec(path, [f"training.{word}" for word in words]).require_recipe()
    assert (recipe.epochs, recipe.batch_size, recipe.optimizer.lr) == (2, 10, 0.1)


def test_a_mapping_with_nothing_behind_its_key_is_filled(path: Path) -> None:
    path.write_text(SPEC.replace("- relu\n", "- relu:\n"), encoding="utf-8")
    assert resolved(load_spec(path, ["layers[1].relu.name=act"]), "  - {relu: {name: act}}")


def test_the_file_stays_as_it_is(path: Path) -> None:
    spec = load_spec(path, ["training.epochs=3"])
    assert spec.text == SPEC.encode()
    assert path.read_text(encoding="utf-8") == SPEC


def test_a_layer_from_the_command_line_has_no_line_and_an_overridden_parameter_keeps_that_of_its_layer(
    path: Path,
) -> None:
    rows = make_plan(load_spec(path, ["layers[1]=tanh", "layers[0].conv2d.kernel_size=5"])).rows
    assert [row.line for row in rows] == [4, None, 6, 7]


def test_a_problem_between_two_layers_names_the_one_from_the_command_line_by_its_path(path: Path) -> None:
    found = problem(path, "layers[0]={conv2d: {name: linear_1, out_channels: 8, kernel_size: 3}}")
    assert found.message == "`linear_1` is also the name of the layer on line 7"
    found = problems(path, "layers[3]={linear: {name: last, out_features: 10}}", "layers[1].relu.name=last")[0]
    assert found.sentence.startswith("`last` is also the name of the layer ")


def test_an_override_can_mend_a_spec_that_would_fail(path: Path) -> None:
    path.write_text(SPEC.replace("kernel_size: 3", "kernel_size: 0"), encoding="utf-8")
    assert problems(path)[0].code == "out-of-range"
    make_plan(load_spec(path, ["layers[0].conv2d.kernel_size=3"]))


# --- what is wrong with them ---


def test_a_problem_points_into_the_argument(path: Path) -> None:
    assert str(problem(path, "training.epochs=three")) == (
        "error[wrong-type]: `epochs` is the text `three`\n"
        "--> command line: training.epochs\n"
        " |\n"
        " | training.epochs=three\n"
        " |                 ^^^^^ write a whole number from 1 to 100,000"
    )


def test_a_problem_points_at_the_key_inside_a_value(path: Path) -> None:
    assert str(problem(path, "training.optimizer={adam: {learning: 0.001}}")) == (
        "error[unknown-key]: unknown key `learning`\n"
        "--> command line: training.optimizer.adam.learning\n"
        " |\n"
        " | training.optimizer={adam: {learning: 0.001}}\n"
        " |                            ^^^^^^^^ known here are `lr`, `weight_decay`, `betas`, `eps`, "
        "`maximize`, `amsgrad`, `decoupled_weight_decay`"
    )


def test_a_problem_in_a_later_line_of_a_value_points_into_that_line(path: Path) -> None:
    found = problem(path, "training.optimizer=\n  adam:\n    lr: fast")
    assert found.frame()[2:] == [" |     lr: fast", " |         ^^^^ write a number of at least 0"]


def test_what_the_command_line_leaves_out_is_missing_there(path: Path) -> None:
    found = problem(path, "training={}")
    assert (found.code, found.location) == ("missing-key", "command line: training")


def test_json_has_no_line_for_an_override(path: Path) -> None:
    found = problem(path, "training.epochs=0").to_json()
    assert (found["file"], found["line"], found["column"]) == ("command line", None, None)
    assert found["path"] == "training.epochs"


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("=3", "no path stands before the `=`", "items counted from 0"),
        ("a..b=1", "`a..b` is no path into a spec", "write it like `training.epochs=3`"),
        (".name=1", "`.name` is no path into a spec", "write it like `training.epochs=3`"),
        ("name.=1", "`name.` is no path into a spec", "write it like `training.epochs=3`"),
        ("[0]=1", "`[0]` is no path into a spec", "write it like `training.epochs=3`"),
        ("layers[0]x=1", "`layers[0]x` is no path into a spec", "write it like `training.epochs=3`"),
        ("layers[-1]=relu", "`layers[-1]` is no path into a spec", "items counted from 0"),
        ("layers[x]=relu", "`layers[x]` is no path into a spec", "items counted from 0"),
        ("../x.yaml=1", "`../x.yaml` is no path into a spec", "write it like `training.epochs=3`"),
        ("layers[4].relu=", "`layers` has no item 4", "its last is `[3]`; items count from 0"),
        ("layers[999999]=relu", "`layers` has no item 999999", "its last is `[3]`; items count from 0"),
        ("name.x=1", "`name` is `base`, and has no `x`", ""),
        ("layers.x=1", "`layers` is a list", "name one of its items: `layers[0]`"),
        ("input.height=1", "`input` is a list", "name one of its items: `input[0]`"),
        ("training[0]=1", "`training` is no list", "`[0]` is an item of a list"),
        ("blocks[0]=1", "`blocks` is no list", "`[0]` is an item of a list"),
        ("training.epochs.x=1", "`training.epochs` is `1`, and has no `x`", ""),
        ("training.optimizer.adam.lr=1", "`training.optimizer` is `sgd`, and has no `adam`",
         "to choose another kind, set it whole: `training.optimizer={adam: {...}}`"),
        ("training.optimizer.lr=1", "`training.optimizer` is `sgd`, and has no `lr`",
         "write `training.optimizer.sgd.lr`"),
        ("training.loss.label_smoothing=1", "`training.loss` is `cross_entropy`, and has no `label_smoothing`",
         "write `training.loss.cross_entropy.label_smoothing`"),
        ("layers[0].max_pool2d.kernel_size=2", "`layers[0]` is `conv2d`, and has no `max_pool2d`",
         "to choose another kind, set it whole: `layers[0]={max_pool2d: {...}}`"),
        ("layers[1].name=x", "`layers[1]` is `relu`, and has no `name`", "write `layers[1].relu.name`"),
    ],
)  # fmt: skip
def test_a_path_that_leads_nowhere_is_an_error(path: Path, override: str, message: str, hint: str) -> None:
    found = problem(path, override)
    assert (found.code, found.message) == ("wrong-path", message)
    assert hint in found.hint
    assert found.location.startswith("command line")


def test_an_index_of_a_million_digits_is_no_path(path: Path) -> None:
    found = problem(path, f"layers[{'9' * 1_000_000}]=1")
    assert found.code == "wrong-path"
    assert all(len(line) < 300 for line in str(found).splitlines())


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("[1", "yaml-syntax"),
        ("1e400", "number-too-large"),
        ("010", "ambiguous-number"),
        ("!!int 3", "tag"),
        ("*x", "unknown-alias"),
        ("{a: 1, a: 2}", "duplicate-key"),
        ("1\n---\n2", "several-documents"),
        ("\x1b", "control-character"),
        ("\udcff", "control-character"),  # a byte of the command line that is not UTF-8
        ("[" * 100, "too-deep"),
        ("", "wrong-type"),
    ],
)
def test_a_value_that_is_no_yaml_is_an_error_of_its_path(path: Path, value: str, code: str) -> None:
    found = problem(path, f"training.epochs={value}")
    assert (found.code, found.location) == (code, "command line: training.epochs")
    assert "\x1b" not in str(found)


def test_every_wrong_override_is_reported(path: Path) -> None:
    found = problems(path, "a..b=1", "training.epochs=3", "training.seed=[", "layers[9]=relu")
    assert sorted(problem.code for problem in found) == ["wrong-path", "wrong-path", "yaml-syntax"]


def test_a_hostile_key_is_escaped_where_its_path_is_shown(path: Path) -> None:
    found = problem(path, 'layers[0]={"\\e[31m": 1}')
    assert found.location == "command line: layers[0].\\x1b[31m"
