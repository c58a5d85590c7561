"""A gain over another model, and its standard error over artists."""

import numpy as np
import pytest

from models.fitting.gain import Gain


def test_tracks_of_their_own_have_the_usual_standard_error():
    gains = np.random.default_rng(0).normal(size=50)
    found = Gain.of(gains, np.zeros(50), [str(row) for row in range(50)])
    assert found == pytest.approx((gains.mean(), gains.std(ddof=1) / np.sqrt(50)))


def test_tracks_of_an_artist_count_together():
    gains = np.random.default_rng(0).normal(size=10)
    repeated = Gain.of(np.repeat(gains, 7), np.zeros(70), np.repeat([f"artist {row}" for row in range(10)], 7))
    assert repeated == pytest.approx(Gain.of(gains, np.zeros(10), [f"artist {row}" for row in range(10)]))


def test_one_artist_tells_of_no_other():
    assert Gain.of(np.ones(9), np.zeros(9), ["one"] * 9) is None


def test_no_gain_is_seldom_thought_sure():
    """Artists of 2 to 20 tracks that resemble each other, and two models alike: 16 % would be sure by chance."""
    rng = np.random.default_rng(0)
    trials, sure, sure_by_track = 1000, 0, 0
    for _ in range(trials):
        artists = np.repeat(np.arange(40), rng.integers(2, 21, 40))
        losses = 1 + 0.5 * rng.normal(size=40)[artists] + rng.normal(size=len(artists))
        even = np.ones(len(artists))
        sure += Gain.of(losses, even, artists).is_sure
        sure_by_track += Gain.of(losses, even, np.arange(len(artists))).is_sure
    assert sure / trials < 0.2 and sure_by_track / trials > 0.25
