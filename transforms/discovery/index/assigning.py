"""The first steps of a set of neighbours: which tracks changed since the earlier index, and the new index."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.discovery.index.cells import Int64s, nearest_cells
from transforms.discovery.index.groups import DIGEST_BYTES, IndexGroup, digests
from transforms.discovery.index.job import NeighbourJob, base_group, base_of, gathered_group, model_of, opened_snapshot
from transforms.discovery.index.manifest import IndexFile, IndexSet
from transforms.discovery.index.pieces import read_facts, read_piece, write_pieces
from transforms.discovery.similarity import Float32s
from transforms.discovery.vectors import bucket_values
from transforms.formats.arrow import group_numbers
from transforms.table.reader import SnapshotReader

_DIGEST = pa.binary(DIGEST_BYTES)
_KNOWN = pa.schema([("track_id", pa.string()), ("digest", _DIGEST)])


def split_base(job: NeighbourJob, group: int) -> None:
    """Writes ids and digests of the tracks of a group of the earlier index, in one record batch for each bucket."""
    base, url = base_of(job), job.part("known", group)
    if base is None or storage.exists(url):
        return
    ids, buckets = base_group(job, base, group).track_ids, opened_snapshot(job.root, job.snapshot).buckets
    rows = pa.table([ids, _base_digests(job, base, group)], schema=_KNOWN)
    write_pieces(url, rows, group_numbers(ids.to_pylist(), buckets), buckets)


def _base_digests(job: NeighbourJob, base: IndexSet, group: int) -> pa.Array:
    return read_piece(job.url(base.candidates[group].path), 0, ["digest"])["digest"]


def assign_bucket(job: NeighbourJob, bucket: int) -> Mapping[str, int]:
    """Writes vectors, cells and durations of a bucket's new tracks, and the ids of those that are no longer the same.

    Both have one record batch for each group. A track with another embedding, other scores that count, or another
    duration is new, and no longer the same.

    Returns:
      Numbers of tracks: `tracks_added`, `tracks_changed`, `tracks_removed`, `tracks_same`.
    """
    url = job.part("assigned", bucket)
    if storage.exists(url):
        return read_facts(url)
    snapshot, model = opened_snapshot(job.root, job.snapshot), model_of(job)
    values = bucket_values(snapshot, bucket, model.space.spec.embedding_id, model.space.tags)
    ids, durations = values.track_ids, _durations(snapshot, bucket, values.track_ids)
    known, groups = _known(job, bucket)
    said = digests(values.embeddings, model.space.counted(values.scores), durations)
    fresh, gone = _changes(pa.table([ids, said], schema=_KNOWN), known)
    removed = pc.sum(pc.invert(pc.is_in(known["track_id"], value_set=ids))).as_py() or 0
    added, changed = int(fresh.sum()) - (int(gone.sum()) - removed), int(gone.sum()) - removed
    facts = {"added": added, "changed": changed, "removed": removed, "same": len(known) - int(gone.sum())}
    lost = pa.table({"track_id": known["track_id"].filter(pa.array(gone))})
    write_pieces(job.part("gone", bucket), lost, groups[gone], model.groups)
    vectors = model.space.vectors(values.embeddings[fresh], values.scores[fresh])
    cells, halves = nearest_cells(vectors, model.centres), vectors.astype(np.float16)
    rows = pa.table(
        {
            "track_id": ids.filter(pa.array(fresh)),
            "cell": pa.array(cells.astype(np.int32)),
            "duration_s": pa.array(durations[fresh]),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(halves.ravel()), model.space.dimensions),
            "digest": said.filter(pa.array(fresh)),
        }
    )
    told = {f"tracks_{name}": count for name, count in facts.items()}
    write_pieces(url, rows, model.groups_of(cells), model.groups, told)
    return told


def _known(job: NeighbourJob, bucket: int) -> tuple[pa.Table, Int64s]:
    """Ids and digests of the bucket's tracks in the earlier index, and their groups."""
    base = base_of(job)
    if base is None:
        return _KNOWN.empty_table(), np.zeros(0, np.int64)
    pieces = [read_piece(job.part("known", group), bucket) for group in range(len(base.groups))]
    rows = pa.Table.from_batches(pieces).replace_schema_metadata().combine_chunks()
    return rows, np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])


def _changes(own: pa.Table, known: pa.Table) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which of the own tracks are not known as they are, and which known ones are no longer as they were."""
    places = pc.index_in(own["track_id"], value_set=known["track_id"])
    same = pc.fill_null(pc.equal(own["digest"], known["digest"].take(places)), False)
    fresh = ~np.asarray(same)
    gone = np.ones(len(known), bool)
    gone[np.asarray(places.filter(same))] = False
    return fresh, gone


def _durations(snapshot: SnapshotReader, bucket: int, ids: pa.Array) -> Float32s:
    rows = snapshot.scan("tracks", ["track_id", "duration_s"], bucket=bucket)
    places = pc.index_in(ids, value_set=rows["track_id"])
    found: Float32s = np.asarray(rows["duration_s"].take(places).cast(pa.float32()).fill_null(np.nan), np.float32)
    return found


def gather_group(job: NeighbourJob, group: int) -> tuple[IndexFile, IndexFile]:
    """Writes a group of the index, and where the tracks of the earlier one are in it; the entries of both files."""
    paths = [job.group_path(group, suffix) for suffix in ("arrow", "vectors")]
    if storage.exists(job.url(paths[0])):
        data, vectors = (storage.read_bytes(job.url(path)) for path in paths)
        tracks = len(gathered_group(job, group))
    else:
        found = _gathered(job, group)
        data, vectors, tracks = found.to_bytes(), found.vectors_to_bytes(), len(found)
        storage.ensure(job.url(paths[1]), vectors)
        storage.ensure(job.url(paths[0]), data)  # last: it says that the group is finished
    return IndexFile.of(paths[0], data, tracks), IndexFile.of(paths[1], vectors, tracks)


def _gathered(job: NeighbourJob, group: int) -> IndexGroup:
    """The group; writes the digests of its tracks, and where those of the earlier index are in it."""
    model, base = model_of(job), base_of(job)
    buckets = range(opened_snapshot(job.root, job.snapshot).buckets)
    rows = pa.Table.from_batches([read_piece(job.part("assigned", bucket), group) for bucket in buckets])
    vectors = np.asarray(rows["vector"].combine_chunks().flatten()) if len(rows) else np.zeros(0, np.float16)
    ids = rows["track_id"].combine_chunks() if len(rows) else pa.array([], pa.string())
    found = IndexGroup.of(
        model,
        ids,
        np.asarray(rows["cell"]).astype(np.int64),
        np.asarray(rows["duration_s"], np.float32),
        vectors.reshape(len(rows), model.space.dimensions).astype(np.float32),
    )
    names, said = [rows["track_id"]], [rows["digest"]]
    if base is not None:
        gone = pa.Table.from_batches([read_piece(job.part("gone", bucket), group) for bucket in buckets])["track_id"]
        own = base_group(job, base, group)
        kept = ~np.asarray(pc.is_in(own.track_ids, value_set=gone))
        names.append(own.track_ids.filter(pa.array(kept)))
        said.append(_base_digests(job, base, group).filter(pa.array(kept)))
        found = _joined(job, group, own, kept, found)
    places = pc.index_in(found.track_ids, value_set=_array(names, pa.string()))
    write_pieces(job.part("digests", group), pa.table({"digest": _array(said, _DIGEST).take(places)}), None, 1)
    return found


def _array(parts: Sequence[pa.Array | pa.ChunkedArray], kind: pa.DataType) -> pa.Array:
    """One array of all parts."""
    chunks = [chunk for part in parts for chunk in (part.chunks if isinstance(part, pa.ChunkedArray) else [part])]
    return pa.concat_arrays(chunks) if chunks else pa.array([], kind)


def _joined(
    job: NeighbourJob, group: int, own: IndexGroup, kept: npt.NDArray[np.bool_], fresh: IndexGroup
) -> IndexGroup:
    """The kept tracks of a group of the earlier index, and new ones; writes the places of the earlier ones."""
    found, places = own.only(kept).joined(fresh)
    moved = np.full(len(own), -1, np.int64)
    moved[kept] = places[: int(kept.sum())]
    rows = pa.table({"cell": pa.array(own.cells), "place": pa.array(moved.astype(np.int32))})
    write_pieces(job.part("moved", group), rows, None, 1)
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class Moves:
    """What became of the tracks of a group of the earlier index.

    Attributes:
      places: place of each track of the earlier group in the new one, -1 if it is no longer the same: int64 [earlier].
      origins: place of each track of the new group in the earlier one, -1 if it is new: int64 [n].
      bounds: first place of each cell of the group, and the number of tracks.
      sizes: number of tracks that each cell of the group had before.
      changed: the cells that have other tracks than before.
    """

    places: Int64s
    origins: Int64s
    bounds: list[int]
    sizes: list[int]
    changed: frozenset[int]

    @classmethod
    def of(cls, job: NeighbourJob, base: IndexSet | None, group: int) -> "Moves":
        """Those of a group that was gathered. Without an earlier index, all tracks are new."""
        own, starts = gathered_group(job, group), model_of(job).starts
        numbers = np.arange(starts[group], starts[group + 1] + 1)
        origins, places, cells = np.full(len(own), -1, np.int64), np.zeros(0, np.int64), own.cells[:0]
        if base is not None:
            rows = read_piece(job.part("moved", group), 0)
            places, cells = np.asarray(rows["place"]).astype(np.int64), np.asarray(rows["cell"])
        kept = np.flatnonzero(places >= 0)
        origins[places[kept]] = kept
        changed = np.union1d(own.cells[origins < 0], cells[places < 0])
        return cls(
            places=places,
            origins=origins,
            bounds=np.searchsorted(own.cells, numbers).tolist(),
            sizes=np.diff(np.searchsorted(cells, numbers)).tolist(),
            changed=frozenset(changed.tolist()),
        )
