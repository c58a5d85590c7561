"""Opens the search index of a snapshot.

Ids and codes are mapped, or read whole from `gs://`. Vectors are mapped, or read by ranges when a query needs them.
"""

import functools

from transforms import storage
from transforms.discovery.index.groups import IndexGroup
from transforms.discovery.index.manifest import IndexFile, IndexManifest, IndexSet, read_index_manifest
from transforms.discovery.index.model import IndexModel
from transforms.discovery.index.rows import RangedRows, VectorRows, local_rows, readers
from transforms.discovery.index.search import SearchIndex
from transforms.discovery.similarity import Space
from transforms.storage.mapped import mapped
from transforms.table.reader import SnapshotReader
from transforms.table.versions import TableError


def open_index(snapshot: SnapshotReader, embedding_id: str | None = None) -> SearchIndex | None:
    """The index of a snapshot, or None if it has none for this embedding.

    Args:
      snapshot: its index can be that of an earlier snapshot, see `is_stale`.
      embedding_id: by default, that of the snapshot's run.

    Raises:
      TableError: a file has another size than the index says, or cannot be read.
      storage.StorageError: a file is missing or unreadable.
    """
    found = index_set(snapshot, embedding_id or snapshot.manifest.run.ids.embedding_id)
    if found is None:
        return None
    model = _model(snapshot.root, found.model)
    pairs = list(zip(found.groups, found.vectors, strict=True))
    open_pair = functools.partial(_opened, snapshot.root, model.space.dimensions)
    if "://" not in snapshot.root:
        return SearchIndex.of(model, [open_pair(pair) for pair in pairs])
    with readers() as pool:
        return SearchIndex.of(model, list(pool.map(open_pair, pairs)))


def indexed_space(snapshot: SnapshotReader, embedding_id: str) -> Space | None:
    """The space of a snapshot's index, for an exact search with the same similarities. See `open_index`."""
    found = index_set(snapshot, embedding_id)
    return None if found is None else _model(snapshot.root, found.model).space


def _model(root: str, file: IndexFile) -> IndexModel:
    try:
        return IndexModel.from_bytes(_checked(root, file).tobytes())
    except TableError:
        raise
    except ValueError as error:
        raise TableError(f"{storage.join(root, file.path)}: {error}; run `catalog-tagger neighbours` again") from error


def index_set(snapshot: SnapshotReader, embedding_id: str) -> IndexSet | None:
    """What the manifest of a snapshot's index says about one embedding."""
    record = snapshot.manifest.run.neighbours
    if (path := record.get("index")) is None:
        return None
    manifest = read_index_manifest(snapshot.root, path)
    if manifest.content_hash != record["content_hash"]:
        raise TableError(
            f"{snapshot.root}: {path} was made from content hash {manifest.content_hash}, snapshot "
            f"{snapshot.manifest.number} names {record['content_hash']}: run `catalog-tagger neighbours` again"
        )
    return _of_embedding(manifest, embedding_id)


def _of_embedding(manifest: IndexManifest, embedding_id: str) -> IndexSet | None:
    return next((one for one in manifest.sets if one.embedding_id == embedding_id), None)


def _checked(root: str, file: IndexFile) -> memoryview:
    """The bytes of a file, if they are as many as the index says; `verify` compares all of them."""
    data = mapped(storage.join(root, file.path))
    if len(data) != file.bytes:
        raise TableError(
            f"{storage.join(root, file.path)}: {len(data)} bytes, the index has {file.bytes}: restore it from a copy, "
            "or run `catalog-tagger neighbours` again"
        )
    return data


def _opened(root: str, dimensions: int, files: tuple[IndexFile, IndexFile]) -> IndexGroup:
    file, vectors = files
    data, rows = _checked(root, file), _vectors(root, dimensions, vectors)
    try:
        return IndexGroup.of_bytes(data, rows)
    except (ValueError, LookupError, OSError) as error:
        raise TableError(f"{storage.join(root, file.path)}: not a file of an index ({error})") from error


def _vectors(root: str, dimensions: int, file: IndexFile) -> VectorRows:
    """The vectors of a group: mapped, or read by ranges from `gs://`."""
    url = storage.join(root, file.path)
    if "://" in root:
        return RangedRows(url, file.tracks, dimensions)
    _checked(root, file)
    return local_rows(url, dimensions)
