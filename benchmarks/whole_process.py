"""What one command costs as a whole process, as the operating system counts it."""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, seconds of processors (user and system, with child processes), and peak memory."""

    seconds: float
    cpu_seconds: float
    megabytes: float  # of the largest process


def cost(*words: str) -> Cost:
    """Run Python with these words, this repository's modules and no output."""
    nowhere = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    process = os.posix_spawn(sys.executable, [sys.executable, *words], environment, file_actions=nowhere)
    _, _, usage = os.wait4(process, 0)
    return Cost(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * MAXRSS_UNIT / 1e6)


def peak_megabytes() -> float:
    """The most memory that this process has had so far, or that the one which started it had then."""
    import resource  # Windows has none

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT / 1e6


def load_text() -> str:
    """How busy the machine is; beside others, the clock says less than the seconds of processors."""
    return f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
