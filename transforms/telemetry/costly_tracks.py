"""The tracks that took the most processor time or memory: a few of a job, whatever its size."""

import dataclasses
import heapq
from collections.abc import Iterable
from typing import Any

MOST_COSTLY = 10
"""Tracks that are kept of each ranking."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackCost:
    """What one track took in this job.

    Attributes:
      core_us: processor time to decode and compute features, microseconds.
      child_bytes: peak memory of its decoder's process; 0 if it is not known.
      source_bytes: size of the source; 0 if it could not be read.
    """

    track_id: str
    core_us: int
    child_bytes: int
    source_bytes: int

    def to_json(self) -> dict[str, Any]:
        """The form used in receipts and reports, with seconds."""
        return {
            "track_id": self.track_id,
            "core_seconds": self.core_us / 1e6,
            "child_bytes": self.child_bytes,
            "source_bytes": self.source_bytes,
        }


@dataclasses.dataclass(frozen=True)
class CostlyTracks:
    """The first tracks of each ranking. The order in which tracks are added does not matter."""

    slowest: tuple[TrackCost, ...] = ()
    heaviest: tuple[TrackCost, ...] = ()

    @classmethod
    def of(cls, tracks: Iterable[TrackCost]) -> "CostlyTracks":
        """The rankings of tracks. A track that cost nothing, or whose cost is not known, is in none."""
        known = list(tracks)
        return cls(
            slowest=_first((track for track in known if track.core_us), "core_us"),
            heaviest=_first((track for track in known if track.child_bytes), "child_bytes"),
        )

    def __add__(self, other: "CostlyTracks") -> "CostlyTracks":
        return CostlyTracks(
            slowest=_first((*self.slowest, *other.slowest), "core_us"),
            heaviest=_first((*self.heaviest, *other.heaviest), "child_bytes"),
        )

    def to_json(self) -> dict[str, list[dict[str, Any]]]:
        """Ranking -> tracks, the most costly first."""
        return {
            name: [track.to_json() for track in tracks]
            for name, tracks in (("slowest", self.slowest), ("heaviest", self.heaviest))
        }


def _first(tracks: Iterable[TrackCost], name: str) -> tuple[TrackCost, ...]:
    """The tracks with the greatest values, the greatest first."""
    return tuple(heapq.nsmallest(MOST_COSTLY, tracks, key=lambda track: (-getattr(track, name), track.track_id)))
