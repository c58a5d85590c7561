"""Makes a playlist: a greedy choice by maximal marginal relevance (Carbonell and Goldstein, 1998) that keeps all rules.

At each place, the candidate with the greatest value of

    (1 - diversity) x relevance - diversity x greatest similarity to a chosen track - cost of the flow

is taken, if it breaks no rule: no exceeded length, no artist above the limit, no other version of a chosen track, no
excluded track. Relevance is scaled to 0 .. 1 over the candidates. At the end, tracks are swapped if that follows the
flow better. Equal values are decided by the id: the same request gives the same playlist.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from transforms.discovery.index.duplicates import near_duplicates
from transforms.discovery.playlists.duplicates import recording_keys
from transforms.discovery.playlists.flow import Flow, ordered
from transforms.discovery.playlists.pool import Candidate, Pool, artist_columns, artist_keys, candidates_of
from transforms.discovery.playlists.request import PlaylistRequest
from transforms.discovery.search.columns import CALLED, column_of, has_column
from transforms.discovery.search.engine import Contribution, FilterCount, SearchPlan
from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.discovery.search.words import WordMatch
from transforms.discovery.seeds import middle, only_vectors, vectors_of_seeds
from transforms.discovery.similarity import Float32s, shown_similarity, similarities
from transforms.discovery.track_vectors import TrackVectors
from transforms.table.reader import TRACK_ID, SnapshotReader

_LEAST_CANDIDATES, _PER_TRACK = 300, 15
_SPARE_PER_ARTIST = 4
_WIDER = (1, 8, 64)
"""If all candidates are used up and there are further tracks that fit, the choice begins again with so many more."""
_RELEVANT, _LEAST_RELEVANT = 4, 40
"""The range of a flow is that of the most relevant candidates: four for each place, and at least 40."""

LENGTH, ARTIST, VERSION, NO_DURATION = "length", "artist", "version", "no duration"
"""Rules that leave candidates out."""

FIT = "fit"
"""The rule that leaves tracks out before there are candidates: see `transforms.discovery.playlists.pool`."""


@dataclasses.dataclass(frozen=True)
class PlaylistTrack:
    """A track of a playlist.

    Attributes:
      is_new: False for a track of the playlist that was extended.
      similarity: to the seeds, None without seeds.
      contributions: of the tags of the target.
      facts: the values of the track's columns, and its `uri`.
    """

    track_id: str
    is_new: bool
    relevance: float | None
    similarity: float | None
    contributions: tuple[Contribution, ...]
    facts: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Playlist:
    """A playlist.

    Attributes:
      left_out: rule -> candidates that it kept out of the playlist; `FIT`: tracks that meet the conditions alone.
      candidates: number of candidates that the tracks were chosen from.
      ran_out: whether the playlist is shorter than asked because no candidate was left. A playlist of minutes is not,
        if the time that is left is shorter than its longest new track, and some candidate was too long for it.
      emptied_by: why there are no candidates, see `SearchPlan.emptied_by`.
    """

    tracks: tuple[PlaylistTrack, ...]
    left_out: Mapping[str, int]
    candidates: int
    searched: int
    filters: tuple[FilterCount, ...]
    matches: tuple[WordMatch, ...]
    unmatched: tuple[str, ...]
    ran_out: bool
    emptied_by: str | None

    @property
    def minutes(self) -> float:
        """Length of the tracks whose duration is known."""
        return sum(track.facts["duration_s"] or 0.0 for track in self.tracks) / 60


def make_playlist(snapshot: SnapshotReader, request: PlaylistRequest) -> Playlist:
    """The playlist of a request. It is shorter than asked if the rules leave no more tracks that fit.

    Raises:
      DiscoveryError: nothing is asked, or the request names what the snapshot does not have.
      StorageError: a file is missing or damaged.
    """
    if not request.seeds and request.target.is_empty:
        raise DiscoveryError("nothing is asked: give seeds, tags, words or conditions")
    for name in request.flows:
        if not has_column(snapshot, name):
            raise DiscoveryError(
                f"flow of {name}: tracks of snapshot {snapshot.manifest.number} has no column "
                f"{' or '.join(CALLED[name])}: leave this flow out"
            )
    known = vectors_of_seeds(snapshot, request.seeds) if request.seeds else only_vectors(snapshot)
    query = middle(known.of(request.seeds)) if request.seeds else None
    for wider in _WIDER:
        plan = SearchPlan(snapshot, request.target, artist_columns(snapshot))
        found = _pool(snapshot, request, plan, known, query, wider)
        playlist = _chosen(snapshot, request, plan, known, found)
        if not (playlist.ran_out and found.is_cut):
            break
    return playlist


def _chosen(
    snapshot: SnapshotReader, request: PlaylistRequest, plan: SearchPlan, known: TrackVectors, found: Pool
) -> Playlist:
    """The playlist of some candidates."""
    pool = found.candidates
    ids = [one.track_id for one in pool]
    facts = track_facts(snapshot, [*ids, *request.start])
    choice = _Choice(request, pool, [facts[track] for track in ids], known.of(ids))
    start = [facts[track] for track in request.start]
    chosen = choice.make(start, _begun(known, start))
    tracks = [PlaylistTrack(one[TRACK_ID], False, None, None, (), one) for one in start]
    for place in chosen:
        one = pool[place]
        told = plan.contributions(*one.terms)
        near = None if one.similarity is None else shown_similarity(one.similarity)
        relevance = shown_similarity(one.relevance)
        tracks.append(PlaylistTrack(one.track_id, True, relevance, near, told, facts[one.track_id]))
    return Playlist(
        tracks=tuple(tracks),
        left_out={FIT: found.unfit, **choice.left_out} if found.unfit else choice.left_out,
        candidates=len(pool),
        searched=plan.tracks,
        filters=plan.filters,
        matches=tuple(plan.matches),
        unmatched=tuple(plan.unmatched),
        ran_out=_has_run_out(request, tracks, choice.left_out),
        emptied_by=None if pool else plan.emptied_by,
    )


def _pool(
    snapshot: SnapshotReader,
    request: PlaylistRequest,
    plan: SearchPlan,
    vectors: TrackVectors,
    query: Float32s | None,
    wider: int,
) -> Pool:
    """The candidates; none if there are no seeds, and words or tags that mean nothing. `wider`: see `_WIDER`."""
    if query is None and plan.no_meaning is not None:
        return Pool([], 0)
    wanted = request.tracks or int(request.minutes or 0) + 1
    return candidates_of(
        snapshot,
        plan,
        vectors=vectors,
        query=query,
        most=wider * max(_LEAST_CANDIDATES, _PER_TRACK * wanted),
        per_artist=wider * (request.per_artist + _SPARE_PER_ARTIST),
        without={*request.exclude, *request.seeds, *request.start},
    )


def _has_run_out(request: PlaylistRequest, tracks: Sequence[PlaylistTrack], left_out: Mapping[str, int]) -> bool:
    if request.tracks is not None and len(tracks) >= request.tracks:
        return False
    if request.minutes is None or not left_out.get(LENGTH):
        return True
    longest = max((track.facts["duration_s"] for track in tracks if track.is_new), default=0.0)
    return bool(request.minutes * 60 - sum(track.facts["duration_s"] or 0.0 for track in tracks) >= longest > 0)


def _begun(known: TrackVectors, start: Sequence[Mapping[str, Any]]) -> list[tuple[Float32s, float]]:
    """Vector and duration of the tracks of `start` that have a vector."""
    lengths = {one[TRACK_ID]: duration(one) for one in start}
    ids, vectors = known.known(sorted(lengths))
    return [(vector, lengths[track]) for track, vector in zip(ids, vectors, strict=True)]


def duration(facts: Mapping[str, Any]) -> float:
    """Duration of a track in seconds, NaN if it is not known."""
    return float("nan") if facts["duration_s"] is None else float(facts["duration_s"])


def track_facts(snapshot: SnapshotReader, track_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Track id -> title, artist, album, year, duration, tempo, key, energy, uri, `duplicate_of`, and `by`, the artist's
    key; null if the table does not know it.

    Raises:
      DiscoveryError: a track is not in the snapshot.
    """
    plain = {name: name for name in ("title", "artist", "artist_id", "album_id", "album", "year", "duration_s")}
    called = plain | {name: name for name in ("tempo", "key", "energy")}
    columns = {name: column_of(snapshot, name) for name in called if has_column(snapshot, name)}
    found: dict[str, dict[str, Any]] = {}
    if not track_ids:
        return found
    rows = snapshot.scan("tracks", list(dict.fromkeys([TRACK_ID, *columns.values()])), track_ids=track_ids)
    for row, artist in zip(rows.to_pylist(), artist_keys(rows), strict=True):
        own = {name: row.get(columns[name]) if name in columns else None for name in called}
        found[row[TRACK_ID]] = {TRACK_ID: row[TRACK_ID], **own, "by": artist}
    for row in snapshot.scan("ledger", [TRACK_ID, "uri", "duplicate_of"], track_ids=track_ids).to_pylist():
        if row[TRACK_ID] in found:
            found[row[TRACK_ID]] |= {"uri": row["uri"], "duplicate_of": row["duplicate_of"]}
    for track in track_ids:
        if track not in found:
            raise DiscoveryError(f"track {track}: snapshot {snapshot.manifest.number} has no track of this id")
    return found


class _Choice:
    """The greedy choice; see the module."""

    def __init__(
        self,
        request: PlaylistRequest,
        pool: Sequence[Candidate],
        facts: Sequence[Mapping[str, Any]],
        vectors: Float32s,
    ) -> None:
        self._request, self._pool, self._facts, self._vectors = request, pool, facts, vectors
        relevance = np.array([one.relevance for one in pool])
        span = np.ptp(relevance) if len(pool) else 0.0
        self._relevance = (relevance - relevance.min()) / span if span > 0 else np.zeros(len(pool))
        self._typical = float(np.median([one["duration_s"] or 0.0 for one in facts])) if facts else 0.0
        self._flow = Flow.of(request.flows, facts, max(_RELEVANT * self._wanted(), _LEAST_RELEVANT))
        self._keys = [recording_keys(one) for one in facts]
        self._durations = np.array([duration(one) for one in facts], np.float32)
        self._nearest = np.full(len(pool), -1.0)
        self._same = np.zeros(len(pool), np.bool_)
        self._artists: Counter[str] = Counter()
        self._versions: set[str] = set()
        self._seconds = 0.0
        self.left_out: Counter[str] = Counter()

    def make(self, start: Sequence[Mapping[str, Any]], begun: Sequence[tuple[Float32s, float]]) -> list[int]:
        """Positions of the chosen candidates, in their order after the tracks of `start`."""
        for one in start:
            self._artists[one["by"]] += 1
            self._versions |= recording_keys(one)
            self._seconds += one["duration_s"] or 0.0
        begin = Flow.of(self._request.flows, start, len(start)).codes
        before = begin[-1] if begin else None
        open_, chosen = list(range(len(self._pool))), list[int]()
        for vector, seconds in begun:
            self._compare(vector, seconds)
        last = before
        while open_ and (self._request.tracks is None or len(start) + len(chosen) < self._request.tracks):
            open_ = [place for place in open_ if self._is_allowed(place)]
            if not open_:
                break
            share = self._share(len(chosen), len(start))
            best = self._best(open_, share, last, bool(chosen or start))
            chosen.append(best)
            open_.remove(best)
            self._artists[self._pool[best].artist] += 1
            self._versions |= self._keys[best]
            self._seconds += self._facts[best]["duration_s"] or 0.0
            self._compare(self._vectors[best], float(self._durations[best]))
            last = self._flow.codes[best]
        return ordered(self._flow, chosen, before) if self._request.flows and len(chosen) <= 200 else chosen

    def _wanted(self) -> int:
        """About how many tracks the playlist shall have."""
        by_time = int((self._request.minutes or 0) * 60 / self._typical) if self._typical > 0 else 0
        return self._request.tracks or by_time + 1

    def _share(self, chosen: int, start: int) -> float:
        """How much of what is added has been chosen, 0 to 1."""
        places = [] if self._request.tracks is None else [self._request.tracks - start]
        if self._request.minutes is not None and self._typical > 0:
            left = self._request.minutes * 60 - self._seconds
            places.append(chosen + max(round(left / self._typical), 1))
        return min(chosen / max(min(places) - 1, 1), 1.0) if places else 0.0

    def _compare(self, vector: Float32s, seconds: float) -> None:
        """Compares all candidates with a track of the playlist."""
        likeness = similarities(vector, self._vectors)
        self._nearest = np.maximum(self._nearest, likeness)
        self._same |= near_duplicates(likeness, self._durations, np.array([seconds], np.float32))

    def _is_allowed(self, place: int) -> bool:
        rule = self._broken_rule(place)
        if rule is not None:
            self.left_out[rule] += 1
        return rule is None

    def _broken_rule(self, place: int) -> str | None:
        request, duration = self._request, self._facts[place]["duration_s"]
        if request.minutes is not None and duration is None:
            return NO_DURATION
        if request.minutes is not None and self._seconds + duration > request.minutes * 60:
            return LENGTH
        if self._artists[self._pool[place].artist] >= request.per_artist:
            return ARTIST
        if self._keys[place] & self._versions or self._same[place]:
            return VERSION
        return None

    def _best(self, open_: Sequence[int], share: float, last: str | None, is_later: bool) -> int:
        weight = self._request.diversity
        values = (1 - weight) * self._relevance - weight * self._nearest - self._flow.place_costs(share)
        own = values[list(open_)]
        if "key" in self._request.flows and is_later:
            codes = self._flow.codes
            own = own - np.array([self._flow.step_cost(last, codes[place], share) for place in open_])
        return open_[int(np.argmax(own.round(6)))]
