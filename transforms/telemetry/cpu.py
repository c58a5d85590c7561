"""Processor time of a block of code, including the threads that numeric libraries run for it."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

_Values = ParamSpec("_Values")
_Made = TypeVar("_Made")

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def library_ticks() -> dict[str, int]:
    """Returns the processor time so far of this process's non-Python threads: thread id -> clock ticks."""
    python = {str(thread.native_id) for thread in threading.enumerate()}
    tasks = Path("/proc/self/task").iterdir()
    return {task.name: _ticks(task / "stat") for task in tasks if task.name not in python}


def _ticks(path: Path) -> int:
    try:
        fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # the thread has ended since the listing
        return 0
    return int(fields[11]) + int(fields[12])


class _LibraryTime:
    """Divides the time of library threads among the blocks that run at the same time, so that none is counted twice.

    A thread's time counts from the first time it is seen, because a new thread may be a Python thread that is ending.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: list[CoreTime] = []
        self._last: dict[str, int] = {}

    def begin(self, block: "CoreTime") -> None:
        with self._lock:
            self._share()
            self._running.append(block)

    def end(self, block: "CoreTime") -> None:
        with self._lock:
            self._share()
            self._running.remove(block)

    def _share(self) -> None:
        now = library_ticks()
        spent = sum(max(0, ticks - self._last[task]) for task, ticks in now.items() if task in self._last)
        for block in self._running:
            block.library_s += spent / _TICKS_PER_S / len(self._running)
        self._last = now

    def add(self, block: "CoreTime", seconds: float) -> None:
        """Adds the time of a Python thread that worked for a block."""
        with self._lock:
            block.library_s += seconds


_library_time = _LibraryTime()
_current = threading.local()


class CoreTime:
    """Context manager that measures the processor time of its block, in this thread and in library threads.

    Attributes:
      library_s: seconds of library threads, in the resolution of the system's clock tick, and of Python threads that
        run functions of `counted_here`.
    """

    def __init__(self) -> None:
        self.library_s = 0.0
        self._thread_s = 0.0

    @property
    def microseconds(self) -> int:
        """Core-microseconds of the block; valid after the block has ended."""
        return round(1e6 * (self._thread_s + self.library_s))

    def __enter__(self) -> Self:
        _library_time.begin(self)
        self._outer, _current.block = getattr(_current, "block", None), self
        self._start = time.thread_time()
        return self

    def __exit__(self, *error: object) -> None:
        self._thread_s = time.thread_time() - self._start
        _current.block = self._outer
        _library_time.end(self)


def counted_here(function: Callable[_Values, _Made]) -> Callable[_Values, _Made]:
    """The function, whose processor time in another thread is counted for the block that this thread is in."""
    block: CoreTime | None = getattr(_current, "block", None)
    if block is None:
        return function

    def run(*values: _Values.args, **named: _Values.kwargs) -> _Made:
        start = time.thread_time()
        try:
            return function(*values, **named)
        finally:
            _library_time.add(block, time.thread_time() - start)

    return run
