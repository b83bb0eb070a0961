"""What torch raises where somebody can do something about it, in words."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from builder.exits import TrainingError

OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")  # on Windows, Linux, an Apple GPU
NOT_DETERMINISTIC = "does not have a deterministic implementation"


@contextmanager
def explained(doing: str, work: str = "training") -> Iterator[None]:
    """Turn the errors of torch that have a cure into a sentence.

    Args:
        doing: what needs the memory, and what would need less, as in `with batch_size 64; write a smaller one`.
        work: what ends.

    Raises:
        TrainingError: memory runs out, or `deterministic` asks for what torch can't do on this device.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise TrainingError(f"{work} stopped: out of memory {doing}") from None
        if NOT_DETERMINISTIC in str(error):
            operation = str(error).split()[0]
            reason = f"training stopped: torch has no deterministic {operation} on this device"
            raise TrainingError(f"{reason}; write `deterministic: false`, or train on a CPU") from None
        raise


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory is what is missing; torch has a class of its own for it on some devices only."""
    words = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(phrase in words for phrase in OUT_OF_MEMORY)
