"""What decides the last bits of a run besides its spec."""

import platform
from collections.abc import Mapping
from pathlib import Path

import torch

from builder.version import __version__

CPU_INFO = Path("/proc/cpuinfo")


def versions() -> dict[str, str]:
    """Of everything that decides the numbers of a run."""
    return {"yamlnet": __version__, "torch": str(torch.__version__), "python": platform.python_version()}


def environment(device: torch.device, precision: str) -> dict[str, str]:
    """Where and how a run is computed; with the same, a spec and a seed give the same bits."""
    return {
        "yamlnet": __version__,
        "torch": str(torch.__version__),
        "device": str(device),
        "precision": precision,
        "threads": str(torch.get_num_threads()),
        "processor": _processor(device),
    }


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What is no longer the same, such as `threads 2 -> 1`."""
    return [f"{name} {before[name]} -> {now[name]}" for name in now if name in before and before[name] != now[name]]


def _processor(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} (cuDNN {torch.backends.cudnn.version()})"
    return f"{_cpu_name()} ({torch.backends.cpu.get_cpu_capability()})"


def _cpu_name() -> str:
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
