"""Counts the calls of a function that run at the same time."""

import threading
from collections.abc import Callable
from typing import Any

WAIT_S = 60.0
"""How long a call waits for others. Only a test that fails waits so long."""


class InFlight:
    """Calls wait until `wanted` of them run at the same time; after that, none waits.

    Attributes:
      most: the largest number of calls at the same time.
      calls: all calls.
    """

    def __init__(self, wanted: int) -> None:
        self.most = self.calls = self._now = 0
        self._wanted, self._changed = wanted, threading.Condition()

    def watch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose calls are counted."""

        def run(*values: Any) -> Any:
            with self._changed:
                self.calls, self._now = self.calls + 1, self._now + 1
                self.most = max(self.most, self._now)
                self._changed.notify_all()
                self._changed.wait_for(lambda: self.most >= self._wanted, WAIT_S)
            try:
                return function(*values)
            finally:
                with self._changed:
                    self._now -= 1

        return run
