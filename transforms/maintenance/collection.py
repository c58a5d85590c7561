"""Garbage collection: removes what no retained snapshot and no run to come needs.

The order makes every stop harmless. A snapshot first leaves the listing, and its record is kept in `retired/`. Its
files go with a later execution, when nobody can still read them. A run's manifest goes before its files. Every step is
recorded in the log before it is done. Nothing is removed that was not recognised by its path.
"""

import concurrent.futures
import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from transforms import storage
from transforms.iceberg.following import follow
from transforms.iceberg.unneeded import unneeded_files
from transforms.maintenance.inventory import READER_GRACE_S, Inventory
from transforms.maintenance.job_log import JobLog
from transforms.maintenance.kinds import RETIRED, KnownFile, known_files
from transforms.maintenance.leases import HeldLease
from transforms.publishing.commit import read_run
from transforms.table.layout import index_path, part_folder, snapshot_path
from transforms.table.versions import TableError, read_table_metadata

MOST_AT_ONCE = 500
"""Files that are removed between two looks at the lease, and listed in one record of the log."""

_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class Removal:
    """A file to be removed."""

    kind: str
    path: str
    size: int


def removals(inventory: Inventory) -> Iterator[Removal]:
    """Yields everything that is not needed, in the order in which it has to be removed."""
    yield from _snapshots(inventory)
    yield from _others(inventory)


def _others(inventory: Inventory) -> Iterator[Removal]:
    yield from _iceberg(inventory)
    yield from _runs(inventory)
    yield from _reports(inventory)
    yield from _launches(inventory)
    yield from _data(inventory)
    yield from _index(inventory)
    yield from _parts(inventory)
    yield from _unpublished(inventory)
    yield from _lists(inventory)
    yield from _retired(inventory)
    yield from _unfinished(inventory)


def _removal(kind: str, file: KnownFile) -> Removal:
    return Removal(kind, file.path, file.info.size or 0)


def _snapshots(inventory: Inventory) -> Iterator[Removal]:
    wanted = {snapshot_path(number) for number in inventory.retiring}
    yield from (_removal("snapshots", file) for file in known_files(inventory.root, "snapshots") if file.path in wanted)


def _iceberg(inventory: Inventory) -> Iterator[Removal]:
    """Iceberg's metadata that nobody reads any more, as long as the files of retired snapshots stay."""
    unneeded = {file.url for file in unneeded_files(inventory.root, inventory.old - READER_GRACE_S)}
    if unneeded:
        listed = known_files(inventory.root, "iceberg")
        yield from (_removal("iceberg", file) for file in listed if file.info.url in unneeded)


def _runs(inventory: Inventory) -> Iterator[Removal]:
    for file in known_files(inventory.root, "runs"):
        if file.match[1] not in inventory.runs and file.is_older(inventory.old) and _is_run(inventory.root, file):
            yield _removal("runs", file)


def _is_run(root: str, file: KnownFile) -> bool:
    """Whether the file is what its name says; a damaged one stays, because its writer is unknown."""
    try:
        return read_run(root, file.match[1]).run_id == file.match[1]
    except TableError:
        return False


def _reports(inventory: Inventory) -> Iterator[Removal]:
    """Reports of runs that are gone, and of launches that ended without a run."""
    for file in known_files(inventory.root, "reports"):
        kept = file.match[1] in inventory.runs or file.match[1] in inventory.unreadable
        if not kept and file.is_older(inventory.old):
            yield _removal("reports", file)


def _launches(inventory: Inventory) -> Iterator[Removal]:
    """Marks and receipts of launches; those that follow the newest snapshot can still be published."""
    for file in known_files(inventory.root, "launches"):
        if int(file.match[1]) != (inventory.newest or 0) and file.is_older(inventory.old):
            yield _removal("launches", file)


def _data(inventory: Inventory) -> Iterator[Removal]:
    for file in known_files(inventory.root, "data"):
        run = file.path.split("/")[1].removeprefix("run=")
        if file.path not in inventory.referenced and run not in inventory.unreadable and file.is_older(inventory.old):
            yield _removal("data", file)


def _index(inventory: Inventory) -> Iterator[Removal]:
    """Search indexes that no snapshot names; a young one may belong to a running job."""
    for file in known_files(inventory.root, "index"):
        if index_path(file.match[1]) not in inventory.referenced and file.is_older(inventory.old):
            yield _removal("index", file)


def _parts(inventory: Inventory) -> Iterator[Removal]:
    """Part files without a row that a later run can use. Without a snapshot, all are work of a run to come."""
    lineage = inventory.lineage
    if lineage is None:
        return
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as readers:
        for bucket in range(read_table_metadata(inventory.root).buckets):
            folder = part_folder("", bucket).removeprefix("/")
            listed = known_files(inventory.root, "parts", folder)
            old = [file for file in listed if file.is_older(min(inventory.old, lineage.published))]
            if old:
                needs = lineage.of_bucket(bucket)
                needed = readers.map(lambda file, needs=needs: needs.needs(file.info.url), old)
                yield from (_removal("parts", file) for file, use in zip(old, needed, strict=True) if not use)


def _unpublished(inventory: Inventory) -> Iterator[Removal]:
    """Choices of runs with a budget, and what killed runs over a sample and of `neighbours` have left."""
    for kind in ("choices", "samples", "neighbour_work"):
        old = (file for file in known_files(inventory.root, kind) if file.is_older(inventory.old))
        yield from (_removal(kind, file) for file in old)


def _lists(inventory: Inventory) -> Iterator[Removal]:
    numbers = {one.number for one in inventory.snapshots} | inventory.leaving
    for file in known_files(inventory.root, "lists"):
        number = int(file.match[1])
        if number not in numbers and number < (inventory.newest or 0) and file.is_older(inventory.old):
            yield _removal("lists", file)


def _retired(inventory: Inventory) -> Iterator[Removal]:
    """Records of retired snapshots whose files are gone, or that are published all the same: a stopped execution."""
    for file in known_files(inventory.root, "retired"):
        if int(file.match[1]) not in inventory.leaving | set(inventory.retiring):
            yield _removal("retired", file)


def _unfinished(inventory: Inventory) -> Iterator[Removal]:
    start = inventory.root.removesuffix("/") + "/"
    for info in storage.list_unfinished(inventory.root):
        if info.modified is not None and info.modified < inventory.old:
            yield Removal("unfinished", info.url.removeprefix(start), info.size or 0)


def summed(found: Iterable[Removal]) -> dict[str, dict[str, int]]:
    """Kind -> number of files and bytes."""
    files: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for one in found:
        files[one.kind] += 1
        sizes[one.kind] += one.size
    return {kind: {"files": files[kind], "bytes": sizes[kind]} for kind in files}


def collect(inventory: Inventory, lease: HeldLease, facts: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Removes everything that is not needed; returns what was removed.

    Args:
      facts: what the log tells about this execution.

    Raises:
      Busy: the lease was lost. What was removed until then was not needed.
    """
    replaced = sorted(inventory.lineage.replaced) if inventory.lineage else []
    log = JobLog.begin(
        inventory.root,
        "gc",
        {**facts, "retained": sorted(inventory.retained), "replaced_embeddings": replaced},
    )
    totals: Counter[tuple[str, str]] = Counter()
    for stage in (_snapshots, _others):
        for batch in _batches(stage(inventory)):
            lease.check()
            _remove_batch(inventory.root, batch, log)
            totals[batch[0].kind, "files"] += len(batch)
            totals[batch[0].kind, "bytes"] += sum(one.size for one in batch)
        if stage is _snapshots:  # Iceberg's metadata must not list a file that is removed
            follow(inventory.root)
    removed = {kind: {what: totals[kind, what] for what in ("files", "bytes")} for kind, _ in totals}
    log.record("end", {"removed": removed})
    return removed


def _batches(found: Iterator[Removal]) -> Iterator[tuple[Removal, ...]]:
    """Removals of one kind each."""
    for _, group in itertools.groupby(found, key=lambda one: one.kind):
        while batch := tuple(itertools.islice(group, MOST_AT_ONCE)):
            yield batch


def _remove_batch(root: str, batch: Sequence[Removal], log: JobLog) -> None:
    log.record("remove", {"kind": batch[0].kind, "files": [[one.path, one.size] for one in batch]})
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as removers:
        list(removers.map(lambda one: _remove(root, one), batch))
    _tidy(root, batch)


def _remove(root: str, one: Removal) -> None:
    url = storage.join(root, one.path)
    if one.kind == "snapshots":  # the record stays, with the time, until nobody can still read the files
        storage.write_bytes(storage.join(root, RETIRED, one.path.rpartition("/")[2]), storage.read_bytes(url))
    storage.delete(url, beneath=root)


def _tidy(root: str, batch: Iterable[Removal]) -> None:
    """Removes the folders of runs, reports and lists that have become empty."""
    kinds = ("data", "index", "lists", "reports", "choices", "samples", "neighbour_work")
    folders = {one.path.rpartition("/")[0] for one in batch if one.kind in kinds}
    parents = {folder.rpartition("/")[0] for folder in folders if folder.count("/") > 1}
    for folder in (*sorted(folders), *sorted(parents)):
        storage.delete_empty_folder(storage.join(root, folder))
