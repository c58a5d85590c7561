"""The OpenAPI document of the service: what the framework says of the paths, and what the gate adds to each."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from pipelines.serving.access import granting
from pipelines.serving.access.clients import SCOPES
from pipelines.serving.gate import ANALYSIS_PATH, OPEN_PATHS
from pipelines.serving.problems import ProblemDocument, documented
from pipelines.serving.requests import Service

_OF_GATE = (400, 403, 413, 414)
"""Statuses that every path may answer with."""

_OF_TOKENS = (401, 429)
"""Statuses of paths that need a token."""

_OF_BODIES = (408, 415)
"""Statuses of paths that read a body."""

_FRAMEWORK = ("HTTPValidationError", "ValidationError")
"""Schemas of the framework's own errors. This service has problem documents in their place."""

_ETAG = {"ETag": {"description": "For `If-None-Match`.", "schema": {"type": "string"}}}
_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string"}}}


def openapi_document(app: FastAPI, service: Service) -> dict[str, Any]:
    """The document of a service. If it has clients, the document says how to get a token."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for name in _FRAMEWORK:
        schemas.pop(name, None)
    schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation["responses"] = _responses(path, method, operation)
    if service.clients is not None:
        flow = {"clientCredentials": {"tokenUrl": granting.TOKEN_PATH, "scopes": SCOPES}}
        parts["securitySchemes"] = {"clients": {"type": "oauth2", "flows": flow}}
        document["security"] = [{"clients": ["read"]}]
        document["paths"][ANALYSIS_PATH]["post"]["security"] = [{"clients": ["analyze"]}]
    return document


def _responses(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    """The responses of a path, by status, with those of the gate."""
    found = {status: one for status, one in operation["responses"].items() if not _is_of_framework(one)}
    if method != "get":
        found.pop("304", None)
    statuses = [*_OF_GATE, *(() if path in OPEN_PATHS else _OF_TOKENS)]
    if "{" in path:  # with a slash in its place, the path is another one
        statuses.append(404)
    for status, one in documented(*statuses, *(_OF_BODIES if "requestBody" in operation else ())).items():
        own = found.setdefault(str(status), one)
        own["content"] = {**one["content"], **own.get("content", {})}
    for status, headers in {"200": _ETAG if "304" in found else {}, "304": _ETAG, "429": _RETRY, "503": _RETRY}.items():
        if status in found and headers:
            found[status]["headers"] = {**headers, **found[status].get("headers", {})}
    return dict(sorted(found.items()))


def _is_of_framework(response: dict[str, Any]) -> bool:
    schemas = [kind.get("schema", {}) for kind in response.get("content", {}).values()]
    return any(schema.get("$ref", "").rpartition("/")[2] in _FRAMEWORK for schema in schemas)
