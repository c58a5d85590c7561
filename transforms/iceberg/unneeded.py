"""Files of Iceberg's metadata that no reader needs any more."""

import contextlib
from collections.abc import Iterator

from transforms import storage
from transforms.iceberg.versions import HINT, metadata_path, read_version, version_files, version_path
from transforms.schemas.tables import TABLES
from transforms.storage import FileInfo
from transforms.table.layout import iceberg_folder


def unneeded_files(root: str, since: float) -> Iterator[FileInfo]:
    """Files that belong to no version that was the newest one at some time since a moment.

    Nothing of a table is yielded if its newest version is damaged or names files of another place.

    Args:
      root: folder or gs:// prefix of the table.
      since: seconds since 1970, by the clock of the storage.
    """
    for name in TABLES:
        yield from _unneeded_of(root, name, since)


def _unneeded_of(root: str, name: str, since: float) -> Iterator[FileInfo]:
    versions = version_files(root, name)
    if not versions or not read_version(root, name, max(versions)).is_usable:
        return
    numbers = list(versions)
    needed = {metadata_path(name, HINT)}
    for number, following in zip(numbers, [*numbers[1:], None], strict=True):
        replaced = None if following is None else versions[following].modified
        if following is None or replaced is None or replaced >= since:
            needed |= _files_of(root, name, number)
    start = root.removesuffix("/") + "/"
    for file in storage.list_files(storage.join(root, iceberg_folder(name))):
        if file.url.removeprefix(start) not in needed and file.modified is not None and file.modified < since:
            yield file


def _files_of(root: str, name: str, number: int) -> set[str]:
    """Paths of the files of a version; a list that cannot be read tells of no manifests."""
    version = read_version(root, name, number)
    found = {version_path(name, number)}
    for snapshot, fields in version.snapshots.items():
        found.add(metadata_path(name, str(fields["manifest-list"]).rpartition("/")[2]))
        with contextlib.suppress(storage.NotFound, ValueError, LookupError):
            found |= {*version.manifests(snapshot), *(entry.path for entry in version.entries(snapshot))}
    return found
