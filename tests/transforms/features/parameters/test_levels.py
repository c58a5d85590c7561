"""Silence, clipping, stereo and energy on signals made to have each of them."""

import warnings

import numpy as np
import pytest

from transforms.features.parameters.levels import (
    Silence,
    Stereo,
    channel_levels,
    clipped_ratio,
    energy,
    measure_silence,
    stereo_image,
)

RATE = 16_000


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def quiet(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def clipped(samples: np.ndarray) -> float | None:
    return clipped_ratio(samples, channel_levels(samples, RATE))


def image(samples: np.ndarray) -> Stereo:
    return stereo_image(channel_levels(samples, RATE))


def test_silence_before_between_and_after() -> None:
    track = np.concatenate([quiet(0.5), sound(1), quiet(1), sound(1), quiet(0.25)])
    found = measure_silence([track], RATE)
    assert found.silence_ratio == pytest.approx(1.75 / 3.75, abs=0.02)
    assert found.leading_silence_s == pytest.approx(0.5, abs=0.001)
    assert found.trailing_silence_s == pytest.approx(0.25, abs=0.001)


def test_edges_come_from_the_first_and_the_last_excerpt() -> None:
    found = measure_silence(
        [np.concatenate([quiet(1), sound(2)]), sound(3), np.concatenate([sound(1), quiet(2)])], RATE
    )
    assert found == Silence(silence_ratio=pytest.approx(1 / 3, abs=0.01), leading_silence_s=1.0, trailing_silence_s=2.0)


def test_a_silent_first_excerpt_is_all_leading_silence() -> None:
    assert measure_silence([quiet(3), sound(3)], RATE).leading_silence_s == 3.0


def test_of_silence_only_the_ratio_is_known() -> None:
    assert measure_silence([quiet(2)], RATE) == Silence(silence_ratio=1.0)
    assert measure_silence([], RATE) == Silence()
    assert measure_silence([np.zeros((0, 2), np.float32)], RATE) == Silence()


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.0), (0.1, 0.1), (1.0, 1.0)])
def test_clipped_runs_are_counted(share: float, expected: float) -> None:
    samples = sound(1)[:, None].repeat(2, axis=1)
    samples[: round(share * RATE)] = 1.0
    assert clipped(samples) == pytest.approx(expected, abs=1e-4)


def test_short_peaks_are_not_clipping() -> None:
    samples = np.zeros((1_000, 1), np.float32)
    samples[::10] = 1.0
    samples[1::10] = 1.0
    assert clipped(samples) == 0.0
    samples[2::10] = -1.2
    assert clipped(samples) == 0.3
    assert clipped(np.zeros((0, 2), np.float32)) is None


def test_more_gain_clips_more() -> None:
    samples = sound(1)[:, None]
    shares = [clipped(np.clip(samples * np.float32(gain), -1, 1)) for gain in (1, 10, 20, 40)]
    assert shares == sorted(shares)
    assert shares[-1] > 0.3


@pytest.mark.parametrize(
    ("left", "right", "width", "inverted"),
    [
        (sound(1), sound(1), 0.0, False),
        (sound(1), -sound(1), 1.0, True),
        (sound(1), sound(1, 1), 0.5, False),
        (sound(1), quiet(1), 0.5, False),
        (sound(1), -sound(1) + 0.2 * sound(1, 1), 0.99, True),
    ],
    ids=["mono", "inverted", "unrelated", "one side", "nearly inverted"],
)
def test_stereo_image(left: np.ndarray, right: np.ndarray, width: float, inverted: bool) -> None:
    found = image(np.stack([left, right], axis=1))
    assert found.stereo_width == pytest.approx(width, abs=0.02)
    assert found.phase_inverted is inverted
    louder = image(4 * np.stack([left, right], axis=1))
    assert louder.stereo_width == pytest.approx(found.stereo_width, abs=0.001)


def test_no_stereo_image_without_two_sounding_channels() -> None:
    assert image(sound(1)[:, None]) == Stereo()
    assert image(np.zeros((RATE, 2), np.float32)) == Stereo()
    assert image(np.zeros((0, 2), np.float32)) == Stereo()


def test_energy_never_falls_as_a_part_rises() -> None:
    loud, bright, busy = range(-80, 10, 7), (0.0, 10.0, 200.0, 1_000.0, 9_000.0), (None, 0.0, 1.5, 4.0, 20.0)
    values = np.array([[[energy(a, b, c) for c in busy] for b in bright] for a in loud])
    assert values.min() == 0.0
    assert values.max() == 1.0
    for axis in range(3):
        assert (np.diff(values, axis=axis) >= 0).all()
    assert energy(-24.0, 1_000.0, 4.0) == pytest.approx(0.5 * 0.5 + 0.25 * 0.5 + 0.25 * 0.5)
    assert energy(None, 1_000.0, 4.0) is None


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("length", [1, 999, 1_600, 48_017])
def test_one_pass_gives_the_sums_of_each_hop(length: int, channels: int) -> None:
    samples = np.random.default_rng(length).normal(0, 0.2, (length, channels)).astype(np.float32)
    found = channel_levels(samples, RATE)
    starts = range(0, length, 1_600)
    hops = [samples[start : start + 1_600].astype(np.float64) for start in starts]
    assert (found.channels, found.length, found.hop) == (channels, length, 1_600)
    np.testing.assert_allclose(found.squares, [(hop[:, :2] ** 2).sum() for hop in hops], rtol=1e-4)
    np.testing.assert_array_equal(found.highest, [np.abs(hop).max() for hop in hops])
    product = sum((hop[:, 0] * hop[:, 1]).sum() for hop in hops) if channels > 1 else 0
    assert found.product == pytest.approx(product, abs=1e-3 * length**0.5)
    whole = samples[: length // 1_600 * 1_600].reshape(-1, 1_600, channels)
    left, right = whole[..., 0], whole[..., 1] if channels > 1 else 0
    np.testing.assert_allclose(found.low, (left + 1j * right).reshape(-1, 80, 20).mean(axis=2), atol=1e-5)
    window = np.hanning(513)[:512]
    np.testing.assert_allclose(found.frames, ((left + 1j * right)[:, 544:1_056]) * window, atol=1e-5)


LAYOUTS = {
    "every second row": lambda samples: samples.repeat(2, axis=0)[::2],
    "columns of a wider array": lambda samples: np.pad(samples, ((0, 0), (1, 2)))[:, 1:-2],
    "column by column": np.asfortranarray,
    "from its end": lambda samples: samples[::-1].copy()[::-1],
    "the other byte order": lambda samples: samples.astype(">f4"),
    "off by four bytes": lambda samples: np.concatenate([np.zeros(1, np.float32), samples.ravel()])[1:],
}


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("name", LAYOUTS)
def test_how_samples_lie_in_memory_changes_no_bit(name: str, channels: int) -> None:
    samples = np.random.default_rng(3).normal(0, 0.2, (RATE + 77, channels)).astype(np.float32)
    found = channel_levels(LAYOUTS[name](samples).reshape(samples.shape), RATE)
    for field, value in vars(channel_levels(samples, RATE)).items():
        np.testing.assert_array_equal(getattr(found, field), value)


def test_runs_across_hops_and_at_the_ends_are_clipping() -> None:
    samples = np.zeros((RATE, 2), np.float32)
    for first, last, channel in [(0, 3, 0), (1_598, 1_602, 1), (3_199, 3_201, 0), (4_799, 6_500, 1), (15_990, RATE, 0)]:
        samples[first:last, channel] = -1.0
    assert clipped(samples) == round((3 + 4 + 1_701 + 10) / samples.size, 6)


def test_samples_that_are_not_finite_raise_no_warning() -> None:
    samples = sound(1)[:, None].repeat(2, axis=1)
    samples[100:200] = np.nan
    samples[300] = np.inf
    samples[301] = 3e38
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert measure_silence([samples], RATE).silence_ratio == 0.0
        assert clipped(samples) == 0.0
        assert image(samples).phase_inverted is False
