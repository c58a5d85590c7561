"""Which snapshots of a table are retained."""

import dataclasses
import datetime
import itertools
from collections.abc import Sequence

from transforms.table.snapshots import Snapshot

DAY_S = 86_400.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retention:
    """What retains a snapshot. One reason is enough; without any limit, all are retained. The newest always is.

    Attributes:
      keep_last: number of snapshots, counted from the newest.
      keep_days: every snapshot that was the newest at some time in so many days, so that `--as-of` finds it.
    """

    keep_last: int | None = None
    keep_days: float | None = None

    def __post_init__(self) -> None:
        if self.keep_last is not None and self.keep_last < 1:
            raise ValueError(f"keep_last={self.keep_last} is not positive: the newest snapshot always stays")
        if self.keep_days is not None and not 0 <= self.keep_days < 1e6:
            raise ValueError(f"keep_days={self.keep_days} is not a number of days")

    def retained(self, snapshots: Sequence[Snapshot], now: float) -> set[int]:
        """Numbers of the retained snapshots.

        Args:
          snapshots: all snapshots, oldest first.
          now: seconds since 1970.
        """
        if self.keep_last is None and self.keep_days is None:
            return {snapshot.number for snapshot in snapshots}
        kept = {snapshot.number for snapshot in snapshots[-(self.keep_last or 1) :]}
        if self.keep_days is not None:
            since = now - self.keep_days * DAY_S
            pairs = itertools.pairwise(snapshots)
            kept |= {older.number for older, newer in pairs if published_s(newer) >= since}
        return kept


def published_s(snapshot: Snapshot) -> float:
    """When a snapshot was published, in seconds since 1970."""
    return datetime.datetime.fromisoformat(snapshot.created).timestamp()
