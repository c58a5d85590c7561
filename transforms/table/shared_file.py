"""A file that several threads of an engine read at the same time."""

import io
import os
import threading
from typing import BinaryIO


class SharedFile(io.RawIOBase):
    """A seekable reader in which each thread has a position of its own.

    DuckDB shares a handle between its threads. Each seeks and then reads, in two calls: with one position for all,
    a thread sometimes reads where another one has sought.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream, self._lock, self._own = stream, threading.Lock(), threading.local()
        self._size = stream.seek(0, os.SEEK_END)

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True

    def tell(self) -> int:
        """The position of this thread in bytes."""
        return int(getattr(self._own, "position", 0))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Changes the position of this thread. Raises ValueError for a negative position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"seek to {base + offset}: before the start of the file")
        self._own.position = base + offset
        return base + offset

    def read(self, size: int | None = -1) -> bytes:
        """Reads up to `size` bytes from this thread's position, as far as the file lasts."""
        with self._lock:
            self._stream.seek(self.tell())
            data = self._stream.read(-1 if size is None else size)
        self._own.position = self.tell() + len(data)
        return data

    def close(self) -> None:
        """Closes the file too."""
        if not self.closed:
            self._stream.close()
        super().close()
