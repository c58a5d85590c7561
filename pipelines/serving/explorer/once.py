"""Values that are computed once for a snapshot, without keeping other requests waiting."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from pipelines.serving.problems import Declined
from pipelines.serving.snapshots import OpenSnapshot

_WAIT_S = 30.0
_Value = TypeVar("_Value")


class Lazy(Generic[_Value]):
    """A value that is computed when it is first asked for; one that fails is computed again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: list[_Value] = []

    def get(self, make: Callable[[], _Value]) -> _Value:
        """The value; `make` is called by the first request, and other requests for it wait.

        Raises:
          Declined: the wait is too long.
        """
        if self._found:
            return self._found[0]
        if not self._lock.acquire(timeout=_WAIT_S):
            detail = "another request computes this answer, which takes long: try again later"
            raise Declined("busy", detail, {"Retry-After": "10"})
        try:
            if not self._found:
                self._found.append(make())
            return self._found[0]
        finally:
            self._lock.release()


def once(opened: OpenSnapshot, name: str, make: Callable[[], _Value]) -> _Value:
    """What `make` returned for this name. It is called once for a snapshot, and holds no lock of the snapshot."""
    lazy: Lazy[_Value] = opened.kept(f"explorer {name}", Lazy)
    return lazy.get(make)
