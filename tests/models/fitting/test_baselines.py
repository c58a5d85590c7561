"""Baselines are kept as they were fitted."""

import numpy as np

from models.fitting.baselines import LOGISTIC, PREVALENCE, Baselines, logistic_regression, prevalence
from models.scoring.heads import layout_of
from tests.models.fitting.test_tagger import split_rows
from tests.support.tiny import TAXONOMY

LAYOUT = layout_of(TAXONOMY)


def fitted() -> Baselines:
    train, validation = split_rows(range(40)).moments, split_rows(range(40, 60)).moments
    regression = logistic_regression(train, validation, LAYOUT).heads
    return Baselines(shares=prevalence(train, LAYOUT), regression=regression)


def test_scores_are_the_same_after_a_journey_through_a_file():
    moments, found = split_rows(range(60, 70)).moments.embeddings, fitted()
    again = Baselines.from_npz(found.to_npz()).scores(moments, LAYOUT)
    for model, scores in found.scores(moments, LAYOUT).items():
        np.testing.assert_array_equal(again[model], scores)


def test_prevalence_gives_every_track_the_same_scores():
    scores = fitted().scores(split_rows(range(60, 70)).moments.embeddings, LAYOUT)
    assert np.ptp(scores[PREVALENCE], axis=0).max() == 0 < np.ptp(scores[LOGISTIC], axis=0).max()
