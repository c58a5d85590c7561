"""Compares Iceberg's metadata with the published snapshots."""

import contextlib
import shlex
from collections.abc import Iterator

from transforms import storage
from transforms.iceberg.listed_files import listed_files
from transforms.iceberg.versions import HINT, Version, metadata_path, read_version, version_path
from transforms.schemas.tables import TABLES
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import listed_numbers


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
        elif not _is_hinted(version):
            yield f"{metadata_path(name, HINT)}: does not name version {version.number}; {remedy}"


def _has_files(version: Version, snapshot: SnapshotReader, name: str) -> bool:
    with contextlib.suppress(storage.NotFound, ValueError, LookupError):
        own = {(entry.path, entry.content): entry for entry in listed_files(snapshot.manifest, name)}
        found = {(entry.path, entry.content): entry for entry in version.entries(snapshot.manifest.number)}
        return own.keys() == found.keys() and all(
            (one.rows, one.bytes) == (found[key].rows, found[key].bytes) for key, one in own.items()
        )
    return False


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
