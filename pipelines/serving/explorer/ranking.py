"""Tracks in the order of weighted tags, each with the reason for its place.

The relevance of a track is the score of a weighted search, see `transforms.discovery.search.scores`: the page, the
command `search` and `POST /v1/search` give the same order.
"""

import math
from typing import Annotated, Any, NamedTuple

import pyarrow as pa
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from pipelines.serving import paging
from pipelines.serving.answers import TRACK, ListAnswer, answer_json, list_of, selected
from pipelines.serving.explorer.conditions import MOST_ITEMS, Filtered, TrackFilters
from pipelines.serving.finding.choosing import tracks_meeting
from pipelines.serving.finding.deadlines import Deadline
from pipelines.serving.finding.pages import track_page
from pipelines.serving.finding.weighted import KeptPlan
from pipelines.serving.problems import Declined
from pipelines.serving.requests import Leased, in_turn, service_of
from pipelines.serving.rows import rows_by_id
from pipelines.serving.snapshots import JsonRow, OpenSnapshot
from transforms.discovery.search.engine import Hit, RowsAllowed, best_hits
from transforms.discovery.search.request import SearchRequest

routes = APIRouter(prefix="/v1/explorer", tags=["explorer"], dependencies=[in_turn])

RELEVANCE = "relevance of the search"
"""Column with the relevance. It has spaces, so that no column of a catalog has its name by chance."""

_HIT = TRACK | {"relevance": 1.8512, "why": [{"tag": "mood/calm", "weight": 1.0, "score": 0.91, "value": 1.8512}]}


def read_weights(texts: list[str]) -> dict[str, float]:
    """Tag -> weight, from texts such as `mood/calm:0.8`.

    Raises:
      Declined: a tag is given twice, or a weight is not from -1 to 1.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, separator, value = text.rpartition(":")
        tag = name if separator else text
        if tag in found:
            raise Declined("bad-request", f"weigh: {tag!r} has a weight already: give each tag once")
        found[tag] = _weight(value, text) if separator else 1.0
    return found


def _weight(value: str, text: str) -> float:
    try:
        weight = float(value)
    except ValueError:
        weight = math.nan
    if not -1 <= weight <= 1:
        raise Declined("bad-request", f"weigh: {value!r} in {text!r} is no weight from -1 to 1")
    return weight


class Ranking(NamedTuple):
    """One page of a search: its rows with `relevance` and `why`, and what the cursor of the next page is made from."""

    rows: list[JsonRow]
    order: paging.Order


class TrackRanking:
    """The ranking of a request.

    Args:
      opened: the snapshot.
      wanted: filters of the tracks.
      weights: tag -> weight.
      seconds: most time.

    Raises:
      DiscoveryError: a tag is unknown, or has two weights.
    """

    def __init__(self, opened: OpenSnapshot, wanted: TrackFilters, weights: dict[str, float], seconds: float) -> None:
        self._opened, self._wanted = opened, wanted
        self._deadline = Deadline(seconds)
        self._plan = KeptPlan(opened, SearchRequest(weights=weights))

    def page(self, sort: str | None, start: tuple[Any, ...] | None, limit: int) -> Ranking:
        """The tracks behind `start`, one more than `limit` if there are more. Without `sort`, the best come first."""
        columns = {**self._opened.columns, RELEVANCE: pa.float64()}
        by_relevance = not sort and bool(self._plan.terms)
        order = paging.order_of("-" + RELEVANCE if by_relevance else sort, columns, "track_id")
        if by_relevance:
            order.behind(start)  # refuses the key of another order
            hits = self._best(start, limit + 1)
            found = rows_by_id(self._opened.reader, "tracks", [hit.track_id for hit in hits])
            return Ranking([_explained(found[hit.track_id], hit) for hit in hits], order)
        rows = track_page(self._opened, self._wanted.conditions(), order, start, limit + 1)
        if not self._plan.terms:
            return Ranking([row | {RELEVANCE: None, "why": []} for row in rows], order)
        hits = self._plan.hits_of([row["track_id"] for row in rows])
        return Ranking([_explained(row, hit) for row, hit in zip(rows, hits, strict=True)], order)

    def _best(self, start: tuple[Any, ...] | None, limit: int) -> list[Hit]:
        behind = None if start is None else (-math.inf if start[0] is None else float(start[0]), str(start[1]))
        return best_hits(self._plan, limit, allowed=self._allowed(), behind=behind, check=self._deadline.check)

    def _allowed(self) -> RowsAllowed:
        """Which tracks the filters keep."""
        conditions = self._wanted.conditions()
        if not conditions:
            return lambda bucket: None
        chosen = tracks_meeting(self._opened, conditions)
        return lambda bucket: chosen.masks[bucket]


def _explained(row: JsonRow, hit: Hit) -> JsonRow:
    """The row with its relevance, and with what each weighted tag adds, the largest first."""
    why = [
        {"tag": one.term, "weight": one.weight, "score": round(one.score, 4), "value": round(one.value, 4)}
        for one in hit.contributions
    ]
    return row | {RELEVANCE: hit.score, "why": why}


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
    ranking = TrackRanking(opened, wanted, read_weights(weigh or []), service_of(request).settings.query_s)
    found = ranking.page(sort, paging.start_of(request), limit)
    behind = paging.next_cursor(opened.number, request, found.order, found.rows, limit)
    return answer_json(opened, [plain_hit(row, opened) for row in found.rows[:limit]], next=behind)


def plain_hit(row: JsonRow, opened: OpenSnapshot) -> JsonRow:
    """A row as it is answered, with `relevance`."""
    return selected(row, opened.columns) | {"relevance": _rounded(row[RELEVANCE]), "why": row["why"]}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
