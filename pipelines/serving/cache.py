"""A cache with a limit on bytes, for what is read from the files of snapshots."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

_Kept = TypeVar("_Kept")


class _Entry(NamedTuple):
    value: Any
    size: int


class ByteCache:
    """Keeps values up to a number of bytes. Those that were used last stay. Safe to share between threads.

    Keys name the content of files by its digest: what does not change from one snapshot to the next is not read again.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._made: dict[Hashable, threading.Lock] = {}

    @property
    def size(self) -> int:
        """Bytes of all that is kept."""
        return self._bytes

    def get(self, key: Hashable, make: Callable[[], _Kept], size_of: Callable[[_Kept], int]) -> _Kept:
        """The value of a key. Of several threads that miss it at the same time, one makes it, and the others wait."""
        while (found := self.find(key)) is None:
            with self._lock:
                turn = self._made.setdefault(key, threading.Lock())
            with turn:
                try:
                    if (found := self.find(key)) is not None:
                        break
                    made = make()
                    self._put(key, _Entry(made, size_of(made)))
                    return made
                finally:
                    with self._lock:
                        self._made.pop(key, None)
        kept: _Kept = found
        return kept

    def find(self, key: Hashable) -> Any:
        """The value of a key; None if it is not kept."""
        with self._lock:
            if (found := self._kept.get(key)) is None:
                return None
            self._kept.move_to_end(key)
            return found.value

    def _put(self, key: Hashable, entry: _Entry) -> None:
        with self._lock:
            if entry.size > self.most or key in self._kept:
                return
            self._kept[key] = entry
            self._bytes += entry.size
            while self._bytes > self.most:
                self._bytes -= self._kept.popitem(last=False)[1].size
