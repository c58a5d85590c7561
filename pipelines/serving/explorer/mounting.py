"""How the explorer becomes a part of the service: its routers, its paths without a token, its sessions."""

from fastapi import FastAPI
from starlette.types import ASGIApp

from pipelines.serving.explorer import (
    condition,
    details,
    facets,
    files,
    listening,
    projection,
    ranking,
    sessions,
    start,
)
from pipelines.serving.requests import Service

EXPLORER_ROUTERS = (
    *(start.routes, ranking.routes, facets.routes, details.routes, projection.routes, condition.routes),
    *(listening.routes, sessions.routes, files.routes),
)


def with_sessions(app: FastAPI, gated: ASGIApp, service: Service) -> ASGIApp:
    """The service, which also answers requests with the cookie of a session."""
    app.state.sessions = sessions.Sessions()
    return sessions.SessionTokens(gated, service, app.state.sessions)
