"""Searches a snapshot, bucket by bucket.

from transforms.discovery.search.engine import search_tracks
from transforms.discovery.search.request import SearchRequest
from transforms.table.reader import open_snapshot

answer = search_tracks(open_snapshot("demo/table"), SearchRequest(weights={"mood/calm": 0.8, "genre/techno": -1}))
for hit in answer.hits:
    print(hit.track_id, hit.score, hit.why())
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.discovery.search.best import BestTracks, Ranked
from transforms.discovery.search.conditions import Condition, conditions_of, tag_condition
from transforms.discovery.search.request import SearchRequest
from transforms.discovery.search.scores import ScoreReader, TermRow, TermScores, log_odds
from transforms.discovery.search.sounds import TEXT_TERM, Float64s, SoundComparison
from transforms.discovery.search.texts import RowMask, row_mask
from transforms.discovery.search.vocabulary import DiscoveryError, Term, Vocabulary, vocabulary_of
from transforms.discovery.search.words import WordMatch, read_words
from transforms.table.reader import TRACK_ID, SnapshotReader


@dataclasses.dataclass(frozen=True)
class Contribution:
    """What one term adds to the score of a track: `weight` times the log-odds of `score`.

    What the text of a request adds is one, too, see `transforms.discovery.search.sounds`.

    Attributes:
      term: label of the term; `text` for a text.
      tag: the tag that has the score: that of the term, or the best one of several or of narrower ones; `text`.
      score: calibrated score, 0 to 1; the cosine of a text, -1 to 1.
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
      emptied_by: why there are no hits, see `SearchPlan.emptied_by`.
      not_compared: tracks whose sound is not compared with the text of the request, see `SearchPlan.not_compared`.
    """

    hits: tuple[Hit, ...]
    tracks: int
    filters: tuple[FilterCount, ...]
    matches: tuple[WordMatch, ...]
    unmatched: tuple[str, ...]
    emptied_by: str | None
    not_compared: int = 0


def _emptied_by(filters: Sequence[FilterCount]) -> str | None:
    """A sentence on the first condition after which no track remained; None if tracks are left."""
    before = None
    for one in filters:
        if one.left == 0:
            rest = "no track" if one.alone == 0 else f"none of the remaining tracks ({one.alone} without the others)"
            return f"{one.label}: {rest} meets this condition" + (f", after {before}" if before and one.alone else "")
        before = one.label
    return None


def _no_meaning(request: SearchRequest, weights: Sequence[float]) -> str | None:
    """Why words and weights of a request rank nothing; None if they do, or if there are none."""
    if any(weights) or request.sounds_like or (request.words is None and not request.weights):
        return None
    if weights:
        return "all weights are 0, so no tag counts"
    return f"words {request.words!r}: no tag and no synonym has any of them"


class ScoredBucket(NamedTuple):
    """The tracks of a bucket that a plan ranks.

    Attributes:
      ids: of the tracks.
      totals: their scores: float64 [tracks]; minus infinity for tracks that are left out.
      row: number of a track -> its row of `TermScores`.
    """

    ids: pa.ChunkedArray
    totals: Float64s
    row: Callable[[int], TermRow]

    def only_behind(self, score: float, track_id: str) -> "ScoredBucket":
        """The tracks after one with this score and id."""
        equal = np.flatnonzero(self.totals == score)
        later = row_mask(pc.greater(self.ids.take(pa.array(equal)), track_id))
        totals = np.where(self.totals < score, self.totals, -np.inf)
        totals[equal[later]] = score
        return self._replace(totals=totals)


class SearchPlan:
    """A request, resolved for a snapshot: which terms are scored, and which conditions are tested.

    Args:
      columns: columns of `tracks` that `examine` returns with the ids.
      vocabulary: that of the snapshot, if the caller has it.

    Attributes:
      terms, weights: what ranks the tracks.
      sound: compares the tracks with the text of the request, which ranks them too; None without one.
      no_meaning: why words and weights of the request rank nothing, so that no track fits it; None if they do, or if it
        has conditions alone.
    """

    def __init__(
        self,
        snapshot: SnapshotReader,
        request: SearchRequest,
        columns: Sequence[str] = (),
        vocabulary: Vocabulary | None = None,
    ) -> None:
        self._wanted = [TRACK_ID, *columns]
        vocabulary = vocabulary_of(snapshot) if vocabulary is None else vocabulary
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
        musts = [tag_condition(vocabulary.find(tag), True) for tag in request.must]
        musts += [tag_condition(vocabulary.find(tag), False) for tag in request.must_not]
        self.conditions: list[Condition] = [*conditions_of(snapshot, request), *musts]
        self.terms = list(weighted)
        self.sound = None if request.sounds_like is None else SoundComparison(snapshot, request.sounds_like)
        self.no_meaning = _no_meaning(request, self.weights)
        self._scores = ScoreReader(snapshot, self.terms)
        self._alone = np.zeros(len(self.labels), np.int64)
        self._left = np.zeros(len(self.labels), np.int64)
        self.tracks = 0

    @property
    def labels(self) -> list[str]:
        """The conditions as a user reads them, in the order in which they are applied."""
        compared = [] if self.sound is None else [f"has an embedding of trunk {self.sound.name}"]
        return [*(condition.label for condition in self.conditions), *compared]

    @property
    def filters(self) -> tuple[FilterCount, ...]:
        """What the conditions have kept of the buckets that were examined. That tracks are compared with a text is one
        only if some are not.
        """
        rows = zip(self.labels, self._alone.tolist(), self._left.tolist(), strict=True)
        found = [FilterCount(*row) for row in rows]
        return tuple(found[: len(self.conditions)] if self.not_compared == 0 else found)

    @property
    def not_compared(self) -> int:
        """Tracks of the buckets that were examined whose embedding does not have the trunk of the request's text."""
        return 0 if self.sound is None else self.tracks - int(self._alone[-1])

    @property
    def emptied_by(self) -> str | None:
        """Why nothing is found: the request ranks by nothing, the buckets that were examined have no tracks, or the
        first condition after which none of them remained; None if tracks are left.
        """
        if self.no_meaning is None and self.tracks == 0:
            return f"snapshot {self.snapshot.manifest.number} has no tagged track"
        return self.no_meaning or _emptied_by(self.filters)

    def examine(self, bucket: int) -> tuple[pa.Table, TermScores]:
        """The tracks of a bucket that meet all conditions, with their scores of the weighted terms."""
        rows = self.snapshot.scan("tracks", self._columns(), bucket=bucket)
        found = self._read(rows[TRACK_ID], bucket)
        left = self._meeting(rows, bucket, found.cosines)
        kept = rows.select(self._wanted)
        if left.all():  # nothing is copied
            return kept, found
        return kept.filter(pa.array(left)), found.kept(left)

    def score(self, bucket: int) -> "ScoredBucket":
        """The scores of the tracks of a bucket that meet all conditions."""
        rows, found = self.examine(bucket)
        return ScoredBucket(rows[TRACK_ID], self.total(found), found.row)

    def _meeting(self, rows: pa.Table, bucket: int, cosines: Float64s | None) -> RowMask:
        """Which of the bucket's tracks meet all conditions, which are counted."""
        self.tracks += rows.num_rows
        masks = [self._mask(condition, rows, bucket) for condition in self.conditions]
        if cosines is not None:
            masks.append(np.isfinite(cosines))
        left = np.ones(rows.num_rows, np.bool_)
        for number, mask in enumerate(masks):
            left &= mask
            self._alone[number] += int(mask.sum())
            self._left[number] += int(left.sum())
        return left

    def _mask(self, condition: Condition, rows: pa.Table, bucket: int) -> RowMask:
        """Which of the bucket's tracks meet a condition."""
        return condition.mask(rows)

    def _columns(self) -> list[str] | None:
        if any(condition.columns is None for condition in self.conditions):
            return None
        needed = (name for condition in self.conditions for name in condition.columns or ())
        return list(dict.fromkeys([*self._wanted, *needed]))

    def _read(self, track_ids: pa.ChunkedArray | Sequence[str], bucket: int | None) -> TermScores:
        """The scores of tracks in their order, with their cosines if the request has a text."""
        found = self._scores.read(track_ids, bucket)
        if self.sound is None:
            return found
        return dataclasses.replace(found, cosines=self.sound.cosines(track_ids, bucket))

    def total(self, scores: TermScores) -> Float64s:
        """The score of each track, float64 [tracks], rounded to 1e-9: terms are added in their order, so that the same
        scores give the same sum, also in the page of an export.
        """
        total = np.zeros(len(scores.scores))
        for weight, column in zip(self.weights, log_odds(scores.scores).T, strict=True):
            total += weight * column
        if self.sound is not None and scores.cosines is not None:
            total += self.sound.values(scores.cosines)
        return total.round(9)

    def hits_of(self, track_ids: Sequence[str]) -> list[Hit]:
        """The scores of some tracks, in their order, whether or not they meet the conditions."""
        scores = self._read(track_ids, None)
        pairs = enumerate(zip(track_ids, self.total(scores).tolist(), strict=True))
        return [Hit(track, total, self.contributions(*scores.row(i))) for i, (track, total) in pairs]

    def contributions(
        self, scores: Sequence[float], best: Sequence[int], cosine: float | None = None
    ) -> tuple[Contribution, ...]:
        """The contributions to the score of one track, from a row of `TermScores`, the largest first."""
        odds = log_odds(np.array(scores, np.float64))
        found = [
            Contribution(term.label, term.tags[tag], weight, float(score), float(weight * value))
            for term, tag, weight, score, value in zip(self.terms, best, self.weights, scores, odds, strict=True)
        ]
        if self.sound is not None and cosine is not None and np.isfinite(cosine):
            value = float(self.sound.values(np.array([cosine]))[0])
            found.append(Contribution(TEXT_TERM, TEXT_TERM, 1.0, cosine, value))
        return tuple(sorted(found, key=lambda one: -abs(one.value)))


def search_tracks(snapshot: SnapshotReader, request: SearchRequest) -> SearchAnswer:
    """The best tracks of a snapshot for a request. One bucket is in memory at a time.

    Raises:
      DiscoveryError: nothing is asked, or the request names what the snapshot does not have.
      StorageError: a file is missing or damaged.
    """
    return answer_of(SearchPlan(snapshot, request), request)


def answer_of(plan: SearchPlan, request: SearchRequest, check: Callable[[], None] = lambda: None) -> SearchAnswer:
    """The answer of a plan, which was made for the request.

    Args:
      check: called before each bucket; what it raises ends the search.

    Raises:
      DiscoveryError: nothing is asked.
    """
    if request.is_empty:
        raise DiscoveryError("nothing is asked: give words, tags with weights, or conditions")
    if plan.no_meaning is not None:
        return SearchAnswer((), 0, (), tuple(plan.matches), tuple(plan.unmatched), plan.no_meaning)
    hits = tuple(best_hits(plan, request.limit, check=check))
    words = tuple(plan.matches), tuple(plan.unmatched)
    return SearchAnswer(hits, plan.tracks, plan.filters, *words, plan.emptied_by, plan.not_compared)


RowsAllowed = Callable[[int], RowMask | None]
"""Bucket -> which of its tracks, in the order of their ids, may be found; None: all. Only for plans without conditions,
or whose `score` has the ids of all tracks."""


def best_hits(
    plan: SearchPlan,
    limit: int,
    *,
    allowed: RowsAllowed = lambda bucket: None,
    behind: tuple[float, str] | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[Hit]:
    """The tracks of a plan with the highest scores; equal scores are in the order of their ids.

    Args:
      plan: its conditions are applied.
      limit: most tracks.
      allowed: further limits the tracks.
      behind: score and id of a track: only tracks after it are found.
      check: called before each bucket; what it raises ends the search.
    """
    best: BestTracks[TermRow] = BestTracks(limit)
    for bucket in range(plan.snapshot.buckets):
        check()
        found = plan.score(bucket)
        if (mask := allowed(bucket)) is not None:
            found = found._replace(totals=np.where(mask, found.totals, -np.inf))
        if behind is not None:
            found = found.only_behind(*behind)
        chosen = best.candidates(found.totals)
        ids = found.ids.take(pa.array(chosen)).to_pylist()
        pairs = zip(ids, chosen.tolist(), strict=True)
        best.add([Ranked(one, float(found.totals[n]), found.row(n)) for one, n in pairs])
    return [Hit(one.track_id, one.score, plan.contributions(*one.facts)) for one in best.ranked()]
