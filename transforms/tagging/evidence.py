"""What the gates need to know of the rows of a run: faults and drift, measured bucket by bucket while it is assembled.

All values are sums of integers, or the first of sorted texts and tracks. So they do not depend on the order of the
buckets.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

from transforms.comparison.drift import TagDrift
from transforms.tagging.bucket_faults import FAULT_GATES, Fault

OFFENDERS = 10
"""Most tracks, tags or files that are named for one gate."""


class RejectedTrack(NamedTuple):
    """A rejected track, as an example of its reason."""

    track_id: str
    uri: str
    detail: str


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Sums over any number of buckets.

    Attributes:
      faults: name of a gate -> number of faults.
      tracks: name of a gate -> the first tracks that it may refuse, sorted, with what is wrong.
      tags: name of a gate -> tag, pair of tags or column -> number of faults.
      drift: None if there is no snapshot to compare with.
      rejects: reason -> the first rejected tracks by their ids, for the report of the run; not in manifests.
    """

    faults: dict[str, int] = dataclasses.field(default_factory=dict)
    tracks: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    tags: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    drift: TagDrift | None = None
    rejects: dict[str, tuple[RejectedTrack, ...]] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_faults(cls, faults: Iterable[Fault]) -> Self:
        """The sums over faults. Every gate of `FAULT_GATES` has a number."""
        counts: Counter[str] = Counter(dict.fromkeys(FAULT_GATES, 0))
        tracks: dict[str, set[str]] = {}
        tags: dict[str, Counter[str]] = {}
        for fault in faults:
            counts[fault.gate] += fault.count
            tracks.setdefault(fault.gate, set()).update(fault.tracks)
            if fault.what is not None and fault.count:
                tags.setdefault(fault.gate, Counter())[fault.what] += fault.count
        return cls(
            faults=dict(counts),
            tracks={gate: first_offenders(found) for gate, found in tracks.items()},
            tags={gate: dict(found) for gate, found in tags.items()},
        )

    def __add__(self, other: Self) -> Self:
        return dataclasses.replace(
            self,
            faults=_sums(self.faults, other.faults),
            tracks={
                gate: first_offenders((*self.tracks.get(gate, ()), *other.tracks.get(gate, ())))
                for gate in {*self.tracks, *other.tracks}
            },
            tags={gate: _sums(self.tags.get(gate, {}), other.tags.get(gate, {})) for gate in {*self.tags, *other.tags}},
            drift=self.drift + other.drift if self.drift and other.drift else self.drift or other.drift,
            rejects={
                reason: tuple(sorted({*self.rejects.get(reason, ()), *other.rejects.get(reason, ())})[:OFFENDERS])
                for reason in {*self.rejects, *other.rejects}
            },
        )

    def examples(self) -> dict[str, list[dict[str, str]]]:
        """Reason -> rejected tracks, in the form used in receipts and reports."""
        return {reason: [track._asdict() for track in self.rejects[reason]] for reason in sorted(self.rejects)}

    def to_json(self) -> dict[str, Any]:
        """The form used in a run's manifest."""
        named: dict[str, list[str]] = {}
        for gate, found in self.tags.items():
            named[gate] = [f"{what}: {count}" for what, count in sorted(found.items(), key=lambda i: (-i[1], i[0]))]
        for gate, tracks in self.tracks.items():
            named[gate] = [*named.get(gate, ()), *tracks]
        return {
            "faults": dict(sorted(self.faults.items())),
            "offenders": {gate: texts[:OFFENDERS] for gate, texts in sorted(named.items()) if texts},
            "drift": {} if self.drift is None else self.drift.to_json(),
        }


def first_offenders(texts: Iterable[str]) -> tuple[str, ...]:
    """The first of the texts, sorted."""
    return tuple(sorted(set(texts))[:OFFENDERS])


def _sums(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in {*left, *right}}
