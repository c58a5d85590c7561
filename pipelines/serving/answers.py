"""Answers of the service: what they are made of, and as what they leave."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from pipelines.serving.problems import Declined, documented
from pipelines.serving.snapshots import OpenSnapshot
from transforms.formats.hashing import digest

SNAPSHOT = {"number": 3, "content_hash": "9d5e0c6d7f1b2a34"}
TRACK = {
    "track_id": "track-0001",
    "artist_id": "artist-01",
    "album_id": "album-0101",
    "title": "Slow River",
    "artist": "The Quiet Hours",
    "year": 1998,
    "country": "FR",
    "language": None,
    "duration_s": 214.5,
    "sample_rate": 44100,
    "channels": 2,
    "top_tags": [{"tag": "mood/calm", "score": 0.91}, {"tag": "genre/jazz", "score": 0.77}],
    "tagger_id": "tagger-4f0c2a91d2b8",
}
TAG = {
    "category": "mood",
    "tag": "mood/calm",
    "name": "Calm",
    "score": 0.91,
    "rank": 1,
    "is_positive": True,
    "source": "model",
    "model_score": None,
    "expert_weight": None,
}
GROUP_TAG = {
    "category": "mood",
    "tag": "mood/calm",
    "name": "Calm",
    "mean_score": 0.74,
    "positive_share": 0.8,
    "tracks": 10,
    "score_spread": 0.12,
    "rank": 1,
}
GROUP = {"id": "artist-01", "name": "The Quiet Hours", "tracks": 12, "first_year": 1994, "last_year": 2003}


class SnapshotName(BaseModel):
    """The snapshot that the whole answer is of."""

    number: int = Field(description="Number of the snapshot.")
    content_hash: str = Field(description="Hash of all published rows.")


class OneAnswer(BaseModel):
    """One thing of a snapshot."""

    model_config = ConfigDict(extra="allow")
    snapshot: SnapshotName
    data: dict[str, Any] = Field(description="The thing.")


class ListAnswer(BaseModel):
    """A list, or one page of it."""

    model_config = ConfigDict(extra="allow")
    snapshot: SnapshotName
    data: list[dict[str, Any]] = Field(description="The rows, in order.")
    next: str | None = Field(None, description="Cursor of the next page; null on the last one.")
    total: int | None = Field(None, description="Number of rows of all pages, if `count` is true.")


Responses = dict[int | str, dict[str, Any]]

_ALWAYS = (503,)
"""Statuses that every path with a snapshot may answer with, besides those of the gate, see `document`."""


def one_of(example: Mapping[str, Any], *statuses: int) -> Responses:
    """The documentation of an answer with one thing, and of the problems."""
    return _example(example) | documented(*_ALWAYS, *statuses)


def list_of(example: Mapping[str, Any], *statuses: int, paged: bool = True, **members: Any) -> Responses:
    """The documentation of an answer with a list, and of the problems."""
    last = {"next": "WzMsIjE3YTRi"} if paged else {}
    return _example([example], **last, **members) | documented(*_ALWAYS, *statuses)


def _example(data: Any, **members: Any) -> Responses:
    example = {"snapshot": SNAPSHOT, "data": data, **members}
    not_modified: Responses = {304: {"description": "The client has this answer already (`If-None-Match`)"}}
    return {200: {"content": {"application/json": {"example": example}}}, **not_modified}


def entity_tag(opened: OpenSnapshot, url: str) -> str:
    """The ETag of the answer of an address: content hash and number of the snapshot, and a digest of the address."""
    return f'"{opened.content_hash}-{opened.number}-{digest(url)[:8]}"'


def answer_json(opened: OpenSnapshot, data: Any, **members: Any) -> Response:
    """The answer with its snapshot. Members that are None are left out, but for `next`."""
    kept = {name: value for name, value in members.items() if value is not None or name == "next"}
    return json_response({"snapshot": named(opened), "data": data, **kept})


def named(opened: OpenSnapshot) -> dict[str, Any]:
    """The snapshot as answers name it."""
    return {"number": opened.number, "content_hash": opened.content_hash}


def json_response(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Any document as JSON."""
    body = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A text of a catalog may have half of a surrogate pair, which UTF-8 cannot represent.
    return Response(body.encode(errors="replace"), status, headers, media_type="application/json")


def chosen_fields(text: str | None, columns: Iterable[str], always: Sequence[str] = ()) -> list[str]:
    """The columns that `fields` names, in the table's order; all by default.

    Raises:
      Problem: there is no such column.
    """
    known = list(columns)
    if text is None:
        return known
    names = [name.strip() for name in text.split(",")]
    if missing := [name for name in names if name not in known]:
        raise Declined("bad-request", f"fields: {missing[0]!r} is none of {', '.join(known)}")
    return [name for name in known if name in names or name in always]


def selected(row: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Some columns of a row."""
    return {name: row[name] for name in fields}
