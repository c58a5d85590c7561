"""What every request passes before the application sees it: host, origin, size, token, rate. Refused by default."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.serving.access.granting import TOKEN_PATH
from pipelines.serving.access.origins import is_own_origin
from pipelines.serving.access.tokens import Caller, InvalidToken, caller_of
from pipelines.serving.explorer.files import OPEN_PAGES, PAGE_PREFIX
from pipelines.serving.explorer.sessions import SESSION_PATH
from pipelines.serving.problems import Declined
from pipelines.serving.requests import Service

ANALYSIS_PATH = "/v1/analysis"
OPEN_PATHS = frozenset({"/health", "/ready", TOKEN_PATH, "/v1/openapi.json", SESSION_PATH, *OPEN_PAGES})
"""Paths that need no token."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


class RequestGate:
    """An ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service
        self._settings = service.settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # websockets are not served
        state = scope.setdefault("state", {})
        answer = _Answer(send, state)
        state["is_head"] = scope["method"] == "HEAD"
        asked = {**scope, "method": "GET"} if state["is_head"] else scope  # its answer without the body
        begun = time.perf_counter()
        self._service.metrics.begun()
        try:
            self._check(scope)
            body = _Body(receive, self._most_bytes(scope), self._settings.body_s)
            body.check_head(Headers(scope=scope))
            await self._app(asked, body.receive, answer.send)
        except Declined as problem:
            if not answer.status:
                await problem.response()(scope, receive, answer.send)
        finally:
            route = asked.get("route")
            path = getattr(route, "path", "other")
            self._service.metrics.ended(path, scope["method"], answer.status, time.perf_counter() - begun)

    def _check(self, scope: Scope) -> None:
        settings = self._settings
        if len(scope["path"].encode()) + len(scope["query_string"]) > settings.url_bytes:
            raise Declined("url-too-long", f"path and query have more than {settings.url_bytes} bytes: shorten them")
        headers = Headers(scope=scope)
        self._check_origin(scope, headers)
        if self._service.clients is None:
            self._check_host(headers)
        elif not (_is_open(scope["path"]) or _is_preflight(scope, headers)):
            self._check_caller(scope, headers)

    def _check_host(self, headers: Headers) -> None:
        """Without clients, a page of another site could reach this machine by a name that it owns."""
        name = _host_name(headers.get("host", ""))
        if name not in LOOPBACK | {self._settings.host}:
            raise Declined("foreign-host", f"host {name!r}: this service answers to localhost: use that name")

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """A page of another site may send forms without being asked; it says where it is from."""
        origin = headers.get("origin")
        if scope["method"] in ("GET", "HEAD", "OPTIONS") or origin is None or origin in self._settings.origins:
            return
        if not is_own_origin(origin, headers.get("host")):
            raise Declined("foreign-origin", f"origin {origin!r} is not allowed: start the service with --allow-origin")

    def _check_caller(self, scope: Scope, headers: Headers) -> None:
        caller = self._caller(headers)
        wait = self._service.rates.wait_s(caller.client)
        if wait > 0:
            detail = f"client {caller.client} sends more than {self._settings.rate:g} requests per second: wait"
            raise Declined("too-many-requests", detail, {"Retry-After": str(int(wait) + 1)})
        needed = "analyze" if scope["path"].rstrip("/") == ANALYSIS_PATH else "read"
        if needed not in caller.scopes:
            challenge = f'Bearer error="insufficient_scope", scope="{needed}"'
            raise Declined("forbidden", f"the token lacks the scope {needed!r}", {"WWW-Authenticate": challenge})

    def _caller(self, headers: Headers) -> Caller:
        assert self._service.clients is not None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            detail = f"send a token in the header Authorization: Bearer ...; {TOKEN_PATH} gives tokens"
            raise Declined("unauthorized", detail, {"WWW-Authenticate": 'Bearer realm="catalog-tagger"'})
        try:
            return caller_of(self._service.clients.current(), token.strip())
        except InvalidToken as error:
            challenge = 'Bearer realm="catalog-tagger", error="invalid_token"'
            raise Declined("unauthorized", str(error), {"WWW-Authenticate": challenge}) from error

    def _most_bytes(self, scope: Scope) -> int:
        settings = self._settings
        is_upload = scope["path"] == ANALYSIS_PATH and settings.model is not None
        # A form around a file has some headers of its own.
        return settings.upload_bytes + 65_536 if is_upload else settings.body_bytes


def _host_name(host: str) -> str:
    """The name in a header `Host`, without the port.

    >>> [_host_name(text) for text in ("localhost:80", "[::1]:80", "a.example")]
    ['localhost', '::1', 'a.example']
    """
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(PAGE_PREFIX)


def _is_preflight(scope: Scope, headers: Mapping[str, str]) -> bool:
    return scope["method"] == "OPTIONS" and "access-control-request-method" in headers


class _Answer:
    """Adds headers to an answer, and remembers its status."""

    def __init__(self, send: Send, state: Mapping[str, Any]) -> None:
        self._send, self._state = send, state
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and self._state["is_head"]:
            message = {**message, "body": b""}
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "private, no-cache")
            if self.status in (200, 206) and self._state.get("etag"):
                headers["ETag"] = self._state["etag"]
        await self._send(message)


class _Body:
    """The body of a request, up to a number of bytes and seconds."""

    def __init__(self, receive: Receive, most_bytes: int, most_s: float) -> None:
        self._receive, self._most_bytes = receive, most_bytes
        self._most_s, self._late = most_s, time.monotonic() + most_s
        self._bytes, self._is_whole = 0, False

    def check_head(self, headers: Headers) -> None:
        """Refuses a body that is too large, or that would have to be decompressed."""
        if (coding := headers.get("content-encoding", "identity").strip().lower()) != "identity":
            detail = f"content-encoding {coding!r}: send the body as it is"
            raise Declined("other-form", detail, {"Accept-Encoding": "identity", "Connection": "close"})
        length = headers.get("content-length", "0")
        if length.isdigit() and len(length) < 20 and int(length) <= self._most_bytes:
            return
        raise self._too_large()

    def _too_large(self) -> Declined:
        return Declined("body-too-large", f"the body has more than {self._most_bytes} bytes", {"Connection": "close"})

    async def receive(self) -> Message:
        if self._is_whole:  # what comes now says whether the client is still there
            return await self._receive()
        try:
            async with asyncio.timeout(max(self._late - time.monotonic(), 0)):
                message = await self._receive()
        except TimeoutError as error:
            detail = f"the body did not arrive within {self._most_s:g} s"
            raise Declined("slow-body", detail, {"Connection": "close"}) from error
        self._bytes += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._bytes > self._most_bytes:
            raise self._too_large()
        return message
