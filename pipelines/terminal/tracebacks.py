"""Tracebacks: `--debug` prints them, otherwise a file of them is written and its path is told."""

import datetime
import os
import sys
import tempfile
import traceback
from pathlib import Path

from pipelines.terminal.visible import for_people
from transforms.storage import redact


class Tracebacks:
    """What happens to tracebacks in this process."""

    shown = False
    """Whether `--debug` was given: tracebacks are printed to stderr."""


def show_traceback(error: BaseException) -> None:
    """Prints the traceback if `--debug` was given."""
    if Tracebacks.shown:
        print(_text(error), file=sys.stderr)


def keep_traceback(error: BaseException) -> str:
    """Writes the traceback to a file, unless `--debug` prints it; returns where it is, as a clause."""
    if Tracebacks.shown:
        return "the traceback is above"
    now = datetime.datetime.now(datetime.UTC)
    try:
        path = Path(tempfile.gettempdir(), f"catalog-tagger-{now:%Y%m%dT%H%M%S.%f}Z-{os.getpid()}.log")
        # The name is new: a file or link that another user put there is not followed.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", errors="backslashreplace") as file:
            file.write(_text(error))
    except OSError:  # no folder, no space, no permission
        return f"it happened {_place(error)}; run it again with --debug, because no temporary file can be written"
    return f"the traceback is in {path}"


def _place(error: BaseException) -> str:
    """The last line of this project's code that the traceback names."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if any(part in _OWN for part in Path(frame.filename).parts)] or frames
    if not own:
        return "outside of this project's code"
    last = own[-1]
    return f"in {'/'.join(Path(last.filename).parts[-3:])}, line {last.lineno}, in {last.name}"


_OWN = {"pipelines", "transforms", "models"}


def _text(error: BaseException) -> str:
    return for_people("".join(traceback.format_exception(error)))


def error_line(error: BaseException) -> str:
    """Type and message of an error, without line ends and of bounded length."""
    message = " ".join(redact(str(error)).split())
    shortened = message if len(message) <= 500 else f"{message[:500]} ..."
    return f"{type(error).__name__}: {shortened}" if shortened else type(error).__name__
