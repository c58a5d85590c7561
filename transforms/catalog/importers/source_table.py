"""Text tables that importers read, row by row."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from transforms.catalog.delimited.table import TextTable, open_text_table
from transforms.catalog.limits import listed
from transforms.catalog.problems import Problem


class SourceRow(NamedTuple):
    """A row of a table.

    Attributes:
      url: URL of the table.
      number: number of the row, from 1, without the header.
      line: number of the line on which it ends.
      fields: its fields, or the reason why it cannot be read.
    """

    url: str
    number: int
    line: int
    fields: list[str] | ValueError

    def problem(self, message: str, column: str | None = None) -> Problem:
        """A problem of this row."""
        return Problem(file=self.url, row=self.number, column=column, message=message, line=self.line)

    @property
    def values(self) -> list[str]:
        """The fields.

        Raises:
          ValueError: the row cannot be read.
        """
        if isinstance(self.fields, ValueError):
            raise ValueError(str(self.problem(str(self.fields)))) from self.fields
        return self.fields


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceTable:
    """A text table.

    Attributes:
      text: its form, columns and rows.
    """

    text: TextTable

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.text.names

    def rows(self) -> Iterator[SourceRow]:
        """Yields all rows."""
        for number, record in enumerate(self.text.records(), 1):
            yield SourceRow(self.text.url, number, record.line, record.fields)

    def whole_rows(self) -> Iterator[SourceRow]:
        """Yields all rows.

        Raises:
          ValueError: a row cannot be read, or has another number of fields than the table has columns.
        """
        for row in self.rows():
            if len(row.values) != len(self.names):
                raise ValueError(str(row.problem(self.uneven(row))))
            yield row

    def uneven(self, row: SourceRow) -> str:
        """The message for a row with a wrong number of fields."""
        return f"{len(row.values)} fields, the header has {len(self.names)}: quote fields that contain the separator"

    def place(self, name: str) -> int:
        """Position of a column.

        Raises:
          ValueError: no column has this name.
        """
        if name not in self.names:
            raise ValueError(f"{self.text.url}: no column {name!r}: the columns are {listed(self.names)}")
        return self.names.index(name)


def read_table(
    url: str, *, names: Sequence[str] | None = None, headers: int = 1, encoding: str | None = None
) -> SourceTable:
    """Opens a table, see `open_text_table`.

    Raises:
      ValueError: the file is empty, is no table, or is not in the encoding.
    """
    try:
        table = open_text_table(url, names=names, headers=headers, encoding=encoding)
    except ValueError as error:
        raise ValueError(f"{url}: {error}") from error
    if repeated := sorted(name for name, count in Counter(filter(None, table.names)).items() if count > 1):
        raise ValueError(f"{url}: columns {repeated} are repeated in the header: rename one of each")
    wrong, other = table.not_utf8
    if wrong > other:
        raise ValueError(
            f"{url}: {wrong} lines are not UTF-8: save the file as UTF-8, or give its encoding, for example "
            "--encoding windows-1252"
        )
    return SourceTable(text=table)
