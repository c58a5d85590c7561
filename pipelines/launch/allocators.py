"""Settings of the memory allocators, so that a long local run returns to the system what it no longer uses."""

import contextlib
import ctypes
import os

_LARGE_BYTES = 2**20
_MALLOPT = {-8: 1, -3: _LARGE_BYTES, -1: 4 * _LARGE_BYTES}
"""Options of glibc (M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD in malloc.h) -> value."""


def return_freed_memory() -> None:
    """Makes glibc and Arrow return freed memory. Call it before pyarrow is imported, which reads its variable once.

    Every pipeline of a local run starts new threads. By default, both allocators give each thread its own part of the
    heap and keep there what is freed. Where there is no glibc, only Arrow is set.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    with contextlib.suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in _MALLOPT.items():
            mallopt(option, value)


def trim_heap() -> None:
    """Returns the free pages between the blocks that glibc still holds, of which each pipeline leaves some."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
