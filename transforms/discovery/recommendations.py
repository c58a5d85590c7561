"""Artists, albums and tracks for an artist, an album or a track.

Tracks are recommended by sound: the nearest ones to the mean vector of the given tracks. Artists and albums are
recommended by their tags, from the published sums over their tracks: the cosine of the log-odds of their mean scores,
each standardised over all artists (or albums) and divided by the root of the number of tags of its category, so that
each category has the same weight. Groups are read twice, bucket by bucket; one bucket is in memory at a time.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.discovery.index.duplicates import near_duplicates
from transforms.discovery.playlists.duplicates import recording_keys
from transforms.discovery.playlists.making import duration, track_facts
from transforms.discovery.playlists.pool import Candidate, artist_columns, candidates_of
from transforms.discovery.search.best import BestTracks, Ranked
from transforms.discovery.search.engine import SearchPlan
from transforms.discovery.search.request import SearchRequest
from transforms.discovery.search.scores import ScoreReader, log_odds
from transforms.discovery.search.vocabulary import DiscoveryError, NotInSnapshot, Term, vocabulary_of
from transforms.discovery.seeds import middle, vectors_of_seeds
from transforms.discovery.similarity import shown_similarity
from transforms.table.reader import TRACK_ID, SnapshotReader

RecommendedKind = Literal["artist", "album", "track"]

GROUP_TABLES: Mapping[RecommendedKind, tuple[str, str]] = {
    "artist": ("artist_tags", "artist_id"),
    "album": ("album_tags", "album_id"),
}
"""Kind -> its table of tags, and its key."""

_MOST_OWN, _SPARE, _SHARED = 500, 3, 3
_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """A track, artist or album.

    Attributes:
      key: its id.
      similarity: -1 to 1.
      shared: for artists and albums: the tags that add most to the similarity, with what they add. Negative values of
        both, too, are what they have in common: there is little of the tag.
      tracks: tracks of the artist or album; None for a track.
      facts: title and artist; None where the catalog does not name them.
    """

    key: str
    similarity: float
    shared: tuple[tuple[str, float], ...]
    tracks: int | None
    facts: Mapping[str, Any]


def recommend(
    snapshot: SnapshotReader, kind: RecommendedKind, key: str, of: RecommendedKind, limit: int, per_artist: int = 2
) -> list[Recommendation]:
    """What resembles an artist, album or track most: the best first, equal ones in the order of their ids.

    Args:
      kind: what `key` is the id of.
      of: what is recommended.
      per_artist: most tracks of an artist, if tracks are recommended.

    Raises:
      NotInSnapshot: the snapshot has no such artist, album or track.
      DiscoveryError: it has no tags of artists and albums.
      StorageError: a file is missing or damaged.
    """
    own = _own_tracks(snapshot, kind, key)
    if of == "track":
        return _tracks(snapshot, own, limit, per_artist)
    return _groups(snapshot, kind, key, own, of, limit)


def _own_tracks(snapshot: SnapshotReader, kind: RecommendedKind, key: str) -> pa.Table:
    """Rows (track_id, artist_id, album_id) of the tracks that belong to what is given; at least one."""
    have = [name for name in ("artist_id", "album_id") if name in snapshot.schema("tracks").names]
    columns = [TRACK_ID, *have]
    if kind == "track":
        found = snapshot.scan("tracks", columns, track_ids=[key])
    else:
        column = GROUP_TABLES[kind][1]
        wanted = pa.array([key], pa.string())
        parts = [
            batch.filter(pc.is_in(batch[column], value_set=wanted)) for batch in snapshot.batches("tracks", columns)
        ]
        found = pa.Table.from_batches(parts, snapshot.scan("tracks", columns, track_ids=[]).schema)
    if not found.num_rows:
        what = "such tagged track" if kind == "track" else f"tagged track of this {kind}"
        raise NotInSnapshot(f"{kind} {key}: snapshot {snapshot.manifest.number} has no {what}")
    return found.sort_by(TRACK_ID)


def _tracks(snapshot: SnapshotReader, own: pa.Table, limit: int, per_artist: int) -> list[Recommendation]:
    ids = own[TRACK_ID].to_pylist()
    known = vectors_of_seeds(snapshot, ids)
    vectors = known.of(ids[:_MOST_OWN])
    plan = SearchPlan(snapshot, SearchRequest(), artist_columns(snapshot))
    pool: Sequence[Candidate] = candidates_of(
        snapshot,
        plan,
        vectors=known,
        query=middle(vectors),
        most=limit * _SPARE + len(ids),
        per_artist=per_artist * _SPARE,
        without=ids,
    ).candidates
    facts = track_facts(snapshot, [*ids[:_MOST_OWN], *(one.track_id for one in pool)])
    taken = {name for track in ids[:_MOST_OWN] for name in recording_keys(facts[track])}
    near = known.of([one.track_id for one in pool]) @ vectors.T
    lengths, seconds = (
        np.array([duration(facts[track]) for track in some], np.float32)
        for some in ([one.track_id for one in pool], ids[:_MOST_OWN])
    )
    same = np.any(near_duplicates(near, lengths[:, None], seconds), axis=1, keepdims=True)[:, 0]
    found: list[Recommendation] = []
    counts: dict[str, int] = {}
    for one, is_same in zip(pool, same, strict=True):
        keys = recording_keys(facts[one.track_id])
        if keys & taken or is_same or counts.get(one.artist, 0) >= per_artist:
            continue
        taken |= keys
        counts[one.artist] = counts.get(one.artist, 0) + 1
        shown = shown_similarity(one.relevance)
        found.append(Recommendation(one.track_id, shown, (), None, facts[one.track_id]))
        if len(found) == limit:
            break
    return found


def _groups(
    snapshot: SnapshotReader, kind: RecommendedKind, key: str, own: pa.Table, of: RecommendedKind, limit: int
) -> list[Recommendation]:
    table, column = GROUP_TABLES[of]
    if not snapshot.live_files(table):
        raise DiscoveryError(
            f"snapshot {snapshot.manifest.number} has no table {table}: its catalog has no values of {column}, or an "
            "earlier version tagged it: add them, and tag the catalog again"
        )
    tags = vocabulary_of(snapshot).taxonomy.tag_ids
    mean, scale = _moments(snapshot, of, tags)
    weights = scale * _category_weights(tags)
    query = (_own_odds(snapshot, own, tags) - mean) * weights
    gone = {key} if kind == of else set(own[column].to_pylist())
    best: BestTracks[tuple[tuple[str, float], ...]] = BestTracks(limit)
    counts: dict[str, int] = {}
    for keys, odds, tracks in _profiles(snapshot, of, tags):
        own_values = (odds - mean) * weights
        products = own_values * query
        lengths = np.sqrt(np.square(own_values).sum(axis=1)) * np.sqrt(np.square(query).sum())
        products /= np.where(lengths > 0, lengths, 1)[:, None]
        similarity = np.where([one in gone for one in keys], -np.inf, products.sum(axis=1).round(6))
        chosen = [i for i in best.candidates(similarity) if similarity[i] > -np.inf]
        best.add([Ranked(keys[i], float(similarity[i]), _shared(products[i], tags)) for i in chosen])
        counts |= {keys[i]: int(tracks[i]) for i in chosen}
    ranked = best.ranked()
    names = _names(snapshot, column, [one.track_id for one in ranked])
    return [
        Recommendation(one.track_id, one.score, one.facts, counts[one.track_id], names.get(one.track_id, {}))
        for one in ranked
    ]


def _shared(products: _Floats, tags: Sequence[str]) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-products, kind="stable")[:_SHARED]
    return tuple((tags[i], float(products[i])) for i in order)


def _category_weights(tags: Sequence[str]) -> _Floats:
    names = [tag.partition("/")[0] for tag in tags]
    return np.array([names.count(name) ** -0.5 for name in names])


def _profiles(
    snapshot: SnapshotReader, of: RecommendedKind, tags: Sequence[str]
) -> Iterator[tuple[list[str], _Floats, npt.NDArray[np.int64]]]:
    """Of each bucket: keys of the groups, log-odds of their mean scores float64 [groups, tags], numbers of tracks.

    A mean that is not published counts as `min_score`.
    """
    table, column = GROUP_TABLES[of]
    least = float(snapshot.manifest.run.options.get("min_score") or 0.0)
    known = pa.array(tags, pa.string())
    for bucket in range(snapshot.buckets):
        rows = snapshot.scan(table, [column, "tag", "mean_score", "tracks"], bucket=bucket)
        rows = rows.filter(pc.is_in(rows["tag"], value_set=known))
        keys = pc.unique(rows[column])
        scores, tracks = np.full((len(keys), len(tags)), least), np.zeros(len(keys), np.int64)
        group = np.asarray(pc.index_in(rows[column], value_set=keys).to_numpy(), np.int64)
        place = np.asarray(pc.index_in(rows["tag"], value_set=known).to_numpy(), np.int64)
        scores[group, place] = rows["mean_score"].to_numpy()
        tracks[group] = rows["tracks"].to_numpy()
        yield keys.to_pylist(), log_odds(scores), tracks


def _moments(snapshot: SnapshotReader, of: RecommendedKind, tags: Sequence[str]) -> tuple[_Floats, _Floats]:
    """Mean of the log-odds over all groups, and one divided by their deviation (0 if it is 0): float64 [tags]."""
    count, total, squares = 0, np.zeros(len(tags)), np.zeros(len(tags))
    for _, odds, _ in _profiles(snapshot, of, tags):
        count += len(odds)
        total += odds.sum(axis=0)
        squares += np.square(odds).sum(axis=0)
    mean = total / max(count, 1)
    deviation = np.sqrt(np.maximum(squares / max(count, 1) - np.square(mean), 0))
    return mean, np.where(deviation > 1e-6, 1 / np.where(deviation > 1e-6, deviation, 1), 0)


def _own_odds(snapshot: SnapshotReader, own: pa.Table, tags: Sequence[str]) -> _Floats:
    """Log-odds of the mean scores of what is given: float64 [tags]."""
    reader = ScoreReader(snapshot, [Term(tag, (tag,)) for tag in tags])
    ids = own[TRACK_ID].to_pylist()[:_MOST_OWN]
    return log_odds(reader.read(ids, None).scores.mean(axis=0))


def _names(snapshot: SnapshotReader, column: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Key -> the name of the artist, and for an album its title if the catalog has one, of the first track."""
    named = [name for name in ("artist", "album") if name in snapshot.schema("tracks").names]
    wanted, found = pa.array(keys, pa.string()), dict[str, dict[str, Any]]()
    for batch in snapshot.batches("tracks", [TRACK_ID, column, *named]):
        for row in batch.filter(pc.is_in(batch[column], value_set=wanted)).to_pylist():
            if row[column] not in found or row[TRACK_ID] < found[row[column]][TRACK_ID]:
                found[row[column]] = row
    return found
