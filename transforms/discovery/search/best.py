"""The best tracks of a stream of scored ones, in memory that depends only on their number."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

_Facts = TypeVar("_Facts")


class Ranked(NamedTuple, Generic[_Facts]):
    """A track with its score and facts."""

    track_id: str
    score: float
    facts: _Facts


class BestTracks(Generic[_Facts]):
    """The best `limit` tracks: higher scores first, of equal scores the lower id, in any order of arrival."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: list[Ranked[_Facts]] = []

    def candidates(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Positions of the scores that can be among the best, with all that equal the last of them; never of minus
        infinity.
        """
        least = self._kept[-1].score if len(self._kept) == self._limit else np.finfo(np.float64).min
        found = np.flatnonzero(scores >= least)
        if len(found) > self._limit:
            own = scores[found]
            found = found[own >= np.partition(own, len(own) - self._limit)[len(own) - self._limit]]
        return found

    def add(self, tracks: Sequence[Ranked[_Facts]]) -> None:
        """Adds tracks."""
        self._kept = sorted([*self._kept, *tracks], key=lambda one: (-one.score, one.track_id))[: self._limit]

    def ranked(self) -> list[Ranked[_Facts]]:
        """The best tracks, in order."""
        return list(self._kept)
