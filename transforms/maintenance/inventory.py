"""What a table holds, and what of it is needed: the snapshots, the runs, and the files that they list."""

import dataclasses
from collections.abc import Mapping, Sequence

from transforms import storage
from transforms.formats.sealing import read_record
from transforms.maintenance.job_log import last_begin
from transforms.maintenance.kinds import KnownFile, known_files, require_no_links
from transforms.maintenance.part_needs import Lineage
from transforms.maintenance.retention import Retention, published_s
from transforms.publishing.commit import read_run
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import Run, Snapshot, listed_numbers, read_snapshot
from transforms.table.versions import TableError, is_sealed, read_table_metadata

READER_GRACE_S = 3_600.0
"""Shortest time that the files of a snapshot stay after it was listed for the last time, for those who opened it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inventory:
    """What a table holds, as far as its removal is concerned.

    Attributes:
      snapshots: all published snapshots, oldest first, without their files.
      retained: numbers of those that stay.
      leaving: numbers of retired snapshots whose files stay for a while.
      runs: finished runs that stay: id -> whether it is published.
      referenced: paths of all data files, and of the manifests of all indexes, that stay.
      unreadable: ids of runs whose manifest cannot be read. All their files stay.
      old: files that were written after this moment stay, seconds since 1970.
      lineage: what the next run may follow; None if nothing is published.
    """

    root: str
    snapshots: Sequence[Snapshot]
    retained: frozenset[int]
    leaving: frozenset[int]
    runs: Mapping[str, bool]
    referenced: frozenset[str]
    unreadable: frozenset[str]
    old: float
    lineage: Lineage | None

    @property
    def retiring(self) -> list[int]:
        """Numbers of the published snapshots that do not stay."""
        return [one.number for one in self.snapshots if one.number not in self.retained]

    @property
    def newest(self) -> int | None:
        """Number of the newest snapshot."""
        return self.snapshots[-1].number if self.snapshots else None


def take_inventory(root: str, retention: Retention, older_than_s: float, now: float) -> Inventory:
    """Reads the snapshots and runs of a table.

    Args:
      older_than_s: age in seconds up to which everything stays.
      now: seconds since 1970, by the clock of the storage.

    Raises:
      TableError: a snapshot is damaged: nobody knows what it needs, so nothing may be removed; or a folder is a link.
    """
    require_no_links(root)
    referenced: set[str] = set()
    snapshots = [_noted(read_snapshot(root, number), referenced) for number in listed_numbers(root)]
    retained = retention.retained(snapshots, now)
    old = now - older_than_s
    grace = now - max(older_than_s, READER_GRACE_S)
    leaving = [_noted(one, referenced) for one in _leaving(root, grace, retained)]
    published = {one.run.run_id for one in (*snapshots, *leaving)}
    kept, unreadable = _kept_runs(root, snapshots, published, old)
    referenced.update(path for run in kept for path in run.paths)
    return Inventory(
        root=root,
        snapshots=snapshots,
        retained=frozenset(retained),
        leaving=frozenset(one.number for one in leaving),
        runs=dict.fromkeys((run.run_id for run in kept), False) | dict.fromkeys(published, True),
        referenced=frozenset(referenced),
        unreadable=frozenset(unreadable),
        old=old,
        lineage=_lineage(root, snapshots) if snapshots else None,
    )


def _noted(snapshot: Snapshot, paths: set[str]) -> Snapshot:
    """The snapshot without its files, whose paths are added: hundreds of file lists would need too much memory."""
    paths.update(snapshot.run.paths)
    return dataclasses.replace(snapshot, run=dataclasses.replace(snapshot.run, files=()))


def _leaving(root: str, grace: float, retained: set[int]) -> list[Snapshot]:
    """The retired snapshots whose files stay."""
    return [
        _read_retired(root, file)
        for file in known_files(root, "retired")
        if int(file.match[1]) not in retained and not file.is_older(grace)
    ]


def _read_retired(root: str, file: KnownFile) -> Snapshot:
    return read_record(
        file.info.url, "a snapshot", Snapshot.from_json, TableError, must_be_sealed=lambda: is_sealed(root)
    )


def _kept_runs(
    root: str, snapshots: Sequence[Snapshot], published: set[str], old: float
) -> tuple[list[Run], list[str]]:
    """Runs that are published, can still be published, or are young; and the ids of unreadable manifests."""
    newest = snapshots[-1].number if snapshots else None
    kept, unreadable = [], []
    for file in known_files(root, "runs"):
        try:
            run = read_run(root, file.match[1])
        except TableError:
            unreadable.append(file.match[1])
            continue
        if run.run_id in published or run.parent == newest or not file.is_older(old):
            kept.append(run)
    return kept, unreadable


def _lineage(root: str, snapshots: Sequence[Snapshot]) -> Lineage:
    buckets = read_table_metadata(root).buckets
    newest = snapshots[-1]

    def reader(number: int) -> SnapshotReader:
        return SnapshotReader(root=root, manifest=read_snapshot(root, number), buckets=buckets)

    content = content_number(newest, {one.number: one for one in snapshots})
    undone = [one for one in snapshots[:-1] if one.number > content]
    current = {one.run.ids.embedding_id for one in (newest, *undone)}
    before = {one.run.ids.embedding_id for one in snapshots if one.number < content}
    own = [one for one in snapshots if one.run.rolled_back_to is None] or [newest]
    return Lineage(
        newest=reader(newest.number),
        undone=[reader(one.number) for one in undone],
        replaced=frozenset((before | set(_replaced_before(root))) - current),
        published=published_s(own[-1]),
    )


def content_number(snapshot: Snapshot, known: Mapping[int, Snapshot]) -> int:
    """Number of the snapshot whose content this one has; the earliest one that is still known, for rollbacks."""
    number = snapshot.number
    while number in known and (earlier := known[number].run.rolled_back_to) is not None:
        number = earlier
    return number


def _replaced_before(root: str) -> list[str]:
    """Embeddings that earlier executions knew to be replaced; their snapshots may be gone."""
    try:
        begun = last_begin(root, "gc")
    except (ValueError, TypeError) as error:
        raise TableError(f"{storage.join(root, 'log')}: a record of `gc` is damaged: {error}") from error
    return list(begun["replaced_embeddings"]) if begun else []
