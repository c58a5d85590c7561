"""Tracks in the order of weighted tags, each with the reason for its place.

The relevance of a track is the sum over the weighted tags of

    weight x ln(p / (1 - p)),  p = the calibrated score, limited to 0.0001 .. 0.9999

p is the highest score among the tag and its narrower tags. A score that the table does not have counts as the
`min_score` of the snapshot, or else as 0.
"""

import math
from typing import Annotated, Any, NamedTuple

import pyarrow as pa
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from pipelines.serving import filters, paging
from pipelines.serving.answers import TRACK, ListAnswer, answer_json, list_of, selected
from pipelines.serving.explorer.conditions import MOST_ITEMS, Filtered, TrackFilters
from pipelines.serving.problems import Declined
from pipelines.serving.requests import Leased, in_turn
from pipelines.serving.snapshots import JsonRow, OpenSnapshot
from pipelines.serving.vocabulary import tag_ids, taxonomy_rows_of

routes = APIRouter(prefix="/v1/explorer", tags=["explorer"], dependencies=[in_turn])

RELEVANCE = "relevance of the search"
"""Column with the relevance. It has spaces, so that no column of a catalog has its name by chance."""

STEP = 0.0001
_HIT = TRACK | {"relevance": 3.21, "why": [{"tag": "mood/calm", "weight": 1.0, "score": 0.91, "value": 2.31}]}


class Weight(NamedTuple):
    """A tag with its weight, -1 to 1.

    Attributes:
      tags: the tag and all narrower ones.
    """

    tag: str
    weight: float
    tags: tuple[str, ...]


def read_weights(opened: OpenSnapshot, texts: list[str]) -> list[Weight]:
    """The weights of texts such as `mood/calm:0.8`.

    Raises:
      Declined: a tag is unknown or given twice, or a weight is not from -1 to 1.
    """
    found: dict[str, Weight] = {}
    for text in texts:
        name, separator, value = text.rpartition(":")
        tags = filters.tags_of(name if separator else text, tag_ids(opened))
        weight = _weight(value, text) if separator else 1.0
        if tags[0] in found:
            raise Declined("bad-request", f"weigh: {tags[0]!r} has a weight already: give each tag once")
        found[tags[0]] = Weight(tags[0], weight, _with_narrower(opened, tags))
    return list(found.values())


def _weight(value: str, text: str) -> float:
    try:
        weight = float(value)
    except ValueError:
        weight = math.nan
    if not -1 <= weight <= 1:
        raise Declined("bad-request", f"weigh: {value!r} in {text!r} is no weight from -1 to 1")
    return weight


def _with_narrower(opened: OpenSnapshot, tags: list[str]) -> tuple[str, ...]:
    found = dict.fromkeys(tags)
    rows = taxonomy_rows_of(opened)
    while more := [tag for tag, row in rows.items() if tag not in found and found.keys() & set(row["parents"])]:
        found |= dict.fromkeys(more)
    return tuple(found)


class Ranking(NamedTuple):
    """One page of a search: its rows with `relevance` and `why`, and what the cursor of the next page is made from."""

    rows: list[JsonRow]
    order: paging.Order


def ranked(
    opened: OpenSnapshot,
    wanted: TrackFilters,
    weights: list[Weight],
    sort: str | None,
    start: tuple[Any, ...] | None,
    limit: int,
) -> Ranking:
    """The tracks behind `start`, one more than `limit` if there are more. Without `sort`, the best come first."""
    columns = {**opened.columns, RELEVANCE: pa.float64()}
    order = paging.order_of(sort or ("-" + RELEVANCE if weights else None), columns, "track_id")
    points, values = _points(opened, weights)
    where, own = filters.joined_conditions(wanted.conditions())
    behind, key = order.behind(start)
    relevance = _relevance(opened, weights)
    sql = (
        f"{points} SELECT * FROM (SELECT t.*, {relevance} AS {paging.identifier(RELEVANCE)} "
        f"FROM (SELECT * FROM tracks WHERE {where}) AS t{' LEFT JOIN points USING (track_id)' if weights else ''}) "
        f"WHERE {behind} {order.clause()} LIMIT {limit + 1}"
    )
    rows = opened.fetch(sql, [*values, *own, *key])
    return Ranking(_explained(opened, rows, weights), order)


def _points(opened: OpenSnapshot, weights: list[Weight]) -> tuple[str, list[Any]]:
    """A table of the scores of the weighted tags, as SQL: columns `p0`, `p1` and so on."""
    if not weights:
        return "", []
    marks = [", ".join("?" * len(one.tags)) for one in weights]
    parts = [f"max(score) FILTER (WHERE tag IN ({mark})) AS p{i}" for i, mark in enumerate(marks)]
    each = [tag for one in weights for tag in one.tags]
    sql = f"WITH points AS (SELECT track_id, {', '.join(parts)} FROM track_tags WHERE tag IN ({', '.join(marks)}) "
    return sql + "GROUP BY track_id)", [*each, *each]


def _relevance(opened: OpenSnapshot, weights: list[Weight]) -> str:
    """The sum in the order of the weights, so that the same track always has the same bits. Weights are numbers."""
    parts = []
    for i, one in enumerate(weights):
        score = f"round(CAST(coalesce(points.p{i}, {_least(opened)!r}) AS DOUBLE), 4)"
        p = f"least(greatest({score}, {STEP!r}), {1 - STEP!r})"
        parts.append(f"CAST({one.weight!r} AS DOUBLE) * ln({p} / (1 - {p}))")
    return " + ".join(parts) or "CAST(NULL AS DOUBLE)"


def _least(opened: OpenSnapshot) -> float:
    return float(opened.reader.manifest.run.options.get("min_score") or 0.0)


def _explained(opened: OpenSnapshot, rows: list[JsonRow], weights: list[Weight]) -> list[JsonRow]:
    """The rows with `why`: what each weighted tag adds, the largest first."""
    if not weights or not rows:
        return [row | {"why": []} for row in rows]
    ids, tags = [row["track_id"] for row in rows], [tag for one in weights for tag in one.tags]
    sql = (
        f"SELECT track_id, tag, score FROM track_tags WHERE track_id IN ({', '.join('?' * len(ids))}) "
        f"AND tag IN ({', '.join('?' * len(tags))})"
    )
    scores = {(row["track_id"], row["tag"]): float(row["score"]) for row in opened.fetch(sql, [*ids, *tags])}
    least = _least(opened)
    return [row | {"why": _why(row["track_id"], weights, scores, least)} for row in rows]


def _why(
    track_id: str, weights: list[Weight], scores: dict[tuple[str, str], float], least: float
) -> list[dict[str, Any]]:
    found = []
    for one in weights:
        score = max((scores.get((track_id, tag), least) for tag in one.tags), default=least)
        limited = min(max(score, STEP), 1 - STEP)
        value = round(one.weight * math.log(limited / (1 - limited)), 4)
        found.append({"tag": one.tag, "weight": one.weight, "score": round(score, 4), "value": value})
    return sorted(found, key=lambda part: -abs(part["value"]))


@routes.get("/tracks", response_model=ListAnswer, responses=list_of(_HIT, 410), summary="Search with weights")
def rank_tracks(
    request: Request,
    opened: Leased,
    wanted: Filtered,
    weigh: Annotated[
        list[str] | None,
        Query(
            max_length=MOST_ITEMS,
            description="`TAG:WEIGHT`, -1 to 1; without a weight it is 1.",
            examples=[["mood/calm:0.8"]],
        ),
    ] = None,
    sort: Annotated[
        str | None,
        Query(max_length=100, description="A column, with a minus in front for the greatest first.", examples=["year"]),
    ] = None,
    limit: paging.Limit = 20,
    cursor: paging.CursorText = None,
) -> Response:
    """Tracks to which all filters apply, in the order of weighted tags, each with what its tags add."""
    weights = read_weights(opened, weigh or [])
    found = ranked(opened, wanted, weights, sort, paging.start_of(request), limit)
    behind = paging.next_cursor(opened.number, request, found.order, found.rows, limit)
    return answer_json(opened, [plain_hit(row, opened) for row in found.rows[:limit]], next=behind)


def plain_hit(row: JsonRow, opened: OpenSnapshot) -> JsonRow:
    """A row as it is answered, with `relevance`."""
    return selected(row, opened.columns) | {"relevance": _rounded(row[RELEVANCE]), "why": row["why"]}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
