"""Loudness: the signals of EBU Tech 3341 and 3342, ffmpeg on real files, and the estimate's stated tolerance."""

import re
import shutil
import subprocess
import warnings

import numpy as np
import pytest
from scipy import signal

from tests.support.world import SHARED
from transforms.features.parameters import k_weighting, true_peak
from transforms.features.parameters.levels import channel_levels
from transforms.features.parameters.loudness import (
    Loudness,
    LoudnessMeter,
    integrated_lufs,
    measure_loudness,
    range_lu,
)
from transforms.features.parameters.loudness_excerpt import TOLERANCE_LU, _removed_power, estimate_loudness
from transforms.features.parameters.true_peak import interpolated_peak

pytestmark = pytest.mark.long

DATA = SHARED / "dev"
REAL = [
    "rendered/rd_ef78bae0.ogg",
    "music/mu_c9818a7f.ogg",
    "music/mu_499b82f7.wav",
    "speech8k/fs_9_jackson_0.wav",
    "sounds/so_singing_female.flac",
    "music/mu_7f963be2.m4a",
    "music/mu_8fb96dd5.mp3",
]


def tone(parts: list[tuple[float, float]], rate: int, channels: int = 2, hz: float = 1_000.0) -> np.ndarray:
    """A sine whose peak has each of the levels (dB of full scale) for its time (s), float32 [n, channels]."""
    gains = np.concatenate([np.full(round(seconds * rate), 10 ** (level / 20)) for level, seconds in parts])
    wave = (gains * np.sin(2 * np.pi * hz * np.arange(len(gains)) / rate)).astype(np.float32)
    return np.repeat(wave[:, None], channels, axis=1)


def noise(seed: int, seconds: float, rate: int, width: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    white = rng.standard_normal((round(seconds * rate), 2))
    smooth = [np.convolve(white[:, c], np.ones(width) / width, "same") for c in range(2)]
    return (0.1 * np.stack(smooth, axis=1)).astype(np.float32)


@pytest.mark.parametrize(
    ("parts", "rate"),
    [
        ([(-23, 20)], 48_000),  # Tech 3341, case 1
        ([(-36, 10), (-23, 60), (-36, 10)], 16_000),  # case 3: the relative gate
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], 16_000),  # case 4: the absolute gate
        ([(-26, 20), (-20, 20.1), (-26, 20)], 16_000),  # case 5
    ],
)
def test_integrated_loudness_of_conformance_signals(parts: list[tuple[float, float]], rate: int) -> None:
    exact = measure_loudness(tone(parts, rate), rate).loudness_lufs
    assert exact == pytest.approx(-23.0, abs=0.1)
    assert estimate_loudness(tone(parts, rate), rate).loudness.loudness_lufs == pytest.approx(exact, abs=0.1)


def test_level_is_followed_to_a_tenth() -> None:
    assert measure_loudness(tone([(-33, 5)], 44_100), 44_100).loudness_lufs == pytest.approx(-33.0, abs=0.1)  # case 2


def test_surround_channels_weigh_more_and_the_effects_channel_nothing() -> None:
    levels = {5: (-28, -28, -24, -30, -30), 6: (-28, -28, -24, 0, -30, -30)}  # case 6, and with an effects channel
    for channels, each in levels.items():
        gains = np.array([10 ** (level / 20) for level in each], np.float32)
        samples = tone([(0, 5)], 48_000, channels) * gains
        assert measure_loudness(samples, 48_000).loudness_lufs == pytest.approx(-23.0, abs=0.1)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [((-20, -30), 10), ((-20, -15), 5), ((-40, -20), 20), ((-50, -35, -20, -35, -50), 15)],  # Tech 3342, cases 1-4
)
def test_loudness_range_of_conformance_signals(levels: tuple[int, ...], expected: float) -> None:
    samples = tone([(level, 20) for level in levels], 8_000)
    assert measure_loudness(samples, 8_000).loudness_range_lu == pytest.approx(expected, abs=1.0)
    assert estimate_loudness(samples, 8_000).loudness.loudness_range_lu == pytest.approx(expected, abs=1.0)


@pytest.mark.parametrize(
    ("divisor", "degrees", "amplitude", "expected"),
    [(4, 0, 0.5, -6.0), (4, 45, 0.5, -6.0), (6, 60, 0.5, -6.0), (8, 67.5, 0.5, -6.0), (4, 45, 1.41, 3.0)],
)
def test_true_peak_of_conformance_signals(divisor: int, degrees: float, amplitude: float, expected: float) -> None:
    """Tech 3341, cases 15 to 19: tolerance +0.2, -0.4 dB. The sine fades in and out."""
    n = 48_000
    fade = np.minimum(1, np.minimum(np.arange(n), np.arange(n)[::-1]) / 2_000)
    wave = fade * amplitude * np.sin(2 * np.pi * np.arange(n) / divisor + np.deg2rad(degrees))
    samples = np.repeat(wave.astype(np.float32)[:, None], 2, axis=1)
    for peak in (
        measure_loudness(samples, 48_000).true_peak_dbtp,
        estimate_loudness(samples, 48_000).loudness.true_peak_dbtp,
    ):
        assert peak is not None
        assert -0.4 <= peak - expected <= 0.2


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_meter_gives_the_same_bits_for_any_chunking(channels: int) -> None:
    samples = np.random.default_rng(channels).normal(0, 0.2, (30_011, channels)).astype(np.float32)
    whole = measure_loudness(samples, 11_025)
    for size in (1, 977, 8_192):
        meter = LoudnessMeter(11_025, channels)
        for start in range(0, 3_000 if size == 1 else 0):
            meter.add(samples[start : start + 1])
        for start in range(3_000 if size == 1 else 0, len(samples), max(size, 100)):
            meter.add(samples[start : start + max(size, 100)])
        assert meter.result() == whole
    assert whole.loudness_lufs is not None


def with_soft_part(below: float, hops: int, gate_lu: float) -> np.ndarray:
    """Mean squares per hop of a sound at about -20 LUFS and a soft part `below` its gate, in LU.

    The gate is the mean of all windows of `hops` hops plus `gate_lu`, and 0.006 LU above a whole hundredth.
    """

    def energies(loud: float, soft: float) -> np.ndarray:
        return 10 ** ((np.repeat([loud, soft], [4_000, 800]) + 0.691) / 10)

    soft = gate = -20.0 + gate_lu
    for _ in range(50):
        windows = np.convolve(energies(-20.0, soft), np.full(hops, 1 / hops), "valid")
        gate = 10 * np.log10(windows.mean()) - 0.691 + gate_lu
        soft = gate - below
    shift = np.floor(100 * gate) / 100 + 0.006 - gate
    return energies(-20.0 + shift, soft + shift)


@pytest.mark.parametrize(("below", "counts"), [(-0.003, True), (0.003, True), (0.009, False)])
def test_a_level_is_compared_with_a_gate_in_hundredths(below: float, counts: bool) -> None:
    loudness = integrated_lufs(with_soft_part(below, 4, -10.0))
    assert loudness == pytest.approx(-20.7 if counts else -20.0, abs=0.05)
    assert range_lu(with_soft_part(below, 30, -20.0)) == pytest.approx(20.7 if counts else 0.0, abs=0.2)


def test_where_a_recording_is_cut_is_no_peak() -> None:
    """Silence before the first sample would be a step, beside which a band-limited signal swings over."""
    for rate, phase in ((48_000, 0.5), (16_000, 0.3)):
        wave = np.sin(2 * np.pi * (100 * np.arange(rate) / rate + phase / 2)).astype(np.float32)[:, None]
        for part in (wave, wave[: rate // 2 + 123], wave[:40]):
            sample_peak = 20 * np.log10(np.abs(part).max())
            assert measure_loudness(part, rate).true_peak_dbtp == pytest.approx(sample_peak, abs=0.03)


def between(row: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Highest absolute value in each gap after a sample, by the interpolator itself."""
    windows = np.stack([row[place : place + 2 * true_peak.REACH] for place in places])
    return np.abs(windows @ true_peak._interpolator()).max(axis=1)


@pytest.mark.parametrize("at_maxima", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_gaps_beside_high_samples_are_interpolated_and_no_others(seed: int, at_maxima: bool) -> None:
    rows = np.random.default_rng(seed).laplace(0, 0.1, (3, 2_000)).astype(np.float32)
    rows[seed % 3, [15, 16, -17, -16]] = 0.5, 0.5, -0.6, 0.6  # the first and the last samples that are looked at
    peak = float(np.abs(rows).max())
    heights = np.abs(rows[:, true_peak.REACH - 1 : -true_peak.REACH + 1])
    share = true_peak.NEAR_PEAK_AT_MAXIMA if at_maxima else true_peak.NEAR_PEAK
    high = heights >= share * peak
    if at_maxima:
        around = np.pad(heights, ((0, 0), (1, 1)))
        high &= (heights >= around[:, :-2]) & (heights >= around[:, 2:])
    highest = max(
        between(row, np.flatnonzero(near[:-1] | near[1:])).max()
        for row, near in zip(rows, high, strict=True)
        if near.any()
    )
    assert interpolated_peak(rows, peak, at_maxima=at_maxima) == pytest.approx(max(peak, highest), rel=1e-6)
    assert interpolated_peak(rows, 10.0, at_maxima=at_maxima) == 10.0


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
@pytest.mark.parametrize("rate", [8_000, 44_100, 48_017])
def test_hops_have_the_energies_of_the_two_filters(channels: int, rate: int) -> None:
    samples = np.random.default_rng(rate).normal(0, 0.1, (4 * rate, channels)).astype(np.float32)
    meter = LoudnessMeter(rate, channels)
    meter.add(samples)
    meter.result()
    filtered = samples.astype(np.float64)
    for numerator, denominator in k_weighting.biquads(rate):
        filtered = signal.lfilter(numerator, denominator, filtered, axis=0)
    hop = rate // 10
    hops = filtered[: len(filtered) // hop * hop].reshape(-1, hop, channels)
    wanted = (hops**2).mean(axis=1) @ k_weighting.channel_weights(channels)
    np.testing.assert_allclose(np.concatenate(meter._energies), wanted, rtol=1e-5)


def test_a_constant_offset_is_not_heard() -> None:
    samples = noise(1, 4, 16_000)
    plain, moved = (measure_loudness(s, 16_000).loudness_lufs for s in (samples, samples + np.float32(0.3)))
    assert plain == pytest.approx(moved, abs=0.1)


def test_a_gain_moves_loudness_and_peak_alike() -> None:
    quiet, loud = (measure_loudness(noise(2, 4, 22_050) * np.float32(g), 22_050) for g in (0.1, 1.0))
    assert quiet.loudness_lufs == pytest.approx(loud.loudness_lufs - 20, abs=0.02)
    assert quiet.loudness_range_lu == pytest.approx(loud.loudness_range_lu, abs=0.02)
    assert quiet.true_peak_dbtp == pytest.approx(loud.true_peak_dbtp - 20, abs=0.02)


@pytest.mark.parametrize("width", [1, 8, 100])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_the_estimate_keeps_its_tolerance(width: int, rate: int) -> None:
    samples = noise(width, 6, rate, width)
    samples *= np.linspace(0.2, 1.0, len(samples), dtype=np.float32)[:, None]
    exact, estimate = measure_loudness(samples, rate), estimate_loudness(samples, rate).loudness
    assert estimate.loudness_lufs == pytest.approx(exact.loudness_lufs, abs=TOLERANCE_LU)
    assert estimate.loudness_range_lu == pytest.approx(exact.loudness_range_lu, abs=0.5)
    assert estimate.true_peak_dbtp == pytest.approx(exact.true_peak_dbtp, abs=0.2)


@pytest.mark.parametrize("rate", [11_025, 22_050, 48_000])
def test_silence_after_a_deep_burst_stays_silent(rate: int) -> None:
    """What the high-pass removes of one hop must not ring through others: it would move the relative gate."""
    samples = np.zeros((6 * rate, 1), np.float32)
    samples[: 2 * rate, 0] = 0.5 * np.sin(2 * np.pi * 21 * np.arange(2 * rate) / rate) + 0.05
    samples[: 2 * rate] += noise(7, 2, rate)[:, :1]
    energies = _removed_power(channel_levels(samples, rate).low, rate)
    assert np.abs(energies[25:]).max() < 1e-9 < 1e-2 < energies[:20].min()


@pytest.mark.parametrize("rate", [48_000, 96_000, 192_000])
def test_the_estimate_is_as_near_at_high_rates(rate: int) -> None:
    """Waves of the bass under a little treble: frames of a few samples would lie between the waves."""
    spectrum = np.fft.rfft(noise(11, 6, 48_000, 2).cumsum(axis=0), axis=0)
    spectrum[: 6 * 30] = 0
    wave = np.fft.irfft(spectrum, 6 * rate, axis=0)
    samples = (0.5 * wave / np.abs(wave).max()).astype(np.float32)
    exact, found = measure_loudness(samples, rate), estimate_loudness(samples, rate)
    assert found.brightness_hz == pytest.approx(166, rel=0.02)
    assert found.loudness.loudness_lufs == pytest.approx(exact.loudness_lufs, abs=TOLERANCE_LU)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("seconds", [0.04, 1.04, 5.09])
def test_the_peak_of_the_estimate_may_be_after_the_last_whole_hop(seconds: float, channels: int) -> None:
    samples = np.zeros((round(seconds * 44_100), channels), np.float32)
    for last, level in ((-1, 0.5), (-40, 0.25), (-1_000, 0.75)):
        samples[last:, channels - 1] = level * np.hanning(-last + 2)[1:-1]
        peak = estimate_loudness(samples, 44_100).loudness.true_peak_dbtp
        assert peak == pytest.approx(20 * np.log10(np.abs(samples).max()), abs=0.1)
    assert estimate_loudness(samples, 44_100).loudness.loudness_lufs is None


def test_brightness_is_the_mean_frequency_of_the_power() -> None:
    assert estimate_loudness(tone([(-20, 1)], 44_100), 44_100).brightness_hz == pytest.approx(1_000, rel=0.02)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((16_000, 2)),
        np.zeros((0, 1)),
        np.full((100, 1), np.nan),
        np.full((16_000, 2), np.nan),
        np.zeros((4_000, 2)),
    ],
    ids=["silence", "nothing", "short", "not finite", "0.25 s"],
)
def test_nothing_is_said_of_silence(samples: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        samples = samples.astype(np.float32)
        assert measure_loudness(samples, 16_000) == Loudness()
        assert estimate_loudness(samples, 16_000).loudness == Loudness()


def test_extreme_samples_give_finite_values_without_a_warning() -> None:
    samples = np.zeros((16_000, 2), np.float32)
    samples[5_000:6_000] = 3e38
    samples[7_000] = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for found in (measure_loudness(samples, 16_000), estimate_loudness(samples, 16_000).loudness):
            assert found.loudness_lufs is not None
            assert found.true_peak_dbtp is not None
            assert np.isfinite([found.loudness_lufs, found.true_peak_dbtp]).all()


def test_impossible_rates_and_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="rate_hz=3999, channels=1"):
        LoudnessMeter(3_999, 1)
    with pytest.raises(ValueError, match="channels=0"):
        LoudnessMeter(8_000, 0)
    with pytest.raises(ValueError, match="channels=3"):
        estimate_loudness(np.zeros((8_000, 3), np.float32), 8_000)


@pytest.mark.skipif(not DATA.exists() or shutil.which("ffmpeg") is None, reason="needs recordings and ffmpeg")
@pytest.mark.parametrize("path", REAL)
def test_loudness_of_real_files_equals_ffmpegs(path: str) -> None:
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-i", str(DATA / path)]
    said = subprocess.run([*command, "-af", "ebur128=peak=true", "-f", "null", "-"], capture_output=True, text=True)
    summary = said.stderr[said.stderr.rindex("Summary:") :]
    loudness, peak = (float(re.search(rf"{name}:\s+(\S+)", summary)[1]) for name in ("I", "Peak"))  # type: ignore[index]
    stream = re.search(r"Audio: .*? (\d+) Hz, (mono|stereo)", said.stderr)
    assert stream is not None
    raw = subprocess.run([*command, "-f", "f32le", "-"], capture_output=True, check=True).stdout
    rate, channels = int(stream[1]), 1 + (stream[2] == "stereo")
    found = measure_loudness(np.frombuffer(raw, np.float32).reshape(-1, channels), rate)
    assert found.loudness_lufs == pytest.approx(loudness, abs=0.1)
    assert found.true_peak_dbtp == pytest.approx(peak, abs=0.2)
