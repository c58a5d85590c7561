"""Tracks that a request starts from, and the vectors by which they and others are compared."""

from collections.abc import Sequence

import numpy as np

from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.discovery.similarity import Float32s
from transforms.discovery.track_vectors import TrackVectors
from transforms.table.reader import EVERY_EMBEDDING, TRACK_ID, SnapshotReader


def vectors_of_seeds(snapshot: SnapshotReader, track_ids: Sequence[str]) -> TrackVectors:
    """The vectors of the embedding that the tracks have.

    Raises:
      DiscoveryError: a track is not in the snapshot, or two of them have embeddings that are not comparable.
      StorageError: a file is missing or damaged.
    """
    columns = [TRACK_ID, "embedding_id"]
    rows = snapshot.scan("embeddings", columns, track_ids=track_ids, embedding_id=EVERY_EMBEDDING)
    of = dict(zip(rows[TRACK_ID].to_pylist(), rows["embedding_id"].to_pylist(), strict=True))
    for track in track_ids:
        if track not in of:
            raise DiscoveryError(f"track {track}: {_absence(snapshot, track)}")
    own = sorted(set(of.values()))
    if len(own) > 1:
        first = {one: next(track for track in track_ids if of[track] == one) for one in own}
        named = " and ".join(f"{track} has {one}" for one, track in first.items())
        raise DiscoveryError(
            f"the tracks have embeddings that are not comparable ({named}): name tracks of one of them, or wait until "
            "`tag` has embedded all tracks anew"
        )
    return TrackVectors.opened(snapshot, own[0])


def only_vectors(snapshot: SnapshotReader) -> TrackVectors:
    """The vectors of a snapshot with one embedding.

    Raises:
      DiscoveryError: the snapshot has several embeddings.
    """
    own = snapshot.manifest.run.embedding_ids
    if len(own) > 1:
        raise DiscoveryError(
            f"snapshot {snapshot.manifest.number} has embeddings {' and '.join(own)}, which are not comparable: name "
            "seeds, whose embedding is then used, or a snapshot with one embedding"
        )
    return TrackVectors.opened(snapshot, snapshot.manifest.run.ids.embedding_id)


def middle(vectors: Float32s) -> Float32s:
    """The direction of the mean of some vectors: float32 [d] of unit length, or zero."""
    mean = vectors.mean(0, dtype=np.float64)
    length = float(np.sqrt(np.square(mean).sum()))
    found: Float32s = (mean / length if length > 1e-9 else np.zeros_like(mean)).astype(np.float32)
    return found


def _absence(snapshot: SnapshotReader, track: str) -> str:
    rows = snapshot.scan("ledger", ["status", "reason"], track_ids=[track]).to_pylist()
    where = f"snapshot {snapshot.manifest.number}"
    if not rows:
        return f"{where} has no track of this id"
    reason = f", {rows[0]['reason']}" if rows[0]["reason"] else ""
    return f"{where} has no embedding of it ({rows[0]['status']}{reason}): name another track"
