"""Extraction in child processes: whatever a file does to its decoder, it costs that one track."""

import atexit
import concurrent.futures
import queue
import threading
import types
from collections.abc import Callable
from typing import NamedTuple, Self

from transforms.audio.errors import Crash, MachineFault, MemoryLimit, TrackError
from transforms.audio.limits import Limits
from transforms.extraction.child_process import ChildLost, ChildNotStarted, ChildProcess, SandboxError
from transforms.extraction.confinement import hide_memory
from transforms.extraction.slots import Losses, Slots
from transforms.features.extract import Features
from transforms.features.logmel import mel_matrix
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.spec import FeatureSpec

EXTRACTOR = "transforms.features.extract:extract"


_FRESH_TRIES = 2
"""If the machine ends a child, its track is tried in so many fresh ones, in the last one alone."""

_MOST_LOST = 150
"""So many losses in a row, times the number of child processes, mean that the machine lets no track be decoded."""


class _Pool(NamedTuple):
    """What the seats of a sandbox share."""

    start_child: Callable[[], ChildProcess]
    slots: Slots
    losses: Losses
    children: int


class _Seat:
    """A child, and the next one when it is spent. Used by one thread."""

    def __init__(self, pool: _Pool) -> None:
        self._pool = pool
        self._child: ChildProcess | None = None

    def extract(self, data: bytes, *, measured: bool) -> Features:
        """As `ChildProcess.extract`, with a fresh child if something else than the track may have ended the first.

        A crash or a memory limit may be what earlier tracks left behind. If the machine ends a child or does not let it
        start, the track is tried in two fresh ones, the second alone.

        Raises:
          TrackError: `MachineFault` if the machine ended all of the children.
          SandboxError: the machine has ended so many children that more tracks are not worth trying.
        """
        lost: list[ChildLost] = []
        spent_us = 0
        while True:
            is_fresh = self._child is None
            try:
                features = self._try(data, is_alone=len(lost) == _FRESH_TRIES, measured=measured)
                return features.also_took(spent_us) if spent_us else features
            except TrackError as error:
                spent_us = error.core_us = spent_us + error.core_us
                if is_fresh or not isinstance(error, Crash | MemoryLimit):
                    raise
            except ChildLost as loss:
                spent_us += loss.core_us
                lost.append(loss)
                if len(lost) > _FRESH_TRIES:
                    raise self._given_up(lost, spent_us) from loss

    def _given_up(self, lost: list[ChildLost], spent_us: int) -> Exception:
        """The error after the last try."""
        last, losses = lost[-1], self._pool.losses
        if isinstance(last, ChildNotStarted) and last.by_itself and not losses.has_answered:
            return SandboxError(f"child processes cannot be started here: {last}")
        if losses.in_a_row >= _MOST_LOST * self._pool.children:
            return SandboxError(
                f"the machine ended {losses.in_a_row} decoding processes in a row, the last: {last}; give it more "
                "memory or fewer child processes, and run it again"
            )
        tries, was_killed = tuple(str(loss) for loss in lost), not isinstance(last, ChildNotStarted)
        fault = MachineFault("the machine ended the decoding process", tries, was_killed=was_killed)
        fault.core_us = spent_us
        return fault

    def _try(self, data: bytes, *, is_alone: bool, measured: bool) -> Features:
        slots, losses = self._pool.slots, self._pool.losses
        if self._child is None:
            losses.pause()
        with slots.all() if is_alone else slots.one():
            try:
                features = self._answer(data, measured)
            except TrackError:
                losses.child_answered()
                raise
            except ChildLost:
                losses.child_lost()
                raise
        losses.child_answered()
        return features

    def _answer(self, data: bytes, measured: bool) -> Features:
        child = self._child = self._child or self._pool.start_child()
        try:
            return child.extract(data, measured=measured)
        except (TrackError, ChildLost):
            raise
        except Exception:
            child.end()  # who knows what its pipes still hold
            raise
        finally:
            if child.is_spent():
                self.close()

    def close(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            self._child.close()
            self._child = None


_Job = tuple[bytes, bool, "concurrent.futures.Future[Features]"]


class Sandbox:
    """A pool of child processes that several threads may share.

    Args:
      spec: the features to extract.
      limits: what one track may cost.
      children: child processes, at best as many as the machine has cores.
      extractor: `module:function` with the signature of `extract`.
      parameters: how parameters of the tracks are measured; None: they are not.
    """

    def __init__(
        self,
        spec: FeatureSpec,
        limits: Limits,
        children: int,
        extractor: str = EXTRACTOR,
        parameters: ParametersSpec | None = None,
    ) -> None:
        if children < 1:
            raise ValueError(f"children={children}: at least one is needed")
        self._arguments = (spec, limits, extractor, parameters)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        hide_memory()
        mel_matrix(spec)  # made once, before the threads that all need it
        self._threads = [threading.Thread(target=self._serve, daemon=True, name="sandbox") for _ in range(children)]
        self._is_closed = False
        self._confinement: dict[str, str] = {}
        self._pool = _Pool(self._start_child, Slots(), Losses(), children)
        for thread in self._threads:
            thread.start()

    def submit(self, data: bytes, *, measured: bool = True) -> "concurrent.futures.Future[Features]":
        """Features of one file, later. The future raises TrackError, or SandboxError where no child starts.

        Without `measured`, its parameters are not measured.
        """
        if self._is_closed:
            raise SandboxError("the sandbox is closed")
        future: concurrent.futures.Future[Features] = concurrent.futures.Future()
        self._jobs.put((data, measured, future))
        return future

    def confinement(self) -> dict[str, str]:
        """What the last child that started has given up: measure -> `in force`, or why it is not; empty before."""
        return dict(self._confinement)

    def close(self) -> None:
        """End all children after the tracks that were submitted."""
        if self._is_closed:
            return
        self._is_closed = True
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def _start_child(self) -> ChildProcess:
        child = ChildProcess(*self._arguments)
        self._confinement = child.confinement
        return child

    def _serve(self) -> None:
        """One thread: take a track, answer it."""
        seat = _Seat(self._pool)
        while (job := self._jobs.get()) is not None:
            data, measured, future = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(seat.extract(data, measured=measured))
            except Exception as error:  # noqa: BLE001 (a future without an answer would hold up the job for ever)
                future.set_exception(error)
        seat.close()


_shared: dict[tuple[FeatureSpec, Limits, int, ParametersSpec | None], Sandbox] = {}
_shared_lock = threading.Lock()


def shared_sandbox(
    spec: FeatureSpec, limits: Limits, children: int, parameters: ParametersSpec | None = None
) -> Sandbox:
    """The one sandbox of this process for these arguments; closed when the process ends."""
    with _shared_lock:
        key = (spec, limits, children, parameters)
        if key not in _shared:
            _shared[key] = Sandbox(spec, limits, children, parameters=parameters)
            atexit.register(_shared[key].close)
        return _shared[key]
