"""How the process keeps the memory that it needs again in the next step."""

import ctypes
import sys

# The parameters of mallopt(3), as malloc.h of the GNU C library numbers them.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
NEVER = -1
LARGEST = 2**30  # bytes; what is larger is mapped by itself and returned at once
LARGEST_ALLOWED = 2**25  # by older versions of the library


def keep_freed_memory() -> None:
    """Let freed memory stay in the process: else the system takes it back and fills it with zeros, step after step.

    For the whole process, from now on; without effect where the C library isn't GNU's, or another allocator stands in
    its place.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(TRIM_THRESHOLD, NEVER)
    if not mallopt(MMAP_THRESHOLD, LARGEST):
        mallopt(MMAP_THRESHOLD, LARGEST_ALLOWED)
