"""Faults of the machine, such as a full disk, that no part of the program could name: one sentence instead of a bug."""

import errno
import os
import tempfile
from collections.abc import Iterator

from transforms.storage import redact


def _words(names: str) -> dict[int, str]:
    """Error numbers of this system -> the system's words."""
    return {number: os.strerror(number) for name in names.split() if (number := getattr(errno, name, None))}


_SPACE = _words("ENOSPC EDQUOT EFBIG")
_FAULTS = {**_SPACE, **_words("EROFS EACCES EIO EMFILE ENFILE ENOMEM ESTALE")}


def machine_fault(error: BaseException) -> str | None:
    """What the machine lacks, with the file if it is known, and what to do; None if the error is something else.

    Libraries raise errors of their own for such faults: then the system's words in the message of the error, or of one
    that caused it, are found.
    """
    for cause in _causes(error):
        if (found := _number(cause)) is not None:
            name = getattr(cause, "filename", None)
            place = redact(str(name)) if isinstance(name, str) else f"temporary files in {_temporary()}, or the output"
            return f"{place}: {_FAULTS[found]}{_remedy(found)}"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in _FAULTS else None
    text = str(error)
    return next((number for number, words in _SPACE.items() if words in text), None)


def _remedy(number: int) -> str:
    if number in _SPACE:
        return ": free space there, or let TMPDIR name a folder on another disk"
    if number in _words("EMFILE ENFILE"):
        return ": raise `ulimit -n`"
    return ""


def _temporary() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # no folder for temporary files can be written
        return "TMPDIR"
