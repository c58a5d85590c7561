"""`table.json`: a table's bucket count, and the versions of this program that may read and write the table."""

import contextlib
import dataclasses
from importlib.metadata import version
from typing import Any, Self

from transforms import storage
from transforms.formats.hashing import json_bytes
from transforms.formats.sealing import open_sealed, read_record, sealed_bytes
from transforms.schemas.tables import SCHEMA_VERSION

READER_VERSION = 2
"""Increased if earlier versions of this program would misread the files of this one. 2: levels."""

WRITER_VERSION = 5
"""Increased if earlier versions of this program would damage or lose the files of this one. 2: digests. 3: levels. 4:
neighbours, whose files the `gc` of earlier versions removes, and parameters of tracks, which they would leave out. 5:
tags of rules, which their takedowns would add to the tags of artists and albums."""

LEVELS, NEIGHBOURS, PARAMETERS, RULES = (2, 3), (1, 4), (1, 4), (1, 5)
"""Lowest reader and writer version of a table with levels, with neighbours, with parameters of tracks, and with tags of
rules."""

_NEW_TABLE = {"min_reader_version": 1, "min_writer_version": 2}
"""Versions that a table needs until a snapshot has levels or parameters."""


class TableError(ValueError):
    """A table or snapshot that this version cannot read or write."""


class NoTable(storage.NotFound):
    """There is no table in the place that was named."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableMetadata:
    """The content of `table.json`, which the table's first run writes. Only its versions are ever increased.

    Attributes:
      buckets: number of buckets; a hash of its id assigns each track to one.
      min_reader_version: lowest reader version that may read the table.
      min_writer_version: lowest writer version that may write to the table.
    """

    buckets: int
    min_reader_version: int = _NEW_TABLE["min_reader_version"]
    min_writer_version: int = _NEW_TABLE["min_writer_version"]

    def __post_init__(self) -> None:
        if self.buckets < 1:
            raise ValueError(f"buckets={self.buckets}: a table has at least one")

    def to_json(self) -> dict[str, Any]:
        """The file as a JSON object."""
        return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """The metadata that `to_json` wrote. In the oldest tables, `schema_version` is used for both versions."""
        oldest = obj["schema_version"]
        return cls(
            buckets=int(obj["buckets"]),
            min_reader_version=int(obj.get("min_reader_version", oldest)),
            min_writer_version=int(obj.get("min_writer_version", oldest)),
        )


def read_table_metadata(root: str, *, writing: bool = False) -> TableMetadata:
    """Reads `table.json`.

    Args:
      root: folder or gs:// prefix of the table.
      writing: whether the caller will write to the table.

    Raises:
      TableError: the table needs a newer reader, or, if `writing`, a newer writer; or the file is damaged.
      NoTable: the file does not exist.
    """
    url = storage.join(root, "table.json")
    try:
        metadata = read_record(url, "the metadata of a table", TableMetadata.from_json, TableError)
    except storage.NotFound as error:
        message = f"{root} is no table, because it has no table.json: give the folder or gs:// prefix of a table"
        raise NoTable(message) from error
    _check(url, "reader", metadata.min_reader_version, READER_VERSION)
    if writing:
        _check(url, "writer", metadata.min_writer_version, WRITER_VERSION)
    return metadata


def check_version(root: str, *, writing: bool = False) -> None:
    """Raises TableError as `read_table_metadata` does. A folder without `table.json` needs no version."""
    with contextlib.suppress(storage.NotFound):
        read_table_metadata(root, writing=writing)


def is_sealed(root: str) -> bool:
    """Whether the table's first run gave `table.json` a digest. Then every manifest of the table has one.

    Only this version and later ones write to such a table, because its `min_writer_version` is at least 2.
    """
    try:
        return open_sealed(storage.read_bytes(storage.join(root, "table.json"))).sealed
    except storage.NotFound:
        return False


def open_table(root: str, buckets: int, *, create: bool = True) -> int:
    """Returns the bucket count of a table to write to. The first run writes `buckets`; later runs read it.

    Args:
      create: whether a table that does not exist is created; a dry run does not.

    Raises:
      TableError: the table needs a newer reader or writer, or its `table.json` is damaged.
    """
    try:
        return read_table_metadata(root, writing=True).buckets
    except storage.NotFound:
        if not create:
            return buckets
    with contextlib.suppress(storage.AlreadyExists):
        storage.create(storage.join(root, "table.json"), sealed_bytes(TableMetadata(buckets=buckets).to_json()))
    return read_table_metadata(root, writing=True).buckets


def require_versions(root: str, versions: tuple[int, int]) -> None:
    """Makes earlier programs refuse the table, before its first snapshot is committed that they would misread or lose.

    Args:
      root: folder or gs:// prefix of the table.
      versions: `LEVELS`, `NEIGHBOURS`, `PARAMETERS` or `RULES`.
    """
    url, metadata = storage.join(root, "table.json"), read_table_metadata(root, writing=True)
    reader, writer = versions
    needed = dataclasses.replace(
        metadata,
        min_reader_version=max(reader, metadata.min_reader_version),
        min_writer_version=max(writer, metadata.min_writer_version),
    )
    if needed != metadata:
        # In a table without digests, all manifests are without, so this file stays without.
        to_bytes = sealed_bytes if is_sealed(root) else json_bytes
        storage.write_bytes(url, to_bytes(needed.to_json()))


def _check(url: str, role: str, wanted: int, own: int) -> None:
    if wanted > own:
        raise TableError(
            f"{url} needs {role} version {wanted}, but catalog-tagger {version('catalog-tagger')} has {role} "
            f"version {own}: upgrade catalog-tagger"
        )
