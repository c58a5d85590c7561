"""Rows of a text table. A quote that is not closed costs its own line, and no other row."""

import collections
import csv
from collections.abc import Iterator
from typing import NamedTuple

from transforms.catalog.delimited.encoding import MOST_LINE
from transforms.catalog.delimited.form import Form

csv.field_size_limit(MOST_LINE)

_MOST_LINES = 1000
"""Most lines of a row. After more of them, the quote that keeps the row open is taken for a mistake."""

_MOST_OPEN = 100
"""Most rows that reach `_MOST_LINES`. Each costs another pass over those lines, so reading ends after that."""


class TextRecord(NamedTuple):
    """A row of fields, or the reason why the line is not a row.

    Attributes:
      line: number of the line on which the row ends, from 1.
      fields: the fields, or the error.
    """

    line: int
    fields: list[str] | ValueError


class _StillOpen(Exception):
    """A row has too many lines."""


def table_records(lines: Iterator[str], form: Form, width: int | None = None) -> Iterator[TextRecord]:
    """Yields the rows of a table, the header included. Empty lines are skipped.

    Args:
      lines: all lines of the file, with their ends.
      form: the form of the table.
      width: number of columns, if known. It tells a field of several lines from rows after a quote that is not closed.
    """
    for _ in range(form.skipped):
        next(lines, None)
    if form.quoted:
        return _quoted(_Lines(lines, form.skipped), form, width)
    return _plain(lines, form)


def _plain(lines: Iterator[str], form: Form) -> Iterator[TextRecord]:
    for number, line in enumerate(lines, form.skipped + 1):
        if text := line.rstrip("\r\n"):
            yield TextRecord(number, text.split(form.separator))


class _Lines:
    """Lines of which those of the current row can be read again."""

    def __init__(self, lines: Iterator[str], number: int) -> None:
        self._lines = lines
        self._again: collections.deque[str] = collections.deque()
        self._size = 0
        self.row: list[str] = []
        self.number = number

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if self.row:
            self._size += len(self.row[-1])
            if len(self.row) >= _MOST_LINES or self._size > MOST_LINE:
                raise _StillOpen
        line = self._again.popleft() if self._again else next(self._lines)
        self.number += 1
        self.row.append(line)
        return line

    def begin_row(self) -> None:
        self.row.clear()
        self._size = 0

    def keep_one(self) -> None:
        """Ends the row after its first line."""
        self._again.extendleft(reversed(self.row[1:]))
        self.number -= len(self.row) - 1

    def rest(self) -> int:
        """Reads to the end; returns the number of lines."""
        count = len(self._again) + sum(1 for _ in self._lines)
        self._again.clear()
        return count


def _quoted(lines: _Lines, form: Form, width: int | None) -> Iterator[TextRecord]:
    reader = csv.reader(lines, delimiter=form.separator, strict=True, skipinitialspace=form.spaced)
    still_open = 0
    while True:
        lines.begin_row()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (csv.Error, _StillOpen) as e:
            still_open += isinstance(e, _StillOpen)
            lines.keep_one()
            yield TextRecord(lines.number, _broken(str(e) or f"open for {_MOST_LINES} lines"))
        else:
            if len(lines.row) > 1 and _is_doubtful(lines.row, fields, form.separator, width):
                lines.keep_one()
                yield TextRecord(lines.number, _broken("the lines after this one look like rows"))
            elif fields:
                yield TextRecord(lines.number, fields)
        if still_open > _MOST_OPEN:
            at, left = lines.number + 1, lines.rest()
            yield from (TextRecord(at + i, ValueError("not read: too many quotes are not closed")) for i in range(left))
            return


def _broken(reason: str) -> ValueError:
    return ValueError(f"broken CSV ({reason}): close quotes, and double those inside a field")


def _is_doubtful(lines: list[str], fields: list[str], separator: str, width: int | None) -> bool:
    """Whether a row of several lines is what a quote that is not closed makes of several rows.

    The row then has too many or too few fields, or each of its lines has the fields of a row. But in a table of two
    columns and commas, a text of several lines often has one comma in each.
    """
    if width is None:
        return False
    least = 2 if separator == "\t" else 3
    return len(fields) != width or (width >= least and all(line.count(separator) == width - 1 for line in lines))
