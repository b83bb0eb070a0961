"""`extends`: what a spec takes from another, what it changes, and where problems of either point."""

import os
from pathlib import Path

import pytest

from builder import SpecError, load_spec, make_plan
from builder.__main__ import main
from builder.problems import Problem, show

BASE = """\
input: [1, 28, 28]
variables: {width: 8, depth: 2}
blocks:
  Block:
    parameters: {out_channels: $width, activation: {relu: {name: act}}}
    layers: [conv2d: {out_channels: $out_channels, kernel_size: 3}, $activation]
  Head: [flatten, linear: {out_features: 10}]
layers:
  - repeat: {times: $depth, layers: [Block]}
  - Head
training:
  dataset: {mnist: {fallback: mnist_sample}}
  epochs: 3
  batch_size: 64
  loss: cross_entropy
  optimizer: {sgd: {lr: 0.1, momentum: 0.9}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "_base.yaml").write_text(BASE, encoding="utf-8")
    return tmp_path


def member(folder: Path, text: str, base: str = "_base.yaml") -> Path:
    path = folder / "member.yaml"
    path.write_text(f"extends: {base}\n{text}", encoding="utf-8")
    return path


def resolved(path: Path, *overrides: str) -> str:
    return load_spec(path, overrides).resolved()


def problems(path: Path, *overrides: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        make_plan(load_spec(path, overrides))
    return caught.value.problems


def problem(path: Path, *overrides: str) -> Problem:
    (only,) = problems(path, *overrides)
    return only


def written_whole(folder: Path, old: str, new: str) -> Path:
    """The base with one change in its text, under the member's name."""
    assert BASE.count(old) == 1
    (folder / "whole").mkdir()
    path = folder / "whole" / "member.yaml"
    path.write_text(BASE.replace(old, new), encoding="utf-8")
    return path


# --- what is merged ---

# What a member says, and the change to the base that says the same.
CHANGES = {
    "variables: {width: 16}": ("width: 8", "width: 16"),
    "variables: {kernel: 5}": ("depth: 2}", "depth: 2, kernel: 5}"),
    "layers: [Block, Head]": ("- repeat: {times: $depth, layers: [Block]}", "- Block"),
    "blocks: {Block: {parameters: {out_channels: 3}}}": ("out_channels: $width", "out_channels: 3"),
    "blocks: {Block: {parameters: {more: 3}}}": ("{name: act}}}", "{name: act}}, more: 3}"),
    "blocks: {Block: {parameters: {activation: {relu: {name: other}}}}}": ("name: act", "name: other"),
    "blocks: {Block: {parameters: {activation: {tanh: {}}}}}": ("{relu: {name: act}}", "{tanh: {}}"),
    "blocks: {Block: {parameters: {activation: [relu, tanh: {}]}}}": ("{relu: {name: act}}", "[relu, tanh: {}]"),
    "blocks: {Block: {variables: {half: 2}}}": ("    layers: [conv2d", "    variables: {half: 2}\n    layers: [conv2d"),
    "blocks: {Block: {layers: [tanh]}}": (
        "[conv2d: {out_channels: $out_channels, kernel_size: 3}, $activation]", "[tanh]"
    ),
    "blocks: {Head: [flatten, linear: {out_features: 10, bias: false}]}": (
        "features: 10}", "features: 10, bias: false}"
    ),
    "blocks: {Head: {layers: [flatten, linear: {out_features: 10}]}}": ("Head: [flatten", "Head: [flatten"),
    "blocks: {More: [relu]}": ("layers:\n  - repeat", "  More: [relu]\nlayers:\n  - repeat"),
    "training: {epochs: 1}": ("epochs: 3", "epochs: 1"),
    "training: {seed: 7}": ("  epochs: 3", "  seed: 7\n  epochs: 3"),
    "training: {optimizer: {sgd: {momentum: 0.5}}}": ("momentum: 0.9", "momentum: 0.5"),
    "training: {optimizer: {adam: {lr: 0.001}}}": ("{sgd: {lr: 0.1, momentum: 0.9}}", "{adam: {lr: 0.001}}"),
    "training: {optimizer: adam}": ("{sgd: {lr: 0.1, momentum: 0.9}}", "adam"),
    "training: {dataset: mnist_sample}": ("{mnist: {fallback: mnist_sample}}", "mnist_sample"),
    "training: {dataset: {mnist: {mean: 0.5}}}": ("{fallback: mnist_sample}", "{fallback: mnist_sample, mean: 0.5}"),
    "training: {loss: {cross_entropy: {label_smoothing: 0.1}}}": (
        "loss: cross_entropy", "loss: {cross_entropy: {label_smoothing: 0.1}}"
    ),
    "name: own": ("input", "name: own\ninput"),
    "$schema: here": ("input", "$schema: here\ninput"),
    "input: [1, 28, 28]": ("input", "input"),
}  # fmt: skip


@pytest.mark.parametrize("text", CHANGES)
def test_a_member_is_the_base_with_its_changes(folder: Path, text: str) -> None:
    assert resolved(member(folder, text)) == resolved(written_whole(folder, *CHANGES[text]))


def test_a_member_that_changes_nothing_is_the_base_under_its_own_name(folder: Path) -> None:
    assert resolved(member(folder, "")).startswith("name: member\n")
    assert resolved(member(folder, "")) == resolved(written_whole(folder, "input", "input"))


def test_the_order_of_keys_does_not_matter(folder: Path) -> None:
    first = resolved(member(folder, "variables: {depth: 3, width: 4}\ntraining: {seed: 1, epochs: 2}\n"))
    path = member(folder, "training: {epochs: 2, seed: 1}\nvariables: {width: 4, depth: 3}\n")
    assert resolved(path) == first


def test_the_resolved_spec_stands_on_its_own(folder: Path) -> None:
    path = member(folder, "variables: {width: 16}")
    (folder / "alone").mkdir()
    alone = folder / "alone" / "other.yaml"
    alone.write_text(resolved(path), encoding="utf-8")
    assert "extends" not in resolved(path)
    assert make_plan(load_spec(alone)).params == make_plan(load_spec(path)).params


@pytest.mark.parametrize(
    "base", ["./_base.yaml", "deeper/../_base.yaml", "deeper/base.yml", '"_base.yaml"', "link.yaml"]
)
def test_a_base_may_lie_beside_the_spec_or_below(folder: Path, base: str) -> None:
    (folder / "deeper").mkdir()
    (folder / "deeper" / "base.yml").write_text(BASE, encoding="utf-8")
    (folder / "link.yaml").symlink_to(folder / "deeper" / "base.yml")
    assert load_spec(member(folder, "", base)).input == (1, 28, 28)


def test_a_base_need_not_begin_with_an_underscore(folder: Path) -> None:
    (folder / "whole.yaml").write_text(BASE, encoding="utf-8")
    assert "width: 3" in resolved(member(folder, "variables: {width: 3}", "whole.yaml"))


# --- with overrides ---


def test_overrides_come_last(folder: Path) -> None:
    path = member(folder, "variables: {width: 16}\ntraining: {epochs: 1}\n")
    text = resolved(path, "variables.width=4", "training.epochs=2", "blocks.Block.parameters.out_channels=3")
    assert "variables: {width: 4, depth: 2}" in text
    assert "epochs: 2" in text
    assert "parameters: {out_channels: 3," in text


def test_an_override_of_extends_chooses_another_base(folder: Path) -> None:
    (folder / "_other.yaml").write_text(BASE.replace("width: 8", "width: 5"), encoding="utf-8")
    path = member(folder, "variables: {depth: 1}")
    assert "variables: {width: 5, depth: 1}" in resolved(path, "extends=_other.yaml")
    assert "variables: {width: 6, depth: 1}" in resolved(path, "variables.width=6", "extends=_other.yaml")


def test_an_override_can_make_a_member_of_a_spec(folder: Path) -> None:
    path = folder / "spec.yaml"
    path.write_text("variables: {width: 5}\n", encoding="utf-8")
    assert "variables: {width: 5, depth: 2}" in resolved(path, "extends=_base.yaml")


@pytest.mark.parametrize(
    ("override", "code", "message"),
    [
        ("extends=_none.yaml", "wrong-base", "there is no such file"),
        ("extends=../x.yaml", "wrong-base", "`../x.yaml` does not lie below the folder of this spec"),
        ("extends=[a]", "wrong-type", "`extends` is the list `[a]`"),
        ("extends.x=1", "wrong-type", "`extends` is a mapping"),
    ],
)
def test_a_wrong_override_of_extends_is_marked_there(folder: Path, override: str, code: str, message: str) -> None:
    found = problem(member(folder, "layers: [Head]"), override)
    assert (found.code, found.place.source.is_override) == (code, True)
    assert message in found.message


# --- what is no base ---


def outside(tmp_path: Path) -> Path:
    path = tmp_path.parent / f"{tmp_path.name}_outside.yaml"
    path.write_text(BASE, encoding="utf-8")
    return path


def test_a_base_outside_of_the_folder_is_refused_however_it_is_named(folder: Path) -> None:
    other = outside(folder)
    (folder / "link.yaml").symlink_to(other)
    (folder / "folder").symlink_to(folder.parent)
    names = [
        f"../{other.name}",
        str(other),
        "link.yaml",
        f"folder/{other.name}",
        f"x/../../{other.name}",
        "/etc/passwd",
    ]
    for name in names:
        found = problem(member(folder, "", name))
        assert (found.code, found.place.line, found.place.column) == ("wrong-base", 1, 10)
        assert found.message == f"{show(name)} does not lie below the folder of this spec"


def test_a_folder_that_is_a_link_itself_is_no_way_out(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(folder)
    member(folder, "")
    assert load_spec(link / "member.yaml").input == (1, 28, 28)


def test_a_base_that_is_not_there_is_a_problem_at_its_name(folder: Path) -> None:
    found = problem(member(folder, "", "_bsae.yaml"))
    assert (found.code, found.path) == ("wrong-base", "extends")
    assert found.message == f"can't read `{folder}/_bsae.yaml`: there is no such file"
    assert found.frame()[3].startswith("  |          ^^^^^^^^^^ a spec extends a file beside it")


@pytest.mark.parametrize("name", [".", "deeper", "pipe", '"a\\0b"', "x" * 5000, "loop", "deeper/none.yaml"])
def test_a_base_that_is_no_file_is_a_problem_at_its_name(folder: Path, name: str) -> None:
    (folder / "deeper").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to(folder / "loop")
    found = problem(member(folder, "", name))
    assert (found.code, found.place.line, found.place.column) == ("wrong-base", 1, 10)


def test_a_base_that_extends_another_is_refused(folder: Path) -> None:
    (folder / "between.yaml").write_text("extends: _base.yaml\n", encoding="utf-8")
    for name in ("between.yaml", "member.yaml"):
        found = problem(member(folder, "", name))
        assert (found.code, found.place.line) == ("wrong-base", 1)
        assert found.message == f"`{name}` extends another spec itself"


def test_a_base_with_broken_text_points_into_the_base(folder: Path) -> None:
    (folder / "_base.yaml").write_text("input: [1, 28\nlayers: [relu]\n", encoding="utf-8")
    found = problem(member(folder, "layers: [reluu]"))
    assert found.code == "yaml-syntax"
    assert found.location == f"{folder}/_base.yaml:1:8"


def test_a_base_that_is_a_list_points_into_the_base(folder: Path) -> None:
    (folder / "_base.yaml").write_text("- relu\n", encoding="utf-8")
    found = problem(member(folder, ""))
    assert (found.code, found.location) == ("not-a-mapping", f"{folder}/_base.yaml:1:1")


# --- problems of the whole ---


def places(found: tuple[Problem, ...]) -> list[tuple[str, str, int]]:
    return [(problem.code, Path(problem.place.source.name).name, problem.place.line) for problem in found]


def test_each_problem_points_to_the_file_that_wrote_the_value(folder: Path) -> None:
    base = BASE.replace("kernel_size: 3", "kernel_size: 0").replace("lr: 0.1", "lr: fast")
    (folder / "_base.yaml").write_text(base, encoding="utf-8")
    found = problems(member(folder, "variables: {depth: $deep}\ntraining:\n  epochs: 0\n"))
    assert places(found) == [
        ("out-of-range", "_base.yaml", 6),
        ("wrong-type", "_base.yaml", 16),
        ("unknown-name", "member.yaml", 2),
        ("out-of-range", "member.yaml", 4),
    ]


def test_a_shape_that_does_not_fit_points_into_the_base_and_to_the_call(folder: Path) -> None:
    found = problem(member(folder, "input: [1, 3, 3]\nlayers:\n  - Block\n  - Block\n", "_small.yaml"))
    assert found.code == "wrong-base"
    (folder / "_small.yaml").write_text(BASE[: BASE.index("training")], encoding="utf-8")
    found = problem(folder / "member.yaml")
    assert places((found,)) == [("kernel-too-large", "_small.yaml", 6)]
    assert [(Path(use.place.source.name).name, use.place.line) for use in found.uses] == [("member.yaml", 5)]


def test_what_neither_file_writes_is_missing_in_the_member(folder: Path) -> None:
    (folder / "_base.yaml").write_text("input: [1, 28, 28]\n", encoding="utf-8")
    found = problem(member(folder, ""))
    assert (found.message, found.place.source.name) == ("the spec lacks `layers`", str(folder / "member.yaml"))


def test_two_kinds_in_base_and_member_do_not_mix(folder: Path) -> None:
    found = problem(member(folder, "training: {optimizer: {sgd: {}, adam: {}}}"))
    assert found.code == "several-kinds"


# --- bases on their own ---


INCOMPLETE = """blocks:
  Block: [repeat: {times: $depth, layers: [conv2d: {out_channels: $width, kernel_size: 3}, Elsewhere]}]
training: {epochs: 3}
"""


def checked(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = main(["check", str(path), "--format", "concise"])
    return status, capsys.readouterr().out


def test_an_incomplete_base_is_checked_for_what_is_wrong_in_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "_base.yaml"
    assert checked(path, capsys) == (0, "no problems in 1 spec\n")
    path.write_text(INCOMPLETE.replace("training: {epochs: 3}\n", ""), encoding="utf-8")
    assert checked(path, capsys) == (0, "no problems in 1 spec\n")
    path.write_text(INCOMPLETE.replace("kernel_size: 3", "kernel_size: 0"), encoding="utf-8")
    status, report = checked(path, capsys)
    assert status == 1
    assert "error[out-of-range]: `kernel_size` is `0`" in report


def test_a_base_whose_training_is_incomplete_has_no_problem(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "_base.yaml"
    path.write_text(INCOMPLETE, encoding="utf-8")
    assert checked(path, capsys) == (0, "no problems in 1 spec\n")


def test_a_file_without_an_underscore_must_be_complete(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "base.yaml"
    path.write_text(INCOMPLETE, encoding="utf-8")
    status, report = checked(path, capsys)
    assert status == 1
    assert "the spec lacks `input` and `layers`" in report


def test_a_base_is_skipped_where_a_directory_is_walked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    member(folder, "")
    (folder / "deeper").mkdir()
    (folder / "deeper" / "_broken.yml").write_text("layers: 3\n", encoding="utf-8")
    assert checked(folder, capsys) == (0, "no problems in 1 spec\n")
    (folder / "member.yaml").unlink()
    assert main(["check", str(folder)]) == 2
    assert "there is no spec below" in capsys.readouterr().err
