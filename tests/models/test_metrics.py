"""Metrics, against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from models import metrics

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
    assert found == [{"roc_auc": 1.0, "pr_auc": 1.0, "f1": 1.0, "support": 1, "known": 2}]


def test_soft_targets_count_from_a_half():
    targets = np.array([[0.5], [0.4]])
    assert metrics.tag_metrics(targets, np.ones((2, 1)), targets, targets > 0.45)[0]["support"] == 1


def test_macro_leaves_out_tags_without_both_classes():
    rated = [{"roc_auc": 0.8, "pr_auc": 0.6, "f1": None}, {"roc_auc": None, "pr_auc": 1.0, "f1": 1.0}]
    assert metrics.macro(rated) == {"roc_auc": 0.8, "pr_auc": 0.6, "f1": None, "tags": 1}


def test_macro_of_nothing_is_nothing():
    assert metrics.macro([]) == {"roc_auc": None, "pr_auc": None, "f1": None, "tags": 0}


def test_accuracy_counts_known_rows():
    targets = np.eye(3)
    mask = np.array([[1, 1, 1], [1, 1, 1], [0, 0, 0]])
    assert metrics.accuracy(targets, mask, np.eye(3)[[0, 2, 2]] > 0) == 0.5
    assert metrics.accuracy(targets, mask * 0, targets > 0) is None
