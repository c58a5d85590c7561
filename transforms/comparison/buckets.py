"""Compares two snapshots of a table, several buckets at a time. Memory is that of these buckets."""

import collections
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.comparison.scores import ComparedTags, read_scores
from transforms.comparison.tag_changes import TagChanges, compare_tags
from transforms.comparison.track_changes import (
    LEDGER_COLUMNS,
    AlignedLedgers,
    TrackCounts,
    aligned,
    differing,
    track_rows,
)
from transforms.table.reader import SnapshotReader

WORKERS = 8
"""Greatest number of buckets that are compared at the same time."""

NOT_METADATA = frozenset({"track_id", "top_tags", "tagger_id"})
"""Columns of `tracks` that follow from the tags, or are compared otherwise."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class BucketDifference(NamedTuple):
    """What differs in one bucket: rows of `DIFF_TRACKS`, and sums."""

    rows: pa.Table
    tracks: TrackCounts
    tags: TagChanges


class Pair(NamedTuple):
    """Two snapshots of a table that are compared."""

    before: SnapshotReader
    after: SnapshotReader

    def tags(self) -> ComparedTags:
        """The tags of both."""
        return ComparedTags.of(self.before.scan("taxonomy"), self.after.scan("taxonomy"))

    def metadata(self) -> list[str]:
        """Columns of `tracks` that both have with the same type, or of which one side has no value at all."""
        before, after = self.before.schema("tracks"), self.after.schema("tracks")
        shared = [name for name in after.names if name in before.names and name not in NOT_METADATA]
        types = {name: (before.field(name).type, after.field(name).type) for name in shared}
        return [name for name, (old, new) in types.items() if old == new or pa.null() in (old, new)]

    def equal(self, name: str, bucket: int) -> bool:
        """Whether both have the same rows of a table in a bucket, according to the digests of their files."""
        return self.before.manifest.content(name, bucket) == self.after.manifest.content(name, bucket)


def compare(pair: Pair, workers: int = 1) -> Iterator[BucketDifference]:
    """Yields the differences of each bucket, in the order of the buckets.

    Raises:
      TableError: a row has a tag or a track that its snapshot does not know.
      storage.StorageError: a file is missing, unreadable or damaged.
    """
    tags, metadata = pair.tags(), pair.metadata()
    yield from _in_order(
        lambda bucket: compare_bucket(pair, bucket, tags, metadata),
        range(pair.before.buckets),
        min(workers, WORKERS),
    )


def compare_bucket(pair: Pair, bucket: int, tags: ComparedTags, metadata: list[str]) -> BucketDifference:
    """Compares one bucket. A table whose rows are equal is read once."""
    before, after = pair
    ledgers = AlignedLedgers.of(*(side.scan("ledger", LEDGER_COLUMNS, bucket=bucket) for side in pair))
    scores = read_scores(before, bucket, tags, ledgers.tracks, is_earlier=True)
    same = pair.equal("track_tags", bucket) and not tags.present
    later = scores if same else read_scores(after, bucket, tags, ledgers.tracks, is_earlier=False)
    common = ledgers.tagged(ledgers.before) & ledgers.tagged(ledgers.after)
    compared = compare_tags(scores, later, common, tags.in_before & tags.in_after)
    other = common & _other_metadata(pair, bucket, metadata, ledgers.tracks)
    rows, counts = track_rows(ledgers, other, compared, tags.ids)
    return BucketDifference(rows, counts, compared.changes)


def _other_metadata(pair: Pair, bucket: int, columns: list[str], tracks: pa.Array) -> npt.NDArray[np.bool_]:
    if pair.equal("tracks", bucket):
        return np.zeros(len(tracks), bool)
    sides = [aligned(side.scan("tracks", ["track_id", *columns], bucket=bucket), tracks) for side in pair]
    return differing(sides[0], sides[1], columns)


def _in_order(work: Callable[[_Item], _Result], items: Iterable[_Item], workers: int) -> Iterator[_Result]:
    """Yields the results in order. No more than `workers` and one are begun ahead of the reader."""
    waiting: collections.deque[concurrent.futures.Future[_Result]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
