"""Checksums of a file's blocks, and a reader that checks each block that is read.

Page checksums of Parquet cover neither footers nor indexes, and DuckDB does not check them. Block checksums cover every
byte, whichever engine reads, and a reader that needs few columns still reads few blocks.
"""

import os
from typing import Any, BinaryIO

import google_crc32c

from transforms.storage import StorageError
from transforms.storage.positioned import PositionedReader

BLOCK_BYTES = 256 << 10
_DIGITS = 8


def crc32c_hex(data: bytes) -> str:
    """CRC-32C as 8 hex digits. An object store's own checksum is the same number."""
    return f"{google_crc32c.value(data):08x}"


def checksums_of(data: bytes) -> str:
    """CRC-32C of the file, then of each of its blocks of 256 KiB, 8 hex digits each, without separators."""
    blocks = (data[start : start + BLOCK_BYTES] for start in range(0, len(data), BLOCK_BYTES))
    return "".join(crc32c_hex(part) for part in (data, *blocks))


def whole_crc32c(checksums: str) -> str:
    """CRC-32C of the whole file, from what `checksums_of` returned."""
    return checksums[:_DIGITS]


class BlockReader(PositionedReader):
    """A seekable reader of a file that compares each block with its checksum before it returns a byte of it.

    Args:
      stream: the file.
      url: its name, for messages.
      size: its size in bytes according to the manifest.
      checksums: what `checksums_of` returned when it was written.

    Raises:
      StorageError: the file has another size; while reading: a block has another checksum.
    """

    def __init__(self, stream: BinaryIO, url: str, size: int, checksums: str) -> None:
        super().__init__(size)
        self._stream, self._url = stream, url
        self._sums = [checksums[at : at + _DIGITS] for at in range(_DIGITS, len(checksums), _DIGITS)]
        self._checked = bytearray(len(self._sums))
        if (found := stream.seek(0, os.SEEK_END)) != size:
            raise StorageError(f"{url}: {found} bytes, the snapshot has {size}: the file is damaged")
        if len(self._sums) != -(-size // BLOCK_BYTES):
            raise StorageError(f"{url}: {len(self._sums)} checksums for {size} bytes: the snapshot is damaged")

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer as far as the file lasts, and returns the number of bytes."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1) -> bytes:
        """Reads up to `size` bytes, as far as the file lasts."""
        left = max(self._size - self._position, 0)
        wanted = left if size is None or size < 0 else min(size, left)
        if not wanted:
            return b""
        start, end = self._position, self._position + wanted
        first, last = start // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        if all(self._checked[first : last + 1]):
            data = self._fetch(start, end)
        else:
            offset = start - first * BLOCK_BYTES
            data = self._checked_blocks(first, last)[offset : offset + wanted]
        self._position = end
        return data

    def _fetch(self, start: int, end: int) -> bytes:
        self._stream.seek(start)
        data = self._stream.read(end - start)
        if len(data) != end - start:
            raise StorageError(f"{self._url}: got {len(data)} of {end - start} bytes at {start}")
        return data

    def _checked_blocks(self, first: int, last: int) -> bytes:
        data = self._fetch(first * BLOCK_BYTES, min((last + 1) * BLOCK_BYTES, self._size))
        for place in range(first, last + 1):
            at = (place - first) * BLOCK_BYTES
            if (found := crc32c_hex(data[at : at + BLOCK_BYTES])) != self._sums[place]:
                raise StorageError(
                    f"{self._url}: the block at byte {place * BLOCK_BYTES} has CRC-32C {found}, the snapshot has "
                    f"{self._sums[place]}: the file is damaged; restore it from a copy, or read an earlier snapshot"
                )
            self._checked[place] = 1
        return data

    def close(self) -> None:
        """Closes the file too."""
        if not self.closed:
            self._stream.close()
        super().close()
