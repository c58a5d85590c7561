"""Counts that worker threads of this process add to, and that progress is read from."""

import threading


class Tally:
    """A number that only grows; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value = 0

    def add(self, count: int = 1) -> None:
        """Adds to the number."""
        with self._lock:
            self._value += count

    @property
    def value(self) -> int:
        """The number now."""
        return self._value


EXTRACTED = Tally()
"""Tracks that this process has extracted or rejected since it started."""

EXTRACTION_REJECTS = Tally()
"""Tracks that this process has rejected since it started."""

SETTLED = Tally()
"""Tracks that need no extraction by the plans that this process has made since it started."""

EMBEDDED = Tally()
"""Extracted tracks whose chunk this process has embedded and written since it started."""
