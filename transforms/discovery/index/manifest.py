"""`index.json`: which files belong to a search index, and the snapshot that it was made from."""

import dataclasses
from typing import Any, Self

from transforms import storage
from transforms.formats.hashing import sha256_hex
from transforms.formats.inner_paths import inner_path
from transforms.formats.sealing import read_record, sealed_bytes
from transforms.table.versions import TableError

_FILES = ("groups", "vectors", "candidates")

Data = bytes
"""The type, whose name is a field of `IndexFile`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndexFile:
    """A file of an index.

    Attributes:
      path: relative to the root of the table.
      tracks: number of its tracks; 0 for a model.
    """

    path: str
    sha256: str
    bytes: int
    tracks: int = 0

    def __post_init__(self) -> None:
        inner_path(self.path)

    @classmethod
    def of(cls, path: str, data: Data, tracks: int = 0) -> Self:
        """The entry of a file with these bytes."""
        return cls(path=path, bytes=len(data), sha256=sha256_hex(data), tracks=tracks)


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndexSet:
    """The index of one embedding.

    Attributes:
      model: the space and the cells.
      groups: the files of the tracks, in their order.
      vectors: the files of the vectors of each group.
      candidates: the files of the candidates of each group, from which the next job starts.
    """

    embedding_id: str
    model: IndexFile
    groups: tuple[IndexFile, ...]
    vectors: tuple[IndexFile, ...]
    candidates: tuple[IndexFile, ...]

    @property
    def tracks(self) -> int:
        """Number of tracks."""
        return sum(file.tracks for file in self.groups)


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndexManifest:
    """All sets of an index.

    Attributes:
      content_hash: that of the snapshot whose tracks it has.
      sets: one for each embedding of the snapshot.
    """

    content_hash: str
    sets: tuple[IndexSet, ...]

    def to_json(self) -> dict[str, Any]:
        """The manifest as a JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """The manifest that `to_json` wrote."""
        sets = tuple(
            IndexSet(
                embedding_id=one["embedding_id"],
                model=IndexFile(**one["model"]),
                **{name: tuple(IndexFile(**file) for file in one[name]) for name in _FILES},
            )
            for one in obj["sets"]
        )
        return cls(content_hash=obj["content_hash"], sets=sets)

    @property
    def files(self) -> list[IndexFile]:
        """All files, without the manifest itself."""
        return [f for one in self.sets for f in (one.model, *one.groups, *one.vectors, *one.candidates)]


def write_index_manifest(root: str, path: str, manifest: IndexManifest) -> None:
    """Writes the manifest; an earlier attempt may have written the same one."""
    storage.ensure(storage.join(root, path), sealed_bytes(manifest.to_json()))


def read_index_manifest(root: str, path: str) -> IndexManifest:
    """Reads the manifest of an index.

    Raises:
      storage.NotFound: it is missing.
      TableError: it is damaged.
    """
    url = storage.join(root, path)
    return read_record(url, "a search index", IndexManifest.from_json, TableError, must_be_sealed=lambda: True)
