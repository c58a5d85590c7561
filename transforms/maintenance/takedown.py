"""Takedown: takes tracks out of every file of a table, and proves by reading again that they are gone.

Snapshots keep their numbers and times. Their records are replaced, each by one atomic write, and say what was taken
out. Files that named the tracks are removed only after every record names new ones. A stopped takedown is repeated: it
finds what is left.
"""

import dataclasses
import datetime
import hashlib
import math
import re
import time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.formats.hashing import digest
from transforms.formats.parquet import CheckedFile
from transforms.formats.sealing import open_sealed, sealed_bytes
from transforms.iceberg.following import follow
from transforms.iceberg.unneeded import unneeded_files
from transforms.maintenance.job_log import JobLog
from transforms.maintenance.kinds import known_files, require_no_links
from transforms.maintenance.leases import HeldLease
from transforms.maintenance.rewriting import Rewritten, rewritten
from transforms.maintenance.track_search import Search, SearchedFile, search, unlisted_groups
from transforms.publishing import receipts
from transforms.publishing.commit import read_run, write_hints
from transforms.schemas.tables import GROUPED_BY
from transforms.table.layout import index_path, report_paths, snapshot_path
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import listed_numbers, read_snapshot
from transforms.table.versions import TableError, read_table_metadata
from transforms.tagging.part_files import write_part
from transforms.verification.manifest_checks import list_problems

_sleep = time.sleep


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableFindings:
    """Where tracks are in a table.

    Attributes:
      search: what was found in files.
      snapshots: number -> paths of its files that name one of the tracks.
      unlisted: paths of data files that name one, or are damaged, and that no snapshot lists; and of all files of tags
        of artists and albums that no snapshot lists, if a data file names one.
    """

    search: Search
    snapshots: dict[int, frozenset[str]]
    unlisted: frozenset[str]


def find_tracks(root: str, ids: frozenset[str]) -> TableFindings:
    """Looks for tracks in all files of a table.

    Raises:
      TableError: a file of a snapshot is damaged, so that nobody can take tracks out of it; or a folder is a link,
        behind which no search finds the tracks.
    """
    require_no_links(root)
    found = search(root, ids, read_table_metadata(root).buckets)
    snapshots, listed = {}, set[str]()
    for number in listed_numbers(root):
        run = read_snapshot(root, number).run
        paths = {file.path for file in run.files}
        for path in sorted(paths & found.data.keys()):
            if found.data[path].found is None:
                raise TableError(
                    f"{root}: {path} of snapshot {number} is damaged: restore it from a copy, or let `gc` retire the "
                    "snapshot first"
                )
        own = paths & found.data.keys()
        if own or run.neighbours.get("index") in _named_indexes(found):
            snapshots[number] = frozenset(own)
        listed |= paths
    unlisted = frozenset(found.data.keys() - listed)
    if found.data:
        unlisted |= unlisted_groups(root, frozenset(listed))
    return TableFindings(search=found, snapshots=snapshots, unlisted=unlisted)


class Takedown:
    """One takedown of a table, under an exclusive lease."""

    def __init__(self, root: str, ids: frozenset[str], lease: HeldLease, reader_grace_s: float) -> None:
        self._root, self._ids, self._lease, self._grace = root, ids, lease, reader_grace_s
        self._buckets = read_table_metadata(root).buckets
        self._when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.log = JobLog.begin(root, "purge", {"ids_sha256": sorted(map(sha256_of_id, ids))})

    def take_out(self, found: TableFindings) -> dict[str, Any]:
        """Takes the tracks out of the table; returns what was rewritten and removed."""
        indexes = _named_indexes(found.search)
        done = [self._snapshot(number, paths, indexes) for number, paths in found.snapshots.items()]
        self._write_lists()
        follow(self._root, anew=True)
        replaced = {path for one in done for path in one.files}
        # Tags of artists and albums first: as long as another file names a track, a repeated takedown finds them.
        # A stopped takedown left files that no snapshot listed when this one began, and that one lists now.
        removable = (found.unlisted | replaced) - _listed(self._root)
        gone = sorted(removable, key=lambda path: (not _is_of_groups(path), path))
        runs = self._forget_runs(frozenset(gone))
        if gone and self._grace:
            _sleep(self._grace)
        self._lease.check()
        self._forget_metadata()
        index_files = self._forget_indexes(found)
        self.log.record("remove", {"kind": "data", "files": gone})
        for path in gone:
            storage.delete(storage.join(self._root, path), beneath=self._root)
        self.log.record("remove", {"kind": "parts", "files": sorted(found.search.parts)})
        parts = [self._part(file) for file in found.search.parts.values()]
        unfinished = list(storage.list_unfinished(self._root))
        for info in unfinished:
            storage.delete(info.url, beneath=self._root)
        return {
            "snapshots": [{"number": one.snapshot.number, "tracks": one.tracks, "files": one.files} for one in done],
            "data_files_removed": gone,
            "part_files": dict(parts),
            "index_files_removed": index_files,
            "runs_removed": runs,
            "unfinished_removed": len(unfinished),
            "choices_removed": self._forget_choices(),
            "receipts_removed": self._forget_receipts(),
            "reports_removed": self._forget_reports(),
        }

    def _snapshot(self, number: int, paths: frozenset[str], indexes: set[str]) -> Rewritten:
        reader = SnapshotReader(root=self._root, manifest=read_snapshot(self._root, number), buckets=self._buckets)
        index = reader.manifest.run.neighbours.get("index") in indexes
        one = rewritten(reader, self._ids, paths, self.log.name, self._when, without_index=index)
        self._lease.check()
        self.log.record("rewrite", {"snapshot": number, "tracks": one.tracks, "files": one.files})
        url = storage.join(self._root, snapshot_path(number))
        storage.write_bytes(url, sealed_bytes(one.snapshot.to_json()))
        return one

    def _write_lists(self) -> None:
        """Writes the plain lists of all snapshots that have other files now, also those of a stopped takedown."""
        numbers = listed_numbers(self._root)
        for number in numbers:
            snapshot = read_snapshot(self._root, number)
            reader = SnapshotReader(root=self._root, manifest=snapshot, buckets=self._buckets)
            if number == numbers[-1] or any(list_problems(reader)):
                write_hints(self._root, snapshot, replace=True)

    def _forget_metadata(self) -> None:
        """Removes Iceberg's metadata of earlier versions, which list files that are about to be removed."""
        unneeded = {file.url for file in unneeded_files(self._root, math.inf)}
        paths = [file for file in known_files(self._root, "iceberg") if file.info.url in unneeded]
        self.log.record("remove", {"kind": "iceberg", "files": [file.path for file in paths]})
        for file in paths:
            storage.delete(file.info.url, beneath=self._root)

    def _forget_indexes(self, found: TableFindings) -> list[str]:
        """Removes the search indexes that have one of the tracks, and intermediate files of `neighbours`."""
        folders = {path.rpartition("/")[0] for path in found.search.indexes}
        files = [file for file in known_files(self._root, "index") if file.path.rpartition("/")[0] in folders]
        files += known_files(self._root, "neighbour_work")
        self.log.record("remove", {"kind": "index", "files": [file.path for file in files]})
        for file in files:
            storage.delete(file.info.url, beneath=self._root)
        return [file.path for file in files]

    def _forget_runs(self, gone: frozenset[str]) -> list[str]:
        """Removes manifests of runs that were not published and lose files. Their part files stay."""
        published = {read_snapshot(self._root, number).run.run_id for number in listed_numbers(self._root)}
        forgotten = []
        for file in known_files(self._root, "runs"):
            try:
                run = read_run(self._root, file.match[1])
            except TableError:  # nobody can publish it
                continue
            if run.run_id not in published and gone & {one.path for one in run.files}:
                receipts.forget_run(self._root, run.run_id)
                storage.delete(file.info.url, beneath=self._root)
                forgotten.append(run.run_id)
        return forgotten

    def _part(self, file: SearchedFile) -> tuple[str, str | None]:
        """Writes a part file again without the tracks; returns its old and its new path, None if nothing is left."""
        self._lease.check()
        url, new = storage.join(self._root, file.path), None
        # A damaged file is used by nobody, and cannot be shown to be without the tracks.
        if file.found is not None and (kept := _part_rows(url, self._ids)) is not None:
            rows, embedding_id = kept
            bucket = int(file.path.split("/")[1].removeprefix("bucket="))
            start = self._root.removesuffix("/") + "/"
            new = write_part(self._root, bucket, rows, embedding_id).removeprefix(start)
        storage.delete(url, beneath=self._root)
        return file.path, new

    def _forget_choices(self) -> int:
        """Removes the choices of runs with a budget, and what killed runs over a sample have left: both name tracks."""
        removed = 0
        for kind in ("choices", "samples"):
            for file in list(known_files(self._root, kind)):
                self._lease.check()
                storage.delete(file.info.url, beneath=self._root)
                removed += 1
        return removed

    def _forget_receipts(self) -> int:
        """Removes receipts that name one of the tracks."""
        removed = 0
        for file in known_files(self._root, "launches"):
            if not file.path.endswith(".json"):
                continue
            try:
                receipt = receipts.read(self._root, file.path)
            except TableError:
                continue
            named = named_in(self._ids, receipt.tracks)
            if named or any(track in line for line in receipt.problems for track in self._ids):
                receipts.forget(self._root, file.path)
                removed += 1
        return removed

    def _forget_reports(self) -> int:
        """Removes reports that name one of the tracks, and those that cannot be read; returns the number of files."""
        names = {file.match[1] for file in known_files(self._root, "reports")}
        removed = 0
        for name in sorted(names):
            page, summary = (storage.join(self._root, path) for path in report_paths(name))
            try:
                named = named_in(self._ids, open_sealed(storage.read_bytes(summary)).fields)
            except (storage.NotFound, ValueError, TypeError):
                named = True
            if named:
                self._lease.check()
                for url in filter(storage.exists, (page, summary)):
                    storage.delete(url, beneath=self._root)
                    removed += 1
                storage.delete_empty_folder(storage.join(self._root, "reports", name))
        return removed


def _named_indexes(found: Search) -> set[str]:
    """Paths of the manifests of the search indexes that have one of the tracks."""
    return {index_path(path.split("/")[1].removeprefix("run=")) for path in found.indexes}


def named_in(ids: frozenset[str], value: Any) -> bool:
    """Whether a text of a JSON value names one of the tracks, as a word or as the whole text.

    >>> named_in(frozenset({"a.1"}), {"offenders": ["a.1: not_found"]}), named_in(frozenset({"a.1"}), ["a.12", 1])
    (True, False)
    """
    if isinstance(value, str):
        return any(re.search(rf"(?<!\w){re.escape(track)}(?!\w)", value) for track in ids)
    if isinstance(value, dict):
        return any(named_in(ids, one) for one in value.values())
    return isinstance(value, list) and any(named_in(ids, one) for one in value)


def _listed(root: str) -> frozenset[str]:
    """Paths of all files that a snapshot lists."""
    runs = (read_snapshot(root, number).run for number in listed_numbers(root))
    return frozenset(file.path for run in runs for file in run.files)


def _is_of_groups(path: str) -> bool:
    return path.rpartition("/")[2].startswith(tuple(f"{name}-" for name in GROUPED_BY))


def sha256_of_id(track_id: str) -> str:
    """What the log records of a track, so that it does not name it."""
    return hashlib.sha256(track_id.encode()).hexdigest()


def _part_rows(url: str, ids: frozenset[str]) -> tuple[pa.Table, str] | None:
    """The rows of a part file without the tracks, and its embedding; None if nothing is left that a run would use."""
    data = storage.read_bytes(url)
    if not url.endswith(f"/{digest(data)[:24]}.parquet"):
        return None
    with CheckedFile(pa.BufferReader(data)) as file:
        rows, metadata = file.read(use_threads=False), file.schema_arrow.metadata or {}
    kept = rows.filter(pc.invert(pc.is_in(rows["track_id"], value_set=pa.array(sorted(ids), pa.string()))))
    return (kept, metadata.get(b"embedding_id", b"").decode()) if kept.num_rows else None
