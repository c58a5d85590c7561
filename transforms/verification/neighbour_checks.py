"""Checks the table `neighbours`: ids, ranks and similarities; and the files of the search index."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.discovery.index.manifest import read_index_manifest
from transforms.formats.hashing import bucket_of, stream_sha256
from transforms.formats.quantities import quantity, subject
from transforms.table.neighbours import NEIGHBOURS_TABLE, is_stale, tracks_of
from transforms.table.reader import EVERY_EMBEDDING, SnapshotReader
from transforms.table.snapshots import DataFile
from transforms.table.versions import TableError

_SAMPLED_PAIRS = 2_000
"""Pairs of a bucket whose embeddings are compared."""


def neighbour_problems(snapshot: SnapshotReader, rows: pa.Table, file: DataFile) -> Iterator[str]:
    """One sentence per inconsistency of a bucket's rows."""
    firsts = pc.unique(rows["track_id"])
    if strangers := [track for track in firsts.to_pylist() if bucket_of(track, snapshot.buckets) != file.bucket]:
        yield f"{file.path}: {quantity(len(strangers), 'track')} of other buckets, e.g. {strangers[0]!r}"
    if pc.any(pc.equal(rows["track_id"], rows["neighbour_id"])).as_py():
        yield f"{file.path}: a track is its own neighbour"
    for name in ("rank", "neighbour_id"):
        if repeated := len(rows) - rows.group_by(["track_id", name]).aggregate([]).num_rows:
            yield f"{file.path}: {repeated} values of {name} occur more than once for a track"
    most = snapshot.manifest.run.neighbours.get("settings", {}).get("neighbours", 0)
    for name, low, high in (("rank", 1, most), ("similarity", -1.01, 1.01)):
        bounds = pc.min_max(rows[name]).as_py()
        if bounds["min"] is not None and not low <= bounds["min"] <= bounds["max"] <= high:
            yield f"{file.path}: {name} from {bounds['min']:.6g} to {bounds['max']:.6g}, not within {low} to {high}"
    if not is_stale(snapshot.manifest.run):
        own = snapshot.scan("embeddings", ["track_id"], bucket=file.bucket, embedding_id=EVERY_EMBEDDING)["track_id"]
        if unknown := pc.sum(pc.invert(pc.is_in(firsts, value_set=own))).as_py():
            yield f"{file.path}: {subject(unknown, 'track', 'has', 'have')} no embedding"
        yield from _mixed_pairs(snapshot, rows, file)


def _mixed_pairs(snapshot: SnapshotReader, rows: pa.Table, file: DataFile) -> Iterator[str]:
    """Pairs of tracks with different embeddings, in a sample of the rows; their similarity means nothing."""
    if len(snapshot.manifest.run.embedding_ids) < 2 or not len(rows):
        return
    sample = rows.take(pa.array(range(0, len(rows), max(1, len(rows) // _SAMPLED_PAIRS))))
    ids = pc.unique(pa.chunked_array([*sample["track_id"].chunks, *sample["neighbour_id"].chunks]))
    known = snapshot.scan("embeddings", ["track_id", "embedding_id"], track_ids=ids, embedding_id=EVERY_EMBEDDING)
    sides = [
        known["embedding_id"].take(pc.index_in(sample[name], value_set=known["track_id"]))
        for name in ("track_id", "neighbour_id")
    ]
    if mixed := pc.sum(pc.not_equal(*sides)).as_py():
        yield f"{file.path}: {mixed} of {len(sample)} pairs of tracks have different embeddings"


def index_problems(snapshot: SnapshotReader) -> Iterator[str]:
    """Compares the files of the search index with its manifest, and the manifest with the snapshot's record."""
    record = snapshot.manifest.run.neighbours
    has_rows = bool(snapshot.manifest.files(NEIGHBOURS_TABLE))
    if has_rows and not record:
        yield f"{NEIGHBOURS_TABLE}: it has files, but the snapshot does not say what they were computed from"
    path = record.get("index")
    if path is None:
        return
    try:
        manifest = read_index_manifest(snapshot.root, path)
    except (storage.NotFound, TableError) as error:
        yield f"{path}: {error}; run `catalog-tagger neighbours {snapshot.root}` to make it again"
        return
    if manifest.content_hash != record["content_hash"]:
        yield f"{path}: made from content hash {manifest.content_hash}, the snapshot has {record['content_hash']}"
    if not is_stale(snapshot.manifest.run):
        for one in manifest.sets:
            if one.tracks != (own := tracks_of(snapshot.manifest.run, one.embedding_id)):
                text = f"{subject(one.tracks, 'track', 'has', 'have')} the embedding {one.embedding_id}"
                text += f", in the snapshot {own:,}"
                yield f"{path}: {text}"
    for file in manifest.files:
        try:
            with storage.open_input(storage.join(snapshot.root, file.path)) as stream:
                found = stream_sha256(stream)
        except storage.NotFound:
            yield f"{file.path}: missing"
            continue
        if found != file.sha256:
            yield f"{file.path}: sha256 {found}, the index has {file.sha256}"
