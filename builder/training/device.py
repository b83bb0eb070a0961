"""Where a network is trained."""

import torch

from builder.exits import UsageError


def choose_device(name: str) -> torch.device:
    """The device that a recipe's `device` means on this machine; `auto` takes a GPU if there is one.

    Raises:
        UsageError: this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda":
        _check_cuda(device)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError(
            "device `mps` is not there: this machine has no Apple GPU that torch can use; write `cpu` or `auto`"
        )
    return device


def _check_cuda(device: torch.device) -> None:
    if not torch.cuda.is_available():
        raise UsageError(f"device `{device}` is not there: torch finds no CUDA GPU; write `cpu` or `auto`")
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        raise UsageError(f"device `{device}` is not there: this machine has {count} CUDA GPUs, counted from 0")
