"""A cache with a limit on bytes, for what is read from the files of snapshots."""

import contextlib
import dataclasses
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple, TypeVar

_Kept = TypeVar("_Kept")


class _Entry(NamedTuple):
    value: Any
    size: int


@dataclasses.dataclass
class _Turn:
    """The threads that make a value, or wait for it."""

    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    threads: int = 0


class ByteCache:
    """Keeps values up to a number of bytes. Those that were used last stay. Safe to share between threads.

    Keys name the content of files by its digest: what does not change from one snapshot to the next is not read again.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._turns: dict[Hashable, _Turn] = {}
        self._shared: weakref.WeakValueDictionary[Hashable, Any] = weakref.WeakValueDictionary()

    @property
    def size(self) -> int:
        """Bytes of all that is kept."""
        return self._bytes

    def get(self, key: Hashable, make: Callable[[], _Kept], size_of: Callable[[_Kept], int]) -> _Kept:
        """The value of a key. Of several threads that miss it at the same time, one makes it, and the others wait."""
        if (found := self.find(key)) is not None:
            return found  # type: ignore[no-any-return]
        with self._turn(key):
            if (found := self.find(key)) is not None:
                return found  # type: ignore[no-any-return]
            made = make()
            self._put(key, _Entry(made, size_of(made)))
            return made

    def shared(self, key: Hashable, make: Callable[[], _Kept]) -> _Kept:
        """The value of a key that somebody still has, or a new one. It is not kept here, and has no size."""
        with self._turn(key):
            if (found := self._shared.get(key)) is None:
                found = self._shared[key] = make()
            return found

    @contextlib.contextmanager
    def _turn(self, key: Hashable) -> Iterator[None]:
        """Of all threads that wait for a key, one at a time. The last one forgets the key."""
        with self._lock:
            turn = self._turns.setdefault(key, _Turn())
            turn.threads += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.threads -= 1
                if not turn.threads:
                    del self._turns[key]

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
