"""Compares Iceberg's metadata with the published snapshots."""

import contextlib
import shlex
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.formats.parquet import open_parquet
from transforms.iceberg.deletes import dead_positions
from transforms.iceberg.listed_files import listed_files
from transforms.iceberg.manifests import POSITION_DELETES, ROWS
from transforms.iceberg.positions import PositionCursor
from transforms.iceberg.versions import HINT, Version, metadata_path, read_version, version_path
from transforms.schemas.tables import TABLES
from transforms.table.levels import dead_keys
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import DataFile, listed_numbers


def iceberg_problems(snapshot: SnapshotReader) -> Iterator[str]:
    """Checks what Iceberg's metadata say of a snapshot: its files, and that only published snapshots are listed.

    Metadata of another place are checked by `moved_from`. A table that was published before there were any has none.
    """
    remedy = f"run `catalog-tagger iceberg {shlex.quote(snapshot.root)}`"
    published = set(listed_numbers(snapshot.root))
    for name in TABLES:
        version = read_version(snapshot.root, name)
        if version.number == 0:
            continue
        path = version_path(name, version.number)
        if version.fields is None:
            yield f"{path}: damaged; {remedy}"
        elif version.written_root != version.root:
            continue
        elif strange := sorted(version.snapshots.keys() - published):
            yield f"{path}: lists snapshot {strange[0]}, which is not published; {remedy}"
        elif snapshot.manifest.number not in version.snapshots:
            yield f"{path}: does not list snapshot {snapshot.manifest.number}; {remedy}"
        elif not _has_files(version, snapshot, name):
            yield f"{path}: lists other files than snapshot {snapshot.manifest.number}; {remedy}"
        elif problem := _positions_problem(version, snapshot, name):
            yield f"{path}: {problem}; {remedy}"
        elif not _is_hinted(version):
            yield f"{metadata_path(name, HINT)}: does not name version {version.number}; {remedy}"


def _has_files(version: Version, snapshot: SnapshotReader, name: str) -> bool:
    with contextlib.suppress(storage.NotFound, ValueError, LookupError):
        own = {(entry.path, entry.content): entry for entry in listed_files(snapshot.manifest, name)}
        listed = version.entries(snapshot.manifest.number)
        found = {(entry.path, entry.content): entry for entry in listed if entry.content == ROWS}
        return own.keys() == found.keys() and all(
            (one.rows, one.bytes) == (found[key].rows, found[key].bytes) for key, one in own.items()
        )
    return False


def _positions_problem(version: Version, snapshot: SnapshotReader, name: str) -> str | None:
    """What is wrong with the positions of rows that do not count. The files are read once, forward."""
    entries = version.entries(snapshot.manifest.number)
    since = {entry.path: entry.since for entry in entries if entry.content == ROWS}
    deletes = [entry for entry in entries if entry.content == POSITION_DELETES]
    files = {snapshot.url(file): file for file in snapshot.live_files(name)}
    try:
        with contextlib.ExitStack() as opened:
            cursors = []
            for entry in deletes:
                url = storage.join(version.root, entry.path)
                parquet = opened.enter_context(open_parquet(url, ["file_path"]))
                if parquet.metadata.num_rows != entry.rows:
                    return f"{entry.path} has {parquet.metadata.num_rows} positions instead of {entry.rows}"
                cursors.append((entry.since, PositionCursor(parquet)))
            for url, file in sorted(files.items()):
                # Positions do not concern data files that were added after them.
                found = [cursor.take(url) for added, cursor in cursors if added >= since[file.path]]
                if not pc.unique(pa.concat_arrays([_none(), *found]).sort()).equals(_dead(snapshot, file)):
                    return f"other rows of {file.path} are taken out than in snapshot {snapshot.manifest.number}"
    except (storage.Unavailable, storage.PermissionDenied):
        raise
    except storage.StorageError as error:
        return f"the positions of rows that do not count cannot be compared ({error})"
    return None


def _none() -> pa.Array:
    return pa.array([], pa.int64())


def _dead(snapshot: SnapshotReader, file: DataFile) -> pa.Array:
    if not file.has_deletes:
        return _none()
    return dead_positions(snapshot, file, dead_keys(snapshot.deletes(file.table, file.bucket), file.order))


def _is_hinted(version: Version) -> bool:
    with contextlib.suppress(storage.NotFound, storage.TooLarge):
        hint = storage.read_bytes(storage.join(version.root, metadata_path(version.name, HINT)), max_bytes=32)
        return hint == f"{version.number}".encode()
    return False


def moved_from(root: str) -> str | None:
    """The place whose files the metadata name, if it is not this one; None if all name files of this place."""
    for name in TABLES:
        version = read_version(root, name)
        if version.fields is not None and version.written_root != version.root:
            return version.written_root
    return None
