"""Histograms of the numbers of tracks, cross-filtered: each one ignores the range of its own column."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Query
from starlette.responses import Response

from pipelines.serving import filters, paging
from pipelines.serving.answers import OneAnswer, answer_json, one_of
from pipelines.serving.explorer.conditions import Filtered, TrackFilters
from pipelines.serving.explorer.once import once
from pipelines.serving.finding.choosing import tracks_meeting
from pipelines.serving.finding.deadlines import Deadline
from pipelines.serving.finding.scores import all_tags, kept_scores, scores_fit
from pipelines.serving.problems import Declined
from pipelines.serving.requests import Leased, in_turn
from pipelines.serving.snapshots import OpenSnapshot
from pipelines.serving.vocabulary import tag_ids_with_narrower, taxonomy_rows_of
from transforms.discovery.search.texts import RowMask
from transforms.schemas.parameters import PARAMETER_NAMES
from transforms.table.reader import TRACK_ID, SnapshotReader

routes = APIRouter(prefix="/v1/explorer", tags=["explorer"], dependencies=[in_turn])

MOST_BINS = 32
MOST_HISTOGRAMS = 12
SHOWN_TAGS = 60
SEARCHED = (
    *("year", "duration_s", "tempo_bpm", "energy", "danceability", "loudness_lufs", "beats_per_bar"),
    *("onset_rate_hz", "stereo_width"),
)
"""Columns that people search by, the most usual first. Those of the catalog's own come after them."""
_UNSEARCHED = frozenset({"sample_rate", "channels", *PARAMETER_NAMES}) - {*SEARCHED}
"""Columns of facts about files, confidences and details of measurements."""

_FACETS = {
    "total": 812,
    "columns": {"year": {"start": 1990.0, "step": 1.0, "counts": [3, 0, 12], "missing": 2, "is_integer": True}},
    "tags": {"mood/calm": 402},
}


class Bins(NamedTuple):
    """Equal bins. Values below the first are counted in it, those above the last in that one."""

    start: float
    step: float
    number: int


def bins_of(low: float, high: float, is_integer: bool) -> Bins:
    """At most `MOST_BINS` bins of a round width that contain both values.

    >>> bins_of(1961, 2024, True)
    Bins(start=1960.0, step=5.0, number=13)
    >>> bins_of(0.12, 0.97, False)
    Bins(start=0.1, step=0.05, number=18)
    >>> bins_of(3, 3, True)
    Bins(start=3.0, step=1.0, number=1)
    """
    raw = (high - low) / (MOST_BINS - 2) if high > low else 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    if is_integer:
        step = max(step, 1.0)
    first = math.floor(low / step + 1e-9)
    number = math.floor(high / step + 1e-9) - first + 1
    return Bins(round(first * step, 9), round(step, 9), number)


def facet_columns(opened: OpenSnapshot) -> list[str]:
    """The columns that get a histogram, in their order: numbers that people search by, at most `MOST_HISTOGRAMS`."""
    return list(bins_by_column(opened))


def bins_by_column(opened: OpenSnapshot) -> Mapping[str, Bins]:
    """Column -> the bins of its histogram."""
    return once(opened, "bins", lambda: _measured(opened))


def searched_columns(columns: Mapping[str, pa.DataType]) -> list[str]:
    """The columns of numbers that people search by, at most `MOST_HISTOGRAMS`.

    >>> searched_columns({"sample_rate": pa.int32(), "bpm": pa.float64(), "energy": pa.float32(), "year": pa.int16()})
    ['year', 'energy', 'bpm']
    """
    numbers = [name for name in paging.number_columns(columns) if name not in _UNSEARCHED]
    first = [name for name in SEARCHED if name in numbers]
    return [*first, *(name for name in numbers if name not in first)][:MOST_HISTOGRAMS]


def _measured(opened: OpenSnapshot) -> dict[str, Bins]:
    """Column -> its bins, between the quantiles 0.002 and 0.998, so that a few wrong values do not hide the others."""
    names = searched_columns(opened.columns)
    if not names:
        return {}
    parts = [f"quantile_cont({_number(name)}, [0.002, 0.998]) AS {paging.identifier(name)}" for name in names]
    row = opened.fetch(f"SELECT {', '.join(parts)} FROM tracks")[0]
    found = {name: row[name] for name in names if row[name] and None not in row[name]}
    return {name: bins_of(low, high, is_whole(opened.columns[name])) for name, (low, high) in found.items()}


def _number(name: str) -> str:
    """A column as numbers; null for what is no number."""
    value = f"CAST({paging.identifier(name)} AS DOUBLE)"
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def is_whole(kind: pa.DataType) -> bool:
    """Whether a column has whole numbers."""
    return bool(pa.types.is_integer(kind))


def facets_of(opened: OpenSnapshot, wanted: TrackFilters, columns: Sequence[str]) -> dict[str, Any]:
    """The histograms of some columns, the number of tracks, and how many of them have each tag.

    Raises:
      Declined: a column has no histogram, or a limit was reached.
    """
    bins = bins_by_column(opened)
    if unknown := [name for name in columns if name not in bins]:
        raise Declined("bad-request", f"column: {unknown[0]!r} is none of {', '.join(bins)}")
    chosen = tracks_meeting(opened, wanted.conditions())
    others = {
        name: tracks_meeting(opened, wanted.conditions(without=name)) for name in columns if name in wanted.ranges
    }
    found = {name: np.zeros(bins[name].number + 1, np.int64) for name in columns}
    is_kept = scores_fit(opened)
    tags = Counter[str]() if is_kept else _queried_tag_counts(opened, wanted.conditions())
    deadline = Deadline(opened.query_s)
    for bucket, mask in enumerate(chosen.masks):
        deadline.check()
        places = _places(opened, bucket)
        for name in columns:
            own = others[name].masks[bucket] if name in others else mask
            found[name] += np.bincount(places[name][own], minlength=len(found[name]))
        if is_kept:
            tags.update(_tag_counts(opened, bucket, mask))
    most = sorted((+tags).items(), key=lambda one: (-one[1], one[0]))
    return {
        "total": len(chosen),
        "columns": {name: _histogram(opened, name, bins[name], counts) for name, counts in found.items()},
        "tags": dict(most[:SHOWN_TAGS]),
    }


def _places(opened: OpenSnapshot, bucket: int) -> dict[str, npt.NDArray[np.uint8]]:
    """Column -> the bin of each track of a bucket, see `binned`."""
    bins = bins_by_column(opened)
    key = ("bins", bucket, tuple(bins.items()), *opened.reader.manifest.content("tracks", bucket))

    def read() -> dict[str, npt.NDArray[np.uint8]]:
        rows = SnapshotReader.scan(opened.reader, "tracks", [TRACK_ID, *bins], bucket=bucket)
        return {name: binned(rows[name], own) for name, own in bins.items()}

    return opened.reader.kept.get(key, read, lambda found: sum(own.nbytes for own in found.values()))


def binned(column: pa.ChunkedArray, bins: Bins) -> npt.NDArray[np.uint8]:
    """The number of the bin of each value, uint8 [values]; missing values and those that are not finite come last.

    >>> binned(pa.chunked_array([[-7, 1.5], [None, math.nan, math.inf, 9]]), Bins(0.0, 1.0, 3)).tolist()
    [0, 1, 3, 3, 3, 2]
    """
    values = np.asarray(pc.cast(column, pa.float64(), safe=False).fill_null(math.nan))
    with np.errstate(invalid="ignore"):
        places = np.clip(np.floor((values - bins.start) / bins.step + 1e-9), 0, bins.number - 1)
    return np.where(np.isfinite(values), places, bins.number).astype(np.uint8)


def _tag_counts(opened: OpenSnapshot, bucket: int, mask: RowMask) -> dict[str, int]:
    """Tag -> the number of some tracks of a bucket for which it or a narrower tag is positive."""
    if not mask.any():
        return {}
    columns, ids = all_tags(opened), tag_ids_with_narrower(opened)
    scores = kept_scores(opened.reader, bucket, list(columns))
    return {tag: int(np.count_nonzero(scores.has([columns[one] for one in ids[tag]], None) & mask)) for tag in columns}


def _queried_tag_counts(opened: OpenSnapshot, conditions: filters.Conditions) -> Counter[str]:
    """Likewise for all tracks of some conditions, by queries: for scores that do not fit into the cache."""
    where, values = filters.joined_conditions(conditions)
    own = f"SELECT track_id, unnest(list_transform(top_tags, lambda one: one.tag)) AS tag FROM tracks WHERE {where}"
    rows = opened.fetch(f"SELECT tag, count(*) AS n FROM ({own}) GROUP BY tag", values)
    counts = {row["tag"]: row["n"] for row in rows}
    ids = tag_ids_with_narrower(opened)
    pairs = [(tag, broad) for broad in taxonomy_rows_of(opened) if len(ids[broad]) > 1 for tag in ids[broad]]
    if pairs:
        sql = (
            f"SELECT broad, count(DISTINCT track_id) AS n FROM ({own}) "
            "JOIN (SELECT unnest(?) AS tag, unnest(?) AS broad) USING (tag) GROUP BY broad"
        )
        rows = opened.fetch(sql, [*values, *map(list, zip(*pairs, strict=True))])
        counts |= {row["broad"]: row["n"] for row in rows}
    return Counter(counts)


def _histogram(opened: OpenSnapshot, name: str, bins: Bins, counts: npt.NDArray[np.int64]) -> dict[str, Any]:
    return {
        "start": bins.start,
        "step": bins.step,
        "counts": counts[:-1].tolist(),
        "missing": int(counts[-1]),
        "is_integer": is_whole(opened.columns[name]),
    }


@routes.get("/facets", response_model=OneAnswer, responses=one_of(_FACETS), summary="Histograms")
def get_facets(
    opened: Leased,
    wanted: Filtered,
    column: Annotated[
        list[str] | None,
        Query(max_length=MOST_HISTOGRAMS, description="Columns; all with numbers by default.", examples=[["year"]]),
    ] = None,
) -> Response:
    """How many tracks of a search have which values. The histogram of a column ignores the range of this column."""
    columns = facet_columns(opened) if column is None else list(dict.fromkeys(column))
    return answer_json(opened, facets_of(opened, wanted, columns))
