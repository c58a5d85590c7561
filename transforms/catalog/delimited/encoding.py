"""Text of a file: its encoding is found by the first bytes, and lines are read in bounded memory.

Text without a byte order mark is UTF-8. The 8-bit encodings cannot be told apart, so they are never guessed: a reader
names the lines that are not UTF-8, and a user gives the encoding.
"""

import codecs
import io
import itertools
import re
from collections.abc import Iterator
from typing import BinaryIO

FORM_BYTES = 1 << 16
"""Bytes from the start of a file from which its form is recognised."""

MOST_LINE = 16 * 1024 * 1024
"""Most characters of a line, and of a row that spans several lines."""

_BLOCK = 1 << 16
"""Characters that are read at a time."""

_END_BYTES = 64
"""Bytes at the end of a file in which its last line end is sought; others may be blanks."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_BINARY = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3", "an SQLite database"),
)

_ESCAPED = re.compile("[\udc80-\udcff]")


def sniff_encoding(head: bytes) -> str:
    """The encoding of a text by its first bytes: UTF-8 unless it begins with another mark or every other byte is zero.

    Raises:
      ValueError: the bytes are not text.
    """
    for magic, what in _BINARY:
        if head.startswith(magic):
            raise ValueError(f"this is {what}, not text: save it as CSV in UTF-8")
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    zeros = [head[i::2].count(0) * 4 > len(head) for i in (0, 1)]
    return {(True, False): "utf-16-be", (False, True): "utf-16-le"}.get((zeros[0], zeros[1]), "utf-8")


def known_encoding(name: str) -> str:
    """Python's name of a text encoding that a user names, such as `windows-1252`.

    Raises:
      ValueError: Python has no such encoding of texts.
    """
    try:
        codec = codecs.lookup(name)
        if "a".encode(name).decode(name) != "a" or not isinstance("a".encode(name), bytes):
            raise LookupError(name)
    except (LookupError, ValueError, TypeError) as e:
        raise ValueError(f"encoding {name!r} is unknown: give for example windows-1252, latin-1 or utf-16") from e
    return codec.name


def open_text(stream: BinaryIO, encoding: str | None = None) -> io.TextIOWrapper:
    """The text of a file, without a byte order mark. In UTF-8, wrong bytes become single surrogates, see `is_utf8`."""
    if encoding is None:
        encoding = sniff_encoding(stream.read(FORM_BYTES))
        stream.seek(0)
    if encoding == "utf-8":
        return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    return io.TextIOWrapper(stream, encoding=encoding, newline="")


OPEN_END = "its last line has no line end: if the file was cut there, rows are missing"
"""What a user is told about a file for which `has_open_end` is true."""


def has_open_end(stream: BinaryIO) -> bool:
    """Whether text follows the last line end, in any encoding; the stream is then at its start again."""
    stream.seek(max(stream.seek(0, io.SEEK_END) - _END_BYTES, 0))
    end = stream.read().rstrip(b"\0 \t")
    stream.seek(0)
    return not end.endswith((b"\n", b"\r")) and bool(end)


def line_blocks(text: io.TextIOWrapper) -> Iterator[list[str]]:
    """Yields the lines with their ends, some thousand at a time. Line feeds and carriage returns end a line.

    Raises:
      ValueError: a line has more than `MOST_LINE` characters, or bytes are not in the encoding.
    """
    number = 0
    rest: list[str] = []
    try:
        while chunk := text.read(_BLOCK):
            rest.append(chunk)
            if "\n" in chunk or "\r" in chunk or "\r" in rest[0]:
                lines = io.StringIO("".join(rest), newline="").readlines()
                rest = [""] if lines[-1].endswith("\n") else [lines.pop()]  # a line feed may follow a carriage return
                number += len(lines)
                yield lines
            elif sum(map(len, rest)) > MOST_LINE:
                raise ValueError(f"line {number + 1} has more than {MOST_LINE} characters: is this a table of text?")
    except UnicodeDecodeError as e:
        raise ValueError(
            f"after line {number}: {e.object[e.start : e.start + 1].hex() or 'the end'} is not {e.encoding} "
            f"({e.reason}): save the file as UTF-8"
        ) from e
    last = "".join(rest)
    yield [last] if last else []


def text_lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Yields the lines of `line_blocks`."""
    return itertools.chain.from_iterable(line_blocks(text))


def is_utf8(text: str) -> bool:
    """Whether the text was UTF-8 in the file that `open_text` opened."""
    return text.isascii() or _ESCAPED.search(text) is None
