"""`/v1/audio-features` and `/v1/recommendations`: paths and fields of services that closed them."""

import inspect
import math
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from pipelines.serving.answers import Responses, json_response
from pipelines.serving.finding.features import FEATURES, features_of
from pipelines.serving.finding.recommending import FeatureWish, recommend_tracks
from pipelines.serving.problems import Declined, documented
from pipelines.serving.requests import Leased, in_turn, service_of
from pipelines.serving.routes.tracks import TrackId, track_row
from pipelines.serving.rows import rows_by_id
from pipelines.serving.snapshots import JsonRow, OpenSnapshot
from pipelines.serving.vocabulary import tag_ids

routes = APIRouter(prefix="/v1", tags=["compatible"])

MOST_SEEDS = 5
_MOST_IDS = 100
_STATUSES = (404, 501, 503)
_FEATURES = {
    **{"duration_ms": 214500, "tempo": 96.2, "key": 9, "mode": 0, "time_signature": 4, "loudness": -11.3},
    **{"danceability": 0.61, "energy": 0.4, "valence": None, "acousticness": None, "instrumentalness": None},
    **{"liveness": None, "speechiness": None, "id": "track-0001", "type": "audio_features"},
}
_TRACK = {
    "id": "track-0001",
    "name": "Slow River",
    "type": "track",
    "duration_ms": 214500,
    "artists": [{"id": "artist-01", "name": "The Quiet Hours", "type": "artist"}],
    "album": {"id": "album-0101", "type": "album"},
}


class Document(BaseModel):
    """A document in the form of another service."""

    model_config = ConfigDict(extra="allow")


def _documented(example: JsonRow) -> Responses:
    return {200: {"content": {"application/json": {"example": example}}}, **documented(*_STATUSES)}


@routes.get("/audio-features", response_model=Document, responses=_documented({"audio_features": [_FEATURES]}))
def list_audio_features(
    opened: Leased,
    ids: Annotated[
        str, Query(max_length=8000, description="Ids of tracks, joined by commas.", examples=["track-0001,track-0002"])
    ],
) -> Response:
    """Audio features of several tracks; null for an unknown one."""
    wanted = ids.split(",")
    if len(wanted) > _MOST_IDS:
        raise Declined("bad-request", f"ids: {len(wanted)} ids: give at most {_MOST_IDS}")
    rows = rows_by_id(opened.reader, "tracks", wanted)
    return json_response(
        {"audio_features": [features_of(opened, rows[one]) if one in rows else None for one in wanted]}
    )


@routes.get("/audio-features/{track_id}", response_model=Document, responses=_documented(_FEATURES))
def get_audio_features(opened: Leased, track_id: TrackId) -> Response:
    """Audio features of a track. Those that the table does not have are null."""
    return json_response(features_of(opened, track_row(opened, track_id)))


def _limits(**values: float | None) -> dict[str, float]:
    """The limits and targets of a request: `min_tempo` and so on -> number."""
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise Declined("bad-request", f"{name}: {value} is no finite number")
    return {name: value for name, value in values.items() if value is not None}


_WORDS = {"min": "Least", "max": "Greatest", "target": "Preferred"}
_limits.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        inspect.Parameter(
            f"{kind}_{name}",
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                float | None, Query(description=f"{word} {name}: {feature.words}.", examples=[feature.example])
            ],
        )
        for name, feature in FEATURES.items()
        for kind, word in _WORDS.items()
    ]
)

_SEEDS = {"max_length": 5200, "description": "Joined by commas; five seeds in all."}
SeedTracks = Annotated[str | None, Query(**_SEEDS, examples=["track-0001"])]
SeedArtists = Annotated[str | None, Query(**_SEEDS, examples=["artist-01"])]
SeedGenres = Annotated[str | None, Query(**_SEEDS, examples=["funk"])]


@routes.get(
    "/recommendations",
    response_model=Document,
    responses=_documented({"tracks": [_TRACK], "seeds": [{"id": "track-0001", "type": "TRACK"}]}),
    dependencies=[in_turn],
)
def list_recommendations(
    request: Request,
    opened: Leased,
    limits: Annotated[dict[str, float], Depends(_limits)],
    seed_tracks: SeedTracks = None,
    seed_artists: SeedArtists = None,
    seed_genres: SeedGenres = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Most tracks.", examples=[20])] = 20,
) -> Response:
    """Tracks that sound like the middle of the seeds, within `min_...` and `max_...`, and near to `target_...`."""
    seeds = {"TRACK": _split(seed_tracks), "ARTIST": _split(seed_artists), "GENRE": _split(seed_genres)}
    count = sum(map(len, seeds.values()))
    if not 1 <= count <= MOST_SEEDS:
        raise Declined(
            "bad-request", f"{count} seeds: give 1 to {MOST_SEEDS} in seed_tracks, seed_artists, seed_genres"
        )
    given: dict[str, dict[str, float]] = {kind: {} for kind in _WORDS}
    for name, value in limits.items():
        kind, _, feature = name.partition("_")
        given[kind][feature] = value
    for name in given["min"].keys() & given["max"].keys():
        if given["min"][name] > given["max"][name]:
            raise Declined("bad-request", f"min_{name} is greater than max_{name}: swap them")
    asked = FeatureWish(
        tracks=tuple(seeds["TRACK"]),
        artists=tuple(seeds["ARTIST"]),
        tags=tuple(_genre(opened, one) for one in seeds["GENRE"]),
        least=given["min"],
        most=given["max"],
        targets=given["target"],
        limit=limit,
    )
    found = recommend_tracks(opened, asked, service_of(request).settings.query_s)
    rows = rows_by_id(opened.reader, "tracks", [track for track, _ in found])
    named = [{"id": one, "type": kind} for kind, own in seeds.items() for one in own]
    return json_response({"tracks": [_track(rows[track]) for track, _ in found], "seeds": named})


def _split(text: str | None) -> list[str]:
    return [one.strip() for one in (text or "").split(",") if one.strip()]


def _genre(opened: OpenSnapshot, word: str) -> str:
    """The tag of a genre: an id, or the second part of one in the category `genre`."""
    ids = tag_ids(opened)
    for name in (word, f"genre/{word}"):
        if name in ids:
            return ids[name][0]
    known = sorted(tag.partition("/")[2] for tag in ids if tag.startswith("genre/"))
    raise Declined("bad-request", f"seed_genres: {word!r} is neither a tag nor one of {', '.join(known)}")


def _track(row: JsonRow) -> dict[str, Any]:
    return {
        "id": row["track_id"],
        "name": row["title"],
        "type": "track",
        "duration_ms": None if row["duration_s"] is None else round(1000 * row["duration_s"]),
        "artists": [{"id": row["artist_id"], "name": row["artist"], "type": "artist"}],
        "album": {"id": row["album_id"], "type": "album"},
    }
