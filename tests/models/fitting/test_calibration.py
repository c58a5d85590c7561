"""Calibration and thresholds."""

import numpy as np
import pytest

from models.fitting import calibration
from models.fitting.logistic import row_losses
from models.scoring.heads import Group, Heads, Layout, link, published, sigmoid, softmax
from models.scoring.metrics import expected_calibration_error

LAYOUT = Layout(
    groups=(
        Group(name="v", kind="binary", columns=(0, 1)),
        Group(name="g", kind="multiclass", columns=(2, 3, 4)),
        Group(name="m", kind="multilabel", columns=(5,)),
    ),
    edges=(),
    size=6,
)
PLAIN = Heads(
    mean=np.zeros(1), scale=np.ones(1), weights=np.zeros((1, 6)), bias=np.zeros(6), slope=np.ones(6), offset=np.zeros(6)
)


def overconfident(rows: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Logits three times too large, and labels."""
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(rows, 6))
    y = (rng.random((rows, 6)) < sigmoid(honest)).astype(float)
    y[:, 1] = 1 - y[:, 0]
    classes = [rng.choice(3, p=row) for row in softmax(honest[:, 2:5])]
    y[:, 2:5] = np.eye(3)[classes]
    return honest * 3, y


def test_platt_undoes_overconfidence():
    logits, y = overconfident()
    slope, _ = calibration.platt(logits[:, 5], y[:, 5])
    assert slope == pytest.approx(1 / 3, abs=0.1)


def test_many_tracks_are_calibrated_without_overflow():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(50_000, 3)) * 10
    y = np.eye(3)[[rng.choice(3, p=row) for row in softmax(logits / 10)]]
    with np.errstate(all="raise", under="ignore"):
        assert calibration.temperature(logits, y, np.ones_like(y)) == pytest.approx(0.1, abs=0.01)
        assert calibration.platt(logits[:, 0], (rng.random(50_000) < sigmoid(logits[:, 0] / 10)) * 1.0)[0] < 0.12


def test_temperature_undoes_overconfidence():
    logits, y = overconfident()
    assert calibration.temperature(logits[:, 2:5], y[:, 2:5], np.ones((2000, 3))) == pytest.approx(1 / 3, abs=0.1)


def test_calibration_lowers_the_loss():
    logits, y = overconfident()
    heads = calibration.calibrate(PLAIN, logits, y, np.ones_like(y), LAYOUT)
    before, after = (
        row_losses(z[:, [0, 5]], y[:, [0, 5]], np.ones((2000, 2)), False)[0].mean()
        for z in (logits, logits * heads.slope + heads.offset)
    )
    assert after < before


def test_little_support_is_left_alone():
    assert calibration.platt(np.arange(20.0), np.append(np.ones(9), np.zeros(11))) == (1.0, 0.0)
    assert calibration.temperature(np.ones((9, 3)), np.eye(3)[[0] * 9], np.ones((9, 3))) == 1.0


def test_slope_is_positive_even_against_the_labels():
    logits = np.linspace(-3, 3, 60)
    assert calibration.platt(logits, (logits < 0).astype(float))[0] > 0


def test_kinds_name_what_was_done():
    logits, y = overconfident()
    heads = calibration.calibrate(PLAIN, logits, y, np.ones_like(y), LAYOUT)
    assert calibration.kinds(heads, LAYOUT) == ["platt", "platt", *["temperature"] * 3, "platt"]
    assert calibration.kinds(PLAIN, LAYOUT) == ["identity"] * 6


def test_unknown_tracks_do_not_calibrate():
    logits, y = overconfident()
    heads = calibration.calibrate(PLAIN, logits, y, np.zeros_like(y), LAYOUT)
    assert (heads.slope == 1).all() and (heads.offset == 0).all()


def test_threshold_parts_separable_scores():
    scores = np.tile(np.array([0.1, 0.2, 0.7, 0.9])[:, None], (5, 6))
    targets = (scores > 0.5).astype(float)
    found = calibration.thresholds(scores, targets, np.ones_like(scores), LAYOUT)[5]
    assert (found.value, found.rule) == (0.45, "best_f1")


def test_rules_say_where_a_threshold_is_from():
    scores = np.tile(np.array([0.1, 0.9])[:, None], (2, 6))
    found = calibration.thresholds(scores, scores, np.ones_like(scores), LAYOUT)
    assert [f.rule for f in found] == ["default", "complement", "highest", "highest", "highest", "default"]
    assert found[0].value == 0.5


def test_a_binary_pair_never_has_both_tags():
    scores = np.zeros((10_001, 6))
    scores[:, 0] = np.arange(10_001) / 10_000
    scores[:, 1] = 1 - scores[:, 0]
    cuts = calibration.thresholds(scores[:4], scores[:4], np.ones((4, 6)), LAYOUT)
    found = np.round(scores, 4)[:, :2] >= [cut.value for cut in cuts[:2]]
    assert (found.sum(axis=1) == 1).all()


def test_calibrated_scores_are_still_probabilities():
    logits, y = overconfident()
    heads = calibration.calibrate(PLAIN, logits, y, np.ones_like(y), LAYOUT)
    scores = link(logits * heads.slope + heads.offset, LAYOUT)
    np.testing.assert_allclose(scores[:, 2:5].sum(axis=1), 1)


FAMILY = Layout(groups=(Group(name="m", kind="multilabel", columns=(0, 1, 2)),), edges=((0, 1), (0, 2)), size=3)


def family(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Overconfident logits of a parent and its two children, and labels: the parent applies wherever a child does."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(-1, 1.5, (rows, 3))
    y = (rng.random((rows, 3)) < sigmoid(honest)).astype(float)
    y[:, 0] = y.max(axis=1)
    return 2.5 * honest, y


def errors(heads: Heads, logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    scores = published(logits, heads, FAMILY)
    assert (scores[:, 0] >= scores[:, 1:].max(axis=1)).all()
    return np.array([expected_calibration_error(y[:, tag], scores[:, tag]) for tag in range(3)])


def test_error_falls_on_other_tracks_for_parents_and_children():
    plain = Heads(
        mean=np.zeros(1),
        scale=np.ones(1),
        weights=np.zeros((1, 3)),
        bias=np.zeros(3),
        slope=np.ones(3),
        offset=np.zeros(3),
    )
    logits, y = family(1500, 0)
    heads = calibration.calibrate(plain, logits, y, np.ones_like(y), FAMILY)
    before, after = (errors(found, *family(3000, 1)) for found in (plain, heads))
    assert (after < before).all() and after[0] < 0.08


MANY = Layout(groups=(Group(name="m", kind="multilabel", columns=tuple(range(12))),), edges=(), size=12)


def slopes(true: np.ndarray, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Slopes found for twelve tags that need the `true` ones: all together, and each tag alone."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(rows, 12))
    y, logits = (rng.random((rows, 12)) < sigmoid(honest)).astype(float), honest / true
    weights, zeros, ones = np.zeros((1, 12)), np.zeros(12), np.ones(12)
    plain = Heads(mean=np.zeros(1), scale=np.ones(1), weights=weights, bias=zeros, slope=ones, offset=zeros)
    together = calibration.calibrate(plain, logits, y, np.ones_like(y), MANY).slope
    return together, np.array([calibration.platt(logits[:, tag], y[:, tag])[0] for tag in range(12)])


def test_few_tracks_of_a_tag_lean_on_its_category():
    true = np.full(12, 1 / 3)
    misses = np.mean([[np.abs(np.log(s / true)).mean() for s in slopes(true, 60, seed)] for seed in range(8)], axis=0)
    assert misses[0] < 0.6 * misses[1]


def test_tags_that_differ_keep_their_own_slopes():
    true = np.repeat([1 / 3, 2.0], 6)
    np.testing.assert_allclose(slopes(true, 3000, 0)[0], true, rtol=0.2)


def test_wished_precision_is_kept_on_other_tracks():
    rng = np.random.default_rng(0)
    scores = rng.random((6000, 6))
    targets = (rng.random((6000, 6)) < scores).astype(float)
    wished: list[float | None] = [None] * 5 + [0.9]
    found = calibration.thresholds(scores[:3000], targets[:3000], np.ones((3000, 6)), LAYOUT, wished)[5]
    called = scores[3000:, 5] >= found.value
    assert found.rule == "precision" and targets[3000:, 5][called].mean() > 0.87
    assert found.value < 0.9


def test_a_precision_out_of_reach_says_so():
    scores = np.linspace(0, 1, 100)[:, None].repeat(6, axis=1)
    targets = np.tile([[0.0], [1.0]], (50, 6))
    found = calibration.thresholds(scores, targets, np.ones((100, 6)), LAYOUT, [0.99] * 6)[5]
    assert found.rule == "precision_out_of_reach"
