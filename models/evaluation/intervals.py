"""Confidence intervals for the metrics that training reports on the test split: bootstrap over artists."""

import dataclasses

import numpy as np

from models.evaluation.averages import ALL, macro_average
from models.evaluation.predictions import decisions, model_scores
from models.evaluation.rating import rate_tags
from models.evaluation.resampling import LEVEL, Resamples
from models.evaluation.summary import Resampling
from models.fitting.rows import SplitRows
from models.fitting.tagger import FittedTagger
from models.scoring.heads import Layout

MOST_PAIRS = 20_000_000
"""Most (test track, tag) pairs for which training computes intervals: half a minute per model.

`evaluate` has no such limit.
"""


def with_intervals(
    tagger: FittedTagger, test: SplitRows, layout: Layout, resampling: Resampling | None = None
) -> FittedTagger:
    """The tagger with `intervals` added to its metrics: those of each model's macro averages on the test split.

    `evaluate` gives the same intervals for the same tracks, by default with the same resamples.
    """
    too_many = len(test.groups) * layout.size > MOST_PAIRS
    resampling = Resampling(resamples=0) if too_many else resampling or Resampling()
    rated = _macro_intervals(tagger, test, layout, resampling) if test.groups and not too_many else {}
    found = {"level": LEVEL, **dataclasses.asdict(resampling), "test": rated}
    return dataclasses.replace(tagger, metrics={**tagger.metrics, "intervals": found})


def _macro_intervals(
    tagger: FittedTagger, test: SplitRows, layout: Layout, resampling: Resampling
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Model -> metric -> value, low and high of the mean over all tags."""
    targets, mask = test.embedded.targets, test.embedded.mask
    resamples = Resamples.draw(test.groups, resampling.resamples, resampling.seed)
    artists = resamples.distinct(mask.max(axis=1, initial=0) > 0)
    thresholds = np.array([facts.threshold for facts in tagger.tags], np.float64)
    found = {}
    for model, scores in model_scores(test, tagger.heads, tagger.baselines, layout):
        rated = rate_tags(targets, mask, scores, decisions(model, scores, thresholds, layout), resamples)
        found[model] = macro_average(rated, ALL, range(layout.size), artists).estimates()
    return found
