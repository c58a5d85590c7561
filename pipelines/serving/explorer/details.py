"""Everything that the page shows of one track or of one artist, in one answer each."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from pipelines.serving import filters
from pipelines.serving.answers import GROUP, GROUP_TAG, TAG, TRACK, OneAnswer, answer_json, one_of
from pipelines.serving.problems import Problem
from pipelines.serving.requests import Leased, in_turn
from pipelines.serving.routes import groups
from pipelines.serving.routes.tracks import PARAMETERS
from pipelines.serving.rows import rows_by_id
from pipelines.serving.snapshots import OpenSnapshot, Row
from pipelines.serving.vocabulary import tag_names
from transforms.formats.hashing import bucket_of
from transforms.schemas.tables import TABLES
from transforms.storage import redact

routes = APIRouter(prefix="/v1/explorer", tags=["explorer"], dependencies=[in_turn])

SHOWN_TRACKS = 200
_TOLD = (
    *("status", "reason", "detail", "stage", "duplicate_of", "source_bytes", "source_sha256", "decoded_fraction"),
    *("feature_id", "embedding_id", "tagger_id", "run_id"),
)
"""Columns of the ledger that are told: not the place of the file."""

OwnId = Annotated[str, Query(max_length=1024, description="The catalog's id.", examples=["track-0001"])]


def track_details(opened: OpenSnapshot, track_id: str) -> dict[str, Any]:
    """A track: its row (None if it was rejected), all tags, the ledger's row, its neighbours.

    Raises:
      Problem: the catalog has no such id.
    """
    ledger = rows_by_id(opened.reader, opened.cache, "ledger", [track_id]).get(track_id)
    if ledger is None:
        raise Problem("not-found", f"no track {track_id!r} in the catalog of snapshot {opened.number}")
    row = rows_by_id(opened.reader, opened.cache, "tracks", [track_id]).get(track_id)
    outcome = {name: ledger[name] for name in _TOLD}
    outcome["detail"] = ledger["detail"] and redact(ledger["detail"])
    return {
        "track_id": track_id,
        "track": row,
        "parameters": None if row is None else [name for name in row if name in PARAMETERS and name != "track_id"],
        "tags": _tags(opened, track_id) if row is not None else [],
        "outcome": outcome,
        "neighbours": _neighbours(opened, track_id),
    }


def _tags(opened: OpenSnapshot, track_id: str) -> list[Row]:
    view = opened.bucket_view("track_tags", bucket_of(track_id, opened.reader.buckets))
    sql = f"SELECT * EXCLUDE track_id FROM {view} WHERE track_id = ? ORDER BY category, rank, tag"
    names = tag_names(opened)
    return [row | {"name": names.get(row["tag"], row["tag"])} for row in opened.fetch(sql, [track_id])]


def _neighbours(opened: OpenSnapshot, track_id: str) -> list[Row] | None:
    """Rows of the table `neighbours` with titles; None if the snapshot does not have the table."""
    if "neighbours" not in TABLES or not opened.reader.manifest.files("neighbours"):
        return None
    rows = opened.reader.scan("neighbours", track_ids=[track_id]).sort_by("rank").to_pylist()
    known = rows_by_id(opened.reader, opened.cache, "tracks", [row["neighbour_id"] for row in rows])
    shown = ("title", "artist", "artist_id", "year")
    return [
        {"track_id": row["neighbour_id"], "similarity": round(row["similarity"], 4)}
        | {name: known[row["neighbour_id"]][name] for name in shown}
        for row in rows
        if row["neighbour_id"] in known
    ]


def artist_details(opened: OpenSnapshot, artist_id: str) -> dict[str, Any]:
    """An artist: its tags, its albums, its first tracks by year.

    Raises:
      Problem: no tagged track is of this artist.
    """
    found = groups._one(opened, groups.ARTISTS, artist_id)
    where, values = filters.joined([("artist_id = ?", [artist_id])])
    sql = f"SELECT * FROM tracks WHERE {where} ORDER BY year NULLS LAST, track_id LIMIT {SHOWN_TRACKS}"
    return found | {"of_tracks": opened.fetch(sql, values)}


@routes.get(
    "/track",
    response_model=OneAnswer,
    responses=one_of({"track_id": "track-0001", "track": TRACK, "tags": [TAG], "neighbours": None}, 404),
    summary="All of a track",
)
def get_track_details(opened: Leased, id: OwnId) -> Response:
    """A track with its tags, parameters, ledger row and neighbours; also an id that was rejected."""
    return answer_json(opened, track_details(opened, id))


@routes.get(
    "/artist",
    response_model=OneAnswer,
    responses=one_of(GROUP | {"tags": [GROUP_TAG], "of_tracks": [TRACK]}, 404),
    summary="All of an artist",
)
def get_artist_details(opened: Leased, id: OwnId) -> Response:
    """An artist with tags and tracks."""
    return answer_json(opened, artist_details(opened, id))
