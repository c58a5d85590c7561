"""A map of the catalog: two principal components of the standardised track embeddings of a sample.

A hash assigns tracks to buckets, so the tracks of the first buckets are a uniform sample, and no other file is read.
Signs of components are fixed: the loading with the greatest absolute value is positive. Memory is that of one bucket
and of a square matrix.
"""

import dataclasses
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from fastapi import APIRouter, Query
from starlette.responses import Response

from pipelines.serving.answers import OneAnswer, answer_json, one_of
from pipelines.serving.explorer.once import once
from pipelines.serving.problems import Declined
from pipelines.serving.requests import Leased, in_turn
from pipelines.serving.snapshots import OpenSnapshot
from pipelines.serving.vocabulary import taxonomy_rows_of

routes = APIRouter(prefix="/v1/explorer", tags=["explorer"], dependencies=[in_turn])

MAP_POINTS = 100_000
MOST_COLOURS = 8
SIDE = 10_000
"""Positions are integers from 0 to this, and outliers are moved to the edge."""

_COLUMNS = ["track_id", "embedding"]
_MAP = {
    "category": "genre",
    "tags": ["genre/jazz", "genre/folk"],
    "track_id": ["track-0001"],
    "x": [5120],
    "y": [733],
    "tag": [0],
    "tracks": 1,
    "explained": [0.21, 0.09],
}

Matrix = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class CatalogMap:
    """Positions of a sample of the tracks.

    Attributes:
      track_ids: the tracks, in the order of their buckets and ids.
      positions: int32 [tracks, 2], 0 to `SIDE`.
      explained: share of the variance that each component has.
    """

    track_ids: list[str]
    positions: npt.NDArray[np.int32]
    explained: tuple[float, float]


def map_of(opened: OpenSnapshot) -> CatalogMap:
    """The map of a snapshot, which is computed once.

    Raises:
      Declined: there are fewer than three embeddings.
    """
    return once(opened, "map", lambda: _mapped(opened))


def _mapped(opened: OpenSnapshot) -> CatalogMap:
    buckets = _sampled_buckets(opened)
    count, total, products = 0, np.zeros(0), np.zeros((0, 0))
    ids: list[str] = []
    for bucket, most in buckets:
        own, vectors = _embeddings(opened, bucket, most)
        if not own:
            continue
        if not ids:
            total, products = np.zeros(vectors.shape[1]), np.zeros((vectors.shape[1],) * 2)
        ids, count = ids + own, count + len(own)
        total += vectors.sum(axis=0)
        products += vectors.T @ vectors
    if count < 3:
        raise Declined("not-found", f"snapshot {opened.number} has {count} embeddings: a map needs 3")
    mean = total / count
    scale, axes, explained = principal_axes(products / count - np.outer(mean, mean))
    placed = [(_embeddings(opened, bucket, most)[1] - mean) / scale @ axes for bucket, most in buckets]
    return CatalogMap(ids, _on_grid(np.concatenate([one for one in placed if len(one)])), explained)


def _sampled_buckets(opened: OpenSnapshot) -> list[tuple[int, int]]:
    """Bucket and the most tracks to take from it, until there are `MAP_POINTS`."""
    manifest, left, found = opened.reader.manifest, MAP_POINTS, []
    for bucket in range(opened.reader.buckets):
        rows = sum(file.rows - file.dead for file in manifest.bucket_files("embeddings", bucket))
        if left > 0 and rows:
            found.append((bucket, left))
            left -= rows
    return found


def _embeddings(opened: OpenSnapshot, bucket: int, most: int) -> tuple[list[str], Matrix]:
    """Ids and embeddings of a bucket, of the embedding that the snapshot was tagged with: float64 [tracks, values]."""
    own = opened.reader.manifest.run.ids.embedding_id
    rows = opened.reader.scan("embeddings", _COLUMNS, bucket=bucket, embedding_id=own).sort_by("track_id")
    if rows.num_rows > most:  # evenly spaced
        rows = rows.take(pa.array(np.linspace(0, rows.num_rows - 1, most).astype(np.int64)))
    if not rows.num_rows:
        return [], np.zeros((0, 0))
    flat = rows["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return rows["track_id"].to_pylist(), flat.reshape(rows.num_rows, -1).astype(np.float64)


def principal_axes(covariance: Matrix) -> tuple[Matrix, Matrix, tuple[float, float]]:
    """Principal axes of standardised values.

    Args:
      covariance: float64 [values, values].

    Returns:
      The deviation of each value (1 for a constant), the two axes as columns, and their shares of the variance.
    """
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0))
    scale = np.where(deviation > 1e-9, deviation, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    axes = vectors[:, [-1, -2]]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    shares = np.maximum(values[[-1, -2]], 0) / max(float(np.maximum(values, 0).sum()), 1e-12)
    return scale, axes, (float(shares[0]), float(shares[1]))


def _on_grid(positions: Matrix) -> npt.NDArray[np.int32]:
    """Positions as integers; half a percent of the tracks on each side is moved to the edge."""
    low, high = np.quantile(positions, [0.005, 0.995], axis=0)
    within = np.clip((positions - low) / np.maximum(high - low, 1e-12), 0, 1)
    found: npt.NDArray[np.int32] = (within * SIDE).round().astype(np.int32)
    return found


def map_document(opened: OpenSnapshot, category: str | None, points: int = MAP_POINTS) -> dict[str, Any]:
    """The map with a colour for each track: the most frequent of its positive tags of a category.

    Raises:
      Declined: there is no such category, or no map.
    """
    categories = list(dict.fromkeys(row["category"] for row in taxonomy_rows_of(opened).values()))
    category = category or ("genre" if "genre" in categories else next(iter(categories), ""))
    if category not in categories:
        raise Declined("bad-request", f"category: {category!r} is none of {', '.join(categories)}")
    found = map_of(opened)
    chosen = np.linspace(0, len(found.track_ids) - 1, min(points, len(found.track_ids))).astype(np.int64)
    ids = [found.track_ids[i] for i in chosen]
    tags, of = _colours(opened, category, ids)
    return {
        "category": category,
        "tags": tags,
        "track_id": ids,
        "x": found.positions[chosen, 0].tolist(),
        "y": found.positions[chosen, 1].tolist(),
        "tag": of,
        "tracks": opened.reader.manifest.rows("tracks"),
        "explained": [round(share, 4) for share in found.explained],
    }


def _colours(opened: OpenSnapshot, category: str, ids: list[str]) -> tuple[list[str], list[int]]:
    """The tags that get a colour, the most frequent first, and the number of its colour for each track; -1: another."""
    own = [tag for tag, row in taxonomy_rows_of(opened).items() if row["category"] == category]
    sql = (
        "SELECT track_id, list_filter(list_transform(top_tags, lambda one: one.tag), "
        "lambda tag: list_contains(?, tag)) AS tags FROM tracks WHERE track_id IN (SELECT unnest(?))"
    )
    found: dict[str, list[str]] = {}
    for begin in range(0, len(ids), 20_000):
        part = ids[begin : begin + 20_000]
        found |= {row["track_id"]: row["tags"] for row in opened.fetch(sql, [own, part])}
    counts: dict[str, int] = {}
    for tags in found.values():
        for tag in tags[:1]:
            counts[tag] = counts.get(tag, 0) + 1
    shown = sorted(counts, key=lambda tag: (-counts[tag], tag))[:MOST_COLOURS]
    place = {tag: i for i, tag in enumerate(shown)}
    return shown, [next((place[tag] for tag in found.get(one, []) if tag in place), -1) for one in ids]


@routes.get("/map", response_model=OneAnswer, responses=one_of(_MAP, 404), summary="Map of the catalog")
def get_map(
    opened: Leased,
    category: Annotated[
        str | None, Query(max_length=256, description="Category of the colours.", examples=["genre"])
    ] = None,
    points: Annotated[int, Query(ge=1, le=MAP_POINTS, description="Most tracks.", examples=[20_000])] = 20_000,
) -> Response:
    """Positions of a sample of the tracks: principal components of their embeddings."""
    return answer_json(opened, map_document(opened, category, points))
