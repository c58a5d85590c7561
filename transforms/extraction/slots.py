"""What the threads of a sandbox share: one slot each, all slots for a track that is tried alone, and losses."""

import contextlib
import threading
import time
from collections.abc import Iterator

_FIRST_PAUSE_S = 0.1
_MOST_PAUSE_S = 2.0
_sleep = time.sleep


class Slots:
    """Lets tracks be decoded side by side, or one alone while all others wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = 0
        self._is_one_alone = False

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Holds one slot. Waits while a track is alone or waits to be."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_one_alone)
            self._taken += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def all(self) -> Iterator[None]:
        """Holds all slots. Waits for the tracks that are being decoded, and lets no other begin."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_one_alone)
            self._is_one_alone = True
            self._changed.wait_for(lambda: self._taken == 0)
        try:
            yield
        finally:
            with self._changed:
                self._is_one_alone = False
                self._changed.notify_all()


class Losses:
    """Children that the machine ended or did not let start. While there are such, the next starts after a pause.

    Attributes:
      in_a_row: number of children lost since the last answer of any child.
      has_answered: whether any child has ever answered.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.in_a_row = 0
        self.has_answered = False

    def child_lost(self) -> None:
        """Counts a lost child."""
        with self._lock:
            self.in_a_row += 1

    def child_answered(self) -> None:
        """Notes that children can work here."""
        self.in_a_row, self.has_answered = 0, True

    def pause(self) -> None:
        """Sleeps before a start. The pause grows with the number of children lost in a row."""
        if lost := self.in_a_row:
            _sleep(min(_MOST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(lost - 1, 10)))
