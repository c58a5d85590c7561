"""The plan of `prepare` (the labelled tracks of each shard) and the report of a finished shard."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Self

import pyarrow as pa

from transforms.catalog.problems import Problem
from transforms.catalog.reader import repeated_ids
from transforms.dataset.manifest import ShardEntry
from transforms.dataset.stats import DatasetStats
from transforms.extraction.source import Source
from transforms.formats.hashing import digest
from transforms.schemas.catalog import FILE, ROW
from transforms.splits.by_artist import NONE, SplitRatios, group_of, split_of
from transforms.splits.track_labels import UnknownTags, unknown_tags_of
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.targets import encode_targets

_DIGEST_COLUMNS = ("track_id", "uri", "artist_id", "album_id", "artist", "source_version", "tags")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitPlan:
    """Settings for dividing rows into chunks.

    Attributes:
      taxonomy: defines the tags.
      ratios: shares of the artists on each side.
      column: further catalog column with the official split; None: the artist's hash decides.
      chunk_tracks: most tracks per chunk.
      unknown_tags: whether a tag that its category in the taxonomy lacks is a problem (`fail`) or dropped (`drop`).
        Tags of categories that the taxonomy does not have are always counted and dropped.
    """

    taxonomy: Taxonomy
    ratios: SplitRatios
    column: str | None = None
    chunk_tracks: int = 64
    unknown_tags: UnknownTags = "fail"


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledTrack:
    """A track, its split group (the artist) and its annotations."""

    source: Source
    group: str
    tags: tuple[tuple[str, float | None], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledChunk:
    """Tracks of one split, in hash order, that become one TFRecord file."""

    split: str
    tracks: tuple[LabelledTrack, ...]

    def fingerprint(self, feature_id: str, taxonomy_id: str) -> str:
        """Id of the work. It is equal for equal tracks, sources, tags, features and taxonomy."""
        rows = [[t.source.track_id, t.source.uri, t.source.source_version, t.group, t.tags] for t in self.tracks]
        return digest(feature_id, taxonomy_id, self.split, json.dumps(rows))[:24]


class PlannedChunks(NamedTuple):
    """The chunks of some rows, counts of the tracks that are in no chunk, and the problems of the rows."""

    chunks: list[LabelledChunk]
    left_out: DatasetStats
    problems: list[Problem]


def plan_labelled(rows: pa.Table, plan: SplitPlan) -> PlannedChunks:
    """Splits the rows of one bucket, and divides each side into chunks in hash order.

    Args:
      rows: catalog rows with `source_version`. They must include all rows of each track_id.
      plan: settings.
    """
    problems = repeated_ids(rows)
    left_out = DatasetStats()
    sides: dict[str, list[LabelledTrack]] = {}
    for row in rows.to_pylist():
        side, row_problems = _side(row, plan)
        problems += row_problems
        if side == NONE:
            left_out.add_none("official")
        elif not _is_labelled(row, plan.taxonomy):
            left_out.add_none("unlabelled")
        else:
            sides.setdefault(side, []).append(_track(row))
    chunks = [chunk for side in sorted(sides) for chunk in _chunks(side, sides[side], plan.chunk_tracks)]
    return PlannedChunks(chunks, left_out, problems)


def _side(row: dict[str, Any], plan: SplitPlan) -> tuple[str, list[Problem]]:
    problems = list(unknown_tags_of(row, plan.taxonomy)) if plan.unknown_tags == "fail" else []
    try:
        return split_of(row, plan.ratios, plan.column), problems
    except ValueError as e:
        return NONE, [*problems, _row_problem(row, plan.column, str(e))]


def _row_problem(row: dict[str, Any], column: str | None, message: str) -> Problem:
    return Problem(file=row[FILE], row=row[ROW], column=column, message=message)


def _tags(row: dict[str, Any]) -> tuple[tuple[str, float | None], ...]:
    return tuple((entry["tag"], entry["weight"]) for entry in row["tags"] or ())


def _is_labelled(row: dict[str, Any], taxonomy: Taxonomy) -> bool:
    return bool(row["tags"]) and bool(encode_targets(_tags(row), taxonomy).mask.any())


def _track(row: dict[str, Any]) -> LabelledTrack:
    source = Source(track_id=row["track_id"], uri=row["uri"], source_version=row["source_version"])
    return LabelledTrack(source=source, group=group_of(row), tags=_tags(row))


def _chunks(side: str, tracks: list[LabelledTrack], most: int) -> Iterator[LabelledChunk]:
    ordered = sorted(tracks, key=lambda t: hashlib.sha256(t.source.track_id.encode()).digest())
    for i in range(0, len(ordered), most):
        yield LabelledChunk(split=side, tracks=tuple(ordered[i : i + most]))


def rows_digest(rows: pa.Table | pa.RecordBatch, column: str | None) -> str:
    """Digest of rows that does not depend on their order. `add_digests` adds digests of batches.

    Args:
      rows: catalog rows as read.
      column: column with the official split, which is included in the digest.
    """
    names = [*_DIGEST_COLUMNS, *([column] if column else [])]
    lines = (json.dumps(list(row.values()), default=str) for row in rows.select(names).to_pylist())
    return add_digests(hashlib.sha256(line.encode()).hexdigest() for line in lines)


def add_digests(digests: Iterable[str]) -> str:
    """The digest of all rows of several digests."""
    return f"{sum(int(one, 16) for one in digests) % 2**256:064x}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackOutcome:
    """The outcome of one track of a chunk: an example, or a reject with a reason.

    Attributes:
      sha256: SHA-256 of the source's bytes; None if it could not be read.
      reason: reason of a reject; None for an example. The same holds for `detail` and `stage`.
      conflicts: categories with contradictory annotations.
      unknown: tags that the taxonomy does not have.
      redirected: earlier ids of tags that were replaced.
    """

    track_id: str
    uri: str
    sha256: str | None
    reason: str | None = None
    detail: str | None = None
    stage: str | None = None
    conflicts: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    redirected: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Self:
        """Reads an outcome from the JSON of its `dataclasses.asdict`."""
        lists = {name: tuple(obj.get(name, ())) for name in ("conflicts", "unknown", "redirected")}
        return cls(**{**obj, **lists})


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChunkReport:
    """The report of a finished chunk.

    Attributes:
      fingerprint: fingerprint of the chunk.
      split: split of its tracks.
      shard: its TFRecord file; None if no track has features.
      outcomes: outcomes of all its tracks, in their order.
      stats: sums over its examples and rejects.
    """

    fingerprint: str
    split: str
    shard: ShardEntry | None
    outcomes: tuple[TrackOutcome, ...]
    stats: DatasetStats

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "fingerprint": self.fingerprint,
            "split": self.split,
            "shard": None if self.shard is None else dataclasses.asdict(self.shard),
            "outcomes": [dataclasses.asdict(outcome) for outcome in self.outcomes],
            "stats": self.stats.to_json(),
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Self:
        """Reads the report that `to_json` wrote."""
        return cls(
            fingerprint=obj["fingerprint"],
            split=obj["split"],
            shard=None if obj["shard"] is None else ShardEntry(**obj["shard"]),
            outcomes=tuple(TrackOutcome.from_json(outcome) for outcome in obj["outcomes"]),
            stats=DatasetStats.from_json(obj["stats"]),
        )
