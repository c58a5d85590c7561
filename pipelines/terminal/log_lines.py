"""Lines on stderr: for people or as one JSON object each, printable, without secrets, and of bounded length."""

import datetime
import json
import logging
import sys
from collections.abc import Mapping
from typing import Any

from pipelines.terminal.visible import bounded, for_people, printable_json


class LogForm:
    """How this process writes to stderr.

    Attributes:
      json: whether each line is a JSON object (`--log-format json`).
    """

    json = False


def now_text() -> str:
    """The time now in UTC, such as `2026-01-31T06:00:00Z`."""
    return f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"


def error_text(message: str) -> str:
    """The line that ends a command: its message after the program's name, or a JSON object."""
    return json_line("error", message) if LogForm.json else f"catalog-tagger: {bounded(for_people(message))}"


def json_line(level: str, message: str, facts: Mapping[str, Any] | None = None) -> str:
    """One JSON object with time, level and message, and further values."""
    record = {"time": now_text(), "level": level, "message": bounded(for_people(message)), **(facts or {})}
    return printable_json(json.dumps(record, default=str))


def write_line(message: str, facts: Mapping[str, Any] | None = None) -> None:
    """Writes a line with the time."""
    text = json_line("info", message, facts) if LogForm.json else f"{now_text()} {bounded(for_people(message))}"
    if sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)


class LineFormatter(logging.Formatter):
    """Formats log records, tracebacks included. They have a time unless a person reads them on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        text = super().format(record)
        if LogForm.json:
            return json_line(record.levelname.lower(), text, {"logger": record.name})
        line = f"{record.levelname} {record.name}: {for_people(text)}"
        return line if sys.stderr is not None and sys.stderr.isatty() else f"{now_text()} {line}"
