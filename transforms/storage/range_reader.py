"""A seekable reader on range requests, for files of which only parts are read."""

import io
import os
from collections.abc import Callable
from typing import Any

MIN_FETCH_BYTES = 256 << 10
MAX_FETCH_BYTES = 8 << 20


class RangeReader(io.RawIOBase):
    """Reads `fetch(start, end)` as a file of `size` bytes.

    A read at a new position fetches the requested bytes, at least 256 KiB (a Parquet footer, a neighbouring column
    chunk). While reads are sequential, the fetch size doubles up to 8 MiB, so that a scan needs few requests.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        super().__init__()
        self._fetch, self._size = fetch, size
        self._position = 0
        self._window, self._window_start = b"", 0
        self._ahead = MIN_FETCH_BYTES

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Changes the position without a request. Raises ValueError for a negative position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"seek to {base + offset}: before the start of the file")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer as far as the file lasts, and returns the number of bytes."""
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(self._size - self._position, 0))
        filled = 0
        while filled < wanted:
            piece = self._piece(wanted - filled)
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
            self._position += len(piece)
        return filled

    def _piece(self, wanted: int) -> memoryview:
        """Returns at least one and at most `wanted` bytes from the position on."""
        offset = self._position - self._window_start
        if not 0 <= offset < len(self._window):
            self._load(wanted)
            offset = 0
        return memoryview(self._window)[offset : offset + wanted]

    def _load(self, wanted: int) -> None:
        in_sequence = self._position == self._window_start + len(self._window)
        self._ahead = min(self._ahead * 2, MAX_FETCH_BYTES) if in_sequence and self._window else MIN_FETCH_BYTES
        end = min(self._position + max(wanted, self._ahead), self._size)
        self._window, self._window_start = self._fetch(self._position, end), self._position
        if len(self._window) != end - self._position:
            raise EOFError(f"got {len(self._window)} of {end - self._position} bytes at {self._position}")
