"""Fixed statistics of a track's patches."""

import numpy as np
import pytest
from scipy.fft import dct

from models.embedding.statistics import (
    CEPSTRA,
    PULSE_LAGS,
    STATISTICS_BY_VERSION,
    decibels,
    dimension,
    statistics_1,
    statistics_2,
)

RNG = np.random.default_rng(0)
PATCHES = RNG.normal(-40, 10, (3, 150, 24)).astype(np.float16)


def test_the_first_version_is_moments_of_bands_and_cepstra():
    mels = PATCHES.astype(np.float64)
    cepstra = dct(mels, axis=-1, norm="ortho")[..., :CEPSTRA]
    parts = [f for v in (mels, cepstra) for f in (v.mean((0, 1)), v.std((0, 1)), np.diff(v, axis=1).std((0, 1)))]
    np.testing.assert_allclose(statistics_1(PATCHES, "db"), np.concatenate(parts), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("version", STATISTICS_BY_VERSION)
@pytest.mark.parametrize(("frames", "mels"), [(150, 24), (1, 24), (3, 5), (187, 96)])
def test_every_shape_has_finite_statistics(version, frames, mels):
    patches = RNG.normal(-40, 10, (2, frames, mels)).astype(np.float16)
    found = STATISTICS_BY_VERSION[version](patches, "db")
    assert found.shape == (dimension(version, mels),) and found.dtype == np.float32 and np.isfinite(found).all()


def test_silence_is_finite():
    assert np.isfinite(statistics_2(np.full((2, 187, 96), -100, np.float16), "db")).all()


def test_both_compressions_give_the_same_levels():
    levels = RNG.uniform(-70, 0, (2, 20, 8)).astype(np.float32)
    compressed = np.log10(1 + 1e4 * 10 ** (levels / 10)).astype(np.float16)
    np.testing.assert_allclose(decibels(compressed, "log10p1"), decibels(levels, "db"), atol=0.5)


def test_how_silent_silence_is_does_not_matter():
    quiet = np.full((2, 187, 24), -100, np.float32)
    quiet[:, ::9] = -10
    np.testing.assert_array_equal(statistics_2(quiet, "db"), statistics_2(np.maximum(quiet, -92), "db"))


@pytest.mark.parametrize("lag", [17, 25, 42])
def test_a_pulse_is_seen_at_its_lag(lag):
    patches = np.full((4, 187, 24), -60, np.float32)
    patches[:, ::lag] = -20
    pulses = dict(zip(PULSE_LAGS, statistics_2(patches, "db")[-len(PULSE_LAGS) :], strict=True))
    assert pulses[lag] > 0.5 and all(pulses[other] < 0.2 for other in PULSE_LAGS if 2 < abs(other - lag) < lag - 2)
