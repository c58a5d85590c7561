"""The answer of a command on stdout: text for people, rows for spreadsheets, one JSON document for programs."""

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.terminal.comma_separated import write_csv
from pipelines.terminal.visible import for_people, printable, printable_json


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer of a command.

    Attributes:
      text: text for people, without the final line end.
      document: the answer as one JSON object.
      rows: the answer as rows with equal keys; by default one row with the document's scalar values.
      code: exit code of the command.
      is_program: whether the text is for a program, which needs it unchanged; otherwise it is printed without secrets.
    """

    text: str
    document: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]] | None = None
    code: int = 0
    is_program: bool = False

    def write(self, form: str) -> None:
        """Writes the answer to stdout as `table` (text), `csv`, `safe-csv` or `json`."""
        if form == "table":
            self._write_text()
        elif form == "json":
            print(printable_json(json.dumps(self.document, indent=2, ensure_ascii=False, allow_nan=False)))
        else:
            self._write_csv(safe=form == "safe-csv")

    def _write_text(self) -> None:
        if not self.is_program:
            print(for_people(self.text))
        else:
            print(printable(self.text) if sys.stdout.isatty() else self.text)

    def _write_csv(self, *, safe: bool) -> None:
        rows = [_single_values(self.document)] if self.rows is None else self.rows
        if rows:
            write_csv(sys.stdout, list(rows[0]), (list(row.values()) for row in rows), safe=safe)


def _single_values(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The scalar values of a document; nested names are joined by dots."""
    row: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            row |= _single_values(value, f"{prefix}{name}.")
        elif isinstance(value, str | int | float | None):
            row[prefix + name] = value
    return row
