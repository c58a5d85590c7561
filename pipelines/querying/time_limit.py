"""A limit on the time that a query runs, not counting the time in which its answer is read or written."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from pipelines.terminal.errors import FAILED, CommandFailed
from pipelines.terminal.signals import end_process

REACTION_S = 5.0
"""Seconds in which a query has to react. DuckDB does not look for an interrupt within one call of a function."""

_AGAIN_S = 0.1


class TimeLimit:
    """Interrupts a query that has run for too long.

    Args:
      seconds: most seconds; None for no limit.
      interrupt: asks the query to stop.
      end: is called if it does not stop within `REACTION_S`; by default it ends this process.
    """

    def __init__(
        self, seconds: float | None, interrupt: Callable[[], None], end: Callable[[str], None] | None = None
    ) -> None:
        self._seconds, self._left = seconds, seconds
        self._interrupt = interrupt
        self._end = end or (lambda message: end_process(FAILED, message))

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Counts the time of the block.

        Raises:
          CommandFailed: the limit is reached.
        """
        if self._left is None:
            yield
            return
        started, ended, expired = time.monotonic(), threading.Event(), threading.Event()
        threading.Thread(target=self._watch, args=(self._left, ended, expired), daemon=True, name="time limit").start()
        try:
            yield
        except Exception as error:
            if expired.is_set():
                raise CommandFailed(self._sentence()) from error
            raise
        finally:
            ended.set()
            self._left = max(self._left - (time.monotonic() - started), 0.0)
        if expired.is_set():
            raise CommandFailed(self._sentence())

    def _watch(self, seconds: float, ended: threading.Event, expired: threading.Event) -> None:
        if ended.wait(seconds):
            return
        expired.set()
        # Once may be too early: an interrupt between two steps of a query is forgotten.
        for _ in range(round(REACTION_S / _AGAIN_S)):
            self._interrupt()
            if ended.wait(_AGAIN_S):
                return
        self._end(self._sentence())

    def _sentence(self) -> str:
        return (
            f"the query was interrupted after {self._seconds:g} s (--timeout): raise the limit, or ask for less, for "
            "example with a WHERE on tag or track_id"
        )
