"""Operations on storage that wait for an answer. A mounted file system whose server is gone lets them wait for ever.

Nothing can end such a wait from inside the process. So every operation on local files is entered here while it
lasts, and `pipelines.terminal.watchdog` ends a command whose storage does not answer. A source of a track is read in
a thread that is left behind: the other tracks go on.
"""

import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from transforms.storage.errors import Unavailable

_Answer = TypeVar("_Answer")

SOURCE_S = 120.0
"""Longest time without an answer while a source is read, or a folder of sources is listed."""

MOST_LEFT_BEHIND = 20
"""So many reads without an answer mean that the storage is gone: further ones are not tried."""


class Wait(NamedTuple):
    """An operation that has not answered yet.

    Attributes:
      since: when it began, by the monotonic clock.
      url: what it reads or writes.
    """

    since: float
    url: str


_own = threading.local()
_waits: dict[int, Wait] = {}
_limited: set[int] = set()
_left_behind: set[int] = set()


@contextlib.contextmanager
def waiting(url: str) -> Iterator[None]:
    """Enters the operation of the block. The end of an operation inside of another one counts as its answer."""
    thread = threading.get_ident()
    outer = _waits.get(thread)
    _waits[thread] = Wait(time.monotonic(), url)
    try:
        yield
    finally:
        if outer is None:
            del _waits[thread]
        else:
            _waits[thread] = Wait(time.monotonic(), outer.url)


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """While the block runs, operations of this thread have a limit of their own: somebody waits for it no longer."""
    thread = threading.get_ident()
    _limited.add(thread)
    try:
        yield
    finally:
        _limited.discard(thread)


def longest_wait() -> Wait | None:
    """The operation without a limit of its own that has waited longest; None if none waits."""
    return min((wait for thread, wait in _waits.copy().items() if thread not in _limited), default=None)


def core_seconds_of_thread() -> float:
    """Processor time of this thread so far, with that of threads that `in_time` started for it."""
    elsewhere: float = getattr(_own, "elsewhere_s", 0.0)
    return time.thread_time() + elsewhere


def in_time(url: str, ask: Callable[[], _Answer]) -> _Answer:
    """The result of an operation on local files, in a thread that is left behind if there is no answer.

    Raises:
      Unavailable: there was no answer for `SOURCE_S`, or too many operations had none before.
    """
    if len(_left_behind) >= MOST_LEFT_BEHIND:
        raise Unavailable(f"{url}: {MOST_LEFT_BEHIND} other reads still wait for an answer: look at the mount")
    answer: concurrent.futures.Future[_Answer] = concurrent.futures.Future()
    spent: list[float] = []

    def run() -> None:
        try:
            with limited(), waiting(url):
                found = ask()
            spent.append(time.thread_time())
            answer.set_result(found)
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            spent.append(time.thread_time())
            answer.set_exception(error)
        finally:
            _left_behind.discard(threading.get_ident())

    asked = threading.Thread(target=run, daemon=True, name="source")
    asked.start()
    began = time.monotonic()
    while not _done_within(answer, began + SOURCE_S - time.monotonic()):
        began = _waits.get(asked.ident or 0, Wait(began, url)).since
        if time.monotonic() - began >= SOURCE_S:
            _leave_behind(asked.ident or 0, answer)
            raise Unavailable(f"{url}: no answer within {SOURCE_S:.0f} s: look at the mount")
    _own.elsewhere_s = getattr(_own, "elsewhere_s", 0.0) + spent[0]
    return answer.result()


def _leave_behind(thread: int, answer: "concurrent.futures.Future[_Answer]") -> None:
    _left_behind.add(thread)
    if answer.done():  # it came meanwhile, and the thread has taken itself off before it was on
        _left_behind.discard(thread)


def _done_within(answer: "concurrent.futures.Future[_Answer]", seconds: float) -> bool:
    return bool(concurrent.futures.wait([answer], max(seconds, 0)).done)
