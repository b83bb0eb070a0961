"""Python's collector of circular garbage, which rests while very many objects are made that all stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """Nothing is collected inside.

    Each time a quarter of new objects has come on top of the old, Python goes through all of them; a network may have
    hundreds of thousands of rows, and none of them goes. That would be a third of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
