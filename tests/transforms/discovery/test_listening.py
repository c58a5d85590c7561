"""Profiles of synthetic listeners, whose preferences are known."""

import numpy as np
import pytest

from tests.support.composed import TAXONOMY, true_vectors
from tests.transforms.discovery.conftest import TRACKS
from transforms.discovery.listening import (
    catalog_moments,
    declared_profiles,
    listening_profile,
    read_history,
    resampled_weights,
)
from transforms.discovery.search.vocabulary import DiscoveryError

PREFERENCES = ("dreamy", "wistful", "aggressive", "groovy", "euphoric", "ominous", "warm", "gloomy")


def listener(mood, seed, plays=80):
    """Tracks that somebody has heard who prefers one mood: it is five times as likely as each other."""
    truth, place = true_vectors(TRACKS), TAXONOMY.index[f"mood/{mood}"]
    tracks = sorted(truth)
    weights = np.array([10.0 if truth[track][place] else 0.5 for track in tracks])
    rng = np.random.default_rng(seed)
    return list(rng.choice(tracks, plays, p=weights / weights.sum()))


def counted(tracks):
    return {track: float(tracks.count(track)) for track in set(tracks)}


def top(profile, count=3):
    return {one.tag for one in profile.moods[:count]}


def halves_agree(snapshot, seeds):
    same = []
    for seed in seeds:
        heard = listener(PREFERENCES[seed % len(PREFERENCES)], seed)
        first, second = (top(listening_profile(snapshot, counted(heard[half::2]))) for half in (0, 1))
        same.append(first == second)
    return np.mean(same)


def test_two_halves_of_a_history_have_the_same_top_three(composed):
    assert halves_agree(composed, range(5)) >= 0.8


@pytest.mark.long
def test_two_halves_of_many_histories_have_the_same_top_three(composed):
    assert halves_agree(composed, range(100, 260)) >= 0.8


@pytest.mark.parametrize("mood", ["dreamy", "aggressive"])
def test_the_preferred_mood_is_found(composed, mood):
    profile = listening_profile(composed, counted(listener(mood, 1)))
    tag = f"mood/{mood}"
    first = next(one for one in profile.moods if one.tag == tag)
    assert tag in top(profile) and first.estimate.low > 0 and first.share > 2 * first.catalog_share
    sign = 1 if mood == "aggressive" else -1
    assert profile.arousal.value * sign > 0.1 and profile.arousal.low <= profile.arousal.value <= profile.arousal.high
    assert any(first.name in sentence for sentence in profile.sentences)
    assert profile.sentences[-1].endswith("says nothing about the mind of a person.")


def test_the_whole_catalog_differs_in_nothing_from_itself(composed):
    ids = composed.scan("tracks", ["track_id"])["track_id"].to_pylist()
    profile = listening_profile(composed, dict.fromkeys(ids, 1.0))
    assert all(
        abs(one.estimate.value) < 1e-3 and one.share == pytest.approx(one.catalog_share) for one in profile.moods
    )
    assert abs(profile.valence.value) < 1e-3 and profile.tracks == len(ids) and profile.unknown == ()
    assert profile.sentences[0] == "No mood is clearly more frequent than in the catalog."


def test_moments_are_those_of_all_rows(composed):
    tags = ["mood/calm", "genre/folk"]
    mean, deviation, share = catalog_moments(composed, tags)
    rows = composed.scan("track_tags", ["tag", "score", "is_positive"]).to_pylist()
    for place, tag in enumerate(tags):
        own = [row for row in rows if row["tag"] == tag]
        assert mean[place] == pytest.approx(np.mean([row["score"] for row in own]))
        assert deviation[place] == pytest.approx(np.std([row["score"] for row in own]))
        assert share[place] == pytest.approx(np.mean([row["is_positive"] for row in own]))


def test_samples_are_of_artists():
    weights = resampled_weights(np.array([1.0, 2.0, 3.0]), ["a", "a", "b"])
    assert weights.shape == (1001, 3) and weights[0].tolist() == [1, 2, 3]
    assert np.allclose(weights[:, 1], 2 * weights[:, 0]) and weights[1:, 2].std() > 0
    assert len(np.unique(resampled_weights(np.ones(6), ["a"] * 6)[1:], axis=0)) > 50


def test_the_declared_sentences_have_one_for_every_case():
    document = declared_profiles()
    for group in ("moods", "valence", "arousal", "note"):
        last = document["sentences"][group][-1]
        assert last.get("needs", 0) == 0 and "least" not in last and "most" not in last
    assert all(-1 <= value <= 1 and len(axes) == 2 for axes in document["axes"].values() for value in axes)


def test_histories_are_read_or_refused():
    assert read_history("h", b"\xef\xbb\xbftrack_id,plays\na,2\nb,\na,1.5\n,9\nc,0\n") == {"a": 3.5, "b": 1.0}
    assert read_history("h", b"time,track_id\n1,a\n2,a\n") == {"a": 2.0}
    for data, words in (
        (b"id\nx\n", "no column track_id"),
        (b"track_id,plays\na,-1\n", "row 2: plays '-1'"),
        (b"track_id,plays\na,many\n", "plays 'many'"),
        (b"track_id\ncaf\xe9\n", "not UTF-8"),
    ):
        with pytest.raises(DiscoveryError, match=words):
            read_history("h", data)


def test_too_few_tracks_and_unknown_categories_are_refused(composed):
    with pytest.raises(DiscoveryError, match="has 1 of the 2 tracks"):
        listening_profile(composed, {"track-0001": 1, "x": 1})
    with pytest.raises(DiscoveryError, match="category moods"):
        listening_profile(composed, counted(listener("warm", 1)), moods=["moods"])
