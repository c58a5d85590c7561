"""Finding music: weighted search, similar tracks."""

import dataclasses
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from pipelines.serving.answers import ListAnswer, answer_json, list_of
from pipelines.serving.finding.searching import find_nearest, vector_of
from pipelines.serving.finding.text_vectors import ReadText
from pipelines.serving.finding.weighted import find_weighted
from pipelines.serving.paging import Limit
from pipelines.serving.problems import Declined
from pipelines.serving.requests import Leased, in_turn, service_of
from pipelines.serving.routes.tracks import TrackId, track_row
from pipelines.serving.rows import rows_by_id
from pipelines.serving.snapshots import JsonRow, OpenSnapshot
from transforms.discovery.search.engine import FilterCount
from transforms.discovery.search.request import SearchRequest, TextVector, ValueRange
from transforms.discovery.search.scores import FORMULA
from transforms.discovery.search.sounds import TEXT_FORMULA
from transforms.discovery.search.words import WordMatch

routes = APIRouter(prefix="/v1", tags=["discovery"], dependencies=[in_turn])

_TITLES = ("track_id", "title", "artist", "artist_id", "album_id", "year", "duration_s")
Text = Annotated[str, Field(max_length=256)]
_ASKED: dict[str, Any] = {
    "words": "calm piano for a rainy evening",
    "weights": {"mood/calm": 0.8, "genre/funk": -1},
    "ranges": {"year": "1990..1999"},
    "limit": 10,
}
_TITLE = {"track_id": "track-0001", "title": "Slow River", "artist": "The Quiet Hours", "year": 1998}
_WHY = [{"tag": "mood/calm", "weight": 0.8, "score": 0.91, "value": 1.8512}]
_FILTER = {"filter": "year 1990..1999", "alone": 3120, "left": 3120}


class WeightedSearch(BaseModel):
    """What to look for. At least one field but `limit` is needed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _ASKED})
    words: str | None = Field(None, max_length=500, description="Plain words, resolved to tags.")
    weights: dict[Text, Annotated[float, Field(ge=-1, le=1)]] = Field(
        {}, max_length=50, description="Tag -> weight from -1 to 1."
    )
    must: list[Text] = Field([], max_length=50, description="Tags that a track must have.")
    must_not: list[Text] = Field([], max_length=50, description="Tags that a track must not have.")
    ranges: dict[Text, Text] = Field({}, max_length=20, description="Column -> `LOW..HIGH`.")
    only: dict[Text, list[Text]] = Field({}, max_length=20, description="Column -> the values it may have.")
    text: str | None = Field(None, max_length=200, description="Words in title or artist.")
    sounds_like: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="What the music sounds like, compared with the sound of the tracks; needs `serve --text-model`.",
        examples=["a slow piano piece, far away"],
    )
    key: str | None = Field(None, max_length=20, description="A key; only tracks in compatible keys.")
    limit: int = Field(20, ge=1, le=100, description="Most tracks.")

    def request(self, sounds_like: TextVector | None = None) -> SearchRequest:
        """The request of `discovery`, with the vector of its text. It has no SQL predicate.

        Raises:
          DiscoveryError: a value cannot be read.
        """
        return SearchRequest(
            weights=self.weights,
            words=self.words,
            must=tuple(self.must),
            must_not=tuple(self.must_not),
            ranges={name: ValueRange.of(text) for name, text in self.ranges.items()},
            only={name: tuple(values) for name, values in self.only.items()},
            text=self.text,
            key=self.key,
            sounds_like=sounds_like,
            limit=self.limit,
        )


@routes.post(
    "/search",
    response_model=ListAnswer,
    responses=list_of(
        {**_TITLE, "score": 1.8512, "why": _WHY}, 413, 422, paged=False, filters=[_FILTER], emptied_by=None
    ),
    summary="Weighted search",
)
def search_weighted(request: Request, opened: Leased, asked: WeightedSearch) -> Response:
    """The tracks that fit weighted tags and words best, and why. `filters` says what each condition has left."""
    settings, text = service_of(request).settings, _read_text(request, asked.sounds_like)
    seconds = settings.query_s if text is None else settings.long_query_s
    found = find_weighted(opened, asked.request(text and text.vector), seconds)
    titles = titled(opened, [hit.track_id for hit in found.hits])
    rows = [
        {**titles[hit.track_id], "score": round(hit.score, 4), "why": [_why(one) for one in hit.contributions]}
        for hit in found.hits
    ]
    return answer_json(
        opened,
        rows,
        scored_by=FORMULA if text is None else f"{FORMULA}; {TEXT_FORMULA}",
        searched=found.tracks,
        sounds_like=text and {**text.document, "not_compared": found.not_compared},
        words=word_documents(found.matches),
        unmatched=list(found.unmatched),
        filters=filter_documents(found.filters),
        emptied_by=found.emptied_by,
    )


def _read_text(request: Request, text: str | None) -> ReadText | None:
    """The vector of a text; None without one.

    Raises:
      Declined: the service has no text model, or the text cannot be read.
    """
    if text is None:
        return None
    if (texts := service_of(request).texts) is None:
        detail = "sounds_like: start the service with --text-model BUNDLE, a text network of the table's trunk"
        raise Declined("no-text-model", f"{detail}, or ask with words and weights")
    return texts.read(text)


def word_documents(matches: Iterable[WordMatch]) -> list[JsonRow]:
    """What plain words stand for."""
    return [{"words": m.words, "tags": list(m.term.tags), "weight": m.weight, "rule": m.rule} for m in matches]


def filter_documents(filters: Iterable[FilterCount]) -> list[JsonRow]:
    """What each condition has left."""
    return [{"filter": one.label, "alone": one.alone, "left": one.left} for one in filters]


def _why(one: Any) -> JsonRow:
    facts = dataclasses.asdict(one)
    return {**facts, "value": round(facts["value"], 4)}


def titled(opened: OpenSnapshot, track_ids: list[str]) -> dict[str, JsonRow]:
    """Track id -> what answers tell of a track."""
    return rows_by_id(opened.reader, "tracks", track_ids, _TITLES)


@routes.get(
    "/tracks/{track_id}/similar",
    response_model=ListAnswer,
    responses=list_of({**_TITLE, "similarity": 0.934512}, 404, 501, paged=False),
    summary="Similar tracks",
)
def get_similar(
    request: Request,
    opened: Leased,
    track_id: TrackId,
    limit: Limit = 20,
    other_artists: Annotated[bool, Query(description="Only tracks of other artists.", examples=[True])] = False,
) -> Response:
    """The tracks of the snapshot that sound most like a track, by the cosine of embeddings and tags."""
    row = track_row(opened, track_id)
    seconds = service_of(request).settings.query_s
    rows = similar_rows(opened, row, limit, seconds, other_artists=other_artists)
    return answer_json(opened, rows)


def similar_rows(
    opened: OpenSnapshot, row: JsonRow, limit: int, seconds: float, *, other_artists: bool
) -> list[JsonRow]:
    """The most similar tracks of a row of `tracks`, without itself."""
    track_id = row["track_id"]
    without = {"track_id": [track_id]}
    if other_artists and row["artist_id"] is not None:
        without["artist_id"] = [row["artist_id"]]
    for embedding_id in opened.reader.manifest.run.embedding_ids:
        if (vector := vector_of(opened, embedding_id, track_id)) is not None:
            found = find_nearest(opened, vector[None, :], embedding_id, limit, seconds, without)[0]
            titles = titled(opened, list(found.track_ids))
            pairs = zip(found.track_ids, found.similarities, strict=True)
            return [{**titles[one], "similarity": float(str(near))} for one, near in pairs]
    raise Declined("not-found", f"track {track_id!r} has no embedding")
