"""Metrics, against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from models.scoring import metrics

LABELLED = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40)


def split(pairs):
    truth, scores = zip(*pairs, strict=True)
    return np.array(truth), np.array(scores) / 7


@given(LABELLED)
def test_areas_equal_sklearn_with_ties(pairs):
    truth, scores = split(pairs)
    if truth.any():
        assert metrics.pr_auc(truth, scores) == pytest.approx(average_precision_score(truth, scores))
        if not truth.all():
            assert metrics.roc_auc(truth, scores) == pytest.approx(roc_auc_score(truth, scores))


@given(LABELLED)
def test_f1_equals_sklearn(pairs):
    truth, scores = split(pairs)
    found = metrics.f1(truth, scores > 0.5)
    expected = f1_score(truth, scores > 0.5, zero_division=np.nan)
    assert (found is None and np.isnan(expected)) or found == pytest.approx(expected)


@given(LABELLED)
def test_precision_and_recall_equal_sklearn(pairs):
    truth, scores = split(pairs)
    for own, other in ((metrics.precision, precision_score), (metrics.recall, recall_score)):
        found, expected = own(truth, scores > 0.5), other(truth, scores > 0.5, zero_division=np.nan)
        assert (found is None and np.isnan(expected)) or found == pytest.approx(expected)


@given(LABELLED)
def test_f1_curve_holds_f1_at_every_score(pairs):
    truth, scores = split(pairs)
    for threshold, value in zip(*metrics.f1_curve(truth, scores), strict=True):
        assert value == pytest.approx(metrics.f1(truth, scores >= threshold) or 0)


def test_one_class_has_no_roc_auc():
    assert metrics.roc_auc(np.ones(3), np.arange(3)) is None
    assert metrics.roc_auc(np.zeros(3), np.arange(3)) is None


def test_no_positive_has_no_pr_auc():
    assert metrics.pr_auc(np.zeros(3), np.arange(3)) is None


def test_constant_scores_rank_nothing():
    truth = np.array([1, 0, 0, 0], bool)
    assert metrics.roc_auc(truth, np.ones(4)) == 0.5 and metrics.pr_auc(truth, np.ones(4)) == 0.25


def test_unknown_tracks_count_nowhere():
    targets, mask = np.array([[1.0], [0], [1]]), np.array([[1.0], [1], [0]])
    found = metrics.tag_metrics(targets, mask, np.array([[0.9], [0.1], [0.0]]), np.array([[True], [False], [False]]))
    areas = dict.fromkeys(("roc_auc", "pr_auc", "f1", "precision", "recall"), 1.0)
    assert found == [{**areas, "ece": pytest.approx(0.1), "support": 1, "known": 2}]


def test_soft_targets_count_from_a_half():
    targets = np.array([[0.5], [0.4]])
    assert metrics.tag_metrics(targets, np.ones((2, 1)), targets, targets > 0.45)[0]["support"] == 1


def test_macro_leaves_out_tags_without_both_classes():
    nothing = dict.fromkeys(metrics.MEASURES)
    rated = [{**nothing, "roc_auc": 0.8, "pr_auc": 0.6}, {**nothing, "pr_auc": 1.0, "f1": 1.0}]
    assert metrics.macro(rated) == {**nothing, "roc_auc": 0.8, "pr_auc": 0.6, "tags": 1}


def test_macro_of_nothing_is_nothing():
    assert metrics.macro([]) == {**dict.fromkeys(metrics.MEASURES), "tags": 0}


def test_log_losses_are_means_over_the_known_tags():
    targets = np.array([[1, 0, 0], [0.3, 1, 0], [1, 0, 1]])
    mask = np.array([[1, 1, 1], [1, 0, 1], [0, 0, 0]])
    scores = np.array([[0.9, 0.2, 0.0], [0.4, 0.9, 0.5], [0.1, 0.1, 0.1]])
    found = metrics.log_losses(targets, mask, scores)
    assert found[0] == pytest.approx(log_loss([1, 0, 0], scores[0].clip(1e-4)), rel=1e-6)
    assert found[1] == pytest.approx(-(0.3 * np.log(0.4) + 0.7 * np.log(0.6) + np.log(0.5)) / 2)
    assert np.isnan(found[2])
    wrong = metrics.log_losses(np.ones((1, 1)), np.ones((1, 1)), np.zeros((1, 1)))
    assert wrong == pytest.approx(-np.log(1e-4)), "a sure and wrong score costs as much as its last decimal says"


def test_accuracy_counts_known_rows():
    targets = np.eye(3)
    mask = np.array([[1, 1, 1], [1, 1, 1], [0, 0, 0]])
    assert metrics.accuracy(targets, mask, np.eye(3)[[0, 2, 2]] > 0) == 0.5
    assert metrics.accuracy(targets, mask * 0, targets > 0) is None


def test_reliability_equals_sklearn_where_no_score_is_tied():
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(0)
    scores = rng.permutation(np.linspace(0.01, 0.99, 200))
    truth = rng.random(200) < scores
    target, score = calibration_curve(truth, scores, n_bins=10, strategy="quantile")
    found = metrics.reliability(truth, scores)
    np.testing.assert_allclose(found.target, target)
    np.testing.assert_allclose(found.score, score)
    assert found.tracks.tolist() == [20] * 10


@given(LABELLED, st.randoms(use_true_random=False))
def test_equal_scores_share_a_bin_whatever_their_order(pairs, random):
    truth, scores = split(pairs)
    random.shuffle(pairs)
    assert metrics.expected_calibration_error(truth, scores) == pytest.approx(
        metrics.expected_calibration_error(*split(pairs))
    )


def test_calibration_error_of_a_constant_score_is_its_distance_from_the_share():
    targets = np.array([1, 0, 0, 0.0])
    assert metrics.expected_calibration_error(targets, np.full(4, 0.25)) == 0
    assert metrics.expected_calibration_error(targets, np.full(4, 0.75)) == pytest.approx(0.5)


def test_a_score_that_is_the_expected_weight_is_calibrated():
    weights = np.linspace(0, 1, 50)
    assert metrics.expected_calibration_error(weights, weights) == 0


def test_no_track_has_no_calibration_error():
    assert metrics.expected_calibration_error(np.zeros(0), np.zeros(0)) is None
