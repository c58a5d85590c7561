"""The files of a snapshot that Iceberg's readers read."""

from transforms.iceberg.manifests import POSITION_DELETES, ROWS, ListedFile
from transforms.table.snapshots import Snapshot


def listed_files(snapshot: Snapshot, name: str) -> list[ListedFile]:
    """The files of one table with rows. `position_deletes` returns those that take some of the rows out."""
    return [ListedFile(path=f.path, rows=f.rows, bytes=f.bytes, since=snapshot.number) for f in snapshot.files(name)]


def of_content(entries: list[ListedFile]) -> list[list[ListedFile]]:
    """The entries by content, rows first; a manifest has files of one content."""
    groups = ([entry for entry in entries if entry.content == content] for content in (ROWS, POSITION_DELETES))
    return [group for group in groups if group]
