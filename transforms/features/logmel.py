"""Log-mel energies of many frames at once, equal to librosa's.

Samples, mel powers and results are float32. Only the Fourier transform is float64: in float32, its rounding noise is
100 dB below the loudest partial, which is above the quiet bands of tonal music.
"""

import functools
import itertools
import types

import numpy as np
import numpy.typing as npt

from transforms.audio.errors import TooShort
from transforms.audio.samples import Float32
from transforms.features.spec import STFT_FRAMES, FeatureSpec

_AMIN = np.float32(1e-10)
_BANDS = 4
"""Number of groups of mel bands. Each group needs only a part of the spectrum's bins."""

_handed_over: dict[FeatureSpec, Float32] = {}


def mel_matrix(spec: FeatureSpec) -> Float32:
    """Mel filter bank, float32 [n_fft // 2 + 1, n_mels]: handed over before, or made by librosa once per process."""
    if spec in _handed_over:
        return _handed_over[spec]
    return _mel_by_librosa(spec)


def hand_over_mel_matrix(spec: FeatureSpec, matrix: Float32) -> None:
    """Gives this process a matrix that another process made, so that it never imports librosa."""
    shape = (spec.n_fft // 2 + 1, spec.n_mels)
    if matrix.shape != shape or matrix.dtype != np.float32:
        raise ValueError(f"mel matrix is {matrix.dtype} {matrix.shape}: expected float32 {shape}")
    _handed_over[spec] = matrix


@functools.lru_cache(maxsize=8)
def _mel_by_librosa(spec: FeatureSpec) -> Float32:
    bank = _librosa_filters().mel(
        sr=spec.sample_rate, n_fft=spec.n_fft, n_mels=spec.n_mels, fmin=spec.fmin, fmax=spec.fmax
    )
    return np.ascontiguousarray(bank.T, dtype=np.float32)


def _librosa_filters() -> types.ModuleType:
    """The module takes seconds to import: only the parent process does it, once."""
    try:
        import librosa.filters
    except RuntimeError:  # numba cannot write its cache anywhere; filters do not need what it compiles
        import numba

        numba.config.DISABLE_JIT = 1  # type: ignore[attr-defined]
        import librosa.filters
    filters: types.ModuleType = librosa.filters
    return filters


@functools.lru_cache(maxsize=8)
def _window(n_fft: int) -> npt.NDArray[np.float64]:
    """Periodic Hann window, float64 [n_fft]."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)


def frame_count(samples: int, spec: FeatureSpec) -> int:
    """Frames of a track of `samples` samples at the spec's rate: one is centred on every hop, the first on sample 0."""
    return 1 + samples // spec.hop_length


def log_mel_of_frames(padded: Float32, spec: FeatureSpec) -> Float32:
    """Log-compressed mel energies of every whole window in `padded`.

    Extraction calls this for each span of a track that it reads. Frame i covers the n_fft samples from i * hop_length
    on. To centre the first frame on a track's first sample, `padded` begins with n_fft // 2 zeros. A frame's values do
    not depend on the frames around it.

    Args:
      padded: float32 [(frames - 1) * hop_length + n_fft], samples at spec.sample_rate Hz.
      spec: window, hop, mel bands and compression.

    Returns:
      float32 [frames, n_mels], compressed as `spec.compression` says.
    """
    windows = np.lib.stride_tricks.sliding_window_view(padded, spec.n_fft)[:: spec.hop_length]
    power = _Power(spec)
    out = np.empty((len(windows), spec.n_mels), np.float32)
    for start in range(0, len(windows), STFT_FRAMES):
        block = slice(start, start + STFT_FRAMES)
        power.mel(windows[block], out[block])
    return _compress(out, spec)


class _Power:
    """Computes the mel power of blocks of windows in reused arrays: allocation takes longer than the arithmetic."""

    def __init__(self, spec: FeatureSpec) -> None:
        bins = spec.n_fft // 2 + 1
        self._bands, self._window = _bands(mel_matrix(spec)), _window(spec.n_fft)
        self._windowed = np.empty((STFT_FRAMES, spec.n_fft))
        self._spectrum = np.empty((STFT_FRAMES, bins), np.complex128)
        self._power = np.empty((STFT_FRAMES, bins), np.float32)

    def mel(self, windows: Float32, out: Float32) -> None:
        """float32 [frames, n_fft] -> `out`, float32 [frames, n_mels]."""
        count = len(windows)
        windowed, spectrum, power = self._windowed[:count], self._spectrum[:count], self._power[:count]
        np.multiply(windows, self._window, out=windowed)
        np.fft.rfft(windowed, axis=1, out=spectrum)
        parts = spectrum.view(np.float64)
        np.multiply(parts, parts, out=parts)
        np.add(parts[:, 0::2], parts[:, 1::2], out=power, casting="same_kind")
        for rows, columns, part in self._bands:
            np.matmul(power[:, rows], part, out=out[:, columns])


def _bands(matrix: Float32) -> list[tuple[slice, slice, Float32]]:
    """The mel matrix in groups of columns, each without its zero rows: a quarter of the multiplications."""
    bands = []
    edges = np.linspace(0, matrix.shape[1], _BANDS + 1).astype(int).tolist()
    for columns in itertools.starmap(slice, itertools.pairwise(edges)):
        used = np.flatnonzero(matrix[:, columns].any(axis=1))
        rows = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0)
        bands.append((rows, columns, np.ascontiguousarray(matrix[rows, columns])))
    return bands


def _compress(power: Float32, spec: FeatureSpec) -> Float32:
    """Compresses mel power in place. Uses np.log because numpy vectorises it, unlike np.log10."""
    if spec.compression == "log10p1":
        power *= 10_000
        power += 1
        scale = 1 / np.log(10)
    else:
        np.maximum(power, _AMIN, out=power)
        scale = 10 / np.log(10)
    np.log(power, out=power)
    power *= np.float32(scale)
    return power


def log_mel(samples: Float32, spec: FeatureSpec) -> Float32:
    """`log_mel_of_frames` of a whole track: float32 [samples] at spec.sample_rate Hz -> float32 [frames, n_mels].

    Frames are centred and padded with zeros at both ends, as in `librosa.feature.melspectrogram(center=True)`.

    Raises:
      TooShort: fewer samples than one analysis window.
    """
    if len(samples) < spec.n_fft:
        raise TooShort(f"{len(samples)} samples, one window takes {spec.n_fft}")
    return log_mel_of_frames(np.pad(samples.astype(np.float32, copy=False), spec.n_fft // 2), spec)
