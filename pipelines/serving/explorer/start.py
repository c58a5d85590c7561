"""What the page needs before anything else: the snapshot, its columns, its taxonomy, what the service offers."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from pipelines.serving.answers import OneAnswer, answer_json, one_of
from pipelines.serving.explorer.facets import facet_columns
from pipelines.serving.requests import Leased, in_turn, service_of
from pipelines.serving.snapshots import OpenSnapshot
from pipelines.serving.vocabulary import taxonomy_rows_of
from transforms.schemas.tables import TRACKS

routes = APIRouter(prefix="/v1/explorer", tags=["explorer"], dependencies=[in_turn])

_START = {"number": 3, "tracks": 1200000, "columns": [], "tags": [], "facets": ["year"], "audio": False}


def start_of_page(opened: OpenSnapshot, **offers: bool) -> dict[str, Any]:
    """The first answer for the page.

    Args:
      offers: what this service or export has: `audio`, `sign_in`.
    """
    manifest = opened.reader.manifest
    texts = {field.name: (field.metadata or {}).get(b"description", b"").decode() for field in TRACKS}
    shown = ("tag", "category", "kind", "name", "parents", "threshold", "support")
    return {
        "number": manifest.number,
        "created": manifest.created,
        "parent": manifest.run.parent,
        "content_hash": manifest.run.content_hash,
        "tracks": manifest.rows("tracks"),
        "counts": manifest.run.counts,
        "licences": list(manifest.run.licences),
        "columns": [
            {"name": name, "type": str(kind), "description": texts.get(name, "From the catalog.")}
            for name, kind in opened.columns.items()
        ],
        "facets": facet_columns(opened),
        "tags": [{name: row[name] for name in shown} for row in taxonomy_rows_of(opened).values()],
        **offers,
    }


@routes.get("", response_model=OneAnswer, responses=one_of(_START), summary="What the page starts with")
def get_start(request: Request, opened: Leased) -> Response:
    """The snapshot, the columns of `tracks`, all tags, and what this service offers."""
    service = service_of(request)
    offers = {"audio": service.settings.audio_root is not None, "sign_in": service.clients is not None}
    return answer_json(opened, start_of_page(opened, **offers))
