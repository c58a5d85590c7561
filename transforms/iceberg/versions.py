"""Versions of Iceberg's metadata of one table: numbered, create-only JSON files, and the hint that names the newest.

    <root>/iceberg/<table>/metadata/v7.metadata.json       a version: schemas, snapshots, name mapping
    <root>/iceberg/<table>/metadata/version-hint.text      7
    <root>/iceberg/<table>/metadata/snap-3-<digest>.avro   list of a snapshot's manifests
    <root>/iceberg/<table>/metadata/<digest>-m0.avro       manifest: a snapshot's files

Engines open the folder `<root>/iceberg/<table>`. All names in these files are absolute, as Iceberg demands.
"""

import contextlib
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

from transforms import storage
from transforms.formats.documents import JSON_BYTES, parse_json
from transforms.formats.hashing import json_bytes
from transforms.iceberg.manifests import ListedFile, read_entries, read_manifest_urls, relative
from transforms.storage import FileInfo
from transforms.table.layout import iceberg_folder

HINT = "version-hint.text"
NAME_MAPPING = "schema.name-mapping.default"

_VERSION = re.compile(r"v(\d+)\.metadata\.json")


def metadata_path(name: str, file: str) -> str:
    """Path of a file of a table's metadata, relative to the root."""
    return f"{iceberg_folder(name)}/metadata/{file}"


def version_path(name: str, number: int) -> str:
    """Path of a version of a table's metadata, relative to the root."""
    return metadata_path(name, f"v{number}.metadata.json")


def absolute_root(root: str) -> str:
    """The root as its files name it: an absolute path, or a `gs://` prefix, without a slash at its end."""
    return (root if "://" in root else str(Path(root).absolute())).removesuffix("/")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Version:
    """The newest version of a table's metadata.

    Attributes:
      root: absolute root of the table under which it was read.
      name: the table.
      number: its number; 0 if there is none.
      fields: its content; None if there is none, or if it is damaged.
    """

    root: str
    name: str
    number: int
    fields: dict[str, Any] | None

    @property
    def written_root(self) -> str:
        """The root of the table under which it was written."""
        assert self.fields is not None
        return str(self.fields["location"]).removesuffix("/" + iceberg_folder(self.name))

    @property
    def is_usable(self) -> bool:
        """Whether it can be continued: it exists, and the table is where it was."""
        return self.fields is not None and self.written_root == self.root

    @property
    def snapshots(self) -> dict[int, dict[str, Any]]:
        """Number -> snapshot as JSON."""
        return {one["snapshot-id"]: one for one in (self.fields or {}).get("snapshots", ())}

    def manifests(self, number: int) -> list[str]:
        """Paths of a snapshot's manifests, relative to the root.

        Raises:
          ValueError: the list is damaged.
          storage.StorageError: it is missing or unreadable.
        """
        path = relative(self.written_root, self.snapshots[number]["manifest-list"])
        urls = read_manifest_urls(storage.read_bytes(storage.join(self.root, path), max_bytes=JSON_BYTES))
        return [relative(self.written_root, url) for url in urls]

    def entries(self, number: int) -> list[ListedFile]:
        """Live files of a snapshot. See `manifests` for errors."""
        data = (
            storage.read_bytes(storage.join(self.root, path), max_bytes=JSON_BYTES) for path in self.manifests(number)
        )
        return [entry for one in data for entry in read_entries(self.written_root, one)]


def version_files(root: str, name: str) -> dict[int, FileInfo]:
    """Number -> file of each version of a table's metadata, ascending."""
    listed = storage.list_folder(storage.join(root, iceberg_folder(name), "metadata"))
    found = {int(m[1]): file for file in listed if (m := _VERSION.fullmatch(file.url.rpartition("/")[2]))}
    return dict(sorted(found.items()))


def read_version(root: str, name: str, number: int | None = None) -> Version:
    """Reads a version of a table's metadata, by default the newest.

    Raises:
      storage.StorageError: the storage fails.
    """
    if number is None:
        number = max(version_files(root, name), default=0)
    fields = None
    if number:
        with contextlib.suppress(storage.NotFound, storage.TooLarge, ValueError, TypeError, LookupError):
            data = storage.read_bytes(storage.join(root, version_path(name, number)), max_bytes=JSON_BYTES)
            fields = _checked(parse_json(data))
    return Version(root=absolute_root(root), name=name, number=number, fields=fields)


def _checked(fields: Any) -> dict[str, Any]:
    """The fields, if all that is continued is there.

    Raises:
      ValueError, TypeError, LookupError: it is not.
    """
    if fields["format-version"] != 2 or not isinstance(fields["location"], str):
        raise ValueError("another format")
    mapping = json.loads(fields["properties"][NAME_MAPPING])
    known = {one["snapshot-id"] + 0: one["manifest-list"] + "" for one in fields["snapshots"]}
    schemas = [one["schema-id"] + 0 for one in fields["schemas"]]
    ids = fields["last-column-id"] + 0, fields["table-uuid"] + ""
    if not isinstance(mapping, list) or len(known) != len(fields["snapshots"]) or not (schemas and all(ids)):
        raise ValueError("another form")
    return dict(fields)


def write_version(root: str, name: str, number: int, fields: dict[str, Any]) -> None:
    """Writes a new version of a table's metadata, then the hint.

    Raises:
      storage.AlreadyExists: another writer was first.
    """
    storage.create(storage.join(root, version_path(name, number)), json_bytes(fields))
    write_hint(root, name, number)


def write_hint(root: str, name: str, number: int) -> None:
    """Names the newest version for engines that open a table by its folder."""
    url, text = storage.join(root, metadata_path(name, HINT)), f"{number}".encode()
    with contextlib.suppress(storage.NotFound, storage.TooLarge):
        if storage.read_bytes(url, max_bytes=32) == text:
            return
    storage.write_bytes(url, text)
