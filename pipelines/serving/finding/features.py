"""Audio features in the names and units of services that closed them: what each one is made of here."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.serving.snapshots import JsonRow, OpenSnapshot
from transforms.discovery.search.keys import camelot_code

FeatureValues = npt.NDArray[np.float64]


class AudioFeature(NamedTuple):
    """One audio feature.

    Attributes:
      columns: columns of `tracks` that it is taken from, the first that the table has.
      factor: value of the feature for one of the column.
      part: of a key: `pitch` or `mode`.
      span: difference that counts as much as one of similarity, for `target_...`.
      words: what it is, for documents.
      example: a value of it, for documents.
    """

    columns: tuple[str, ...]
    words: str
    example: float = 0.5
    factor: float = 1.0
    part: str = ""
    span: float = 1.0


_KEY = ("key", "camelot", "musical_key", "initial_key")
FEATURES = {
    "duration_ms": AudioFeature(("duration_s",), "length in milliseconds", 214_500, factor=1000.0, span=120_000.0),
    "tempo": AudioFeature(("tempo_bpm", "bpm"), "beats per minute", 96.2, span=40.0),
    "key": AudioFeature(_KEY, "pitch class of the tonic, 0 = C", 9, part="pitch", span=12.0),
    "mode": AudioFeature(_KEY, "1 = major, 0 = minor", 1, part="mode"),
    "time_signature": AudioFeature(("beats_per_bar", "time_signature"), "beats of a bar", 4, span=3.0),
    "loudness": AudioFeature(("loudness_lufs", "loudness"), "integrated loudness in LUFS", -11.3, span=20.0),
    "danceability": AudioFeature(("danceability",), "0 to 1"),
    "energy": AudioFeature(("energy",), "0 to 1"),
    "valence": AudioFeature(("valence",), "0 to 1"),
    "acousticness": AudioFeature(("acousticness",), "0 to 1"),
    "instrumentalness": AudioFeature(("instrumentalness",), "0 to 1"),
    "liveness": AudioFeature(("liveness",), "0 to 1"),
    "speechiness": AudioFeature(("speechiness",), "0 to 1"),
}
"""Name -> the feature. A feature whose columns the table lacks is null."""


WHOLE = frozenset({"duration_ms", "key", "mode", "time_signature"})
"""Features that are whole numbers."""


def column_name(feature: AudioFeature, columns: Mapping[str, pa.DataType]) -> str | None:
    """The column that a feature is taken from; None if the table has none."""
    return next((name for name in feature.columns if name in columns), None)


def features_of(opened: OpenSnapshot, row: JsonRow) -> JsonRow:
    """The audio features of a row of `tracks`."""
    found: JsonRow = {}
    for name, feature in FEATURES.items():
        column = column_name(feature, opened.columns)
        value = None if column is None or row[column] is None else _value(feature, row[column])
        found[name] = int(value) if value is not None and name in WHOLE else value
    return {**found, "id": row["track_id"], "type": "audio_features"}


def _value(feature: AudioFeature, value: Any) -> float | None:
    if feature.part:
        return _key_value(feature.part, str(value))
    return round(float(value) * feature.factor, 6) if isinstance(value, int | float) else None


def _key_value(part: str, text: str) -> float | None:
    """Pitch class or mode of a key.

    >>> [_key_value("pitch", text) for text in ("A minor", "8B", "Eb major", "unknown")]
    [9, 0, 3, None]
    """
    if (code := camelot_code(text)) is None:
        return None
    if part == "mode":
        return int(code[-1] == "B")
    # An hour is a fifth: seven semitones. 8B is C major, 8A is A minor.
    return ((int(code[:-1]) - 8) * 7 + (0 if code[-1] == "B" else 9)) % 12


def feature_values(name: str, rows: pa.Table) -> FeatureValues:
    """A feature of many tracks, NaN where it is unknown: float64 [n]."""
    feature = FEATURES[name]
    column = column_name(feature, dict(zip(rows.column_names, rows.schema.types, strict=True)))
    if column is None:
        return np.full(len(rows), np.nan)
    if feature.part:
        texts = pc.unique(rows[column].cast(pa.string())).to_pylist()
        known = {text: None if text is None else _key_value(feature.part, text) for text in texts}
        values = [known[text] for text in rows[column].cast(pa.string()).to_pylist()]
        return np.array([np.nan if value is None else value for value in values], np.float64)
    numbers = pc.multiply(rows[column].cast(pa.float64()), feature.factor)
    found: FeatureValues = np.asarray(pc.fill_null(numbers, float("nan")), np.float64)
    return found
