"""What a command is doing: its phases with their counts, for one listener that shows them and for records of them."""

import collections
import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

MOST_RECORDS = 100
"""Most phases of a command that are recorded."""

_Item = TypeVar("_Item")


class Phase:
    """A part of a command.

    Attributes:
      name: what happens in it, as a participle, such as `extracting`.
      total: number of units to do; None if it is not known, or if nothing is counted.
      unit: name of the units, in the plural; "" if nothing is counted.
      started: time of its start, by the clock `time.monotonic`.
      last_step: what still happens when all units are done; "" if nothing does.
    """

    def __init__(
        self,
        name: str,
        total: int | None,
        unit: str,
        count: Callable[[], int] | None,
        further: Callable[[], Mapping[str, Any]] | None,
        remaining: Callable[[], tuple[float, float]] | None = None,
        last_step: str = "",
    ) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.started = time.monotonic()
        self._lock = threading.Lock()
        self._done = 0
        self._count, self._further, self._remaining = count, further, remaining
        self.last_step = last_step

    def add(self, count: int = 1) -> None:
        """Counts further units as done."""
        with self._lock:
            self._done += count

    @property
    def done(self) -> int:
        """Number of units that are done."""
        return self._done if self._count is None else self._count()

    def remaining_s(self, elapsed_s: float) -> float | None:
        """Seconds until all units are done, at the speed until now; None if nothing tells."""
        done = self.done
        if self.total is None or done >= self.total:
            return None
        worked, left = (done, self.total - done) if self._remaining is None else self._remaining()
        return elapsed_s * left / worked if worked else None

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
_recorders: list[Listener] = []


def listen(listener: Listener | None) -> None:
    """Makes this listener the only one that shows something; None: nothing is shown."""
    _listeners[:] = [] if listener is None else [listener]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhaseRecord:
    """A phase that has ended.

    Attributes:
      seconds: how long it took.
      done: number of units that are done.
      completed: whether it ended without an error.
    """

    name: str
    seconds: float
    done: int
    total: int | None
    unit: str
    completed: bool


class _Recorder:
    def __init__(self) -> None:
        self.records: collections.deque[PhaseRecord] = collections.deque(maxlen=MOST_RECORDS)

    def begin(self, phase: Phase) -> None:
        """Nothing: a phase is recorded at its end."""

    def end(self, phase: Phase, *, completed: bool) -> None:
        """Records the phase."""
        seconds = round(time.monotonic() - phase.started, 3)
        self.records.append(
            PhaseRecord(
                name=phase.name,
                seconds=seconds,
                done=phase.done,
                total=phase.total,
                unit=phase.unit,
                completed=completed,
            )
        )

    def tell(self, sentence: str, facts: Mapping[str, Any]) -> None:
        """Nothing: sentences are no phases."""


@contextlib.contextmanager
def recorded_phases() -> Iterator[Collection[PhaseRecord]]:
    """The phases that end within the block, in order: the last `MOST_RECORDS` of them."""
    recorder = _Recorder()
    _recorders.append(recorder)
    try:
        yield recorder.records
    finally:
        _recorders.remove(recorder)


@contextlib.contextmanager
def phase(
    name: str,
    *,
    total: int | None = None,
    unit: str = "",
    count: Callable[[], int] | None = None,
    further: Callable[[], Mapping[str, Any]] | None = None,
    remaining: Callable[[], tuple[float, float]] | None = None,
    last_step: str = "",
) -> Iterator[Phase]:
    """A phase that lasts as long as the block, which counts its units with `add`.

    Args:
      name: what happens, as a participle.
      total: number of units to do.
      unit: name of the units.
      count: returns the number of units that are done, if something else counts them.
      further: returns other values.
      remaining: returns the work that is done and the work that is left, if units differ in what they cost.
      last_step: what still happens when all units are done.
    """
    begun = Phase(name, total, unit, count, further, remaining, last_step)
    listeners = [*_listeners, *_recorders]
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
