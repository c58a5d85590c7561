"""One client per process, and retries of requests after transient errors."""

import functools
import os
import random
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import google.auth
import google.auth.exceptions
import requests
import urllib3.exceptions
from google.api_core import exceptions as api
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from transforms.storage.errors import (
    AlreadyExists,
    NotFound,
    PermissionDenied,
    StorageError,
    Unavailable,
    storage_error,
)
from transforms.storage.paced_http import PacedAdapter
from transforms.storage.redaction import redact

T = TypeVar("T")

ATTEMPTS = 7
FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 16.0
RETRY_S = 180.0
"""No request is tried again after this time: one to a server that says nothing takes a minute."""
TIMEOUT_S = (10, 60)
"""Timeouts to connect, and between two bytes of an answer."""
CONNECTIONS = 64

CAUGHT = (
    api.GoogleAPIError,
    google.auth.exceptions.GoogleAuthError,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    InvalidResponse,
    DataCorruption,
    ConnectionError,
    TimeoutError,
)
_TRANSIENT_CODES = {408, 429, 500, 502, 503, 504}
_sleep = time.sleep


def client() -> Client:
    """The client of this process: a forked child must not share its parent's connections."""
    return _client_of(os.getpid(), os.environ.get("STORAGE_EMULATOR_HOST"))


@functools.lru_cache(maxsize=4)
def _client_of(pid: int, emulator: str | None) -> Client:
    del pid
    credentials, session = _anonymous() if emulator else _default()
    # With the default pool of 10, a worker with more threads would open and drop connections.
    adapter = PacedAdapter(pool_connections=4, pool_maxsize=CONNECTIONS)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    # No call made here needs a project: objects belong to buckets.
    return Client(project="none", credentials=credentials, _http=session)


def _anonymous() -> tuple[Any, requests.Session]:
    return AnonymousCredentials(), requests.Session()


def _default() -> tuple[Any, requests.Session]:
    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/devstorage.read_write"])
    return credentials, AuthorizedSession(credentials)


def call(url: str, action: Callable[[], T]) -> T:
    """Performs a request, and retries it after growing pauses while it fails with a transient error.

    Raises:
      Unavailable: it still fails after `ATTEMPTS` attempts or `RETRY_S`.
      StorageError: it fails with an error that is not transient.
    """
    began = time.monotonic()
    for attempt in range(ATTEMPTS):
        try:
            return action()
        except StorageError:
            raise
        except CAUGHT as e:
            if not _is_transient(e):
                raise _meaning(e)(f"{url}: {_sentence(e)}") from e
            if attempt == ATTEMPTS - 1 or time.monotonic() - began >= RETRY_S:
                raise Unavailable(f"{url}: still failing after {attempt + 1} attempts: {_sentence(e)}") from e
        except OSError as e:  # of this machine: a local file, a socket, a certificate
            raise storage_error(url, e) from e
        # Jitter keeps a thousand throttled workers from retrying at the same time.
        _sleep(min(MAX_PAUSE_S, FIRST_PAUSE_S * 2**attempt) * random.uniform(0.5, 1.0))
    raise AssertionError("unreachable")


def _code(error: Exception) -> int | None:
    if isinstance(error, InvalidResponse):
        return int(error.response.status_code)
    code = getattr(error, "code", None)
    return int(code) if code is not None else None


def _is_transient(error: Exception) -> bool:
    if isinstance(error, google.auth.exceptions.GoogleAuthError):
        return isinstance(error, google.auth.exceptions.TransportError) or error.retryable
    return _code(error) in _TRANSIENT_CODES or isinstance(
        error,
        requests.RequestException | urllib3.exceptions.HTTPError | DataCorruption | ConnectionError | TimeoutError,
    )


def _meaning(error: Exception) -> type[StorageError]:
    if isinstance(error, google.auth.exceptions.GoogleAuthError):
        return PermissionDenied
    return {401: PermissionDenied, 403: PermissionDenied, 404: NotFound, 412: AlreadyExists}.get(
        _code(error) or 0, StorageError
    )


def _sentence(error: Exception) -> str:
    """The reason of an error without the client's request lines: it is written to the ledger."""
    if isinstance(error, google.auth.exceptions.DefaultCredentialsError):
        return "no Google credentials found; run `gcloud auth application-default login` or use a service account"
    if _code(error) == 404:
        return "no such object or bucket"
    text = " ".join(str(error).split()).split(": ('Request failed")[0]
    text = re.sub(r"\w+Pool\(host='([^']*)', port=(\w+)\)", r"\1:\2", text)
    return redact(re.sub(r"(GET|HEAD|POST|PUT|DELETE) \S+: ", "", text))[:500]
