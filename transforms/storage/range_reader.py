"""A seekable reader on range requests, for files of which only parts are read."""

from collections.abc import Callable
from typing import Any

from transforms.storage.positioned import PositionedReader

MIN_FETCH_BYTES = 256 << 10
MAX_FETCH_BYTES = 8 << 20


class RangeReader(PositionedReader):
    """Reads `fetch(start, end)` as a file of `size` bytes.

    A read at a new position fetches the requested bytes, at least 256 KiB (a Parquet footer, a neighbouring column
    chunk). While reads are sequential, the fetch size doubles up to 8 MiB, so that a scan needs few requests.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        super().__init__(size)
        self._fetch = fetch
        self._window, self._window_start = b"", 0
        self._ahead = MIN_FETCH_BYTES

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
