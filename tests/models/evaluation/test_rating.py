"""Metrics under resamples of artists: the same as rating the repeated rows one by one."""

import numpy as np
import pytest

from models.evaluation.rating import pooled_reliability, rate_tags
from models.evaluation.resampling import MIN_GROUPS, Resamples, estimate
from models.scoring import metrics

RESAMPLES = 6


@pytest.fixture(scope="module")
def sample():
    """Soft targets, mask, published scores with ties, positives and artists of 60 tracks and 4 tags."""
    rng = np.random.default_rng(1)
    targets = np.where(rng.random((60, 4)) < 0.3, rng.choice([0.3, 0.7, 1.0], (60, 4)), 0)
    targets[:, 3] = 0
    mask = (rng.random((60, 4)) < 0.8).astype(float)
    scores = np.round(np.clip(targets * 0.3 + rng.random((60, 4)) * 0.6, 0, 1), 1)
    return targets * mask, mask, scores, scores >= 0.5, [f"artist-{n}" for n in rng.integers(0, 12, 60)]


def test_each_resample_rates_its_rows_as_often_as_they_were_drawn(sample):
    targets, mask, scores, positives, artists = sample
    resamples = Resamples.draw(artists, RESAMPLES, seed=3)
    found = rate_tags(targets, mask, scores, positives, resamples)
    for column in range(1 + RESAMPLES):
        rows = np.repeat(np.arange(60), resamples.weights[resamples.group, column].astype(int))
        expected = metrics.tag_metrics(targets[rows], mask[rows], scores[rows], positives[rows])
        for name in set(metrics.MEASURES) - {"ece"}:
            wanted = [np.nan if tag[name] is None else tag[name] for tag in expected]
            np.testing.assert_allclose(found.tags[name][:, column], wanted, err_msg=name)


def test_the_sample_itself_has_the_calibration_error_of_the_plain_function(sample):
    targets, mask, scores, positives, artists = sample
    found = rate_tags(targets, mask, scores, positives, Resamples.draw(artists, 2, seed=0))
    for tag in range(4):
        known = mask[:, tag] > 0
        expected = metrics.expected_calibration_error(targets[known, tag], scores[known, tag])
        assert found.tags["ece"][tag, 0] == pytest.approx(expected)


def test_micro_averages_pool_all_known_pairs(sample):
    targets, mask, scores, positives, artists = sample
    found = rate_tags(targets, mask, scores, positives, Resamples.draw(artists, 2, seed=0))
    known = mask > 0
    (expected,) = metrics.tag_metrics(
        targets[known][:, None], np.ones((known.sum(), 1)), scores[known][:, None], positives[known][:, None]
    )
    for name in metrics.MEASURES:
        assert found.micro[name][0] == pytest.approx(expected[name]), name


def test_micro_averages_of_each_resample_are_those_of_its_pairs(sample):
    targets, mask, scores, positives, artists = sample
    resamples = Resamples.draw(artists, RESAMPLES, seed=3)
    found = rate_tags(targets, mask, scores, positives, resamples)
    for column in range(1 + RESAMPLES):
        rows = np.repeat(np.arange(60), resamples.weights[resamples.group, column].astype(int))
        known = mask[rows] > 0
        pairs = [values[rows][known][:, None] for values in (targets, scores, positives)]
        (expected,) = metrics.tag_metrics(pairs[0], np.ones_like(pairs[0]), pairs[1], pairs[2])
        for name in set(metrics.MEASURES) - {"ece"}:
            assert found.micro[name][column] == pytest.approx(expected[name]), name


def test_calibration_error_of_a_resample_has_the_bins_of_the_sample(sample):
    targets, mask, scores, positives, artists = sample
    resamples = Resamples.draw(artists, RESAMPLES, seed=3)
    known = mask > 0
    bins = metrics.equal_mass_bins(scores[known])
    weights = np.broadcast_to(resamples.weights[resamples.group][:, None], (60, 4, 1 + RESAMPLES))[known]
    gaps = [np.bincount(bins, w * (scores - targets)[known], metrics.CALIBRATION_BINS) for w in weights.T]
    expected = np.abs(gaps).sum(axis=1) / weights.sum(axis=0)
    np.testing.assert_allclose(rate_tags(targets, mask, scores, positives, resamples).micro["ece"], expected)


def test_the_pooled_reliability_curve_is_that_of_all_known_pairs(sample):
    targets, mask, scores, _, _ = sample
    known = mask[:, 1:3] > 0
    expected = metrics.reliability(targets[:, 1:3][known], scores[:, 1:3][known])
    found = pooled_reliability(targets, mask, scores, [1, 2])
    for name in ("score", "target", "tracks"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), err_msg=name)


def test_a_tag_that_is_known_nowhere_has_no_metrics(sample):
    targets, mask, scores, positives, artists = sample
    found = rate_tags(targets, mask * [1, 1, 1, 0], scores, positives, Resamples.draw(artists, 2, seed=0))
    assert all(np.isnan(values[3]).all() for values in found.tags.values()) and found.known[3] == 0


def test_resamples_do_not_depend_on_the_order_of_rows():
    one, other = Resamples.draw(["a", "b", "c", "a"], 5, 0), Resamples.draw(["c", "a", "a", "b"], 5, 0)
    np.testing.assert_array_equal(one.weights, other.weights)
    np.testing.assert_array_equal(one.weights.sum(axis=0), np.full(6, 3))
    assert one.group.tolist() == [0, 1, 2, 0]


def test_tracks_of_one_artist_make_intervals_wider():
    rng = np.random.default_rng(0)
    truth = np.repeat(rng.random(40) < 0.5, 10)
    scores = np.round(np.clip(np.repeat(rng.normal(0, 0.2, 40), 10) + truth * 0.2 + 0.5, 0, 1), 4)

    def width(groups):
        rated = rate_tags(truth[:, None] * 1.0, np.ones((400, 1)), scores[:, None], truth[:, None], groups)
        found = estimate(rated.tags["roc_auc"][0], int(rated.groups[0]))
        return found.high - found.low

    artists, tracks = [f"{n // 10}" for n in range(400)], [f"{n}" for n in range(400)]
    assert width(Resamples.draw(artists, 200, 0)) > 2 * width(Resamples.draw(tracks, 200, 0))


def test_the_interval_of_a_mean_is_the_normal_one():
    """Precision of calling everything is a mean of independent rows: sqrt(p (1 - p) / n) is known."""
    truth = np.arange(1000) < 300
    resamples = Resamples.draw([str(n) for n in range(1000)], 2000, 0)
    rated = rate_tags(truth[:, None] * 1.0, np.ones((1000, 1)), np.ones((1000, 1)), np.ones((1000, 1), bool), resamples)
    found = estimate(rated.tags["precision"][0], 300)
    half = 1.96 * np.sqrt(0.3 * 0.7 / 1000)
    assert found.value == pytest.approx(0.3)
    assert (found.low, found.high) == (pytest.approx(0.3 - half, abs=0.004), pytest.approx(0.3 + half, abs=0.004))


def test_too_few_artists_give_no_interval():
    samples = np.array([0.5, 0.4, 0.6])
    assert estimate(samples, MIN_GROUPS - 1).low is None
    assert estimate(samples, MIN_GROUPS).low is not None
    assert estimate(np.array([np.nan, 0.5]), 99).value is None


def test_groups_are_the_artists_that_an_interval_rests_on():
    targets = np.array([[1.0], [1], [0], [0], [0]])
    rated = rate_tags(targets, np.ones((5, 1)), targets, targets > 0, Resamples.draw(["a", "a", "b", "c", "d"], 1, 0))
    assert rated.groups.tolist() == [1]
