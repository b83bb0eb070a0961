"""Work in several processes: the same results in the same order, and nobody is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import BUILDER, ROOT, environment, run

# In processes of their own: a fork of the tests' process would take all of torch along.
HEAD = """
import os, sys, time
from multiprocessing import parent_process
from pathlib import Path
from builder.exits import guard
from builder.processes import mapped

def square(number):
    return number * number

def dying(number):
    if parent_process() and number == 20:
        os._exit(1)
    return number * number

def failing(number):
    return 1 // (20 - number)

def waiting(number):
    Path("started").touch()
    while not Path("go").exists():
        time.sleep(0.01)
    with Path("done").open("a") as log:
        log.write(f"{number}\\n")
    return number
"""


def started(script: str, folder: Path) -> subprocess.Popen[str]:
    """A Python that runs the script, as the head of a group of processes."""
    words = [sys.executable, "-c", HEAD + script]
    return subprocess.Popen(
        words, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def said(script: str, folder: Path) -> str:
    """What the script prints, after it and all that it started have ended."""
    output, errors = started(script, folder).communicate(timeout=60)
    assert errors == ""
    return output


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("jobs", [1, 3, None])
def test_results_come_in_the_order_of_the_items(jobs: int | None, tmp_path: Path) -> None:
    script = f"""
for count in (0, 1, 7, 8, 9, 1000):
    print(list(mapped(square, range(count), {jobs})) == [number * number for number in range(count)])
"""
    assert said(script, tmp_path) == "True\n" * 6


def test_few_items_start_no_process_and_import_nothing_for_it(tmp_path: Path) -> None:
    script = """
from builder.processes import MIN_ITEMS
before = set(sys.modules)
list(mapped(square, range(MIN_ITEMS - 1)))
print(set(sys.modules) - before)
"""
    assert said(script, tmp_path) == "set()\n"


@pytest.mark.parametrize(
    "broken",
    [
        "import concurrent.futures; concurrent.futures.ProcessPoolExecutor = failing",  # as without semaphores
        "sys.modules['_multiprocessing'] = None",
        "os.fork = failing",
        "fork, forks = os.fork, []\ndef second_fails():\n"
        "    forks.append(1)\n    return fork() if len(forks) == 1 else failing()\nos.fork = second_fails",
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are not forked")
def test_where_processes_can_not_be_started_one_does_all_the_work(broken: str, tmp_path: Path) -> None:
    script = f"""
def failing(*arguments):
    raise OSError(11, "resource temporarily unavailable")
{broken}
print(sum(mapped(square, range(100), 3)))
"""
    assert said(script, tmp_path) == "328350\n"


def test_when_a_process_is_killed_the_rest_of_the_work_is_still_done(tmp_path: Path) -> None:
    assert said("print(sum(mapped(dying, range(100), 3)))", tmp_path) == "328350\n"


def test_an_error_of_the_function_is_an_error_of_the_whole(tmp_path: Path) -> None:
    script = "try:\n    list(mapped(failing, range(100), 3))\nexcept ZeroDivisionError as error:\n    print(error)"
    assert said(script, tmp_path) == "integer division or modulo by zero\n"


@pytest.mark.parametrize(
    ("number", "status", "sentence"),
    [(signal.SIGINT, 130, "yamlnet: interrupted\n"), (signal.SIGTERM, 143, "yamlnet: terminated\n")],
)
def test_a_signal_ends_all_processes_with_one_sentence(
    number: signal.Signals, status: int, sentence: str, tmp_path: Path
) -> None:
    process = started("sys.exit(guard(lambda: sum(mapped(waiting, range(1000), 2))))", tmp_path)
    wait_for((tmp_path / "started").exists)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # Ctrl-C reaches the whole group
    else:
        process.send_signal(number)
    (tmp_path / "go").touch()
    output, errors = process.communicate(timeout=60)  # ends when the last of them closes the pipes
    assert (process.returncode, output, errors) == (status, "", sentence)
    assert len((tmp_path / "done").read_text(encoding="utf-8").splitlines()) < 1000


def test_when_the_parent_is_killed_no_process_is_left(tmp_path: Path) -> None:
    process = started("list(mapped(waiting, range(1000), 2))", tmp_path)
    wait_for((tmp_path / "started").exists)
    process.kill()
    process.communicate(timeout=60)
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("format_name", ["full", "sarif"])
def test_checking_in_several_processes_prints_the_same_as_in_one(format_name: str, tmp_path: Path) -> None:
    (tmp_path / "unreadable.yaml").symlink_to("nowhere")
    words = [*BUILDER, "check", "specs", "missing", str(tmp_path), "tests/specs", "--format", format_name]
    alone, together = run([*words, "--jobs", "1"], cwd=ROOT), run([*words, "--jobs", "3"], cwd=ROOT)
    assert together.stdout == alone.stdout
    assert together.stderr == alone.stderr
    assert alone.stderr.count("can't read") == 2
    assert together.returncode == alone.returncode == 2
