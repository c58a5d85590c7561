"""What requests have in common: the service behind them, their snapshot, their turn, known parameters."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from pipelines.serving.access.clients import ClientsFile
from pipelines.serving.access.rates import Rates
from pipelines.serving.analysing import Analyser
from pipelines.serving.answers import entity_tag
from pipelines.serving.finding.text_vectors import TextVectors
from pipelines.serving.metrics import ServiceMetrics
from pipelines.serving.paging import read_cursor
from pipelines.serving.problems import Declined
from pipelines.serving.settings import ServiceSettings
from pipelines.serving.snapshots import OpenSnapshot, SnapshotPool


@dataclasses.dataclass(kw_only=True)
class Service:
    """Everything that requests share.

    Attributes:
      clients: who may call it; None: everybody who reaches its address.
      analyser: analyses uploads; None: it does not.
      texts: reads texts that say what music sounds like; None: it does not.
    """

    settings: ServiceSettings
    snapshots: SnapshotPool
    clients: ClientsFile | None
    metrics: ServiceMetrics
    analyser: Analyser | None = None
    texts: TextVectors | None = None

    def __post_init__(self) -> None:
        self.turns = asyncio.Semaphore(self.settings.queries)
        self.long_turns = asyncio.Semaphore(1)
        self.rates = Rates(self.settings.rate, 2 * self.settings.rate)


def service_of(request: Request) -> Service:
    """The service that answers a request."""
    service: Service = request.app.state.service
    return service


class NotModified(Exception):
    """The client has the answer already."""

    def __init__(self, etag: str) -> None:
        super().__init__(etag)
        self.etag = etag


async def _leased(request: Request, response: Response) -> AsyncIterator[OpenSnapshot]:
    """The snapshot of a request: the newest, or that of its cursor."""
    pool = service_of(request).snapshots
    if not service_of(request).settings.refresh_s:
        await run_in_threadpool(pool.refresh)
    text = request.query_params.get("cursor")
    number = None if text is None else read_cursor(text).number
    lease = pool.lease(number)
    opened = await run_in_threadpool(lease.__enter__) if number is not None else lease.__enter__()
    try:
        etag = entity_tag(opened, f"{request.url.path}?{request.url.query}")
        if request.method == "GET" and _has(request.headers.get("if-none-match"), etag):
            raise NotModified(etag)
        request.state.etag = etag if request.method == "GET" else None
        yield opened
    finally:
        lease.__exit__(None, None, None)


def _has(header: str | None, etag: str) -> bool:
    """Whether `If-None-Match` names an ETag."""
    return header is not None and etag in [one.strip().removeprefix("W/") for one in header.split(",")]


async def _turn(request: Request) -> AsyncIterator[None]:
    """Waits until few enough queries run."""
    service = service_of(request)
    async with turn_of(service.turns, service.settings.waiting_s):
        yield


async def _long_turn(request: Request) -> AsyncIterator[None]:
    """Waits until no other long answer is computed. Short ones go on meanwhile."""
    service = service_of(request)
    async with turn_of(service.long_turns, service.settings.waiting_s):
        yield


@contextlib.asynccontextmanager
async def turn_of(turns: asyncio.Semaphore, seconds: float) -> AsyncIterator[None]:
    """One of the turns, during the block.

    Raises:
      Problem: none is free within these seconds.
    """
    try:
        async with asyncio.timeout(seconds):
            await turns.acquire()
    except TimeoutError as error:
        detail = f"the answer could not begin within {seconds:g} s: try again later"
        raise Declined("busy", detail, {"Retry-After": "1"}) from error
    try:
        yield
    finally:
        turns.release()


Leased = Annotated[OpenSnapshot, Depends(_leased, scope="function")]
"""The snapshot of the request, as an argument of a path's function."""

in_turn = Depends(_turn, scope="function")
"""For paths whose answer is a query."""

in_long_turn = Depends(_long_turn, scope="function")
"""For paths whose answer takes seconds."""


async def refuse_unknown_parameters(request: Request) -> None:
    """Refuses a request with a query parameter that its path does not have.

    Raises:
      Problem: it names the parameter.
    """
    route = request.scope.get("route")
    if not request.scope["query_string"] or not isinstance(route, APIRoute):
        return
    known = sorted(set(_parameters(route.dependant)))
    for name in request.query_params:
        if name not in known:
            choice = f"has {', '.join(known)}" if known else "has none"
            raise Declined("unknown-parameter", f"parameter {name!r}: this path {choice}", parameter=name[:100])


def _parameters(dependant: Dependant) -> Iterator[str]:
    """Names of the query parameters of a path's function and of its dependencies."""
    yield from (field.alias for field in dependant.query_params)
    for one in dependant.dependencies:
        yield from _parameters(one)
