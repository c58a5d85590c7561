"""Similar tracks for many requests: vectors, the search index and the graph of neighbours stay in the cache."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.serving.finding.deadlines import Deadline
from pipelines.serving.problems import Declined
from pipelines.serving.rows import rows_by_id
from pipelines.serving.snapshots import OpenSnapshot
from transforms.discovery.exact import Nearest, nearest_of
from transforms.discovery.index.opening import index_set, open_index
from transforms.discovery.index.search import SearchIndex
from transforms.discovery.neighbour_graph import NeighbourGraph
from transforms.discovery.similarity import Float32s, Space, shown_similarities
from transforms.discovery.vectors import bucket_vectors, declared_spec, fit_space
from transforms.formats.hashing import bucket_of
from transforms.table.neighbours import is_stale
from transforms.table.reader import TRACK_ID, SnapshotReader, open_snapshot
from transforms.table.versions import TableError

_SOURCES = ("embeddings", "track_tags")
"""The tables that vectors are made from."""


def index_of(opened: OpenSnapshot, embedding_id: str) -> SearchIndex | None:
    """The search index of an embedding; None if the table has none. Snapshots with the same index share it."""
    if (path := opened.reader.manifest.run.neighbours.get("index")) is None:
        return None

    def make() -> SearchIndex | None:
        if index_set(opened.reader, embedding_id) is None:
            return None
        return opened.reader.kept.shared(("index", path, embedding_id), lambda: open_index(opened.reader, embedding_id))

    return opened.kept(f"index {embedding_id}", make)


def space_of(opened: OpenSnapshot, embedding_id: str) -> Space:
    """The space of an embedding: that of the search index, or one that is fitted once for a snapshot."""
    if (index := index_of(opened, embedding_id)) is not None:
        return index.model.space
    return opened.kept(
        f"space {embedding_id}", lambda: fit_space(opened.reader, declared_spec(opened.reader, embedding_id))
    )


def vector_of(opened: OpenSnapshot, embedding_id: str, track_id: str) -> Float32s | None:
    """The vector of a track: float32 [d]; None if it has no such embedding."""
    if (index := index_of(opened, embedding_id)) is not None:
        if _is_as_indexed(opened, bucket_of(track_id, opened.reader.buckets)):
            row = index.row(track_id)
            return None if row is None else index.vectors(np.array([row]))[0]
        return _read_vector(opened, space_of(opened, embedding_id), track_id)
    bucket = bucket_of(track_id, opened.reader.buckets)
    ids, vectors = bucket_vectors_of(opened, space_of(opened, embedding_id), bucket)
    place = pc.index(ids, track_id).as_py()
    return None if place < 0 else vectors[place]


def _read_vector(opened: OpenSnapshot, space: Space, track_id: str) -> Float32s | None:
    """The vector of a track from its rows, as `track_vectors` has it. Tags come by DuckDB, which decodes most columns
    only where the track is; `scan` would decode all rows of the bucket.
    """
    name = space.spec.embedding_id
    rows = opened.reader.scan("embeddings", ["embedding"], track_ids=[track_id], embedding_id=name)
    if not len(rows):
        return None
    view = opened.bucket_view("track_tags", bucket_of(track_id, opened.reader.buckets))
    said = opened.table(f"SELECT tag, score FROM {view} WHERE track_id = ?", [track_id])
    scores = dict(zip(said["tag"].to_pylist(), said["score"].to_pylist(), strict=True))
    values = np.array([[scores.get(tag, 0.0) for tag in space.tags]], np.float32)
    found: Float32s = space.vectors(np.array([rows["embedding"][0].as_py()], np.float32), values)[0]
    return found


def _is_as_indexed(opened: OpenSnapshot, bucket: int) -> bool:
    """Whether the tracks of a bucket have the vectors of the index: it is of this snapshot, or what vectors are made
    from is as it was. Without the earlier snapshot, nobody knows.
    """
    run = opened.reader.manifest.run
    if not is_stale(run):
        return True

    def indexed() -> list[list[list[str]]] | None:
        try:
            return _contents(open_snapshot(opened.reader.root, run.neighbours["snapshot"]))
        except TableError:
            return None

    before = opened.kept("indexed contents", indexed)
    now = opened.kept("contents", lambda: _contents(opened.reader))
    return before is not None and len(before) == len(now) and before[bucket] == now[bucket]


def _contents(snapshot: SnapshotReader) -> list[list[list[str]]]:
    """Digests of the rows of each bucket that vectors are made from."""
    return [[snapshot.manifest.content(name, b) for name in _SOURCES] for b in range(snapshot.buckets)]


def find_nearest(
    opened: OpenSnapshot,
    queries: Float32s,
    embedding_id: str,
    limit: int,
    seconds: float,
    without: Mapping[str, Sequence[str]],
) -> list[Nearest]:
    """The tracks of a snapshot that are most similar to vectors: by the search index if there is one, else exactly.

    Args:
      opened: the snapshot.
      queries: vectors of the space of the embedding: float32 [q, d].
      embedding_id: only tracks with it are compared.
      limit: most tracks of a query.
      seconds: most time.
      without: columns of `tracks` and values: tracks that have one of them are left out.

    Raises:
      Problem: the time is over, or the vectors of the table are too many for the cache.
    """
    space, snapshot = space_of(opened, embedding_id), opened.reader
    if (index := index_of(opened, embedding_id)) is not None:
        deadline = Deadline(seconds)
        return [_indexed(opened, index, query, limit, without, deadline) for query in queries]
    needed = snapshot.manifest.rows("embeddings") * space.dimensions * 4
    if needed > snapshot.kept.most:
        needs = f"the vectors of this table need {needed} bytes of memory"
        detail = f"{needs}: run `catalog-tagger neighbours`, or start the service with a larger --cache"
        raise Declined("not-offered", detail)
    deadline = Deadline(seconds)

    def parts() -> Iterator[tuple[pa.Array, Float32s]]:
        for bucket in range(snapshot.buckets):
            deadline.check()
            ids, vectors = bucket_vectors_of(opened, space, bucket)
            rows = snapshot.scan("tracks", list(dict.fromkeys([TRACK_ID, *without])), bucket=bucket)
            keep = np.ones(len(ids), np.bool_)
            for column, values in without.items():
                same = rows.filter(pc.is_in(rows[column], value_set=pa.array(values, pa.string())))
                keep &= ~np.asarray(pc.is_in(ids, value_set=same["track_id"].combine_chunks()), np.bool_)
            yield (ids, vectors) if keep.all() else (ids.filter(pa.array(keep)), vectors[keep])

    found = nearest_of(parts(), queries, limit)
    return [Nearest(one.track_ids, shown_similarities(one.similarities)) for one in found]


def _indexed(
    opened: OpenSnapshot,
    index: SearchIndex,
    query: Float32s,
    limit: int,
    without: Mapping[str, Sequence[str]],
    deadline: Deadline,
) -> Nearest:
    """The answer of the index. An index of an earlier snapshot may have tracks that are gone."""
    more = limit + sum(map(len, without.values()))
    while True:
        deadline.check()
        found = index.search(query, more)
        rows = rows_by_id(opened.reader, "tracks", found.track_ids, list(without) or [TRACK_ID])
        keep = [
            one in rows and not any(rows[one][column] in values for column, values in without.items())
            for one in found.track_ids
        ]
        if sum(keep) >= limit or len(found.track_ids) < more:
            chosen = np.flatnonzero(keep)[:limit]
            return Nearest(tuple(found.track_ids[n] for n in chosen), shown_similarities(found.similarities[chosen]))
        more *= 4


def graph_of(opened: OpenSnapshot) -> NeighbourGraph | None:
    """The graph of mutual neighbours, which stays in the cache; None if the table has no neighbours."""
    key = ("neighbour graph", opened.content_hash, opened.number)
    return opened.reader.kept.get(
        key, lambda: NeighbourGraph.of(opened.reader), lambda graph: 0 if graph is None else graph.nbytes
    )


def bucket_vectors_of(opened: OpenSnapshot, space: Space, bucket: int) -> tuple[pa.Array, Float32s]:
    """Track ids of a bucket and their vectors, see `bucket_vectors`."""
    key = ("vectors", opened.content_hash, space.spec, bucket)
    return opened.reader.kept.get(
        key,
        lambda: bucket_vectors(opened.reader, space, bucket),
        lambda found: int(found[0].nbytes) + found[1].nbytes,
    )
