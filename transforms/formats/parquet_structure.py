"""Reads the structure of a Parquet file without pyarrow: schema and columns of its footer, and the sizes of its pages.

Footers and page headers are Thrift structs in the compact protocol. pyarrow ends the process if a schema is nested too
deeply, or if a program looks at damaged metadata of a column. It allocates the size that a page header states.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

SCHEMA_LEVELS = 32
"""Most levels of nested columns."""

SCHEMA_ELEMENTS = 10_000
"""Most columns in a schema, nested ones and groups among them."""

MOST_CHUNKS = 2_000_000
"""Most row groups times columns."""

_MOST_HEADER = 16 << 20
_FIRST_READ = 1024
_DICTIONARY_PAGE, _DATA_PAGE, _DATA_PAGE_V2 = 2, 0, 3
_HEADERS = {_DATA_PAGE: (5, 2), _DICTIONARY_PAGE: (7, 2), _DATA_PAGE_V2: (8, 4)}
"""Type of a page -> number of its header's field, and in it the number of the field with the encoding."""
_DELTA_BYTE_ARRAY = 7


class StructureError(ValueError):
    """The bytes have no such structure, or one that is too large."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PageSize:
    """One page of a column.

    Attributes:
      size: bytes after decompression.
      values: number of its values, nulls among them.
      is_dictionary: whether it contains the column's dictionary.
      repeats_prefixes: whether each of its texts may repeat the beginning of the text before.
    """

    size: int
    values: int
    is_dictionary: bool
    repeats_prefixes: bool


class ColumnChunk(NamedTuple):
    """One column of a row group.

    Attributes:
      start: position of its first page.
      length: bytes of its pages in the file.
      values: number of its values.
      ends: least and greatest value of a column of integers, if the file tells them.
      texts: bounds of the values of a column of texts, in UTF-8, if the file tells them and they are short enough.
    """

    start: int
    length: int
    values: int
    ends: tuple[int, int] | None
    texts: tuple[bytes, bytes] | None


class _Compact:
    """Thrift's compact protocol; of a text of more than `longest` bytes, only its length is returned."""

    def __init__(self, data: bytes, longest: int = 8) -> None:
        self.data, self.at, self._longest = data, 0, longest

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        value = shift = 0
        while True:
            part = self.byte()
            value |= (part & 127) << shift
            shift += 7
            if part < 128:
                return value
            if shift > 63:
                raise StructureError("a number of more than 64 bits")

    def number(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yields number and type of each field of a struct. The caller reads the value before the next one."""
        number = 0
        while head := self.byte():
            number = number + (head >> 4) if head >> 4 else self.number()
            yield number, head & 15

    def struct(self, levels: int = 8) -> dict[int, Any]:
        return {number: self.value(kind, levels) for number, kind in self.fields()}

    def elements(self) -> tuple[int, int]:
        """Number and type of the elements of a list that begins here."""
        head = self.byte()
        return (self.varint() if head >> 4 == 15 else head >> 4), head & 15

    def items(self, levels: int) -> list[Any]:
        count, kind = self.elements()
        if kind in (1, 2):  # in a list, each boolean is a byte
            self.at += count
            return []
        return [self.value(kind, levels) for _ in range(self.at_most(count))]

    def at_most(self, count: int) -> int:
        """The count of elements, each of which takes at least a byte."""
        if count > len(self.data) - self.at:
            raise IndexError
        return count

    def value(self, kind: int, levels: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind in (4, 5, 6):
            return self.number()
        if kind in (3, 7):
            self.at += 1 if kind == 3 else 8
            return None
        if kind == 8:
            length = self.varint()
            self.at += length
            return self.data[self.at - length : self.at] if length <= self._longest else length
        if kind == 12 and levels:
            return self.struct(levels - 1)
        if kind == 9 and levels:
            return self.items(levels - 1)
        raise StructureError(f"an unexpected field of type {kind}")


def read_chunks(stream: BinaryIO, longest: int = 8) -> tuple[tuple[ColumnChunk, ...], ...]:
    """Returns the columns of each row group, and refuses a footer that pyarrow cannot read safely.

    Args:
      stream: the file.
      longest: most bytes of a bound of texts that is kept.

    Raises:
      StructureError: there is no footer, it is damaged, or the schema has too many columns or levels.
    """
    size = stream.seek(0, 2)
    stream.seek(max(size - 8, 0))
    tail = stream.read(8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length + 8 > size:
        raise StructureError("no Parquet footer at its end: the file is cut, or no Parquet file")
    stream.seek(size - 8 - length)
    footer, columns = _Compact(stream.read(length), longest), 0
    groups: tuple[tuple[ColumnChunk, ...], ...] = ()
    try:
        for number, kind in footer.fields():
            if number == 2 and kind == 9:
                columns = _check_schema(footer)
            elif number == 4 and kind == 9:
                groups = _row_groups(footer, columns)
            else:
                footer.value(kind, 8)
    except (IndexError, AttributeError, TypeError) as error:
        raise StructureError("its footer cannot be read: the file is damaged") from error
    return groups


def _check_schema(footer: _Compact) -> int:
    """Walks the schema, which lists each group before its children; returns its number of columns without children."""
    count, _ = footer.elements()
    if count > SCHEMA_ELEMENTS:
        raise StructureError(f"{count} columns in its schema, at most {SCHEMA_ELEMENTS} are read")
    open_groups: list[int] = []
    leaves = 0
    for _ in range(footer.at_most(count)):
        children = footer.struct().get(5, 0)
        while open_groups and open_groups[-1] == 0:
            open_groups.pop()
        if open_groups:
            open_groups[-1] -= 1
        if children > 0:
            open_groups.append(children)
        leaves += children == 0
        if len(open_groups) > SCHEMA_LEVELS:
            raise StructureError(f"columns nested in more than {SCHEMA_LEVELS} levels: write plain columns")
    return leaves


def _row_groups(footer: _Compact, columns: int) -> tuple[tuple[ColumnChunk, ...], ...]:
    count, _ = footer.elements()
    if count * columns > MOST_CHUNKS:
        raise StructureError(f"{count} row groups of {columns} columns: write larger row groups")
    groups = []
    for number in range(footer.at_most(count)):
        chunks = tuple(_chunk(obj) for obj in footer.struct().get(1) or ())
        if len(chunks) != columns or min((number for chunk in chunks for number in chunk[:3]), default=0) < 0:
            raise StructureError(f"row group {number} has no metadata of some column: the file is damaged")
        groups.append(chunks)
    return tuple(groups)


def _whole(fields: dict[int, Any], number: int, default: int) -> int:
    """The integer in a field. A damaged struct can have any type there."""
    value = fields.get(number, default)
    if type(value) is not int:
        raise StructureError(f"no integer in field {number} of a struct: the file is damaged")
    return value


def _within(fields: dict[int, Any], number: int) -> dict[int, Any]:
    """The struct in a field; empty if the field is missing."""
    value = fields.get(number, {})
    if type(value) is not dict:
        raise StructureError(f"no struct in field {number} of a struct: the file is damaged")
    return value


def _chunk(obj: dict[int, Any]) -> ColumnChunk:
    facts = _within(obj, 3)
    start, dictionary = _whole(facts, 9, -1), _whole(facts, 11, 0)
    start = min(start, dictionary) if dictionary > 0 else start
    return ColumnChunk(
        start=start,
        length=_whole(facts, 7, -1),
        values=_whole(facts, 5, -1),
        ends=_ends(facts),
        texts=_stated(facts, _TEXT, (6,), (5,)),
    )


_INT32, _INT64, _TEXT = 1, 2, 6


def _ends(facts: dict[int, Any]) -> tuple[int, int] | None:
    """Least and greatest value of a column of type INT32 or INT64."""
    stated = _stated(facts, _INT32, (6, 2), (5, 1)) or _stated(facts, _INT64, (6, 2), (5, 1))
    if stated is None or max(map(len, stated)) > 8:
        return None
    low, high = (int.from_bytes(value, "little", signed=True) for value in stated)
    return low, high


def _stated(
    facts: dict[int, Any], kind: int, low: tuple[int, ...], high: tuple[int, ...]
) -> tuple[bytes, bytes] | None:
    """Minimum and maximum in the statistics of a column of this type, from the first of these fields that is there."""
    stated = _within(facts, 12)
    least, most = (next((stated[number] for number in numbers if number in stated), None) for numbers in (low, high))
    if facts.get(1) != kind or not isinstance(least, bytes) or not isinstance(most, bytes):
        return None
    return least, most


def page_sizes(stream: BinaryIO, chunk: ColumnChunk) -> Iterator[PageSize]:
    """Yields the pages of one column of a row group, from the headers alone. pyarrow reads no page behind these.

    Raises:
      StructureError: something is no page header.
    """
    place, end, done = chunk.start, chunk.start + chunk.length, 0
    while place < end and done < chunk.values:
        header, header_length = _page_header(stream, place)
        kind, size, stored = (_whole(header, number, -1) for number in (1, 2, 3))
        if size < 0 or stored < 0:
            raise StructureError(f"no page header at byte {place}: the file is damaged")
        place += header_length + stored
        if kind in _HEADERS:
            own, encoding = _HEADERS[kind]
            facts = _within(header, own)
            is_dictionary, values = kind == _DICTIONARY_PAGE, _whole(facts, 1, 0)
            done += 0 if is_dictionary else max(values, 0)
            yield PageSize(
                size=size,
                values=values,
                is_dictionary=is_dictionary,
                repeats_prefixes=facts.get(encoding) == _DELTA_BYTE_ARRAY,
            )


def _page_header(stream: BinaryIO, place: int) -> tuple[dict[int, Any], int]:
    """The header at this position, and its length. Statistics in it can make it long."""
    wanted = _FIRST_READ
    while True:
        stream.seek(place)
        reader = _Compact(stream.read(wanted))
        try:
            header = reader.struct()
            if reader.at <= len(reader.data):
                return header, reader.at
        except IndexError:
            pass
        if len(reader.data) < wanted or wanted > _MOST_HEADER:
            raise StructureError(f"no page header at byte {place}: the file is damaged")
        wanted *= 16
