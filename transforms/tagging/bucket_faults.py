"""Faults in the rows of one bucket that its gates count: repeated ids, schema, scores, unknown tags, hierarchy."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.comparison.scores import NO_ROW, UNIT, TagScores
from transforms.formats.arrow import group_numbers
from transforms.schemas.fusion import declared_schema

UNIQUE, SCHEMA, SCORES, KNOWN_TAGS, HIERARCHY = "unique", "schema", "scores", "known_tags", "hierarchy"
"""Names of the gates whose limit is a number of faults."""

FAULT_GATES = (UNIQUE, SCHEMA, SCORES, KNOWN_TAGS, HIERARCHY)

_ROUNDING = 0.01
"""Distance from a multiple of 1 / UNIT, in units, that float32 explains."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """Faults of one kind.

    Attributes:
      gate: the gate that counts them.
      count: their number.
      what: the tag, pair of tags or column that has them; None if tracks have them.
      tracks: ids of tracks that have them.
    """

    gate: str
    count: int
    what: str | None = None
    tracks: tuple[str, ...] = ()


def id_faults(tables: dict[str, pa.Table], bucket: int, buckets: int | None) -> Iterator[Fault]:
    """Yields ids that a table has more than once, and ids of another bucket, where they would not be found twice."""
    for name in ("ledger", "tracks", "embeddings"):
        counts = pc.value_counts(tables[name]["track_id"].combine_chunks())
        repeated = counts.filter(pc.greater(counts.field("counts"), 1))
        more = (pc.sum(repeated.field("counts")).as_py() or 0) - len(repeated)
        yield Fault(gate=UNIQUE, count=more, tracks=tuple(repeated.field("values").to_pylist()))
    if buckets is not None:
        ids = tables["ledger"]["track_id"]
        own = group_numbers(ids.to_pylist(), buckets) == bucket
        strangers = tuple(ids.filter(pa.array(~own)).to_pylist())
        yield Fault(gate=UNIQUE, count=len(strangers), tracks=strangers)


def pair_faults(rows: int, scores: TagScores) -> Fault:
    """Rows of `track_tags` that have the track and the tag of another row."""
    return Fault(gate=UNIQUE, count=rows - int(np.count_nonzero(scores.scores != NO_ROW)), what="track and tag")


def schema_faults(tables: dict[str, pa.Table]) -> Iterator[Fault]:
    """Yields columns that are missing or have another name or type, nulls where none are allowed, and NaN."""
    for name, table in tables.items():
        declared = declared_schema(name, table.column_names)
        for place, field in enumerate(declared):
            column = f"column {field.name} of {name}"
            if place >= len(table.schema) or not _same(table.schema.field(place), field):
                yield Fault(gate=SCHEMA, count=1, what=column)
                continue
            wrong = 0 if field.nullable else table[place].null_count
            if pa.types.is_floating(field.type):
                wrong += pc.sum(pc.is_nan(table[place])).as_py() or 0
            yield Fault(gate=SCHEMA, count=wrong, what=column)
        if name != "tracks" and (more := table.schema.names[len(declared) :]):
            yield Fault(gate=SCHEMA, count=len(more), what=f"further columns of {name}")


def _same(found: pa.Field, declared: pa.Field) -> bool:
    return bool(found.name == declared.name and found.type == declared.type)


def score_faults(track_tags: pa.Table) -> Iterator[Fault]:
    """Yields scores and weights outside of 0 to 1, and scores that are no multiple of 1 / UNIT."""
    for name in ("score", "model_score", "expert_weight"):
        for tag, count in _per_tag(track_tags, name).items():
            yield Fault(gate=SCORES, count=count, what=f"{name} of {tag}")


def _per_tag(track_tags: pa.Table, name: str) -> dict[str, int]:
    column = track_tags[name]
    bounds = pc.min_max(column).as_py()
    inside = bounds["min"] is None or (bounds["min"] >= 0 and bounds["max"] <= 1)
    values: npt.NDArray[np.float32] = column.to_numpy()
    wrong = np.zeros(len(values), bool) if inside else (values < 0) | (values > 1)
    if name == "score":
        scaled = values * np.float32(UNIT)
        wrong |= np.abs(scaled - np.rint(scaled)) > _ROUNDING
    if not wrong.any():
        return {}
    found = pc.value_counts(track_tags["tag"].filter(pa.array(wrong)))
    return {row["values"]: row["counts"] for row in found.to_pylist()}


def hierarchy_faults(scores: TagScores, ids: tuple[str, ...], taxonomy: list[dict[str, Any]]) -> Iterator[Fault]:
    """Yields pairs of parent and child with tracks in which the parent's score is lower, among published rows."""
    place = {tag: i for i, tag in enumerate(ids)}
    for row in taxonomy:
        for parent in row["parents"]:
            above, below = scores.scores[place[parent]], scores.scores[place[row["tag"]]]
            count = int(np.count_nonzero((above < below) & (above != NO_ROW)))
            yield Fault(gate=HIERARCHY, count=count, what=f"{parent} below its child {row['tag']}")
