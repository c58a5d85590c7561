"""The form of a text table: encoding, separator and quotes, found in the first lines of its content."""

import csv
import dataclasses
import re
from collections.abc import Sequence

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""Separators that are recognised, with their names in messages."""

_MOST_ROWS = 100
"""Rows that are compared to find the separator."""

_EXCEL = re.compile(r'"?sep=(.)"?\r?\n?', re.DOTALL)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Form:
    """How a text table is written.

    Attributes:
      encoding: Python's name of the encoding; `utf-8` with or without a byte order mark.
      separator: the character between fields.
      quoted: whether double quotes enclose fields, as in RFC 4180; otherwise they are text.
      spaced: whether a space follows each separator.
      skipped: number of lines before the table, such as Excel's `sep=;`.
    """

    encoding: str = "utf-8"
    separator: str = ","
    quoted: bool = True
    spaced: bool = False
    skipped: int = 0

    def __str__(self) -> str:
        named = SEPARATORS.get(self.separator, repr(self.separator))
        spaces = " and spaces" if self.spaced else ""
        quotes = "" if self.quoted else ", quotes are text"
        return f"{self.encoding.upper()}, separated by {named}{spaces}{quotes}"

    def is_usual(self, url: str) -> bool:
        """Whether the name of the file promises this form: commas for `.csv`, tabs for `.tsv`, in UTF-8."""
        return self == Form(separator=usual_separator(url))


def usual_separator(url: str) -> str:
    """The separator that the suffix of a file's name promises."""
    return "\t" if url.lower().endswith((".tsv", ".tab")) else ","


def sniff_form(lines: Sequence[str], encoding: str, usual: str, width: int | None = None) -> Form:
    """Finds the separator of a table: it separates the first line, and most other lines into as many fields.

    Args:
      lines: the first lines of the table.
      encoding: encoding of the file.
      usual: the separator that is preferred if several fit equally, and taken if none does.
      width: number of columns, if known.
    """
    if lines and (excel := _EXCEL.fullmatch(lines[0])):
        return Form(encoding=encoding, separator=excel[1], skipped=1)
    scores = {mark: _score(lines, mark, width) for mark in sorted(SEPARATORS, key=lambda mark: mark != usual)}
    best = max(scores, key=lambda mark: scores[mark])  # the first of equals
    separator = best if scores[best] > (0.0, 0) else usual
    return Form(encoding=encoding, separator=separator, spaced=_is_spaced(lines, separator))


def _score(lines: Sequence[str], separator: str, width: int | None) -> tuple[float, int]:
    """The share of rows with as many fields as the first one, and their number; zeros if the first row is one field."""
    widths = [len(row) for row in csv.reader(lines, delimiter=separator) if row][:_MOST_ROWS]
    wanted = width or (widths[0] if widths else 1)
    if wanted == 1:
        return 0.0, 0
    return sum(w == wanted for w in widths) / max(len(widths), 1), wanted


def _is_spaced(lines: Sequence[str], separator: str) -> bool:
    """Whether each separator of the first line is followed by a space."""
    first = next((line for line in lines if line.strip()), "")
    return separator != "\t" and separator in first and first.count(separator) == first.count(f"{separator} ")
