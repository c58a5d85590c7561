"""The answer of a command on stdout: text for people, rows for spreadsheets, one JSON document for programs."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from pipelines.terminal.comma_separated import write_csv
from pipelines.terminal.standard_output import json_text, standard_output
from pipelines.terminal.visible import for_people, printable


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer of a command.

    Attributes:
      text: text for people, without the final line end.
      document: the answer as one JSON object.
      rows: the answer as rows with equal keys; by default one row with the document's scalar values.
      code: exit code of the command.
      is_program: whether the text is for a program, which needs it unchanged; otherwise it is printed without secrets.
      all: whether the command does nothing else, so that it fails if the answer cannot be written.
    """

    text: str
    document: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]] | None = None
    code: int = 0
    all: bool = False
    is_program: bool = False

    def write(self, form: str) -> None:
        """Writes the answer to stdout as `table` (text), `csv`, `safe-csv` or `json`.

        Raises:
          OutputFailed: stdout cannot be written.
        """
        with standard_output() as out:
            if form == "table":
                print(self._shown(out), file=out)
            elif form == "json":
                print(json_text(out, self.document, indent=2), file=out)
            else:
                self._write_csv(out, safe=form == "safe-csv")

    def _shown(self, out: TextIO) -> str:
        if not self.is_program:
            return for_people(self.text)
        return printable(self.text) if out.isatty() else self.text

    def _write_csv(self, out: TextIO, *, safe: bool) -> None:
        rows = [_single_values(self.document)] if self.rows is None else self.rows
        if rows:
            write_csv(out, list(rows[0]), (list(row.values()) for row in rows), safe=safe)


def _single_values(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The scalar values of a document; nested names are joined by dots."""
    row: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            row |= _single_values(value, f"{prefix}{name}.")
        elif isinstance(value, str | int | float | None):
            row[prefix + name] = value
    return row
