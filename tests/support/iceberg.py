"""Another program's way into a table: pyiceberg, by the folder of an Iceberg table."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pyiceberg.table import StaticTable

from transforms.formats.arrow import content_digest
from transforms.schemas.tables import TABLES
from transforms.table.layout import iceberg_folder
from transforms.table.reader import EVERY_EMBEDDING, open_history

KEYS = ("track_id", "artist_id", "album_id", "category", "tag")


def opened(root: Path | str, name: str, **properties: str) -> StaticTable:
    return StaticTable.from_metadata(f"{root}/{iceberg_folder(name)}", properties)


def iceberg_rows(root: Path | str, name: str, number: int, **properties: str) -> pa.Table:
    return opened(root, name, **properties).scan(snapshot_id=number).to_arrow()


def sorted_rows(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows in one order, and in the types of another reader, which must hold all values."""
    keys = [(name, "ascending") for name in schema.names if name in KEYS]
    return rows.select(schema.names).cast(schema).combine_chunks().sort_by(keys)


def listed(root: Path | str, name: str = "tracks") -> list[int]:
    return sorted(snapshot.snapshot_id for snapshot in opened(root, name).snapshots())


def differences(root: Path | str, tables: Sequence[str] = tuple(TABLES), **properties: str) -> list[tuple[str, int]]:
    """(table, snapshot) of everything that pyiceberg reads differently from this project's reader."""
    found = []
    for snapshot in open_history(str(root)):
        number = snapshot.manifest.number
        for name in tables:
            own = snapshot.scan(name, embedding_id=EVERY_EMBEDDING if name == "embeddings" else None)
            others = iceberg_rows(root, name, number, **properties)
            same = others.num_rows == own.num_rows and set(others.column_names) == set(own.column_names)
            if not same or content_digest(sorted_rows(others, own.schema)) != content_digest(
                sorted_rows(own, own.schema)
            ):
                found.append((name, number))
    return found


def files_listed(root: Path | str) -> set[str]:
    """Paths of all data files that Iceberg lists, of all tables and snapshots."""
    paths: set[str] = set()
    for name in TABLES:
        table = opened(root, name)
        for snapshot in table.snapshots():
            for manifest in snapshot.manifests(table.io):  # a scan passes over files without rows
                entries = manifest.fetch_manifest_entry(table.io)
                paths.update(str(Path(e.data_file.file_path).relative_to(Path(root).absolute())) for e in entries)
    return paths
