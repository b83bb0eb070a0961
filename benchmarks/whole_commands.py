"""What is measured of commands as whole processes."""

from check_time import SPEC
from whole_process import cost


def check() -> dict[str, float]:
    """`check` of one spec, cold."""
    return costs("-m", "builder", "check", SPEC)


def import_torch() -> dict[str, float]:
    """What every script pays before its first line."""
    return costs("-c", "import torch")


def costs(*words: str) -> dict[str, float]:
    """On the clock and of memory."""
    took = cost(*words)
    return {"seconds": took.seconds, "megabytes": took.megabytes}
