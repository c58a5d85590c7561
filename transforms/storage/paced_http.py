"""HTTP answers that must come at a least speed: the time-out between two bytes accepts one byte a minute for ever."""

import http.client
import io
import socket
import time
from typing import Any, BinaryIO, cast

import requests.adapters
import urllib3
import urllib3.connection

PATIENCE_S = 60.0
"""Time that an answer may take in addition to that of its bytes, including the wait for the first one."""

LEAST_BYTES_PER_S = 4096


class TooSlow(TimeoutError):
    """An answer comes, but so slowly that it may as well not."""


class _Paced(io.RawIOBase):
    """A raw stream that is given up if it has kept its reader waiting too long for what it has brought."""

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__()
        self._raw, self._bytes, self._waited_s = raw, 0, 0.0

    def readable(self) -> bool:
        """Always true."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Fills part of the buffer. Raises TooSlow if the speed so far is too low."""
        began = time.monotonic()
        count = cast("int | None", self._raw.readinto(buffer))
        self._waited_s += time.monotonic() - began
        self._bytes += count or 0
        if count and self._waited_s > PATIENCE_S + self._bytes / LEAST_BYTES_PER_S:
            raise TooSlow(f"only {self._bytes} bytes came in {self._waited_s:.0f} s")
        return count

    def close(self) -> None:
        """Closes the stream too."""
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer of which every byte, status line and headers included, is paced."""

    def __init__(self, sock: socket.socket, *args: Any, **settings: Any) -> None:
        super().__init__(sock, *args, **settings)
        raw = self.fp.detach()
        self.fp = cast("BinaryIO", io.BufferedReader(_Paced(raw)))  # type: ignore[assignment]


class _Plain(urllib3.connection.HTTPConnection):
    response_class = _Answer


class _Secure(urllib3.connection.HTTPSConnection):
    response_class = _Answer


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Secure


class PacedAdapter(requests.adapters.HTTPAdapter):
    """Sends requests whose answers are paced."""

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        """Makes the pools of connections."""
        super().init_poolmanager(*args, **settings)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
