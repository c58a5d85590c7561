"""How good the snapshot is, and what changed since the one before it."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from pipelines.serving.answers import OneAnswer, answer_json, one_of
from pipelines.serving.explorer.once import once
from pipelines.serving.finding.deadlines import ASK_FOR_LESS, Deadline, TimedReader
from pipelines.serving.problems import Declined
from pipelines.serving.requests import Leased, in_turn, service_of
from pipelines.serving.snapshots import OpenSnapshot
from pipelines.serving.vocabulary import taxonomy_rows_of
from transforms.comparison.buckets import Pair, compare
from transforms.comparison.report import document
from transforms.comparison.tag_changes import TagChanges, tag_changes_table
from transforms.comparison.track_changes import TrackCounts
from transforms.table.reader import open_snapshot
from transforms.table.versions import TableError

routes = APIRouter(prefix="/v1/explorer", tags=["explorer"], dependencies=[in_turn])

MOST_COMPARED = 2_000_000
"""Largest snapshot whose changes are computed for the page: `catalog-tagger diff` compares larger ones."""

SHOWN_EXAMPLES = 5
_QUALITY = {"counts": {"tagged": 812}, "rejects": [{"reason": "empty", "stage": "read", "tracks": 2, "examples": []}]}
_CHANGES = {"before": {"snapshot": 2}, "after": {"snapshot": 3}, "tracks": {"added": 12, "removed": 0}, "tags": []}


def quality_of(opened: OpenSnapshot) -> dict[str, Any]:
    """Metrics and calibration of each tag, rejects by reason, and where the scores come from."""
    import json

    shown = ("tag", "name", "category", "kind", "threshold", "support")
    tags = [
        {name: row[name] for name in shown}
        | {name: row[name] and json.loads(row[name]) for name in ("metrics", "calibration")}
        for row in taxonomy_rows_of(opened).values()
    ]
    return {"counts": opened.reader.manifest.run.counts, "tags": tags, **once(opened, "ledger", lambda: _sums(opened))}


def _sums(opened: OpenSnapshot) -> dict[str, Any]:
    rejects = opened.fetch(
        "SELECT reason, stage, count(*) AS tracks, list(track_id ORDER BY track_id)[:?] AS examples FROM ledger "
        "WHERE status = 'rejected' GROUP BY reason, stage ORDER BY tracks DESC, reason",
        [SHOWN_EXAMPLES],
    )
    sources = opened.fetch(
        "SELECT source, count(*) AS scores, count(expert_weight) AS annotated FROM track_tags GROUP BY source "
        "ORDER BY scores DESC, source"
    )
    return {"rejects": rejects, "sources": sources}


def changes_of(opened: OpenSnapshot, seconds: float) -> dict[str, Any]:
    """What differs from the parent of the snapshot, as `catalog-tagger diff` reports it.

    Args:
      opened: the snapshot.
      seconds: most time.

    Raises:
      Declined: there is no parent any more, the snapshot is too large to be compared for a page, or the time is over.
    """
    return once(opened, "changes", lambda: _compared(opened, seconds))


def _compared(opened: OpenSnapshot, seconds: float) -> dict[str, Any]:
    root, parent = opened.reader.root, opened.reader.manifest.run.parent
    if parent is None:
        raise Declined("not-found", f"snapshot {opened.number} is the first of its table: it has none before it")
    rows = opened.reader.manifest.rows("ledger")
    if rows > MOST_COMPARED:
        detail = f"{rows} tracks are too many to be compared for a page: run `catalog-tagger diff`"
        raise Declined("not-offered", detail)
    try:
        pair = Pair(open_snapshot(root, parent), TimedReader.until(opened.reader, Deadline(seconds, ASK_FOR_LESS)))
    except TableError as error:
        raise Declined("not-found", f"snapshot {parent}, the one before, was removed") from error
    tracks, changes = TrackCounts(), TagChanges.none(len(pair.tags().ids))
    for difference in compare(pair):
        tracks, changes = tracks + difference.tracks, changes + difference.tags
    found = document(pair, tracks, tag_changes_table(pair.tags(), changes))
    return {name: value for name, value in found.items() if name != "table"}


@routes.get("/quality", response_model=OneAnswer, responses=one_of(_QUALITY), summary="Quality of the snapshot")
def get_quality(opened: Leased) -> Response:
    """Metrics and calibration by tag, rejects by reason, sources of scores."""
    return answer_json(opened, quality_of(opened))


@routes.get("/changes", response_model=OneAnswer, responses=one_of(_CHANGES, 404, 501), summary="What changed")
def get_changes(request: Request, opened: Leased) -> Response:
    """What differs from the snapshot before."""
    return answer_json(opened, changes_of(opened, service_of(request).settings.long_query_s))
