"""A function over many items in several processes at once; the results come in the order of the items."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from threading import Thread
from typing import TypeVar

from builder.exits import Status

Item = TypeVar("Item")
Result = TypeVar("Result")

MIN_ITEMS = 64  # of fewer, a single process is done before others have started
ITEMS_AT_ONCE = 8


def mapped(function: Callable[[Item], Result], items: Sequence[Item], jobs: int | None = None) -> Iterator[Result]:
    """The function's result for each item.

    Args:
        function: at the top level of a module, and without effects: an item may be taken twice.
        items: what to call it with.
        jobs: how many processes; None is one per core for many items, and this one alone for few.
    """
    if jobs is None:
        jobs = num_cores() if len(items) >= MIN_ITEMS else 1
    done = 0
    if jobs > 1 and len(items) > 1:
        try:
            for result in _in_processes(function, items, jobs):
                done += 1
                yield result
        except (ImportError, OSError, RuntimeError):
            # Processes can't be started here, or one was killed. An error of the function itself comes again below.
            pass
    yield from map(function, items[done:])


def num_cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _in_processes(function: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> Iterator[Result]:
    # These take as long to import as several specs to check.
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import active_children, get_context

    others = set(active_children())
    batches = [items[start : start + ITEMS_AT_ONCE] for start in range(0, len(items), ITEMS_AT_ONCE)]
    # A fork has imported all that is needed; elsewhere than on Linux, system libraries don't survive it.
    context = get_context("fork" if sys.platform == "linux" else None)
    executor = ProcessPoolExecutor(min(jobs, len(batches)), context, _prepare_worker)
    try:
        for future in [executor.submit(_results, function, batch) for batch in batches]:
            yield from future.result()
    finally:
        executor.shutdown(cancel_futures=True)
        for child in set(active_children()) - others:  # of an executor that could not start all
            child.terminate()


def _results(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Without a parent, which may have been killed, a worker would wait for work forever."""
    from multiprocessing import parent_process

    if parent := parent_process():
        parent.join()
        os._exit(Status.TERMINATED)
