"""Autocorrelation on a logarithmic axis of periods: a rhythm at another tempo is the same picture, shifted.

Multiples and parts of a period are constant distances on this axis, so that a learnt pattern of distances rates every
tempo alike (the scale transform of Holzapfel and Stylianou, "Scale transform in rhythmic similarity of music", 2011).
"""

import functools
import math

import numpy as np
import numpy.typing as npt
from scipy import fft

from transforms.audio.samples import Float32
from transforms.features.rhythm.onsets import HOP_S, Onsets

CELLS_AN_OCTAVE = 72
SHORTEST_S = 0.05
CELLS = 570
"""Periods from 0.05 s to 12 s in steps of 1 %."""
CHANNELS = ("below 160 Hz", "160 to 500 Hz", "500 to 2000 Hz", "above 2000 Hz", "all", "pitch", "bass", "new pitch")
_LAG_HZ = 250.0
_LONGEST_SHARE = 0.55
"""Periods above this share of the excerpt have no value (0): too few of their repetitions are in it."""
_BASS_PITCHES = 17
_AROUND = 31
"""Frames around one, half a second, whose mean onsets stand out from."""


def cell(period_s: float) -> int:
    """The cell of a period."""
    return round(CELLS_AN_OCTAVE * math.log2(period_s / SHORTEST_S))


PERIODS_S = SHORTEST_S * 2 ** (np.arange(CELLS) / CELLS_AN_OCTAVE)
_EDGES = np.round(SHORTEST_S * 2 ** ((np.arange(CELLS + 1) - 0.5) / CELLS_AN_OCTAVE) * _LAG_HZ).astype(np.int64)


def periodicity(found: Onsets) -> tuple[Float32, Float32]:
    """(float32 [8 channels, 570 periods] in -1 to 1, float32 [lags] of the channel "all" at 250 Hz)."""
    strength = _sharpened(found.strength)
    fast = _autocorrelation(strength, 1 / HOP_S)
    pitches = found.pitches - found.pitches.mean(1, keepdims=True)
    new = np.maximum(found.pitches[:, 1:] - found.pitches[:, :-1], 0).sum(0, keepdims=True)
    new = new - new.mean()
    rate = 1 / HOP_S / 4
    spectra = _power_spectrum(pitches)
    rows = np.stack([spectra.sum(0), spectra[:_BASS_PITCHES].sum(0), _power_spectrum(np.pad(new, ((0, 0), (1, 0))))[0]])
    slow = _from_spectrum(rows, pitches.shape[1], rate)
    return np.concatenate([_on_log_axis(fast), _on_log_axis(slow)]), fast[-1]


def _sharpened(strength: Float32) -> Float32:
    """Each row less its mean over half a second around, not below zero, slightly smoothed, mean removed."""
    reach = _AROUND // 2
    padded = np.empty((len(strength), strength.shape[1] + _AROUND), np.float32)
    padded[:, : reach + 1] = strength[:, :1]
    padded[:, reach + 1 : -reach] = strength
    padded[:, -reach:] = strength[:, -1:]
    total = np.cumsum(padded, axis=1, dtype=np.float64)
    around = ((total[:, _AROUND:] - total[:, :-_AROUND]) / _AROUND).astype(np.float32)
    above = np.maximum(strength - around, 0)
    smooth = 0.5 * above
    above *= 0.25
    smooth[:, 1:] += above[:, :-1]
    smooth[:, :-1] += above[:, 1:]
    smooth -= smooth.mean(1, keepdims=True)
    return np.asarray(smooth, np.float32)


def _size(frames: int) -> int:
    """Length of a fast Fourier transform, at least twice as long: 5/8, 3/4 or the whole of a power of two."""
    whole = 1 << (2 * frames - 1).bit_length()
    return next(size for size in (whole * 5 // 8, whole * 3 // 4, whole) if size >= 2 * frames)


def _power_spectrum(rows: Float32) -> Float32:
    spectrum = fft.rfft(rows, n=_size(rows.shape[1]), axis=1)
    power: Float32 = spectrum.real**2 + spectrum.imag**2
    return power


def _autocorrelation(rows: Float32, rate_hz: float) -> Float32:
    return _from_spectrum(_power_spectrum(rows), rows.shape[1], rate_hz)


def _from_spectrum(power: Float32, frames: int, rate_hz: float) -> Float32:
    """Autocorrelation at 250 lags a second, divided by that at lag 0 and by the share of the excerpt that overlaps."""
    upsampling = round(_LAG_HZ / rate_hz)
    kept = min(int(frames * upsampling * _LONGEST_SHARE), int(_EDGES[-1]) + 1)
    lags = _interpolated(power, _size(frames), upsampling, kept)
    values = lags / np.maximum(lags[:, :1], 1e-12)
    out = np.zeros((len(power), int(_EDGES[-1]) + 1), np.float32)
    out[:, :kept] = values / (1 - np.arange(kept) / (frames * upsampling))
    return out


def _interpolated(power: Float32, size: int, upsampling: int, wanted: int) -> Float32:
    """The first values of what spectra of real, even signals are spectra of, at `upsampling` times their rate.

    Many short transforms, one for each place between two lags, are faster than one long one that is padded with zeros.
    Half of the places are enough: the others are mirrored. Wanted are fewer values than half of the signal has.
    """
    turns, count = _turns(size, upsampling), -(-wanted // upsampling)
    parts = fft.irfft(power[:, None] * turns, n=size, axis=2)
    out = np.empty((len(power), count, upsampling), np.float32)
    out[:, :, : len(turns)] = parts[:, :, :count].transpose(0, 2, 1)
    for place in range(len(turns), upsampling):
        out[:, :, place] = parts[:, upsampling - place, : -count - 1 : -1]
    return out.reshape(len(power), -1)[:, :wanted]


@functools.lru_cache(maxsize=8)
def _turns(size: int, upsampling: int) -> npt.NDArray[np.complex64]:
    """What moves a spectrum of an even `size` by 0, 1 ... of `upsampling` parts of a sample; its last bin is double."""
    places, bins = np.arange(upsampling // 2 + 1)[:, None], np.arange(size // 2 + 1)
    turns = np.exp(2j * np.pi * places * bins / (size * upsampling))
    turns[:, -1] *= 2
    return np.asarray(turns, np.complex64)


def _on_log_axis(lags: Float32) -> Float32:
    """Greatest value in each cell; a cell shorter than a lag takes the nearest."""
    found: Float32 = np.maximum.reduceat(lags, _EDGES[:-1], axis=1).astype(np.float32)
    return found
