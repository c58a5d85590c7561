"""Intervals over artists beside what training reports of the test split."""

import dataclasses
from typing import Any

import numpy as np

from models.evaluation.averages import ALL, macro
from models.evaluation.evaluation import Resampling
from models.evaluation.examined import Examined
from models.evaluation.predictions import examine
from models.evaluation.rating import rate
from models.evaluation.resampling import LEVEL, Resamples
from models.heads.heads import Layout
from models.heads.tagger import SplitRows, Tagger


def with_intervals(tagger: Tagger, test: SplitRows, layout: Layout, resampling: Resampling | None = None) -> Tagger:
    """The tagger with `intervals` among its metrics: of each model's macro averages on the test split.

    They are those that `evaluate` gives for the same tracks, by default with the same resamples.
    """
    resampling = resampling or Resampling()
    thresholds = np.array([facts.threshold for facts in tagger.tags], np.float64)
    examined = examine(test, tagger.heads, thresholds, tagger.baselines, layout)
    found = {"level": LEVEL, **dataclasses.asdict(resampling), "test": _macro_intervals(examined, layout, resampling)}
    return dataclasses.replace(tagger, metrics={**tagger.metrics, "intervals": found})


def _macro_intervals(examined: Examined, layout: Layout, resampling: Resampling) -> dict[str, Any]:
    """Model -> metric -> value, low and high of the mean over all tags; nothing without a track."""
    if not examined.groups:
        return {}
    resamples = Resamples.draw(examined.groups, resampling.resamples, resampling.seed)
    artists = resamples.distinct(examined.mask.max(axis=1, initial=0) > 0)
    return {
        model: macro(
            rate(examined.targets, examined.mask, scores, examined.positives[model], resamples),
            ALL,
            range(layout.size),
            artists,
        ).estimates()
        for model, scores in examined.scores.items()
    }
