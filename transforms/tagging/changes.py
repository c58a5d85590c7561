"""What a run would change in a table because its bundle, sources or options differ from those of the last snapshot."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from transforms.formats.quantities import quantity
from transforms.fusion.policy import Policy
from transforms.fusion.source_changes import SourceChanges, source_changes
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import Ids
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.tagger import Tagger, ids_of
from transforms.taxonomy.versions import fates_of

_SHOWN = 3

_DESCRIBED = ("category", "kind", "name")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableChanges:
    """Differences between the last snapshot of a table and what a run would publish.

    Attributes:
      snapshot: number of the last snapshot.
      tracks: number of its tracks.
      dropped: tags that would vanish.
      renamed: (id in the snapshot, new id) of tags whose id is now an alias, or is redirected.
      merged: the same for tags that are redirected to one tag with others, or to one that the snapshot has.
      split: (id in the snapshot, new ids) of tags that are redirected to several tags.
      added: tags that the snapshot does not have.
      redefined: tags of both whose category, kind, name or parents differ; a parent that was renamed is the same.
      thresholds: tags whose threshold differs.
      rules: tags whose rule differs.
      before: ids of the snapshot.
      after: ids of the run.
      sources: what differs between the sources of the snapshot and those of the run.
      options: publication option -> value in the snapshot and in the run, for those that differ.
    """

    snapshot: int
    tracks: int
    dropped: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    merged: tuple[tuple[str, str], ...]
    split: tuple[tuple[str, tuple[str, ...]], ...]
    added: tuple[str, ...]
    redefined: tuple[str, ...]
    thresholds: tuple[str, ...]
    rules: tuple[str, ...]
    before: Ids
    after: Ids
    sources: SourceChanges
    options: dict[str, tuple[float | None, float | None]]

    @property
    def must_be_accepted(self) -> bool:
        """Whether tags, their meaning, thresholds, features or trunk would change, or the run lacks what was given."""
        tags = self.dropped or self.renamed or self.merged or self.split or self.redefined or self.thresholds
        ids = any(self._differs(name) for name in ("taxonomy_id", "embedding_id", "feature_id"))
        return bool(tags) or ids or bool(self.left_out)

    @property
    def is_of_bundle(self) -> bool:
        """Whether the bundle is another one than that of the snapshot."""
        return self.before != self.after

    @property
    def left_out(self) -> tuple[str, ...]:
        """Flags that the snapshot was made with, and that the run lacks."""
        plain = PublishedRows().to_json()
        forgotten = [f"--{name.replace('_', '-')}" for name, (_, new) in self.options.items() if new == plain[name]]
        return (*self.sources.left_out, *forgotten)

    def _differs(self, name: str) -> bool:
        return bool(getattr(self.before, name) != getattr(self.after, name))

    def sentences(self) -> list[str]:
        """All differences, for people."""
        kinds = (
            (self.dropped, " dropped"),
            ([f"{old} to {new}" for old, new in self.renamed], " renamed"),
            ([f"{old} into {new}" for old, new in self.merged], " merged"),
            ([f"{old} into {' and '.join(new)}" for old, new in self.split], " split"),
            (self.added, " added"),
            (self.redefined, " with another category, kind, name or parents"),
            (self.thresholds, " with another threshold"),
            (self.rules, " with another rule"),
        )
        found = [f"{quantity(len(names), 'tag')}{meaning} ({_some(names)})" for names, meaning in kinds if names]
        if self._differs("feature_id"):
            found.append(f"other features: all {quantity(self.tracks, 'track')} are read again")
        elif self._differs("embedding_id"):
            found.append(f"another trunk: all {quantity(self.tracks, 'track')} but rejected ones are read again")
        elif self._differs("tagger_id") and not found:
            found.append("another taxonomy" if self._differs("taxonomy_id") else "other heads")
        options = (_option_text(name, old, new) for name, (old, new) in self.options.items())
        return [*found, *self.sources.sentences(), *options]

    def to_json(self) -> dict[str, Any]:
        """The differences as a JSON object."""
        fields = {name: value for name, value in dataclasses.asdict(self).items() if name not in ("before", "after")}
        ids = {
            name: {"before": getattr(self.before, name), "after": getattr(self.after, name)}
            for name in (field.name for field in dataclasses.fields(Ids))
            if self._differs(name)
        }
        return {
            **fields,
            "ids": ids,
            "left_out": self.left_out,
            "sentences": self.sentences(),
            "must_be_accepted": self.must_be_accepted,
        }


def _option_text(name: str, old: float | None, new: float | None) -> str:
    before, after = ("none" if value is None else f"{value:g}" for value in (old, new))
    return f"--{name.replace('_', '-')} was {before} and is {after}"


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")


def _redefined(before: Mapping[str, Any], after: Mapping[str, Any], pairs: Mapping[str, str]) -> bool:
    """Whether two rows of `taxonomy` describe their tag differently; of a renamed tag, id and name do not count."""
    names = _DESCRIBED if before["tag"] == after["tag"] else ("kind",)
    parents = [pairs.get(parent, parent) for parent in before["parents"]]
    return parents != after["parents"] or any(before[name] != after[name] for name in names)


def table_changes(
    snapshot: SnapshotReader, tagger: Tagger, publication: PublishedRows, policy: Policy | None = None
) -> TableChanges:
    """Compares a snapshot with what a run with this tagger would publish. Aliases and redirects tell what is renamed.

    Args:
      snapshot: the snapshot that the run follows.
      tagger: heads and taxonomy of the run's bundle.
      publication: which rows the run publishes.
      policy: the sources of the run; None if it has none.
    """
    old, new = (
        {row["tag"]: row for row in rows.to_pylist()} for rows in (snapshot.scan("taxonomy"), tagger.taxonomy_rows())
    )
    fates = fates_of(old, tagger.taxonomy)
    both = {tag: tag for tag in old.keys() & new.keys()} | dict(fates.renamed)
    came = {*both.values(), *fates.merged, *(tag for tags in fates.split.values() for tag in tags)}
    options = publication.to_json()
    run = snapshot.manifest.run
    return TableChanges(
        snapshot=snapshot.manifest.number,
        tracks=run.counts["catalog"],
        dropped=tuple(sorted((*fates.removed, *fates.dropped))),
        renamed=tuple(sorted(fates.renamed.items())),
        merged=tuple(sorted((old_id, tag) for tag, olds in fates.merged.items() for old_id in olds)),
        split=tuple(sorted(fates.split.items())),
        added=tuple(sorted(new.keys() - came)),
        redefined=tuple(sorted(tag for was, tag in both.items() if _redefined(old[was], new[tag], fates.pairs))),
        thresholds=tuple(sorted(tag for was, tag in both.items() if old[was]["threshold"] != new[tag]["threshold"])),
        rules=tuple(sorted(tag for was, tag in both.items() if old[was].get("rule") != new[tag].get("rule"))),
        before=run.ids,
        after=ids_of(tagger),
        sources=source_changes(run.fusion, policy),
        options={
            name: (run.options.get(name), value) for name, value in options.items() if run.options.get(name) != value
        },
    )
