"""Everything that the page shows of one track or of one artist, in one answer each."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from pipelines.serving import paging
from pipelines.serving.answers import GROUP, GROUP_TAG, TAG, TRACK, OneAnswer, answer_json, one_of
from pipelines.serving.finding.pages import track_page
from pipelines.serving.finding.track_tags import tags_of_tracks
from pipelines.serving.problems import Declined
from pipelines.serving.requests import Leased, in_turn
from pipelines.serving.routes import groups
from pipelines.serving.routes.tracks import PARAMETERS
from pipelines.serving.rows import rows_by_id
from pipelines.serving.snapshots import JsonRow, OpenSnapshot
from pipelines.serving.vocabulary import tag_names
from transforms.discovery.similarity import shown_similarity
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
      Declined: the catalog has no such id.
    """
    found = details_of(opened, [track_id])
    if track_id not in found:
        raise Declined("not-found", f"no track {track_id!r} in the catalog of snapshot {opened.number}")
    return found[track_id]


def details_of(opened: OpenSnapshot, track_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Track id -> what `track_details` answers; unknown ids are left out."""
    ledger = rows_by_id(opened.reader, "ledger", track_ids)
    tracks = rows_by_id(opened.reader, "tracks", track_ids)
    tags, near = _tags(opened, list(tracks)), _neighbours(opened, track_ids)
    return {
        track_id: {
            "track_id": track_id,
            "track": tracks.get(track_id),
            "parameters": [name for name in tracks.get(track_id, ()) if name in PARAMETERS and name != "track_id"],
            "tags": tags.get(track_id, []),
            "outcome": {name: own[name] for name in _TOLD} | {"detail": own["detail"] and redact(own["detail"])},
            "neighbours": None if near is None else near.get(track_id, []),
        }
        for track_id, own in ledger.items()
    }


def _tags(opened: OpenSnapshot, track_ids: Sequence[str]) -> dict[str, list[JsonRow]]:
    """Track id -> its tags by category and rank."""
    names, found = tag_names(opened), tags_of_tracks(opened, track_ids)
    return {one: [row | {"name": names.get(row["tag"], row["tag"])} for row in rows] for one, rows in found.items()}


def _neighbours(opened: OpenSnapshot, track_ids: Sequence[str]) -> dict[str, list[JsonRow]] | None:
    """Track id -> its rows of the table `neighbours` with titles; None if the snapshot does not have the table."""
    if "neighbours" not in TABLES or not opened.reader.manifest.files("neighbours"):
        return None
    rows = opened.reader.scan("neighbours", track_ids=track_ids).sort_by("rank").to_pylist()
    known = rows_by_id(opened.reader, "tracks", {row["neighbour_id"] for row in rows})
    found: dict[str, list[JsonRow]] = {}
    for row in rows:
        if (other := known.get(row["neighbour_id"])) is not None:
            shown = {name: other[name] for name in ("track_id", "title", "artist", "artist_id", "year")}
            found.setdefault(row["track_id"], []).append(
                shown | {"similarity": shown_similarity(round(row["similarity"], 4))}
            )
    return found


def artist_details(opened: OpenSnapshot, artist_id: str) -> dict[str, Any]:
    """An artist: its tags, its albums, its first tracks by year.

    Raises:
      Declined: no tagged track is of this artist.
    """
    found = groups.group_row(opened, groups.ARTISTS, artist_id)
    order = paging.order_of("year", opened.columns, "track_id")
    rows = track_page(opened, [("artist_id = ?", [artist_id])], order, None, SHOWN_TRACKS)
    return found | {"of_tracks": rows}


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
