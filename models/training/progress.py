"""How a training run goes: its epochs, the best one's weights, and when to stop. Plain data, for checkpoints."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

_BEST = "best"


@dataclasses.dataclass(kw_only=True)
class Progress:
    """What the epochs so far have brought.

    Attributes:
      history: facts of each epoch, in order.
      best_epoch: the one whose weights are kept.
      best_weights: its weights.
    """

    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best_epoch: int = 0
    best_weights: list[np.ndarray] = dataclasses.field(default_factory=list)

    def add(self, facts: Mapping[str, float], weights: Callable[[], list[np.ndarray]], unrated: int) -> None:
        """Takes up an epoch; its weights are asked for only where they are the best so far.

        Of the first `unrated` epochs the last one is the best, however they are rated.
        """
        epoch = len(self.history)
        self.history.append({"epoch": epoch, **facts})
        if epoch < max(1, unrated) or _score(self.history[epoch]) > _score(self.history[self.best_epoch]):
            self.best_epoch, self.best_weights = epoch, weights()

    def is_over(self, patience: int) -> bool:
        """Whether so many epochs have brought nothing better."""
        return len(self.history) - 1 - self.best_epoch >= patience

    def to_facts(self) -> dict[str, Any]:
        """What a checkpoint says of it."""
        return {"history": self.history, "best_epoch": self.best_epoch}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What a checkpoint holds of it."""
        return {f"{_BEST}/{i}": weights for i, weights in enumerate(self.best_weights)}

    @classmethod
    def of(cls, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """What `to_facts` and `to_arrays` gave."""
        count = sum(name.startswith(f"{_BEST}/") for name in arrays)
        best = [arrays[f"{_BEST}/{i}"] for i in range(count)]
        return cls(history=list(facts["history"]), best_epoch=facts["best_epoch"], best_weights=best)


def _score(facts: Mapping[str, float]) -> tuple[float, float]:
    """Macro PR-AUC; small validation splits are soon ranked perfectly: then the loss decides. Without one, the last."""
    return facts.get("val_pr_auc", 0.0), -facts.get("val_loss", -facts["epoch"])
