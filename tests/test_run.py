"""Training for real, on the embedded sample: what a run prints, writes, and returns."""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from commands import run_in_terminal

import runner
from builder import build_model, load_spec, make_plan
from builder.exits import guard, stop_if_asked
from builder.runs.directory import RunDirectory

ROOT = Path(__file__).parent.parent
TINY = str(ROOT / "specs" / "tiny.yaml")

# One strided convolution: an epoch on the sample takes a fraction of a second.
QUICK = """\
name: quick
input: [1, 28, 28]
layers:
  - conv2d: {out_channels: 8, kernel_size: 5, stride: 3}
  - batch_norm2d
  - relu
  - dropout: {p: 0.1}
  - flatten
  - linear: {out_features: 10}
training:
  dataset: mnist_sample
  epochs: 2
  batch_size: 100
  loss: {cross_entropy: {label_smoothing: 0.1}}
  optimizer: {sgd: {lr: 0.1, momentum: 0.9}}
  scheduler: {step: {step_size: 1, gamma: 0.5}}
  seed: 3
"""


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The quick spec in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNIST_DIR", raising=False)
    spec = tmp_path / "quick.yaml"
    spec.write_text(QUICK, encoding="utf-8")
    return spec


def summary(run: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return document


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "weights.pt", weights_only=True)
    return state


def assert_equal_weights(one: Path, other: Path) -> None:
    ours, theirs = weights(one), weights(other)
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def timeless(run: Path) -> list[dict[str, float]]:
    return [{key: value for key, value in line.items() if key not in TIMES} for line in metrics(run)]


TIMES = ("seconds", "images_per_second")


def test_tiny_reaches_95_percent_on_the_sample(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main([TINY, "training.dataset=mnist_sample", "training.epochs=3"]) == 0
    test = summary(Path("runs/tiny/1"))["test"]
    assert isinstance(test, dict)
    assert test["accuracy"] >= 0.95
    assert test["correct"] == round(test["accuracy"] * 1000)
    assert test["total"] == 1000
    assert f"{test['accuracy']:.2%} ({test['correct']} of 1,000)" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_weights_and_metrics_and_another_gives_others(quick: Path) -> None:
    assert runner.main([str(quick), "--quiet"]) == 0
    assert runner.main([str(quick), "--quiet"]) == 0
    assert runner.main([str(quick), "--quiet", "training.seed=4"]) == 0
    first, second, other = (Path(f"runs/quick/{number}") for number in (1, 2, 3))
    assert_equal_weights(first, second)
    assert timeless(first) == timeless(second)
    assert timeless(first) != timeless(other)
    assert not torch.equal(weights(first)["linear_1.weight"], weights(other)["linear_1.weight"])


def test_the_resolved_spec_reruns_to_the_same_weights(quick: Path) -> None:
    assert runner.main([str(quick), "--quiet", "training.epochs=1", "layers[0].conv2d.out_channels=6"]) == 0
    first = Path("runs/quick/1")
    assert (first / "spec.yaml").read_text(encoding="utf-8") == QUICK
    assert runner.main([str(first / "resolved.yaml"), "--quiet"]) == 0
    second = Path("runs/quick/2")
    assert_equal_weights(first, second)
    assert (second / "resolved.yaml").read_text(encoding="utf-8") == (first / "resolved.yaml").read_text(
        encoding="utf-8"
    )


def test_a_run_keeps_a_line_of_metrics_per_epoch_and_a_summary(quick: Path) -> None:
    assert runner.main([str(quick), "--quiet"]) == 0
    run = Path("runs/quick/1")
    assert sorted(file.name for file in run.iterdir() if file.suffix != ".png") == [
        "checkpoints",
        "metrics.jsonl",
        "resolved.yaml",
        "results.csv",
        "spec.yaml",
        "summary.json",
        "weights.pt",
    ]
    lines = metrics(run)
    assert [(line["epoch"], line["step"], line["lr"]) for line in lines] == [(1, 50, 0.1), (2, 100, 0.05)]
    assert set(lines[0]) == {"epoch", "step", "lr", "train_loss", "test_loss", "test_accuracy", *TIMES}
    found = summary(run)
    assert found["format"] == 1
    assert found["name"] == "quick"
    assert found["dataset"] == "mnist_sample"
    assert found["fallback_used"] is False
    assert found["params"] == make_plan(load_spec(quick)).params
    assert found["epochs"] == 2
    assert found["seed"] == 3
    assert found["precision"] == "float32"
    assert found["device"] in ("cpu", "cuda", "mps")
    assert isinstance(found["test"], dict)
    per_class = found["test"].pop("per_class")
    assert list(per_class) == list("0123456789")
    assert sum(per_class.values()) / 10 == pytest.approx(lines[1]["test_accuracy"])  # the sample has as many of each
    assert found["test"] == {
        "loss": lines[1]["test_loss"],
        "accuracy": lines[1]["test_accuracy"],
        "correct": round(lines[1]["test_accuracy"] * 1000),
        "total": 1000,
    }
    assert isinstance(found["versions"], dict)
    assert found["versions"]["torch"] == str(torch.__version__)


def test_the_test_loss_is_a_mean_over_images_without_label_smoothing(quick: Path) -> None:
    assert runner.main([str(quick), "--quiet"]) == 0
    run = Path("runs/quick/1")
    plan = make_plan(load_spec(quick))
    model = build_model(plan)
    model.load_state_dict(weights(run))
    model.eval()
    images, labels = sample_test_images()
    with torch.no_grad():
        output = model(images)
    expected = torch.nn.functional.cross_entropy(output, labels).item()
    assert metrics(run)[-1]["test_loss"] == pytest.approx(expected, rel=1e-5)
    accuracy = (output.argmax(1) == labels).double().mean().item()
    assert metrics(run)[-1]["test_accuracy"] == pytest.approx(accuracy)


def sample_test_images() -> tuple[torch.Tensor, torch.Tensor]:
    """The sample's test images, read without the code under test."""
    import gzip

    folder = ROOT / "builder" / "mnist_sample"
    pixels = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    images = torch.tensor(list(pixels), dtype=torch.float32).reshape(1000, 1, 28, 28) / 255
    return (images - 0.1307) / 0.3081, torch.tensor(list(labels))


def test_the_plan_is_printed_before_and_the_summary_after_training(
    quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runner.main([str(quick)]) == 0
    printed = capsys.readouterr()
    assert printed.out.index("receptive field in pixels") < printed.out.index("test accuracy")
    lines = [line for line in printed.err.splitlines() if "epoch" in line]
    assert [line.split(":")[1] for line in lines] == [" epoch 1/2", " epoch 2/2"]
    assert "\r" not in printed.err


def test_quiet_prints_the_summary_only(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main([str(quick), "--quiet"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("summary")
    assert printed.err == ""


def test_several_specs_end_with_a_comparison_and_the_first_failure_counts(
    quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = quick.with_name("other.yaml")
    other.write_text(QUICK.replace("name: quick\n", ""), encoding="utf-8")
    bad = quick.with_name("bad.yaml")
    bad.write_text("input: [1, 28, 28]\nlayers: [relu6x]\n", encoding="utf-8")
    words = [str(quick), str(bad), "missing.yaml", str(other), "training.epochs=1", "--quiet"]
    assert runner.main(words) == 1
    printed = capsys.readouterr()
    assert "unknown kind `relu6x`" in printed.err
    assert "missing.yaml" in printed.err
    comparison = printed.out[printed.out.index("comparison") :].splitlines()
    assert [line.split()[0] for line in comparison[3:]] == ["quick", "other"]


def test_the_fallback_is_said_before_training_in_the_summary_and_in_the_json(
    quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(quick), "training.dataset={mnist: {mean: 0.2, fallback: mnist_sample}}", "--offline"]
    assert runner.main(words) == 0
    printed = capsys.readouterr()
    said = printed.err.index("training on mnist_sample instead of mnist")
    assert said < printed.err.index("epoch 1/2")
    assert "mnist_sample, because mnist was not to be had" in printed.out
    run = Path("runs/quick/1")
    found = summary(run)
    assert (found["dataset"], found["dataset_written"], found["fallback_used"]) == ("mnist_sample", "mnist", True)
    assert "dataset: {mnist: {mean: 0.2," in (run / "resolved.yaml").read_text(encoding="utf-8")


def test_a_missing_data_set_without_fallback_exits_with_3_and_leaves_no_run(
    quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runner.main([str(quick), "training.dataset=fashion_mnist", "--offline"]) == 3
    assert "fashion_mnist" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_loss_that_is_not_finite_stops_training_with_4_and_names_the_step(
    quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runner.main([str(quick), "training.optimizer.sgd.lr=1e30", "--save-every", "1e-9"]) == 4
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("yamlnet: training stopped at step ")
    last_good = str(Path("runs/quick/1/checkpoints/step-000000001.pt"))
    assert said.endswith(f"(lr 1e+30); try a lower lr; the last good checkpoint is {last_good}")
    assert not Path("runs/quick/1/weights.pt").exists()


def test_a_runs_folder_that_is_a_file_exits_with_6(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs").write_text("", encoding="utf-8")
    assert runner.main([str(quick)]) == 6
    assert capsys.readouterr().err == (
        "yamlnet: can't write to runs/quick: not a directory; choose another folder with --runs\n"
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device that the test wants missing")
def test_a_device_that_is_not_there_exits_with_2(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main([str(quick), "--device", "cuda"]) == 2
    assert capsys.readouterr().err.endswith(
        "device `cuda` is not there: torch finds no CUDA GPU; write `cpu` or `auto`\n"
    )


def test_two_runs_that_start_at_once_get_two_numbers(quick: Path) -> None:
    spec = load_spec(quick)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: RunDirectory.create(Path("runs"), spec).path.name, range(40)))
    assert sorted(made, key=int) == [str(number) for number in range(1, 41)]


def test_three_lines_of_python_give_spec_plan_and_model(quick: Path) -> None:
    spec = load_spec(quick)
    plan = make_plan(spec)
    model = build_model(plan)
    assert isinstance(model, torch.nn.Sequential)
    assert [name for name, _ in model.named_children()] == [row.name for row in plan.rows]
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert str(plan).startswith("quick: input 1x28x28\n")


def test_a_terminal_shows_a_bar_and_a_line_per_epoch(quick: Path) -> None:
    text = run_in_terminal([sys.executable, "runner.py", str(quick), "--runs", str(quick.with_name("runs"))], width=100)
    assert "\repoch 1/2:" in text
    assert "images/s" in text
    assert "yamlnet: epoch 2/2: train loss" in text


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_training_ends_the_run_with_its_status(quick: Path, number: signal.Signals, status: int) -> None:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "runner.py"), str(quick), "training.epochs=100000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        try:
            # Warnings come first.
            assert any("epoch 1/100000" in line for line in process.stderr)
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == status
    assert "Traceback" not in said
    assert said.splitlines()[-1] == f"yamlnet: {'interrupted' if number == signal.SIGINT else 'terminated'}"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_whose_exception_gets_lost_ends_the_run_at_the_next_step(number: signal.Signals, status: int) -> None:
    class Dropping:
        def __del__(self) -> None:
            signal.raise_signal(number)  # Python drops what is raised in a finaliser

    def command() -> int:
        Dropping()
        stop_if_asked()
        return 0

    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    unraisable = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        assert guard(command) == status
    finally:
        sys.unraisablehook = unraisable
        for each, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(each, handler)
