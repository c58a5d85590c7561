import dataclasses

import numpy as np
import pytest

from pipelines.synthesis.song import Song, Timbre, hertz, render

RATE = 16_000
TIMBRE = Timbre(tilt=1.0, detune=1.0, swing=0.0, reverb_s=0.2, width=0.5, noise=1e-4)
SONG = Song(bpm=120, mode="major", tonic=57, levels={"organ": 1.0}, bright=True, timbre=TIMBRE, seed=(1, 2))


def energy_at(samples, hz):
    """Share of the spectrum's energy within 1.5 % of a frequency."""
    power = np.abs(np.fft.rfft(samples[:, 0] * np.hanning(len(samples)))) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(power[np.abs(frequencies / hz - 1) < 0.015].sum() / power.sum())


@pytest.mark.parametrize("channels", [1, 2])
def test_a_song_is_stereo_or_mono_with_a_known_peak(channels):
    samples = render(SONG, 1.0, RATE, channels)
    assert samples.shape == (RATE, channels) and samples.dtype == np.float32
    assert np.abs(samples).max() == pytest.approx(0.8)


def test_a_song_repeats_with_its_seed_and_differs_with_another():
    melody = dataclasses.replace(SONG, levels={"flute": 1.0})
    other = dataclasses.replace(melody, seed=(1, 3))
    assert np.array_equal(render(melody, 1.0, RATE), render(melody, 1.0, RATE))
    assert not np.array_equal(render(melody, 1.0, RATE), render(other, 1.0, RATE))


def test_the_third_tells_major_from_minor():
    major = render(SONG, 2.0, RATE)
    minor = render(dataclasses.replace(SONG, mode="minor"), 2.0, RATE)
    assert energy_at(major, hertz(57 + 4)) > 10 * energy_at(minor, hertz(57 + 4))
    assert energy_at(minor, hertz(57 + 3)) > 10 * energy_at(major, hertz(57 + 3))


def test_drums_mark_the_tempo():
    samples = render(dataclasses.replace(SONG, levels={"drums": 1.0}, bpm=100), 6.0, RATE)
    loudness = (samples[:, 0].reshape(-1, 160) ** 2).sum(axis=1)
    correlation = np.correlate(loudness, loudness, "full")[len(loudness) - 1 :]
    assert 50 + np.argmax(correlation[50:150]) in range(58, 63)


def test_dark_songs_have_less_treble():
    def treble(bright):
        samples = render(dataclasses.replace(SONG, levels={"drums": 1.0}, bright=bright), 2.0, RATE)
        power = np.abs(np.fft.rfft(samples[:, 0])) ** 2
        return power[len(power) // 2 :].sum() / power.sum()

    assert treble(False) < 0.2 * treble(True)


def test_unknown_instruments_are_named():
    with pytest.raises(ValueError, match="kazoo"):
        render(dataclasses.replace(SONG, levels={"kazoo": 1.0}), 1.0, RATE)


def test_concert_pitch():
    assert hertz(69) == 440 and hertz(81) == 880
