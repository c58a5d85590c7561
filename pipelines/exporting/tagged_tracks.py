"""Tracks with their positive tags, bucket by bucket."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from transforms.table.reader import TRACK_ID, SnapshotReader


class PositiveTag(NamedTuple):
    """A positive tag of a track: its id, category, display name and score."""

    tag: str
    category: str
    name: str
    score: float


class TaggedTrack(NamedTuple):
    """A track with its row of `tracks`, where its audio is, and its positive tags, the best score first."""

    track_id: str
    uri: str
    facts: Mapping[str, Any]
    tags: list[PositiveTag]

    def names(self) -> dict[str, list[str]]:
        """Category -> display names of its positive tags."""
        found: dict[str, list[str]] = defaultdict(list)
        for tag in self.tags:
            found[tag.category].append(tag.name)
        return found


def tagged_tracks(snapshot: SnapshotReader, tags: Sequence[str], columns: Sequence[str] = ()) -> Iterator[TaggedTrack]:
    """Yields all tracks, bucket by bucket and sorted by id inside a bucket. One bucket is in memory at a time.

    Args:
      snapshot: where they are.
      tags: the tags that are of interest.
      columns: columns of `tracks` that are read; those that a snapshot lacks are left out.

    Raises:
      StorageError: a file is missing or damaged.
    """
    known = snapshot.scan("taxonomy", ["tag", "name"])
    names = dict(zip(known["tag"].to_pylist(), known["name"].to_pylist(), strict=True))
    have = [name for name in columns if name in snapshot.schema("tracks").names]
    for bucket in range(snapshot.buckets):
        uris = snapshot.scan("ledger", [TRACK_ID, "uri"], bucket=bucket)
        places = dict(zip(uris[TRACK_ID].to_pylist(), uris["uri"].to_pylist(), strict=True))
        positive = _positive(snapshot, pa.array(tags, pa.string()), bucket, names)
        for row in snapshot.scan("tracks", [TRACK_ID, *have], bucket=bucket).to_pylist():
            track_id = row[TRACK_ID]
            yield TaggedTrack(track_id, places[track_id], row, positive.get(track_id, []))


def _positive(
    snapshot: SnapshotReader, wanted: pa.Array, bucket: int, names: Mapping[str, str]
) -> dict[str, list[PositiveTag]]:
    found: dict[str, list[PositiveTag]] = defaultdict(list)
    columns = [TRACK_ID, "category", "tag", "score", "is_positive"]
    for batch in snapshot.batches("track_tags", columns, bucket=bucket):
        kept = batch.filter(pc.and_(batch["is_positive"], pc.is_in(batch["tag"], value_set=wanted)))
        for track_id, category, tag, score, _ in zip(*(column.to_pylist() for column in kept.columns), strict=True):
            found[track_id].append(PositiveTag(tag, category, names.get(tag, tag), score))
    for tags in found.values():
        tags.sort(key=lambda tag: (-tag.score, tag.tag))
    return found
