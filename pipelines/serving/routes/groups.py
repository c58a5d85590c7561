"""Artists and albums: lists, one of them with its tags, its tracks."""

import functools
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from pipelines.serving import filters, paging
from pipelines.serving.answers import GROUP, GROUP_TAG, ListAnswer, OneAnswer, answer_json, list_of, one_of
from pipelines.serving.finding.choosing import (
    MinScore,
    TagTexts,
    WithoutTexts,
    chosen_tracks,
    tag_wishes_of,
    tracks_meeting,
)
from pipelines.serving.problems import Declined
from pipelines.serving.requests import Leased, in_turn
from pipelines.serving.snapshots import JsonRow, OpenSnapshot
from pipelines.serving.vocabulary import tag_names
from transforms.discovery.search.texts import TextIndex, text_words
from transforms.formats.hashing import bucket_of

routes = APIRouter(prefix="/v1", dependencies=[in_turn])

_COLUMNS = {
    "id": pa.string(),
    "name": pa.string(),
    "tracks": pa.int64(),
    "first_year": pa.int32(),
    "last_year": pa.int32(),
}


class GroupKind(NamedTuple):
    """A kind of groups of tracks.

    Attributes:
      key: column of `tracks` with the group's id.
      name: SQL of the group's name over its tracks; null if the catalog has none.
      tags: the table with the groups' tags.
    """

    word: str
    key: str
    name: str
    tags: str

    @property
    def rows(self) -> str:
        """A table of all groups, as SQL."""
        return (
            f"(SELECT {self.key} AS id, {self.name} AS name, count(*) AS tracks, min(year) AS first_year, "
            f"max(year) AS last_year FROM tracks WHERE {self.key} IS NOT NULL GROUP BY {self.key})"
        )


ARTISTS = GroupKind("artist", "artist_id", "min(artist)", "artist_tags")
ALBUMS = GroupKind("album", "album_id", "NULL::VARCHAR", "album_tags")
GroupId = Annotated[str, Path(max_length=1024, description="The catalog's id.", examples=["artist-01"])]
WordsText = Annotated[str | None, Query(max_length=200, description="Words in the name.", examples=["quiet"])]
SortText = Annotated[
    str | None,
    Query(max_length=100, description="A column; a minus in front: the greatest first.", examples=["-tracks"]),
]


def _list(
    request: Request,
    opened: OpenSnapshot,
    group: GroupKind,
    conditions: filters.Conditions,
    sort: str | None,
    limit: int,
) -> Response:
    order = paging.order_of(sort, _COLUMNS, "id")
    where, values = filters.joined_conditions([*conditions, order.behind(paging.start_of(request))])
    rows = opened.fetch(f"SELECT * FROM {group.rows} WHERE {where} {order.clause()} LIMIT {limit + 1}", values)
    behind = paging.next_cursor(opened.number, request, order, rows, limit)
    return answer_json(opened, rows[:limit], next=behind)


def group_row(opened: OpenSnapshot, group: GroupKind, own: str) -> JsonRow:
    """A group with its tags.

    Raises:
      Declined: no tagged track is of this group.
    """
    rows = opened.fetch(f"SELECT * FROM {group.rows} WHERE id = ?", [own])
    if not rows:
        raise Declined("not-found", f"no tagged track of {group.word} {own!r} in snapshot {opened.number}")
    return rows[0] | {"tags": _tags(opened, group, own)}


def _tags(opened: OpenSnapshot, group: GroupKind, own: str) -> list[JsonRow]:
    view = opened.bucket_view(group.tags, bucket_of(own, opened.reader.buckets))
    sql = f"SELECT * EXCLUDE {group.key} FROM {view} WHERE {group.key} = ? ORDER BY category, rank, tag"
    names = tag_names(opened)
    rows = opened.fetch(sql, [own])
    return [{"category": r["category"], "tag": r["tag"], "name": names.get(r["tag"], r["tag"])} | r for r in rows]


@routes.get("/artists", tags=["artists"], response_model=ListAnswer, responses=list_of(GROUP, 410), summary="List")
def list_artists(
    request: Request,
    opened: Leased,
    q: WordsText = None,
    tag: TagTexts = None,
    without: WithoutTexts = None,
    min_score: MinScore = None,
    sort: SortText = None,
    limit: paging.Limit = 20,
    cursor: paging.CursorText = None,
) -> Response:
    """Artists of tagged tracks, with their numbers of tracks and years; with tags, those of a track with them all."""
    named = _named(opened, q) if q is not None and q.strip() else None
    tagged = _tagged(opened, ARTISTS, tag_wishes_of(opened, tag, without, min_score))
    return _list(request, opened, ARTISTS, _in_all(named, tagged), sort, limit)


def _in_all(*lists: pa.ChunkedArray | None) -> filters.Conditions:
    """Groups that are in all lists of ids; None: in any."""
    given = [ids for ids in lists if ids is not None]
    both = functools.reduce(lambda one, other: one.filter(pc.is_in(one, value_set=other)), given) if given else None
    return [] if both is None else [filters.listed_condition("id", both)]


def _tagged(opened: OpenSnapshot, group: GroupKind, tags: Sequence[filters.TagWish]) -> pa.ChunkedArray | None:
    """Ids of the groups with a track that has all tags; None if none is asked for."""
    if not tags:
        return None
    masks = tracks_meeting(opened, chosen_tracks(opened, None, tags)).masks
    rows = [opened.reader.scan("tracks", [group.key], bucket=bucket)[group.key] for bucket in range(len(masks))]
    own = [pc.unique(ids.filter(pa.array(mask))) for ids, mask in zip(rows, masks, strict=True)]
    return pa.chunked_array([pc.unique(pa.chunked_array(own, pa.string()))], pa.string())


def _named(opened: OpenSnapshot, text: str) -> pa.ChunkedArray:
    """Ids of the artists whose name has all words of a text."""
    key = ("artist texts", opened.content_hash)
    ids, index = opened.reader.kept.get(key, lambda: _artist_texts(opened), lambda own: own[0].nbytes + own[1].nbytes)
    return ids.filter(pa.array(index.mask(text_words(text))))


def _artist_texts(opened: OpenSnapshot) -> tuple[pa.ChunkedArray, TextIndex]:
    """Ids of the artists that have a name, and the index of the names."""
    found = opened.table(f"SELECT id, name FROM {ARTISTS.rows} WHERE name IS NOT NULL")
    return found["id"], TextIndex.of(pa.concat_arrays([pa.array([], pa.string()), *found["name"].chunks]))


@routes.get(
    "/artists/{artist_id}",
    tags=["artists"],
    response_model=OneAnswer,
    responses=one_of(GROUP | {"tags": [GROUP_TAG]}, 404),
    summary="Get one",
)
def get_artist(opened: Leased, artist_id: GroupId) -> Response:
    """An artist with its tags: means over its tracks."""
    return answer_json(opened, group_row(opened, ARTISTS, artist_id))


@routes.get("/albums", tags=["albums"], response_model=ListAnswer, responses=list_of(GROUP, 410), summary="List")
def list_albums(
    request: Request,
    opened: Leased,
    artist_id: Annotated[
        str | None, Query(max_length=1024, description="Only albums with a track of it.", examples=["artist-01"])
    ] = None,
    tag: TagTexts = None,
    without: WithoutTexts = None,
    min_score: MinScore = None,
    sort: SortText = None,
    limit: paging.Limit = 20,
    cursor: paging.CursorText = None,
) -> Response:
    """Albums of tagged tracks, with their numbers of tracks and years; with tags, those of a track that has them all.

    Catalogs have no names of albums.
    """
    inner = "id IN (SELECT album_id FROM tracks WHERE artist_id = ?)"
    conditions = [] if artist_id is None else [(inner, [artist_id])]
    tagged = _tagged(opened, ALBUMS, tag_wishes_of(opened, tag, without, min_score))
    return _list(request, opened, ALBUMS, [*conditions, *_in_all(tagged)], sort, limit)


@routes.get(
    "/albums/{album_id}",
    tags=["albums"],
    response_model=OneAnswer,
    responses=one_of(GROUP | {"tags": [GROUP_TAG]}, 404),
    summary="Get one",
)
def get_album(opened: Leased, album_id: GroupId) -> Response:
    """An album with its tags: means over its tracks."""
    return answer_json(opened, group_row(opened, ALBUMS, album_id))
