"""Weighted search for many requests: scores of all tags and the words of all texts stay in the cache."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.serving.finding.deadlines import Deadline
from pipelines.serving.finding.scores import SCORE_STEPS, BucketScores, all_tags, kept_scores, scores_fit
from pipelines.serving.finding.texts import text_index
from pipelines.serving.snapshots import OpenSnapshot
from pipelines.serving.vocabulary import kept_vocabulary
from transforms.discovery.search.conditions import Condition
from transforms.discovery.search.engine import ScoredBucket, SearchAnswer, SearchPlan, answer_of
from transforms.discovery.search.request import SearchRequest
from transforms.discovery.search.scores import TermRow, log_odds
from transforms.discovery.search.sounds import Float64s
from transforms.discovery.search.texts import RowMask
from transforms.table.reader import TRACK_ID

_LOG_ODDS = log_odds(np.arange(SCORE_STEPS + 1) / SCORE_STEPS)
"""Log-odds of each score that there can be."""


class KeptPlan(SearchPlan):
    """A plan whose texts come from the cache, and its scores too if those of the snapshot fit."""

    def __init__(self, opened: OpenSnapshot, request: SearchRequest) -> None:
        super().__init__(opened.reader, request, vocabulary=kept_vocabulary(opened))
        self._reader, self._are_kept = opened.reader, scores_fit(opened)
        self._places = all_tags(opened)
        self.conditions = [
            dataclasses.replace(one, columns=()) if self._is_kept(one) else one for one in self.conditions
        ]
        self._term_places = [[self._places[tag] for tag in term.tags] for term in self.terms]
        self._values = [weight * _LOG_ODDS for weight in self.weights]

    def _is_kept(self, condition: Condition) -> bool:
        return bool(condition.words) or (condition.term is not None and self._are_kept)

    def _mask(self, condition: Condition, rows: pa.Table, bucket: int) -> RowMask:
        if condition.words:
            return text_index(self._reader, bucket).mask(condition.words)
        if condition.term is not None and self._are_kept:
            places = [self._places[tag] for tag in condition.term.tags]
            has = self._bucket(bucket).has(places, None)
            return has if condition.wanted else ~has
        return super()._mask(condition, rows, bucket)

    def _bucket(self, bucket: int) -> BucketScores:
        return kept_scores(self._reader, bucket, list(self._places))

    def score(self, bucket: int) -> ScoredBucket:
        """See `SearchPlan.score`. There is one look into a table for each score, and no logarithm."""
        if not self._are_kept:
            return super().score(bucket)
        rows = self.snapshot.scan("tracks", self._columns(), bucket=bucket)
        cosines = None if self.sound is None else self.sound.cosines(rows[TRACK_ID], bucket)
        left = self._meeting(rows, bucket, cosines)
        totals = np.zeros(rows.num_rows)
        for places, values in zip(self._term_places, self._values, strict=True):
            totals += values.take(self._steps(bucket, places))
        if self.sound is not None and cosines is not None:
            totals += self.sound.values(cosines)
        totals = totals.round(9)
        totals[~left] = -np.inf
        return ScoredBucket(rows[TRACK_ID], totals, lambda track: self._row(bucket, track, cosines))

    def _steps(self, bucket: int, places: list[int]) -> npt.NDArray[np.uint16]:
        """The highest score of some tags for each track of a bucket."""
        kept = self._bucket(bucket)
        found = kept.steps(places[0])
        for place in places[1:]:
            found = np.maximum(found, kept.steps(place))
        return found

    def _row(self, bucket: int, track: int, cosines: Float64s | None) -> TermRow:
        """See `TermScores.row`."""
        steps = self._bucket(bucket).of_track(track)
        best = [int(steps[places].argmax()) for places in self._term_places]
        scores = [float(steps[places].max() / SCORE_STEPS) for places in self._term_places]
        return scores, best, None if cosines is None else float(cosines[track])


def find_weighted(opened: OpenSnapshot, request: SearchRequest, seconds: float) -> SearchAnswer:
    """What `discovery.search.engine.search` answers, bucket by bucket until the time is over.

    Raises:
      DiscoveryError: nothing is asked, or the request names what the snapshot does not have.
      Problem: the time is over.
    """
    return answer_of(KeptPlan(opened, request), request, Deadline(seconds).check)
