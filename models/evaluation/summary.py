"""Metrics of models on held-out tracks: every tag, average and slice, with confidence intervals."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.evaluation.averages import ALL, Average, averages_of, category_columns, classes, estimate_of
from models.evaluation.examined import ExaminedTracks
from models.evaluation.rating import TagRatings, pooled_reliability, rate_tags
from models.evaluation.resampling import Resamples, estimate
from models.scoring import metrics
from models.scoring.heads import Group, Layout

EDGES_S = (10.0, 60.0, 180.0, 360.0)
"""Boundaries between the slices by duration, in seconds."""

COMPARED = ("roc_auc", "pr_auc")
"""Metrics whose difference between the first model and each other one is computed in each resample."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resampling:
    """Settings of the confidence intervals: number of resamples of artists, and seed."""

    resamples: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        if self.resamples < 0:
            raise ValueError(f"resamples={self.resamples} is negative: give 0 for no intervals, or for example 300")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed} is negative: give 0 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The results of an evaluation.

    Attributes:
      tracks: slice -> number of tracks.
      rows: rows of `tags.parquet`: one per model, slice, tag and metric.
      averages: one per slice, model, category and kind of average.
      differences: the first model minus each other model, per slice, category, kind of average and metric.
      confusions: multiclass category -> tags and counts [true class][predicted class].
      reliability: category -> points of the reliability curve.
    """

    tracks: dict[str, int]
    rows: list[dict[str, Any]]
    averages: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    confusions: dict[str, dict[str, Any]]
    reliability: dict[str, list[dict[str, float]]]


def evaluate(
    examined: ExaminedTracks,
    layout: Layout,
    tag_ids: Sequence[str],
    resampling: Resampling,
    edges_s: Sequence[float] = EDGES_S,
) -> Evaluation:
    """Evaluates every model on all tracks and on the slices by duration."""
    resamples = Resamples.draw(examined.groups, resampling.resamples, resampling.seed)
    rows, averages, differences = [], [], []
    parts = slices(examined.durations_s, edges_s)
    for name, kept in parts.items():
        part, drawn = examined.of(kept), resamples.of(kept)
        means = {}
        for model in part.scores:
            rated = rate_tags(part.targets, part.mask, part.scores[model], part.positives[model], drawn)
            rows += _tag_rows(rated, layout, tag_ids, {"model": model, "slice": name})
            means[model] = averages_of(rated, part, model, layout, drawn)
            averages += [_average_row(mean, {"model": model, "slice": name}) for mean in means[model]]
        differences += [row | {"slice": name} for row in _differences(means)]
    return Evaluation(
        tracks={name: int(kept.sum()) for name, kept in parts.items()},
        rows=rows,
        averages=averages,
        differences=differences,
        confusions={
            group.name: confusion(examined, group, tag_ids) for group in layout.groups if group.kind == "multiclass"
        },
        reliability=_reliability(examined, layout),
    )


def slices(durations_s: np.ndarray, edges_s: Sequence[float]) -> dict[str, np.ndarray]:
    """Name -> rows, bool [n]: all tracks, then each range of durations with tracks if there are at least two."""
    place = np.searchsorted(np.asarray(edges_s), durations_s, side="right")
    bounds = [f"{edge:g}" for edge in edges_s]
    names = [f"under {bounds[0]} s", *(f"{low} to {high} s" for low, high in itertools.pairwise(bounds))]
    names.append(f"from {bounds[-1]} s")
    found = {name: place == number for number, name in enumerate(names) if np.any(place == number)}
    return {ALL: np.ones(len(durations_s), bool), **(found if len(found) > 1 else {})}


def _tag_rows(
    rated: TagRatings, layout: Layout, tag_ids: Sequence[str], which: Mapping[str, str]
) -> list[dict[str, Any]]:
    return [
        {
            **which,
            "category": group.name,
            "tag": tag_ids[column],
            "metric": name,
            **estimate_of(name, rated.tags[name][column], int(rated.groups[column])),
            "support": int(rated.support[column]),
            "known": int(rated.known[column]),
            "artists": int(rated.groups[column]),
        }
        for group in layout.groups
        for column in group.columns
        for name in metrics.MEASURES
    ]


def _average_row(average: Average, which: Mapping[str, str]) -> dict[str, Any]:
    facts = {"category": average.category, "average": average.average, "tags": average.tags}
    return {**which, **facts, "artists": average.groups, "metrics": average.estimates()}


def _differences(means: Mapping[str, list[Average]]) -> list[dict[str, Any]]:
    """The first model minus each other one in the same resamples, so that their common variation cancels out."""
    (first, own), *others = means.items()
    return [
        {
            "model": first,
            "against": model,
            "category": mine.category,
            "average": mine.average,
            "metric": name,
            **estimate(mine.samples[name] - theirs.samples[name], mine.groups).to_json(),
        }
        for model, averages in others
        for mine, theirs in zip(own, averages, strict=True)
        for name in COMPARED
    ]


def confusion(examined: ExaminedTracks, group: Group, tag_ids: Sequence[str]) -> dict[str, Any]:
    """Confusion matrix of a multiclass category for the first model: rows are true, columns predicted classes."""
    true, called, known = classes(examined, next(iter(examined.scores)), group)
    size = len(group.columns)
    counts = np.bincount(true[known] * size + called[known], minlength=size * size).reshape(size, size)
    return {"tags": [tag_ids[column] for column in group.columns], "counts": counts.tolist()}


def _reliability(examined: ExaminedTracks, layout: Layout) -> dict[str, list[dict[str, float]]]:
    """Category -> points of the reliability curve of the first model on all known pairs."""
    scores = next(iter(examined.scores.values()))
    found = {}
    for group in layout.groups:
        curve = pooled_reliability(examined.targets, examined.mask, scores, category_columns(group))
        points = zip(curve.score, curve.target, curve.tracks, strict=True)
        found[group.name] = [{"score": float(s), "target": float(t), "pairs": int(n)} for s, t, n in points]
    return found
