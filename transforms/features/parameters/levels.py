"""Silence, clipping, stereo image and energy of samples with a full scale of 1.0."""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from transforms.features.parameters.cleaning import FULL_SCALE_LIMIT, finite
from transforms.features.windows import hann

SILENT = 1e-3
"""-60 dB of full scale: a block is silent if its root mean square is lower, an edge if every sample is."""
SILENT_POWER = 1e-7
"""-70 dB: below, nothing is said about the stereo image."""
BLOCK_S = 0.05
CLIPPED, CLIPPED_RUN = 0.999, 3
INVERTED_WIDTH = 0.9
FRAME_SAMPLES, FRAME_HZ = 512, 48_000
"""Samples in the middle of a hop of 0.1 s whose spectrum stands for it, at rates up to about this; at 96 kHz there are
twice as many, and so on. Frames of 3 ms at 192 kHz would often lie between two waves of the bass, and tell too much
treble: noise that falls by 6 dB an octave was told 1.0 LU too loud."""
LOW_RATE_HZ = 750
"""Least rate of the signal for the lowest frequencies."""
_BLOCK_BYTES = 3 << 18
"""Bytes of samples looked at together, so that they are fetched from memory once."""

_Sums = tuple[npt.NDArray[np.float64], float, npt.NDArray[np.float32]]


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChannelLevels:
    """Sums over the hops of 0.1 s of an excerpt, from one pass. The last hop may be shorter: it is no whole one.

    Attributes:
      channels: channels of the excerpt.
      length: samples of each channel.
      hop: samples of a hop.
      squares: sum of the squares of the first two channels, float64 [hops].
      product: sum of the products of the first two channels; 0 for one channel.
      highest: greatest absolute sample of all channels, float32 [hops].
      low: means of a few samples each, complex64 [whole hops, some]: the first channel is the real part, the second
        one the imaginary part. They follow each other without a gap at `LOW_RATE_HZ` or more.
      frames: the middle of each whole hop, likewise, under a Hann window, complex64 [whole hops, FRAME_SAMPLES or a
        multiple].
    """

    channels: int
    length: int
    hop: int
    squares: npt.NDArray[np.float64]
    product: float
    highest: npt.NDArray[np.float32]
    low: npt.NDArray[np.complex64]
    frames: npt.NDArray[np.complex64]


def channel_levels(samples: npt.NDArray[np.float32], rate_hz: int) -> ChannelLevels:
    """One pass over samples [n, channels] at their original rate. Values that are not finite count as 0.

    All sums of a block are taken while it is in the processor's cache: fetching it takes longer than the arithmetic.
    Blocks consist of whole hops, so that nothing depends on how the samples were decoded.
    """
    samples = np.ascontiguousarray(samples, np.float32)  # no copy of an excerpt: sums would depend on strides
    hop = max(1, rate_hz // 10)
    whole, factor, frame = len(samples) // hop, _decimation(hop, rate_hz), _frame_samples(hop, rate_hz)
    low, frames = np.empty((whole, hop // factor), np.complex64), np.empty((whole, frame), np.complex64)
    sums: list[_Sums] = []
    step = max(1, _BLOCK_BYTES // (4 * hop * max(1, samples.shape[1])))
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, whole, step):
            hops = slice(first, min(first + step, whole))
            found, signal = _sums(samples[first * hop : hops.stop * hop], hops.stop - first)
            sums.append(found)
            low[hops] = (signal.reshape(-1, factor) @ _mean(factor, signal.dtype)).reshape(-1, hop // factor)
            middle = (hop - frame) // 2
            np.multiply(signal[:, middle : middle + frame], hann(frame), out=frames[hops])
        if len(samples) > whole * hop:
            sums.append(_sums(samples[whole * hop :], 1)[0])
    squares, products, highest = zip(*sums, strict=True) if sums else ((np.zeros(0),), (), (np.zeros(0, np.float32),))
    return ChannelLevels(
        channels=samples.shape[1],
        length=len(samples),
        hop=hop,
        squares=np.concatenate(squares),
        product=math.fsum(products),
        highest=np.concatenate(highest),
        low=low,
        frames=frames,
    )


def _sums(samples: npt.NDArray[np.float32], hops: int) -> tuple[_Sums, npt.NDArray[np.inexact]]:
    """Squares, product and highest samples of some hops, and their first two channels as one signal [hops, hop]."""
    squares = _row_powers(samples.reshape(hops, -1))
    if not squares.sum() < FULL_SCALE_LIMIT**2:
        samples = finite(samples)
        squares = _row_powers(samples.reshape(hops, -1))
    rows = samples.reshape(hops, -1)
    highest = np.maximum(rows.max(axis=1), -rows.min(axis=1))
    if samples.shape[1] == 1:
        return (squares, 0.0, highest), rows
    if samples.shape[1] > 2:
        samples = np.ascontiguousarray(samples[:, :2])
        squares = _row_powers(samples.reshape(hops, -1))
    signal = samples.reshape(hops, -1).view(np.complex64)
    return (squares, 0.5 * float(np.dot(signal.ravel(), signal.ravel()).imag), highest), signal


def _row_powers(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.asarray(np.vecdot(rows, rows), np.float64)


@functools.lru_cache(maxsize=8)
def _mean(count: int, kind: np.dtype[np.inexact]) -> npt.NDArray[np.inexact]:
    return np.full(count, 1 / count, kind)


def _frame_samples(hop: int, rate_hz: int) -> int:
    return min(FRAME_SAMPLES << max(0, round(math.log2(rate_hz / FRAME_HZ))), hop)


@functools.lru_cache(maxsize=8)
def _decimation(hop: int, rate_hz: int) -> int:
    """The largest divisor of a hop that leaves a rate of `LOW_RATE_HZ` or more; at lower rates 1."""
    return max(d for d in range(1, hop + 1) if hop % d == 0 and (d == 1 or rate_hz >= d * LOW_RATE_HZ))


def measure_silence(excerpts: Sequence[npt.NDArray[np.float32]], rate_hz: int) -> Silence:
    """Silence in excerpts [n] or [n, channels] of one recording; the first begins it, and the last ends it."""
    found = [_block_powers(e.reshape(len(e), -1), rate_hz) for e in excerpts if len(e)]
    if not found:
        return Silence()
    excerpts, powers = [samples for samples, _ in found], np.concatenate([each for _, each in found])
    ratio = round(float(np.mean(powers < SILENT**2)), 4)
    if not any(_first_sound(e) < len(e) for e in excerpts):
        return Silence(silence_ratio=ratio)
    return Silence(
        silence_ratio=ratio,
        leading_silence_s=round(_first_sound(excerpts[0]) / rate_hz, 3),
        trailing_silence_s=round(_first_sound(excerpts[-1][::-1]) / rate_hz, 3),
    )


def clipped_ratio(samples: npt.NDArray[np.float32], levels: ChannelLevels) -> float | None:
    """Share of samples [n, channels] in runs of three and more at 0.999 of full scale or above; None without samples.

    Samples must have their original rate: resampling rounds off what was clipped. Only hops with such samples are
    looked at.
    """
    if not samples.size:
        return None
    reached = np.concatenate([[False], levels.highest >= CLIPPED, [False]])
    bounds = levels.hop * np.flatnonzero(reached[1:] != reached[:-1])
    clipped = sum(_clipped(samples[first:last]) for first, last in bounds.reshape(-1, 2).tolist())
    return round(clipped / samples.size, 6)


def _clipped(samples: npt.NDArray[np.float32]) -> int:
    """Samples in runs of three and more at 0.999 of full scale or above."""
    samples = finite(samples)
    high = samples >= CLIPPED
    high |= samples <= -CLIPPED
    clipped = 0
    for channel in high.T:
        places = np.flatnonzero(channel)
        ends = np.concatenate([[0], np.flatnonzero(np.diff(places) > 1) + 1, [len(places)]])
        lengths = np.diff(ends)
        clipped += int(lengths[lengths >= CLIPPED_RUN].sum())
    return clipped


def stereo_image(levels: ChannelLevels) -> Stereo:
    """Stereo image of an excerpt."""
    both = float(levels.squares.sum())
    if levels.channels < 2 or not levels.length or both < SILENT_POWER * levels.length:
        return Stereo()
    width = min(max(0.5 - levels.product / both, 0.0), 1.0)
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


def _block_powers(
    samples: npt.NDArray[np.float32], rate_hz: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """The samples, finite, and mean squares of blocks of 0.05 s, float64 [blocks]; what is left at the end has none."""
    size = max(1, round(BLOCK_S * rate_hz))
    count = max(1, len(samples) // size)
    with np.errstate(over="ignore", invalid="ignore"):
        powers = _row_powers(samples[: count * size].reshape(count, -1))
    if not powers.sum() < FULL_SCALE_LIMIT**2 or not np.isfinite(samples[count * size :]).all():
        samples = finite(samples)
        powers = _row_powers(samples[: count * size].reshape(count, -1))
    return samples, powers * (count / samples[: count * size].size)


def _first_sound(samples: npt.NDArray[np.float32]) -> int:
    """Samples before the first of -60 dB or more; all of them in silence."""
    for start in range(0, len(samples), 4_096):
        loud = (np.abs(samples[start : start + 4_096]) >= SILENT).any(axis=1)
        if loud.any():
            return start + int(loud.argmax())
    return len(samples)
