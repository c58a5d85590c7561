"""Which strength and which values of the embedding a category's head takes."""

import dataclasses

import numpy as np
import pytest

from models.embedding.blocks import Block, whole
from models.fitting.head_fitting import fit_heads
from models.fitting.labelled import LabelledRows, standardiser
from models.fitting.strengths import DEFAULT_STRENGTH
from models.scoring.heads import Group, Layout, fitted_columns, score

ONE = Layout(groups=(Group(name="m", kind="multilabel", columns=(0,)),), edges=(), size=1)
TWO_LEARNED = (
    Block(name="trunk", spans=((0, 2),), learned=True),
    Block(name="statistics", spans=((2, 5),)),
)
PAIR = Layout(groups=(Group(name="v", kind="binary", columns=(0, 1)),), edges=(), size=2)


def fit(*args, **options):
    found = fit_heads(*args, **options)
    return found.heads, found.fits


def labelled(x: np.ndarray, y: np.ndarray, mask: np.ndarray | None = None) -> LabelledRows:
    mask = np.ones_like(y) if mask is None else mask
    return LabelledRows(embeddings=x.astype(np.float32), targets=y.astype(np.float32), mask=mask.astype(np.float32))


def sides(learned_helps: bool, rows: int = 80) -> tuple[LabelledRows, LabelledRows]:
    """Two learned values, then three fixed ones. The learned repeat the training labels, others only if they help."""
    rng = np.random.default_rng(0)
    fixed = rng.normal(size=(2 * rows, 3))
    y = (fixed[:, :1] + rng.normal(size=(2 * rows, 1)) > 0).astype(float)
    learned = np.repeat(2 * y - 1, 2, axis=1) + 0.1 * rng.normal(size=(2 * rows, 2))
    if not learned_helps:
        learned[rows:] = rng.normal(size=(rows, 2))
    x = np.hstack([learned, fixed])
    return labelled(x[:rows], y[:rows]), labelled(x[rows:], y[rows:])


def test_learned_values_that_only_know_the_training_tracks_are_left_out():
    heads, fits = fit(*sides(learned_helps=False), ONE, TWO_LEARNED)
    assert fits[0].values == "fixed" and not heads.weights[:2].any() and heads.weights[2:].any()


def test_learned_values_that_help_are_used():
    heads, fits = fit(*sides(learned_helps=True), ONE, TWO_LEARNED)
    assert fits[0].values == "all" and heads.weights[:2].any()
    assert fits[0].gain[0] > fits[0].gain[1]


def test_learned_values_that_help_on_tracks_of_one_artist_are_left_out():
    """The standard error counts artists: one alone has none."""
    train, validation = (dataclasses.replace(side, groups=("one",) * len(side)) for side in sides(learned_helps=True))
    train = dataclasses.replace(train, groups=tuple(map(str, range(len(train)))))
    _, fits = fit(train, validation, ONE, TWO_LEARNED)
    assert (fits[0].values, fits[0].gain) == ("fixed", None)


def test_fixed_values_are_cross_validated():
    _, fits = fit(*sides(True), ONE, whole(5))
    assert (fits[0].chosen_on, fits[0].gain) == ("cross-validation", None)


def test_learned_values_alone_are_validated():
    _, fits = fit(*sides(True), ONE, whole(5, learned=True))
    assert (fits[0].values, fits[0].chosen_on) == ("all", "validation")


def test_the_strength_taken_has_the_least_loss():
    _, fits = fit(*sides(True), ONE, whole(5))
    assert fits[0].losses[fits[0].strength] == min(fits[0].losses.values())


def test_without_validation_fixed_values_are_taken():
    train, _ = sides(True)
    empty = labelled(np.zeros((0, 5)), np.zeros((0, 1)))
    _, fits = fit(train, empty, ONE, TWO_LEARNED)
    assert fits[0].values == "fixed"


def test_nothing_to_choose_on_takes_the_default():
    train, _ = sides(True)
    few = labelled(train.embeddings[:1], train.targets[:1])
    _, fits = fit(few, labelled(np.zeros((0, 5)), np.zeros((0, 1))), ONE, whole(5))
    assert fits[0].strength == DEFAULT_STRENGTH


def test_unknown_category_scores_one_half():
    train, validation = sides(True)
    unknown = labelled(train.embeddings, train.targets, np.zeros_like(train.targets))
    heads, fits = fit(unknown, validation, ONE, TWO_LEARNED)
    assert fits[0].values == "none" and (score(validation.embeddings, heads, ONE) == 0.5).all()


def test_unknown_tracks_do_not_matter():
    train, validation = sides(True)
    mask = (np.arange(len(train.mask)) % 3 > 0).astype(np.float32)[:, None]
    first = labelled(train.embeddings, train.targets, mask)
    second = labelled(train.embeddings, np.where(mask > 0, train.targets, 1 - train.targets), mask)
    a, b = (fit(part, validation, ONE, whole(5))[0] for part in (first, second))
    assert a.digest == b.digest


def test_a_binary_pair_has_one_output():
    assert fitted_columns(PAIR.groups[0]) == [0]
    train, validation = (labelled(s.embeddings, np.hstack([s.targets, 1 - s.targets])) for s in sides(True))
    heads, _ = fit(train, validation, PAIR, whole(5))
    assert not heads.weights[:, 1].any()


def test_same_rows_same_bits():
    assert fit(*sides(True), ONE, TWO_LEARNED)[0].digest == fit(*sides(True), ONE, TWO_LEARNED)[0].digest


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_values_that_never_change_keep_their_scale(value):
    mean, scale = standardiser(np.full((4, 1), value, np.float32))
    assert (mean[0], scale[0]) == (value, 1.0)


def test_blocks_must_cover_the_embedding():
    with pytest.raises(ValueError, match="cover an embedding of 5 values"):
        fit(*sides(True), ONE, TWO_LEARNED[1:])
