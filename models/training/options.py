"""Options of trunk training."""

import dataclasses
from typing import Any

from models.training import data
from models.training.placement import PRECISIONS, Precision
from models.trunks.networks import TRUNKS

LEARNING_RATE, FINE_TUNING_RATE = 2e-3, 1e-4
"""Default learning rate of a new trunk and of a pretrained one. Large steps would destroy its weights."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How a trunk is trained.

    Attributes:
      trunk: its name in the registry.
      epochs: maximum number of epochs; see `Sampling.epoch_tracks`.
      patience: training stops after this number of epochs without a better validation score.
      learning_rate: peak learning rate of AdamW; it falls to 0 along a cosine. None: `LEARNING_RATE`, or
        `FINE_TUNING_RATE` for fine-tuning.
      train_norms: in fine-tuning, whether batch normalisations are trained.
      similarity_weight: weight of the tag similarity loss relative to the tag loss; 0: not used.
      sampling: batches, patches, seed and augmentation.
      precision: precision of computations; weights are always float32.
      xla: whether XLA compiles the training step.
      devices: number of GPUs that share each batch (without a GPU: processor devices); None: every GPU.
      logs: folder for TensorBoard, or None.
      checkpoints: folder or gs:// prefix for checkpoints to resume from, or None.
      checkpoint_steps: number of steps between checkpoints within an epoch; None: only after each epoch.
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
                raise ValueError(f"{name}={value} is not positive: give 1 or more")
        for name in ("learning_rate", "similarity_weight"):
            if (value := getattr(self, name)) is not None and not 0 <= value < float("inf"):
                raise ValueError(f"{name}={value} is negative or not finite: give 0 or more")

    def to_json(self) -> dict[str, Any]:
        """The options that weights depend on: all except `logs`, `checkpoints` and `checkpoint_steps`."""
        places = {"logs", "checkpoints", "checkpoint_steps"}
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in places}
