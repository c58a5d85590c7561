"""Limits on connections: slow heads of requests, answers that nobody reads, and their number.

uvicorn limits the time between two requests of a connection, and nothing else: a client that sends a head byte by byte,
or does not read its answer, would keep its connection for ever. The time of bodies is limited by `RequestGate`.
"""

import asyncio
import contextlib
import dataclasses
import resource
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipelines.serving.problems import Declined

_SPARE_FILES = 512
"""Files that the process may have open besides its connections."""
_BACKLOG = 2048
"""Connections that wait for the process to accept them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Limits of all connections.

    Attributes:
      requests: most connections whose requests are answered; the others get 503.
      connections: most open connections; further ones are closed at once.
      head_s: most seconds from the beginning of a connection, or from the first byte of a later request, until the head
        of the request is there.
      head_bytes: most bytes of a head.
      idle_s: most seconds between two requests.
      unread_s: most seconds in which a client reads nothing or little of what waits for it (48 KiB).
    """

    requests: int = 2048
    connections: int = 4096
    head_s: float = 10.0
    head_bytes: int = 65_536
    idle_s: int = 15
    unread_s: float = 60.0


class ServerConfig(uvicorn.Config):
    """The settings of the server of an application, with limits on connections.

    Args:
      app: answers requests.
      limits: of connections.
    """

    def __init__(self, app: ASGIApp, limits: ConnectionLimits | None = None) -> None:
        self.limits = limits or ConnectionLimits()
        super().__init__(
            app,
            http=LimitedConnection,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=self.limits.idle_s,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=self.limits.head_bytes,
        )


class LimitedConnection(H11Protocol):
    """A connection that is cut if its client is too slow."""

    config: ServerConfig
    _head_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for a head."""
        super().connection_made(transport)
        self._served = self.app
        _send_at_once(transport)
        if len(self.connections) > self.config.limits.connections:
            transport.abort()
            return
        self._head_timer = self._after(self.config.limits.head_s)

    def data_received(self, data: bytes) -> None:
        """Takes bytes. The time of a head goes on while they come one by one."""
        limit = self.config.limits.requests
        self.app = _busy if max(len(self.connections), len(self.tasks)) >= limit else self._served
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_head_timer()
        elif self._head_timer is None:  # of the next request, or of a body that nobody reads any more
            self._head_timer = self._after(self.config.limits.head_s)

    def send_400_response(self, msg: str) -> None:
        """Refuses bytes that are no request."""
        answer = Declined("bad-request", f"{msg} Send HTTP/1.1.", {"Connection": "close"}).response()
        lines = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in answer.raw_headers), b""]
        self.transport.write(b"\r\n".join([*lines, bytes(answer.body)]))
        self.transport.close()

    def on_response_complete(self) -> None:
        """Waits for the next request. uvicorn has begun it if it was here already."""
        super().on_response_complete()
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._wait_for_reader()

    def timeout_keep_alive_handler(self) -> None:
        """Ends a connection without a further request; what its client has not read by now is dropped."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        """The client reads more slowly than the application answers."""
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """The client has read most of what waited for it."""
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the timers."""
        super().connection_lost(exc)
        self._stop_head_timer()
        self.resume_writing()

    def _after(self, seconds: float) -> asyncio.TimerHandle:
        cut: Callable[[], None] = self.transport.abort
        return self.loop.call_later(seconds, cut)

    def _wait_for_reader(self) -> None:
        if self._unread_timer is None:
            self._unread_timer = self._after(self.config.limits.unread_s)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


async def _busy(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers in place of the application if there are too many connections."""
    headers = {"Retry-After": "1", "Connection": "close"}
    await Declined("busy", "too many connections: try again later", headers).response()(scope, receive, send)


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that waits for connections at an address; port 0: any free one.

    Raises:
      OSError: the address or its port cannot be had.
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def _send_at_once(transport: asyncio.Transport) -> None:
    """Sends the body of an answer without waiting for the client to acknowledge its head, which takes 40 ms.

    asyncio does this for sockets that name TCP as their protocol. Those of `socket.create_server` name none.
    """
    link = transport.get_extra_info("socket")
    if link is not None and link.family in (socket.AF_INET, socket.AF_INET6):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def allow_files(connections: int) -> None:
    """Lets this process have so many connections, as far as the system allows it: a usual limit is 1024 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
