"""What differs between the sources of the last snapshot and those of a run, see `--fusion`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from transforms.formats.quantities import quantity
from transforms.fusion.policy import Policy, SourceRules


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceChanges:
    """Differences between two sets of sources.

    Attributes:
      dropped: names of the sources that the run lacks.
      added: names of the sources that the snapshot lacks.
      changed: names of the sources of both whose rules differ in a category of both.
      reordered: whether the sources of both have another order, by which the first of several decides.
      tracks: number of tracks of which the sources of the snapshot say something.
      all: whether the run has no sources.
    """

    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    reordered: bool = False
    tracks: int = 0
    all: bool = False

    @property
    def left_out(self) -> tuple[str, ...]:
        """The flags that were given for the sources that the run lacks."""
        if not self.dropped:
            return ()
        return ("--fusion",) if self.all else tuple(f"--source {name}" for name in self.dropped)

    def sentences(self) -> list[str]:
        """All differences, for people."""
        if self.dropped and self.all:
            names = ", ".join(self.dropped)
            return [f"no --fusion: {quantity(self.tracks, 'track')} would lose what sources say ({names})"]
        kinds = ((self.dropped, "dropped"), (self.added, "added"), (self.changed, "with other rules"))
        found = [
            f"{quantity(len(names), 'source')} {meaning} ({', '.join(names)})" for names, meaning in kinds if names
        ]
        return [*found, *(["another order of sources"] if self.reordered else [])]


def source_changes(fusion: Mapping[str, Any], policy: Policy | None) -> SourceChanges:
    """Compares the sources of a snapshot with those of a run.

    Args:
      fusion: what the snapshot records, see `Run.fusion`; empty if it has no sources.
      policy: the sources of the run; None if it has none.
    """
    old = {source.name: source for source in Policy.from_json(fusion["policy"]).sources} if fusion else {}
    new = {source.name: source for source in policy.sources} if policy else {}
    return SourceChanges(
        dropped=tuple(name for name in old if name not in new),
        added=tuple(name for name in new if name not in old),
        changed=tuple(name for name in old if name in new and _differ(old[name], new[name])),
        reordered=[name for name in old if name in new] != [name for name in new if name in old],
        tracks=fusion["tracks"] if fusion else 0,
        all=policy is None,
    )


def _differ(old: SourceRules, new: SourceRules) -> bool:
    """Whether the rules of a source differ in a category that both taxonomies have."""
    return any(old.rules[name] != new.rules[name] for name in old.rules.keys() & new.rules.keys())
