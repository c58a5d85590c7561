"""Splits: artists stay together, and nobody moves when others come."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.splits.by_artist import NONE, SplitRatios, assign, group_key, split_of, tied_sides

RATIOS = SplitRatios()


def row(**values):
    return {"track_id": "t", "artist_id": None, "artist": None, "album_id": None, **values}


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"artist_id": "7", "artist": "Björk", "album_id": "a"}, "artist_id:7"),
        ({"artist": " BJÖRK  gudmundsdottir", "album_id": "a"}, "artist:björk gudmundsdottir"),
        ({"artist": "Various Artists", "album_id": "a"}, "album_id:a"),
        ({"album_id": "a"}, "album_id:a"),
        ({}, "track_id:t"),
    ],
)
def test_the_group_is_the_artist_else_the_album_else_the_track(values, key):
    assert group_key(**row(**values)) == key


def test_names_are_compared_as_people_mean_them():
    assert group_key(**row(artist="Ｂjo\u0308rk")) == group_key(**row(artist="björk"))


def test_sides_are_the_same_on_every_machine():
    sides = [assign(f"artist_id:{i}", RATIOS) for i in range(16)]
    assert [i for i, side in enumerate(sides) if side == "test"] == [0, 3, 8]
    assert [i for i, side in enumerate(sides) if side == "validation"] == [15]


def test_shares_come_out_as_asked():
    counts = Counter(assign(f"artist_id:{i}", SplitRatios(train=0.7, validation=0.2, test=0.1)) for i in range(20_000))
    assert [round(counts[split] / 20_000, 2) for split in ("train", "validation", "test")] == [0.7, 0.2, 0.1]


@given(st.lists(st.text(min_size=1), unique=True), st.text(min_size=1))
def test_a_new_artist_moves_nobody(artists, new):
    before = {a: split_of(row(artist_id=a), RATIOS) for a in artists}
    after = {a: split_of(row(artist_id=a), RATIOS) for a in [new, *artists]}
    assert before.items() <= after.items()


@pytest.mark.parametrize("ratios", [(0.5, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_ratios_must_add_up(ratios):
    with pytest.raises(ValueError, match="add up to 1"):
        SplitRatios(train=ratios[0], validation=ratios[1], test=ratios[2])


def test_ratios_are_read_from_text():
    assert SplitRatios.parse("0.6,0.2,0.2") == SplitRatios(train=0.6, validation=0.2, test=0.2)
    with pytest.raises(ValueError, match="give train,validation,test"):
        SplitRatios.parse("0.6,0.4")


@pytest.mark.parametrize(("value", "side"), [("train", "train"), ("Valid", "validation"), (None, NONE), ("none", NONE)])
def test_official_splits_are_taken_over(value, side):
    assert split_of(row(fold=value), RATIOS, "fold") == side


def test_a_word_that_is_no_split_is_refused():
    with pytest.raises(ValueError, match="split 'holdout': write train, validation, test or none"):
        split_of(row(fold="holdout"), RATIOS, "fold")


def test_bytes_on_two_sides_are_found():
    entries = [("a", "train"), ("b", "train"), ("a", "test"), ("b", "train"), ("c", "test")]
    assert tied_sides(entries) == {"a"}
