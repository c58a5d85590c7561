"""The input of an evaluation: labelled tracks and the predictions of each model."""

import dataclasses
from collections.abc import Mapping

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ExaminedTracks:
    """Labelled tracks and the predictions of each model.

    Attributes:
      groups: the artist of each track, which is the unit of resampling.
      durations_s: lengths in seconds, float64 [n].
      targets: soft targets, float [n, T].
      mask: 1 if known, float [n, T].
      scores: model -> published scores, float [n, T]. The first model is the one that is evaluated; the others are
        baselines.
      positives: model -> bool [n, T].
    """

    groups: tuple[str, ...]
    durations_s: np.ndarray
    targets: np.ndarray
    mask: np.ndarray
    scores: Mapping[str, np.ndarray]
    positives: Mapping[str, np.ndarray]

    def of(self, rows: np.ndarray) -> "ExaminedTracks":
        """The tracks selected by `rows`, bool [n]."""
        if rows.all():
            return self
        return ExaminedTracks(
            groups=tuple(group for group, kept in zip(self.groups, rows, strict=True) if kept),
            durations_s=self.durations_s[rows],
            targets=self.targets[rows],
            mask=self.mask[rows],
            scores={model: scores[rows] for model, scores in self.scores.items()},
            positives={model: found[rows] for model, found in self.positives.items()},
        )
