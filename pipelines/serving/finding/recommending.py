"""Tracks for seeds, with limits and targets on audio features."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.serving.filters import Conditions, TagWish
from pipelines.serving.finding.choosing import chosen_tracks, tracks_meeting
from pipelines.serving.finding.deadlines import Deadline
from pipelines.serving.finding.features import FEATURES, FeatureValues, column_name, feature_values
from pipelines.serving.finding.searching import bucket_vectors_of, space_of, vector_of
from pipelines.serving.problems import Declined
from pipelines.serving.snapshots import OpenSnapshot
from pipelines.serving.vocabulary import tag_ids_with_narrower
from transforms.discovery.search.best import BestTracks, Ranked
from transforms.discovery.search.texts import row_mask
from transforms.discovery.similarity import Float32s


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureWish:
    """What is asked.

    Attributes:
      tracks: ids of seed tracks.
      artists: ids of seed artists.
      tags: seed tags.
      least, most: feature -> limit that is within. A track without the feature is left out.
      targets: feature -> value that tracks should be near to.
      limit: most tracks.
    """

    tracks: tuple[str, ...] = ()
    artists: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    least: Mapping[str, float] = dataclasses.field(default_factory=dict)
    most: Mapping[str, float] = dataclasses.field(default_factory=dict)
    targets: Mapping[str, float] = dataclasses.field(default_factory=dict)
    limit: int = 20


def recommend_tracks(opened: OpenSnapshot, asked: FeatureWish, seconds: float) -> list[tuple[str, float]]:
    """The best tracks with their scores, without the seeds.

    The score is the similarity to the middle of the seeds, less the mean distance to the targets in units of their
    spans (`AudioFeature.span`), each at most 1.

    Raises:
      Problem: a seed is unknown, or the time is over.
    """
    embedding_id = opened.reader.manifest.run.embedding_ids[0]
    deadline = Deadline(seconds)
    query = _query(opened, embedding_id, asked, deadline)
    best: BestTracks[None] = BestTracks(asked.limit)
    for bucket in range(opened.reader.buckets):
        deadline.check()
        ids, vectors = bucket_vectors_of(opened, space_of(opened, embedding_id), bucket)
        rows = opened.reader.scan("tracks", _columns(opened, asked), bucket=bucket)
        rows = rows.take(pc.index_in(ids, value_set=rows["track_id"].combine_chunks()))
        scores = np.round((vectors @ query).astype(np.float64) - _distance(asked, rows), 6)
        scores[~_allowed(asked, rows)] = -np.inf
        chosen = [n for n in best.candidates(scores).tolist() if np.isfinite(scores[n])]
        names = ids.take(pa.array(chosen, pa.int64())).to_pylist()
        best.add([Ranked(name, float(scores[n]), None) for name, n in zip(names, chosen, strict=True)])
    return [(one.track_id, one.score) for one in best.ranked()]


def _columns(opened: OpenSnapshot, asked: FeatureWish) -> list[str]:
    """The columns that the limits and targets need, and `track_id`."""
    names = [column_name(FEATURES[name], opened.columns) for name in (*asked.least, *asked.most, *asked.targets)]
    return list(dict.fromkeys(["track_id", *(name for name in names if name is not None)]))


def _allowed(asked: FeatureWish, rows: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    keep = ~np.asarray(pc.is_in(rows["track_id"], value_set=pa.array(asked.tracks, pa.string())), np.bool_)
    for limits, compare in ((asked.least, np.greater_equal), (asked.most, np.less_equal)):
        for name, limit in limits.items():
            keep &= compare(feature_values(name, rows), limit)  # NaN is in no range
    return keep


def _distance(asked: FeatureWish, rows: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    total = np.zeros(len(rows))
    for name, target in asked.targets.items():
        away = np.abs(feature_values(name, rows) - target) / FEATURES[name].span
        total += np.where(np.isnan(away), 1.0, np.minimum(away, 1.0))
    return total / max(len(asked.targets), 1)


def _query(opened: OpenSnapshot, embedding_id: str, asked: FeatureWish, deadline: Deadline) -> Float32s:
    """The middle of the seeds: float32 [d] of unit length, or zero without seeds."""
    parts: list[Float32s] = []
    for track in asked.tracks:
        if (vector := vector_of(opened, embedding_id, track)) is None:
            raise Declined("not-found", f"seed track {track!r} has no embedding in snapshot {opened.number}")
        parts.append(vector)
    ids = tag_ids_with_narrower(opened)
    groups = [("artist", one, [("artist_id = ?", [one])]) for one in asked.artists]
    groups += [("tag", one, chosen_tracks(opened, None, [TagWish(ids[one], None, True)])) for one in asked.tags]
    for word, value, conditions in groups:
        middle_of = _group_middle(opened, embedding_id, conditions, deadline)
        if middle_of is None:
            raise Declined("not-found", f"no track of {word} {value!r} in snapshot {opened.number}")
        parts.append(middle_of)
    space = space_of(opened, embedding_id)
    middle: FeatureValues = np.asarray(
        np.mean(parts, axis=0, dtype=np.float64) if parts else np.zeros(space.dimensions)
    )
    length = float(np.linalg.norm(middle))
    found: Float32s = (middle / length if length > 1e-9 else middle).astype(np.float32)
    return found


def _group_middle(
    opened: OpenSnapshot, embedding_id: str, conditions: Conditions, deadline: Deadline
) -> Float32s | None:
    """The mean vector of the tracks that meet conditions; None if there are none."""
    chosen, space = tracks_meeting(opened, conditions), space_of(opened, embedding_id)
    total, count = np.zeros(space.dimensions), 0
    for bucket, mask in enumerate(chosen.masks):
        deadline.check()
        ids, vectors = bucket_vectors_of(opened, space, bucket)
        own = row_mask(pc.is_in(ids, value_set=opened.reader.bucket_ids(bucket).filter(pa.array(mask))))
        total += vectors[own].sum(0, dtype=np.float64)
        count += int(own.sum())
    return (total / count).astype(np.float32) if count else None
