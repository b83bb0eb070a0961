"""Memory that a step frees stays in the process for the next one."""

import platform
import subprocess
import sys
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from builder.training import memory
from builder.training.memory import LARGEST, LARGEST_ALLOWED, MMAP_THRESHOLD, NEVER, TRIM_THRESHOLD, keep_freed_memory

COUNTING = """
import resource, sys
import torch
from builder.training.memory import keep_freed_memory

def step():
    for _ in range(20):
        pieces = [torch.ones(300_000) for _ in range(100)]  # 1.2 MB each
        del pieces

if sys.argv[1] == "keep":
    keep_freed_memory()
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(word: str) -> int:
    """How often the system had to give the process a page that it had before."""
    command = [sys.executable, "-c", COUNTING, word]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library isn't GNU's")
def test_what_was_freed_is_used_again_instead_of_new_pages() -> None:
    assert faults("keep") < 0.05 * faults("leave")


class Library:
    """A C library that allows such sizes."""

    def __init__(self, largest: int) -> None:
        self.calls: list[tuple[int, int]] = []
        self._largest = largest

    def mallopt(self, parameter: int, value: int) -> int:
        self.calls.append((parameter, value))
        return int(parameter != MMAP_THRESHOLD or value <= self._largest)


@pytest.mark.parametrize(("largest", "asked"), [(2**40, [LARGEST]), (LARGEST_ALLOWED, [LARGEST, LARGEST_ALLOWED])])
def test_an_older_library_is_asked_for_what_it_allows(
    monkeypatch: pytest.MonkeyPatch, largest: int, asked: list[int]
) -> None:
    library = Library(largest)
    monkeypatch.setattr(memory, "ctypes", SimpleNamespace(CDLL=lambda name: library))
    monkeypatch.setattr(sys, "platform", "linux")
    keep_freed_memory()
    assert library.calls == [(TRIM_THRESHOLD, NEVER), *((MMAP_THRESHOLD, size) for size in asked)]


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "ctypes", SimpleNamespace(CDLL=lambda name: object()))
    monkeypatch.setattr(sys, "platform", "linux")
    keep_freed_memory()


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    opened: Mapping[str, object] = {}
    monkeypatch.setattr(memory, "ctypes", SimpleNamespace(CDLL=opened.__getitem__))
    monkeypatch.setattr(sys, "platform", system)
    keep_freed_memory()
