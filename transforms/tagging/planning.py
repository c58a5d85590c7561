"""Plans the work of a bucket: the tracks that need extraction, in chunks, in the order of a hash of their ids."""

import hashlib

import pyarrow as pa

from transforms.extraction.source import CHUNK_TRACKS, Chunk, Source
from transforms.tagging.outcomes import PriorOutcomes, unsettled


def plan_chunks(known: PriorOutcomes, bucket: int, rows: pa.Table, chunk_tracks: int = CHUNK_TRACKS) -> list[Chunk]:
    """Returns chunks of the rows that no earlier run, published or killed, has an outcome for."""
    todo, due, histories, digests = unsettled(known, bucket, rows)
    keys = todo.select(["track_id", "uri", "source_version"]).to_pylist()
    unordered = (
        Source(
            **key,
            retried=key["track_id"] in due,
            history=histories.get(key["track_id"], ""),
            known_sha256=digests.get(key["track_id"], ""),
        )
        for key in keys
    )
    sources = sorted(unordered, key=lambda s: hashlib.sha256(s.track_id.encode()).digest())
    return [
        Chunk(bucket=bucket, tracks=tuple(sources[i : i + chunk_tracks])) for i in range(0, len(sources), chunk_tracks)
    ]
