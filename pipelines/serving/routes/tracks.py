"""Tracks: one, several by id, and a search over their metadata and tags."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from pipelines.serving import filters, paging
from pipelines.serving.answers import (
    TAG,
    TRACK,
    ListAnswer,
    OneAnswer,
    answer_json,
    chosen_fields,
    list_of,
    one_of,
    selected,
)
from pipelines.serving.finding.choosing import MinScore, TagTexts, WithoutTexts, chosen_tracks, tag_wishes_of
from pipelines.serving.finding.pages import track_page
from pipelines.serving.finding.track_tags import tags_of_tracks
from pipelines.serving.problems import Declined
from pipelines.serving.requests import Leased, in_turn
from pipelines.serving.rows import rows_by_id
from pipelines.serving.snapshots import OpenSnapshot
from pipelines.serving.vocabulary import tag_names
from transforms.schemas.tables import TRACKS
from transforms.storage import redact

routes = APIRouter(prefix="/v1/tracks", tags=["tracks"])

ID_LETTERS = 1024
TrackId = Annotated[
    str, Path(max_length=ID_LETTERS, description="The catalog's id of a track.", examples=["track-0001"])
]
FieldsText = Annotated[
    str | None,
    Query(max_length=2000, description="Columns of the answer, joined by commas.", examples=["track_id,title,year"]),
]
_METADATA = {"artist_id", "album_id", "title", "artist", "year", "country", "language", "top_tags", "tagger_id"}
PARAMETERS = tuple(field.name for field in TRACKS if field.name not in _METADATA)
"""Columns of `tracks` about the sound, `track_id` first."""

_OUTCOME = (
    *("track_id", "status", "reason", "detail", "stage", "duplicate_of", "source_bytes", "source_sha256"),
    *("decoded_fraction", "feature_id", "embedding_id", "tagger_id", "run_id"),
)
"""Columns of the ledger that are told."""


class BatchRequest(BaseModel):
    """Which tracks, and which columns of them."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"track_ids": ["track-0001", "track-0002"], "fields": ["title"]}}
    )
    track_ids: list[Annotated[str, Field(max_length=ID_LETTERS)]] = Field(
        min_length=1, max_length=paging.MOST_PAGE_ROWS, description="Ids of the tracks."
    )
    fields: list[Annotated[str, Field(max_length=200)]] | None = Field(
        None, min_length=1, max_length=200, description="Columns of the answer; all by default."
    )


@routes.get("", response_model=ListAnswer, responses=list_of(TRACK, 410), dependencies=[in_turn], summary="Search")
def list_tracks(
    request: Request,
    opened: Leased,
    q: Annotated[
        str | None, Query(max_length=200, description="Words in title or artist.", examples=["slow river"])
    ] = None,
    artist_id: Annotated[
        str | None, Query(max_length=ID_LETTERS, description="Exactly this artist.", examples=["artist-01"])
    ] = None,
    album_id: Annotated[
        str | None, Query(max_length=ID_LETTERS, description="Exactly this album.", examples=["album-0101"])
    ] = None,
    country: Annotated[str | None, Query(max_length=100, description="Exactly this country.", examples=["FR"])] = None,
    language: Annotated[
        str | None, Query(max_length=100, description="Exactly this language.", examples=["en"])
    ] = None,
    year: Annotated[int | None, Query(ge=-9999, le=9999, description="Exactly this year.", examples=[1998])] = None,
    range: Annotated[
        list[str] | None,
        Query(max_length=16, description="`COLUMN:LOW..HIGH`, each end optional.", examples=[["year:1990..1999"]]),
    ] = None,
    tag: TagTexts = None,
    without: WithoutTexts = None,
    min_score: MinScore = None,
    sort: Annotated[
        str | None,
        Query(max_length=100, description="A column; a minus in front: the greatest first.", examples=["-year"]),
    ] = None,
    fields: FieldsText = None,
    limit: paging.Limit = 20,
    cursor: paging.CursorText = None,
    count: paging.CountRows = False,
) -> Response:
    """Tracks to which all filters apply, page by page."""
    order = paging.order_of(sort, opened.columns, "track_id")
    shown = chosen_fields(fields, opened.columns)
    named = {"artist_id": artist_id, "album_id": album_id, "country": country, "language": language, "year": year}
    conditions = [
        *filters.equal_conditions(named),
        *filters.range_conditions(range or [], opened.columns),
        *chosen_tracks(opened, q, tag_wishes_of(opened, tag, without, min_score)),
    ]
    total = _count(opened, conditions) if count else None
    rows = track_page(opened, conditions, order, paging.start_of(request), limit + 1)
    behind = paging.next_cursor(opened.number, request, order, rows, limit)
    return answer_json(opened, [selected(row, shown) for row in rows[:limit]], next=behind, total=total)


def _count(opened: OpenSnapshot, conditions: filters.Conditions) -> int:
    if (chosen := filters.only_chosen(conditions)) is not None:
        return len(chosen)
    where, values = filters.joined_conditions(conditions)
    return int(opened.fetch(f"SELECT count(*) AS total FROM tracks WHERE {where}", values)[0]["total"])


@routes.post("/batch", response_model=ListAnswer, responses=list_of(TRACK, 413, paged=False), summary="Get several")
def get_tracks(opened: Leased, wanted: BatchRequest) -> Response:
    """Tracks by their ids, in the order of the ids. `missing` names ids that no tagged track has."""
    shown = chosen_fields(None if wanted.fields is None else ",".join(wanted.fields), opened.columns, ("track_id",))
    found = rows_by_id(opened.reader, "tracks", wanted.track_ids)
    ids = list(dict.fromkeys(wanted.track_ids))
    rows = [selected(found[one], shown) for one in ids if one in found]
    return answer_json(opened, rows, missing=[one for one in ids if one not in found])


@routes.get("/{track_id}", response_model=OneAnswer, responses=one_of(TRACK, 404), summary="Get one")
def get_track(opened: Leased, track_id: TrackId, fields: FieldsText = None) -> Response:
    """All columns of a track: metadata of the catalog, facts about the audio, positive tags."""
    shown = chosen_fields(fields, opened.columns)
    return answer_json(opened, selected(track_row(opened, track_id), shown))


def track_row(opened: OpenSnapshot, track_id: str) -> dict[str, Any]:
    """The row of a track.

    Raises:
      Problem: no tagged track has this id.
    """
    found = rows_by_id(opened.reader, "tracks", [track_id])
    if track_id not in found:
        raise Declined("not-found", f"no tagged track {track_id!r} in snapshot {opened.number}")
    return found[track_id]


@routes.get(
    "/{track_id}/parameters",
    response_model=OneAnswer,
    responses=one_of({"track_id": "track-0001", "duration_s": 214.5, "sample_rate": 44100, "channels": 2}, 404),
    summary="Parameters of the sound",
)
def get_parameters(opened: Leased, track_id: TrackId) -> Response:
    """What was measured in the audio of a track."""
    row = track_row(opened, track_id)
    return answer_json(opened, {name: row[name] for name in PARAMETERS if name in row})


@routes.get(
    "/{track_id}/tags",
    response_model=ListAnswer,
    responses=list_of(TAG, 404, paged=False),
    dependencies=[in_turn],
    summary="Tags with weights and sources",
)
def get_tags(
    opened: Leased,
    track_id: TrackId,
    category: Annotated[str | None, Query(max_length=256, description="Only this category.", examples=["mood"])] = None,
    positive: Annotated[
        bool | None, Query(description="Only tags that are positive, or that are not.", examples=[True])
    ] = None,
    min_score: Annotated[
        float, Query(ge=0, le=1, description="Only tags with this score or more.", examples=[0.5])
    ] = 0.0,
) -> Response:
    """All published tags of a track by category and rank, each with its score and where that is from."""
    track_row(opened, track_id)
    names, least = tag_names(opened), float(np.float32(min_score))
    rows = [
        row
        for row in tags_of_tracks(opened, [track_id])[track_id]
        if category in (None, row["category"])
        and positive in (None, row["is_positive"])
        and np.float32(row["score"]) >= least
    ]
    return answer_json(opened, [_with_name(row, names) for row in rows])


def _with_name(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The row with the tag's display name behind its id."""
    head = {"category": row["category"], "tag": row["tag"], "name": names.get(row["tag"], row["tag"])}
    return head | row


@routes.get(
    "/{track_id}/outcome",
    response_model=OneAnswer,
    responses=one_of({"track_id": "track-0001", "status": "carried", "reason": None, "run_id": "run-5a0b"}, 404),
    summary="Row of the ledger",
)
def get_outcome(opened: Leased, track_id: TrackId) -> Response:
    """What became of an id of the catalog, rejected ones included. The place of the file is not told."""
    found = rows_by_id(opened.reader, "ledger", [track_id])
    if track_id not in found:
        raise Declined("not-found", f"no id {track_id!r} in the catalog of snapshot {opened.number}")
    row = selected(found[track_id], _OUTCOME)
    return answer_json(opened, row | {"detail": row["detail"] and redact(row["detail"])})
