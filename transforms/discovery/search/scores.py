"""Scores of a request's terms for the tracks of one bucket.

The score of a track is the sum over the terms of

    weight x ln(q / (1 - q)),  q = 0.1 + 0.8 p,  p = the term's calibrated score

A term is a tag; p is the highest score among it and its narrower tags, so that a broad tag never counts less than what
it contains. 0.1 is the doubt that remains whatever the score: a score of 0 or 1 counts -2.20 or 2.20, so that no single
tag outweighs all others, and a higher score always counts more. `docs/quality.md` has the figures that it was chosen
by. A score that the table does not have counts as the greatest value that it can have: `min_score` of the snapshot, and
with `top_k` the lowest published score of the track's category; in both cases 0 if nothing is left out.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.discovery.search.vocabulary import Term
from transforms.table.reader import TRACK_ID, SnapshotReader

DOUBT = 0.1
"""How far the probability of a tag stays from 0 and 1."""

FORMULA = "sum of weight x ln(q / (1 - q)), q = 0.1 + 0.8 p, p = calibrated score"


def log_odds(scores: npt.NDArray[np.float64], doubt: float = DOUBT) -> npt.NDArray[np.float64]:
    """Log-odds of scores, with a doubt: 0 and 1 give the ends of a range.

    >>> log_odds(np.array([0.0, 0.5, 1.0])).round(2)
    array([-2.2,  0. ,  2.2])
    """
    q = doubt + (1 - 2 * doubt) * np.clip(scores, 0, 1)
    found: npt.NDArray[np.float64] = np.log(q) - np.log1p(-q)
    return found


GREATEST = float(log_odds(np.ones(1))[0])
"""The log-odds of a score of 1."""


TermRow = tuple[list[float], list[int], float | None]
"""Scores, best tags and cosine of one track, see `TermScores`."""


@dataclasses.dataclass(frozen=True)
class TermScores:
    """The terms' scores of some tracks.

    Attributes:
      scores: float64 [tracks, terms], 0 to 1.
      positive: bool [tracks, terms]: whether the term, or a narrower tag, is positive.
      best: which of the term's tags has the score, the first of equal ones: int64 [tracks, terms].
      cosines: of the tracks' sound and the text of the request: float64 [tracks], NaN for tracks that are not compared;
        None without a text.
    """

    scores: npt.NDArray[np.float64]
    positive: npt.NDArray[np.bool_]
    best: npt.NDArray[np.int64]
    cosines: npt.NDArray[np.float64] | None = None

    def row(self, track: int) -> TermRow:
        """Scores, best tags and cosine of one track."""
        cosine = None if self.cosines is None else float(self.cosines[track])
        return self.scores[track].tolist(), self.best[track].tolist(), cosine

    def kept(self, mask: npt.NDArray[np.bool_]) -> "TermScores":
        """Those of some of the tracks."""
        cosines = None if self.cosines is None else self.cosines[mask]
        return TermScores(self.scores[mask], self.positive[mask], self.best[mask], cosines)


class TrackTagScores(NamedTuple):
    """The scores of some tags of some tracks.

    Attributes:
      scores: float64 [tracks, tags], 0 to 1.
      positive: bool [tracks, tags].
      is_published: whether the table has the score: bool [tracks, tags].
    """

    scores: npt.NDArray[np.float64]
    positive: npt.NDArray[np.bool_]
    is_published: npt.NDArray[np.bool_]


def id_array(track_ids: pa.ChunkedArray | pa.Array | Sequence[str]) -> pa.Array:
    """Ids of tracks as one array of strings."""
    return pa.array(track_ids if isinstance(track_ids, Sequence) else track_ids.to_pylist(), pa.string())


class ScoreReader:
    """Reads the scores of terms from a snapshot, bucket by bucket.

    Attributes:
      tags: the different tags of the terms.
    """

    def __init__(self, snapshot: SnapshotReader, terms: Sequence[Term]) -> None:
        self._snapshot, self._terms = snapshot, terms
        self.tags = list(dict.fromkeys(tag for term in terms for tag in term.tags))
        options = snapshot.manifest.run.options
        self._least = float(options.get("min_score") or 0.0)
        self._has_top_k = options.get("top_k") is not None

    def read(self, track_ids: pa.ChunkedArray | pa.Array | Sequence[str], bucket: int | None) -> TermScores:
        """The scores of tracks, in their order.

        Args:
          track_ids: the tracks.
          bucket: the bucket that they all are in; None: any, then only files with these tracks are opened.

        Raises:
          StorageError: a file is missing or damaged.
        """
        tags = self.read_tags(track_ids, bucket)
        place = {tag: i for i, tag in enumerate(self.tags)}
        columns = [[place[tag] for tag in term.tags] for term in self._terms]
        size = (len(tags.scores), len(columns))
        found = TermScores(np.zeros(size), np.zeros(size, np.bool_), np.zeros(size, np.int64))
        for number, own in enumerate(columns):
            found.best[:, number] = tags.scores[:, own].argmax(axis=1)
            found.scores[:, number] = tags.scores[:, own].max(axis=1)
            found.positive[:, number] = tags.positive[:, own].any(axis=1)
        return found

    def read_tags(self, track_ids: pa.ChunkedArray | pa.Array | Sequence[str], bucket: int | None) -> TrackTagScores:
        """The scores of each of the tags, in the order of the tracks; see `read`."""
        ids = id_array(track_ids)
        shape = (len(ids), len(self.tags))
        scores, positive = np.full(shape, np.nan), np.zeros(shape, np.bool_)
        missing = self._fill(ids, bucket, scores, positive) if self.tags else np.zeros(shape, np.bool_)
        return TrackTagScores(scores, positive, ~missing)

    def _fill(
        self, ids: pa.Array, bucket: int | None, scores: npt.NDArray[np.float64], positive: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        """Fills in scores and whether they are positive; returns which scores the table does not have."""
        wanted = pa.array(self.tags, pa.string())
        categories = [tag.partition("/")[0] for tag in self.tags]
        names = list(dict.fromkeys(categories))
        lowest = np.full((len(ids), len(names)), np.inf)
        tracks = None if bucket is not None else ids
        for batch in self._snapshot.batches("track_tags", _COLUMNS, track_ids=tracks, bucket=bucket):
            if self._has_top_k:
                of = batch.filter(pc.and_(pc.is_in(batch["category"], value_set=pa.array(names)), _known(batch, ids)))
                where = (_places(of[TRACK_ID], ids), _places(of["category"], pa.array(names)))
                np.minimum.at(lowest, where, of["score"].to_numpy(zero_copy_only=False))
            own = batch.filter(pc.and_(pc.is_in(batch["tag"], value_set=wanted), _known(batch, ids)))
            where = (_places(own[TRACK_ID], ids), _places(own["tag"], wanted))
            # float32 multiples of 0.0001 become the nearest float64 ones.
            scores[where] = own["score"].to_numpy(zero_copy_only=False).astype(np.float64).round(4)
            positive[where] = own["is_positive"].to_numpy(zero_copy_only=False)
        bound = np.where(np.isfinite(lowest), lowest, 0.0)[:, [names.index(name) for name in categories]]
        missing = np.isnan(scores)
        scores[missing] = np.maximum(bound, self._least)[missing].round(4)
        return missing


_COLUMNS = [TRACK_ID, "category", "tag", "score", "is_positive"]


def _known(batch: pa.RecordBatch, ids: pa.Array) -> pa.Array:
    return pc.is_in(batch[TRACK_ID], value_set=ids)


def _places(values: pa.Array, among: pa.Array) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = pc.index_in(values, value_set=among).to_numpy(zero_copy_only=False).astype(np.int64)
    return found
