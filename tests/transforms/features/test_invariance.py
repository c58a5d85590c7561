"""Parameters of one recording in several formats: every column agrees with FLAC within its stated tolerance."""

import csv
import dataclasses
import functools
import io
from collections.abc import Set
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
import soxr

from tests.support.drums import ROCK, pattern
from tests.support.synth import FORMATS, SPEC, encode
from tests.support.world import SHARED
from transforms.audio.limits import Limits
from transforms.features.extract import extract
from transforms.features.parameters.record import Parameters
from transforms.features.parameters.spec import ParametersSpec

RATE = 44_100
TOLERANCES = {
    "tempo_bpm": 0.3,
    "tempo_confidence": 0.1,
    "tempo_alternative_bpm": 0.6,
    "tempo_alternative_weight": 0.15,
    "metre_confidence": 0.1,
    "key_confidence": 0.1,
    "tuning_cents": 3,
    "loudness_lufs": 0.5,
    "loudness_range_lu": 0.5,
    "true_peak_dbtp": 1.0,
    "silence_ratio": 0.02,
    "leading_silence_s": 0.06,
    "trailing_silence_s": 0.06,
    "onset_rate_hz": 0.7,
    "danceability": 0.05,
    "energy": 0.03,
    "clipped_ratio": 0.001,
    "stereo_width": 0.03,
}
"""Largest difference from FLAC, in the unit of the column."""
WIDER = {"aac": {"energy": 0.12}}
"""Of the synthetic song: its hi-hat is white noise, and FFmpeg's AAC encoder removes much of its treble."""
_OVERSHOOT = {"true_peak_dbtp": 2.5, "clipped_ratio": 0.005}
REAL: dict[str, dict[str, float]] = {
    "wav": {},
    "mp3": _OVERSHOOT,
    "opus": _OVERSHOOT,
    "vorbis": _OVERSHOOT,
    "aac": {
        **_OVERSHOOT,
        "true_peak_dbtp": 3.5,
        "loudness_lufs": 0.75,
        "loudness_range_lu": 1.5,
        "energy": 0.05,
        "tempo_bpm": 2.0,
        "tempo_alternative_bpm": 2.0,
    },
}
"""Of real recordings: a coded file of a limited master plays peaks of up to 2.2 dB more, which are no longer clipped.
FFmpeg's AAC encoder at 96 kbit/s a channel changes the sound most."""
EQUAL = ("beats_per_bar", "beat_unit", "key", "key_second", "camelot", "loudness_of", "phase_inverted")
SURE = 0.5
"""Least confidence with which tempo, metre and key must agree. `key_second` need not."""
BELONGING = {
    "tempo_confidence": ("tempo_bpm", "tempo_alternative_bpm", "tempo_alternative_weight", "danceability"),
    "metre_confidence": ("beats_per_bar", "beat_unit"),
    "key_confidence": ("key", "camelot"),
}
"""Columns that hang on what another one is sure of."""


def parameters(data: bytes) -> Parameters:
    found = extract(data, SPEC, Limits(), ParametersSpec()).parameters
    assert found is not None
    return found


def coded(samples: np.ndarray, kind: str) -> bytes:
    """Samples [n, channels] at 44.1 kHz as a file of a kind."""
    if kind == "aac":
        return aac(samples)
    format, subtype, rate = FORMATS[kind]
    return encode(soxr.resample(samples, RATE, rate).astype(np.float32), rate, format, subtype)


def aac(samples: np.ndarray) -> bytes:
    buffer, layout = io.BytesIO(), ("mono", "stereo")[samples.shape[1] - 1]
    with av.open(buffer, "w", format="adts") as container:
        stream = container.add_stream("aac", rate=RATE, layout=layout, bit_rate=96_000 * samples.shape[1])
        whole = np.ascontiguousarray((np.clip(samples, -1, 1) * 32_767).astype(np.int16)).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(whole, format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return buffer.getvalue()


def excused(original: Parameters) -> set[str]:
    """Columns of which the recording says nothing for certain."""
    unsure = {"key_second"}
    for confidence, names in BELONGING.items():
        if (getattr(original, confidence) or 0.0) < SURE:
            unsure |= {confidence, *names}
    return unsure


def disagreements(original: Parameters, found: Parameters, besides: Set[str], wider: dict[str, float]) -> list[str]:
    """Columns that differ by more than their tolerance."""
    wrong, limits = [], TOLERANCES | wider
    for name in (field.name for field in dataclasses.fields(Parameters) if field.name not in besides):
        one, other = getattr(original, name), getattr(found, name)
        agrees = one == other if name in EQUAL or one is None or other is None else abs(one - other) <= limits[name]
        wrong += [] if agrees else [f"{name}: {one} and {other}"]
    return wrong


@functools.cache
def song() -> np.ndarray:
    """Rock at 120 beats a minute, left louder than right: float32 [n, 2] at 44.1 kHz."""
    mono = soxr.resample(pattern(120, ROCK, seconds=12.0), 16_000, RATE)
    return np.stack([mono, 0.8 * mono], axis=1).astype(np.float32)


@functools.cache
def flac_song() -> Parameters:
    return parameters(encode(song(), format="FLAC"))


def test_every_column_has_a_tolerance() -> None:
    assert sorted([*TOLERANCES, *EQUAL]) == sorted(field.name for field in dataclasses.fields(Parameters))


@pytest.mark.parametrize("kind", ["mp3", "opus", *(pytest.param(k, marks=pytest.mark.long) for k in ("aac", "vorbis"))])
def test_a_recording_sounds_the_same_in_every_format(kind: str) -> None:
    original = flac_song()
    assert (original.tempo_bpm, original.beats_per_bar, original.beat_unit) == (pytest.approx(120, abs=0.3), 4, 4)
    assert disagreements(original, parameters(coded(song(), kind)), {"key_second"}, WIDER.get(kind, {})) == []


def test_lossless_formats_give_the_same_bits() -> None:
    samples = (song() * 32_767).astype(np.int16)
    assert parameters(encode(samples, format="WAV", subtype="PCM_16")) == parameters(encode(samples, format="FLAC"))


def recordings() -> list[str]:
    """Eight recordings of music of 10 s and more, of eight artists."""
    if not (SHARED / "dev/manifest.csv").exists():
        return []
    with (SHARED / "dev/manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].split("/")[0] == "music"]
    rows = [row for row in rows if float(row["duration_s"]) >= 10 and row["format"] in ("mp3", "ogg", "flac", "wav")]
    return list({row["group_id"]: row["path"] for row in rows if "speech" not in row["tags"]}.values())[:8]


@pytest.mark.long
@pytest.mark.skipif(not SHARED.exists(), reason="no real recordings beside the project")
@pytest.mark.parametrize("path", recordings())
def test_real_recordings_sound_the_same_in_every_format(path: str) -> None:
    samples, rate = soundfile.read(SHARED / "dev" / path, dtype="float32", always_2d=True, frames=60 * 48_000)
    samples = soxr.resample(samples[:, :2], rate, RATE).astype(np.float32)
    original = parameters(encode(samples, format="FLAC"))
    wrong = {
        kind: disagreements(original, parameters(coded(samples, kind)), excused(original), wider)
        for kind, wider in REAL.items()
    }
    assert not any(wrong.values()), wrong
