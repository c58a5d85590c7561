from collections import Counter

import numpy as np
import pytest

from pipelines.synthesis import catalog


@pytest.fixture(scope="module")
def tracks():
    return catalog.make_tracks(72, 0)


def test_every_tag_has_a_parent_that_exists():
    tags = {tag["id"] for category in catalog.taxonomy()["categories"] for tag in category["tags"]}
    parents = {p for c in catalog.taxonomy()["categories"] for tag in c["tags"] for p in tag.get("parents", ())}
    assert parents <= tags


def test_moods_have_three_levels_and_some_two_parents():
    def depth(mood):
        return 1 + max((depth(parent) for parent in catalog.MOODS[mood]), default=0)

    assert Counter(depth(mood) for mood in catalog.MOODS) == {1: 3, 2: 4, 3: 8}
    assert any(len(parents) == 2 for parents in catalog.MOODS.values())


def test_annotations_are_true(tracks):
    for track in tracks:
        truth = {tag for tags in catalog.true_tags(track.artist.genre, track.song).values() for tag in tags}
        assert {tag.split(":")[0] for tag in track.tags} <= truth


def test_every_tag_that_can_be_said_is_said_of_several_artists(tracks):
    artists: dict[str, set[str]] = {}
    for track in tracks:
        for tag in track.tags:
            artists.setdefault(tag.split(":")[0], set()).add(track.artist.artist_id)
    leaves = {f"mood/{m}" for m in catalog.MOODS} - {f"mood/{p}" for ps in catalog.MOODS.values() for p in ps}
    assert leaves <= set(artists) and min(len(ids) for ids in artists.values()) >= 3


def test_some_tracks_are_partly_annotated_some_not_at_all_some_weighted(tracks):
    categories = [len({tag.split("/")[0] for tag in track.tags}) for track in tracks]
    assert 0 in categories and 4 in categories and 6 in categories
    assert any(":" in tag for track in tracks for tag in track.tags)


def test_a_larger_catalog_begins_with_the_smaller_one(tracks):
    assert catalog.make_tracks(12, 0) == tracks[:12]


def test_another_seed_makes_another_catalog(tracks):
    assert catalog.make_tracks(72, 1) != tracks


def test_artists_are_many_with_several_tracks_each(tracks):
    counts = Counter(track.artist.artist_id for track in tracks)
    assert len(counts) == 24 and set(counts.values()) == {3}
    assert len({track.artist.timbre for track in tracks}) == 24


@pytest.mark.parametrize("bpm, tempo", [(60, "slow"), (100, "medium"), (165, "fast")])
def test_tempo_ranges(bpm, tempo):
    assert catalog.tempo_of(bpm) == tempo


def test_a_tempo_in_between_is_an_error():
    with pytest.raises(ValueError, match="bpm=120"):
        catalog.tempo_of(120)


@pytest.mark.parametrize(
    "song, mood",
    [
        (("fast", "major", True, False), "euphoric"),
        (("medium", "minor", False, True), "ominous"),
        (("medium", "major", True, False), "dreamy"),
        (("slow", "minor", False, True), "gloomy"),
    ],
)
def test_mood_rule(song, mood):
    assert catalog.mood_of(*song) == mood


def test_levels_stay_in_range(tracks):
    levels = np.array([level for track in tracks for level in track.song.levels.values()])
    assert levels.min() >= 0.5 and levels.max() <= 1
