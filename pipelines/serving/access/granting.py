"""`POST /v1/oauth/token`: client credentials by RFC 6749, section 4.4."""

import base64
import binascii
import json
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from pipelines.serving.access.clients import SCOPES, Clients, ClientsFile
from pipelines.serving.access.rates import Rates
from pipelines.serving.access.tokens import LIFE_S, issue_token
from pipelines.serving.problems import Declined, documented

TOKEN_PATH = "/v1/oauth/token"
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}

FAILURES_PER_ADDRESS = (1 / 6, 10.0)
FAILURES_PER_CLIENT = (1 / 2, 30.0)
"""Failed attempts a second on the long run, and at once."""

_MOST_LETTERS = 256

routes = APIRouter(tags=["access"])


class Granted(BaseModel):
    """A token."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"access_token": "eyJhbGciOi...", "token_type": "Bearer", "expires_in": LIFE_S, "scope": "read"}
        }
    )
    access_token: str = Field(description="For the header `Authorization: Bearer ...`.")
    token_type: str
    expires_in: int = Field(description="Seconds of its life.")
    scope: str = Field(description="What it allows, joined by spaces.")


class TokenRefusal(BaseModel):
    """Why there is no token, by RFC 6749, section 5.2."""

    model_config = ConfigDict(json_schema_extra={"example": {"error": "invalid_client", "error_description": "..."}})
    error: str
    error_description: str


class Attempts:
    """Limits failed attempts by address and by client."""

    def __init__(self) -> None:
        self.by_address, self.by_client = Rates(*FAILURES_PER_ADDRESS), Rates(*FAILURES_PER_CLIENT)

    async def is_secret(self, known: Clients, address: str, client: str, secret: str) -> bool:
        """Whether this is the secret of the client. Counts a failure.

        Guesses that come at the same time all pass the first check. The second one keeps their answers back.

        Raises:
          Problem: too many failures before it, or while the secret was compared.
        """
        self.check(address, client)
        found = await run_in_threadpool(known.has_secret, client, secret)
        self.check(address, client)
        if not found:
            self.failed(address, client)
        return found

    def check(self, address: str, client: str) -> None:
        """Refuses an attempt after too many failures.

        Raises:
          Problem: too many failures.
        """
        wait = max(self.by_address.blocked_s(address), self.by_client.blocked_s(client))
        if wait > 0:
            detail = "too many failed attempts: wait before the next one"
            raise Declined("too-many-requests", detail, {"Retry-After": str(int(wait) + 1)})

    def failed(self, address: str, client: str) -> None:
        """Counts a failure."""
        self.by_address.wait_s(address)
        self.by_client.wait_s(client)


class _Refusal(Exception):
    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.description, self.status = error, description, status

    def response(self) -> Response:
        body = json.dumps({"error": self.error, "error_description": self.description}).encode()
        basic = {"WWW-Authenticate": 'Basic realm="catalog-tagger"'} if self.status == 401 else {}
        return Response(body, self.status, {**NO_STORE, **basic}, media_type="application/json")


_FORM = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"type": "string", "enum": ["client_credentials"]},
        "client_id": {"type": "string", "maxLength": _MOST_LETTERS},
        "client_secret": {"type": "string", "maxLength": _MOST_LETTERS},
        "scope": {"type": "string", "description": f"Some of {', '.join(SCOPES)}, joined by spaces; all by default."},
    },
}
_EXAMPLE = {"grant_type": "client_credentials", "client_id": "player", "client_secret": "...", "scope": "read"}
_BODY = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {"schema": _FORM, "example": _EXAMPLE},
        "application/json": {"schema": _FORM, "example": _EXAMPLE},
    },
}


@routes.post(
    TOKEN_PATH,
    response_model=Granted,
    responses={400: {"model": TokenRefusal}, 401: {"model": TokenRefusal}, **documented(429, 501)},
    openapi_extra={"requestBody": _BODY, "security": []},
    summary="Get a token",
)
async def grant_token(request: Request) -> Response:
    """A token for the credentials of a client, in the body (a form or JSON) or by basic authentication."""
    clients: ClientsFile | None = request.app.state.service.clients
    if clients is None:
        raise Declined("not-offered", "this service has no clients: its paths need no token")
    try:
        return await _granted(request, clients, request.app.state.attempts)
    except _Refusal as refusal:
        return refusal.response()


async def _granted(request: Request, clients: ClientsFile, attempts: Attempts) -> Response:
    fields = _fields(request.headers.get("content-type", ""), await request.body())
    if fields.get("grant_type") != "client_credentials":
        given = "missing" if "grant_type" not in fields else "not client_credentials"
        raise _Refusal("unsupported_grant_type" if given[0] == "n" else "invalid_request", f"grant_type is {given}")
    client, secret = _credentials(request.headers.get("authorization"), fields)
    address = request.client.host if request.client else ""
    known = clients.current()
    if not await attempts.is_secret(known, address, client, secret):
        raise _Refusal("invalid_client", "no client has these credentials", 401)
    own = known.scopes(client) or ()
    wanted = fields["scope"].split() if fields.get("scope") else own
    if not set(wanted) <= set(own):
        raise _Refusal("invalid_scope", f"this client may have {' '.join(own)}")
    token = issue_token(known, client, wanted)
    document = {"access_token": token, "token_type": "Bearer", "expires_in": LIFE_S, "scope": " ".join(sorted(wanted))}
    return Response(json.dumps(document).encode(), headers=NO_STORE, media_type="application/json")


def _fields(kind: str, body: bytes) -> dict[str, str]:
    """The fields of a form or of a JSON object."""
    try:
        text = body.decode()
        if kind.partition(";")[0].strip().lower() == "application/json":
            found: dict[str, Any] = json.loads(text)
        else:
            parsed = parse_qs(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=20)
            if any(len(values) > 1 for values in parsed.values()):
                raise ValueError("a field is repeated")
            found = {name: values[0] for name, values in parsed.items()}
        if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            raise ValueError("not an object of texts")
    except (ValueError, RecursionError) as error:
        raise _Refusal("invalid_request", "the body is neither a form nor a JSON object of texts") from error
    return found


def _credentials(header: str | None, fields: dict[str, str]) -> tuple[str, str]:
    """Client id and secret, of basic authentication or of the body, but not of both."""
    client, secret = fields.get("client_id", ""), fields.get("client_secret", "")
    if header is not None:
        if secret:
            raise _Refusal("invalid_request", "credentials are in the header and in the body: give them once")
        client, secret = _basic(header)
    if not client or not secret or max(len(client), len(secret)) > _MOST_LETTERS:
        raise _Refusal("invalid_client", "give client_id and client_secret", 401)
    return client, secret


def _basic(header: str) -> tuple[str, str]:
    scheme, _, value = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError("another scheme")
        client, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (ValueError, binascii.Error) as error:
        raise _Refusal("invalid_client", "the header Authorization is not of basic authentication", 401) from error
    return (unquote_plus(client), unquote_plus(secret)) if colon else ("", "")
