"""What a launch of `tag` did with the tracks that it read."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from transforms.telemetry.counters import TRACKS_READ, TRACKS_REJECTED, TRACKS_SAME, Measure


class WorkDone(NamedTuple):
    """Numbers of tracks.

    Attributes:
      extracted: decoded and embedded.
      same_bytes: read and not decoded, because time or name of the file changed and its bytes did not.
      rejected: read and rejected, decoded or not.
    """

    extracted: int
    same_bytes: int
    rejected: int

    @property
    def tried(self) -> int:
        """Tracks that took the processor time of decoding: all but those whose bytes are known."""
        return self.extracted + self.rejected


def work_done(measured: Mapping[str, Any]) -> WorkDone:
    """The numbers of a run, see `Run.measured`; zeros if it was not measured."""
    read, rejected, same = (_counter(measured, one) for one in (TRACKS_READ, TRACKS_REJECTED, TRACKS_SAME))
    return WorkDone(extracted=max(read - rejected - same, 0), same_bytes=same, rejected=rejected)


def _counter(measured: Mapping[str, Any], measure: Measure) -> int:
    return int(measured.get("counters", {}).get(measure.stage, {}).get(measure.name, 0))
