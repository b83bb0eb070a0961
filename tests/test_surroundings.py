"""The commands in odd surroundings: closed pipes, terminals of any width, no torch; and what `check` never does."""

import json
import os
import re
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest
from commands import BUILDER, ROOT, environment, run, run_in_terminal

SHOW_NET = [*BUILDER, "show", "specs/net.yaml"]

# --- where output goes ---


@pytest.mark.parametrize("command", ["check tests/specs/invalid", "show specs/net.yaml", "schema"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_early_is_no_error(command: str, unbuffered: str) -> None:
    done = run(
        ["bash", "-c", f'"$0" -m builder {command} | head -n 1', sys.executable], env={"PYTHONUNBUFFERED": unbuffered}
    )
    assert done.stdout.count("\n") == 1
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_standard_output_changes_no_status() -> None:
    for words, status in (
        ("check specs/net.yaml", 0),
        ("check tests/specs/invalid/text/empty.yaml", 1),
        ("show specs/net.yaml", 0),
    ):
        done = run(["bash", "-c", f'"$0" -m builder {words} >&-', sys.executable])
        assert (done.returncode, done.stderr) == (status, "")


def test_with_standard_error_closed_diagnostics_go_nowhere() -> None:
    done = run(["bash", "-c", '"$0" -m builder check missing.yaml 2>&-', sys.executable])
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_6_and_one_sentence() -> None:
    done = run(["bash", "-c", '"$0" -m builder check specs/net.yaml >/dev/full', sys.executable])
    assert (done.returncode, done.stderr) == (6, "yamlnet: can't write to standard output: no space left on device\n")


@pytest.mark.parametrize(
    "env", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "ascii"}]
)
def test_a_locale_without_unicode_gets_ascii(env: dict[str, str], tmp_path: Path) -> None:
    done = run(SHOW_NET, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "-----" in done.stdout
    assert done.stdout.isascii()
    spec = tmp_path / "accents.yaml"
    spec.write_text("input: [1, 28, 28]\nlayers: [rélu]  # naïve\n", encoding="utf-8")
    done = run([*BUILDER, "check", str(spec)], env=env)
    assert (done.returncode, done.stderr) == (1, "")
    assert "unknown kind `r\\xe9lu`" in done.stdout
    assert done.stdout.isascii()


def test_json_is_ascii_in_every_locale(tmp_path: Path) -> None:
    spec = tmp_path / "accents.yaml"
    spec.write_text("input: [1, 28, 28]\nlayers: [rélu]\n", encoding="utf-8")
    done = run([*BUILDER, "check", str(spec), "--format", "json"], env={"PYTHONIOENCODING": "ascii"})
    assert json.loads(done.stdout)["problems"][0]["message"] == "unknown kind `rélu`"


# --- terminals ---


def plain(shown: str) -> list[str]:
    """The lines without the terminal's own codes."""
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()]


@pytest.mark.parametrize("width", [200, 80, 60, 40])
def test_a_table_fits_the_terminal_and_says_what_it_leaves_out(width: int) -> None:
    lines = plain(run_in_terminal(SHOW_NET, width))
    assert max(len(line) for line in lines) <= width
    assert lines[0] == "net: input 1x28x28"
    titles = lines[1].split()
    assert {"name", "output", "field", "params"} <= set(titles)
    missing = [title for title in ("kind", "line", "input", "stride", "MACs") if title not in titles]
    note = " ".join(lines).partition("not shown in this width: ")[2]
    assert note.split(", ") == (missing or [""])
    assert {200: 0, 80: 2, 60: 4, 40: 5}[width] == len(missing)
    assert sum(line.startswith(("conv", "relu", "pool", "flatten", "log_")) for line in lines) == 17


def test_a_narrow_terminal_changes_no_number() -> None:
    wide, narrow = ("\n".join(plain(run_in_terminal(SHOW_NET, width))) for width in (120, 40))
    for number in ("6,379,786", "4,719,616", "1024x3x3"):
        assert number in wide
        assert number in narrow


def test_a_pipe_gets_the_whole_table_however_narrow_the_terminal_is() -> None:
    assert run(SHOW_NET, env={"COLUMNS": "40"}).stdout == run(SHOW_NET).stdout
    assert "not shown" not in run(SHOW_NET, env={"COLUMNS": "40"}).stdout


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(env: dict[str, str]) -> None:
    shown = run_in_terminal(SHOW_NET, 120, env)
    assert re.findall(r"\x1b\[(?:[0-9;]*;)?[34][0-7]m", shown) == []
    assert "\n".join(plain(shown)).startswith("net: input 1x28x28\n")


# --- without torch ---


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose Python has what checking needs, and nothing for training."""
    packages = tmp_path_factory.mktemp("packages")
    for folder in site.getsitepackages():
        for entry in Path(folder).iterdir():
            if not entry.name.lower().startswith(("torch", "tqdm", "numpy", "functorch", "__editable__", "distutils")):
                (packages / entry.name).symlink_to(entry)
    return {"PYTHONPATH": os.pathsep.join([str(packages), str(ROOT)])}


def test_without_torch_a_run_says_what_to_install(without_torch: dict[str, str], tmp_path: Path) -> None:
    words = [sys.executable, "-S", str(ROOT / "runner.py"), str(ROOT / "specs" / "net.yaml"), "--quiet"]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment() | without_torch, capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    assert done.stderr == 'yamlnet: training needs torch and tqdm; install with: pip install "yamlnet[train]"\n'
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_without_torch_specs_are_checked_and_shown(without_torch: dict[str, str], tmp_path: Path) -> None:
    for words in (["check", str(ROOT / "specs")], ["show", str(ROOT / "specs" / "net.yaml")], ["schema"]):
        done = subprocess.run(
            [sys.executable, "-S", "-m", "builder", *words],
            cwd=tmp_path, env=environment() | without_torch, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")


# --- what `check` never does ---

WATCH = """
import json, sys
sys.path.insert(0, "")
seen = []
def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        writes = isinstance(mode, str) and set(mode) & set("wax+") or isinstance(flags, int) and flags & 3
        seen.append(["write" if writes else "read", str(path)])
    elif event == "import":
        seen.append(["import", str(arguments[0])])
    elif event.startswith(("socket.", "subprocess.", "os.", "shutil.", "ctypes.", "pty.", "urllib.", "tempfile.")):
        if event not in ("os.listdir", "os.scandir", "os.walk"):
            seen.append([event, str(arguments)])
    elif event in ("exec", "compile"):
        seen.append([event, str(arguments[-1])[:200]])
from builder.__main__ import main
import builder.formats, jsonschema, rich.console, rich.table
before, after = json.loads(sys.argv[1])
for words in before:
    main(words)
sys.addaudithook(watch)
statuses = [main(words) for words in after]
print(json.dumps([statuses, seen]), file=sys.stderr)
"""


def watched(before: list[list[str]], after: list[list[str]], cwd: Path) -> tuple[list[int], list[list[str]]]:
    """The statuses of commands, and all that the interpreter tells of them; those before are run unwatched."""
    done = run([sys.executable, "-c", WATCH, json.dumps([before, after])], cwd=cwd)
    statuses, seen = json.loads(done.stderr.splitlines()[-1])
    return statuses, seen


def test_check_writes_nothing_opens_no_network_and_imports_nothing_that_a_spec_names(tmp_path: Path) -> None:
    specs = tmp_path / "specs"
    specs.mkdir()
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    text = (
        "$schema: http://evil.example/schema.json\n"
        "name: ../../etc/passwd\n"
        "input: [1, 28, 28]\n"
        "layers: [os.system, evil, evil.Layer: {}, torch.nn.Conv2d, ../../etc/passwd, {relu: {name: __class__}}]\n"
        "training: {dataset: ../../etc/passwd, epochs: 1, batch_size: 1, loss: evil.Loss, optimizer: evil}\n"
    )
    (specs / "evil.yaml").write_text(text, encoding="utf-8")
    (specs / "tag.yaml").write_text('a: !!python/object/apply:os.system ["touch pwned"]\n', encoding="utf-8")
    shutil.copy(ROOT / "specs" / "net.yaml", specs)
    before = sorted(tmp_path.rglob("*"))
    statuses, seen = watched([], [["check", "specs"], ["show", "specs/evil.yaml"]], cwd=tmp_path)
    assert statuses == [1, 1]
    assert sorted(tmp_path.rglob("*")) == before
    read = {path for event, path in seen if event == "read"}
    assert {path for path in read if path.endswith(".yaml")} == {
        "specs/evil.yaml", "specs/net.yaml", "specs/tag.yaml"
    }  # fmt: skip
    libraries = (str(ROOT / "builder"), sys.prefix, sys.base_prefix, *site.getsitepackages())
    assert [path for path in read if not path.endswith(".yaml") and not path.startswith(libraries)] == []
    imported = {name for event, name in seen if event == "import"}
    assert {name for name in imported if name.split(".")[0] in ("evil", "torch", "os", "posix")} == set()
    allowed = {"read", "import", "exec", "compile"}
    assert [entry for entry in seen if entry[0] not in allowed] == []


def test_no_invalid_spec_makes_check_do_more_than_read_it() -> None:
    """After specs that load what is loaded when it is needed, hundreds of wrong ones open nothing but their like."""
    first = ["check", "specs/net.yaml", "specs/notebook.yaml", "tests/specs/invalid/fields/hostile_names.yaml"]
    statuses, seen = watched([first], [["check", "tests/specs/invalid", "--jobs", "1"]], cwd=ROOT)
    assert statuses == [1]
    invalid = ROOT / "tests" / "specs" / "invalid"
    read = {(ROOT / what).resolve() for event, what in seen if event == "read"}
    assert {path for path in invalid.rglob("*.yaml") if path.name[0] != "_"} <= read
    assert [path for path in read if not path.is_relative_to(invalid)] == []  # some extend others
    # Expressions are parsed with `ast`, which compiles them to a tree; nothing is executed.
    assert {event for event, _ in seen} <= {"read", "compile"}
