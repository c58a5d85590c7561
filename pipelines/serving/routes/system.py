"""Health, readiness, metrics, and what the service serves."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from pipelines.serving.answers import OneAnswer, answer_json, json_response, one_of
from pipelines.serving.problems import Declined, documented
from pipelines.serving.requests import Leased, service_of

routes = APIRouter(tags=["service"])


class Health(BaseModel):
    """The state of the service."""

    model_config = ConfigDict(json_schema_extra={"example": {"status": "ok"}})
    status: str


_OPEN: dict[str, Any] = {"security": []}


@routes.get("/health", response_model=Health, openapi_extra=_OPEN, summary="Whether the process answers")
async def get_health() -> Response:
    """Always `ok`: for a supervisor that restarts what does not answer."""
    return json_response({"status": "ok"}, headers={"Cache-Control": "no-store"})


@routes.get(
    "/ready", response_model=Health, responses=documented(503), openapi_extra=_OPEN, summary="Whether to send requests"
)
async def get_ready(request: Request) -> Response:
    """`ok` if the newest snapshot is served, and what requests need of it was read."""
    state = service_of(request).snapshots.state
    if state.fault is not None:
        detail = f"snapshot {state.newest} is served; a newer one could not be looked for, or not be read: see the log"
        raise Declined("table-unavailable", detail)
    if not state.is_prepared:
        raise Declined("table-unavailable", f"snapshot {state.newest} is being read: wait", {"Retry-After": "1"})
    return json_response({"status": "ok"}, headers={"Cache-Control": "no-store"})


@routes.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "content": {"text/plain": {"schema": {"type": "string"}, "example": "catalog_tagger_snapshot_number 3.0"}}
        }
    },
    summary="Metrics for Prometheus",
)
async def get_metrics(request: Request) -> Response:
    """Counts and times of requests, and the state of the snapshots."""
    service = service_of(request)
    text = service.metrics.text(service.snapshots.state)
    return Response(text, headers={"Cache-Control": "no-store"}, media_type=service.metrics.media_type)


_SNAPSHOT = {"number": 3, "created": "2026-01-31T06:00:00+00:00", "tracks": 1200000, "tagger_id": "tagger-4f0c2a91d2b8"}


@routes.get("/v1/snapshot", response_model=OneAnswer, responses=one_of(_SNAPSHOT), summary="The snapshot")
def get_snapshot(opened: Leased) -> Response:
    """Number, time, counts, ids and licences of the snapshot that is served."""
    manifest = opened.reader.manifest
    run = manifest.run
    document = {
        "number": manifest.number,
        "created": manifest.created,
        "tracks": manifest.rows("tracks"),
        "counts": run.counts,
        "feature_id": run.ids.feature_id,
        "embedding_id": run.ids.embedding_id,
        "tagger_id": run.ids.tagger_id,
        "taxonomy_id": run.ids.taxonomy_id,
        "licences": list(run.licences),
        "columns": list(opened.columns),
    }
    return answer_json(opened, document)
