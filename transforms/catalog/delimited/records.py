"""Rows of a text table. A quote that is not closed costs its own line, and no other row."""

import csv
import itertools
from collections.abc import Generator, Iterator
from typing import NamedTuple

from transforms.catalog.delimited.encoding import MOST_LINE
from transforms.catalog.delimited.form import Form

csv.field_size_limit(MOST_LINE)

_MOST_LINES = 1000
"""Most lines of a row. After more of them, the quote that keeps the row open is taken for a mistake."""

_MOST_OPEN = 100
"""Most rows that reach `_MOST_LINES`. Each costs another pass over those lines, so reading ends after that."""

_END = "unexpected end of data"
"""Python's error for a quote that is open at the end."""


class TextRecord(NamedTuple):
    """A row of fields, or the reason why the line is not a row.

    Attributes:
      line: number of the line on which the row ends, from 1.
      fields: the fields, or the error.
    """

    line: int
    fields: list[str] | ValueError


def table_records(blocks: Iterator[list[str]], form: Form, width: int | None = None) -> Iterator[TextRecord]:
    """Yields the rows of a table, the header included. Empty lines are skipped.

    Args:
      blocks: all lines of the file, with their ends.
      form: the form of the table.
      width: number of columns, if known. It tells a field of several lines from rows after a quote that is not closed.
    """
    if form.skipped:
        first = next(blocks, [])
        blocks = itertools.chain([first[form.skipped :]], blocks)
    return _QuotedRows(form, width).read(blocks) if form.quoted else _plain_rows(blocks, form)


def _plain_rows(blocks: Iterator[list[str]], form: Form) -> Iterator[TextRecord]:
    for number, line in enumerate(itertools.chain.from_iterable(blocks), form.skipped + 1):
        if text := line.rstrip("\r\n"):
            yield TextRecord(number, text.split(form.separator))


class _QuotedRows:
    """Reads rows in which quotes enclose fields. After a row that cannot be read it goes on with the next line."""

    def __init__(self, form: Form, width: int | None) -> None:
        self._form, self._width = form, width
        self._lines: list[str] = []
        self._number = form.skipped  # lines before `_lines`
        self._still_open = 0

    def read(self, blocks: Iterator[list[str]]) -> Iterator[TextRecord]:
        for block in itertools.chain(blocks, (None,)):
            self._lines += block or []
            done = yield from self._rows(last=block is None)
            del self._lines[:done]
            self._number += done

    def _rows(self, *, last: bool) -> Generator[TextRecord, None, int]:
        """Yields the rows in the lines; returns the number of lines before the first row that needs more lines."""
        start = 0
        while start < len(self._lines):
            if self._still_open > _MOST_OPEN:
                yield TextRecord(self._number + start + 1, ValueError("not read: too many quotes are not closed"))
                start += 1
                continue
            start, fault = yield from self._rows_until_fault(start)
            if fault == _END and not last and self._may_go_on(start):
                return start
            if fault:
                self._still_open += fault == _END
                yield TextRecord(self._number + start + 1, _broken(fault))
                start += 1
        return start

    def _rows_until_fault(self, start: int) -> Generator[TextRecord, None, tuple[int, str]]:
        """Yields rows; returns where the first one begins that cannot be read, and the reason; no reason at the end."""
        begin, number, lines = start, self._number, self._lines
        form = self._form
        reader = csv.reader(lines[begin:], delimiter=form.separator, strict=True, skipinitialspace=form.spaced)
        try:
            for fields in reader:
                end = begin + reader.line_num
                if end - start > 1 and self._is_doubtful(lines[start:end], fields):
                    return start, "the lines after this one look like rows"
                if fields:
                    yield TextRecord(number + end, fields)
                start = end
        except csv.Error as e:
            return start, str(e)
        return start, ""

    def _may_go_on(self, start: int) -> bool:
        """Whether more lines may close the quote."""
        waiting = self._lines[start:]
        return len(waiting) < _MOST_LINES and sum(map(len, waiting)) <= MOST_LINE

    def _is_doubtful(self, lines: list[str], fields: list[str]) -> bool:
        """Whether a row of several lines is what a quote that is not closed makes of several rows.

        The row then has too many or too few fields, or each of its lines has the fields of a row. But in a table of two
        columns and commas, a text of several lines often has one comma in each.
        """
        width, separator = self._width, self._form.separator
        if len(lines) > _MOST_LINES:
            return True
        if width is None:
            return False
        least = 2 if separator == "\t" else 3
        return len(fields) != width or (width >= least and all(line.count(separator) == width - 1 for line in lines))


def _broken(reason: str) -> ValueError:
    return ValueError(f"broken CSV ({reason}): close quotes, and double those inside a field")
