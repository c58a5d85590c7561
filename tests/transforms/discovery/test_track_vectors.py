"""Vectors from the search index are those that are computed, so answers are the same."""

import dataclasses
import itertools

import numpy as np
import pytest

from transforms import storage
from transforms.discovery.index.opening import index_set
from transforms.discovery.index.rows import RangedRows
from transforms.discovery.playlists.making import make_playlist
from transforms.discovery.playlists.request import PlaylistRequest
from transforms.discovery.recommendations import recommend
from transforms.discovery.search.request import SearchRequest, ValueRange
from transforms.discovery.seeds import only_vectors
from transforms.discovery.style_mix import MixRequest, mix_styles

PLAYLISTS = [
    PlaylistRequest(seeds=("track-0003",), tracks=12),
    PlaylistRequest(seeds=("track-0003", "track-0010"), start=("track-0020",), minutes=60, flows={"tempo": "rising"}),
    PlaylistRequest(
        seeds=("track-0007",), target=SearchRequest(weights={"mood/soft": 1}, must=("mood/soft",)), tracks=9
    ),
    PlaylistRequest(target=SearchRequest(ranges={"duration": ValueRange(None, 200)}), tracks=15),
]


@pytest.mark.parametrize("request_", PLAYLISTS)
def test_a_playlist_is_the_same(joined, request_):
    before, after = joined
    assert make_playlist(before, request_) == make_playlist(after, request_)


def test_mixes_and_recommendations_are_the_same(joined):
    before, after = joined
    mix = MixRequest(styles={"genre/folk": 60, "genre/funk": 40}, added=("track-0002",), subtracted=("track-0005",))
    assert mix_styles(before, mix) == mix_styles(after, mix)
    for kind, key in (("track", "track-0003"), ("artist", "artist-001")):
        assert recommend(before, kind, key, "track", 8) == recommend(after, kind, key, "track", 8)


def test_vectors_and_nearest_tracks_are_the_same_bits(joined):
    computed, indexed = map(only_vectors, joined)
    assert computed.index is None and indexed.index is not None
    ids = ["track-0044", "nobody", "track-0001", "broken-a", "track-0100"]
    (own, vectors), (others, same) = computed.known(ids), indexed.known(ids)
    assert own == others == ["track-0044", "track-0001", "track-0100"] and np.array_equal(vectors, same)
    assert computed.known([])[1].shape == indexed.known([])[1].shape == (0, computed.space.dimensions)
    assert np.array_equal(computed.of(["track-0001", "track-0001"])[1], indexed.of(["track-0001"])[0])
    for one, other in zip(computed.nearest(vectors, 7), indexed.nearest(vectors, 7), strict=True):
        assert one.track_ids == other.track_ids and np.array_equal(one.similarities, other.similarities)


def test_vectors_that_are_read_by_ranges_are_the_same(joined):
    indexed = only_vectors(joined[1])
    found = index_set(indexed.snapshot, indexed.space.spec.embedding_id)
    groups = [
        dataclasses.replace(group, vectors=RangedRows(storage.join(indexed.snapshot.root, file.path), len(group), d))
        for group, file, d in zip(indexed.index.groups, found.vectors, itertools.repeat(indexed.space.dimensions))
    ]
    ranged = dataclasses.replace(indexed, index=dataclasses.replace(indexed.index, groups=groups))
    query = indexed.of(["track-0003"])
    assert np.array_equal(ranged.of(["track-0003"]), query)
    assert ranged.nearest(query, 5)[0].track_ids == indexed.nearest(query, 5)[0].track_ids
    ids = indexed.index.track_ids.combine_chunks()
    assert np.array_equal(ranged.compared(query[0])(0, ids), indexed.compared(query[0])(0, ids))
