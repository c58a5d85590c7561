"""The next version of Iceberg's metadata of one table, continued from the newest one."""

import contextlib
import datetime
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from transforms import storage
from transforms.formats.hashing import digest, sha256_hex
from transforms.formats.parquet import ParquetError, open_parquet
from transforms.iceberg.columns import FieldIds, merged_schema
from transforms.iceberg.deletes import position_deletes
from transforms.iceberg.listed_files import listed_files, of_content
from transforms.iceberg.manifests import (
    ADDED,
    DELETED,
    POSITION_DELETES,
    ROWS,
    ListedFile,
    following_entries,
    manifest_bytes,
    manifest_list_bytes,
)
from transforms.iceberg.versions import NAME_MAPPING, Version, metadata_path, write_hint, write_version
from transforms.schemas.tables import ROW_SENTENCES
from transforms.table.layout import iceberg_folder
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import Snapshot

_OWN = "catalog-tagger."
"""Begins the names of this program's own properties."""


class Draft:
    """Iceberg's metadata of one table while it follows the published snapshots.

    A snapshot has its own number as its id and as its sequence number. Its tag is `snapshot-<number>`.
    """

    def __init__(self, version: Version, *, anew: bool = False) -> None:
        """Continues a version.

        Args:
          version: the newest version of the table's metadata.
          anew: whether all snapshots are written again; ids of columns stay in any case.
        """
        fields = version.fields or {}
        self._version, self._name = version, version.name
        self._uuid: str | None = fields.get("table-uuid")
        mapping = json.loads(fields["properties"][NAME_MAPPING]) if fields else []
        self._ids = FieldIds(mapping, fields.get("last-column-id", 0))
        self._schemas: list[dict[str, Any]] = list(fields.get("schemas", ()))
        self._snapshots = {} if anew or not version.is_usable else dict(version.snapshots)
        self._written: tuple[int, list[ListedFile]] | None = None

    def lacks(self, number: int) -> bool:
        """Whether the metadata do not list a snapshot."""
        return number not in self._snapshots

    def add(self, reader: SnapshotReader, made_from: SnapshotReader | None) -> None:
        """Writes the manifests of a snapshot, and the positions of its rows that do not count, and lists it.

        Args:
          reader: the snapshot.
          made_from: its parent, of which its files may be; None if it is not needed, or not there.

        Raises:
          DamagedRows: a file of the snapshot is missing or damaged.
          storage.StorageError: the storage fails.
        """
        snapshot, number = reader.manifest, reader.manifest.number
        parent = max((known for known in self._snapshots if known < number), default=None)
        before = [] if parent is None else self._entries(parent)
        is_parent = made_from is not None and made_from.manifest.number == parent
        deletes = position_deletes(reader, self._name, made_from if is_parent else None, before)
        files = listed_files(snapshot, self._name) + deletes
        entries = following_entries(before, files, number)
        schema = self._schema(files)
        manifests = []
        for place, group in enumerate(of_content(entries)):
            data = manifest_bytes(self._version.root, group, schema, number)
            manifests.append((self._put(f"{sha256_hex(data)[:16]}-m{place}.avro", data), data, group))
        listed = manifest_list_bytes(manifests, number, parent)
        self._uuid = self._uuid or _table_uuid(self._name, snapshot)
        self._snapshots[number] = {
            "snapshot-id": number,
            **({} if parent is None else {"parent-snapshot-id": parent}),
            "sequence-number": number,
            "timestamp-ms": round(datetime.datetime.fromisoformat(snapshot.created).timestamp() * 1000),
            "manifest-list": self._put(f"snap-{number}-{sha256_hex(listed)[:16]}.avro", listed),
            "summary": _summary(snapshot, entries),
            "schema-id": schema["schema-id"],
        }
        self._written = number, files_since(entries)

    def _entries(self, number: int) -> list[ListedFile]:
        """Live files of a listed snapshot; none if its manifests cannot be read, which makes all files new ones."""
        if self._written is not None and self._written[0] == number:
            return self._written[1]
        with contextlib.suppress(storage.NotFound, ValueError, LookupError):
            return self._version.entries(number)
        return []

    def _put(self, file: str, data: bytes) -> str:
        """Writes a file whose name is a digest of its bytes; returns its absolute name."""
        path = metadata_path(self._name, file)
        try:
            storage.ensure(storage.join(self._version.root, path), data)
        except storage.AlreadyExists:  # damaged: other bytes cannot have this name
            storage.write_bytes(storage.join(self._version.root, path), data)
        return storage.join(self._version.root, path)

    def _schema(self, files: Sequence[ListedFile]) -> dict[str, Any]:
        """The schema of a snapshot's files, with its id. Equal schemas have one id."""
        found = _stored_schemas(self._version.root, [file.path for file in files if file.content == ROWS])
        fields = self._ids.schema(self._name, merged_schema(self._name, found))
        for known in self._schemas:
            if {**known, "schema-id": None} == {**fields, "schema-id": None}:
                return known
        self._schemas.append({**fields, "schema-id": len(self._schemas)})
        return self._schemas[-1]

    def commit(self, numbers: Iterable[int]) -> None:
        """Writes the next version, which lists these snapshots alone; nothing if that is what the newest one says.

        Raises:
          storage.AlreadyExists: another writer was first.
          storage.StorageError: the storage fails.
        """
        kept = {number: self._snapshots[number] for number in sorted(set(numbers) & self._snapshots.keys())}
        if not kept:
            return
        version, fields = self._version, self._fields(kept)
        if fields == version.fields:
            write_hint(version.root, self._name, version.number)
        else:
            write_version(version.root, self._name, version.number + 1, fields)

    def _fields(self, snapshots: dict[int, dict[str, Any]]) -> dict[str, Any]:
        newest = max(snapshots)
        return {
            "format-version": 2,
            "table-uuid": self._uuid,
            "location": storage.join(self._version.root, iceberg_folder(self._name)),
            "last-sequence-number": newest,
            "last-updated-ms": snapshots[newest]["timestamp-ms"],
            "last-column-id": self._ids.last,
            "schemas": self._schemas,
            "current-schema-id": snapshots[newest]["schema-id"],
            "partition-specs": [{"spec-id": 0, "fields": []}],
            "default-spec-id": 0,
            "last-partition-id": 999,
            "sort-orders": [{"order-id": 0, "fields": []}],
            "default-sort-order-id": 0,
            "properties": {
                NAME_MAPPING: json.dumps(self._ids.mapping),
                "comment": ROW_SENTENCES.get(self._name, ""),
                # Other programs must not remove files: their snapshots are listed elsewhere too.
                "gc.enabled": "false",
            },
            "current-snapshot-id": newest,
            "refs": {
                "main": {"snapshot-id": newest, "type": "branch"},
                **{f"snapshot-{number}": {"snapshot-id": number, "type": "tag"} for number in snapshots},
            },
            "snapshots": list(snapshots.values()),
            "snapshot-log": [
                {"snapshot-id": number, "timestamp-ms": one["timestamp-ms"]} for number, one in snapshots.items()
            ],
            "metadata-log": [],
        }


def files_since(entries: Iterable[ListedFile]) -> list[ListedFile]:
    """The live files among the entries of a snapshot."""
    return [entry for entry in entries if entry.status != DELETED]


def _stored_schemas(root: str, paths: Sequence[str]) -> list[pa.Schema]:
    """Schemas of files: of one file in each folder of a run, because a run writes all files of a table alike."""
    found: dict[str, pa.Schema] = {}
    for path in paths:
        run = "/".join(path.split("/")[:2])
        if run not in found:
            with contextlib.suppress(storage.NotFound, ParquetError), open_parquet(storage.join(root, path)) as file:
                found[run] = file.schema_arrow
    return list(found.values())


def _table_uuid(name: str, snapshot: Snapshot) -> str:
    """The table's id for Iceberg, from the first snapshot that is listed."""
    return str(uuid.UUID(hex=digest(name, snapshot.run.run_id, snapshot.created)[:32], version=5))


def _summary(snapshot: Snapshot, entries: Sequence[ListedFile]) -> dict[str, str]:
    files: Counter[tuple[int, int]] = Counter((entry.content, entry.status) for entry in entries)
    live, ids = files_since(entries), snapshot.run.ids
    removed = any(status == DELETED for _, status in files)
    positions = sum(entry.rows for entry in live if entry.content == POSITION_DELETES)
    numbers = {
        "added-data-files": files[ROWS, ADDED],
        "deleted-data-files": files[ROWS, DELETED],
        "total-data-files": sum(entry.content == ROWS for entry in live),
        "total-delete-files": sum(entry.content == POSITION_DELETES for entry in live),
        "total-records": sum(entry.rows for entry in live if entry.content == ROWS),
        "total-files-size": sum(entry.bytes for entry in live),
        "total-position-deletes": positions,
        "total-equality-deletes": 0,
        f"{_OWN}snapshot": snapshot.number,
    }
    own = {"run-id": snapshot.run.run_id, "content-hash": snapshot.run.content_hash, "tagger-id": ids.tagger_id}
    return {
        "operation": "overwrite" if removed or positions else "append",
        **{name: str(number) for name, number in numbers.items()},
        **{f"{_OWN}{name}": value for name, value in own.items()},
    }
