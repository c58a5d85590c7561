"""A text table that is whole in memory, for example one that came in a request."""

import io
import itertools
from collections.abc import Iterator
from typing import NamedTuple

from transforms.catalog.delimited.encoding import FORM_BYTES, is_utf8, line_blocks, open_text
from transforms.catalog.delimited.records import TextRecord, table_records
from transforms.catalog.delimited.table import form_of_head


class SmallTable(NamedTuple):
    """A table.

    Attributes:
      names: names of the columns, from the first line.
      rows: number of a line and its fields, by the names of the columns; fields that are not there are empty.
    """

    names: tuple[str, ...]
    rows: Iterator[tuple[int, dict[str, str]]]


def read_small_table(name: str, data: bytes) -> SmallTable:
    """Opens a table, whose encoding and separator are found as those of a file. Rows are read as they are asked for.

    Args:
      name: name of its file; the suffix says which separator is likely.
      data: the bytes of the file.

    Raises:
      ValueError: the table is empty or is not UTF-8, or a row cannot be read.
    """
    form = form_of_head(data[:FORM_BYTES], name)
    records = table_records(line_blocks(open_text(io.BytesIO(data), form.encoding)), form)
    first = next(records, None)
    if first is None:
        raise ValueError("the table is empty: the first line must name the columns")
    names = tuple(column.strip() for column in _fields(first))
    return SmallTable(names, _rows(names, records))


def _rows(names: tuple[str, ...], records: Iterator[TextRecord]) -> Iterator[tuple[int, dict[str, str]]]:
    for record in records:
        fields = _fields(record)
        if len(fields) > len(names):
            raise ValueError(f"line {record.line} has {len(fields)} fields, the first line names {len(names)} columns")
        yield record.line, dict(itertools.zip_longest(names, fields, fillvalue=""))


def _fields(record: TextRecord) -> list[str]:
    if isinstance(record.fields, ValueError):
        raise ValueError(f"line {record.line}: {record.fields}") from record.fields
    if not all(map(is_utf8, record.fields)):
        raise ValueError(f"line {record.line} is not UTF-8: save the file as UTF-8")
    return record.fields
