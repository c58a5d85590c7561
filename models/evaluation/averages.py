"""Averages over tags in every resample of artists: macro, micro, and the accuracy of multiclass categories."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from models.evaluation.examined import ExaminedTracks
from models.evaluation.rating import TagRatings
from models.evaluation.resampling import Resamples, estimate
from models.scoring import metrics
from models.scoring.heads import Group, Layout

ALL = "all"
"""The slice of all tracks, and the category of all tags."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Average:
    """One average over some tags, in the sample and in every resample.

    Attributes:
      category: the category of the tags, or `all`.
      average: `macro` or `micro`.
      samples: metric -> float64 [1 + resamples], the sample first.
      tags: number of tags in the average.
      groups: number of artists that the interval is based on.
    """

    category: str
    average: str
    samples: Mapping[str, np.ndarray]
    tags: int
    groups: int

    def estimates(self) -> dict[str, dict[str, float | None]]:
        """Metric -> value and confidence interval."""
        return {name: estimate_of(name, samples, self.groups) for name, samples in self.samples.items()}


def averages_of(
    rated: TagRatings, examined: ExaminedTracks, model: str, layout: Layout, resamples: Resamples
) -> list[Average]:
    """Macro and micro averages of all tags, then the macro average of each category; with accuracy if multiclass."""
    everywhere = list(range(layout.size))
    groups = resamples.distinct(examined.mask.max(axis=1, initial=0) > 0)
    found = [macro_average(rated, ALL, everywhere, groups)]
    tags = found[0].tags
    found.append(Average(category=ALL, average="micro", samples=rated.micro, tags=tags, groups=groups))
    for group in layout.groups:
        columns = category_columns(group)
        known = examined.mask[:, columns].max(axis=1) > 0
        mean = macro_average(rated, group.name, columns, resamples.distinct(known))
        accuracy = _accuracy(examined, model, group, resamples) if group.kind == "multiclass" else {}
        found.append(dataclasses.replace(mean, samples={**mean.samples, **accuracy}))
    return found


def category_columns(group: Group) -> list[int]:
    """Columns that are averaged. The second tag of a binary pair is omitted: it is 1 minus the first."""
    return list(group.columns[:1] if group.kind == "binary" else group.columns)


def macro_average(rated: TagRatings, category: str, columns: Sequence[int], groups: int) -> Average:
    """The mean over the tags that have positives and negatives in the sample. A resample may lack either of them."""
    kept = [column for column in columns if not np.isnan(rated.tags["roc_auc"][column, 0])]
    samples = {name: _mean(rated.tags[name][kept]) for name in metrics.MEASURES}
    return Average(category=category, average="macro", samples=samples, tags=len(kept), groups=groups)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis without NaN: [k, m] -> [m]. It is NaN if all k values are."""
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0).sum(axis=0)
    means = np.full(values.shape[1], np.nan)
    np.divide(total, defined.sum(axis=0), out=means, where=defined.any(axis=0))
    return means


def _accuracy(examined: ExaminedTracks, model: str, group: Group, resamples: Resamples) -> dict[str, np.ndarray]:
    true, called, known = classes(examined, model, group)
    right, total = resamples.column_sums(np.stack([known & (true == called), known], axis=1))
    return {"accuracy": np.divide(right, total, out=np.full(len(total), np.nan), where=total > 0)}


def classes(examined: ExaminedTracks, model: str, group: Group) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True class and predicted class of each track, and whether the true class is known: [n] each."""
    columns = list(group.columns)
    known = examined.mask[:, columns].min(axis=1) > 0
    return examined.targets[:, columns].argmax(axis=1), examined.positives[model][:, columns].argmax(axis=1), known


def estimate_of(metric: str, samples: np.ndarray, groups: int) -> dict[str, float | None]:
    """Value and confidence interval of the metric with this name, as a JSON object."""
    return estimate(samples, groups, centred=metric == "ece").to_json()
