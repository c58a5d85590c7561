"""`POST /v1/playlists`: a playlist from seeds, tags and words."""

import dataclasses
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from pipelines.serving.answers import ListAnswer, answer_json, list_of
from pipelines.serving.finding.deadlines import timed_reader
from pipelines.serving.requests import Leased, in_long_turn
from pipelines.serving.routes.discovery import WeightedSearch, filter_documents, word_documents
from pipelines.serving.routes.tracks import ID_LETTERS
from transforms.discovery.playlists.making import PlaylistTrack, make_playlist
from transforms.discovery.playlists.request import PlaylistRequest

routes = APIRouter(prefix="/v1", tags=["discovery"])

TrackIds = Annotated[list[Annotated[str, Field(max_length=ID_LETTERS)]], Field(max_length=1000)]
_ASKED: dict[str, Any] = {"seeds": ["track-0001"], "weights": {"mood/calm": 0.8}, "minutes": 60, "per_artist": 2}
_PLACE = {
    "place": 1,
    "track_id": "track-0042",
    "title": "Slow River",
    "artist": "The Quiet Hours",
    "duration_s": 214.5,
    "is_new": True,
    "relevance": 1.0,
    "similarity": 0.9312,
    "why": [{"tag": "mood/calm", "weight": 0.8, "score": 0.91, "value": 1.8512}],
}


class PlaylistWish(WeightedSearch):
    """What the playlist shall be: a search, seeds, and rules."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _ASKED})
    limit: int = Field(20, ge=1, le=100, description="Most tracks, if `minutes` is not given.")
    seeds: TrackIds = Field([], description="Tracks that the others shall sound like. They are not in the playlist.")
    start: TrackIds = Field([], description="Tracks that the playlist begins with.")
    minutes: float | None = Field(None, gt=0, le=600, description="Most minutes; `limit` then does not count.")
    per_artist: int = Field(2, ge=1, le=100, description="Most tracks of an artist.")
    exclude: TrackIds = Field([], description="Tracks that must not be added.")
    flows: dict[str, Literal["constant", "rising", "arc"]] = Field(
        {}, max_length=3, description="`tempo`, `key` or `energy` -> how it goes through the playlist."
    )
    diversity: float = Field(0.3, ge=0, le=1, description="Weight of the difference to the tracks before.")


@routes.post(
    "/playlists",
    response_model=ListAnswer,
    responses=list_of(_PLACE, 413, paged=False, minutes=58.2, candidates=300, left_out={"artist": 12}, ran_out=False),
    dependencies=[in_long_turn],
    summary="Make a playlist",
)
def make_list(request: Request, opened: Leased, wish: PlaylistWish) -> Response:
    """A playlist that keeps all rules. It is shorter than asked (`ran_out`) if no more tracks fit, see `left_out`."""
    found = make_playlist(timed_reader(request, opened), playlist_request(wish))
    rows = [{"place": place, **_row(track)} for place, track in enumerate(found.tracks, 1)]
    return answer_json(
        opened,
        rows,
        minutes=round(found.minutes, 2),
        candidates=found.candidates,
        left_out=dict(found.left_out),
        words=word_documents(found.matches),
        unmatched=list(found.unmatched),
        filters=filter_documents(found.filters),
        ran_out=found.ran_out,
        emptied_by=found.emptied_by,
    )


def playlist_request(wish: PlaylistWish) -> PlaylistRequest:
    """The request of a wish."""
    return PlaylistRequest(
        target=wish.request(),
        seeds=tuple(dict.fromkeys(wish.seeds)),
        start=tuple(wish.start),
        tracks=None if wish.minutes is not None else wish.limit,
        minutes=wish.minutes,
        per_artist=wish.per_artist,
        exclude=frozenset(wish.exclude),
        flows=wish.flows,
        diversity=wish.diversity,
    )


def _row(track: PlaylistTrack) -> dict[str, Any]:
    facts = {name: track.facts[name] for name in ("title", "artist", "duration_s", "tempo", "key", "energy")}
    return {
        "track_id": track.track_id,
        **facts,
        "is_new": track.is_new,
        "relevance": None if track.relevance is None else round(track.relevance, 4),
        "similarity": None if track.similarity is None else round(track.similarity, 4),
        "why": [dataclasses.asdict(one) | {"value": round(one.value, 4)} for one in track.contributions],
    }
