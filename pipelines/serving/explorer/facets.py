"""Histograms of the numbers of tracks, cross-filtered: each one ignores the range of its own column."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import pyarrow as pa
from fastapi import APIRouter, Query
from starlette.responses import Response

from pipelines.serving import filters, paging
from pipelines.serving.answers import OneAnswer, answer_json, one_of
from pipelines.serving.explorer.conditions import Filtered, TrackFilters
from pipelines.serving.explorer.once import once
from pipelines.serving.problems import Declined
from pipelines.serving.requests import Leased, in_turn
from pipelines.serving.snapshots import OpenSnapshot
from pipelines.serving.vocabulary import tag_ids_with_narrower, taxonomy_rows_of
from transforms.schemas.parameters import PARAMETER_NAMES

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
    found: dict[str, Any] = {"total": 0, "columns": {}, "tags": {}}
    for name in columns:
        found["columns"][name] = _histogram(opened, wanted, name, bins[name])
    where, values = filters.joined_conditions(wanted.conditions())
    found["total"] = int(opened.fetch(f"SELECT count(*) AS n FROM tracks WHERE {where}", values)[0]["n"])
    found["tags"] = _tag_counts(opened, where, values)
    return found


def _tag_counts(opened: OpenSnapshot, where: str, values: Sequence[Any]) -> dict[str, int]:
    """The most frequent tags with their numbers of tracks, for which they or a narrower tag are positive."""
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
    most = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return dict(most[:SHOWN_TAGS])


def _histogram(opened: OpenSnapshot, wanted: TrackFilters, name: str, bins: Bins) -> dict[str, Any]:
    where, values = filters.joined_conditions(wanted.conditions(without=name))
    place = f"floor(({_number(name)} - ?) / ? + 1e-9)"
    sql = (
        f"SELECT CAST(least(greatest({place}, 0), {bins.number - 1}) AS INTEGER) AS bin, count(*) AS n "
        f"FROM tracks WHERE {where} GROUP BY ALL"
    )
    rows = {row["bin"]: row["n"] for row in opened.fetch(sql, [bins.start, bins.step, *values])}
    counts = [rows.get(place, 0) for place in range(bins.number)]
    whole = is_whole(opened.columns[name])
    return {
        "start": bins.start,
        "step": bins.step,
        "counts": counts,
        "missing": rows.get(None, 0),
        "is_integer": whole,
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
