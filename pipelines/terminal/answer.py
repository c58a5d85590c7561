"""The answer of a command on stdout: text for people, rows for spreadsheets, one JSON document for programs."""

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from pipelines.terminal.standard_output import json_text, standard_output


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer of a command.

    Attributes:
      text: text for people, without the final line end.
      document: the answer as one JSON object.
      rows: the answer as rows with equal keys; by default one row with the document's scalar values.
      code: exit code of the command.
      all: whether the command does nothing else, so that it fails if the answer cannot be written.
    """

    text: str
    document: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]] | None = None
    code: int = 0
    all: bool = False

    def write(self, form: str) -> None:
        """Writes the answer to stdout as `table` (text), `csv` or `json`.

        Raises:
          OutputFailed: stdout cannot be written.
        """
        with standard_output() as out:
            {"table": self._write_text, "csv": self._write_csv, "json": self._write_json}[form](out)

    def _write_text(self, out: TextIO) -> None:
        print(self.text, file=out)

    def _write_json(self, out: TextIO) -> None:
        print(json_text(out, self.document, indent=2), file=out)

    def _write_csv(self, out: TextIO) -> None:
        rows = [_single_values(self.document)] if self.rows is None else self.rows
        writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")
        if rows:
            writer.writeheader()
        writer.writerows(rows)


def _single_values(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The scalar values of a document; nested names are joined by dots."""
    row: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            row |= _single_values(value, f"{prefix}{name}.")
        elif isinstance(value, str | int | float | None):
            row[prefix + name] = value
    return row
