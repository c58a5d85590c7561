"""Progress of a training run: its epochs, the best weights, and early stopping. Plain data, for checkpoints."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

_BEST = "best"


@dataclasses.dataclass(kw_only=True)
class Progress:
    """The results of the epochs so far.

    Attributes:
      history: metrics of each epoch, in order.
      best_epoch: number of the epoch whose weights are kept.
      best_weights: its weights.
    """

    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best_epoch: int = 0
    best_weights: list[np.ndarray] = dataclasses.field(default_factory=list)

    def add(self, facts: Mapping[str, float], weights: Callable[[], list[np.ndarray]], unrated: int) -> None:
        """Adds an epoch. `weights` is called only if the epoch is the best so far.

        Each of the first `unrated` epochs counts as the best so far, whatever its score.
        """
        epoch = len(self.history)
        self.history.append({"epoch": epoch, **facts})
        if epoch < max(1, unrated) or _score(self.history[epoch]) > _score(self.history[self.best_epoch]):
            self.best_epoch, self.best_weights = epoch, weights()

    def is_over(self, patience: int) -> bool:
        """Whether the last `patience` epochs were not better than the best one."""
        return len(self.history) - 1 - self.best_epoch >= patience

    def to_facts(self) -> dict[str, Any]:
        """The JSON values for a checkpoint."""
        return {"history": self.history, "best_epoch": self.best_epoch}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The arrays for a checkpoint."""
        return {f"{_BEST}/{i}": weights for i, weights in enumerate(self.best_weights)}

    @classmethod
    def of(cls, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """The progress that `to_facts` and `to_arrays` stored. Other arrays are ignored."""
        count = sum(name.startswith(f"{_BEST}/") for name in arrays)
        best = [arrays[f"{_BEST}/{i}"] for i in range(count)]
        return cls(history=list(facts["history"]), best_epoch=facts["best_epoch"], best_weights=best)


def _score(facts: Mapping[str, float]) -> tuple[float, float]:
    """Macro PR-AUC, then loss: small validation splits are soon ranked perfectly. Without either, later epochs win."""
    return facts.get("val_pr_auc", 0.0), -facts.get("val_loss", -facts["epoch"])
