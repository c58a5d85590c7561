"""Tags of artists and albums are what pandas makes of the scores of their tracks, in any order and grouping."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.aggregates.group_tags import group_tags
from transforms.aggregates.pieces import (
    MOST_SEPARATE,
    PIECE,
    add_pieces,
    packed_scores,
    pieces_of,
    split_pieces,
    with_numbers,
)
from transforms.formats.arrow import from_ipc
from transforms.formats.hashing import bucket_of
from transforms.tagging.assembly import PublishedRows

TAGS = [("genre", "genre/folk"), ("genre", "genre/rock"), ("mood", "mood/calm"), ("mood", "mood/dark")]


def invented(seed: int, tracks: int, groups: int, buckets: int):
    """Group of each track, or None; scores; positives; bucket of each track. The first group is in all buckets."""
    rng = np.random.default_rng(seed)
    ids = [None if n == groups else f"g{n}" for n in rng.integers(0, groups + 1, tracks)]
    ids = ["g0" if rng.random() < 0.3 else own for own in ids]
    scores = np.round(rng.random((tracks, len(TAGS))) ** rng.integers(1, 4), 4)
    return ids, scores, rng.random(scores.shape) < scores, rng.integers(0, buckets, tracks)


def pieces_by_bucket(ids, scores, positives, places, order):
    packed = packed_scores(scores, positives)
    return [
        pieces_of(pa.array([ids[i] for i in np.flatnonzero(places == bucket)], pa.string()), packed[places == bucket])
        for bucket in order
    ]


def by_pandas(ids, scores, positives):
    rows = pd.DataFrame(
        {
            "artist_id": np.repeat(np.array(ids, object), len(TAGS)),
            "category": [category for _ in ids for category, _ in TAGS],
            "tag": [tag for _ in ids for _, tag in TAGS],
            "score": scores.ravel(),
            "positive": positives.ravel(),
        }
    )
    found = rows.groupby(["artist_id", "category", "tag"]).agg(
        mean_score=("score", "mean"),
        positive_share=("positive", "mean"),
        tracks=("score", "size"),
        score_spread=("score", lambda scores: scores.std(ddof=0)),
    )
    exact = (rows.score * 10_000).round().groupby([rows.artist_id, rows.category, rows.tag]).sum()
    found["rank"] = exact.groupby(["artist_id", "category"]).rank(method="first", ascending=False).astype(int)
    return found.reset_index().sort_values(["artist_id", "category", "rank"], ignore_index=True)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 400), st.integers(1, 30), st.integers(1, 6))
def test_what_pandas_finds(seed, tracks, groups, buckets):
    world = invented(seed, tracks, groups, buckets)
    found = group_tags("artist_tags", pieces_by_bucket(*world, range(buckets)), TAGS, PublishedRows())
    wanted = by_pandas(*world[:3])
    for name in ("artist_id", "category", "tag", "tracks", "rank"):
        assert found[name].to_pylist() == wanted[name].tolist()
    for name in ("mean_score", "positive_share", "score_spread"):
        np.testing.assert_allclose(found[name].to_numpy(), wanted[name], atol=1e-6)


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.permutations(range(5)))
def test_the_same_bits_in_any_order_and_however_tracks_are_bucketed(seed, order):
    ids, scores, positives, places = invented(seed, 300, 8, 5)
    one = group_tags("artist_tags", pieces_by_bucket(ids, scores, positives, places, order), TAGS, PublishedRows())
    for other in (places, np.zeros_like(places), np.arange(len(places))):
        pieces = pieces_by_bucket(ids, scores, positives, other, sorted(set(other.tolist())))
        assert group_tags("artist_tags", pieces, TAGS, PublishedRows()).equals(one)


@pytest.mark.parametrize(("tracks", "rows"), [(1, 1), (MOST_SEPARATE, MOST_SEPARATE), (MOST_SEPARATE + 1, 1)])
def test_tracks_are_added_up_where_that_is_smaller(tracks, rows):
    scores = np.full((tracks, len(TAGS)), 0.5)
    pieces = pieces_of(pa.array(["a"] * tracks), packed_scores(scores, scores > 0))
    assert (pieces.schema, pieces.num_rows) == (PIECE, rows)
    groups, counts, sums = add_pieces([pieces], len(TAGS))
    assert groups.to_pylist() == ["a"] and counts.tolist() == [tracks]
    assert sums.tolist() == [[[5_000 * tracks] * 4, [25_000_000 * tracks] * 4, [tracks] * 4]]


def test_equal_scores_have_no_spread_and_extremes_have_the_largest():
    for scores, spread in (([0.3333] * 3_001, 0.0), ([0.0, 1.0] * 1_500, 0.5), ([1.0], 0.0)):
        column = np.repeat(np.array(scores)[:, None], len(TAGS), axis=1)
        pieces = pieces_of(pa.array(["a"] * len(scores)), packed_scores(column, column > 2))
        found = group_tags("album_tags", [pieces], TAGS, PublishedRows())
        assert set(found["score_spread"].to_pylist()) == {spread} and found.column_names[0] == "album_id"
        assert set(found["mean_score"].to_numpy()) == {np.float32(np.mean(scores))}


def test_options_select_by_mean_and_rank_and_ties_go_to_the_first_tag():
    scores = np.array([[0.2, 0.4, 0.3, 0.3], [0.4, 0.2, 0.3, 0.3]])
    pieces = [pieces_of(pa.array(["a", "a"]), packed_scores(scores, scores > 0.35))]
    rows = group_tags("artist_tags", pieces, TAGS, PublishedRows(min_score=0.3, top_k=1)).to_pylist()
    assert [(row["tag"], row["rank"]) for row in rows] == [("genre/folk", 1), ("mood/calm", 1)]
    assert [row["positive_share"] for row in rows] == [0.5, 0.0]
    assert group_tags("artist_tags", pieces, TAGS, PublishedRows(min_score=0.3001)).num_rows == 0


def test_pieces_go_to_the_bucket_of_their_group():
    ids, scores, positives, _ = invented(3, 200, 20, 1)
    whole = pieces_of(pa.array(ids, pa.string()), packed_scores(scores, positives))
    parts = {bucket: from_ipc(stream) for bucket, stream in split_pieces(with_numbers(whole, 4))}
    assert len(parts) == 4 and sum(part.num_rows for part in parts.values()) == whole.num_rows
    assert all(bucket_of(own, 4) == bucket for bucket, part in parts.items() for own in part["group_id"].to_pylist())
    empty = pieces_of(pa.nulls(3, pa.string()), packed_scores(scores[:3], positives[:3]))
    assert empty.num_rows == 0 and list(split_pieces(with_numbers(empty, 4))) == []
