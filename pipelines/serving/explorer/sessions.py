"""Sessions of the page: a sign-in with the id and secret of a client, and a cookie that scripts cannot read.

The cookie has a random name of the session. What it may do is a token that never leaves this process: each request of
the page gets it as if it had sent the header. A session ends with its token, at sign-out, or with the process.

Against requests that other sites make: the cookie is `SameSite=Strict`; the browser must say that a request that
changes something comes from this origin; the sign-in takes JSON alone, which another site's form cannot send.
"""

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pipelines.serving.access.origins import is_own_origin
from pipelines.serving.access.tokens import LIFE_S, issue_token
from pipelines.serving.answers import json_response
from pipelines.serving.problems import Declined, documented
from pipelines.serving.requests import Service, service_of

SESSION_PATH = "/v1/explorer/session"
MOST_SESSIONS = 10_000
_COOKIE = "catalog-tagger-session"
_SECURE_COOKIE = f"__Host-{_COOKIE}"
"""Name over TLS: browsers accept it only with `Secure`, without a domain, for the whole host."""

_NO_STORE = {"Cache-Control": "no-store"}

routes = APIRouter(tags=["explorer"])


class Credentials(BaseModel):
    """Who signs in."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"client_id": "player", "client_secret": "..."}}
    )
    client_id: str = Field(min_length=1, max_length=256)
    client_secret: str = Field(min_length=1, max_length=256)


class SignedIn(BaseModel):
    """The session of a browser."""

    model_config = ConfigDict(json_schema_extra={"example": {"client_id": "player", "needed": True}})
    client_id: str | None = Field(description="Who is signed in; null: nobody, or the service has no clients.")
    needed: bool = Field(description="Whether the service has clients, so that a sign-in is needed.")


class _Session(NamedTuple):
    client: str
    token: str
    ends: float


class Sessions:
    """The sessions of a process, by the hash of their names: memory that leaks names no session."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, _Session] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, client: str, token: str) -> str:
        """The name of a new session. The oldest session ends if there are too many."""
        name = secrets.token_urlsafe(32)
        with self._lock:
            self._open[_hash(name)] = _Session(client, token, time.monotonic() + LIFE_S)
            while len(self._open) > MOST_SESSIONS:
                self._open.popitem(last=False)
        return name

    def find(self, name: str | None) -> tuple[str, str] | None:
        """Client and token of a session; None if it does not exist or has ended."""
        if not name:
            return None
        with self._lock:
            found = self._open.get(_hash(name))
            if found is not None and found.ends <= time.monotonic():
                del self._open[_hash(name)]
                return None
        return found and (found.client, found.token)

    def end(self, name: str | None) -> None:
        """Ends a session."""
        with self._lock:
            self._open.pop(_hash(name or ""), None)


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()


class SessionTokens:
    """An ASGI middleware in front of the gate: a request with the cookie of a session gets the session's token."""

    def __init__(self, app: ASGIApp, service: Service, sessions: Sessions) -> None:
        self._app, self._service, self._sessions = app, service, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] == "http" and self._service.clients is not None:
            headers = Headers(scope=scope)
            found = None if "authorization" in headers else self._sessions.find(_name_of(scope, headers))
            if found is not None and _is_own(scope, headers):
                scope = {**scope, "headers": [*scope["headers"], (b"authorization", f"Bearer {found[1]}".encode())]}
        await self._app(scope, receive, send)


def _name_of(scope: Scope, headers: Headers) -> str | None:
    cookies = cookie_parser("; ".join(headers.getlist("cookie")))
    return cookies.get(_SECURE_COOKIE if scope["scheme"] == "https" else _COOKIE)


def _is_own(scope: Scope, headers: Headers) -> bool:
    """Whether a page of this service sends the request, or the user does by its address."""
    site = headers.get("sec-fetch-site")
    if scope["method"] in ("GET", "HEAD"):
        return site in (None, "same-origin", "none")
    origin = headers.get("origin")
    return site in (None, "same-origin") and is_own_origin(origin, headers.get("host"))


def _cookie(request: Request, value: str, life_s: int) -> dict[str, str]:
    secure = request.url.scheme == "https"
    name = _SECURE_COOKIE if secure else _COOKIE
    text = f"{name}={value}; Path=/; Max-Age={life_s}; HttpOnly; SameSite=Strict"
    return {"Set-Cookie": text + ("; Secure" if secure else "")}


def _require_own(request: Request) -> None:
    if not _is_own(request.scope, request.headers):
        raise Declined("foreign-origin", "only a page of this service may sign in and out: open the service's own page")


@routes.post(
    SESSION_PATH,
    response_model=SignedIn,
    responses=documented(401, 429, 501),
    openapi_extra={"security": []},
    summary="Sign in",
)
async def begin_session(request: Request, given: Credentials) -> Response:
    """Begins a session for a page of this service, with a cookie."""
    service = service_of(request)
    if service.clients is None:
        raise Declined("not-offered", "this service has no clients: its page needs no sign-in")
    _require_own(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Declined("other-form", "body: send JSON as application/json")
    address, attempts = request.client.host if request.client else "", request.app.state.attempts
    known = service.clients.current()
    if not await attempts.is_secret(known, address, given.client_id, given.client_secret):
        raise Declined("unauthorized", "no client has this id and this secret")
    token = issue_token(known, given.client_id, known.scopes(given.client_id) or ())
    sessions: Sessions = request.app.state.sessions
    sessions.end(_name_of(request.scope, request.headers))
    name = sessions.begin(given.client_id, token)
    return _answer({"client_id": given.client_id, "needed": True}, _cookie(request, name, LIFE_S))


@routes.get(SESSION_PATH, response_model=SignedIn, openapi_extra={"security": []}, summary="Who is signed in")
async def get_session(request: Request) -> Response:
    """Who is signed in with this browser."""
    found = request.app.state.sessions.find(_name_of(request.scope, request.headers))
    needed = service_of(request).clients is not None
    return _answer({"client_id": found[0] if found and needed else None, "needed": needed})


@routes.delete(
    SESSION_PATH,
    response_model=SignedIn,
    openapi_extra={"security": []},
    summary="Sign out",
)
async def end_session(request: Request) -> Response:
    """Ends the session of this browser."""
    _require_own(request)
    request.app.state.sessions.end(_name_of(request.scope, request.headers))
    needed = service_of(request).clients is not None
    return _answer({"client_id": None, "needed": needed}, _cookie(request, "", 0))


def _answer(document: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return json_response(document, headers={**_NO_STORE, **(headers or {})})
