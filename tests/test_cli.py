"""The commands `check`, `show`, `schema` and `run`: what they print where, and their exit statuses."""

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import BUILDER, ROOT, RUNNER, run

import runner
from builder import __version__, exits, load_spec, make_plan
from builder.__main__ import main
from builder.editor import schema_text
from builder.options import train_options

GOOD = "input: [1, 28, 28]\nlayers: [flatten, {linear: {out_features: 10}}]\n"
BAD = "input: [1, 28, 28]\nlayers: [relux]\n"
WARNING = "input: [1, 28, 28]\nlayers: [flatten, {dropout: {p: 1}}]\n"
TOO_SMALL = (
    "input: [1, 28, 28]\nlayers: [tanh, {max_pool2d: {kernel_size: 15}}, {conv2d: {out_channels: 2, kernel_size: 3}}]\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a good, a bad and a doubtful spec."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"good": GOOD, "bad": BAD, "warning": WARNING, "small": TOO_SMALL}.items():
        Path(f"{name}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


# --- check ---


@pytest.mark.parametrize(
    ("words", "status", "verdict"),
    [
        (["good.yaml"], 0, "no problems in 1 spec"),
        (["bad.yaml"], 1, "1 error, 0 warnings in 1 spec"),
        (["warning.yaml"], 0, "0 errors, 1 warning in 1 spec"),
        (["warning.yaml", "--strict"], 1, "0 errors, 1 warning in 1 spec"),
        (["good.yaml", "--strict"], 0, "no problems in 1 spec"),
        (["."], 1, "2 errors, 1 warning in 4 specs"),
        (["good.yaml", "warning.yaml", "good.yaml"], 0, "0 errors, 1 warning in 3 specs"),
        (["missing.yaml", "good.yaml"], 2, "no problems in 1 spec"),
        (["missing.yaml", "bad.yaml"], 2, "1 error, 0 warnings in 1 spec"),
        (["bad.yaml", "missing.yaml"], 1, "1 error, 0 warnings in 1 spec"),
    ],
)
def test_check_tries_every_spec_and_the_first_status_that_is_not_0_counts(
    folder: Path, words: list[str], status: int, verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *words]) == status
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == verdict
    assert printed.err.splitlines() == (
        ["yamlnet: can't read `missing.yaml`: there is no such file"] if "missing.yaml" in words else []
    )


def test_a_missing_spec_is_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "missing.yaml"]) == 2
    assert capsys.readouterr() == ("", "yamlnet: can't read `missing.yaml`: there is no such file\n")


def test_a_directory_without_specs_is_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    (folder / "empty" / "notes.txt").write_text("", encoding="utf-8")
    assert main(["check", "empty"]) == 2
    assert capsys.readouterr().err == (
        "yamlnet: there is no spec below `empty` (a file that ends with .yaml or .yml)\n"
    )


def test_what_is_no_file_is_2_and_the_others_are_still_checked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo("pipe.yaml")
    Path("loop.yaml").symlink_to("loop.yaml")
    Path("device.yaml").symlink_to("/dev/zero")
    assert main(["check", "."]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "2 errors, 1 warning in 4 specs"
    assert printed.err.splitlines() == [
        "yamlnet: can't read `device.yaml`: it is a device, not a file",
        "yamlnet: can't read `loop.yaml`: too many levels of symbolic links",
        "yamlnet: can't read `pipe.yaml`: it is a named pipe, not a file",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_spec_is_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("good.yaml").chmod(0)
    assert main(["check", "good.yaml"]) == 2
    assert capsys.readouterr().err == "yamlnet: can't read `good.yaml`: permission denied\n"


def test_a_path_that_no_file_can_have_is_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "a" * 5000, "nul\0.yaml", "\x1b[31m.yaml"]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 3
    assert "\x1b" not in said
    assert "\0" not in said


def test_json_of_check_is_one_document_even_if_nothing_could_be_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "missing.yaml", "--format", "json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document == {"format": 1, "files": 0, "errors": 0, "warnings": 0, "problems": []}
    assert main(["check", ".", "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["files"], document["errors"], document["warnings"]) == (4, 2, 1)
    assert [problem["file"] for problem in document["problems"]] == ["bad.yaml", "small.yaml", "warning.yaml"]


def test_a_network_is_checked_down_to_its_shapes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "small.yaml", "--format", "concise"]) == 1
    assert capsys.readouterr().out.startswith("small.yaml:2:89: error[kernel-too-large]: kernel extent 3 does not fit")


# --- show ---


def test_show_prints_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    path = ROOT / "specs" / "net.yaml"
    assert main(["show", str(path)]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{make_plan(load_spec(path))}\n"
    assert printed.err == ""


def test_show_prints_the_table_down_to_the_failing_layer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "small.yaml"]) == 1
    printed = capsys.readouterr()
    assert re.findall(r"^(\w+)_1 ", printed.out, re.MULTILINE) == ["tanh", "max_pool2d"]
    assert printed.err.startswith("error[kernel-too-large]: ")


def test_show_of_a_spec_that_cannot_be_read_prints_its_problems(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "bad.yaml"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error[unknown-kind]: unknown kind `relux`\n")
    assert main(["show", "missing.yaml"]) == 2


def test_show_prints_warnings_below_the_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "warning.yaml"]) == 0
    printed = capsys.readouterr()
    assert "dropout_1" in printed.out
    assert printed.err.startswith("warning[drops-everything]: ")


def show_json(path: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object]]:
    status = main(["show", path, "--json"])
    printed = capsys.readouterr()
    assert printed.err == ""
    document: dict[str, object] = json.loads(printed.out)
    assert next(iter(document)) == "format"
    return status, document


KEYS = ["format", "name", "input", "output", "params", "macs", "layers", "problems"]


def test_show_json_is_what_the_design_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("design.yaml").write_text(
        "input: [2, 9, 7]\nlayers:\n  - adaptive_avg_pool2d: {output_size: [2, 3]}\n"
        "  - conv2d: {name: last, out_channels: 4, kernel_size: [1, 3], padding: [0, 1]}\n  - flatten\n",
        encoding="utf-8",
    )
    status, document = show_json("design.yaml", capsys)
    assert status == 0
    pool = {"size": [5, 3], "stride": [4.5, 7 / 3], "padding": [0, 0], "covers_input": False}
    field = {"size": [5, 8], "stride": [4.5, 7 / 3], "padding": [0, 3], "covers_input": False}
    assert list(document) == KEYS
    assert document == {
        "format": 1,
        "name": "design",
        "input": [2, 9, 7],
        "output": [24],
        "params": 28,
        "macs": 144,
        "layers": [
            {"index": 0, "name": "adaptive_avg_pool2d_1", "kind": "adaptive_avg_pool2d", "line": 3,
             "in_shape": [2, 9, 7], "out_shape": [2, 2, 3], "receptive_field": pool, "params": 0, "macs": 0},
            {"index": 1, "name": "last", "kind": "conv2d", "line": 4,
             "in_shape": [2, 2, 3], "out_shape": [4, 2, 3], "receptive_field": field, "params": 28, "macs": 144},
            {"index": 2, "name": "flatten_1", "kind": "flatten", "line": 5,
             "in_shape": [4, 2, 3], "out_shape": [24], "receptive_field": field, "params": 0, "macs": 0},
        ],
        "problems": [],
    }  # fmt: skip


def test_show_json_of_a_failing_layer_ends_before_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, document = show_json("small.yaml", capsys)
    assert status == 1
    assert (document["name"], document["input"]) == ("small", [1, 28, 28])
    assert (document["output"], document["params"], document["macs"]) == (None, None, None)
    assert isinstance(document["layers"], list)
    assert [layer["name"] for layer in document["layers"]] == ["tanh_1", "max_pool2d_1"]
    assert isinstance(document["problems"], list)
    assert [problem["code"] for problem in document["problems"]] == ["kernel-too-large"]


def test_show_json_of_a_spec_that_cannot_be_read_holds_its_problems(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, document = show_json("bad.yaml", capsys)
    assert status == 1
    assert list(document) == KEYS
    assert isinstance(document["problems"], list)
    assert [problem["code"] for problem in document["problems"]] == ["unknown-kind"]
    assert {key: document[key] for key in KEYS[1:7]} == {
        "name": None, "input": None, "output": None, "params": None, "macs": None, "layers": []
    }  # fmt: skip


def test_show_json_of_a_spec_with_warnings_is_complete(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, document = show_json("warning.yaml", capsys)
    assert (status, document["output"]) == (0, [784])
    assert isinstance(document["problems"], list)
    assert [problem["severity"] for problem in document["problems"]] == ["warning"]


# --- the others, and wrong usage ---


def test_schema_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == schema_text()


@pytest.mark.parametrize("words", [[*BUILDER, "--version"], [*RUNNER, "--version"], [*BUILDER, "run", "--version"]])
def test_version_is_printed(words: list[str]) -> None:
    done = run(words)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"yamlnet {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["chekc"], "invalid choice: 'chekc'"),
        (["check"], "the following arguments are required: PATH"),
        (["check", "x.yaml", "--formt", "json"], "unrecognized arguments: --formt json"),
        (["check", "x.yaml", "--format", "xml"], "invalid choice: 'xml'"),
        (["show"], "the following arguments are required: SPEC"),
        (["show", "a.yaml", "b.yaml"], "unrecognized arguments: b.yaml"),
        (["run"], "no spec is given"),
        (["run", "--frob", "x.yaml"], "unrecognized arguments: --frob"),
        (["run", "training.epochs=3"], "no spec is given"),
        (["run", "x.yaml", "--device", "gpu"], "'gpu' is not auto, cpu, mps, cuda or cuda:N"),
    ],
)
def test_wrong_usage_is_2_with_a_line_of_usage(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("usage: ")
    assert said in printed.err.splitlines()[-1]


@pytest.mark.parametrize("start", [main, lambda words: runner.main(words[1:])], ids=["yamlnet run", "runner.py"])
def test_a_spec_without_training_can_not_be_run(
    folder: Path, start: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(["run", "good.yaml"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error[no-training]: the spec has no `training`\n --> good.yaml:1:1\n")
    assert list(folder.glob("runs*")) == []


def test_a_run_of_a_wrong_spec_reports_it_and_a_wrong_override(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runner.main(["bad.yaml"]) == 1
    assert "unknown kind `relux`" in capsys.readouterr().err
    assert runner.main(["good.yaml", "a..b=1"]) == 1
    assert "`a..b` is no path into a spec" in capsys.readouterr().err
    assert runner.main(["good.yaml", f"name={'x' * 5000}"]) == 1
    assert "command line: name" in capsys.readouterr().err
    assert runner.main(["missing.yaml"]) == 2


def test_a_run_shows_the_table_down_to_the_failing_layer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "training: {dataset: mnist, epochs: 1, batch_size: 8, loss: nll_loss, optimizer: adam}\n"
    Path("small.yaml").write_text(TOO_SMALL + text, encoding="utf-8")
    assert runner.main(["small.yaml"]) == 1
    printed = capsys.readouterr()
    assert re.findall(r"^(\w+)_1 ", printed.out, re.MULTILINE) == ["tanh", "max_pool2d"]
    assert "error[kernel-too-large]" in printed.err


def test_an_existing_file_with_an_equals_sign_is_a_spec(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("lr=0.1.yaml").write_text(BAD, encoding="utf-8")
    assert runner.main(["lr=0.1.yaml"]) == 1
    assert "lr=0.1.yaml:2:10" in capsys.readouterr().err
    options = train_options(["good.yaml", "lr=0.1.yaml", "training.epochs=3"], "")
    assert (options.specs, options.overrides) == (["good.yaml", "lr=0.1.yaml"], ["training.epochs=3"])


def test_options_may_stand_among_specs_and_overrides() -> None:
    options = train_options(["a.yaml", "--quiet", "x=1", "--runs", "elsewhere", "b.yaml", "y=2", "--offline"], "")
    assert (options.specs, options.overrides) == (["a.yaml", "b.yaml"], ["x=1", "y=2"])
    assert (options.quiet, options.offline, options.runs) == (True, True, Path("elsewhere"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no spec is given"),
        (["--resume", "runs/a/1", "a.yaml", "b.yaml"], "--resume goes on with one run, and several specs are given"),
        (["--resume", "runs/a/1", "--dry-run"], "--dry-run tries a new run, and --resume goes on with another"),
        (["a.yaml", "--save-every", "0"], "'0' is not a positive number of seconds"),
        (["a.yaml", "--save-every", "soon"], "'soon' is not a positive number of seconds"),
        (["a.yaml", "--save-every", "nan"], "'nan' is not a positive number of seconds"),
        (["test"], "the following arguments are required: RUN"),
        (["predict", "latest"], "the following arguments are required: PICTURE"),
    ],
)
def test_wrong_options_of_a_run_are_2_and_say_why(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        runner.main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


# --- signals ---


@pytest.fixture
def _handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Those of pytest are put back."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
    ids=["SIGINT", "SIGTERM"],
)
def test_signals_after_the_first_change_nothing_while_the_command_ends(
    number: signal.Signals, status: int, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []

    def interrupted(sentence: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        said.append(sentence)

    def command() -> int:
        os.kill(os.getpid(), number)
        raise AssertionError("the signal has to be raised here")

    monkeypatch.setattr(exits, "say", interrupted)
    assert exits.guard(command) == status
    assert said == [word]


@pytest.mark.usefixtures("_handlers")
def test_an_error_that_a_library_makes_of_a_signal_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("half of it") from None
        return 0

    assert exits.guard(command) == 130
    assert capsys.readouterr().err == "yamlnet: interrupted\n"


@pytest.mark.parametrize("door", ["runner", "builder.__main__"])
def test_a_door_imports_nothing_that_takes_long_before_it_listens_to_signals(door: str) -> None:
    code = f"import sys, {door}; print(sorted(name for name in sys.modules if name.startswith('builder.')))"
    imported = run([sys.executable, "-c", code]).stdout.strip()
    assert imported == str(sorted({"builder.exits", "builder.version", door} - {"runner"}))


INTERRUPTED_AT = """
import os, runpy, signal, sys
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(Finder)
            os.kill(os.getpid(), signal.SIGINT)
module, how, where, *words = sys.argv[1:]
sys.argv[1:] = words
sys.meta_path.insert(0, Finder)
signal.signal(signal.SIGINT, signal.default_int_handler)
getattr(runpy, how)(where, run_name="__main__")
"""


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("builder.options", ["run_path", RUNNER[-1], "specs/net.yaml"]),
        ("jsonschema", ["run_path", RUNNER[-1], "specs/net.yaml"]),
        ("builder.checking", ["run_module", "builder", "check", "specs/net.yaml"]),
    ],
)
def test_an_interrupt_at_the_start_is_no_traceback(module: str, command: list[str]) -> None:
    done = run([sys.executable, "-c", INTERRUPTED_AT, module, *command])
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "yamlnet: interrupted\n")


# --- bugs of ours ---


def broken(*arguments: object) -> int:
    raise ZeroDivisionError("division\x1b by\nzero")


def test_a_bug_is_70_and_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("builder.checking.check", broken)
    monkeypatch.delenv("YAMLNET_DEBUG", raising=False)
    assert main(["check", "x.yaml"]) == 70
    said = capsys.readouterr().err
    assert said.startswith("yamlnet: this is a bug of yamlnet (ZeroDivisionError: division\\x1b by); please report ")
    assert said.endswith("(YAMLNET_DEBUG=1 shows where)\n")
    assert said.count("\n") == 1


def test_a_bug_shows_its_traceback_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.checking.check", broken)
    monkeypatch.setenv("YAMLNET_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["check", "x.yaml"])
