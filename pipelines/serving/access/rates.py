"""Limits on rates: a bucket of tokens for each client, which fills steadily."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_KEYS = 10_000


class Rates:
    """Counts the requests of each key. Keys that were not seen for long are forgotten first.

    Args:
      per_second: requests a second on the long run.
      burst: requests at once after a pause.
      clock: seconds.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, max(burst, 1.0), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, key: str) -> float:
        """Seconds until the key may send a request; 0 if it may now, of which its bucket then has one less."""
        with self._lock:
            left = self._now(key)
            if left >= 1:
                self._keep(key, left - 1)
                return 0.0
            self._keep(key, left)
            return (1 - left) / self._per_second

    def blocked_s(self, key: str) -> float:
        """Like `wait_s`, but takes nothing."""
        with self._lock:
            return max(1 - self._now(key), 0.0) / self._per_second

    def _now(self, key: str) -> float:
        left, seen = self._left.get(key, (self._burst, self._clock()))
        return min(left + (self._clock() - seen) * self._per_second, self._burst)

    def _keep(self, key: str, left: float) -> None:
        self._left[key] = left, self._clock()
        self._left.move_to_end(key)
        while len(self._left) > _MOST_KEYS:
            self._left.popitem(last=False)
