"""Standard output and error streams that accept every text, and one error for an output that cannot be written."""

import contextlib
import errno
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from pipelines.terminal.visible import printable_json


class OutputFailed(Exception):
    """Standard output cannot be written: the disk is full, or its reader has closed it."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written: {error.strerror or error}")
        self.reader_left = isinstance(error, BrokenPipeError)


def accept_every_text() -> None:
    """Characters that the encoding of stdout or stderr lacks are written as escapes, such as `\\u2603`."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a test's stream may lack it
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def open_closed_streams() -> None:
    """Opens the null device where the caller has closed stdin, stdout or stderr: other files would take their place."""
    with contextlib.suppress(OSError):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(descriptor)
    if sys.stderr is None:  # stdout stays None: an answer that nobody can read is an error
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (open until the end)


def json_text(out: TextIO, value: Any, **layout: Any) -> str:
    """A value as JSON; characters that the stream's encoding may lack, or that act on a terminal, are escaped."""
    encoding = (getattr(out, "encoding", None) or "utf-8").lower().replace("-", "")
    return printable_json(json.dumps(value, ensure_ascii=not encoding.startswith("utf"), allow_nan=False, **layout))


@contextlib.contextmanager
def standard_output() -> Iterator[TextIO]:
    """Yields stdout, and writes its buffer at the end.

    Raises:
      OutputFailed: a write failed. Nothing more can be written to stdout.
    """
    if sys.stdout is None:  # the caller closed it
        raise OutputFailed(OSError(errno.EBADF, "it is closed"))
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError as error:
        _discard_output()
        raise OutputFailed(error) from error


def _discard_output() -> None:
    """Sends what is left in the buffer nowhere: Python would try to write it again at exit, and print a traceback."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
