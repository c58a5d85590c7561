"""Hand-crafted statistics of a track's log-mel patches. They need no training.

There are two versions; a bundle keeps the version that it was trained with. They are computed without BLAS, because its
sums depend on the number of threads.
"""

import itertools
from collections.abc import Callable

import numpy as np

from transforms.features.spec import Compression

STATISTICS = "statistics"
"""Name for no trunk at all: the track embedding is the hand-crafted statistics only."""

CEPSTRA = 20
"""Number of cepstral coefficients."""

RANGE_DB = 80.0
"""Levels are clipped at this distance below the track's loudest: how deep silence is depends on the file format."""

REGIONS = 8
"""Number of groups of neighbouring bands for contrast."""

MODULATED = 12
"""Number of groups of neighbouring bands for rhythm."""

MODULATION_EDGES = (2, 4, 8, 16, 32, 64, 128)
"""Edges of the modulation bands, in bins of an FFT of 256 frames: 0.5 to 31 Hz with the default spec."""

LAGS = (4, 16)
"""Lags in frames for the slower changes of the cepstra."""

PULSE_LAGS = tuple(int(lag) for lag in np.unique(np.geomspace(10, 120, 20).round()))
"""Lags in frames for the autocorrelation of onsets: 375 to 31 beats per minute with the default spec."""

_TRANSFORM = 256
_QUIETEST = 1e-2


def dimension(version: int, n_mels: int) -> int:
    """Number of values of a version."""
    cepstra = min(CEPSTRA, n_mels)
    size = 3 * (n_mels + cepstra)
    if version == 1:
        return size
    more = cepstra * (len(LAGS) + 1) + 4 * min(REGIONS, n_mels)
    return size + more + min(MODULATED, n_mels) * (len(MODULATION_EDGES) - 1) + 3 + len(PULSE_LAGS)


def decibels(patches: np.ndarray, compression: Compression) -> np.ndarray:
    """Mel levels in dB for any compression, float32, clipped at `RANGE_DB` below the track's loudest level."""
    levels = np.ascontiguousarray(patches, np.float32)
    if compression == "log10p1":
        power = np.maximum((np.float32(10.0) ** levels - 1) * np.float32(1e-4), np.float32(1e-10))
        levels = 10 * np.log10(power)
    raised: np.ndarray = np.maximum(levels, levels.max() - np.float32(RANGE_DB))
    return raised


def statistics_1(patches: np.ndarray, compression: Compression) -> np.ndarray:
    """For each band and cepstral coefficient: mean, deviation, and deviation of the difference between frames.

    Mel values are used as they are, without conversion to dB.
    """
    mels = np.ascontiguousarray(patches, np.float32)
    return np.concatenate([*_moments(mels), *_moments(_cepstra(mels))])


def statistics_2(patches: np.ndarray, compression: Compression) -> np.ndarray:
    """Statistics of version 1 on levels in dB, slower changes of the cepstra, contrast, rhythm and onsets."""
    mels = decibels(patches, compression)
    cepstra = _cepstra(mels)
    spectrum = [*_moments(mels), *_moments(cepstra), *_slow_changes(cepstra), *_contrast(mels)]
    return np.concatenate([*spectrum, _modulation(mels), _onsets(mels)])


STATISTICS_BY_VERSION: dict[int, Callable[[np.ndarray, Compression], np.ndarray]] = {1: statistics_1, 2: statistics_2}
"""Version -> float16 patches [n, frames, mels] and their compression -> float32 [dimension]."""

LATEST = max(STATISTICS_BY_VERSION)


def _cepstra(mels: np.ndarray) -> np.ndarray:
    # A local import: code that only reads bundles needs no Fourier transform.
    from scipy.fft import dct

    found: np.ndarray = dct(mels, axis=-1, norm="ortho")[..., :CEPSTRA]
    return found


def _moments(values: np.ndarray) -> list[np.ndarray]:
    """Mean, deviation, and deviation of the difference between frames: [n, frames, k] -> three arrays [k]."""
    flat = values.reshape(-1, values.shape[2])
    mean = flat.mean(axis=0, dtype=np.float64).astype(np.float32)
    return [mean, _deviation(flat - mean), _change(values, 1)]


def _change(values: np.ndarray, lag: int) -> np.ndarray:
    """Deviation of the difference between frames `lag` apart: [k]. It is 0 if patches are not longer than `lag`."""
    steps = (values[:, lag:] - values[:, :-lag]).reshape(-1, values.shape[2])
    return _deviation(steps - steps.mean(axis=0)) if len(steps) else np.zeros(values.shape[2], np.float32)


def _deviation(centred: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.sqrt(np.einsum("ij,ij->j", centred, centred) / max(len(centred), 1))
    return found


def _slow_changes(cepstra: np.ndarray) -> list[np.ndarray]:
    """Deviation of the change of the cepstra over each of `LAGS`, and of their mean from patch to patch."""
    means = cepstra.mean(axis=1)
    return [*(_change(cepstra, lag) for lag in LAGS), _deviation(means - means.mean(axis=0))]


def _regions(mels: np.ndarray, most: int) -> list[np.ndarray]:
    return np.array_split(mels, min(most, mels.shape[2]), axis=2)


def _contrast(mels: np.ndarray) -> list[np.ndarray]:
    """Mean and deviation over all frames of two values of each region: highest minus lowest level, and deviation."""
    regions = _regions(mels, REGIONS)
    found = []
    for values in (
        np.stack([part.max(axis=2) - part.min(axis=2) for part in regions], axis=2),
        np.stack([part.std(axis=2) for part in regions], axis=2),
    ):
        flat = values.reshape(-1, values.shape[2])
        mean = flat.mean(axis=0)
        found += [mean, _deviation(flat - mean)]
    return found


def _modulation(mels: np.ndarray) -> np.ndarray:
    """Log energy of each group's level in each modulation band; the energy is a mean over patches: [groups * bands]."""
    from scipy.fft import rfft

    levels = np.stack([part.mean(axis=2) for part in _regions(mels, MODULATED)], axis=1)
    levels = levels - levels.mean(axis=2, keepdims=True)
    window = np.hanning(levels.shape[2] + 2)[1:-1].astype(np.float32)
    spectrum = rfft(levels * window, max(_TRANSFORM, levels.shape[2]), axis=2)[:, :, : _TRANSFORM // 2 + 1]
    energy = (spectrum.real**2 + spectrum.imag**2).mean(axis=0)
    edges = itertools.pairwise(MODULATION_EDGES)
    bands = np.stack([energy[:, low:high].mean(axis=1) for low, high in edges], axis=1)
    return np.log(bands + np.float32(_QUIETEST)).ravel()


def _onsets(mels: np.ndarray) -> np.ndarray:
    """Rise of the levels between frames: mean, deviation, maximum of its autocorrelation, and its value at each lag."""
    from scipy.fft import irfft, rfft

    rise = np.maximum(mels[:, 1:] - mels[:, :-1], 0).mean(axis=2)
    if not rise.size:
        return np.zeros(3 + len(PULSE_LAGS), np.float32)
    centred = rise - rise.mean(axis=1, keepdims=True)
    spectrum = rfft(centred, 2 * max(_TRANSFORM, rise.shape[1]), axis=1)
    alike = irfft(spectrum.real**2 + spectrum.imag**2, axis=1)
    alike = alike / (alike[:, :1] + np.float32(_QUIETEST))
    pulses = alike[:, list(PULSE_LAGS)]
    return np.array([rise.mean(), rise.std(), pulses.max(axis=1).mean(), *pulses.mean(axis=0)], np.float32)
