"""Mixes of styles, walks between tracks, recommendations by tags, profiles of listening histories."""

import dataclasses
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from pipelines.serving.answers import ListAnswer, OneAnswer, answer_json, list_of, one_of
from pipelines.serving.finding.deadlines import timed_reader
from pipelines.serving.finding.searching import graph_of
from pipelines.serving.paging import Limit
from pipelines.serving.problems import Declined
from pipelines.serving.requests import Leased, in_long_turn
from pipelines.serving.routes.discovery import Text, filter_documents, titled
from pipelines.serving.routes.playlists import TrackIds
from pipelines.serving.routes.tracks import ID_LETTERS, TrackId, track_row
from transforms.discovery.listening import Descriptor, listening_profile
from transforms.discovery.recommendations import recommend
from transforms.discovery.search.vocabulary import NotInSnapshot
from transforms.discovery.style_mix import MixRequest, mix_styles
from transforms.discovery.walk import find_walk

routes = APIRouter(prefix="/v1", tags=["discovery"], dependencies=[in_long_turn])

_TITLE = {"track_id": "track-0001", "title": "Slow River", "artist": "The Quiet Hours", "year": 1998}
_ESTIMATE = {"value": 1.2, "low": 0.8, "high": 1.6}
_MOOD = {"tag": "mood/calm", "name": "Calm", "estimate": _ESTIMATE, "share": 0.6, "catalog_share": 0.21}


class StyleMix(BaseModel):
    """A mix: styles with their percentages, and tracks to sound like and unlike."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"styles": {"genre/folk": 70, "genre/funk": 30}, "limit": 10}}
    )
    styles: dict[Text, Annotated[float, Field(ge=0, le=100)]] = Field(
        min_length=1, max_length=20, description="Tag -> percentage."
    )
    added: TrackIds = Field([], description="Tracks that the mix shall sound like.")
    subtracted: TrackIds = Field([], description="Tracks that the mix shall sound unlike.")
    limit: int = Field(20, ge=1, le=100, description="Most tracks.")


@routes.post(
    "/mix",
    response_model=ListAnswer,
    responses=list_of({**_TITLE, "style": "genre/folk", "score": 0.8, "value": 1.1}, 413, paged=False, shares={}),
    summary="Mix styles",
)
def mix_of_styles(request: Request, opened: Leased, wish: StyleMix) -> Response:
    """Tracks of several styles by percentages, nearest to the mixture of their sounds."""
    asked = MixRequest(styles=wish.styles, added=tuple(wish.added), subtracted=tuple(wish.subtracted), limit=wish.limit)
    found = mix_styles(timed_reader(request, opened), asked)
    titles = titled(opened, [one.track_id for one in found.tracks])
    rows = [{**titles[one.track_id], **dataclasses.asdict(one)} for one in found.tracks]
    shares, lacking = dict(found.shares), list(found.lacking)
    return answer_json(opened, rows, shares=shares, lacking=lacking, filters=filter_documents(found.filters))


@routes.get(
    "/tracks/{track_id}/path",
    response_model=ListAnswer,
    responses=list_of({**_TITLE, "from_last": 0.93}, 404, paged=False),
    summary="A walk to another track",
)
def get_path(
    request: Request,
    opened: Leased,
    track_id: TrackId,
    to: Annotated[str, Query(max_length=ID_LETTERS, description="Id of the last track.", examples=["track-0002"])],
    between: Annotated[int, Query(ge=1, le=98, description="Most tracks between both.", examples=[8])] = 8,
) -> Response:
    """A walk from a track to another in small, even steps of sound, along mutual neighbours if the table has them."""
    for one in (track_id, to):
        track_row(opened, one)
    walk = find_walk(timed_reader(request, opened), track_id, to, between, lambda _: graph_of(opened)).steps
    titles = titled(opened, [step.track_id for step in walk])
    near = ("from_last", "to_first", "to_last")
    rows = [
        titles[step.track_id]
        | {name: getattr(step, name) for name in near}
        | {"changes": [dataclasses.asdict(one) for one in step.changes]}
        for step in walk
    ]
    return answer_json(opened, rows)


@routes.get(
    "/{kind}/{key}/recommendations",
    response_model=ListAnswer,
    responses=list_of({"id": "artist-02", "similarity": 0.81, "tracks": 9, "shared": []}, 404, paged=False),
    summary="What resembles an artist, an album or a track",
)
def get_recommendations(
    request: Request,
    opened: Leased,
    kind: Annotated[
        Literal["artists", "albums", "tracks"], Path(description="What the id is of.", examples=["artists"])
    ],
    key: Annotated[str, Path(max_length=ID_LETTERS, description="The catalog's id.", examples=["artist-01"])],
    of: Annotated[
        Literal["artist", "album", "track"], Query(description="What is recommended.", examples=["track"])
    ] = "track",
    limit: Limit = 20,
    per_artist: Annotated[int, Query(ge=1, le=100, description="Most tracks of an artist.", examples=[2])] = 2,
) -> Response:
    """Tracks by their sound, artists and albums by their tags; `shared` names the tags that both have in common."""
    words: dict[str, Literal["artist", "album", "track"]] = {"artists": "artist", "albums": "album", "tracks": "track"}
    try:
        found = recommend(timed_reader(request, opened), words[kind], key, of, limit, per_artist)
    except NotInSnapshot as error:
        raise Declined("not-found", str(error)) from error
    rows = [
        {
            "id": one.key,
            "similarity": round(one.similarity, 6),
            "tracks": one.tracks,
            "shared": [{"tag": tag, "value": round(value, 4)} for tag, value in one.shared],
            "title": one.facts.get("title"),
            "artist": one.facts.get("artist"),
        }
        for one in found
    ]
    return answer_json(opened, rows)


class ListeningHistory(BaseModel):
    """What somebody listened to."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"plays": {"track-0001": 12, "track-0002": 3}}}
    )
    plays: dict[Annotated[str, Field(max_length=ID_LETTERS)], Annotated[float, Field(gt=0, le=1e6)]] = Field(
        min_length=1, max_length=10_000, description="Track id -> number of plays."
    )
    limit: int = Field(20, ge=1, le=100, description="Most moods and styles.")


@routes.post(
    "/profile",
    response_model=OneAnswer,
    responses=one_of({"moods": [_MOOD], "styles": [], "valence": _ESTIMATE, "arousal": None, "sentences": []}, 413),
    summary="Profile of a listening history",
)
def make_profile(request: Request, opened: Leased, history: ListeningHistory) -> Response:
    """Moods and styles of a listening history against the catalog, with 95 % intervals. Nothing of it is kept."""
    found = listening_profile(timed_reader(request, opened), history.plays)
    axes = {"valence": found.valence, "arousal": found.arousal}
    document = {
        "moods": [_descriptor(one) for one in found.moods[: history.limit]],
        "styles": [_descriptor(one) for one in found.styles[: history.limit] if one.share > 0],
        **{name: None if one is None else dataclasses.asdict(one) for name, one in axes.items()},
        "sentences": list(found.sentences),
        "tracks": found.tracks,
        "plays": found.plays,
        "unknown": list(found.unknown),
    }
    return answer_json(opened, document)


def _descriptor(one: Descriptor) -> dict[str, Any]:
    return dataclasses.asdict(one)
