"""Tempo, metre, onset rate and danceability on signals whose truth is known by construction."""

import io
import subprocess
import sys
import warnings

import numpy as np
import pytest
import soundfile

from tests.support.drums import CLICKS, HOUSE, RATE_HZ, ROCK, SIX, WALTZ, pattern
from transforms.features.rhythm import onsets, periods
from transforms.features.rhythm.measuring import Rhythm, measure_rhythm

pytestmark = pytest.mark.long

BPMS = (60, 75, 90, 105, 120, 135, 150, 170, 200)
OCTAVES = (1, 2, 1 / 2, 3, 1 / 3)


@pytest.fixture(autouse=True)
def _no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="module")
def told():
    """Rhythm of every pattern at every tempo."""
    patterns = {"rock": (ROCK, 2), "house": (HOUSE, 2), "waltz": (WALTZ, 2), "six": (SIX, 3)}
    return {
        (name, bpm): measure_rhythm(pattern(bpm, strokes, steps), RATE_HZ)
        for name, (strokes, steps) in patterns.items()
        for bpm in BPMS
        if name != "six" or bpm <= 120
    }


def is_tempo(found, bpm, factors=(1,)):
    return found is not None and any(abs(found / (bpm * factor) - 1) < 0.04 for factor in factors)


def test_tempo_up_to_its_octave_on_every_pattern(told):
    wrong = {at: found.tempo_bpm for at, found in told.items() if not is_tempo(found.tempo_bpm, at[1], OCTAVES)}
    assert len(wrong) <= 0.05 * len(told), wrong


def test_tempo_itself_on_most_patterns(told):
    wrong = {at: found.tempo_bpm for at, found in told.items() if not is_tempo(found.tempo_bpm, at[1])}
    assert len(wrong) <= 0.3 * len(told), wrong


def test_tempo_is_exact_to_three_thousandths_where_it_is_right(told):
    errors = [abs(found.tempo_bpm / bpm - 1) for (_, bpm), found in told.items() if is_tempo(found.tempo_bpm, bpm)]
    assert max(errors) < 0.003


def test_alternative_is_the_other_octave(told):
    for found in told.values():
        assert found.tempo_alternative_bpm / found.tempo_bpm == pytest.approx(2, rel=1e-3) or (
            found.tempo_alternative_bpm / found.tempo_bpm == pytest.approx(0.5, rel=1e-3)
        )
        assert 0 <= found.tempo_alternative_weight <= 1


@pytest.mark.parametrize(
    ("name", "signature"), [("rock", (4, 4)), ("house", (4, 4)), ("waltz", (3, 4)), ("six", (6, 8))]
)
def test_metre_on_most_patterns(told, name, signature):
    signatures = [(found.beats_per_bar, found.beat_unit) for (of, _), found in told.items() if of == name]
    assert signatures.count(signature) >= 0.6 * len(signatures), signatures


def silence(seconds):
    return np.zeros(int(seconds * RATE_HZ), np.float32)


def one_click(seconds=20.0):
    samples = silence(seconds)
    samples[RATE_HZ : RATE_HZ + 40] = 0.9
    return samples


def tone(hz, seconds=20.0):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def noise(colour, seconds=20.0):
    spectrum = np.fft.rfft(np.random.default_rng(5).standard_normal(int(seconds * RATE_HZ)))
    samples = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** (colour / 2))
    return (0.3 * samples / np.abs(samples).max()).astype(np.float32)


@pytest.mark.parametrize(
    "samples",
    [
        silence(0),
        silence(20),
        silence(20) + np.float32(0.25),
        silence(20) + np.float32(1e-7),
        one_click(),
        tone(220),
        tone(220) + tone(277.18) + tone(329.63),
        noise(0),
        noise(1),
        noise(2),
        pattern(120, ROCK, seconds=0.3),
        np.full(20 * RATE_HZ, np.nan, np.float32),
    ],
    ids=["empty", "silence", "offset", "dust", "click", "sine", "chord", "white", "pink", "brown", "short", "nan"],
)
def test_nothing_is_said_of_what_has_no_pulse(samples):
    found = measure_rhythm(samples, RATE_HZ)
    assert found.tempo_bpm is None or found.tempo_confidence < 0.25, found
    assert found.tempo_bpm is not None or found == Rhythm(onset_rate_hz=found.onset_rate_hz)


def test_too_short_and_silent_say_nothing_at_all():
    assert measure_rhythm(silence(20), RATE_HZ) == Rhythm()
    assert measure_rhythm(pattern(120, ROCK, seconds=3.9), RATE_HZ) == Rhythm()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_no_sound_change_nothing_or_little(bad):
    samples = pattern(120, ROCK)
    samples[1000] = bad
    assert isinstance(measure_rhythm(samples, RATE_HZ), Rhythm)


def test_the_same_samples_give_the_same_bits():
    samples = pattern(96, ROCK)
    assert measure_rhythm(samples, RATE_HZ) == measure_rhythm(samples.copy(), RATE_HZ)
    plain = onsets.onsets(samples, RATE_HZ)
    for other in (samples.astype(">f4"), samples.repeat(2)[::2]):
        for field, value in vars(onsets.onsets(other, RATE_HZ)).items():
            np.testing.assert_array_equal(getattr(plain, field), value)


@pytest.mark.parametrize("gain", [0.001, 0.03, 1.9])
def test_level_does_not_matter(gain):
    samples = pattern(100, ROCK)
    loud, quiet = measure_rhythm(samples, RATE_HZ), measure_rhythm(samples * np.float32(gain), RATE_HZ)
    assert quiet.tempo_bpm == pytest.approx(loud.tempo_bpm, abs=0.02)
    assert quiet.tempo_confidence == pytest.approx(loud.tempo_confidence, abs=0.002)
    assert (quiet.beats_per_bar, quiet.onset_rate_hz) == (loud.beats_per_bar, loud.onset_rate_hz)


@pytest.mark.parametrize("kind", ["noise", "clipped", "dull"])
def test_coding_noise_clipping_and_a_low_pass_keep_the_tempo(kind):
    samples = pattern(100, ROCK)
    changed = {
        "noise": samples + 0.01 * noise(0),
        "clipped": np.clip(samples * 6, -0.5, 0.5),
        "dull": np.convolve(samples, np.full(4, 0.25), "same"),
    }[kind].astype(np.float32)
    before, after = measure_rhythm(samples, RATE_HZ), measure_rhythm(changed, RATE_HZ)
    assert after.tempo_bpm == pytest.approx(before.tempo_bpm, rel=0.002)
    assert after.beats_per_bar == before.beats_per_bar


@pytest.mark.parametrize(("kind", "subtype"), [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("FLAC", "PCM_16")])
def test_coded_and_decoded_it_has_the_same_rhythm(kind, subtype):
    samples, file = pattern(100, ROCK), io.BytesIO()
    soundfile.write(file, samples, RATE_HZ, format=kind, subtype=subtype)
    decoded, _ = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")
    before, after = measure_rhythm(samples, RATE_HZ), measure_rhythm(decoded, RATE_HZ)
    assert after.tempo_bpm == pytest.approx(before.tempo_bpm, rel=0.001)
    assert after.beats_per_bar == before.beats_per_bar
    assert after.tempo_confidence == pytest.approx(before.tempo_confidence, abs=0.1)
    assert after.onset_rate_hz == pytest.approx(before.onset_rate_hz, rel=0.1)
    assert after.danceability == pytest.approx(before.danceability, abs=0.1)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100])
def test_other_rates_give_the_same_tempo(rate_hz):
    import soxr

    samples = soxr.resample(pattern(110, ROCK), RATE_HZ, rate_hz)
    assert is_tempo(measure_rhythm(samples, rate_hz).tempo_bpm, measure_rhythm(pattern(110, ROCK), RATE_HZ).tempo_bpm)


@pytest.mark.parametrize("per_minute", [60, 120, 240])
def test_onset_rate_of_clicks(per_minute):
    samples = pattern(per_minute, CLICKS, steps=1, chords=False)
    assert measure_rhythm(samples, RATE_HZ).onset_rate_hz == pytest.approx(per_minute / 60, abs=0.11)


@pytest.mark.parametrize("bpm", [38.5, 39.5, 40, 240, 240.3, 240.5, 241])
@pytest.mark.parametrize("strokes", [("K", "h", "h", "h"), ("K", "S"), CLICKS], ids="".join)
def test_no_tempo_is_beyond_its_range(bpm, strokes):
    """The first cell of candidates has 240.4 beats a minute, and the parent of a child refuses more than 240."""
    for seconds in (5.0, 12.0):
        found = measure_rhythm(pattern(bpm, strokes, steps=1, seconds=seconds, chords=False), RATE_HZ)
        for value, low, high in ((found.tempo_bpm, 40, 240), (found.tempo_alternative_bpm, 20, 480)):
            assert value is None or (type(value) is float and low <= value <= high)


def test_danceability_rises_with_regularity():
    jitter = np.random.default_rng(3)
    steady = pattern(120, HOUSE)
    step, found = RATE_HZ // 4, []
    for spread in (0, 400, 1_600):
        shifts = jitter.normal(0, 1, len(steady) // step) * spread
        parts = [np.roll(steady[i * step : (i + 1) * step], int(shift)) for i, shift in enumerate(shifts)]
        found.append(measure_rhythm(np.concatenate(parts), RATE_HZ).danceability or 0.0)
    assert found[0] > found[1] > found[2]


def test_long_excerpts_are_cut_to_their_middle():
    inside = pattern(120, HOUSE, seconds=60)
    long = np.concatenate([noise(0), inside, noise(0)])
    assert measure_rhythm(long, RATE_HZ) == measure_rhythm(inside, RATE_HZ)


def test_imports_neither_librosa_nor_scipy_signal():
    names = "librosa", "numba", "scipy.signal"
    code = f"import sys, transforms.features.rhythm.measuring; print([n for n in {names} if n in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize(("rate_hz", "seconds"), [(16_000, 3.0), (44_100, 1.0), (8_000, 0.05)])
def test_power_in_bands_is_that_of_every_second_bin_of_whole_windows(rate_hz, seconds):
    samples = np.random.default_rng(rate_hz).normal(0, 0.1, round(seconds * rate_hz)).astype(np.float32)
    hop = round(rate_hz * onsets.HOP_S)
    windows = np.lib.stride_tricks.sliding_window_view(samples, 2 * hop)[::hop] * np.hanning(2 * hop + 1)[: 2 * hop]
    power = np.abs(np.fft.rfft(windows))[:, ::2] ** 2
    found = onsets._power_in_bands(samples, rate_hz, hop)
    np.testing.assert_allclose(found, power @ onsets._band_matrix(rate_hz, hop), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("rate_hz", [16_000, 22_050])
def test_pitch_content_finds_the_sounding_semitone(rate_hz):
    for midi, tolerance in [(40, 1), (47, 1), (52, 0), (57, 0), (69, 0), (88, 0)]:
        samples = np.sin(2 * np.pi * 440 * 2 ** ((midi - 69) / 12) * np.arange(2 * rate_hz) / rate_hz)
        found = onsets.onsets(samples.astype(np.float32), rate_hz).pitches
        assert found.shape[0] == 57
        assert abs(int(found.mean(axis=1).argmax()) - (midi - 33)) <= tolerance


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95, 0.99, 1.0])
def test_a_quantile_is_numpys(share):
    for count in (1, 2, 99, 1_874):
        values = np.random.default_rng(count).normal(0, 1, count).astype(np.float32)
        assert onsets.quantile(values, share) == pytest.approx(np.quantile(values, share), rel=1e-5, abs=1e-7)


def test_loud_and_quiet_samples_are_told_apart_from_silence():
    assert measure_rhythm(np.float32(1e30) * pattern(120, ROCK), RATE_HZ).tempo_bpm is not None
    one = silence(20)
    one[5_000] = 2e-5
    assert measure_rhythm(one, RATE_HZ).onset_rate_hz is not None
    assert measure_rhythm(one / np.float32(4), RATE_HZ) == Rhythm()


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 48_000])
@pytest.mark.parametrize("level", [1e-5, 0.1, 1.0])
def test_power_is_at_most_the_highest_square(rate_hz, level):
    noise = np.random.default_rng(rate_hz).choice([-level, level], 6 * rate_hz).astype(np.float32)
    for samples in (noise, np.full(6 * rate_hz, level, np.float32), np.float32(level) * pattern(120, ROCK)):
        assert 0 <= onsets.onsets(samples, rate_hz).power <= 1.001 * np.square(samples).max()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38, 1e20])
@pytest.mark.parametrize("where", [0, 99_999, -1])
def test_odd_samples_count_as_silence_or_are_scaled(bad, where):
    hop = round(onsets.HOP_S * RATE_HZ)
    samples = pattern(120, ROCK)[: 600 * hop + 100]
    odd = samples.copy()
    odd[where] = bad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure_rhythm(odd, RATE_HZ)
        silent = np.zeros_like(samples)
        silent[where] = bad
        quiet = measure_rhythm(silent, RATE_HZ)
    assert quiet == Rhythm() if not np.isfinite(bad) else quiet.tempo_bpm is None
    if where == -1:  # the rest of a frame: it is not looked at
        assert found == measure_rhythm(samples, RATE_HZ)
    elif not np.isfinite(bad):
        samples = samples.copy()
        samples[where] = 0
        assert found.tempo_bpm == pytest.approx(measure_rhythm(samples, RATE_HZ).tempo_bpm, rel=0.01)


@pytest.mark.parametrize(("size", "upsampling"), [(4096, 4), (1024, 16), (960, 4), (640, 16)])
def test_lags_in_between_are_those_of_one_long_transform(size, upsampling):
    signals = np.random.default_rng(size).normal(0, 1, (3, size // 2)).astype(np.float32)
    spectra = np.abs(np.fft.rfft(signals, size)).astype(np.float32) ** 2
    wanted = np.fft.irfft(spectra, size * upsampling)[:, : size * upsampling // 2] * upsampling
    for count in (wanted.shape[1], 997):
        found = periods._interpolated(spectra, size, upsampling, count)
        assert found.shape == (3, count)
        np.testing.assert_allclose(found, wanted[:, :count], atol=1e-4 * wanted[:, :1].max())
