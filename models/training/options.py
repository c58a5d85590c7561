"""How a trunk is trained, as values."""

import dataclasses
from typing import Any

from models.training import data
from models.training.placement import PRECISIONS, Precision
from models.trunks.networks import TRUNKS

LEARNING_RATE, FINE_TUNING_RATE = 2e-3, 1e-4
"""Of a new trunk, and of one that has learned something already: large steps would undo that."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How a trunk is trained.

    Attributes:
      trunk: its name in the registry.
      epochs: most passes over the training split (or over parts of it: see `Sampling.epoch_tracks`).
      patience: epochs without a better validation score after which training stops.
      learning_rate: of AdamW at its start; it falls to 0 along a cosine. None: `LEARNING_RATE`, or `FINE_TUNING_RATE`
        where a trunk is given to start from.
      train_norms: whether normalisations follow the data where a trunk is given to start from.
      similarity_weight: what the loss of tag similarity weighs beside the loss of the tags; 0: none.
      sampling: batches, patches, seed and augmentation.
      precision: of the arithmetic; weights are float32 in any case.
      xla: whether a training step is compiled by XLA.
      devices: GPUs (without any: processor devices) that share each batch; None: every GPU.
      logs: folder for TensorBoard, or None.
      checkpoints: folder or gs:// prefix for what a killed run goes on from, or None.
      checkpoint_steps: a checkpoint each so many steps, besides the one after each epoch; None: only those.
    """

    trunk: str = "compact"
    epochs: int = 30
    patience: int = 8
    learning_rate: float | None = None
    train_norms: bool = False
    similarity_weight: float = 0.0
    sampling: data.Sampling = dataclasses.field(default_factory=data.Sampling)
    precision: Precision = "float32"
    xla: bool = False
    devices: int | None = None
    logs: str | None = None
    checkpoints: str | None = None
    checkpoint_steps: int | None = None

    def __post_init__(self) -> None:
        if self.trunk not in TRUNKS:
            raise ValueError(f"trunk {self.trunk!r}: choose from {', '.join(sorted(TRUNKS))}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision {self.precision!r}: choose from {', '.join(PRECISIONS)}")
        for name in ("epochs", "patience", "devices", "checkpoint_steps"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name}={value} is not positive")
        for name in ("learning_rate", "similarity_weight"):
            if (value := getattr(self, name)) is not None and not 0 <= value < float("inf"):
                raise ValueError(f"{name}={value} is negative or not finite")

    def to_json(self) -> dict[str, Any]:
        """What a trunk's weights depend on: not where logs and checkpoints go, or how often."""
        places = {"logs", "checkpoints", "checkpoint_steps"}
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in places}
