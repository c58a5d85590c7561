import numpy as np
import pytest

from pipelines.synthesis import instruments

RATE = 22_050


def spectrum(note):
    return np.abs(np.fft.rfft(note * np.hanning(len(note))))


def loudest_hz(note):
    return float(np.argmax(spectrum(note)) * RATE / len(note))


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("name", sorted(instruments.PITCHED))
def test_a_note_is_finite_float32_of_its_length(name):
    note = instruments.PITCHED[name](220.0, 0.5, RATE, 1.0, rng())
    assert note.dtype == np.float32 and abs(len(note) - RATE // 2) <= 1
    assert np.isfinite(note).all() and 0.1 < np.abs(note).max() < 2.5


@pytest.mark.parametrize("name", sorted(instruments.PITCHED))
def test_a_note_repeats_with_its_seed(name):
    first, second = (instruments.PITCHED[name](220.0, 0.3, RATE, 1.0, rng()) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", ["guitar", "organ", "flute", "bass"])
def test_the_fundamental_is_where_it_was_asked_for(name):
    note = instruments.PITCHED[name](220.0, 1.0, RATE, 1.2, rng())
    peaks = spectrum(note)
    assert abs(np.argmax(peaks[:300]) - 220) <= 3


def test_a_voice_has_vibrato_and_an_organ_has_none():
    def spread(name):
        peaks = spectrum(instruments.PITCHED[name](440.0, 1.0, RATE, 1.0, rng()))[380:500] ** 2
        hertz = np.arange(380, 500)
        centre = (peaks * hertz).sum() / peaks.sum()
        return float(np.sqrt((peaks * (hertz - centre) ** 2).sum() / peaks.sum()))

    assert spread("voice") > 2 * spread("organ")


def test_bells_are_inharmonic():
    peaks = spectrum(instruments.bell(220.0, 1.0, RATE, 1.0, rng()))
    assert peaks[440] > 100 * peaks[660] and peaks[440 + 770] > 3 * peaks[880]


def test_tilt_darkens():
    def centroid(tilt):
        peaks = spectrum(instruments.organ(220.0, 0.5, RATE, tilt, rng()))
        return (peaks * np.arange(len(peaks))).sum() / peaks.sum()

    assert centroid(1.6) < centroid(0.7)


def test_drums_lie_low_and_high():
    assert loudest_hz(instruments.kick(RATE, 1.0)) < 120
    assert loudest_hz(instruments.hat(RATE, 1.0, rng())) > 3000


def test_harmonics_over_the_nyquist_rate_are_left_out():
    note = instruments.harmonics(np.full(RATE, 4000.0), np.ones(10), RATE)
    peaks = spectrum(note)
    assert peaks[8000] > 100 and peaks[10_050:10_100].max() < 1e-3 * peaks[8000]


def test_an_envelope_starts_and_ends_at_rest():
    gain = instruments.envelope(1000, 1000, 0.1, 0.2)
    assert gain[0] == 0 and gain[500] == 1 and gain[-1] < 0.01
