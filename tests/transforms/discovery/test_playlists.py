"""Playlists: no request breaks a rule; flows; the same request gives the same playlist."""

import dataclasses
import itertools
import random
from collections import Counter

import numpy as np
import pytest

from transforms.discovery.playlists.duplicates import plain_title
from transforms.discovery.playlists.flow import Flow, densest, ordered
from transforms.discovery.playlists.making import make_playlist
from transforms.discovery.playlists.request import PlaylistRequest
from transforms.discovery.search.keys import camelot_code, wheel_steps
from transforms.discovery.search.request import SearchRequest, ValueRange
from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.discovery.seeds import vectors_of_seeds


def random_request(rng, ids):
    """Any request that the table can answer."""
    tags = rng.sample(["mood/calm", "mood/dark", "genre/folk", "genre/techno", "instrument/organ"], rng.randrange(3))
    seeds = tuple(rng.sample(ids, rng.randrange(0 if tags else 1, 4)))
    minutes = rng.uniform(5, 60) if rng.random() < 0.5 else None
    flows = {name: rng.choice(["constant", "rising", "arc"]) for name in ("tempo", "key", "energy")}
    start = tuple(rng.sample(ids, rng.randrange(4)))
    return PlaylistRequest(
        target=SearchRequest(
            weights={tag: rng.uniform(-1, 1) for tag in tags},
            ranges={"duration": ValueRange(None, 300)} if rng.random() < 0.3 else {},
            must_not=("voice/vocal",) if rng.random() < 0.3 else (),
        ),
        seeds=seeds,
        start=start,
        tracks=rng.randrange(max(len(start), 1), 30) if minutes is None or rng.random() < 0.3 else None,
        minutes=minutes,
        per_artist=rng.randrange(1, 4),
        exclude=frozenset(rng.sample(ids, rng.randrange(60))),
        flows={name: shape for name, shape in flows.items() if rng.random() < 0.3},
        diversity=rng.choice([0, 0.3, 1]),
    )


def violations(snapshot, request, playlist, vocal):
    """Every rule that a playlist breaks, in words."""
    ids = [track.track_id for track in playlist.tracks]
    new = [track for track in playlist.tracks if track.is_new]
    added = {track.track_id for track in new}
    if ids[: len(request.start)] != list(request.start):
        yield "start"
    if len(added) != len(new) or added & {*request.exclude, *request.seeds, *request.start}:
        yield "repeated or excluded"
    if request.tracks is not None and len(ids) > request.tracks:
        yield "tracks"
    if request.minutes is not None and new and playlist.minutes > request.minutes + 1e-6:
        yield "minutes"
    artists = Counter(track.facts["by"] for track in playlist.tracks)
    if any(artists[track.facts["by"]] > request.per_artist for track in new):
        yield "artist"
    titles = Counter((track.facts["by"], plain_title(track.facts["title"])) for track in playlist.tracks)
    if any(titles[track.facts["by"], plain_title(track.facts["title"])] > 1 for track in new):
        yield "version"
    if {"track-0001", "track-0003"} <= set(ids) and {"track-0001", "track-0003"} & added:
        yield "the same bytes"
    if request.target.must_not and added & vocal:
        yield "must not"
    if request.target.ranges and any(track.facts["duration_s"] > 300 for track in new):
        yield "range"


def check(snapshot, seeds):
    ids = snapshot.scan("tracks", ["track_id"])["track_id"].to_pylist()
    tags = snapshot.scan("track_tags", ["track_id", "tag", "is_positive"]).to_pylist()
    vocal = {row["track_id"] for row in tags if row["tag"] == "voice/vocal" and row["is_positive"]}
    lengths = []
    for seed in seeds:
        request = random_request(random.Random(seed), sorted(ids))
        try:
            playlist = make_playlist(snapshot, request)
        except DiscoveryError as error:
            assert "nothing is asked" in str(error), request
            continue
        assert list(violations(snapshot, request, playlist, vocal)) == [], request
        lengths.append(sum(track.is_new for track in playlist.tracks))
    assert np.mean(lengths) > 4


def test_no_request_breaks_a_rule(composed):
    check(composed, range(5))


@pytest.mark.long
@pytest.mark.parametrize("hundred", range(10))
def test_none_of_1000_requests_breaks_a_rule(composed, hundred):
    check(composed, range(1000 + 100 * hundred, 1100 + 100 * hundred))


def test_the_same_request_gives_the_same_playlist(composed):
    request = random_request(
        random.Random(5), ["track-0009", "track-0010", "track-0012", "track-0013", "track-0014"] * 12
    )
    assert make_playlist(composed, request) == make_playlist(composed, request)


def test_tracks_sound_like_the_seeds_and_not_like_one_another(composed):
    seeds = ("track-0010",)
    known = vectors_of_seeds(composed, seeds)

    def likeness(diversity):
        request = PlaylistRequest(seeds=seeds, tracks=8, per_artist=1, diversity=diversity)
        found = [track.track_id for track in make_playlist(composed, request).tracks]
        vectors = known.of([*found, *seeds])
        among = vectors[:-1] @ vectors[:-1].T
        return (vectors[:-1] @ vectors[-1]).mean(), np.triu(among, 1).sum()

    (near, alike), (far, unlike) = likeness(0), likeness(0.9)
    assert near > far and alike > unlike and near > 0.5


def test_a_flow_orders_tempo_keys_and_energy(composed):
    def made(**flows):
        target = SearchRequest(weights={"mood/soft": 0.5})
        request = PlaylistRequest(target=target, tracks=14, flows=flows)
        return [track.facts for track in make_playlist(composed, request).tracks]

    tempi = [one["tempo"] for one in made(tempo="rising")]
    assert np.corrcoef(tempi, range(14))[0, 1] > 0.9
    even = [one["tempo"] for one in made(tempo="constant")]
    assert np.std(even) < np.std(tempi) / 2
    arc = [one["energy"] for one in made(energy="arc") if one["energy"] is not None]
    assert np.corrcoef(arc, -np.abs(np.linspace(-1, 1, len(arc))))[0, 1] > 0.8
    plain, smooth = (
        np.mean([wheel_steps(camelot_code(a["key"]), camelot_code(b["key"])) for a, b in itertools.pairwise(own)])
        for own in ([one for one in made(**flows) if one["key"]] for flows in ({}, {"key": "constant"}))
    )
    assert smooth < plain / 2


def test_the_order_never_costs_more_than_the_greedy_one():
    rng = np.random.default_rng(3)
    for _ in range(20):
        facts = [{"tempo": rng.uniform(60, 180), "key": f"{rng.integers(1, 13)}A", "energy": None} for _ in range(9)]
        flow = Flow.of({"tempo": "rising", "key": "rising"}, facts, 9)

        def cost(order, flow=flow):
            total = sum(flow.place_costs(place / 8)[one] for place, one in enumerate(order))
            steps = enumerate(itertools.pairwise(order), 1)
            return total + sum(flow.step_cost(flow.codes[a], flow.codes[b], place / 8) for place, (a, b) in steps)

        order = ordered(flow, range(9), None)
        assert sorted(order) == list(range(9)) and cost(order) <= cost(range(9)) + 1e-9


def test_the_densest_value():
    assert densest(np.array([5.0])) == 5 and densest(np.array([1.0, 9.0])) == 5
    assert densest(np.array([60, 100, 101, 102, 103, 150, 170, 190.0])) == 100.5


def test_steps_of_a_key_flow():
    flow = Flow.of({"key": "arc"}, [{"key": "8A"}, {"key": "9A"}, {"key": "7A"}, {"key": None}], 4)
    assert flow.step_cost("8A", "9A", 0.2) == 0 == flow.step_cost("8A", "7A", 0.8)
    assert flow.step_cost("8A", "7A", 0.2) == pytest.approx(2 / 7) and flow.step_cost("8A", None, 0.2) == 0.5


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"tracks": 5}, "nothing is asked"),
        ({"tracks": 5, "seeds": ("nobody",)}, "no track of this id"),
        ({"tracks": 5, "seeds": ("broken-a",)}, "rejected, empty"),
        ({"tracks": 5, "seeds": ("track-0001",), "flows": {"key": "rising"}}, "leave this flow out"),
        ({"seeds": ("track-0001",)}, "no length"),
        ({"tracks": 0}, "from 1 to 1000"),
        ({"minutes": 0}, "above 0"),
        ({"tracks": 5, "flows": {"loudness": "rising"}}, "tempo, key, energy"),
        ({"tracks": 1, "start": ("a", "b")}, "2 tracks already"),
        ({"tracks": 9, "seeds": ("track-0001",), "start": ("gone",)}, "track gone"),
    ],
)
def test_what_cannot_be_made_is_refused(snapshot, asked, words):
    with pytest.raises(DiscoveryError, match=words):
        make_playlist(snapshot, PlaylistRequest(**asked))


def test_a_short_playlist_tells_which_rule_was_the_reason(composed):
    request = PlaylistRequest(seeds=("track-0001",), tracks=500, per_artist=1)
    playlist = make_playlist(composed, request)
    assert len(playlist.tracks) <= 80 and playlist.left_out["artist"] > 50
    none = dataclasses.replace(request, target=SearchRequest(where="bpm > 1000"))
    assert make_playlist(composed, none).tracks == () and make_playlist(composed, none).filters[0].left == 0


@pytest.mark.parametrize("asked", [{"tracks": 40, "per_artist": 1}, {"minutes": 2, "per_artist": 2}])
def test_a_playlist_does_not_run_out_of_candidates_while_other_tracks_fit(composed, monkeypatch, asked):
    """Tracks of artists that the begun playlist is full of, and tracks that are too long, may be the most relevant."""
    request = PlaylistRequest(target=SearchRequest(where="true"), **asked)
    whole = make_playlist(composed, request)
    monkeypatch.setattr("transforms.discovery.playlists.making._LEAST_CANDIDATES", 6)
    monkeypatch.setattr("transforms.discovery.playlists.making._PER_TRACK", 0)
    few = make_playlist(composed, request)
    assert len(few.tracks) == len(whole.tracks) > 0 and few.ran_out == whole.ran_out
