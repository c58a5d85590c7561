"""Scores and positives of one bucket as matrices, read in batches."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

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


def present_ids(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Id of each tag that only the earlier snapshot has under this id -> its id in the later one, if that has the tag.

    Rows of the later snapshot name the ids that they replace. After a rollback, rows of the earlier one do: then a tag
    is followed if it replaced a single one. A tag that was split is not followed.

    Args:
      before: rows of `taxonomy` of the earlier snapshot.
      after: rows of the later snapshot.
    """
    sides = [{row["tag"]: row.get("other_ids") or () for row in rows} for rows in (before, after)]
    replaced = {old: [tag for tag, olds in sides[1].items() if old in olds] for old in sides[0] if old not in sides[1]}
    found = {old: tags[0] for old, tags in replaced.items() if len(tags) == 1}
    backwards = {
        tag: [old for old in olds if old in sides[1] and old not in sides[0]]
        for tag, olds in sides[0].items()
        if tag in replaced and tag not in found
    }
    claims = Counter(old for olds in backwards.values() for old in olds)
    single = {tag: olds[0] for tag, olds in backwards.items() if len(olds) == 1 and claims[olds[0]] == 1}
    return found | single


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ComparedTags:
    """The tags of both snapshots, joined by their ids and sorted by (category, tag).

    A tag that was renamed is one tag, and so are tags that were merged, see `present_ids`.

    Attributes:
      ids: tag ids, of the later snapshot if it has the tag.
      categories: category of each tag, in the later snapshot if it has the tag.
      before: threshold of each tag in the earlier snapshot; NaN if it has none.
      after: the same of the later snapshot.
      in_before: whether the earlier snapshot has the tag: bool [tags].
      in_after: the same of the later snapshot.
      present: id in the earlier snapshot -> id, for tags whose ids differ.
      ruled: whether the tag follows from a rule, in the later snapshot if it has the tag: bool [tags].
      same_rule: whether both snapshots have the same rule, or none: bool [tags].
    """

    ids: tuple[str, ...]
    categories: tuple[str, ...]
    before: npt.NDArray[np.float32]
    after: npt.NDArray[np.float32]
    in_before: npt.NDArray[np.bool_]
    in_after: npt.NDArray[np.bool_]
    present: Mapping[str, str]
    ruled: npt.NDArray[np.bool_]
    same_rule: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, before: pa.Table, after: pa.Table) -> Self:
        """Joins the `taxonomy` tables of two snapshots."""
        rows = [table.to_pylist() for table in (before, after)]
        present = present_ids(*rows)
        sides = [{row["tag"]: row for row in side} for side in rows]
        for old, tag in present.items():
            sides[0].setdefault(tag, sides[0][old])
            del sides[0][old]
        category = {tag: row["category"] for side in sides for tag, row in side.items()}
        ids = tuple(sorted(category, key=lambda tag: (category[tag], tag)))
        rules = [[(side.get(tag) or other[tag]).get("rule") for tag in ids] for side, other in (sides, sides[::-1])]
        return cls(
            ids=ids,
            categories=tuple(category[tag] for tag in ids),
            before=_thresholds(sides[0], ids),
            after=_thresholds(sides[1], ids),
            in_before=np.array([tag in sides[0] for tag in ids], bool),
            in_after=np.array([tag in sides[1] for tag in ids], bool),
            present=present,
            ruled=np.array([rule is not None for rule in rules[1]], bool),
            same_rule=np.array([old == new for old, new in zip(*rules, strict=True)], bool),
        )

    @property
    def side(self) -> tuple[str, ...]:
        """Which snapshots have each tag: `both`, `before` or `after`."""
        pairs = zip(self.in_before, self.in_after, strict=True)
        return tuple("both" if both == (True, True) else "before" if both[0] else "after" for both in pairs)

    @property
    def former(self) -> tuple[tuple[str, ...], ...]:
        """The other ids that each tag has in the earlier snapshot."""
        return tuple(tuple(sorted(old for old, new in self.present.items() if new == tag)) for tag in self.ids)


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


def read_scores(
    snapshot: SnapshotReader, bucket: int, tags: ComparedTags, tracks: pa.Array, *, is_earlier: bool
) -> TagScores:
    """Reads the bucket's `track_tags` of the given tracks. `is_earlier`: whether this is the earlier snapshot.

    Raises:
      TableError: a row has a tag that the taxonomy lacks, or a track that the ledger lacks.
      storage.StorageError: a file is missing, unreadable or damaged.
    """
    batches = snapshot.batches("track_tags", SCORE_COLUMNS, bucket=bucket)
    try:
        return scores_of(batches, tags, tracks, tags.present if is_earlier else {})
    except KeyError as error:
        number = snapshot.manifest.number
        raise TableError(
            f"{snapshot.root}: bucket {bucket} of snapshot {number} has {error.args[0]}: see what else is wrong with "
            f"`catalog-tagger verify --snapshot {number}`"
        ) from error


def scores_of(
    batches: Iterable[pa.RecordBatch], tags: ComparedTags, tracks: pa.Array, present: Mapping[str, str] | None = None
) -> TagScores:
    """The matrices of rows of `track_tags`.

    Args:
      batches: rows with the columns `SCORE_COLUMNS`.
      tags: gives the rows of the matrices.
      tracks: ids of the matrices' columns.
      present: id in the rows -> id in `tags`, where they differ. Of several rows of a track, the highest score counts.

    Raises:
      KeyError: a row has a tag or a track that is not among them.
    """
    names = [*tags.ids, *(present or {})]
    row = np.array([tags.ids.index((present or {}).get(name, name)) for name in names], np.int64)
    ids = pa.array(names, pa.string())
    scores = np.full(len(tags.ids) * len(tracks), NO_ROW, np.int16)
    positive = np.zeros(len(tags.ids) * len(tracks), bool)
    for batch in batches:
        cell = row[_places(batch["tag"], ids, "tag")] * len(tracks) + _places(batch["track_id"], tracks, "track")
        score, applies = np.rint(batch["score"].to_numpy() * UNIT), batch["is_positive"].to_numpy(zero_copy_only=False)
        if present:  # several rows may have one cell
            np.maximum.at(scores, cell, score.astype(np.int16))
            np.logical_or.at(positive, cell, applies)
        else:
            scores[cell], positive[cell] = score, applies
    shape = (len(tags.ids), len(tracks))
    return TagScores(scores=scores.reshape(shape), positive=positive.reshape(shape))


def _places(values: pa.Array, known: pa.Array, what: str) -> npt.NDArray[np.int64]:
    places = pc.index_in(values, value_set=known)
    if places.null_count:
        stranger = values.filter(pc.is_null(places))[0].as_py()
        raise KeyError(f"rows of the unknown {what} {stranger!r}")
    found: npt.NDArray[np.int64] = places.to_numpy().astype(np.int64)
    return found
