"""Errors that end a command: one line for the user and an exit code."""

import errno
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec, TypeVar

from pipelines.terminal.log_lines import LogForm, error_text, json_line
from pipelines.terminal.visible import bounded, for_people
from transforms.storage import redact

_Values = ParamSpec("_Values")
_Made = TypeVar("_Made")

DONE, FAILED, USAGE, REFUSED, RACE_LOST, ROWS_LOST, OVERDUE = 0, 1, 2, 3, 4, 5, 6
"""Exit codes: done; failed; wrong usage; a gate refused the result; another job was first, as it published a run or
writes to the table; an import lost too many rows; the newest snapshot is too old for a monitor.

A command that a signal ended exits with 128 and the signal's number.
"""

READER_LEFT = 141
"""Exit code of a command that does nothing but print, if the reader of its pipe has left, as `head` does: that of a
program which SIGPIPE ended. Nothing is printed about it."""


class CommandFailed(Exception):
    """Ends the command. The message is printed without a traceback; `code` is the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


class UsageError(CommandFailed):
    """The command line is wrong: something does not exist, or arguments do not fit together."""

    def __init__(self, message: str) -> None:
        super().__init__(message, USAGE)


def checked(build: Callable[_Values, _Made], *values: _Values.args, **named: _Values.kwargs) -> _Made:
    """Calls `build` with values from the command line and returns its result.

    Raises:
      UsageError: `build` refuses a value with a ValueError.
    """
    try:
        return build(*values, **named)
    except ValueError as error:
        raise UsageError(str(error)) from error


def print_problems(problems: Iterable[object]) -> None:
    """Writes problems that do not end the command to stderr, one per line."""
    for problem in problems:
        text = str(problem)
        print(json_line("warning", text) if LogForm.json else bounded(for_people(text)), file=sys.stderr)


def print_error(message: str) -> None:
    """Writes an error to stderr; on a terminal, the program's name is in colour."""
    line = error_text(message)
    if LogForm.json or not sys.stderr.isatty():
        print(line, file=sys.stderr)
        return
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, highlight=False).print(
        Text.assemble(("catalog-tagger:", "bold red"), line.removeprefix("catalog-tagger:")), soft_wrap=True
    )


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
