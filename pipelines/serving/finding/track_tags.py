"""The rows of `track_tags` of one track: what a bucket has beside its scores stays in the cache, by track.

In the files, the rows of a bucket are sorted by tag, so that those of one track are everywhere: a query reads the ids
of all rows of the bucket for each request.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.serving.finding.scores import SCORE_STEPS, BucketScores, all_tags, kept_scores, scores_fit
from pipelines.serving.rows import row_place
from pipelines.serving.snapshots import JsonRow, OpenSnapshot
from pipelines.terminal.printing import plain_value
from transforms.formats.arrow import one_array
from transforms.formats.hashing import bucket_of
from transforms.table.reader import TRACK_ID, SnapshotReader

_OWN = ("category", "tag", "score", "rank", "is_positive")
"""Columns that follow from the tag, the scores and the ranks."""

_SAME = "score"
"""In place of values: they are the scores."""

Values = Any
"""An Arrow array, or `_SAME`."""


@dataclasses.dataclass(frozen=True, eq=False)
class BucketTags:
    """Ranks and further columns of a bucket's rows of `track_tags`.

    Attributes:
      ranks: of the tags of a track in their category; 0: the row is not published: uint8 or uint16 [tracks, tags].
      columns: column -> for each tag, its values by track, in few bytes where they are equal; `_SAME`.
    """

    ranks: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    columns: Mapping[str, Sequence[Values]]

    @classmethod
    def read(cls, snapshot: SnapshotReader, bucket: int, tags: Sequence[str]) -> "BucketTags":
        """Reads the rows of a bucket."""
        ids = one_array(SnapshotReader.scan(snapshot, "tracks", [TRACK_ID], bucket=bucket)[TRACK_ID])
        rows = SnapshotReader.scan(snapshot, "track_tags", bucket=bucket).combine_chunks()
        ranks = np.zeros((len(ids), len(tags)), np.uint16)
        further = [name for name in rows.column_names if name not in (TRACK_ID, *_OWN)]
        columns: dict[str, list[Values]] = {name: [] for name in further}
        places = np.asarray(pc.index_in(rows["tag"], value_set=pa.array(tags, pa.string())))
        order = np.argsort(places, kind="stable")
        firsts = np.searchsorted(places[order], np.arange(len(tags) + 1))
        for tag in range(len(tags)):
            own = rows.take(pa.array(order[firsts[tag] : firsts[tag + 1]]))
            tracks = pc.index_in(own[TRACK_ID], value_set=ids)
            ranks[np.asarray(tracks), tag] = own["rank"]
            by_track = np.full(len(ids), -1)
            by_track[np.asarray(tracks)] = np.arange(len(own))
            for name in further:
                columns[name].append(_packed(own, name, by_track))
        return cls(ranks.astype(np.min_scalar_type(int(ranks.max(initial=0)))), columns)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        values = [one for own in self.columns.values() for one in own if not isinstance(one, str)]
        return self.ranks.nbytes + sum(int(one.nbytes) for one in values)

    def rows(self, track: int, scores: BucketScores, schema: pa.Schema, tags: Sequence[str]) -> list[JsonRow]:
        """The published rows of a track, without its id, by category and rank."""
        ranks, steps, positive = self.ranks[track].tolist(), scores.of_track(track).tolist(), scores.positive(track)
        kinds, found = {name: schema.field(name).type for name in self.columns}, []
        for n in np.flatnonzero(self.ranks[track]).tolist():
            score = steps[n] / SCORE_STEPS
            own = {"category": tags[n].partition("/")[0], "tag": tags[n], "score": score, "rank": ranks[n]}
            own["is_positive"] = bool(positive[n])
            for name, values in self.columns.items():
                value = values[n]
                own[name] = score if isinstance(value, str) else plain_value(value[track].as_py(), kinds[name])
            found.append({name: own[name] for name in schema.names if name != TRACK_ID})
        found.sort(key=lambda row: (row["category"], row["rank"], row["tag"]))
        return found


def _packed(rows: pa.Table, name: str, by_track: npt.NDArray[np.int64]) -> Values:
    """A column of the rows of a tag by track: as runs of equal values if they take less."""
    if rows[name].equals(rows[_SAME]):
        return _SAME
    values = one_array(rows[name]).take(pa.array(by_track, mask=by_track < 0))
    if pa.types.is_nested(values.type):
        return values
    runs = pc.run_end_encode(values)
    return runs if runs.nbytes < values.nbytes else values


def kept_tags(opened: OpenSnapshot, bucket: int) -> BucketTags:
    """The ranks and further columns of a bucket, from the cache."""
    tags = list(all_tags(opened))
    key = ("tags", bucket, tuple(tags), *opened.reader.manifest.content("track_tags", bucket))
    return opened.reader.kept.get(key, lambda: BucketTags.read(opened.reader, bucket, tags), lambda own: own.nbytes)


def tags_of_tracks(opened: OpenSnapshot, track_ids: Sequence[str]) -> dict[str, list[JsonRow]]:
    """Id -> the published rows of `track_tags` of the track, without the id, by category and rank; none if it is
    unknown.

    Raises:
      Problem: a query reached a limit, or the table cannot be read.
    """
    if not scores_fit(opened):
        return _queried(opened, track_ids)
    reader, tags, schema = opened.reader, list(all_tags(opened)), opened.reader.schema("track_tags")
    found: dict[str, list[JsonRow]] = {}
    for track_id in track_ids:
        bucket = bucket_of(track_id, reader.buckets)
        place = row_place(reader.bucket_ids(bucket), track_id)
        scores = kept_scores(reader, bucket, tags)
        found[track_id] = [] if place is None else kept_tags(opened, bucket).rows(place, scores, schema, tags)
    return found


def _queried(opened: OpenSnapshot, track_ids: Sequence[str]) -> dict[str, list[JsonRow]]:
    """As `tags_of_tracks`, by one query. One bucket is read for one track."""
    view = "track_tags"
    if len(track_ids) == 1:
        view = opened.bucket_view(view, bucket_of(track_ids[0], opened.reader.buckets))
    sql = f"SELECT * FROM {view} WHERE list_contains(?, track_id) ORDER BY track_id, category, rank, tag"
    found: dict[str, list[JsonRow]] = {one: [] for one in track_ids}
    for row in opened.fetch(sql, [list(track_ids)]) if track_ids else ():
        found[row.pop("track_id")].append(row)
    return found
