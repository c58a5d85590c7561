"""Plans the work of a bucket: the tracks that need extraction, in chunks, in the order of a hash of their ids."""

import hashlib
from typing import NamedTuple

import pyarrow as pa

from transforms.extraction.source import CHUNK_TRACKS, Chunk, Source
from transforms.tagging.forecast import Forecast, forecast_bucket
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.tagging.outcomes.unsettled import Unsettled, unsettled


class BucketPlan(NamedTuple):
    """The chunks of a bucket to extract, and the counts of what the run does with all its tracks."""

    chunks: list[Chunk]
    forecast: Forecast


def plan_bucket(known: PriorOutcomes, bucket: int, rows: pa.Table, chunk_tracks: int = CHUNK_TRACKS) -> BucketPlan:
    """Decides for each row of a bucket whether an earlier run, published or killed, has an outcome that is reused."""
    left = unsettled(known, bucket, rows)
    return BucketPlan(_chunks(bucket, left, chunk_tracks), forecast_bucket(known, bucket, rows, left))


def plan_chunks(known: PriorOutcomes, bucket: int, rows: pa.Table, chunk_tracks: int = CHUNK_TRACKS) -> list[Chunk]:
    """The chunks of `plan_bucket` alone."""
    return _chunks(bucket, unsettled(known, bucket, rows), chunk_tracks)


def _chunks(bucket: int, left: Unsettled, chunk_tracks: int) -> list[Chunk]:
    keys = left.rows.select(["track_id", "uri", "source_version"]).to_pylist()
    unordered = (
        Source(
            **key,
            retried=key["track_id"] in left.due,
            history=left.histories.get(key["track_id"], ""),
            known_sha256=left.digests.get(key["track_id"], ""),
            lacks_parameters=key["track_id"] in left.unmeasured,
            keeps_outcome=key["track_id"] in left.kept,
        )
        for key in keys
    )
    sources = sorted(unordered, key=lambda s: hashlib.sha256(s.track_id.encode()).digest())
    return [
        Chunk(bucket=bucket, tracks=tuple(sources[i : i + chunk_tracks])) for i in range(0, len(sources), chunk_tracks)
    ]
