"""Masked logistic regression: its minima are scikit-learn's, and unknown labels weigh nothing."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression

from models.fitting.logistic import LogisticProblem, path, row_losses


def problem(rows: int = 60, dim: int = 5, outputs: int = 3, multiclass: bool = False, seed: int = 0) -> LogisticProblem:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, dim))
    logits = x @ rng.normal(size=(dim, outputs)) + rng.normal(size=(rows, outputs))
    y = np.eye(outputs)[logits.argmax(axis=1)] if multiclass else (logits > 0).astype(float)
    return LogisticProblem(x=x, y=y, mask=np.ones_like(y), multiclass=multiclass)


def solve(given: LogisticProblem, strength: float = 1.0):
    return next(path(given, [strength]))


@pytest.mark.parametrize("multiclass", [False, True])
def test_slopes_are_those_of_the_losses(multiclass):
    given = problem(multiclass=multiclass, rows=4)
    mask = np.array([[1, 1, 1], [0, 0, 0], [1, 1, 1], [1, 0 if not multiclass else 1, 1]], float)

    def loss(flat):
        return row_losses(flat.reshape(4, 3), given.y * 0.7, mask, multiclass)[0].sum()

    def slope(flat):
        return row_losses(flat.reshape(4, 3), given.y * 0.7, mask, multiclass)[1].ravel()

    assert check_grad(loss, slope, np.random.default_rng(1).normal(size=12)) < 1e-5


@pytest.mark.parametrize(("rows", "dim"), [(60, 5), (20, 50)])
def test_sigmoids_equal_sklearn(rows, dim):
    given = problem(rows, dim, 1)
    # sklearn's penalty has no pseudo-track: two rows at the mean of weight one half stand for it.
    x = np.vstack([given.x, np.zeros((2, dim))])
    y, weight = np.append(given.y[:, 0], [0, 1]), np.append(np.ones(rows), [0.5, 0.5])
    expected = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(x, y, weight)
    np.testing.assert_allclose(solve(given).weights[:, 0], expected.coef_[0], atol=1e-4)
    np.testing.assert_allclose(solve(given).bias, expected.intercept_, atol=1e-4)


def test_softmax_equals_sklearn():
    given = problem(multiclass=True)
    x = np.vstack([given.x, np.zeros((3, 5))])
    y, weight = np.append(given.y.argmax(axis=1), [0, 1, 2]), np.append(np.ones(60), [1 / 3] * 3)
    expected = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(x, y, weight)
    np.testing.assert_allclose(solve(given).weights.T, expected.coef_, atol=1e-4)


def test_unknown_labels_change_nothing():
    given = problem()
    mask = (np.random.default_rng(3).random(given.y.shape) > 0.3).astype(float)
    one = dataclasses.replace(given, mask=mask)
    other = dataclasses.replace(given, mask=mask, y=np.where(mask > 0, given.y, 1 - given.y))
    np.testing.assert_array_equal(solve(one).weights, solve(other).weights)


def test_outputs_of_sigmoids_do_not_affect_each_other():
    given = problem()
    alone = dataclasses.replace(given, y=given.y[:, :1], mask=given.mask[:, :1])
    np.testing.assert_allclose(solve(given).weights[:, 0], solve(alone).weights[:, 0], atol=1e-4)


def test_a_tag_without_positives_scores_low_and_finite():
    given = dataclasses.replace(problem(outputs=1), y=np.zeros((60, 1)))
    found = solve(given)
    assert 0 < 1 / (1 + np.exp(-found.bias[0])) < 0.03 and np.abs(found.weights).max() < 0.2


def test_stronger_penalty_means_smaller_weights():
    sizes = [np.abs(solution.weights).sum() for solution in path(problem(), [100, 10, 1, 0.1])]
    assert sizes == sorted(sizes)


def test_a_path_ends_where_each_strength_alone_ends():
    along = list(path(problem(), [100, 1]))[1]
    np.testing.assert_allclose(along.weights, solve(problem(), 1).weights, atol=1e-4)


def test_blocks_do_not_change_the_minimum(monkeypatch):
    whole = solve(problem())
    monkeypatch.setattr("models.fitting.logistic.SUMMED_TOGETHER", 7)
    np.testing.assert_allclose(solve(problem()).weights, whole.weights, atol=1e-6)


def test_values_that_never_change_get_no_weight():
    given = problem()
    constant = dataclasses.replace(given, x=np.hstack([given.x, np.zeros((60, 2))]))
    assert np.abs(solve(constant).weights[5:]).max() < 1e-12


def test_soft_targets_pull_half_way():
    given = dataclasses.replace(problem(outputs=1), y=np.full((60, 1), 0.5))
    assert np.abs(solve(given).weights).max() < 1e-6 and abs(solve(given).bias[0]) < 1e-6
