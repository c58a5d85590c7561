"""Artists, albums and tracks for an artist, an album or a track."""

import math

import numpy as np
import pytest

from tests.support.composed import genres_of
from tests.transforms.discovery.conftest import TRACKS
from transforms.discovery.recommendations import recommend
from transforms.discovery.search.scores import DOUBT
from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.discovery.seeds import middle, vectors_of_seeds


def artists_by_loop(snapshot, artist):
    """Artist -> similarity, from all rows of `artist_tags`."""
    rows = snapshot.scan("artist_tags").to_pylist()
    tags = sorted({row["tag"] for row in rows})
    means = {}
    for row in rows:
        q = DOUBT + (1 - 2 * DOUBT) * row["mean_score"]
        means.setdefault(row["artist_id"], {})[row["tag"]] = math.log(q / (1 - q))
    table = np.array([[own[tag] for tag in tags] for own in means.values()])
    spread = table.std(axis=0)
    categories = [tag.split("/")[0] for tag in tags]
    weights = np.array([categories.count(name) ** -0.5 for name in categories]) / np.where(
        spread > 1e-6, spread, np.inf
    )
    values = dict(zip(means, (table - table.mean(axis=0)) * weights, strict=True))
    query = values[artist]
    lengths = {name: np.linalg.norm(own) * np.linalg.norm(query) for name, own in values.items()}
    return {name: float(own @ query / lengths[name]) for name, own in values.items() if name != artist}


def test_artists_are_ordered_by_their_tags(composed):
    found = recommend(composed, "artist", "artist-003", "artist", 6)
    expected = artists_by_loop(composed, "artist-003")
    assert [one.similarity for one in found] == sorted((one.similarity for one in found), reverse=True)
    best = sorted(expected, key=expected.get, reverse=True)[:6]
    assert len({one.key for one in found} & set(best)) >= 5
    for one in found:
        assert one.similarity == pytest.approx(expected[one.key], abs=0.03)
        assert one.tracks == 3 and one.facts["artist"] and len(one.shared) == 3


def test_artists_like_an_artist_have_its_genre(composed):
    genre = {}
    for track, own in genres_of(TRACKS).items():
        row = composed.scan("tracks", ["artist_id"], track_ids=[track])["artist_id"]
        genre[row[0].as_py()] = own
    hits = [
        genre[one.key] == genre[artist]
        for artist in ("artist-003", "artist-010", "artist-021")
        for one in recommend(composed, "artist", artist, "artist", 5)
    ]
    assert np.mean(hits) > 0.5  # a fifth of all artists has it


def test_tracks_are_the_nearest_with_few_of_each_artist(composed):
    own = ["track-0009", "track-0010", "track-0011"]
    found = recommend(composed, "artist", "artist-003", "track", 8, per_artist=1)
    known = vectors_of_seeds(composed, own)
    ids = sorted(set(composed.scan("tracks", ["track_id"])["track_id"].to_pylist()) - set(own))
    likeness = dict(zip(ids, known.of(ids) @ middle(known.of(own)), strict=True))
    artists = [one.facts["artist_id"] for one in found]
    assert len(set(artists)) == 8 and "artist-003" not in artists
    assert found[0].key == max(likeness, key=likeness.get)
    for one in found:
        assert one.similarity == pytest.approx(likeness[one.key], abs=1e-5)


@pytest.mark.parametrize(("kind", "key"), [("artist", "artist-003"), ("album", "album-003-0"), ("track", "track-0009")])
@pytest.mark.parametrize("of", ["artist", "album", "track"])
def test_everything_is_recommended_for_everything_but_itself(composed, kind, key, of):
    found = recommend(composed, kind, key, of, 4)
    keys = [one.key for one in found]
    assert len(set(keys)) == 4 and key not in keys
    if of == "artist":
        assert "artist-003" not in keys
    assert found == recommend(composed, kind, key, of, 9)[:4]


def test_what_is_not_there_is_refused(composed):
    for kind in ("artist", "album", "track"):
        with pytest.raises(DiscoveryError, match=f"{kind} nobody: snapshot 1 has no (such )?tagged track"):
            recommend(composed, kind, "nobody", "track", 3)
