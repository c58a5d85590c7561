"""Heads solved block by block over all rows are those that a plain descent finds."""

import dataclasses

import numpy as np
import pytest

from models.embedding.blocks import Block
from models.fitting import category_fitting, head_fitting
from models.fitting.balance import BALANCES, class_weights
from models.fitting.head_fitting import fit_heads
from models.fitting.labelled import LabelledRows
from models.scoring.heads import Group, Layout, published

LAYOUT = Layout(
    groups=(
        Group(name="v", kind="binary", columns=(0, 1)),
        Group(name="g", kind="multiclass", columns=(2, 3, 4)),
        Group(name="m", kind="multilabel", columns=(5, 6)),
    ),
    edges=(),
    size=7,
)
BLOCKS = (Block(name="trunk", spans=((0, 4),), learned=True), Block(name="statistics", spans=((4, 10),)))


def labelled(rows: int, seed: int, kind: type = np.float32) -> LabelledRows:
    rng = np.random.default_rng(seed)
    x = rng.normal(3, 2, (rows, 10)).astype(np.float16)
    logits = np.random.default_rng(99).normal(size=(10, 7)) / 3
    noisy = (x - 3.0) @ logits + rng.logistic(size=(rows, 7)) - [0, 0, 0, 0, 0, 1, 3]
    y = (noisy > 0).astype(kind)
    y[:, 1] = 1 - y[:, 0]
    y[:, 2:5] = np.eye(3)[noisy[:, 2:5].argmax(axis=1)]
    mask = np.ones_like(y)
    mask[::7, 5:] = 0
    return LabelledRows(embeddings=x, targets=y * mask, mask=mask)


def most_folded(monkeypatch, tracks: int) -> None:
    for module in (category_fitting, head_fitting):
        monkeypatch.setattr(module, "MOST_FOLDED", tracks)


@pytest.mark.parametrize("balance", ["none", "inverse"])
def test_all_rows_at_once_give_the_heads_of_a_plain_descent(monkeypatch, balance):
    train, validation = labelled(1200, 0), labelled(1200, 1)
    plain = fit_heads(train, validation, LAYOUT, BLOCKS, balance)
    monkeypatch.setattr(head_fitting, "MANY", 1100)
    monkeypatch.setattr(head_fitting, "SAMPLE", 1100)
    most_folded(monkeypatch, 1000)
    many = fit_heads(train, validation, LAYOUT, BLOCKS, balance)
    assert many.logits.shape == (1200, 7) and {fit.fitted_on for fit in many.fits} == {("train",)}
    scores = [published(found.logits[-1200:], found.heads, LAYOUT) for found in (plain, many)]
    assert np.abs(scores[0] - scores[1]).mean(axis=0).max() < 0.02


def test_a_category_known_for_few_of_many_tracks_is_fitted_on_these_as_in_a_small_set(monkeypatch):
    blocks = tuple(dataclasses.replace(block, learned=False) for block in BLOCKS)
    train, validation = (known_for(labelled(600, seed), 40) for seed in (0, 1))
    most_folded(monkeypatch, 300)
    plain = fit_heads(train, validation, LAYOUT, blocks)
    monkeypatch.setattr(head_fitting, "MANY", 500)
    many = fit_heads(train, validation, LAYOUT, blocks)
    assert many.fits[2] == plain.fits[2] and many.fits[2].chosen_on == "cross-validation"
    np.testing.assert_array_equal(many.heads.weights[:, 5:], plain.heads.weights[:, 5:])
    for rows in (plain, many):
        assert (rows.mask[:, 5:] > 0).sum() == 160, "tracks of both splits, each by a head that had not seen it"
    seen = [rows.logits[:, 5:][rows.mask[:, 5:] > 0] for rows in (plain, many)]
    np.testing.assert_allclose(seen[1], seen[0], rtol=1e-6)
    seen = [rows.targets[:, 5:][rows.mask[:, 5:] > 0] for rows in (plain, many)]
    np.testing.assert_array_equal(seen[1], seen[0])


def known_for(rows: LabelledRows, count: int) -> LabelledRows:
    """The last category known for so many of the rows alone."""
    mask = rows.mask.copy()
    mask[:, 5:] = np.isin(np.arange(len(rows)), np.random.default_rng(0).choice(len(rows), count, replace=False))[
        :, None
    ]
    return dataclasses.replace(rows, mask=mask)


def test_number_types_do_not_matter(monkeypatch):
    monkeypatch.setattr(head_fitting, "MANY", 100)
    monkeypatch.setattr(head_fitting, "SAMPLE", 300)
    most_folded(monkeypatch, 100)
    first, second = (
        fit_heads(labelled(600, 0, kind), labelled(200, 1, kind), LAYOUT, BLOCKS) for kind in (np.float32, np.uint8)
    )
    assert first.heads.digest == second.heads.digest


@pytest.mark.parametrize("balance", ["effective", "inverse"])
def test_scores_of_balanced_heads_are_still_probabilities(balance):
    found = fit_heads(
        labelled(1500, 0), labelled(300, 1), LAYOUT, (*BLOCKS[1:2], Block(name="x", spans=((0, 4),))), balance
    )
    scores = published(found.logits, found.heads, LAYOUT)
    known = found.mask > 0
    for tag in range(LAYOUT.size):
        rows = known[:, tag]
        assert scores[rows, tag].mean() == pytest.approx(found.targets[rows, tag].mean(), abs=0.02)


def test_weights_are_one_on_the_mean():
    rows = labelled(500, 0)
    for balance in BALANCES:
        found = class_weights(rows, LAYOUT, balance)
        weighed = found.of(np.array([5, 6]), rows.targets[:, 5:], rows.mask[:, 5:], False)
        np.testing.assert_allclose(weighed.sum(axis=0), rows.mask[:, 5:].sum(axis=0), rtol=1e-4)
