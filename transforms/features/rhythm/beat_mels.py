"""The input of a beat-tracking network: logarithmic mel energies of the excerpt, at a rate of their own."""

import functools
import math

import numpy as np
import numpy.typing as npt
import soxr
from scipy import fft

from transforms.audio.samples import Float32
from transforms.features.parameters.cleaning import finite
from transforms.features.rhythm.beat_input import BeatInput
from transforms.features.rhythm.measuring import LEAST_S, QUIETEST
from transforms.features.windows import hann

_BLOCK_FRAMES = 64


def beat_mels(
    channels: Float32, rate_hz: int, given: BeatInput, weights: tuple[float, ...] | None = None
) -> npt.NDArray[np.float16] | None:
    """The network's input for one excerpt. The same bits for the same samples.

    Args:
      channels: float32 [n, channels], full scale 1.0; values that are not finite count as 0.
      rate_hz: their rate.
      given: what the network takes.
      weights: weights of the channels in the downmix; None for their mean.

    Returns:
      float16 [frames, n_mels] around the middle of the excerpt; None for silence and for less than 4 s.
    """
    if len(channels) < LEAST_S * rate_hz:
        return None
    clean = finite(channels)
    count = clean.shape[1]
    mixed = clean @ np.array([1 / count] * count if weights is None else weights, np.float32)
    if float(np.abs(mixed).max()) <= QUIETEST:
        return None
    samples = mixed if rate_hz == given.sample_rate else soxr.resample(mixed, rate_hz, given.sample_rate)
    frames = 1 + len(samples) // given.hop_length
    wanted = given.wanted_frames(frames)
    first = (frames - wanted) // 2
    padded = np.pad(samples, given.n_fft // 2, mode="reflect")[first * given.hop_length :]
    return _log_mels(padded, wanted, given).astype(np.float16)


def _log_mels(padded: Float32, frames: int, given: BeatInput) -> Float32:
    """Float32 samples, of which frame i covers n_fft from i * hop on -> float32 [frames, n_mels]."""
    windows = np.lib.stride_tricks.sliding_window_view(padded, given.n_fft)[:: given.hop_length][:frames]
    window, bank = hann(given.n_fft), mel_bank(given)
    out = np.empty((frames, given.n_mels), np.float32)
    for start in range(0, frames, _BLOCK_FRAMES):
        spectrum = fft.rfft(windows[start : start + _BLOCK_FRAMES] * window, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        np.matmul(power if given.power == 2 else np.sqrt(power), bank, out=out[start : start + _BLOCK_FRAMES])
    out *= np.float32(given.log_multiplier)
    out += np.float32(given.log_offset)
    np.log(out, out=out)
    return out


@functools.lru_cache(maxsize=8)
def mel_bank(given: BeatInput) -> Float32:
    """Triangles on the mel scale, float32 [n_fft // 2 + 1, n_mels], as those of librosa.

    `slaney` is the scale of Slaney's Auditory Toolbox (1998): linear to 1 kHz, then 27 steps for a factor of 6.4. `htk`
    is 2595 log10(1 + f / 700).
    """
    low, high = (_to_mel(hz, given.mel_scale) for hz in (given.fmin, given.fmax))
    edges = np.array([_to_hz(mel, given.mel_scale) for mel in np.linspace(low, high, given.n_mels + 2).tolist()])
    bins = np.arange(given.n_fft // 2 + 1)[:, None] * (given.sample_rate / given.n_fft)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bank = np.maximum(0, np.minimum(rising, falling))
    if given.mel_norm == "slaney":
        bank *= 2 / (edges[2:] - edges[:-2])
    return np.ascontiguousarray(bank, np.float32)


_LINEAR_HZ, _BREAK_HZ, _STEP = 200 / 3, 1_000.0, math.log(6.4) / 27


def _to_mel(hz: float, scale: str) -> float:
    if scale == "htk":
        return 2595 * math.log10(1 + hz / 700)
    return hz / _LINEAR_HZ if hz < _BREAK_HZ else _BREAK_HZ / _LINEAR_HZ + math.log(hz / _BREAK_HZ) / _STEP


def _to_hz(mel: float, scale: str) -> float:
    if scale == "htk":
        return float(700 * (10 ** (mel / 2595) - 1))
    broken = _BREAK_HZ / _LINEAR_HZ
    return mel * _LINEAR_HZ if mel < broken else _BREAK_HZ * math.exp(_STEP * (mel - broken))
