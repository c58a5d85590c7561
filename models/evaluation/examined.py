"""What is evaluated: labelled tracks, and what models say of them."""

import dataclasses
from collections.abc import Mapping

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ExaminedTracks:
    """Labelled tracks and what each model says of them.

    Attributes:
      groups: what resamples never part: the artist of each track.
      durations_s: float64 [n].
      targets: soft targets float [n, T].
      mask: which are known, float [n, T].
      scores: model -> scores as they are published, float [n, T]; the first model is the one in question.
      positives: model -> bool [n, T].
    """

    groups: tuple[str, ...]
    durations_s: np.ndarray
    targets: np.ndarray
    mask: np.ndarray
    scores: Mapping[str, np.ndarray]
    positives: Mapping[str, np.ndarray]

    def of(self, rows: np.ndarray) -> "ExaminedTracks":
        """Some tracks only: bool [n]."""
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
