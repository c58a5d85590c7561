"""Searches a snapshot, bucket by bucket.

from transforms.discovery.search.engine import search_tracks
from transforms.discovery.search.request import SearchRequest
from transforms.table.reader import open_snapshot

answer = search_tracks(open_snapshot("demo/table"), SearchRequest(weights={"mood/calm": 0.8, "genre/techno": -1}))
for hit in answer.hits:
    print(hit.track_id, hit.score, hit.why())
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from transforms.discovery.search.best import BestTracks, Ranked
from transforms.discovery.search.conditions import Condition, RowMask, conditions_of
from transforms.discovery.search.request import SearchRequest
from transforms.discovery.search.scores import ScoreReader, TermScores, log_odds
from transforms.discovery.search.vocabulary import DiscoveryError, Term, vocabulary_of
from transforms.discovery.search.words import WordMatch, read_words
from transforms.table.reader import TRACK_ID, SnapshotReader


@dataclasses.dataclass(frozen=True)
class Contribution:
    """What one term adds to the score of a track: `weight` times the log-odds of `score`.

    Attributes:
      term: label of the term.
      tag: the tag that has the score: that of the term, or the best one of several or of narrower ones.
    """

    term: str
    tag: str
    weight: float
    score: float
    value: float


@dataclasses.dataclass(frozen=True)
class Hit:
    """A track of an answer, with the contributions in order of their size."""

    track_id: str
    score: float
    contributions: tuple[Contribution, ...]

    def why(self) -> str:
        """The contributions as one line: `mood/calm 0.93 +2.07, genre/metal 0.02 +3.89`."""
        return ", ".join(f"{one.tag} {one.score:.2f} {one.value:+.2f}" for one in self.contributions)


@dataclasses.dataclass(frozen=True)
class FilterCount:
    """How many tracks a condition keeps by itself, and after the conditions before it."""

    label: str
    alone: int
    left: int


@dataclasses.dataclass(frozen=True)
class SearchAnswer:
    """The answer of a search.

    Attributes:
      hits: the best tracks; equal scores are in the order of their ids.
      tracks: tracks of the snapshot.
      filters: the conditions in the order in which they are applied.
      matches: what the plain words stand for.
      unmatched: words that stand for nothing.
    """

    hits: tuple[Hit, ...]
    tracks: int
    filters: tuple[FilterCount, ...]
    matches: tuple[WordMatch, ...]
    unmatched: tuple[str, ...]

    @property
    def emptied_by(self) -> str | None:
        """Why nothing is left: the first condition after which no track remained; None if tracks are left."""
        return emptied_by(self.filters)


def emptied_by(filters: Sequence[FilterCount]) -> str | None:
    """A sentence on the first condition after which no track remained; None if tracks are left."""
    before = None
    for one in filters:
        if one.left == 0:
            rest = "no track" if one.alone == 0 else f"none of the remaining tracks ({one.alone} without the others)"
            return f"{one.label}: {rest} meets this condition" + (f", after {before}" if before and one.alone else "")
        before = one.label
    return None


class SearchPlan:
    """A request, resolved for a snapshot: which terms are scored, and which conditions are tested.

    Args:
      columns: columns of `tracks` that `examine` returns with the ids.
    """

    def __init__(self, snapshot: SnapshotReader, request: SearchRequest, columns: Sequence[str] = ()) -> None:
        self._wanted = [TRACK_ID, *columns]
        vocabulary = vocabulary_of(snapshot)
        matches, self.unmatched = ([], []) if request.words is None else read_words(request.words, vocabulary)
        self.snapshot, self.matches = snapshot, matches
        weighted: dict[Term, float] = {}
        for tag, weight in request.weights.items():
            term = vocabulary.find(tag)
            if term in weighted:
                raise DiscoveryError(f"tag {tag}: {term.label} has a weight already: give each tag once")
            weighted[term] = weight
        for match in sorted(matches, key=lambda one: -abs(one.weight)):  # a name counts before a synonym
            weighted.setdefault(match.term, match.weight)
        self.weights = list(weighted.values())
        self._must = [(vocabulary.find(tag), True) for tag in request.must]
        self._must += [(vocabulary.find(tag), False) for tag in request.must_not]
        self.conditions: list[Condition] = conditions_of(snapshot, request)
        self.terms = list(weighted)
        self._scores = ScoreReader(snapshot, [*self.terms, *(term for term, _ in self._must)])
        self._alone = np.zeros(len(self.labels), np.int64)
        self._left = np.zeros(len(self.labels), np.int64)
        self.tracks = 0

    @property
    def labels(self) -> list[str]:
        """The conditions as a user reads them, in the order in which they are applied."""
        musts = [f"{'has' if wanted else 'has not'} {term.label}" for term, wanted in self._must]
        return [*(condition.label for condition in self.conditions), *musts]

    @property
    def filters(self) -> tuple[FilterCount, ...]:
        """What the conditions have kept of the buckets that were examined."""
        rows = zip(self.labels, self._alone.tolist(), self._left.tolist(), strict=True)
        return tuple(FilterCount(*row) for row in rows)

    def examine(self, bucket: int) -> tuple[pa.Table, TermScores]:
        """The tracks of a bucket that meet all conditions, with their scores of the weighted terms."""
        rows = self.snapshot.scan("tracks", self._columns(), bucket=bucket)
        self.tracks += rows.num_rows
        masks: list[RowMask] = [condition.mask(rows) for condition in self.conditions]
        found = self._scores.read(rows[TRACK_ID], bucket)
        count = len(self.terms)
        masks += [found.positive[:, count + i] == wanted for i, (_, wanted) in enumerate(self._must)]
        left = np.ones(rows.num_rows, np.bool_)
        for number, mask in enumerate(masks):
            left &= mask
            self._alone[number] += int(mask.sum())
            self._left[number] += int(left.sum())
        kept = rows.select(self._wanted)
        scores, positive, best = found.scores[:, :count], found.positive[:, :count], found.best[:, :count]
        if left.all():  # nothing is copied
            return kept, TermScores(scores, positive, best)
        return kept.filter(pa.array(left)), TermScores(scores[left], positive[left], best[left])

    def _columns(self) -> list[str] | None:
        if any(condition.columns is None for condition in self.conditions):
            return None
        needed = (name for condition in self.conditions for name in condition.columns or ())
        return list(dict.fromkeys([*self._wanted, *needed]))

    def total(self, scores: TermScores) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The score of each track, float64 [tracks]: terms are added in their order, so that the sum is exact again."""
        total = np.zeros(len(scores.scores))
        for weight, column in zip(self.weights, log_odds(scores.scores).T, strict=True):
            total += weight * column
        return total

    def contributions(self, scores: Sequence[float], best: Sequence[int]) -> tuple[Contribution, ...]:
        """The contributions to the score of one track, from a row of `TermScores`, the largest first."""
        odds = log_odds(np.array(scores, np.float64))
        found = [
            Contribution(term.label, term.tags[tag], weight, float(score), float(weight * value))
            for term, tag, weight, score, value in zip(self.terms, best, self.weights, scores, odds, strict=True)
        ]
        return tuple(sorted(found, key=lambda one: -abs(one.value)))


def search_tracks(snapshot: SnapshotReader, request: SearchRequest) -> SearchAnswer:
    """The best tracks of a snapshot for a request. One bucket is in memory at a time.

    Raises:
      DiscoveryError: nothing is asked, or the request names what the snapshot does not have.
      StorageError: a file is missing or damaged.
    """
    if request.is_empty:
        raise DiscoveryError("nothing is asked: give words, tags with weights, or conditions")
    plan = SearchPlan(snapshot, request)
    best: BestTracks[tuple[list[float], list[int]]] = BestTracks(request.limit)
    for bucket in range(snapshot.buckets):
        rows, scores = plan.examine(bucket)
        totals = plan.total(scores)
        chosen = best.candidates(totals)
        ids = rows[TRACK_ID].take(pa.array(chosen)).to_pylist()
        best.add([Ranked(ids[n], float(totals[i]), scores.row(i)) for n, i in enumerate(chosen)])
    hits = tuple(Hit(one.track_id, one.score, plan.contributions(*one.facts)) for one in best.ranked())
    return SearchAnswer(hits, plan.tracks, plan.filters, tuple(plan.matches), tuple(plan.unmatched))
