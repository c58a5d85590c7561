"""A mix of styles: tracks whose shares follow the percentages, moved towards some tracks and away from others.

The answer is filled place by place. At each place the style is taken that lacks most of its share so far, so that the
first n tracks have each style's share of n within one track, for every n. The tracks of a style are those that have it
rather than the other styles of the mix. They are ordered by

    log_odds(p) / 2.20 + cos(x, mix) / 2 + cos(x, added) - cos(x, subtracted)

p is the calibrated score of the style. `mix` is the sum of the styles' centres, weighted by the percentages; a centre
is the mean vector of the 20 tracks with the highest scores. So a mix of much rock and some jazz finds jazzy rock.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from transforms.discovery.search.best import BestTracks, Ranked
from transforms.discovery.search.engine import FilterCount, SearchPlan
from transforms.discovery.search.request import SearchRequest
from transforms.discovery.search.scores import GREATEST, log_odds
from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.discovery.seeds import middle, only_vectors, vectors_of_seeds
from transforms.discovery.similarity import Float32s, Space, shown_similarity, similarities
from transforms.discovery.track_vectors import TrackVectors
from transforms.table.reader import TRACK_ID, SnapshotReader

_CENTRE_TRACKS, _POOL = 20, 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixRequest:
    """A mix.

    Attributes:
      styles: tag, as `Vocabulary.find` reads it -> its percentage; they are scaled to a sum of 100.
      added, subtracted: tracks that the mix shall sound like, and unlike.
      conditions: conditions on all tracks; weights, words and texts are not used.
    """

    styles: Mapping[str, float]
    added: tuple[str, ...] = ()
    subtracted: tuple[str, ...] = ()
    conditions: SearchRequest = dataclasses.field(default_factory=SearchRequest)
    limit: int = 20

    def __post_init__(self) -> None:
        for tag, percentage in self.styles.items():
            if not 0 <= percentage <= 100:
                raise DiscoveryError(f"{percentage:g} % of {tag}: give a number from 0 to 100")
        if not any(self.styles.values()):
            raise DiscoveryError("no style has a share: give at least one with more than 0 %")
        if both := sorted({*self.added} & {*self.subtracted}):
            raise DiscoveryError(f"track {both[0]} is added and subtracted: leave one of them out")


@dataclasses.dataclass(frozen=True)
class MixedTrack:
    """A track of a mix: the style whose place it has, the score of this style, and its similarities, -1 to 1."""

    track_id: str
    style: str
    score: float
    value: float
    to_mix: float
    to_added: float | None
    to_subtracted: float | None


@dataclasses.dataclass(frozen=True)
class Mix:
    """The answer of a mix.

    Attributes:
      shares: style -> share of the answer that was asked for, 0 to 1.
      lacking: styles that have fewer tracks than their share.
      emptied_by: the condition that left no track, see `SearchPlan.emptied_by`; None if there are tracks.
    """

    tracks: tuple[MixedTrack, ...]
    shares: Mapping[str, float]
    lacking: tuple[str, ...]
    searched: int
    filters: tuple[FilterCount, ...]
    emptied_by: str | None


def mix_styles(snapshot: SnapshotReader, request: MixRequest) -> Mix:
    """The tracks of a mix. One bucket is in memory at a time.

    Raises:
      DiscoveryError: a tag or a track is not in the snapshot, or its tracks cannot be compared.
      StorageError: a file is missing or damaged.
    """
    total = sum(request.styles.values())
    weights = {tag: 1.0 for tag, percentage in request.styles.items() if percentage > 0}
    conditions = dataclasses.replace(request.conditions, weights=weights, words=None, sounds_like=None)
    plan = SearchPlan(snapshot, conditions)
    labels = [term.label for term in plan.terms]
    shares = [request.styles[tag] / total for tag in weights]
    seeds = (*request.added, *request.subtracted)
    vectors = vectors_of_seeds(snapshot, seeds) if seeds else only_vectors(snapshot)
    pools = _pools(snapshot, plan, max(request.limit * _POOL, _CENTRE_TRACKS), set(seeds))
    known = dict(zip(*vectors.known(list({one.track_id: None for pool in pools for one in pool})), strict=True))
    usable = [[one for one in pool if one.track_id in known] for pool in pools]
    centres = [_centre(pool, known, vectors.space) for pool in usable]
    mix = middle(np.stack([share * centre for share, centre in zip(shares, centres, strict=True)]))
    directions = [mix, *(_direction(vectors, own) for own in (request.added, request.subtracted))]
    ranked = [_ranked(pool, known, directions, place, labels[place]) for place, pool in enumerate(usable)]
    tracks, lacking = _interleaved(ranked, labels, shares, request.limit)
    told = dict(zip(labels, shares, strict=True))
    emptied = None if tracks else plan.emptied_by
    return Mix(tuple(tracks), told, tuple(lacking), plan.tracks, plan.filters, emptied)


_Scores = tuple[float, ...]


def _pools(snapshot: SnapshotReader, plan: SearchPlan, most: int, gone: set[str]) -> list[list[Ranked[_Scores]]]:
    """The tracks of each style with the highest scores, with their scores of all styles."""
    best: list[BestTracks[_Scores]] = [BestTracks(most) for _ in plan.terms]
    for bucket in range(snapshot.buckets):
        rows, found = plan.examine(bucket)
        ids = rows[TRACK_ID].to_pylist()
        free = np.array([track not in gone for track in ids], np.bool_)
        strongest = found.scores == found.scores.max(axis=1, keepdims=True)
        for style, kept in enumerate(best):
            own = np.flatnonzero(free & strongest[:, style])
            chosen = own[kept.candidates(found.scores[own, style])]
            kept.add([Ranked(ids[i], float(found.scores[i, style]), tuple(found.scores[i].tolist())) for i in chosen])
    return [kept.ranked() for kept in best]


def _centre(pool: Sequence[Ranked[_Scores]], known: Mapping[str, Float32s], space: Space) -> Float32s:
    own = [known[one.track_id] for one in pool[:_CENTRE_TRACKS]]
    return middle(np.stack(own)) if own else np.zeros(space.dimensions, np.float32)


def _direction(vectors: TrackVectors, tracks: Sequence[str]) -> Float32s | None:
    return middle(vectors.of(tracks)) if tracks else None


def _ranked(
    pool: Sequence[Ranked[_Scores]],
    known: Mapping[str, Float32s],
    directions: Sequence[Float32s | None],
    style: int,
    label: str,
) -> list[MixedTrack]:
    """The tracks of a style, the best first."""
    found = []
    for one in pool:
        near = [None if way is None else float(similarities(way, known[one.track_id])) for way in directions]
        to_mix, to_added, to_subtracted = near
        score = one.facts[style]
        value = float(log_odds(np.array([score]))[0]) / GREATEST + (to_mix or 0.0) / 2
        value += (to_added or 0.0) - (to_subtracted or 0.0)
        shown = [None if one is None else shown_similarity(one) for one in near]
        found.append(MixedTrack(one.track_id, label, score, round(value, 6), shown[0] or 0.0, shown[1], shown[2]))
    return sorted(found, key=lambda one: (-one.value, one.track_id))


def _interleaved(
    ranked: Sequence[Sequence[MixedTrack]], labels: Sequence[str], shares: Sequence[float], limit: int
) -> tuple[list[MixedTrack], list[str]]:
    """The tracks place by place, and the styles that ran out of tracks. No track has two places."""
    waiting = [list(tracks) for tracks in ranked]
    given, used = [0] * len(labels), set[str]()
    found: list[MixedTrack] = []
    lacking: dict[str, None] = {}
    while len(found) < limit:
        lacks = [share * (len(found) + 1) - count for share, count in zip(shares, given, strict=True)]
        for style in sorted(range(len(labels)), key=lambda style: (-lacks[style], style)):
            while waiting[style] and waiting[style][0].track_id in used:
                waiting[style].pop(0)
            if waiting[style]:
                break
            lacking[labels[style]] = None
        else:
            break
        one = waiting[style].pop(0)
        given[style] += 1
        used.add(one.track_id)
        found.append(one)
    return found, list(lacking)
