"""Scores and positives of one bucket as matrices, read in batches."""

import dataclasses
from collections.abc import Iterable
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.table.reader import SnapshotReader
from transforms.table.versions import TableError

UNIT = 10_000
"""Published scores are multiples of 1 / UNIT. Integers make sums independent of their order."""

NO_ROW = -1
SCORE_COLUMNS = ("track_id", "tag", "score", "is_positive")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ComparedTags:
    """The tags of both snapshots, joined by their ids and sorted by (category, tag).

    Attributes:
      ids: tag ids.
      categories: category of each tag, in the later snapshot if it has the tag.
      before: threshold of each tag in the earlier snapshot; NaN if it has none.
      after: the same of the later snapshot.
      in_before: whether the earlier snapshot has the tag: bool [tags].
      in_after: the same of the later snapshot.
    """

    ids: tuple[str, ...]
    categories: tuple[str, ...]
    before: npt.NDArray[np.float32]
    after: npt.NDArray[np.float32]
    in_before: npt.NDArray[np.bool_]
    in_after: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, before: pa.Table, after: pa.Table) -> Self:
        """Joins the `taxonomy` tables of two snapshots."""
        sides = [{row["tag"]: row for row in table.to_pylist()} for table in (before, after)]
        category = {tag: row["category"] for side in sides for tag, row in side.items()}
        ids = tuple(sorted(category, key=lambda tag: (category[tag], tag)))
        return cls(
            ids=ids,
            categories=tuple(category[tag] for tag in ids),
            before=_thresholds(sides[0], ids),
            after=_thresholds(sides[1], ids),
            in_before=np.array([tag in sides[0] for tag in ids], bool),
            in_after=np.array([tag in sides[1] for tag in ids], bool),
        )

    @property
    def side(self) -> tuple[str, ...]:
        """Which snapshots have each tag: `both`, `before` or `after`."""
        pairs = zip(self.in_before, self.in_after, strict=True)
        return tuple("both" if both == (True, True) else "before" if both[0] else "after" for both in pairs)


def _thresholds(rows: dict[str, dict[str, float | None]], ids: Iterable[str]) -> npt.NDArray[np.float32]:
    found = [rows.get(tag, {}).get("threshold") for tag in ids]
    return np.array([np.nan if threshold is None else threshold for threshold in found], np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TagScores:
    """What one snapshot says about the tags of some tracks.

    Attributes:
      scores: int16 [tags, tracks], in units of 1 / UNIT; `NO_ROW` if the track has no row of the tag.
      positive: bool [tags, tracks].
    """

    scores: npt.NDArray[np.int16]
    positive: npt.NDArray[np.bool_]


def read_scores(snapshot: SnapshotReader, bucket: int, tags: ComparedTags, tracks: pa.Array) -> TagScores:
    """Reads the bucket's `track_tags` of the given tracks.

    Raises:
      TableError: a row has a tag that the taxonomy lacks, or a track that the ledger lacks.
      storage.StorageError: a file is missing, unreadable or damaged.
    """
    batches = snapshot.batches("track_tags", SCORE_COLUMNS, bucket=bucket)
    try:
        return scores_of(batches, tags, tracks)
    except KeyError as error:
        number = snapshot.manifest.number
        raise TableError(
            f"{snapshot.root}: bucket {bucket} of snapshot {number} has {error.args[0]}: see what else is wrong with "
            f"`catalog-tagger verify --snapshot {number}`"
        ) from error


def scores_of(batches: Iterable[pa.RecordBatch], tags: ComparedTags, tracks: pa.Array) -> TagScores:
    """The matrices of rows of `track_tags`.

    Args:
      batches: rows with the columns `SCORE_COLUMNS`.
      tags: gives the rows of the matrices.
      tracks: ids of the matrices' columns.

    Raises:
      KeyError: a row has a tag or a track that is not among them.
    """
    ids = pa.array(tags.ids, pa.string())
    scores = np.full(len(ids) * len(tracks), NO_ROW, np.int16)
    positive = np.zeros(len(ids) * len(tracks), bool)
    for batch in batches:
        cell = _places(batch["tag"], ids, "tag") * len(tracks) + _places(batch["track_id"], tracks, "track")
        scores[cell] = np.rint(batch["score"].to_numpy() * UNIT)
        positive[cell] = batch["is_positive"].to_numpy(zero_copy_only=False)
    shape = (len(ids), len(tracks))
    return TagScores(scores=scores.reshape(shape), positive=positive.reshape(shape))


def _places(values: pa.Array, known: pa.Array, what: str) -> npt.NDArray[np.int64]:
    places = pc.index_in(values, value_set=known)
    if places.null_count:
        stranger = values.filter(pc.is_null(places))[0].as_py()
        raise KeyError(f"rows of the unknown {what} {stranger!r}")
    found: npt.NDArray[np.int64] = places.to_numpy().astype(np.int64)
    return found
