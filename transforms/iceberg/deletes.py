"""Position deletes of a snapshot: which rows of its files are superseded or removed, see `transforms.table.levels`.

A snapshot that follows the one before it keeps the files of positions of that one, and gets at most one file per table
with the positions that are new. After a rollback or a gap, or if there are `MOST_FILES` of them, one file has all
positions. Positions in files that are not listed any more are harmless.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.formats.hashing import stream_sha256
from transforms.formats.parquet import open_parquet
from transforms.iceberg.manifests import POSITION_DELETES, ROWS, ListedFile
from transforms.iceberg.positions import positions, write_positions
from transforms.schemas.tables import KEYS
from transforms.storage.scratch import Scratch, open_scratch
from transforms.table.layout import iceberg_folder
from transforms.table.levels import dead_keys
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import DataFile

MOST_FILES = 16
"""Most files of positions that a snapshot keeps of the one before: readers open all of them for each data file."""


class DamagedRows(Exception):
    """The rows of a snapshot that do not count cannot be told."""


def position_deletes(
    snapshot: SnapshotReader, name: str, before: SnapshotReader | None, listed: Sequence[ListedFile]
) -> list[ListedFile]:
    """The files of positions of a table, after the missing one was written.

    Args:
      snapshot: the snapshot.
      name: the table.
      before: the snapshot that Iceberg lists before it; None if it was removed or is damaged.
      listed: what Iceberg lists of `before`.

    Raises:
      DamagedRows: a file of the snapshot is missing or damaged.
      storage.StorageError: the storage fails.
    """
    files = [file for file in snapshot.live_files(name) if file.has_deletes]
    if not files:
        return []
    kept = [one for one in listed if one.content == POSITION_DELETES and any(f.order < one.since for f in files)]
    if before is None or len(kept) >= MOST_FILES or not _is_continued(snapshot, name, before, listed):
        kept, before = [], None
    try:
        with open_scratch() as scratch:
            return kept + _written(snapshot, name, files, before, scratch)
    except (storage.Unavailable, storage.PermissionDenied):
        raise
    except storage.StorageError as error:
        if before is not None:  # what is damaged may be of that snapshot alone
            return position_deletes(snapshot, name, None, ())
        raise DamagedRows(str(error)) from error


def _is_continued(snapshot: SnapshotReader, name: str, before: SnapshotReader, listed: Sequence[ListedFile]) -> bool:
    """Whether the snapshot was made from the one before, and Iceberg lists that one as it is."""
    run, files = snapshot.manifest.run, before.manifest.files(name)
    known = sum(one.rows for one in listed if one.content == POSITION_DELETES)
    return (
        run.parent == before.manifest.number
        and run.rolled_back_to is None
        and {one.path for one in listed if one.content == ROWS} == {file.path for file in files}
        and known >= sum(file.dead for file in files)
    )


def _written(
    snapshot: SnapshotReader, name: str, files: list[DataFile], before: SnapshotReader | None, scratch: Scratch
) -> list[ListedFile]:
    """Writes the file with the positions that the snapshot before does not have; none if it has all."""
    changed: dict[str, tuple[DataFile, str]] = {}
    for place, (file, found) in enumerate(_positions(snapshot, name, files, before)):
        changed[snapshot.url(file)] = file, f"positions/{place}"
        scratch.append(f"positions/{place}", found.to_numpy().tobytes())
    if not changed:
        return []
    number, local = snapshot.manifest.number, Path(scratch.folder, "deletes.parquet")
    in_order = ((url, _array(*scratch.records(changed[url][1]))) for url in sorted(changed))
    rows = write_positions(local, in_order, number)
    (only, _), *others = changed.values()
    return [
        ListedFile(
            path=_put(snapshot.root, name, local),
            rows=rows,
            bytes=local.stat().st_size,
            since=number,
            content=POSITION_DELETES,
            refers_to=None if others else only.path,
        )
    ]


def _array(record: bytes) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(record) // 8, [None, pa.py_buffer(record)])


def _put(root: str, name: str, local: Path) -> str:
    """Writes a finished file of positions, whose name is a digest of its bytes; returns its path."""
    with storage.open_input(str(local)) as stream:
        path = f"{iceberg_folder(name)}/deletes/{stream_sha256(stream)[:16]}.parquet"
    try:
        storage.ensure_upload(local, storage.join(root, path))
    except storage.AlreadyExists:  # damaged: other bytes cannot have this name
        storage.upload(local, storage.join(root, path), replace=True)
    return path


def _positions(
    snapshot: SnapshotReader, name: str, files: list[DataFile], before: SnapshotReader | None
) -> Iterator[tuple[DataFile, pa.Array]]:
    """The positions in each file that the snapshot before does not have, bucket by bucket."""
    known = {} if before is None else {file.path: file.dead for file in before.manifest.files(name)}
    for bucket, group in itertools.groupby(files, key=lambda file: file.bucket):
        changed = [file for file in group if file.dead != known.get(file.path, 0)]
        if not changed:
            continue
        now = snapshot.deletes(name, bucket)
        then = now.slice(0, 0) if before is None else before.deletes(name, bucket)
        for file in changed:
            gone = dead_keys(now, file.order)
            if known.get(file.path):
                gone = gone.filter(pc.invert(pc.is_in(gone, value_set=dead_keys(then, file.order))))
            found = dead_positions(snapshot, file, gone)
            if len(found) != file.dead - known.get(file.path, 0):
                raise storage.StorageError(
                    f"{snapshot.url(file)}: {len(found)} further rows are taken out, snapshot "
                    f"{snapshot.manifest.number} has {file.dead - known.get(file.path, 0)}: see `verify`"
                )
            yield file, found


def dead_positions(snapshot: SnapshotReader, file: DataFile, gone: pa.Array) -> pa.Array:
    """Positions of the rows of a data file whose keys are in `gone`."""
    key = KEYS[file.table]
    with open_parquet(snapshot.url(file), [key], lambda _: snapshot.open(file)) as parquet:
        return positions(parquet, key, gone)
