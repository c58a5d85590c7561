"""Sounding pitches of a recording: spectral peaks on a tuned semitone grid, with harmonics reduced."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import fft

from transforms.features.parameters.cleaning import FULL_SCALE_LIMIT, finite

LOWEST_MIDI, SEMITONES = 31, 72
"""The grid: six octaves from G1 (49 Hz) to F#7 (2,960 Hz)."""
FRAME_S = 0.512
MOST_FRAMES = 40
"""Frames of a recording: longer arrays are sampled at even distances. 48 and 64 tell no more, and 32 tell less of music
made like recordings (0.023 of 432 pieces)."""
FEWEST_OF_ARRAY, MOST_ARRAYS = 4, 16
"""Frames of each of several arrays, so that they are neighbours in an array of 3 s; of more arrays, some are used."""
FRAMES_AT_ONCE = 8
"""Frames transformed at a time, so that they stay in the processor's cache."""
LEAST_HALVED_HZ = 16_000
"""From this rate on two samples are added to one, for half the work. What is folded into the grid comes from above
5 kHz, 5 dB lower or more, where music has little."""
TILT, TILT_BELOW_HZ, TILT_AT_HZ = 0.5, 1_000.0, 400.0
"""Amplitudes are multiplied by (f / 400 Hz) ** 0.5 up to 1 kHz, 3 dB an octave: the spectrum of music falls by about as
much, and beside a bass drum or a loud bass the notes of the middle would be too far below the strongest peak."""
SHORTEST_FRAME_SHARE = 0.5
"""An array shorter than this share of a frame is left out."""
SILENT_PEAK = 3e-4
"""Frames whose strongest partial has a lower amplitude (-70 dB of full scale) are left out."""
PEAK_RANGE_DB = 30.0
"""Peaks further below the strongest of their frame are left out."""
HARMONICS = (19, 28, 31, 34, 38)
"""Semitones from a note to its partials 3, 5, 6, 7 and 9, which have another pitch class or sound like one."""
HARMONIC_SHARE = 0.4
A4_HZ = 440.0

FloatRows = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PitchGrid:
    """Pitches of the frames that sound.

    Attributes:
      notes: amplitude of each semitone relative to the frame's strongest peak, float64 [frames, SEMITONES].
      levels: amplitude of each frame's strongest peak relative to the loudest frame's, float64 [frames].
      follows: whether a frame follows the one before it, within two frames' lengths, bool [frames].
      tuning_cents: deviation from A4 = 440 Hz, -50 to 50.
      tuned_share: how well the peaks agree on one tuning, 0 (uniform) to 1.
      peak_share: share of the spectrum's power that lies in peaks, about 0 to 1.
      frames: all frames, with the silent ones.
    """

    notes: FloatRows
    levels: FloatRows
    follows: npt.NDArray[np.bool_]
    tuning_cents: float
    tuned_share: float
    peak_share: float
    frames: int


def pitch_grid(arrays: Sequence[npt.NDArray[np.float32]], rate_hz: int) -> PitchGrid | None:
    """The grid of mono arrays at one rate, or None where no frame sounds."""
    size = 1 << round(np.log2(FRAME_S * rate_hz))
    low = int(49.0 * size / rate_hz)
    high = min(int(3_000.0 * size / rate_hz), size // 2)
    with np.errstate(over="ignore", invalid="ignore"):
        spectra, owners = _spectra(arrays, rate_hz, size, low - 1, high + 1)
    if not spectra.max(initial=0.0) < FULL_SCALE_LIMIT:  # tells odd samples without a pass over all of them
        spectra, owners = _spectra([finite(array) for array in arrays], rate_hz, size, low - 1, high + 1)
    if not len(spectra):
        return None
    band = spectra[:, 1:-1]
    loudest = band.max(axis=1)
    sounding = loudest > SILENT_PEAK
    if not sounding.any():
        return None
    if not sounding.all():
        spectra, owners, band, loudest = spectra[sounding], owners[sounding], band[sounding], loudest[sounding]
    frame, hz, amplitude = _peaks(spectra, loudest, low - 1, rate_hz / size)
    relative = amplitude / loudest[frame]
    levels = (loudest / loudest.max()).astype(np.float64)
    tuning, tuned_share = _tuning(hz, relative, levels[frame])
    notes = _semitones(frame, hz, relative, tuning, len(band))
    power = np.vecdot(band, band)
    peak_power = np.bincount(frame, amplitude**2, len(band)) * 1.5  # The main lobe of a Hann window.
    return PitchGrid(
        notes=notes,
        levels=levels,
        follows=np.concatenate([[False], (np.diff(owners) == 0) & (np.diff(np.flatnonzero(sounding)) == 1)]),
        tuning_cents=round(100 * tuning, 1),
        tuned_share=tuned_share,
        peak_share=float(np.mean(peak_power / power)),
        frames=len(sounding),
    )


def without_harmonics(notes: FloatRows) -> FloatRows:
    """Notes less a share of what the harmonics of lower notes may have added."""
    reduced = notes.copy()
    for steps in HARMONICS:
        reduced[:, steps:] -= HARMONIC_SHARE * notes[:, :-steps]
    return np.maximum(reduced, 0.0)


def _spectra(
    arrays: Sequence[npt.NDArray[np.float32]], rate_hz: int, size: int, low: int, high: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Tilted amplitude spectra, float32 [frames, high - low], and a number that neighbouring frames share."""
    step = 2 if rate_hz >= LEAST_HALVED_HZ else 1
    window, buffer = _window(size, step), np.empty((FRAMES_AT_ONCE, size // step), np.float32)
    gains = _gains(low, high, size, rate_hz)
    owners: list[int] = []
    blocks = [np.zeros((0, high - low), np.float32)]
    arrays = arrays[:: -(-len(arrays) // MOST_ARRAYS) or 1]
    for index, samples in enumerate(arrays):
        if len(samples) < SHORTEST_FRAME_SHARE * size:
            continue
        if len(samples) < size:
            samples = np.concatenate([samples, np.zeros(size - len(samples), np.float32)])
        count = max(1, min(round(len(samples) / size), max(FEWEST_OF_ARRAY, MOST_FRAMES // len(arrays))))
        hop = (len(samples) - size) // (count - 1) if count > 1 else size
        apart = hop >= 2 * size
        frames = np.lib.stride_tricks.sliding_window_view(samples, size)[:: max(hop, 1)][:count]
        for first in range(0, len(frames), FRAMES_AT_ONCE):
            some = frames[first : first + FRAMES_AT_ONCE]
            weighted = buffer[: len(some)]
            if step == 2:
                np.add(some[:, ::2], some[:, 1::2], out=weighted)
                weighted *= window
            else:
                np.multiply(some, window, out=weighted)
            parts = np.square(fft.rfft(weighted)[:, low:high].view(np.float32))
            amplitudes = np.sqrt(parts[:, ::2] + parts[:, 1::2])
            amplitudes *= gains
            blocks.append(amplitudes)
        owners += [len(owners) + i if apart else -1 - index for i in range(len(frames))]
    return np.concatenate(blocks), np.array(owners, np.int64)


@functools.lru_cache(4)
def _window(size: int, step: int) -> npt.NDArray[np.float32]:
    """A Hann window for sums of `step` samples, with which a sine has its amplitude: float32 [size / step]."""
    places = np.arange(size // step) + (step - 1) / (2 * step)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * places * step / size)
    return np.asarray(window * (2 / step / window.sum()), np.float32)


@functools.lru_cache(4)
def _gains(low: int, high: int, size: int, rate_hz: int) -> npt.NDArray[np.float32]:
    """Gain of each bin: `TILT`, and what sums of two samples take away."""
    hz = np.arange(low, high) * rate_hz / size
    tilt = (np.minimum(hz, TILT_BELOW_HZ) / TILT_AT_HZ) ** TILT
    lost = np.cos(np.pi * hz / rate_hz) if rate_hz >= LEAST_HALVED_HZ else 1.0
    return np.asarray(tilt / lost, np.float32)


def _peaks(
    spectra: npt.NDArray[np.float32], loudest: npt.NDArray[np.float32], low: int, hz: float
) -> tuple[npt.NDArray[np.int64], FloatRows, FloatRows]:
    """Frame, frequency and amplitude of local maxima, refined by a parabola through three logarithms.

    Column 0 of the spectra is bin `low`; it and the last one are only neighbours.
    """
    flat, bins = spectra.ravel(), spectra.shape[1]
    threshold = loudest * np.float32(10 ** (-PEAK_RANGE_DB / 20))
    high = np.flatnonzero((spectra > threshold[:, None]).ravel())
    high = high[(high % bins != 0) & (high % bins != bins - 1)]
    three = flat[high - 1], flat[high], flat[high + 1]
    is_peak = (three[1] > three[0]) & (three[1] >= three[2])
    frame, place = np.divmod(high[is_peak], bins)
    near = [np.log(np.maximum(part[is_peak], 1e-12).astype(np.float64)) for part in three]
    curve = near[0] - 2 * near[1] + near[2]
    shift = 0.5 * (near[0] - near[2]) / np.minimum(curve, -1e-9)
    amplitude = np.exp(near[1] - 0.25 * (near[0] - near[2]) * shift)
    return frame, (place + low + shift) * hz, amplitude


def _tuning(hz: FloatRows, relative: FloatRows, levels: FloatRows) -> tuple[float, float]:
    """Deviation from equal temperament at 440 Hz in semitones (circular mean), and its resultant length."""
    weights = np.where(hz > 110, relative**0.7 * np.minimum(1.0, hz / 400) * np.sqrt(levels), 0.0)
    total = weights.sum()
    if total <= 0:
        return 0.0, 0.0
    mean = (weights * np.exp(2j * np.pi * 12 * np.log2(hz / A4_HZ))).sum() / total
    return float(np.angle(mean) / (2 * np.pi)), float(abs(mean))


def _semitones(
    frame: npt.NDArray[np.int64], hz: FloatRows, relative: FloatRows, tuning: float, frames: int
) -> FloatRows:
    """Amplitudes by frame and semitone; a peak between two semitones counts less, float64 [frames, SEMITONES]."""
    midi = 12 * np.log2(hz / A4_HZ) + 69 - tuning
    nearest = np.round(midi).astype(np.int64)
    weights = relative * np.sqrt(np.maximum(1 - 2 * np.abs(midi - nearest), 0.0))
    place = nearest - LOWEST_MIDI
    inside = (place >= 0) & (place < SEMITONES)
    index = frame[inside] * SEMITONES + place[inside]
    return np.bincount(index, weights[inside], frames * SEMITONES).astype(np.float64).reshape(frames, SEMITONES)
