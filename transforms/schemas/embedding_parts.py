"""Where the values of a track embedding come from: the manifests of snapshots say it of each embedding."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self

PartKind = Literal["mean", "deviation", "statistics"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddingPart:
    """Consecutive values of a track embedding that have one origin.

    Attributes:
      name: the trunk, or `statistics`.
      kind: `mean` or `deviation` of the trunk's patch embeddings over the track, or `statistics` of its spectrogram.
      start: position of the first value.
      stop: position after the last value.
    """

    name: str
    kind: PartKind
    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"values {self.start} to {self.stop} of {self.name}: not a range")
        if self.kind not in ("mean", "deviation", "statistics"):
            raise ValueError(f"{self.name}: kind {self.kind!r} of its values is unknown")

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Self:
        """The part that `dataclasses.asdict` described."""
        return cls(**obj)
