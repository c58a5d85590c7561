"""Ends a local job in which nothing happens any more, and a command whose storage does not answer."""

import contextlib
import faulthandler
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from pipelines.terminal.errors import FAILED
from pipelines.terminal.processes import children_ticks
from pipelines.terminal.signals import end_process
from transforms import storage
from transforms.extraction.tally import EXTRACTED

STALL_S = 900.0
"""A job ends after this time without a finished track and almost without processor time. A track may take 300 s."""

STORAGE_S = 300.0
"""A command ends after one operation on storage has not answered for this time."""

_INTERVAL_S = 5.0
_IDLE_SHARE = 0.01
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class StallDetector:
    """Decides whether a job has stalled.

    Args:
      stall_s: seconds without progress after which it has.
      finished: returns the number of finished tracks.
      cpu_s: returns the processor time so far, of this process and those below it.
    """

    def __init__(self, stall_s: float, finished: Callable[[], int], cpu_s: Callable[[], float]) -> None:
        self._stall_s, self._finished, self._cpu_s = stall_s, finished, cpu_s
        self._since, self._tracks, self._spent = 0.0, -1, 0.0

    def has_stalled(self, now: float) -> bool:
        """Looks at the job at a time of a monotonic clock; returns whether it has stalled."""
        tracks, spent = self._finished(), self._cpu_s()
        # Idle threads of libraries wake up now and then: less than a hundredth of a core is no work.
        worked = spent - self._spent > _IDLE_SHARE * max(now - self._since, _INTERVAL_S)
        if tracks != self._tracks or worked:
            self._since, self._tracks, self._spent = now, tracks, spent
        return now - self._since >= self._stall_s


def _cpu_s() -> float:
    own = time.process_time()
    return own + sum(children_ticks().values()) / _TICKS_PER_S


@contextlib.contextmanager
def ended_if_stalled(stall_s: float = STALL_S) -> Iterator[None]:
    """Ends this process with a sentence if the block makes no progress for so many seconds."""
    stop = threading.Event()

    def watch() -> None:
        progress = StallDetector(stall_s, lambda: EXTRACTED.value, _cpu_s)
        while not stop.wait(min(_INTERVAL_S, stall_s)):
            if progress.has_stalled(time.monotonic()):
                end_process(FAILED, _sentence(stall_s))

    threading.Thread(target=watch, daemon=True, name="watchdog").start()
    try:
        yield
    finally:
        stop.set()


def end_without_storage(limit_s: float = STORAGE_S) -> None:
    """Ends this process with a sentence once its storage does not answer; call it once, when a command starts."""

    def watch() -> None:
        while True:
            time.sleep(min(_INTERVAL_S, limit_s))
            wait = storage.longest_wait()
            if wait is not None and time.monotonic() - wait.since >= limit_s:
                place = storage.redact(wait.url)
                end_process(FAILED, f"{place}: no answer within {limit_s:.0f} s: look at the mount or the network")

    threading.Thread(target=watch, daemon=True, name="storage watchdog").start()


def _sentence(stall_s: float) -> str:
    return (
        f"the job hangs: for {stall_s:.0f} s no track was finished and no processor time was used; {_stacks()}. "
        "Finished chunks are kept: run `catalog-tagger doctor`, then run it again to resume"
    )


def _stacks() -> str:
    """Writes what every thread is doing to a file; returns where it is, as a clause."""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="catalog-tagger-hang-", suffix=".log", delete=False) as file:
            faulthandler.dump_traceback(file)
    except OSError as error:
        return f"what its threads do cannot be written ({error.strerror})"
    return f"what its threads do is in {file.name}"
