"""The candidates of a playlist: the most relevant tracks of a snapshot, few of each artist.

Relevance is the mean of what is asked for: the similarity to the seeds (-1 to 1), and the score of the target divided
by the greatest it can have (-1 to 1). A track fits if its relevance is above 0, or if a tag with a weight above 0 is
positive: a rare tag is positive at scores far below 0.5. If nothing but conditions is asked for, all tracks fit.
"""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.discovery.search.engine import SearchPlan
from transforms.discovery.search.scores import GREATEST, TermRow
from transforms.discovery.similarity import Float32s
from transforms.discovery.track_vectors import ComparedWith, TrackVectors
from transforms.table.reader import TRACK_ID, SnapshotReader


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A track that may be chosen.

    Attributes:
      artist: key of its artist; the track's own id if the catalog names none.
      similarity: to the seeds; None without seeds.
      terms: scores and best tags of the target's terms, see `TermScores.row`.
    """

    track_id: str
    relevance: float
    artist: str
    similarity: float | None
    terms: TermRow


@dataclasses.dataclass(frozen=True)
class Pool:
    """Candidates, best first.

    Attributes:
      unfit: number of tracks that meet the conditions and do not fit.
      is_cut: whether further tracks fit, and the limits on candidates left them out.
    """

    candidates: list[Candidate]
    unfit: int
    is_cut: bool = False


def candidates_of(
    snapshot: SnapshotReader,
    plan: SearchPlan,
    *,
    vectors: TrackVectors,
    query: Float32s | None,
    most: int,
    per_artist: int,
    without: Collection[str],
) -> Pool:
    """The most relevant tracks that fit and meet the conditions of the plan. One bucket is in memory at a time.

    Args:
      plan: made with the columns of `artist_columns`.
      vectors: tracks without a vector are left out.
      query: direction of the seeds, float32 [d]; None without seeds.
      most: most candidates.
      per_artist: most candidates of an artist.
      without: ids that are left out.
    """
    gone = pa.array(sorted(without), pa.string())
    compared = vectors.compared(query)
    kept: list[Candidate] = []
    unfit, is_cut = 0, False
    for bucket in range(snapshot.buckets):
        found = _of_bucket(plan, bucket, compared, query is not None, gone, most, per_artist)
        both = [*kept, *found.candidates]
        kept, unfit = _capped(both, per_artist)[:most], unfit + found.unfit
        is_cut = is_cut or found.is_cut or len(kept) < len(both)
    return Pool(kept, unfit, is_cut)


def artist_columns(snapshot: SnapshotReader) -> list[str]:
    """Columns of `tracks` that name the artist."""
    return [name for name in ("artist_id", "artist") if name in snapshot.schema("tracks").names]


def artist_keys(rows: pa.Table) -> list[str]:
    """Key of the artist of each track, see `Candidate`."""
    named = [rows[name].to_pylist() for name in ("artist_id", "artist") if name in rows.column_names]
    ids = rows[TRACK_ID].to_pylist()
    keys = zip(*named, strict=True) if named else iter([()] * len(ids))
    return [next((f"by {key}" for key in own if key), f"track {track}") for own, track in zip(keys, ids, strict=True)]


def _of_bucket(
    plan: SearchPlan,
    bucket: int,
    compared: ComparedWith,
    has_query: bool,
    gone: pa.Array,
    most: int,
    per_artist: int,
) -> Pool:
    rows, scores = plan.examine(bucket)
    near = compared(bucket, rows[TRACK_ID].combine_chunks())
    free = np.asarray(pc.invert(pc.is_in(rows[TRACK_ID], value_set=gone)).to_numpy(), np.bool_)
    usable = np.flatnonzero(np.isfinite(near) & free)
    parts = [near[usable]] if has_query else []
    if plan.terms:
        weight = sum(map(abs, plan.weights)) or 1.0
        parts.append((plan.total(scores)[usable] / (weight * GREATEST)).round(9))
    relevance = np.mean(parts, axis=0) if parts else np.zeros(len(usable))
    wanted = np.array(plan.weights) > 0
    fits = (relevance > 0) | scores.positive[usable][:, wanted].any(axis=1) if parts else np.ones(len(usable), np.bool_)
    usable, relevance = usable[fits], relevance[fits]
    artists = np.array(artist_keys(rows), object)[usable]
    names = np.array(rows[TRACK_ID].to_pylist(), object)[usable]
    chosen = _best_of_each(relevance, artists, names, most, per_artist)
    candidates = [
        Candidate(
            str(names[i]),
            float(relevance[i]),
            str(artists[i]),
            float(near[usable[i]]) if has_query else None,
            scores.row(int(usable[i])),
        )
        for i in chosen
    ]
    return Pool(candidates, int((~fits).sum()), len(candidates) < len(usable))


def _best_of_each(relevance: npt.NDArray[np.float64], artists: Any, ids: Any, most: int, per_artist: int) -> list[int]:
    """Positions of the best tracks, at most some of each artist."""
    order = np.lexsort((ids.astype(str), -relevance)) if len(ids) else np.zeros(0, np.int64)
    seen: dict[str, int] = {}
    found: list[int] = []
    for place in order.tolist():
        artist = artists[place]
        seen[artist] = seen.get(artist, 0) + 1
        if seen[artist] <= per_artist:
            found.append(place)
            if len(found) == most:
                break
    return found


def _capped(candidates: Sequence[Candidate], per_artist: int) -> list[Candidate]:
    seen: dict[str, int] = {}
    found = []
    for one in sorted(candidates, key=lambda one: (-one.relevance, one.track_id)):
        seen[one.artist] = seen.get(one.artist, 0) + 1
        if seen[one.artist] <= per_artist:
            found.append(one)
    return found
