"""Manifests and manifest lists: Iceberg's Avro files, as format version 2 of its specification defines them.

Their bytes depend on their content alone, and their names on their bytes. So writing them again changes nothing.
"""

import dataclasses
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import fastavro

from transforms import storage
from transforms.formats.hashing import digest
from transforms.formats.inner_paths import inner_path

EXISTING, ADDED, DELETED = 0, 1, 2
"""Status of an entry: in the snapshot before too, new, or only in the snapshot before."""

ROWS, POSITION_DELETES = 0, 1
"""Content of a file: rows of the table, or positions of rows that do not count."""

_SUMMARY = {
    "type": "record",
    "name": "r508",
    "fields": [
        {"name": "contains_null", "type": "boolean", "field-id": 509},
        {"name": "contains_nan", "type": ["null", "boolean"], "default": None, "field-id": 518},
        {"name": "lower_bound", "type": ["null", "bytes"], "default": None, "field-id": 510},
        {"name": "upper_bound", "type": ["null", "bytes"], "default": None, "field-id": 511},
    ],
}


def _optional(name: str, kind: Any, field_id: int) -> dict[str, Any]:
    return {"name": name, "type": ["null", kind], "default": None, "field-id": field_id}


_DATA_FILE = {
    "type": "record",
    "name": "r2",
    "fields": [
        {"name": "content", "type": "int", "field-id": 134},
        {"name": "file_path", "type": "string", "field-id": 100},
        {"name": "file_format", "type": "string", "field-id": 101},
        {"name": "partition", "type": {"type": "record", "name": "r102", "fields": []}, "field-id": 102},
        {"name": "record_count", "type": "long", "field-id": 103},
        {"name": "file_size_in_bytes", "type": "long", "field-id": 104},
        _optional("referenced_data_file", "string", 143),
    ],
}

_ENTRY = {
    "type": "record",
    "name": "manifest_entry",
    "fields": [
        {"name": "status", "type": "int", "field-id": 0},
        _optional("snapshot_id", "long", 1),
        _optional("sequence_number", "long", 3),
        _optional("file_sequence_number", "long", 4),
        {"name": "data_file", "type": _DATA_FILE, "field-id": 2},
    ],
}

_MANIFEST = {
    "type": "record",
    "name": "manifest_file",
    "fields": [
        {"name": "manifest_path", "type": "string", "field-id": 500},
        {"name": "manifest_length", "type": "long", "field-id": 501},
        {"name": "partition_spec_id", "type": "int", "field-id": 502},
        {"name": "content", "type": "int", "field-id": 517},
        {"name": "sequence_number", "type": "long", "field-id": 515},
        {"name": "min_sequence_number", "type": "long", "field-id": 516},
        {"name": "added_snapshot_id", "type": "long", "field-id": 503},
        {"name": "added_files_count", "type": "int", "field-id": 504},
        {"name": "existing_files_count", "type": "int", "field-id": 505},
        {"name": "deleted_files_count", "type": "int", "field-id": 506},
        {"name": "added_rows_count", "type": "long", "field-id": 512},
        {"name": "existing_rows_count", "type": "long", "field-id": 513},
        {"name": "deleted_rows_count", "type": "long", "field-id": 514},
        _optional("partitions", {"type": "array", "items": _SUMMARY, "element-id": 508}, 507),
        _optional("key_metadata", "bytes", 519),
    ],
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ListedFile:
    """A file of a snapshot in a manifest.

    Attributes:
      path: relative to the root of the table.
      rows: number of rows, or of positions.
      bytes: size of the file.
      since: number of the snapshot that added it; its sequence number, too.
      status: `EXISTING`, `ADDED` or `DELETED`.
      content: `ROWS` or `POSITION_DELETES`.
      refers_to: path of the data file that all positions belong to.
    """

    path: str
    rows: int
    bytes: int
    since: int
    status: int = ADDED
    content: int = ROWS
    refers_to: str | None = None


def following_entries(before: Sequence[ListedFile], files: Sequence[ListedFile], number: int) -> list[ListedFile]:
    """Entries of a snapshot: its files, and those that only the snapshot before has.

    Args:
      before: live files of the snapshot before.
      files: files of the snapshot.
      number: number of the snapshot.
    """
    known, own = {entry.path: entry for entry in before}, {entry.path for entry in files}
    found = [
        dataclasses.replace(entry, status=EXISTING, since=known[entry.path].since)
        if entry.path in known
        else dataclasses.replace(entry, status=ADDED, since=number)
        for entry in files
    ]
    return found + [dataclasses.replace(entry, status=DELETED) for entry in before if entry.path not in own]


def manifest_bytes(root: str, entries: Sequence[ListedFile], schema: dict[str, Any], number: int) -> bytes:
    """A manifest of a snapshot's files with one content.

    Args:
      root: absolute root of the table.
      entries: the files, at least one.
      schema: Iceberg's schema of the rows, with its id.
      number: number of the snapshot.
    """
    metadata = {
        "schema": json.dumps(schema, sort_keys=True),
        "schema-id": str(schema["schema-id"]),
        "partition-spec": "[]",
        "partition-spec-id": "0",
        "format-version": "2",
        "content": "deletes" if entries[0].content == POSITION_DELETES else "data",
    }
    return _avro_bytes(_ENTRY, [_entry_record(root, entry, number) for entry in entries], metadata)


def _entry_record(root: str, entry: ListedFile, number: int) -> dict[str, Any]:
    return {
        "status": entry.status,
        "snapshot_id": number if entry.status == DELETED else entry.since,
        "sequence_number": entry.since,
        "file_sequence_number": entry.since,
        "data_file": {
            "content": entry.content,
            "file_path": storage.join(root, entry.path),
            "file_format": "PARQUET",
            "partition": {},
            "record_count": entry.rows,
            "file_size_in_bytes": entry.bytes,
            "referenced_data_file": None if entry.refers_to is None else storage.join(root, entry.refers_to),
        },
    }


def manifest_list_bytes(
    manifests: Sequence[tuple[str, bytes, Sequence[ListedFile]]], number: int, parent: int | None
) -> bytes:
    """The list of a snapshot's manifests: (absolute name, bytes, entries) of each."""
    metadata = {
        "snapshot-id": str(number),
        "parent-snapshot-id": "null" if parent is None else str(parent),
        "sequence-number": str(number),
        "format-version": "2",
    }
    records = [_manifest_record(url, len(data), entries, number) for url, data, entries in manifests]
    return _avro_bytes(_MANIFEST, records, metadata)


def _manifest_record(url: str, length: int, entries: Sequence[ListedFile], number: int) -> dict[str, Any]:
    files = Counter(entry.status for entry in entries)
    rows: Counter[int] = Counter()
    for entry in entries:
        rows[entry.status] += entry.rows
    return {
        "manifest_path": url,
        "manifest_length": length,
        "partition_spec_id": 0,
        "content": 1 if entries[0].content == POSITION_DELETES else 0,
        "sequence_number": number,
        "min_sequence_number": min((e.since for e in entries if e.status != DELETED), default=number),
        "added_snapshot_id": number,
        "added_files_count": files[ADDED],
        "existing_files_count": files[EXISTING],
        "deleted_files_count": files[DELETED],
        "added_rows_count": rows[ADDED],
        "existing_rows_count": rows[EXISTING],
        "deleted_rows_count": rows[DELETED],
    }


def _avro_bytes(schema: dict[str, Any], records: Sequence[dict[str, Any]], metadata: dict[str, str]) -> bytes:
    sink = io.BytesIO()
    mark = bytes.fromhex(digest(json.dumps(metadata, sort_keys=True))[:32])
    # fastavro notes in the schema that it parsed it, and refuses metadata that are no text.
    fastavro.writer(sink, json.loads(json.dumps(schema)), records, "deflate", metadata=metadata, sync_marker=mark)
    return sink.getvalue()


def read_manifest_urls(data: bytes) -> list[str]:
    """Absolute names of the manifests of a manifest list.

    Raises:
      ValueError: the bytes are no manifest list, or a damaged one.
    """
    return [str(record["manifest_path"]) for record in _avro_records(data)]


def read_entries(root: str, data: bytes) -> list[ListedFile]:
    """Live files of a manifest.

    Args:
      root: absolute root of the table under which it was written.
      data: the manifest.

    Raises:
      ValueError: the bytes are no manifest, or a damaged one, or it names a file outside of the table.
    """
    return [_entry_of(root, record) for record in _avro_records(data) if record["status"] != DELETED]


def _entry_of(root: str, record: dict[str, Any]) -> ListedFile:
    file = record["data_file"]
    refers_to = file.get("referenced_data_file")
    return ListedFile(
        path=relative(root, file["file_path"]),
        rows=file["record_count"],
        bytes=file["file_size_in_bytes"],
        since=record["snapshot_id"],
        status=record["status"],
        content=file["content"],
        refers_to=None if refers_to is None else relative(root, refers_to),
    )


def relative(root: str, url: str) -> str:
    """The path of a file relative to the root of its table.

    Raises:
      ValueError: it is not beneath the root.
    """
    start = root.removesuffix("/") + "/"
    if not url.startswith(start):
        raise ValueError(f"{url} is not beneath {root}")
    return inner_path(url.removeprefix(start))


def _avro_records(data: bytes) -> Iterator[dict[str, Any]]:
    try:
        for record in fastavro.reader(io.BytesIO(data)):
            if not isinstance(record, dict):
                raise ValueError("a record is no record")
            yield record
    except (EOFError, KeyError, IndexError, TypeError, OverflowError, ArithmeticError) as error:
        raise ValueError(f"no Avro file ({type(error).__name__}: {error})") from error
