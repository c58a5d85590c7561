"""How parameters are measured, and the id of that. It is no part of the feature spec."""

import dataclasses
import hashlib
import json
from typing import Any, Literal, Self, get_args

from transforms.features.rhythm.beat_input import BeatSpec

PARAMETERS_VERSION = 4
"""Increased if measured values change beyond the tolerances of their tests."""

Measures = Literal["default", "full"]
LoudnessOf = Literal["excerpt", "full"]

_EXCERPT_S: dict[str, float] = {"default": 30.0, "full": 60.0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParametersSpec:
    """How the parameters of a track are measured.

    Attributes:
      measures: `default`, or `full`: a longer excerpt, and the exact meter of loudness in place of its estimate.
      loudness: what loudness is measured on: the excerpt, or the whole file (up to `LONGEST_FULL_S`).
      beats: the network that tells tempo and metre where it hears a beat; None: there is none.
    """

    measures: Measures = "default"
    loudness: LoudnessOf = "excerpt"
    beats: BeatSpec | None = None

    def __post_init__(self) -> None:
        for name, kind in (("measures", Measures), ("loudness", LoudnessOf)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name}={getattr(self, name)!r:.60}: choose {' or '.join(get_args(kind))}")

    @property
    def excerpt_s(self) -> float:
        """Length of the contiguous excerpt in seconds. It is around the middle of the track."""
        return _EXCERPT_S[self.measures]

    @property
    def parameters_id(self) -> str:
        """Hash of this spec and of the version: equal ids mean comparable values."""
        return self._id_of(PARAMETERS_VERSION)

    @property
    def earlier_ids(self) -> tuple[str, ...]:
        """The ids that this spec had in earlier versions."""
        return tuple(map(self._id_of, range(1, PARAMETERS_VERSION)))

    def _id_of(self, version: int) -> str:
        facts = {"version": version, "excerpt_s": self.excerpt_s, **self.to_json()}
        return "pa-" + hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """The spec as a JSON object. Without a network it has no field for one, as in earlier versions."""
        obj: dict[str, Any] = {"measures": self.measures, "loudness": self.loudness}
        return obj if self.beats is None else {**obj, "beats": self.beats.to_json()}

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """Reads the spec that `to_json` wrote. Fields of other versions do not count.

        Raises:
          ValueError: a value is not allowed.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        values = {name: value for name, value in obj.items() if name in names}
        if values.get("beats") is not None:
            values["beats"] = BeatSpec.from_json(values["beats"])
        return cls(**values)
