"""Mixes of styles on a catalog of known composition."""

import itertools

import numpy as np
import pytest
from scipy.stats import spearmanr

from tests.support.composed import genres_of
from tests.transforms.discovery.conftest import TRACKS
from transforms.discovery.search.request import SearchRequest
from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.discovery.style_mix import MixRequest, mix_styles

ALL = list(itertools.combinations(["folk", "techno", "ambient", "gospel", "funk"], 2))
PAIRS = [ALL[1], *(pytest.param(*pair, marks=pytest.mark.long) for pair in (*ALL[:1], *ALL[2:]))]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_share_in_the_top_20_follows_the_slider(composed, one, other):
    truth = genres_of(TRACKS)
    sliders, shares = range(0, 101, 20), []
    for slider in sliders:
        mix = mix_styles(composed, MixRequest(styles={f"genre/{one}": slider, f"genre/{other}": 100 - slider}))
        assert len(mix.tracks) == 20 == len({track.track_id for track in mix.tracks})
        shares.append(sum(truth[track.track_id] == f"genre/{one}" for track in mix.tracks) / 20)
    assert spearmanr(sliders, shares).statistic >= 0.9
    assert np.abs(np.array(shares) - np.array(sliders) / 100).max() <= 0.15


def test_every_beginning_of_a_mix_has_the_shares(composed):
    styles = {"genre/folk": 50, "genre/funk": 30, "mood/dark": 20}
    mix = mix_styles(composed, MixRequest(styles=styles, limit=30))
    for count in range(1, 31):
        found = [track.style for track in mix.tracks[:count]]
        for style, percentage in styles.items():
            assert abs(found.count(style) - percentage / 100 * count) < 1.5
    assert mix.shares == {"genre/folk": 0.5, "genre/funk": 0.3, "mood/dark": 0.2} and mix.lacking == ()


def test_added_and_subtracted_tracks_move_a_mix(composed):
    def near(**seeds):
        mix = mix_styles(composed, MixRequest(styles={"genre/folk": 100}, limit=8, **seeds))
        assert "track-0010" not in {track.track_id for track in mix.tracks}
        return np.mean([track.to_added or track.to_subtracted for track in mix.tracks])

    assert near(added=("track-0010",)) > near(subtracted=("track-0010",)) + 0.3


def test_a_style_without_enough_tracks_is_named(composed):
    request = MixRequest(
        styles={"genre/folk": 50, "genre/funk": 50}, conditions=SearchRequest(where="track_id < 'track-0012'")
    )
    mix = mix_styles(composed, request)
    assert len(mix.tracks) <= 12 and mix.lacking == ("genre/folk", "genre/funk") and mix.filters[0].left == 12


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"styles": {"genre/folk": 0}}, "no style has a share"),
        ({"styles": {"genre/folk": 120}}, "from 0 to 100"),
        ({"styles": {"genre/flok": 50}}, "did you mean genre/folk"),
        ({"styles": {"genre/folk": 50, "folk": 20}}, "has a weight already"),
        ({"styles": {"genre/folk": 50}, "added": ("x",)}, "track x"),
        ({"styles": {"genre/folk": 50}, "added": ("x",), "subtracted": ("x",)}, "added and subtracted"),
    ],
)
def test_what_cannot_be_mixed_is_refused(composed, asked, words):
    with pytest.raises(DiscoveryError, match=words):
        mix_styles(composed, MixRequest(**asked))
