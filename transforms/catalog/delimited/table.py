"""A text table in storage: what its form, columns and number of rows are, and its rows."""

import codecs
import dataclasses
import io
import itertools
from collections.abc import Iterator, Sequence

from transforms import storage
from transforms.catalog.delimited.encoding import (
    FORM_BYTES,
    has_open_end,
    is_utf8,
    line_blocks,
    open_text,
    sniff_encoding,
)
from transforms.catalog.delimited.form import Form, sniff_form, usual_separator
from transforms.catalog.delimited.records import TextRecord, table_records

_QUOTES_MAY_BE_TEXT = "\t|"
"""Separators of tables in which quotes are often text, because their fields contain no separator."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTable:
    """A table, as one pass over its file found it.

    Attributes:
      url: URL of the file.
      form: how it is written.
      names: names of the columns; from several header lines, joined by points.
      headers: number of header rows.
      rows: number of rows after the header, broken ones included.
      not_utf8: number of lines that are not UTF-8, and of other lines that are not ASCII.
      open_end: whether the last line has no line end, as in a file that was cut.
    """

    url: str
    form: Form
    names: tuple[str, ...]
    headers: int
    rows: int
    not_utf8: tuple[int, int]
    open_end: bool = False

    def records(self) -> Iterator[TextRecord]:
        """Yields the rows after the header.

        Raises:
          ValueError: the file was replaced, and is not in the encoding any more.
        """
        with storage.open_input(self.url) as stream:
            blocks = line_blocks(open_text(stream, self.form.encoding))
            try:
                yield from itertools.islice(table_records(blocks, self.form, len(self.names)), self.headers, None)
            except ValueError as e:
                raise ValueError(f"{self.url}: {e}") from e


def open_text_table(
    url: str, *, names: Sequence[str] | None = None, headers: int = 1, encoding: str | None = None
) -> TextTable:
    """Reads a table once: its form, its columns, and the number of its rows.

    Args:
      url: URL of the file.
      names: names of its columns, for a file without a header.
      headers: number of header rows.
      encoding: encoding of the file, if the first bytes do not tell it.

    Raises:
      ValueError: the file is empty, is not text, or its header is not UTF-8.
    """
    form = _sniffed(url, encoding, None if names is None else len(names))
    headers = headers if names is None else 0
    found = _surveyed(url, form, names, headers)
    if found.broken and form.separator in _QUOTES_MAY_BE_TEXT:
        plain = dataclasses.replace(form, quoted=False)
        other = _surveyed(url, plain, names, headers)
        if other.uneven < found.broken + found.uneven:
            form, found = plain, other
    return TextTable(
        url=url,
        form=form,
        names=found.names,
        headers=headers,
        rows=found.rows,
        not_utf8=(found.wrong, found.other),
        open_end=found.open_end,
    )


def _sniffed(url: str, encoding: str | None, width: int | None) -> Form:
    with storage.open_input(url) as stream:
        return form_of_head(stream.read(FORM_BYTES), url, encoding, width)


def form_of_head(head: bytes, name: str, encoding: str | None = None, width: int | None = None) -> Form:
    """The form of a table, by its first bytes.

    Args:
      head: the first `FORM_BYTES` bytes; fewer are the whole table.
      name: name of its file; the suffix says which separator is likely.
      encoding: its encoding, if the bytes do not tell it.
      width: number of columns, if known.

    Raises:
      ValueError: the bytes are not text.
    """
    encoding = encoding or sniff_encoding(head)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head).removeprefix("\ufeff")
    lines = io.StringIO(text, newline="").readlines()
    whole = lines if len(head) < FORM_BYTES or len(lines) == 1 else lines[:-1]
    return sniff_form(whole, encoding, usual_separator(name), width)


@dataclasses.dataclass(kw_only=True)
class _Survey:
    """What one pass over a table finds.

    Attributes:
      names: names of the columns.
      rows: rows after the header.
      broken: rows that cannot be read.
      uneven: rows with another number of fields than columns.
      wrong: lines that are not UTF-8.
      other: other lines that are not ASCII.
      open_end: whether the last line has no line end.
    """

    names: tuple[str, ...]
    rows: int = 0
    broken: int = 0
    uneven: int = 0
    wrong: int = 0
    other: int = 0
    open_end: bool = False

    def counted(self, blocks: Iterator[list[str]]) -> Iterator[list[str]]:
        """The lines, whose encoding is counted."""
        for block in blocks:
            wide = [] if "".join(block).isascii() else [line for line in block if not line.isascii()]
            wrong = sum(not is_utf8(line) for line in wide)
            self.wrong += wrong
            self.other += len(wide) - wrong
            yield block


def _surveyed(url: str, form: Form, names: Sequence[str] | None, headers: int) -> _Survey:
    found = _Survey(names=tuple(names) if names is not None else _header(url, form, headers))
    with storage.open_input(url) as stream:
        found.open_end = has_open_end(stream)
        blocks = found.counted(line_blocks(open_text(stream, form.encoding)))
        for record in itertools.islice(table_records(blocks, form, len(found.names)), headers, None):
            found.rows += 1
            if isinstance(record.fields, ValueError):
                found.broken += 1
            else:
                found.uneven += len(record.fields) != len(found.names)
    return found


def _header(url: str, form: Form, headers: int) -> tuple[str, ...]:
    """Names of the columns; those of several header lines are joined by a point."""
    with storage.open_input(url) as stream:
        records = list(itertools.islice(table_records(line_blocks(open_text(stream, form.encoding)), form), headers))
    if not records:
        raise ValueError("the file is empty: the first line must name the columns")
    lines = []
    for record in records:
        if isinstance(record.fields, ValueError):
            raise ValueError(f"line {record.line}: {record.fields}") from record.fields
        lines.append(record.fields)
        if not all(map(is_utf8, record.fields)):
            raise ValueError(f"line {record.line} is not UTF-8: {not_utf8_remedy(record.fields)}")
    return tuple(".".join(part.strip() for part in parts if part.strip()) for parts in zip(*lines, strict=False))


def not_utf8_remedy(fields: Sequence[str]) -> str:
    """What a user does about text that is not UTF-8, with the first wrong field as Windows-1252 would read it."""
    wrong = next(field for field in fields if not is_utf8(field))
    guess = wrong.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return f"save the file as UTF-8, or use `import csv --encoding windows-1252`, which reads {guess!r}"
