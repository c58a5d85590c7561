"""Paths of OpenSubsonic's extension `sonicSimilarity`, in JSON."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from pipelines.serving.answers import json_response
from pipelines.serving.finding.deadlines import timed_reader
from pipelines.serving.finding.searching import graph_of
from pipelines.serving.problems import Declined, documented
from pipelines.serving.requests import Leased, in_long_turn, in_turn, service_of
from pipelines.serving.routes.discovery import similar_rows
from pipelines.serving.rows import rows_by_id
from pipelines.serving.snapshots import JsonRow, OpenSnapshot
from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.discovery.walk import find_walk

_VERSION = "1.16.1"
_MISSING, _GENERIC = 70, 0
_MOST = 100
_ENTRY = {"id": "track-0042", "title": "Slow River", "isDir": False, "artist": "The Quiet Hours", "duration": 214}
_EXAMPLE = {
    "subsonic-response": {
        "status": "ok",
        "version": _VERSION,
        "type": "catalog-tagger",
        "openSubsonic": True,
        "sonicMatch": [{"entry": _ENTRY, "similarity": 0.934512}],
    }
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": _EXAMPLE}}},
    **documented(503),
}


class SubsonicDocument(BaseModel):
    """An answer in the form of Subsonic. Errors have the status 200 and `status: failed`, as its clients expect."""

    model_config = ConfigDict(extra="allow")


_IGNORED = {"max_length": 200, "description": "Of every Subsonic request; not used here."}
UserName = Annotated[str | None, Query(**_IGNORED, examples=["listener"])]
ProtocolVersion = Annotated[str | None, Query(**_IGNORED, examples=[_VERSION])]
ClientName = Annotated[str | None, Query(**_IGNORED, examples=["player"])]
AuthToken = Annotated[str | None, Query(**_IGNORED, examples=["26719a1196d2a940705a59634eb18eab"])]
Salt = Annotated[str | None, Query(**_IGNORED, examples=["c19b2d"])]
SubsonicForm = Annotated[
    str, Query(pattern="^json$", description="Form of the answer: only `json`.", examples=["json"])
]
SongCount = Annotated[int, Query(ge=1, le=_MOST, description="Most tracks.", examples=[10])]
SongId = Annotated[str, Query(max_length=1024, description="Id of a track.", examples=["track-0001"])]


def _of_every_request(
    f: SubsonicForm = "json",
    u: UserName = None,
    v: ProtocolVersion = None,
    c: ClientName = None,
    t: AuthToken = None,
    s: Salt = None,
) -> None:
    """What a client may send with every request."""


routes = APIRouter(prefix="/rest", tags=["compatible"], dependencies=[Depends(_of_every_request)])


def _subsonic(name: str) -> dict[str, Any]:
    return {"path": f"/{name}", "response_model": SubsonicDocument, "responses": _RESPONSES}


@routes.get(**_subsonic("getOpenSubsonicExtensions"), summary="Extensions")
@routes.get(**_subsonic("getOpenSubsonicExtensions.view"), summary="Extensions", include_in_schema=False)
def list_extensions() -> Response:
    """The extension that this service has."""
    return _ok(openSubsonicExtensions=[{"name": "sonicSimilarity", "versions": [1]}])


@routes.get(**_subsonic("getSonicSimilarTracks"), summary="Similar tracks", dependencies=[in_turn])
@routes.get(
    **_subsonic("getSonicSimilarTracks.view"), summary="Similar", dependencies=[in_turn], include_in_schema=False
)
def list_sonic_similar(
    request: Request,
    opened: Leased,
    id: SongId,
    count: SongCount = 10,
) -> Response:
    """The tracks that sound most like a track, the most similar first."""
    rows = rows_by_id(opened.reader, "tracks", [id])
    if id not in rows:
        return _failed(_MISSING, f"no track {id!r}")
    seconds = service_of(request).settings.query_s
    try:
        found = similar_rows(opened, rows[id], count, seconds, other_artists=False)
    except Declined as problem:
        return _failed(_GENERIC, problem.detail)
    return _ok(sonicMatch=_matches(opened, [(row["track_id"], row["similarity"]) for row in found]))


@routes.get(**_subsonic("findSonicPath"), summary="A path between two tracks", dependencies=[in_long_turn])
@routes.get(**_subsonic("findSonicPath.view"), summary="Path", dependencies=[in_long_turn], include_in_schema=False)
def list_sonic_path(
    request: Request,
    opened: Leased,
    startSongId: SongId,  # noqa: N803 - the name of the specification
    endSongId: SongId,  # noqa: N803
    count: Annotated[
        int, Query(ge=3, le=_MOST, description="Most tracks of the path, both ends included.", examples=[25])
    ] = 25,
) -> Response:
    """A walk from one track to another in even steps of sound. The similarity of an entry is that to the one before."""
    rows = rows_by_id(opened.reader, "tracks", [startSongId, endSongId])
    for one in (startSongId, endSongId):
        if one not in rows:
            return _failed(_MISSING, f"no track {one!r}")
    if startSongId == endSongId:
        return _failed(_GENERIC, "startSongId and endSongId are the same track")
    try:
        reader, between = timed_reader(request, opened), max(count - 2, 1)
        walk = find_walk(reader, startSongId, endSongId, between, lambda _: graph_of(opened)).steps
    except DiscoveryError as error:
        return _failed(_GENERIC, str(error))
    return _ok(sonicMatch=_matches(opened, [(one.track_id, one.from_last or 1.0) for one in walk]))


def _matches(opened: OpenSnapshot, found: list[tuple[str, float]]) -> list[JsonRow]:
    """Tracks with similarities from 0 to 1. Opposite sounds have 0."""
    rows = rows_by_id(opened.reader, "tracks", [track for track, _ in found])
    return [{"entry": _entry(rows[track]), "similarity": float(np.clip(near, 0, 1))} for track, near in found]


def _entry(row: JsonRow) -> JsonRow:
    """A track as Subsonic's `child`; what the catalog does not say is left out."""
    names = {"artist": "artist", "artistId": "artist_id", "albumId": "album_id", "year": "year"}
    found = {"id": row["track_id"], "title": row["title"] or row["track_id"], "isDir": False, "type": "music"}
    if row["duration_s"] is not None:
        found["duration"] = round(row["duration_s"])
    return found | {name: row[column] for name, column in names.items() if row[column] is not None}


def _ok(**members: Any) -> Response:
    return _answer("ok", members)


def _failed(code: int, message: str) -> Response:
    return _answer("failed", {"error": {"code": code, "message": message}})


def _answer(status: str, members: JsonRow) -> Response:
    head = {"status": status, "version": _VERSION, "type": "catalog-tagger", "openSubsonic": True}
    return json_response({"subsonic-response": {**head, **members}})
