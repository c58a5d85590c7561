"""Errors of the service: problem details by RFC 9457, `application/problem+json`."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.storage import StorageError, redact
from transforms.table.versions import TableError

PROBLEM_TYPE = "application/problem+json"
MOST_DETAIL = 500
"""Most characters of a detail: a request can make it long."""

_log = logging.getLogger(__name__)

_TITLES = {
    "bad-request": (400, "The request is not valid"),
    "unknown-parameter": (400, "The request has a parameter that this path does not have"),
    "bad-cursor": (400, "The cursor does not belong to this request"),
    "unauthorized": (401, "The request has no valid token"),
    "forbidden": (403, "The token does not allow this request"),
    "foreign-host": (403, "The request names another host"),
    "foreign-origin": (403, "The request comes from a page of another site"),
    "not-found": (404, "There is no such thing in this snapshot"),
    "method-not-allowed": (405, "This path has other methods"),
    "slow-body": (408, "The body of the request took too long"),
    "snapshot-gone": (410, "The snapshot of this cursor is not available any more"),
    "body-too-large": (413, "The body of the request is too large"),
    "url-too-long": (414, "The address is too long"),
    "other-form": (415, "The body has a form that this path does not read"),
    "bad-range": (416, "The file has no such range"),
    "not-audio": (422, "The file cannot be analysed"),
    "no-text-model": (422, "The service has no text model"),
    "too-many-requests": (429, "Too many requests"),
    "internal-error": (500, "The service failed"),
    "not-offered": (501, "This service does not offer this"),
    "query-limit": (503, "The query reached a limit"),
    "busy": (503, "The service has too many requests"),
    "table-unavailable": (503, "The table cannot be read"),
}
"""Type of a problem -> status and title."""


class Declined(Exception):
    """Ends a request with an error.

    Args:
      kind: a key of `_TITLES`.
      detail: what is wrong with this request, and what to do.
      headers: further headers of the answer.
      members: further members of the document.
    """

    def __init__(self, kind: str, detail: str, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.headers, self.members = kind, detail, dict(headers or {}), members
        self.status = _TITLES[kind][0]

    def response(self) -> Response:
        """The answer to the client."""
        text = self.detail if len(self.detail) <= MOST_DETAIL else self.detail[: MOST_DETAIL - 3] + "..."
        document = {
            "type": f"urn:catalog-tagger:problem:{self.kind}",
            "title": _TITLES[self.kind][1],
            "status": self.status,
            "detail": text,
            **self.members,
        }
        body = json.dumps(document, ensure_ascii=True).encode()
        headers = {"Cache-Control": "no-store", **self.headers}
        return Response(body, self.status, headers, media_type=PROBLEM_TYPE)


class ProblemDocument(BaseModel):
    """An error, by RFC 9457. Some kinds have further members."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "type": "urn:catalog-tagger:problem:not-found",
                "title": _TITLES["not-found"][1],
                "status": 404,
                "detail": "no track 'track-9999' in snapshot 3",
            }
        },
    )
    type: str = Field(description="A name of the kind of problem.")
    title: str = Field(description="The kind of problem in words.")
    status: int = Field(description="The status of the answer.")
    detail: str = Field(description="What is wrong with this request, and what to do.")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The entries of problems in the OpenAPI document."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    titles: dict[int, list[str]] = {}
    for status, title in _TITLES.values():
        titles.setdefault(status, []).append(title)
    return {status: {"description": "; ".join(titles[status]), "content": content} for status in statuses}


def install_problems(app: FastAPI) -> None:
    """Makes every error of the application a problem document."""

    @app.exception_handler(Declined)
    async def problem(request: Request, error: Declined) -> Response:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        if isinstance(error.body, bytes):  # the framework parses JSON alone
            kind = request.headers.get("content-type", "none")
            detail = f"content-type {kind!r}: send JSON as application/json"
            return Declined("other-form", detail, {"Accept": "application/json"}).response()
        return Declined("bad-request", _sentence(error), errors=_faults(error)).response()

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if isinstance(error.__cause__, Declined):  # the framework was reading the body
            return error.__cause__.response()
        kinds = {404: "not-found", 405: "method-not-allowed"}
        detail = f"{request.method} {request.url.path}: {error.detail}"
        headers = dict(error.headers or {})
        if "GET" in headers.get("Allow", "").split(", "):
            headers["Allow"] += ", HEAD"
        return Declined(kinds.get(error.status_code, "bad-request"), detail, headers).response()

    @app.exception_handler(DiscoveryError)
    async def unanswerable(request: Request, error: DiscoveryError) -> Response:
        return Declined("bad-request", str(error)).response()

    @app.exception_handler(StorageError)
    @app.exception_handler(TableError)
    async def unreadable(request: Request, error: Exception) -> Response:
        _log.warning("%s: %s", request.url.path, redact(str(error)))
        return Declined("table-unavailable", "the table cannot be read now: try again later").response()

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        _log.error("%s %s failed: %r", request.method, request.url.path, error)
        return Declined("internal-error", "the service failed; its log says why").response()


def _faults(error: RequestValidationError) -> list[dict[str, str]]:
    """Where each fault is, and what is wrong."""
    return [
        {"where": ".".join(map(str, fault["loc"]))[:MOST_DETAIL], "what": str(fault["msg"])[:MOST_DETAIL]}
        for fault in error.errors()[:20]
    ]


def _sentence(error: RequestValidationError) -> str:
    first = _faults(error)[0]
    return f"{first['where']}: {first['what']}"
