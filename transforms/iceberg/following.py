"""Iceberg's metadata follow the published snapshots: what `snapshots/` lists is listed there, under the same number.

A snapshot is published by its own file alone. These metadata are written afterwards from that file, so they are never
ahead. If they are not written, the next call writes what is missing. A version of the metadata appears whole, by one
create-only file that is written last; a stopped call leaves the version before it.
"""

import concurrent.futures
import logging

from transforms import storage
from transforms.iceberg.deletes import DamagedRows
from transforms.iceberg.drafts import Draft
from transforms.iceberg.versions import absolute_root, read_version
from transforms.schemas.tables import TABLES
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import listed_numbers, read_snapshot
from transforms.table.versions import TableError, read_table_metadata

_ATTEMPTS = 5
_log = logging.getLogger(__name__)


def follow(root: str, *, anew: bool = False) -> None:
    """Lists all published snapshots in Iceberg's metadata, and no other ones. A damaged snapshot is left out.

    All snapshots are written again if the metadata are of another place, because the table was moved.

    Args:
      root: folder or gs:// prefix of the table.
      anew: whether all snapshots are written again, for records that were replaced or for damaged metadata.

    Raises:
      storage.StorageError: the storage fails. The metadata are as before, of some or of all tables.
    """
    for attempt in range(_ATTEMPTS):
        try:
            _follow_once(root, anew=anew)
            return
        except storage.AlreadyExists:  # another writer has written a version meanwhile
            if attempt == _ATTEMPTS - 1:
                raise


def _follow_once(root: str, *, anew: bool) -> None:
    with concurrent.futures.ThreadPoolExecutor(len(TABLES)) as tables:
        # Versions are read before the listing: a version that another writer adds meanwhile makes this attempt fail.
        versions = list(tables.map(lambda name: read_version(root, name), TABLES))
        numbers = listed_numbers(root)
        drafts = [Draft(version, anew=anew) for version in versions]
        before: SnapshotReader | None = None
        for number in numbers:
            lacking = [draft for draft in drafts if draft.lacks(number)]
            snapshot = _opened(root, number) if lacking else None
            if snapshot is not None:
                before = _made_from(snapshot, before)
                list(tables.map(lambda draft, now=snapshot, then=before: _add(draft, now, then), lacking))
                before = snapshot
        list(tables.map(lambda draft: draft.commit(numbers), drafts))


def _opened(root: str, number: int) -> SnapshotReader | None:
    """A snapshot; None if it is damaged or gone: `verify` tells what is damaged."""
    try:
        snapshot = read_snapshot(root, number)
        buckets = read_table_metadata(root).buckets if snapshot.run.has_levels else 0
    except (storage.NotFound, TableError):
        return None
    return SnapshotReader(root=absolute_root(root), manifest=snapshot, buckets=buckets)


def _made_from(snapshot: SnapshotReader, before: SnapshotReader | None) -> SnapshotReader | None:
    """The parent of a snapshot with levels, if it can be read; `before` is the snapshot that was read last."""
    parent = snapshot.manifest.run.parent
    if parent is None or not snapshot.manifest.run.has_levels:
        return None
    return before if before is not None and before.manifest.number == parent else _opened(snapshot.root, parent)


def _add(draft: Draft, snapshot: SnapshotReader, before: SnapshotReader | None) -> None:
    try:
        draft.add(snapshot, before)
    except DamagedRows as error:
        _log.warning("Iceberg's metadata do not list snapshot %d: %s", snapshot.manifest.number, error)


def follow_commit(root: str) -> None:
    """Calls `follow` after a commit. The snapshot is published already, so an error is a warning."""
    try:
        follow(root)
    except (storage.StorageError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        _log.warning(
            "the snapshot is published, but Iceberg's metadata do not list it (%s): the next publication, or "
            "`catalog-tagger iceberg %s`, adds it",
            " ".join(str(error).split()),
            root,
        )
