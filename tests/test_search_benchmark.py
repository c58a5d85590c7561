"""The arithmetic of the benchmark of weighted search."""

import numpy as np
import pytest

from benchmarks.weighted_search import ndcg, random_query, table_lines, true_values
from pipelines.synthesis.catalog import make_tracks


def test_ndcg_is_1_for_the_best_order_and_discounts_by_rank():
    gains = np.array([0.0, 3, 1, 2])
    assert ndcg(np.sort(gains)[::-1], gains) == 1 and ndcg(np.zeros(4), np.zeros(4)) == 1
    expected = (0 / np.log2(2) + 3 / np.log2(3)) / (3 / np.log2(2) + 2 / np.log2(3))
    assert ndcg(gains, gains, depth=2) == pytest.approx(expected)


def test_queries_are_of_different_categories_and_want_something():
    rng, tags = np.random.default_rng(0), ["a/1", "a/2", "b/1", "c/1", "d/1"]
    for _ in range(50):
        query = random_query(rng, tags)
        assert 2 <= len({tag[0] for tag in query}) == len(query) <= 4
        assert max(query.values()) > 0 and all(-1 <= weight <= 1 and weight for weight in query.values())


def test_true_values_have_the_levels_of_instruments_and_all_broader_moods():
    truth = true_values(12, 3)
    for track in make_tracks(12, 3):
        own = truth[track.track_id]
        levels = {name: level for name, level in track.song.levels.items() if name != "voice"}
        assert {tag: value for tag, value in own.items() if tag.startswith("instrument/")} == {
            f"instrument/{name}": level for name, level in levels.items()
        }
        assert own[f"genre/{track.artist.genre}"] == 1 and ("mood/energetic" in own) != ("mood/soft" in own)


def test_the_table_has_means_with_intervals():
    lines = table_lines({"a": np.full(10, 0.5), "b": np.linspace(0, 1, 11)})
    assert lines[2] == "| a | 0.500 (0.500 to 0.500) | 0.500 |" and lines[3].startswith("| b | 0.500 (0.3")
