"""What a run would change in a table because its bundle differs from the one of the last snapshot."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import Ids
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.tagger import Tagger, ids_of

_SHOWN = 3

_DESCRIBED = ("category", "kind", "name", "parents")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableChanges:
    """Differences between the last snapshot of a table and what a run would publish.

    Attributes:
      snapshot: number of the last snapshot.
      tracks: number of its tracks.
      dropped: tags that would vanish.
      renamed: (id in the snapshot, new id) of tags that the taxonomy knows as aliases.
      added: tags that the snapshot does not have.
      redefined: tags whose category, kind, name or parents differ.
      thresholds: tags whose threshold differs.
      before: ids of the snapshot.
      after: ids of the run.
      options: publication option -> value in the snapshot and in the run, for those that differ.
    """

    snapshot: int
    tracks: int
    dropped: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    added: tuple[str, ...]
    redefined: tuple[str, ...]
    thresholds: tuple[str, ...]
    before: Ids
    after: Ids
    options: dict[str, tuple[float | None, float | None]]

    @property
    def must_be_accepted(self) -> bool:
        """Whether tags, their meaning, their thresholds, the features or the trunk would change."""
        tags = self.dropped or self.renamed or self.redefined or self.thresholds
        return bool(tags) or any(self._differs(name) for name in ("taxonomy_id", "embedding_id", "feature_id"))

    def _differs(self, name: str) -> bool:
        return bool(getattr(self.before, name) != getattr(self.after, name))

    def sentences(self) -> list[str]:
        """All differences, for people."""
        renamed = [f"{old} to {new}" for old, new in self.renamed]
        counted = (
            (self.dropped, "tags dropped"),
            (renamed, "tags renamed"),
            (self.added, "tags added"),
            (self.redefined, "tags with another category, kind, name or parents"),
            (self.thresholds, "tags with another threshold"),
        )
        found = [f"{len(names)} {meaning} ({_some(names)})" for names, meaning in counted if names]
        if self._differs("feature_id"):
            found.append(f"other features: all {self.tracks} tracks are read again")
        elif self._differs("embedding_id"):
            found.append(f"another trunk: all {self.tracks} tracks but rejected ones are read again")
        elif self._differs("tagger_id") and not found:
            found.append("another taxonomy" if self._differs("taxonomy_id") else "other heads")
        return [*found, *(f"{name} {old} becomes {new}" for name, (old, new) in self.options.items())]

    def to_json(self) -> dict[str, Any]:
        """The differences as a JSON object."""
        fields = {name: value for name, value in dataclasses.asdict(self).items() if name not in ("before", "after")}
        ids = {
            name: {"before": getattr(self.before, name), "after": getattr(self.after, name)}
            for name in (field.name for field in dataclasses.fields(Ids))
            if self._differs(name)
        }
        return {**fields, "ids": ids, "sentences": self.sentences(), "must_be_accepted": self.must_be_accepted}


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")


def table_changes(snapshot: SnapshotReader, tagger: Tagger, publication: PublishedRows) -> TableChanges:
    """Compares a snapshot with what a run with this tagger would publish. A tag is renamed if its id is now an alias.

    Args:
      snapshot: the snapshot that the run follows.
      tagger: heads and taxonomy of the run's bundle.
      publication: which rows the run publishes.
    """
    columns = ["tag", *_DESCRIBED, "threshold"]
    old = {row["tag"]: row for row in snapshot.scan("taxonomy", columns).to_pylist()}
    new = {row["tag"]: row for row in tagger.taxonomy_rows().select(columns).to_pylist()}
    gone = {tag: tagger.taxonomy.resolve(tag) for tag in sorted(old.keys() - new.keys())}
    both = sorted(old.keys() & new.keys())
    renamed = tuple((tag, now) for tag, now in gone.items() if now is not None)
    arrived = {now for _, now in renamed}
    options = publication.to_json()
    run = snapshot.manifest.run
    return TableChanges(
        snapshot=snapshot.manifest.number,
        tracks=run.counts["catalog"],
        dropped=tuple(tag for tag, now in gone.items() if now is None),
        renamed=renamed,
        added=tuple(sorted(new.keys() - old.keys() - arrived)),
        redefined=tuple(tag for tag in both if any(old[tag][name] != new[tag][name] for name in _DESCRIBED)),
        thresholds=tuple(tag for tag in both if old[tag]["threshold"] != new[tag]["threshold"]),
        before=run.ids,
        after=ids_of(tagger),
        options={
            name: (run.options.get(name), value) for name, value in options.items() if run.options.get(name) != value
        },
    )
