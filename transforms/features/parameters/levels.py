"""Silence, clipping, stereo image and energy of samples with a full scale of 1.0."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from transforms.features.parameters.cleaning import finite

SILENT = 1e-3
"""-60 dB of full scale: a block is silent if its root mean square is lower, an edge if every sample is."""
SILENT_POWER = 1e-7
"""-70 dB: below, nothing is said about the stereo image."""
BLOCK_S = 0.05
CLIPPED, CLIPPED_RUN = 0.999, 3
INVERTED_WIDTH = 0.9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Silence:
    """Silence in a recording.

    Attributes:
      silence_ratio: share of blocks of 0.05 s whose root mean square is below -60 dB of full scale, 0 to 1; None
        without samples.
      leading_silence_s: time until the first sample of -60 dB or more, at most the length of the first excerpt; None
        where all is silent.
      trailing_silence_s: time from the last sample of -60 dB or more to the end, likewise of the last excerpt.
    """

    silence_ratio: float | None = None
    leading_silence_s: float | None = None
    trailing_silence_s: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stereo:
    """Stereo image of the first two channels. None: one channel, or silence.

    Attributes:
      stereo_width: share of the side signal's power in that of mid and side, 0 (both channels equal) to 1 (inverted);
        0.5 means two unrelated channels, or one silent channel.
      phase_inverted: whether a mono downmix loses 10 dB and more: the width is above 0.9.
    """

    stereo_width: float | None = None
    phase_inverted: bool | None = None


def measure_silence(excerpts: Sequence[npt.NDArray[np.float32]], rate_hz: int) -> Silence:
    """Silence in excerpts [n] or [n, channels] of one recording; the first begins it, and the last ends it."""
    excerpts = [finite(e.reshape(len(e), -1)) for e in excerpts if len(e)]
    if not excerpts:
        return Silence()
    powers = np.concatenate([_block_powers(e, rate_hz) for e in excerpts])
    ratio = round(float(np.mean(powers < SILENT**2)), 4)
    if not any(_first_sound(e) < len(e) for e in excerpts):
        return Silence(silence_ratio=ratio)
    return Silence(
        silence_ratio=ratio,
        leading_silence_s=round(_first_sound(excerpts[0]) / rate_hz, 3),
        trailing_silence_s=round(_first_sound(excerpts[-1][::-1]) / rate_hz, 3),
    )


def clipped_ratio(samples: npt.NDArray[np.float32]) -> float | None:
    """Share of samples [n, channels] in runs of three and more at 0.999 of full scale or above; None without samples.

    Samples must have their original rate: resampling rounds off what was clipped.
    """
    if not samples.size:
        return None
    samples = finite(samples)
    if samples.max() < CLIPPED and samples.min() > -CLIPPED:
        return 0.0
    high = np.abs(samples) >= CLIPPED
    edges = np.diff(high, axis=0, prepend=False, append=False)
    clipped = 0
    for channel in range(samples.shape[1]):
        places = np.flatnonzero(edges[:, channel])
        lengths = places[1::2] - places[::2]
        clipped += int(lengths[lengths >= CLIPPED_RUN].sum())
    return round(clipped / samples.size, 6)


def measure_stereo(samples: npt.NDArray[np.float32]) -> Stereo:
    """Stereo image of samples [n, channels]."""
    if samples.shape[1] < 2 or not len(samples):
        return Stereo()
    pair = finite(samples[:, :2])
    signal = np.ascontiguousarray(pair).view(np.complex64)[:, 0]  # Left is the real part, right the imaginary one.
    both, product = float(np.vdot(signal, signal).real), float(np.dot(signal, signal).imag) / 2
    if both < SILENT_POWER * len(pair):
        return Stereo()
    width = min(max(0.5 - product / both, 0.0), 1.0)
    return Stereo(stereo_width=round(width, 3), phase_inverted=width > INVERTED_WIDTH)


def energy(loudness_lufs: float | None, brightness_hz: float | None, onset_rate_hz: float | None) -> float | None:
    """How forceful a recording sounds, 0 to 1: it never falls as any of its three parts rises.

    Half of it is loudness (-40 to -8 LUFS), a quarter brightness (250 to 4,000 Hz, by octaves) and a quarter the rate
    of onsets (0 to 8 a second; unknown counts as none). It is a definition of this program, fitted to no data. None
    where loudness is unknown.
    """
    if loudness_lufs is None:
        return None
    loud = _ramp(loudness_lufs, -40.0, -8.0)
    bright = _ramp(math.log2(max(brightness_hz or 0.0, 1.0)), math.log2(250.0), math.log2(4_000.0))
    busy = _ramp(onset_rate_hz or 0.0, 0.0, 8.0)
    return round(0.5 * loud + 0.25 * bright + 0.25 * busy, 3)


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _block_powers(samples: npt.NDArray[np.float32], rate_hz: int) -> npt.NDArray[np.float64]:
    """Mean squares of blocks of 0.05 s, float64 [blocks]; the last samples belong to the last block."""
    size = max(1, round(BLOCK_S * rate_hz))
    count = max(1, len(samples) // size)
    rows = samples[: count * size].reshape(count, -1)
    return np.asarray(np.einsum("ij,ij->i", rows, rows) / rows.shape[1], np.float64)


def _first_sound(samples: npt.NDArray[np.float32]) -> int:
    """Samples before the first of -60 dB or more; all of them in silence."""
    for start in range(0, len(samples), 4_096):
        loud = (np.abs(samples[start : start + 4_096]) >= SILENT).any(axis=1)
        if loud.any():
            return start + int(loud.argmax())
    return len(samples)
