"""Whether this process, or a process that it waits for, has work that a repeated command does not do again."""

import threading

_kept = threading.Event()
_serves = threading.Event()


def note_kept_work() -> None:
    """Notes that there is such work: a part file, a finished chunk, a checkpoint, a job on an engine."""
    _kept.set()


def note_service() -> None:
    """Notes that this process serves requests: there is no work that could be kept or resumed."""
    _serves.set()


def is_service() -> bool:
    """Whether this process serves requests."""
    return _serves.is_set()


def has_kept_work() -> bool:
    """Whether such work was noted since the process started."""
    return _kept.is_set()
