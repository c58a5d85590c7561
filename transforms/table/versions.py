"""`table.json`: a table's bucket count, and which versions of this program may read and write the table."""

import contextlib
import dataclasses
import json
from importlib.metadata import version
from typing import Any, Self

from transforms import storage
from transforms.formats.hashing import json_bytes
from transforms.schemas.tables import SCHEMA_VERSION

READER_VERSION = 1
"""Raised when earlier versions of this program would misread what this one writes."""

WRITER_VERSION = 1
"""Raised when earlier versions of this program would damage or lose what this one writes."""


class TableError(ValueError):
    """A table or snapshot that this version cannot read or write."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableMetadata:
    """What `table.json` says. The table's first run writes it.

    Attributes:
      buckets: number of buckets that tracks are spread over.
      min_reader_version: lowest reader version that may read the table.
      min_writer_version: lowest writer version that may write to the table.
    """

    buckets: int
    min_reader_version: int = READER_VERSION
    min_writer_version: int = WRITER_VERSION

    def to_json(self) -> dict[str, Any]:
        """The file as a JSON object."""
        return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """The file that `to_json` wrote. In the oldest tables, `schema_version` stands for both versions."""
        oldest = obj["schema_version"]
        return cls(
            buckets=int(obj["buckets"]),
            min_reader_version=int(obj.get("min_reader_version", oldest)),
            min_writer_version=int(obj.get("min_writer_version", oldest)),
        )


def read_table_metadata(root: str, *, writing: bool = False) -> TableMetadata:
    """What `table.json` says.

    Args:
      root: folder or gs:// prefix of the table.
      writing: whether the caller is going to write to the table.

    Raises:
      TableError: the table asks for a newer reader, or for a newer writer where `writing`; or the file is damaged.
      storage.NotFound: there is no such file.
    """
    url = storage.join(root, "table.json")
    data = storage.read_bytes(url)
    try:
        found = TableMetadata.from_json(json.loads(data))
    except (KeyError, TypeError, ValueError) as error:
        raise TableError(f"{url}: not the metadata of a table ({type(error).__name__}: {error})") from error
    _check(url, "reader", found.min_reader_version, READER_VERSION)
    if writing:
        _check(url, "writer", found.min_writer_version, WRITER_VERSION)
    return found


def check_version(root: str, *, writing: bool = False) -> None:
    """Raises TableError as `read_table_metadata` does. A folder without `table.json` asks for no version."""
    with contextlib.suppress(storage.NotFound):
        read_table_metadata(root, writing=writing)


def open_table(root: str, buckets: int) -> int:
    """Bucket count of a table to write to: written once by whoever comes first, read by everybody after.

    Raises:
      TableError: the table asks for a newer reader or writer, or its `table.json` is damaged.
    """
    with contextlib.suppress(storage.AlreadyExists):
        storage.create(storage.join(root, "table.json"), json_bytes(TableMetadata(buckets=buckets).to_json()))
    return read_table_metadata(root, writing=True).buckets


def _check(url: str, role: str, wanted: int, own: int) -> None:
    if wanted > own:
        raise TableError(
            f"{url} asks for {role} version {wanted}, but catalog-tagger {version('catalog-tagger')} has {role} "
            f"version {own}: upgrade catalog-tagger"
        )
