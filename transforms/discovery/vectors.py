"""Vectors of the tracks of a snapshot, bucket by bucket, and the space that is fitted to a sample of them."""

import dataclasses
import json
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.discovery.similarity import (
    CALIBRATED_WEIGHT,
    UNCALIBRATED_WEIGHT,
    Float32s,
    SimilaritySpec,
    Space,
)
from transforms.table.reader import SnapshotReader
from transforms.table.sampling import track_hashes
from transforms.table.versions import TableError

FITTED_TRACKS = 20_000
"""Tracks to which a space is fitted."""


@dataclasses.dataclass(frozen=True, eq=False)
class TrackValues:
    """Embeddings and scores of tracks.

    Attributes:
      track_ids: ascending.
      embeddings: float32 [n, d].
      scores: float32 [n, tags]; 0 for a score that is not published.
    """

    track_ids: pa.Array
    embeddings: Float32s
    scores: Float32s


def declared_spec(
    snapshot: SnapshotReader, embedding_id: str | None = None, tag_weight: float | None = None
) -> SimilaritySpec:
    """What similarity means in a snapshot: the parts of the embedding are those that its manifest names.

    Args:
      snapshot: whose tracks are compared.
      embedding_id: by default, that of its run.
      tag_weight: by default, by the share of the tags that are calibrated.
    """
    run = snapshot.manifest.run
    name = embedding_id or run.ids.embedding_id
    weight = _declared_weight(snapshot) if tag_weight is None else tag_weight
    return SimilaritySpec(embedding_id=name, tag_weight=weight, parts=run.embedding_parts.get(name, ()))


def _declared_weight(snapshot: SnapshotReader) -> float:
    """Tags that are calibrated on labels count more: others say little that the embedding does not say."""
    texts = snapshot.scan("taxonomy", ["calibration"])["calibration"].drop_null().to_pylist()  # null: tags of rules
    kinds = [json.loads(text)["kind"] for text in texts]
    share = sum(kind != "identity" for kind in kinds) / max(1, len(kinds))
    weight: float = round(UNCALIBRATED_WEIGHT + share * (CALIBRATED_WEIGHT - UNCALIBRATED_WEIGHT), 4)
    return weight


def fit_space(snapshot: SnapshotReader, spec: SimilaritySpec | None = None) -> Space:
    """The space of a snapshot, by default with the embedding of its run and the declared weights.

    The sample has the tracks of whole buckets in the order of a hash of their numbers. It depends neither on the order
    of the catalog nor on the number of workers.

    Raises:
      TableError: no track has this embedding.
      storage.StorageError: a file is missing, unreadable or damaged.
    """
    spec = spec or declared_spec(snapshot)
    tags, categories = _taxonomy(snapshot)
    parts = list(sampled_values(snapshot, spec.embedding_id, tags, FITTED_TRACKS))
    embeddings = [part.embeddings for part in parts if len(part.track_ids)]
    if not embeddings:
        raise TableError(
            f"{snapshot.root}: no track of snapshot {snapshot.manifest.number} has the embedding {spec.embedding_id}"
        )
    scores = [part.scores for part in parts if len(part.track_ids)]
    return Space.fit(spec, np.concatenate(embeddings), np.concatenate(scores), tags, categories)


def sampled_values(
    snapshot: SnapshotReader, embedding_id: str, tags: Sequence[str], tracks: int
) -> Iterator[TrackValues]:
    """A sample of at most so many tracks, bucket by bucket; it does not depend on the order of the catalog."""
    order = np.argsort(track_hashes("similarity", map(str, range(snapshot.buckets))), kind="stable")
    for bucket in order.tolist():
        part = _smallest(bucket_values(snapshot, bucket, embedding_id, tags), tracks)
        yield part
        tracks -= len(part.track_ids)
        if tracks <= 0:
            return


def bucket_vectors(snapshot: SnapshotReader, space: Space, bucket: int) -> tuple[pa.Array, Float32s]:
    """Track ids of a bucket, ascending, and their vectors: float32 [n, d]; tracks of other embeddings are left out."""
    values = bucket_values(snapshot, bucket, space.spec.embedding_id, space.tags)
    return values.track_ids, space.vectors(values.embeddings, values.scores)


def track_vectors(snapshot: SnapshotReader, space: Space, track_ids: Sequence[str]) -> tuple[pa.Array, Float32s]:
    """Ids of those of the tracks that have a vector, ascending, and the vectors: float32 [n, d]."""
    values = _values(snapshot, space.spec.embedding_id, space.tags, None, track_ids)
    return values.track_ids, space.vectors(values.embeddings, values.scores)


def bucket_values(snapshot: SnapshotReader, bucket: int, embedding_id: str, tags: Sequence[str]) -> TrackValues:
    """Embeddings and scores of the tracks of a bucket that have this embedding."""
    return _values(snapshot, embedding_id, tags, bucket, None)


def _values(
    snapshot: SnapshotReader,
    embedding_id: str,
    tags: Sequence[str],
    bucket: int | None,
    track_ids: Sequence[str] | None,
) -> TrackValues:
    columns = ["track_id", "embedding"]
    rows = snapshot.scan("embeddings", columns, track_ids=track_ids, bucket=bucket, embedding_id=embedding_id)
    rows = rows.combine_chunks()
    ids = pa.array([], pa.string()) if not len(rows) else rows["track_id"].combine_chunks()
    if not (pc.all(pc.less_equal(ids[:-1], ids[1:])).as_py() if len(ids) > 1 else True):  # only files have an order
        rows = rows.sort_by("track_id")
        ids = rows["track_id"].combine_chunks()
    flat = np.asarray(rows["embedding"].combine_chunks().flatten()) if len(rows) else np.zeros(0, np.float32)
    embeddings = flat.reshape(len(ids), -1) if len(ids) else np.zeros((0, 0), np.float32)
    scores = np.zeros((len(ids), len(tags)), np.float32)
    said = snapshot.batches("track_tags", ["track_id", "tag", "score"], track_ids=track_ids, bucket=bucket)
    for batch in said:
        row = _positions(batch["track_id"], ids)
        column = _positions(batch["tag"], pa.array(tags, pa.string()))
        known = (row >= 0) & (column >= 0)
        scores[row[known], column[known]] = np.asarray(batch["score"])[known]
    return TrackValues(ids, embeddings, scores)


def _positions(values: pa.Array, among: pa.Array) -> npt.NDArray[np.int64]:
    """Where each value is among others, or -1."""
    return np.asarray(pc.fill_null(pc.index_in(values, value_set=among), -1)).astype(np.int64)


def _taxonomy(snapshot: SnapshotReader) -> tuple[list[str], list[str]]:
    """Tags of the snapshot, ascending, and their categories."""
    rows = snapshot.scan("taxonomy", ["tag", "category"]).sort_by("tag")
    return rows["tag"].to_pylist(), rows["category"].to_pylist()


def _smallest(values: TrackValues, most: int) -> TrackValues:
    """The tracks with the smallest hashes, in the order of their ids."""
    if len(values.track_ids) <= most:
        return values
    hashes = track_hashes("similarity", values.track_ids.to_pylist())
    kept = np.sort(np.argsort(hashes, kind="stable")[:most])
    return TrackValues(values.track_ids.take(pa.array(kept)), values.embeddings[kept], values.scores[kept])
