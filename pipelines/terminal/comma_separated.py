"""Writes rows as CSV, exact for programs or safe for spreadsheets. Imports nothing that is slow to import."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

from pipelines.terminal.visible import printable, safe_field

BYTE_ORDER_MARK = "\ufeff"
"""Begins CSV for spreadsheets: without it, Excel takes UTF-8 for the encoding of the machine."""


def write_csv(
    out: TextIO, names: Sequence[str], rows: Iterable[Sequence[Any]], *, safe: bool = False, is_first: bool = True
) -> None:
    """Writes CSV (RFC 4180) with a header and Unix line ends.

    Null is an empty field, an empty text is `""`, and lists and structs are JSON. The csv module can distinguish null
    from an empty text only since Python 3.12. Text is exact, but printable on a terminal.

    Args:
      out: where to write.
      names: names of the columns.
      rows: one value per column.
      safe: whether it is for a spreadsheet: text that it would take for a formula gets an apostrophe, and in UTF-8 a
        byte order mark comes first, but for a terminal.
      is_first: whether nothing was written to `out` before.
    """
    if safe and is_first and is_unicode(out) and not out.isatty():
        out.write(BYTE_ORDER_MARK)
    shown = safe_field if safe else printable if out.isatty() else str
    out.write(",".join(_field(shown(name)) for name in names) + "\n")
    for row in rows:
        out.write(",".join("" if value is None else _field(_text(value, shown)) for value in row) + "\n")


def is_unicode(out: TextIO) -> bool:
    """Whether a stream is written in UTF-8, as text without an encoding will be."""
    return (getattr(out, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"


def _text(value: object, shown: Callable[[str], str]) -> str:
    """A field's text. Numbers and times are no text of others, so that -1 stays a number."""
    return shown(flat_text(value)) if isinstance(value, str | list | dict) else flat_text(value)


def _field(text: str) -> str:
    if text and not any(mark in text for mark in ',"\n\r'):
        return text
    return '"' + text.replace('"', '""') + '"'


def flat_text(value: object) -> str:
    """A value as text of one field."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
