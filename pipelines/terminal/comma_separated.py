"""Writes rows as CSV, exact for programs or safe for spreadsheets. Imports nothing that is slow to import."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

from pipelines.terminal.visible import printable, safe_field


def write_csv(out: TextIO, names: Sequence[str], rows: Iterable[Sequence[Any]], *, safe: bool = False) -> None:
    """Writes CSV (RFC 4180) with a header and Unix line ends.

    Null is an empty field, an empty text is `""`, and lists and structs are JSON. The csv module can distinguish null
    from an empty text only since Python 3.12. Text is exact, but printable on a terminal.

    Args:
      out: where to write.
      names: names of the columns.
      rows: one value per column.
      safe: whether text that a spreadsheet would take for a formula gets an apostrophe.
    """
    shown = safe_field if safe else printable if out.isatty() else str
    out.write(",".join(_field(shown(name)) for name in names) + "\n")
    for row in rows:
        out.write(",".join("" if value is None else _field(_text(value, shown)) for value in row) + "\n")


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
