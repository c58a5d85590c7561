"""Checks the table `neighbours`: ids, ranks and similarities; and the files of the search index."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.discovery.index.manifest import read_index_manifest
from transforms.formats.hashing import bucket_of, stream_sha256
from transforms.table.neighbours import NEIGHBOURS_TABLE, is_stale
from transforms.table.reader import EVERY_EMBEDDING, SnapshotReader
from transforms.table.snapshots import DataFile
from transforms.table.versions import TableError


def neighbour_problems(snapshot: SnapshotReader, rows: pa.Table, file: DataFile) -> Iterator[str]:
    """One sentence per inconsistency of a bucket's rows."""
    firsts = pc.unique(rows["track_id"])
    if strangers := [track for track in firsts.to_pylist() if bucket_of(track, snapshot.buckets) != file.bucket]:
        yield f"{file.path}: {len(strangers)} tracks of other buckets, e.g. {strangers[0]!r}"
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
            yield f"{file.path}: {unknown} tracks have no embedding"


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
    for file in manifest.files:
        try:
            with storage.open_input(storage.join(snapshot.root, file.path)) as stream:
                found = stream_sha256(stream)
        except storage.NotFound:
            yield f"{file.path}: missing"
            continue
        if found != file.sha256:
            yield f"{file.path}: sha256 {found}, the index has {file.sha256}"
