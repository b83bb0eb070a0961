"""A run that begins with the weights of another: what is taken, what is new, and runs that can't be begun from."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import runner
from builder import build_model, load_spec, make_plan
from builder.exits import Status, UsageError
from builder.training.warm_start import start_from

SPEC = """
input: [1, 12, 12]
layers:
  - conv2d: {name: stem, out_channels: 4, kernel_size: 3}
  - batch_norm2d: {name: bn}
  - relu
  - adaptive_avg_pool2d: {output_size: 1}
  - flatten
  - linear: {name: fc, out_features: 3}
training:
  dataset: {synthetic: {image: [1, 12, 12], num_classes: 3, train_size: 60, test_size: 30}}
  epochs: 1
  batch_size: 20
  loss: cross_entropy
  optimizer: {adam: {lr: 0.01}}
"""
FIRST = "runs/first/1"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(name: str, text: str = SPEC) -> int:
    Path(f"{name}.yaml").write_text(text, encoding="utf-8")
    return runner.main([f"{name}.yaml", "--quiet"])


def built(text: str = SPEC) -> nn.Sequential:
    path = Path("other.yaml")
    path.write_text(text, encoding="utf-8")
    torch.manual_seed(1)
    return build_model(make_plan(load_spec(path)))


def weights(run: str) -> dict[str, Tensor]:
    found: dict[str, Tensor] = torch.load(Path(run) / "weights.pt", weights_only=True)
    return found


def left_by(run: str, text: str = SPEC) -> nn.Sequential:
    """A run as it would lie there, without training it."""
    model = built(text)
    folder = Path(run)
    folder.mkdir(parents=True)
    for name in ("spec.yaml", "resolved.yaml"):
        (folder / name).write_text(text, encoding="utf-8")
    torch.save(model.state_dict(), folder / "weights.pt")
    return model


def test_a_run_goes_on_from_the_weights_of_another(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trained("first") == Status.DONE
    # With nothing that learns more than the head, the body is the other run's to the last bit.
    frozen = f"{SPEC}  start_from: {FIRST}\n  freeze: [stem, bn]\n  seed: 5\n"
    assert trained("second", frozen) == Status.DONE
    assert f"starting from {FIRST} with 9 of 9 tensors\n" in capsys.readouterr().err
    first, second = weights(FIRST), weights("runs/second/1")
    assert {name for name in first if not torch.equal(first[name], second[name])} == {"fc.weight", "fc.bias"}
    resolved = load_spec("runs/second/1/resolved.yaml").require_recipe()
    assert resolved.start_from == FIRST


def test_what_fits_by_name_and_shape_is_taken_and_the_rest_is_told(here: Path) -> None:
    first = left_by(FIRST)
    other = SPEC.replace("out_features: 3", "out_features: 5").replace("num_classes: 3", "num_classes: 5")
    other = other.replace("name: bn", "name: norm")
    model, fresh = built(other), built(other)
    assert start_from(model, FIRST) == (
        f"starting from {FIRST} with 2 of 9 tensors; `norm.weight` (not there), `norm.bias` (not there), "
        "`norm.running_mean` (not there), `norm.running_var` (not there), `fc.weight` (5x4 here, 3x4 there) and "
        "`fc.bias` (5 here, 3 there) begin anew"
    )
    for name, tensor in model.state_dict().items():
        source = first if name.startswith("stem.") else fresh
        assert torch.equal(tensor, source.state_dict()[name]), name


def test_of_many_tensors_that_are_new_the_first_are_told(here: Path) -> None:
    left_by(FIRST)
    block = "  - conv2d: {out_channels: 4, kernel_size: 1}\n" * 4
    sentence = start_from(built(SPEC.replace("  - relu\n", block)), FIRST)
    assert sentence.startswith(f"starting from {FIRST} with 9 of 17 tensors; `conv2d_2.weight` (not there), ")
    assert sentence.endswith("`conv2d_4.bias` (not there) and 2 more begin anew")


def test_a_single_new_tensor_begins_anew(here: Path) -> None:
    left_by(FIRST, SPEC.replace("out_features: 3", "out_features: 3, bias: false"))
    assert start_from(built(), FIRST).endswith("with 8 of 9 tensors; `fc.bias` (not there) begins anew")


def test_a_count_of_batches_is_taken_only_with_what_was_counted(here: Path) -> None:
    first = left_by(FIRST)
    weights_file = Path(FIRST) / "weights.pt"
    torch.save(first.state_dict() | {"bn.num_batches_tracked": torch.tensor(70)}, weights_file)
    wider = built(SPEC.replace("out_channels: 4, kernel_size: 3}", "out_channels: 6, kernel_size: 3}"))
    start_from(wider, FIRST)
    assert int(wider.state_dict()["bn.num_batches_tracked"]) == 0
    same = built()
    start_from(same, FIRST)
    assert int(same.state_dict()["bn.num_batches_tracked"]) == 70


def test_nothing_that_fits_is_refused_with_what_is_there(here: Path) -> None:
    left_by(FIRST, SPEC.replace("name: stem", "name: a").replace("name: bn", "name: b").replace("name: fc", "name: c"))
    expected = (
        f"nothing of {FIRST} fits this network by name and shape; its tensors are `a.weight` 4x1x3x3, `a.bias` 4, "
    )
    with pytest.raises(UsageError, match="^" + expected.replace("[", r"\[")):
        start_from(built(), FIRST)


def test_weights_that_are_not_finite_are_refused(here: Path) -> None:
    state = left_by(FIRST).state_dict()
    state["fc.weight"][1, 2] = float("nan")
    torch.save(state, Path(FIRST) / "weights.pt")
    with pytest.raises(UsageError, match=f"`fc.weight` of {FIRST} holds numbers that are not finite"):
        start_from(built(), FIRST)


def test_a_missing_run_ends_before_anything_is_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trained("second", f"{SPEC}  start_from: runs/gone/1\n") == Status.USAGE
    assert capsys.readouterr().err.splitlines()[-1].startswith("yamlnet: there is no run runs/gone/1")
    assert not Path("runs").exists()


def test_a_run_that_is_not_finished_is_refused(here: Path) -> None:
    left_by(FIRST)
    (Path(FIRST) / "weights.pt").unlink()
    with pytest.raises(UsageError, match=f"{FIRST} is not finished"):
        start_from(built(), FIRST)


@pytest.mark.parametrize("content", [b"", b"weights", b"\0" * 200])
def test_damaged_weights_are_refused(content: bytes, here: Path) -> None:
    left_by(FIRST)
    (Path(FIRST) / "weights.pt").write_bytes(content)
    with pytest.raises(UsageError, match="damaged"):
        start_from(built(), FIRST)


def test_check_never_opens_the_run(here: Path) -> None:
    path = Path("second.yaml")
    path.write_text(f"{SPEC}  start_from: runs/gone/1\n", encoding="utf-8")
    assert make_plan(load_spec(path)).problems == ()
