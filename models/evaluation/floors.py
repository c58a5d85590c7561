"""What a bundle must reach to be blessed: floors of its metrics, or better metrics than those of a snapshot."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from models.bundles.tagger_bundle import Bundle
from models.bundles.trunk_bundle import BundleError
from models.evaluation.averages import ALL
from models.evaluation.examined import ExaminedTracks
from models.evaluation.published_scores import read_predictions
from models.fitting.tagger import TAGGER
from models.scoring import metrics
from transforms.table.reader import SnapshotReader
from transforms.taxonomy.versions import fates_of

FLOOR_METRICS = ("roc_auc", "pr_auc", "f1", "precision", "recall")
"""Metrics of which more is better."""

DECISIVE = "pr_auc"
"""The metric by which a bundle beats another one: the macro average over the tags that both have."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Floor:
    """The least value of a macro average.

    Attributes:
      category: the category of its tags, or `all`.
      metric: one of `FLOOR_METRICS`.
      least: the value, from 0 to 1.
    """

    category: str
    metric: str
    least: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """The floor in a text such as `pr_auc=0.3` or `mood/roc_auc=0.7`.

        Raises:
          ValueError: the text has another form, there is no such metric, or the value is not from 0 to 1.
        """
        name, _, value = text.partition("=")
        category, _, metric = name.rpartition("/")
        if metric not in FLOOR_METRICS:
            raise ValueError(f"--floor {text!r}: give [CATEGORY/]METRIC=VALUE, METRIC is {', '.join(FLOOR_METRICS)}")
        try:
            least = float(value)
        except ValueError:
            least = math.nan
        if not 0 <= least <= 1:
            raise ValueError(f"--floor {text!r}: {value!r} is not a number from 0 to 1")
        return cls(category=category or ALL, metric=metric, least=least)

    @property
    def name(self) -> str:
        """Category and metric, as in the flag."""
        return self.metric if self.category == ALL else f"{self.category}/{self.metric}"

    def value(self, averages: Sequence[Mapping[str, Any]]) -> float | None:
        """The bundle's macro average among those of an evaluation; None if it is undefined.

        Raises:
          ValueError: the bundle has no such category.
        """
        for row in averages:
            if (row["model"], row["slice"], row["category"], row["average"]) == (TAGGER, ALL, self.category, "macro"):
                found: float | None = row["metrics"][self.metric]["value"]
                return found
        known = sorted({row["category"] for row in averages} - {ALL})
        raise ValueError(f"--floor {self.name}: no category {self.category!r}; categories are {', '.join(known)}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SnapshotComparison:
    """Macro averages of a bundle and of a snapshot, over the same tracks and tags.

    Attributes:
      own: metric -> value of the bundle; None if undefined.
      theirs: the same of the snapshot.
      tracks: number of labelled tracks that the snapshot has.
      tags: number of tags that both have, and that have positives and negatives.
    """

    own: Mapping[str, float | None]
    theirs: Mapping[str, float | None]
    tracks: int
    tags: int

    @property
    def wins(self) -> bool:
        """Whether the bundle is better."""
        own, theirs = self.own[DECISIVE], self.theirs[DECISIVE]
        return own is not None and theirs is not None and own > theirs


def compare_with_snapshot(
    bundle: Bundle, examined: ExaminedTracks, ids: Sequence[str], snapshot: SnapshotReader
) -> SnapshotComparison:
    """Rates the bundle and a snapshot on the labelled tracks that the snapshot has. Renamed tags are the same tags.

    Args:
      examined: the labelled tracks with the bundle's scores.
      ids: ids of these tracks.

    Raises:
      BundleError: the snapshot has none of the tracks or none of the tags, or was tagged with `--top-k`.
    """
    theirs = read_predictions(snapshot, ids)
    now = fates_of(theirs.tag_ids, bundle.taxonomy).renamed
    place = {now.get(tag, tag): column for column, tag in enumerate(theirs.tag_ids)}
    columns = [column for column, tag in enumerate(bundle.taxonomy.tag_ids) if tag in place]
    rows = {track: row for row, track in enumerate(ids)}
    if not theirs.track_ids or not columns:
        raise BundleError(f"{snapshot.root} has none of the {len(ids)} labelled tracks, or none of the bundle's tags")
    kept = np.array([rows[track] for track in theirs.track_ids])
    others = [place[bundle.taxonomy.tag_ids[column]] for column in columns]
    cells = np.ix_(kept, np.array(columns))
    own = (examined.scores[TAGGER][cells], examined.positives[TAGGER][cells])
    found = [
        metrics.macro(metrics.tag_metrics(examined.targets[cells], examined.mask[cells], *pair))
        for pair in (own, (theirs.scores[:, others], theirs.positives[:, others]))
    ]
    values = [{name: average[name] for name in FLOOR_METRICS} for average in found]
    return SnapshotComparison(own=values[0], theirs=values[1], tracks=len(kept), tags=int(found[0]["tags"] or 0))
