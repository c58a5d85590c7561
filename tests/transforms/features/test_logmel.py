"""Log-mel: librosa's values, by a shorter way."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.support.synth import SPEC, music, sine
from transforms.audio.errors import TooShort
from transforms.features.logmel import frame_count, hand_over_mel_matrix, log_mel, log_mel_of_frames, mel_matrix


def by_librosa(samples, spec):
    import librosa

    power = librosa.feature.melspectrogram(
        y=samples,
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        hop_length=spec.hop_length,
        n_mels=spec.n_mels,
        fmin=spec.fmin,
        fmax=spec.fmax,
    )
    return librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None).T


@pytest.mark.parametrize("samples", [music(4.0, 16_000, 1)[:, 0], sine(1.0, 16_000)[:, 0], np.ones(512, np.float32)])
def test_equals_librosa_within_a_thousandth_of_a_decibel(samples):
    ours, theirs = log_mel(samples, SPEC), by_librosa(samples, SPEC)
    assert ours.shape == theirs.shape
    loud = theirs > -80
    assert np.abs(ours - theirs)[loud].max() < 1e-3


def test_equals_librosa_under_another_spec():
    spec = dataclasses.replace(SPEC, sample_rate=22_050, n_fft=1024, hop_length=512, n_mels=40, fmin=50.0)
    samples = music(2.0, 22_050, 1)[:, 0]
    theirs = by_librosa(samples, spec)
    assert np.abs(log_mel(samples, spec) - theirs)[theirs > -80].max() < 1e-3


def test_a_sine_peaks_in_the_band_that_holds_its_frequency():
    mels = log_mel(sine(1.0, 16_000, hz=1000.0)[:, 0], SPEC)
    assert mels[30].argmax() == mel_matrix(SPEC)[round(1000 * SPEC.n_fft / SPEC.sample_rate)].argmax()


def test_silence_is_the_floor_and_finite():
    np.testing.assert_allclose(log_mel(np.zeros(16_000, np.float32), SPEC), -100, atol=1e-4)


def test_log10p1_is_the_logarithm_of_one_plus_ten_thousand_times_the_power():
    spec = dataclasses.replace(SPEC, compression="log10p1")
    samples = music(1.0, 16_000, 1)[:, 0]
    power = 10 ** (log_mel(samples, SPEC).astype(np.float64) / 10)
    np.testing.assert_allclose(log_mel(samples, spec), np.log10(1 + 10_000 * power), atol=1e-4)


def test_one_window_is_the_least():
    with pytest.raises(TooShort, match="511 samples"):
        log_mel(np.zeros(511, np.float32), SPEC)


def test_frames_are_centred_on_every_hop():
    assert len(log_mel(np.zeros(1000, np.float32), SPEC)) == frame_count(1000, SPEC) == 4


def test_a_frame_is_the_same_alone_and_in_bulk():
    samples = music(10.0, 16_000, 1)[:, 0]
    whole = log_mel_of_frames(samples, SPEC)
    alone = log_mel_of_frames(samples[300 * 256 : 300 * 256 + 512], SPEC)
    np.testing.assert_allclose(whole[300], alone[0], atol=1e-3)


def test_a_handed_over_matrix_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"expected float32 \(257, 96\)"):
        hand_over_mel_matrix(SPEC, np.zeros((96, 257), np.float32))


@pytest.mark.long
def test_the_filters_are_the_same_where_numba_has_no_folder_for_its_cache():
    code = """if True:
        import numba.core.caching
        for kind in (numba.core.caching.CacheImpl, *numba.core.caching.CacheImpl.__subclasses__()):
            kind._locator_classes = []
        import numba
        try:
            numba.njit(cache=True)(lambda: 1)
        except RuntimeError:
            from transforms.features.logmel import mel_matrix
            from transforms.features.spec import FeatureSpec
            print(mel_matrix(FeatureSpec()).tobytes().hex())
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == mel_matrix(SPEC).tobytes().hex(), done.stderr
