"""What a command is doing: its phases with their counts, for one listener. Without a listener, nothing happens."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

_Item = TypeVar("_Item")


class Phase:
    """A part of a command.

    Attributes:
      name: what happens in it, as a participle, such as `extracting`.
      total: number of units to do; None if it is not known, or if nothing is counted.
      unit: name of the units, in the plural; "" if nothing is counted.
      started: time of its start, by the clock `time.monotonic`.
    """

    def __init__(
        self,
        name: str,
        total: int | None,
        unit: str,
        count: Callable[[], int] | None,
        further: Callable[[], Mapping[str, Any]] | None,
    ) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.started = time.monotonic()
        self._lock = threading.Lock()
        self._done = 0
        self._count, self._further = count, further

    def add(self, count: int = 1) -> None:
        """Counts further units as done."""
        with self._lock:
            self._done += count

    @property
    def done(self) -> int:
        """Number of units that are done."""
        return self._done if self._count is None else self._count()

    @property
    def further(self) -> Mapping[str, Any]:
        """Other values, such as the number of rejected tracks."""
        return {} if self._further is None else self._further()


class Listener(Protocol):
    """Gets the phases of this process, in order, and single sentences."""

    def begin(self, phase: Phase) -> None: ...  # noqa: D102
    def end(self, phase: Phase, *, completed: bool) -> None: ...  # noqa: D102
    def tell(self, sentence: str, facts: Mapping[str, Any]) -> None: ...  # noqa: D102


_listeners: list[Listener] = []


def listen(listener: Listener | None) -> None:
    """Makes this listener the only one; None: nobody listens."""
    _listeners[:] = [] if listener is None else [listener]


@contextlib.contextmanager
def phase(
    name: str,
    *,
    total: int | None = None,
    unit: str = "",
    count: Callable[[], int] | None = None,
    further: Callable[[], Mapping[str, Any]] | None = None,
) -> Iterator[Phase]:
    """A phase that lasts as long as the block, which counts its units with `add`.

    Args:
      name: what happens, as a participle.
      total: number of units to do.
      unit: name of the units.
      count: returns the number of units that are done, if something else counts them.
      further: returns other values.
    """
    begun = Phase(name, total, unit, count, further)
    listeners = list(_listeners)
    for listener in listeners:
        listener.begin(begun)
    completed = False
    try:
        yield begun
        completed = True
    finally:
        for listener in listeners:
            listener.end(begun, completed=completed)


def passing(items: Iterable[_Item], name: str, *, unit: str, total: int | None = None) -> Iterator[_Item]:
    """The items as they come; each is one unit of a phase."""
    with phase(name, total=total, unit=unit) as current:
        for item in items:
            yield item
            current.add()


def announce(sentence: str, **facts: Any) -> None:
    """Says what a user should know now; `facts` are the values in the sentence, for programs."""
    for listener in list(_listeners):
        listener.tell(sentence, facts)
