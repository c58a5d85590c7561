"""The parameters of a track as one flat record. How they are measured is in `measured.py`, which loads SciPy."""

import dataclasses

import numpy as np
import numpy.typing as npt

from transforms.features.parameters.spec import LoudnessOf


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a track sounds like; `schemas/parameters.py` describes the fields. None: nothing can be said."""

    tempo_bpm: float | None = None
    tempo_confidence: float | None = None
    tempo_alternative_bpm: float | None = None
    tempo_alternative_weight: float | None = None
    beats_per_bar: int | None = None
    beat_unit: int | None = None
    metre_confidence: float | None = None
    key: str | None = None
    key_confidence: float | None = None
    key_second: str | None = None
    camelot: str | None = None
    tuning_cents: float | None = None
    loudness_lufs: float | None = None
    loudness_range_lu: float | None = None
    true_peak_dbtp: float | None = None
    loudness_of: LoudnessOf | None = None
    silence_ratio: float | None = None
    leading_silence_s: float | None = None
    trailing_silence_s: float | None = None
    onset_rate_hz: float | None = None
    danceability: float | None = None
    energy: float | None = None
    clipped_ratio: float | None = None
    stereo_width: float | None = None
    phase_inverted: bool | None = None


@dataclasses.dataclass(kw_only=True)
class Measurement:
    """Parameters of a track, and the parts that failed: an error of this program, never of the track.

    `beat_mels` is the input of the network of beats, float16 [frames, mels]; None if there is no network, or nothing to
    hear.
    """

    parameters: Parameters
    failures: list[str] = dataclasses.field(default_factory=list)
    beat_mels: npt.NDArray[np.float16] | None = None
