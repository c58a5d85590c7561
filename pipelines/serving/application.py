"""The web application of the service."""

import contextlib
from collections.abc import AsyncIterator, Callable
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp

from pipelines.serving.access import granting
from pipelines.serving.access.clients import ClientsFile
from pipelines.serving.analysing import Analyser
from pipelines.serving.document import openapi_document
from pipelines.serving.explorer.mounting import EXPLORER_ROUTERS, with_sessions
from pipelines.serving.finding.preparing import prepare_snapshot
from pipelines.serving.finding.text_vectors import TextVectors
from pipelines.serving.gate import RequestGate
from pipelines.serving.metrics import ServiceMetrics
from pipelines.serving.problems import install_problems
from pipelines.serving.requests import NotModified, Service, refuse_unknown_parameters
from pipelines.serving.routes import (
    analysis,
    audio_features,
    discovery,
    groups,
    mixes,
    playlists,
    subsonic,
    system,
    taxonomy,
    tracks,
)
from pipelines.serving.settings import ServiceSettings
from pipelines.serving.snapshots import SnapshotPool
from pipelines.terminal.errors import UsageError

ROUTERS = (
    *(tracks.routes, audio_features.routes, discovery.routes, playlists.routes, analysis.routes, groups.routes),
    *(mixes.routes, taxonomy.routes, subsonic.routes, system.routes, granting.routes),
    *EXPLORER_ROUTERS,
)

_DESCRIPTION = (
    "Tags of a music catalog, read-only, over one published snapshot. Every answer names its snapshot, and its ETag "
    "has the snapshot's content hash. Errors are problem documents (RFC 9457)."
)


def make_service(
    settings: ServiceSettings, clients: ClientsFile | None = None, *, allow_weak_sandbox: bool = False
) -> Service:
    """Opens the newest snapshot, the bundle that analyses uploads, and the text network.

    Raises:
      UsageError: the bundle has another embedding than the snapshot, or the network another trunk.
      BundleError, TableError, StorageError: there is no snapshot or bundle, or it cannot be read.
    """
    pool, analyser = SnapshotPool(settings, prepare_snapshot), None
    if settings.model is not None:
        analyser = Analyser(settings.model, settings, allow_weak_sandbox=allow_weak_sandbox)
        with pool.lease() as opened:
            own = opened.reader.manifest.run.embedding_ids
        if analyser.bundle.embedding_id not in own:
            analyser.close()
            raise UsageError(
                f"--model {settings.model}: it has embedding {analyser.bundle.embedding_id}, snapshot {pool.newest} "
                f"has {' and '.join(own)}: give the bundle that tagged the table"
            )
    metrics = ServiceMetrics()
    texts = None if settings.text_model is None else _text_vectors(settings.text_model, pool, metrics)
    return Service(settings=settings, snapshots=pool, clients=clients, metrics=metrics, analyser=analyser, texts=texts)


def _text_vectors(url: str, pool: SnapshotPool, metrics: ServiceMetrics) -> TextVectors:
    texts = TextVectors(url, metrics)
    with pool.lease() as opened:
        own = sorted({trunk for trunks in opened.reader.manifest.run.trunk_ids.values() for trunk in trunks})
    if texts.trunk_id not in own:
        raise UsageError(
            f"--text-model {url}: it belongs to trunk {texts.trunk_id}, snapshot {pool.newest} has "
            f"{' and '.join(own) or 'none with an id'}: import the text network of its trunk, or run `tag` once more"
        )
    return texts


def make_application(service: Service) -> ASGIApp:
    """The application that answers requests to a service."""
    app = FastAPI(
        title="catalog-tagger",
        version=version("catalog-tagger"),
        description=_DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a path with another slash is another path
        dependencies=[Depends(refuse_unknown_parameters)],
        lifespan=_running(service),
    )
    app.state.service, app.state.attempts = service, granting.Attempts()
    install_problems(app)
    _answer_304(app)
    for router in ROUTERS:
        app.include_router(router)
    app.openapi = lambda: _document(app, service)  # type: ignore[method-assign]
    gated: ASGIApp = with_sessions(app, RequestGate(app, service), service)
    if not service.settings.origins:
        return gated
    return CORSMiddleware(
        gated,
        allow_origins=service.settings.origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "If-None-Match"],
        expose_headers=["ETag", "Retry-After"],
    )


def _running(service: Service) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(service.snapshots.start)
        yield
        await run_in_threadpool(service.snapshots.close)
        if service.analyser is not None:
            service.analyser.close()

    return lifespan


def _answer_304(app: FastAPI) -> None:
    @app.exception_handler(NotModified)
    async def not_modified(request: Request, error: NotModified) -> Response:
        return Response(status_code=304, headers={"ETag": error.etag})


def _document(app: FastAPI, service: Service) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = openapi_document(app, service)
    return app.openapi_schema
