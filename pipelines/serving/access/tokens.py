"""Tokens: JSON web tokens with one algorithm, one audience and two hours of life."""

import dataclasses
import secrets
import time
from collections.abc import Iterable

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from pipelines.serving.access.clients import Clients

ALGORITHM = "HS256"
AUDIENCE = ISSUER = "catalog-tagger"
LIFE_S = 2 * 3600
_MOST_LETTERS = 4096

_REGISTRY = {
    "iss": {"essential": True, "value": ISSUER},
    "aud": {"essential": True, "value": AUDIENCE},
    "exp": {"essential": True},
    "sub": {"essential": True},
    "scope": {"essential": True},
}


class InvalidToken(Exception):
    """A token that this service does not accept. The message says why."""


@dataclasses.dataclass(frozen=True)
class Caller:
    """Who sends a request.

    Attributes:
      client: id of the client.
      scopes: what its token allows.
    """

    client: str
    scopes: frozenset[str]


def issue_token(clients: Clients, client: str, scopes: Iterable[str], now: float | None = None) -> str:
    """A token for a client, which begins to live now (seconds since 1970)."""
    begun = int(time.time() if now is None else now)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": client,
        "scope": " ".join(sorted(scopes)),
        "iat": begun,
        "exp": begun + LIFE_S,
        "jti": secrets.token_hex(8),
    }
    return jwt.encode({"alg": ALGORITHM, "typ": "at+jwt"}, claims, OctKey.import_key(clients.key))


def caller_of(clients: Clients, token: str) -> Caller:
    """Who has a token.

    Raises:
      InvalidToken: it is forged, expired, of another service or algorithm, or its client was removed.
    """
    if len(token) > _MOST_LETTERS:
        raise InvalidToken("the token is too long")
    try:
        found = jwt.decode(token, OctKey.import_key(clients.key), algorithms=[ALGORITHM])
        jwt.JWTClaimsRegistry(leeway=0, **_REGISTRY).validate(found.claims)  # type: ignore[arg-type]
        client, scope = found.claims["sub"], found.claims["scope"]
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InvalidToken("the token is not valid, or has expired: get a new one from /v1/oauth/token") from error
    allowed = clients.scopes(client) if isinstance(client, str) else None
    if allowed is None or not isinstance(scope, str):
        raise InvalidToken("the client of the token was removed")
    return Caller(client, frozenset(scope.split()) & frozenset(allowed))
