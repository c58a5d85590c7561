"""Columns of `tracks` that rules of a taxonomy may read, and which confidence belongs to each."""

import dataclasses
from typing import Literal

from transforms.schemas.parameter_ranges import PARAMETER_RANGES

_MODES = ("major", "minor")
_MAJOR, _MINOR = "C Db D Eb E F F# G Ab A Bb B", "C C# D Eb E F F# G G# A Bb B"

KEY_VALUES = tuple(
    f"{tonic} {mode}" for mode, tonics in zip(_MODES, (_MAJOR, _MINOR), strict=True) for tonic in tonics.split()
)
"""Values of the column `key`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RuleColumn:
    """What a rule needs to know of a column.

    Attributes:
      type: what its values are.
      source: the column of `tracks` that it is read from.
      confidence: column with the probability that the value is right; None: it is a measurement without doubt.
      alternative: columns with another possible value and the belief in it.
      bounds: smallest and largest number.
      values: all values of a text; empty: any text.
    """

    type: Literal["number", "text", "truth"]
    source: str
    confidence: str | None = None
    alternative: tuple[str, str] | None = None
    bounds: tuple[float, float] | None = None
    values: tuple[str, ...] = ()


_CONFIDENCES = {
    "tempo_bpm": "tempo_confidence",
    "beats_per_bar": "metre_confidence",
    "beat_unit": "metre_confidence",
}
_MEASURED = (
    "tempo_bpm",
    "beats_per_bar",
    "beat_unit",
    "tuning_cents",
    "loudness_lufs",
    "loudness_range_lu",
    "true_peak_dbtp",
    "silence_ratio",
    "leading_silence_s",
    "trailing_silence_s",
    "onset_rate_hz",
    "danceability",
    "energy",
    "clipped_ratio",
    "stereo_width",
)


def _number(name: str) -> RuleColumn:
    alternative = ("tempo_alternative_bpm", "tempo_alternative_weight") if name == "tempo_bpm" else None
    return RuleColumn(
        type="number",
        source=name,
        confidence=_CONFIDENCES.get(name),
        alternative=alternative,
        bounds=PARAMETER_RANGES[name],
    )


RULE_COLUMNS: dict[str, RuleColumn] = {
    **{name: _number(name) for name in _MEASURED},
    "key": RuleColumn(type="text", source="key", confidence="key_confidence", values=KEY_VALUES),
    "mode": RuleColumn(type="text", source="key", confidence="key_confidence", values=_MODES),
    "phase_inverted": RuleColumn(type="truth", source="phase_inverted"),
    **{name: RuleColumn(type="number", source=name) for name in ("duration_s", "sample_rate", "channels")},
}
"""Name in rules -> what it reads. `mode` is the second word of `key`. All are measured on the audio: columns of the
catalog may change while a run with a budget keeps the tags of a track."""

RULE_SOURCES = tuple(
    dict.fromkeys(
        name
        for column in RULE_COLUMNS.values()
        for name in (column.source, column.confidence, *(column.alternative or ()))
        if name is not None
    )
)
"""Columns of `tracks` that any rule may need."""
