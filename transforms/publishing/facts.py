"""The facts of a run of `tag` or `prepare` that its gates check."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from transforms.audio.errors import Unknown
from transforms.fusion.tally import lost_share

LEAST_TRACKS_TRIED = 1_000
"""Fewest tracks of both runs whose shares of rejected tracks are compared."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFacts:
    """The facts that gates check.

    Attributes:
      catalog: number of tracks in the catalog.
      counted: number of rows of the catalog that the launcher counted; None for runs of earlier versions.
      before: number of tracks in the last snapshot; None if there is none, for `prepare`, and for runs of earlier
        versions.
      removed: number of these tracks that the catalog no longer has.
      outcomes: outcome -> number of tracks; the numbers add up to `catalog`.
      expected: table or `examples` -> number of rows according to the counts.
      written: the same keys -> number of rows in the files.
      wrong_files: one sentence per file that is missing or has another size or other bytes.
      tried: number of tracks that ratios refer to. `tag`: all of the catalog; `prepare`: those with labels.
      rejected: number of rejected tracks.
      unavailable: number of rejected tracks whose storage did not answer or whose decoder the machine ended.
      reasons: reason -> number of rejected tracks.
      rejects: place where rejected tracks are listed.
      rolled_back_to: number of the snapshot that a rollback publishes again; None for other runs.
      restored: whether a rollback has the files of that snapshot; None for other runs.
      evidence: what was measured while the rows were assembled, see `Run.evidence`; empty for `prepare`, for a rollback
        and for runs of earlier versions.
      sources: what became of the rows of each source, see `Run.fusion`; empty for runs without sources.
      labelled: `prepare`: tracks with a tag of the taxonomy; None for `tag`.
      examples: `prepare`: examples of the dataset; None for `tag`.
    """

    catalog: int
    outcomes: Mapping[str, int]
    expected: Mapping[str, int]
    written: Mapping[str, int]
    wrong_files: tuple[str, ...]
    tried: int
    rejected: int
    unavailable: int
    reasons: Mapping[str, int]
    rejects: str
    counted: int | None = None
    before: int | None = None
    removed: int = 0
    rolled_back_to: int | None = None
    restored: bool | None = None
    evidence: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sources: Sequence[dict[str, Any]] = ()
    labelled: int | None = None
    examples: int | None = None

    @property
    def lost(self) -> int:
        """Number of tracks without an outcome, or of outcomes without a track."""
        return abs(self.catalog - sum(self.outcomes.values()))

    @property
    def miscounted(self) -> int:
        """Number of rows or examples that the files have too many or too few."""
        return sum(abs(count - self.written[name]) for name, count in self.expected.items())

    @property
    def miscounted_rows(self) -> int | None:
        """Number of rows that the job read too many or too few; None if the launcher did not count them."""
        return None if self.counted is None else abs(self.catalog - self.counted)

    @property
    def removed_share(self) -> float | None:
        """Removed tracks, divided by the tracks of the last snapshot; None if it has none."""
        return self.removed / self.before if self.before else None

    @property
    def more_rejected(self) -> float | None:
        """Share of rejected tracks minus that of the last snapshot, at least 0; None if either has too few tracks."""
        before = self.evidence.get("before", {})
        if min(before.get("catalog", 0), self.tried) < LEAST_TRACKS_TRIED:
            return None
        share: float = self.rejected / self.tried - before["rejected"] / before["catalog"]
        return max(0.0, share)

    @property
    def drift(self) -> Mapping[str, Mapping[str, Any]]:
        """Tag -> counts of its scores in the last snapshot and in this run; empty if they are not compared."""
        found: Mapping[str, Mapping[str, Any]] = self.evidence.get("drift", {})
        return found

    def faults(self, gate: str) -> int | None:
        """Number of faults that a gate counts; None if nobody counted them."""
        found: int | None = self.evidence.get("faults", {}).get(gate)
        return found

    def offenders(self, gate: str) -> list[str]:
        """The first tracks or tags that a gate may refuse, as text."""
        return list(self.evidence.get("offenders", {}).get(gate, ()))

    @property
    def lost_source_rows(self) -> float | None:
        """Greatest share of lost rows of a source; None for runs without sources and for a rollback."""
        if not self.sources or self.rolled_back_to is not None:
            return None
        return max(lost_share(source) for source in self.sources)

    @property
    def unknown(self) -> int:
        """Number of tracks that failed for an unknown reason."""
        return self.reasons.get(Unknown.reason, 0)

    @property
    def listed(self) -> str:
        """The reasons with their numbers of tracks, as text, the most frequent first."""
        return _listed(self.reasons)

    @property
    def counts(self) -> str:
        """The outcomes with their numbers of tracks, as text, the most frequent first."""
        return _listed(self.outcomes)

    @property
    def remedy(self) -> str:
        """What to do about a wrong file."""
        if self.rolled_back_to is None:
            return "run the job again"
        return "restore it from a copy, or roll back to another snapshot"

    def share(self, count: int) -> float | None:
        """A count divided by the number of tracks that were tried; 0 if there are none.

        None for a rollback: its tracks passed the limits that were given when they were first published.
        """
        if self.rolled_back_to is not None:
            return None
        return count / self.tried if self.tried else 0.0


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
