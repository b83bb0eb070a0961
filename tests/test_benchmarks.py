"""The commands of benchmarks/ run, count what they say they count, and compare the same network on both sides.

What they measure here says nothing: next to no work, in one process, on a busy machine.
"""

import json
import math
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from builder import build_model, load_spec, make_plan
from builder.data.images import load_data

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "benchmarks"))  # where its commands find each other when they are run

import scaling  # noqa: E402
import speed  # noqa: E402
from ceiling import training_flops  # noqa: E402
from comparison import Call, Comparison, in_turn, measured  # noqa: E402
from comparisons import COMPARISONS, NETWORKS, QUICK, Setting  # noqa: E402
from digits import few_digits  # noqa: E402
from figures import FIGURES, Row, rows_of  # noqa: E402
from scripts import notebook  # noqa: E402
from speed_results import Results  # noqa: E402
from theirs import NETS  # noqa: E402
from traffic import traffic_figures  # noqa: E402

ONE_LINEAR = "input: [1, 4, 4]\nlayers: [flatten, {linear: {out_features: 10}}, {linear: {out_features: 5}}]\n"
HOW = {"date": "2026-01-01", "command": "python benchmarks/speed.py --only check --rounds 2"}


def setting(folder: Path) -> Setting:
    return Setting(few_digits(folder, *speed.QUICK_IMAGES), QUICK, rounds=1)


def row(figure: str, theirs: Sequence[float], ours: Sequence[float], is_mean: bool = False) -> Row:
    return Row("what", figure, theirs, ours, is_mean)


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_comparison_gives_figures_of_both_sides(name: str, tmp_path: Path) -> None:
    comparison = COMPARISONS[name](setting(tmp_path))
    rows = rows_of(comparison, measured(comparison, Call.here))
    assert len(rows) >= len(comparison.ours)
    for each in rows:
        assert all(math.isfinite(value) and value >= 0 for value in (*each.theirs, *each.ours))
        assert len(each.theirs) == len(each.ours) == 1 or each.figure.endswith("_gflops")
        assert bool(each.times_better) == (FIGURES[each.figure].power != 0)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_of_a_script_is_that_of_its_spec(name: str) -> None:
    ours, theirs = build_model(make_plan(load_spec(ROOT / NETWORKS[name]))).eval(), NETS[name]().eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    images = torch.rand(3, 1, 28, 28)
    assert torch.equal(ours(images), theirs(images))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_recipe_of_a_spec_is_that_of_the_script(name: str) -> None:
    recipe = load_spec(ROOT / NETWORKS[name]).require_recipe()
    optimizers = [recipe.optimizer.optimizer(NETS[name]().parameters()), notebook.optimizer_of(NETS[name]())]
    assert optimizers[0].defaults == optimizers[1].defaults
    assert recipe.batch_size == notebook.BATCH_SIZE


def test_a_script_loads_the_numbers_that_a_run_loads(tmp_path: Path) -> None:
    recipe = load_spec(ROOT / NETWORKS["small"], ["training.dataset=mnist_sample"]).require_recipe()
    ours = load_data(recipe.dataset, data_dir=None, offline=True, device=torch.device("cpu")).test
    _, loader = notebook.loaders(few_digits(tmp_path, 1, 20).root, 20)
    ((images, labels),) = loader
    assert torch.equal(images, ours.batch(slice(20))[0])
    assert torch.equal(labels, ours.labels[:20])


def test_few_digits_are_the_first_ones_with_a_header_of_their_own(tmp_path: Path) -> None:
    few_digits(tmp_path, 7, 3)
    content = (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").read_bytes()
    assert struct.unpack_from(">IIII", content) == (0x803, 7, 28, 28)
    assert len(content) == 16 + 7 * 28 * 28


def test_the_sides_take_turns_and_every_other_round_begins_at_the_other_end() -> None:
    calls = [Call(f"side.{letter}") for letter in "abcd"]
    turns = in_turn({"theirs": calls[:2], "ours": calls[1:]})
    assert [side for side, _ in turns] == ["theirs", "ours", "ours", "theirs", "ours"]


def test_a_function_runs_in_a_process_of_its_own() -> None:
    assert Call("os.getpid").elsewhere() != Call("os.getpid").here()


def test_a_training_step_is_six_operations_for_each_mac_without_the_gradient_of_the_images(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(ONE_LINEAR, encoding="utf-8")
    plan = make_plan(load_spec(tmp_path / "spec.yaml"))
    assert training_flops(plan) == 4 * 16 * 10 + 6 * 10 * 5


def test_traffic_counts_what_operations_read_write_and_allocate_but_not_views() -> None:
    ones, positions = torch.ones(1000), torch.tensor([5, 900])

    def action() -> None:
        ones.view(10, 100).add_(1)  # read, written
        ones + ones  # read twice, written to memory of its own
        ones.index_select(0, positions)  # two positions of eight bytes, two numbers of four read and written

    assert traffic_figures(action, images=1) == {"kb_touched": 8 + 12 + 0.032, "kb_allocated": 4.008}


def test_what_is_faster_or_smaller_is_better_and_what_loses_is_below_one() -> None:
    assert row("images_per_second", [100, 100, 100], [50, 150, 200]).whole_times_better == 1.5
    assert row("seconds", [1, 2, 3], [4, 4, 4]).times_better == [0.25, 0.5, 0.75]
    assert row("seconds", [1], [4]).cells() == ["what", "1 s", "4 s", "0.25"]
    assert row("seconds", [1, 2, 3], [4, 4, 4]).cells()[-1] == "0.5 (0.25 to 0.75)"


def test_over_seeds_the_means_are_compared_of_however_many_there_are() -> None:
    assert row("seconds", [100, 200], [1, 2, 3], is_mean=True).whole_times_better == 75
    assert row("accuracy", [99.0], [98.95, 99.06], is_mean=True).cells()[2] == "99.00 (98.95 to 99.06) %"


def test_results_are_kept_comparison_by_comparison_and_losing_ones_are_shown(tmp_path: Path) -> None:
    results = Results(tmp_path)
    comparison = Comparison("checking", [], {"": []})
    for seconds in (1.0, 8.0):
        rows = rows_of(comparison, {"theirs": [{"seconds": 2.0}], "": [{"seconds": seconds}]})
        results.keep("check", HOW, rows, COMPARISONS)
    results.keep("read", HOW, [], COMPARISONS)
    document = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    page = (tmp_path / "speed.md").read_text(encoding="utf-8")
    assert list(document["comparisons"]) == ["read", "check"]
    assert document["comparisons"]["check"]["rows"][0]["times_better"] == 0.25
    assert "| checking | 2 s | 8 s | 0.25 |" in page
    assert "| check | 2026-01-01 |" in page


def test_the_whole_command_prints_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Call, "elsewhere", Call.here)
    monkeypatch.setattr(sys, "argv", ["speed.py", "--quick", "--only", "build"])
    assert speed.main() == 0
    assert "building net.yaml's network" in capsys.readouterr().out


def test_scaling_trains_once_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "THREADS", (1,))  # two wait for each other where tests run side by side
    first, *_ = scaling.points()
    slow, fast = sorted(scaling.measured([first], rounds=2, images=1)[first][1])
    assert 0 < slow <= fast


def test_scaling_shows_every_value_of_every_axis(tmp_path: Path) -> None:
    speeds = {point: {1: [10.0], 2: [19.0, 20.0, 21.0]} for point in scaling.points()}
    rows = scaling.table(speeds).rows
    assert [(each[0], each[1]) for each in rows] == [(point.axis, str(point.value)) for point in scaling.points()]
    assert rows[0][4:6] == ["10", "20 (19 to 21)"]
    scaling.plot(speeds).savefig(tmp_path / "scaling.png")
    assert "plan_time.md" in scaling.page(speeds, 1, "load 0.0")
