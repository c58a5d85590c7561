"""Counts the tracks of a snapshot that have some tags, bucket by bucket."""

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from transforms.table.reader import SnapshotReader


@dataclasses.dataclass(frozen=True, kw_only=True)
class TagHolders:
    """Numbers of tracks in any number of buckets.

    Attributes:
      tracks: tracks with at least one of the tags.
      by_tag: tag -> tracks that have it.
    """

    tracks: int
    by_tag: Counter[str]

    @classmethod
    def none(cls) -> Self:
        """No track."""
        return cls(tracks=0, by_tag=Counter())

    def __add__(self, other: Self) -> Self:
        return dataclasses.replace(self, tracks=self.tracks + other.tracks, by_tag=self.by_tag + other.by_tag)


def count_holders(snapshot: SnapshotReader, tags: Collection[str]) -> Iterator[TagHolders]:
    """Yields the numbers of each bucket. A track has its positive tags, whichever rows of `track_tags` are published.

    Raises:
      storage.StorageError: a file is missing, unreadable or damaged.
    """
    wanted = pa.array(sorted(tags), pa.string())
    for bucket in range(snapshot.buckets):
        tracks, by_tag = 0, Counter[str]()
        for batch in snapshot.batches("tracks", ["top_tags"], bucket=bucket):
            tag = pc.struct_field(pc.list_flatten(batch["top_tags"]), "tag")
            chosen = pc.is_in(tag, value_set=wanted)
            by_tag.update({row["values"]: row["counts"] for row in pc.value_counts(tag.filter(chosen)).to_pylist()})
            tracks += len(pc.unique(pc.list_parent_indices(batch["top_tags"]).filter(chosen)))
        yield TagHolders(tracks=tracks, by_tag=by_tag)
