"""Ctrl-C and SIGTERM: within seconds the command says one sentence, ends its children, and exits with 130 or 143.

The main thread gets an exception, like that of Ctrl-C in Python, and can finish what it writes. A second thread ends
the process after `GRACE_S` if the main thread does not react, for example because a library holds it.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from pipelines.terminal.log_lines import error_text
from pipelines.terminal.processes import end_children
from transforms.telemetry.error_stream import ErrorStream
from transforms.telemetry.kept_work import has_kept_work, is_service

GRACE_S = 2.0
"""Seconds that the main thread has for an orderly end."""

_ENDING = (signal.SIGINT, signal.SIGTERM)
_telling = threading.Lock()
"""Taken by the thread that says the last sentence, and never released."""


class Stopped(KeyboardInterrupt):
    """The user or the scheduler has asked this process to end."""


class _State:
    """The signal that arrived first; None if there was none."""

    number: int | None = None
    ctrl_c_cancels = False


def stop_signal() -> int | None:
    """The number of the signal that asked this process to end; None if there was none."""
    return _State.number


def raise_if_stopped() -> None:
    """Raises `Stopped` if a signal has arrived: a library may have swallowed the exception."""
    if _State.number is not None:
        raise Stopped


def end_on_signals() -> None:
    """Installs the handlers; call it once, in the main thread of a process that runs one command."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in _ENDING:
        # A process that was started in the background of a shell ignores Ctrl-C, and is meant to.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    threading.Thread(target=_end_late, args=(reader,), daemon=True, name="signals").start()


def _stop(number: int, frame: FrameType | None) -> None:
    if _State.number is None:
        _State.number = number
        raise Stopped


def _end_late(reader: int) -> None:
    """Waits for a signal, then for the main thread, and then ends the process."""
    while (arrived := os.read(reader, 1)) and not _ends(arrived[0]):
        pass
    if not arrived:
        return
    _State.number = _State.number or arrived[0]
    time.sleep(GRACE_S)
    end_process(128 + arrived[0], sentence(arrived[0]) if tells_the_end() else None)


def _ends(number: int) -> bool:
    return number in _ENDING and not (number == signal.SIGINT and _State.ctrl_c_cancels)


@contextlib.contextmanager
def ctrl_c_raises() -> Iterator[None]:
    """While the block runs, Ctrl-C raises KeyboardInterrupt, which the block handles, and does not end the process."""
    before = signal.getsignal(signal.SIGINT)
    _State.ctrl_c_cancels = True
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _State.ctrl_c_cancels = False


@contextlib.contextmanager
def ctrl_c_sets(event: threading.Event) -> Iterator[None]:
    """While the block runs, Ctrl-C sets an event and raises nothing; call it within `ctrl_c_raises`."""
    before = signal.signal(signal.SIGINT, lambda number, frame: event.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def sentence(number: int) -> str:
    """What a command says when it was asked to end."""
    cause = "interrupted" if number == signal.SIGINT else "ended by SIGTERM"
    if is_service():
        return f"{cause}: the service has stopped"
    if has_kept_work():
        return f"{cause}; finished work is kept: run the same command again to resume"
    return f"{cause}; no work was finished that could be kept: run the same command again"


def tells_the_end() -> bool:
    """Whether this thread says the last sentence. If another one does, that has a moment to end the process first."""
    if _telling.acquire(blocking=False):
        return True
    time.sleep(GRACE_S)
    return False


def end_process(code: int, message: str | None = None) -> None:
    """Ends the process at once, with its child processes; threads of libraries would abort an orderly exit."""
    end_children()
    with contextlib.suppress(OSError, ValueError):
        if message is not None:
            os.write(ErrorStream.descriptor, f"{error_text(message)}\n".encode(errors="backslashreplace"))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
