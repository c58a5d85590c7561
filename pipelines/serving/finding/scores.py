"""Scores of all tags of a bucket's tracks, which stay in the cache with two bytes for each score."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.serving.rows import KeptReader
from pipelines.serving.snapshots import OpenSnapshot
from pipelines.serving.vocabulary import taxonomy_rows_of
from transforms.discovery.search.scores import ScoreReader
from transforms.discovery.search.texts import RowMask
from transforms.discovery.search.vocabulary import Term
from transforms.formats.arrow import one_array
from transforms.table.reader import TRACK_ID, SnapshotReader

SCORE_STEPS = 10_000
"""Published scores are multiples of 1 / 10,000."""

_PUBLISHED, _POSITIVE = 1 << 15, 1
_SCORES = (np.arange(SCORE_STEPS + 1) / SCORE_STEPS).astype(np.float32)

Steps = npt.NDArray[np.uint16]
_BYTES = np.dtype(np.uint16).itemsize
"""Bytes of a score."""


@dataclasses.dataclass(frozen=True, eq=False)
class BucketScores:
    """The scores of a bucket's tracks, in the order of their ids.

    Attributes:
      packed: uint16 [tracks, tags], those of a tag in a row in memory. From the highest bit on: whether the score is
        published; the score in steps of 1 / 10,000 (14 bits), of an unpublished one the greatest that it can be;
        whether the tag is positive, which `tracks` says of unpublished ones too.
    """

    packed: Steps

    @classmethod
    def read(cls, snapshot: SnapshotReader, bucket: int, tags: Sequence[str]) -> "BucketScores":
        """Reads the scores of some tags."""
        rows = SnapshotReader.scan(snapshot, "tracks", [TRACK_ID, "top_tags"], bucket=bucket)
        found = ScoreReader(snapshot, [Term(tag, (tag,)) for tag in tags]).read_tags(rows[TRACK_ID], bucket)
        lists = one_array(rows["top_tags"])
        places = pc.index_in(pc.list_flatten(lists).field("tag"), value_set=pa.array(tags, pa.string()))
        packed = np.round(found.scores * SCORE_STEPS).astype(np.uint16) << 1
        packed[found.is_published] |= _PUBLISHED
        packed[np.asarray(pc.list_parent_indices(lists)), np.asarray(places)] |= _POSITIVE
        return cls(np.asfortranarray(packed))

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.packed.nbytes

    def __len__(self) -> int:
        return len(self.packed)

    def steps(self, tag: int) -> Steps:
        """The scores of a tag in steps of 1 / 10,000: uint16 [tracks]."""
        found: Steps = (self.packed[:, tag] & np.uint16(_PUBLISHED - 1)) >> np.uint16(1)
        return found

    def of_track(self, track: int) -> Steps:
        """The scores of a track in steps of 1 / 10,000: uint16 [tags]."""
        found: Steps = (self.packed[track] & np.uint16(_PUBLISHED - 1)) >> np.uint16(1)
        return found

    def positive(self, track: int) -> RowMask:
        """Which tags of a track are positive: bool [tags]."""
        found: RowMask = self.packed[track] & _POSITIVE != 0
        return found

    def has(self, tags: Sequence[int], least: float | None) -> RowMask:
        """Which tracks have one of some tags, as `has_tag` in SQL tells it: bool [tracks].

        Args:
          least: the published score is this or more; None: the tag is positive.
        """
        found = np.zeros(len(self), np.bool_)
        bound = None if least is None else _PUBLISHED | int(np.searchsorted(_SCORES, np.float32(least))) << 1
        for tag in tags:
            own = self.packed[:, tag]
            found |= own & _POSITIVE != 0 if bound is None else own >= bound
        return found


def all_tags(opened: OpenSnapshot) -> dict[str, int]:
    """The tags of a snapshot -> their columns of `BucketScores.packed`."""
    return opened.kept("columns of tags", lambda: {tag: n for n, tag in enumerate(taxonomy_rows_of(opened))})


def kept_scores(snapshot: KeptReader, bucket: int, tags: Sequence[str]) -> BucketScores:
    """The scores of all tags of a bucket, from the cache."""
    key = ("scores", bucket, tuple(tags), *snapshot.manifest.content("track_tags", bucket))
    return snapshot.kept.get(key, lambda: BucketScores.read(snapshot, bucket, tags), lambda own: own.nbytes)


def scores_fit(opened: OpenSnapshot) -> bool:
    """Whether all scores of a snapshot fit into half of the cache."""
    needed = opened.reader.manifest.rows("tracks") * len(all_tags(opened)) * _BYTES
    return needed <= opened.reader.kept.most // 2
