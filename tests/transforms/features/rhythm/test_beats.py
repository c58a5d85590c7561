"""What a network of beats gets, and what is made of its logits."""

import dataclasses
import re

import librosa
import numpy as np
import pytest

from transforms.features.parameters.record import Parameters
from transforms.features.parameters.spec import PARAMETERS_VERSION, ParametersSpec
from transforms.features.rhythm.beat_input import BeatInput, BeatSpec, beats_id_of
from transforms.features.rhythm.beat_mels import beat_mels, mel_bank
from transforms.features.rhythm.beats import HeardRhythm, decode, peaks, with_heard
from transforms.formats.hashing import sha256_hex

GIVEN = BeatInput()
RATE_HZ = 22_050


def logits(places, frames=1_488, height=4.0):
    """Logits with a peak of a parabola's form at each place in frames, -6 elsewhere."""
    distance = np.abs(np.arange(frames)[:, None] - np.asarray(places)).min(1)
    return np.maximum(-6.0, height - 4 * distance**2).astype(np.float32)


def bars(bpm, beats, frames=1_488, swing=0.0, seed=0):
    """Logits of beats and downbeats at a tempo; `swing` is the deviation of each beat in frames."""
    period = 60 / bpm * GIVEN.frames_hz
    places = np.arange(0.3 * period, frames - 1, period)
    places = places + swing * np.random.default_rng(seed).standard_normal(len(places))
    return logits(places, frames), logits(places[::beats], frames)


@pytest.mark.parametrize(
    ("bpm", "beats", "signature"), [(61.3, 4, (4, 4)), (118.7, 3, (3, 4)), (92, 5, (5, 4)), (201, 2, (4, 4))]
)
def test_tempo_and_metre_of_regular_beats(bpm, beats, signature):
    told = decode(*bars(bpm, beats), GIVEN)
    assert told.tempo_bpm == pytest.approx(bpm, rel=0.003) and told.signature == signature
    assert told.tempo_confidence > 0.8 and told.metre_confidence > 0.8
    assert told.tempo_alternative_bpm == pytest.approx(told.tempo_bpm * (2 if bpm < 118 else 0.5), rel=0.001)
    assert told.tempo_alternative_weight <= 1 - told.tempo_confidence


def test_six_counted_beats_are_two_dotted_ones():
    told = decode(*bars(180, 6), GIVEN)
    assert (told.tempo_bpm, told.signature) == (pytest.approx(60, rel=0.003), (6, 8))
    slow = decode(*bars(100, 6), GIVEN)
    assert (slow.tempo_bpm, slow.signature, slow.metre_confidence) == (pytest.approx(100, rel=0.003), None, None)


def test_confidence_falls_with_irregularity_and_with_gaps():
    told = [decode(*bars(120, 4, swing=swing), GIVEN) for swing in (0, 1.0, 1.6)]
    confidences = [one.tempo_confidence for one in told]
    assert confidences[0] > confidences[1] > confidences[2] > 0.5
    beat, downbeat = bars(120, 4)
    beat[900:] = -6
    assert decode(beat, downbeat, GIVEN).tempo_confidence < confidences[0] - 0.2


def test_unlike_octaves():
    beat, downbeat = bars(100, 4)
    between = np.maximum(beat, bars(200, 4)[0] - 4.2)
    assert decode(between, downbeat, GIVEN).tempo_alternative_bpm == pytest.approx(200, rel=0.003)
    period = 60 / 100 * GIVEN.frames_hz
    every_second = np.arange(0.3 * period, 1_487, 2 * period)
    weak = np.where(logits(every_second) > -6, logits(every_second, height=0.1), beat)
    assert decode(weak.astype(np.float32), downbeat, GIVEN).tempo_alternative_bpm == pytest.approx(50, rel=0.003)


def no_beats(kind):
    rng = np.random.default_rng(3)
    return {
        "silence": logits([-99.0]),
        "all frames alike": np.full(1_488, 2.0, np.float32),
        "noise": rng.normal(0, 2, 1_488).astype(np.float32),
        "few beats": logits([100, 125, 150, 175, 200]),
        "random beats": logits(np.sort(rng.uniform(0, 1_488, 60))),
        "too fast": bars(290, 4)[0],
        "too slow": bars(36, 4)[0],
        "not a number": np.full(1_488, np.nan, np.float32),
        "infinite": np.where(bars(120, 4)[0] > 0, np.inf, -6).astype(np.float32),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "silence",
        "all frames alike",
        "noise",
        "few beats",
        "random beats",
        "too fast",
        "too slow",
        "not a number",
        "infinite",
    ],
)
def test_nothing_is_told_without_regular_beats(kind):
    assert decode(no_beats(kind), bars(120, 4)[1], GIVEN) is None


def test_a_metre_needs_bars_that_agree():
    beat, _ = bars(120, 4)
    mixed = np.arange(7.5, 1_487, 25.0)[np.cumsum([0, *([3, 4, 5, 7, 2] * 2)])]
    for downbeat in (
        logits([-99.0]),
        logits([7.5, 107.5, 207.5]),
        logits(mixed),
        logits([30.0, 330.0, 790.0, 1_100.0]),
    ):
        told = decode(beat, downbeat, GIVEN)
        assert told.tempo_bpm == pytest.approx(120, rel=0.003)
        assert told.signature is None and told.metre_confidence is None


def test_peaks_are_found_between_frames_and_once_each():
    assert peaks(logits([10.25, 200.0, 204.0]), 50.0) == pytest.approx([10.25, 200.0, 204.0], abs=0.05)
    flat = np.full(50, -1.0, np.float32)
    flat[[20, 21]] = 3.0
    assert peaks(flat, 50.0) == pytest.approx([20.5], abs=0.01) and not len(peaks(-np.abs(flat), 50.0))


ESTIMATED = Parameters(
    tempo_bpm=100.0, tempo_confidence=0.7, beats_per_bar=4, beat_unit=4, metre_confidence=0.6, danceability=0.5
)
HEARD = HeardRhythm(
    tempo_bpm=150.0,
    tempo_confidence=0.9,
    tempo_alternative_bpm=75.0,
    tempo_alternative_weight=0.05,
    signature=(3, 4),
    metre_confidence=0.8,
)


def test_the_network_answers_where_it_has_an_answer():
    assert with_heard(ESTIMATED, None) is ESTIMATED
    told = with_heard(ESTIMATED, HEARD)
    assert told == dataclasses.replace(
        ESTIMATED,
        tempo_bpm=150.0,
        tempo_confidence=0.9,
        tempo_alternative_bpm=75.0,
        tempo_alternative_weight=0.05,
        beats_per_bar=3,
        metre_confidence=0.8,
    )
    silent = with_heard(ESTIMATED, dataclasses.replace(HEARD, signature=None, metre_confidence=None))
    assert (silent.tempo_bpm, silent.beats_per_bar, silent.metre_confidence) == (150.0, 4, 0.6)


def test_a_compound_metre_at_the_same_tempo_stays():
    compound = dataclasses.replace(ESTIMATED, beats_per_bar=6, beat_unit=8)
    same = dataclasses.replace(HEARD, tempo_bpm=101.0, signature=(4, 4))
    told = with_heard(compound, same)
    assert (told.tempo_bpm, told.beats_per_bar, told.beat_unit, told.metre_confidence) == (101.0, 6, 8, 0.6)
    assert with_heard(compound, HEARD).beats_per_bar == 3


@pytest.mark.parametrize("given", [GIVEN, BeatInput(mel_scale="htk", mel_norm="slaney", n_mels=40, fmin=0)])
def test_the_mel_bank_is_librosas(given):
    wanted = librosa.filters.mel(
        sr=given.sample_rate,
        n_fft=given.n_fft,
        n_mels=given.n_mels,
        fmin=given.fmin,
        fmax=given.fmax,
        htk=given.mel_scale == "htk",
        norm="slaney" if given.mel_norm == "slaney" else None,
    )
    np.testing.assert_allclose(mel_bank(given), wanted.T, atol=1e-6)


@pytest.mark.parametrize("given", [GIVEN, BeatInput(power=2, log_offset=1e-6, log_multiplier=1, n_mels=60)])
def test_mels_are_those_of_a_centred_transform(given):
    samples = np.random.default_rng(0).normal(0, 0.1, 5 * RATE_HZ).astype(np.float32)
    padded = np.pad(samples.astype(np.float64), given.n_fft // 2, mode="reflect")
    starts = range(0, len(samples) + 1, given.hop_length)
    window = np.hanning(given.n_fft + 1)[:-1]
    spectrum = np.abs(np.fft.rfft([padded[at : at + given.n_fft] * window for at in starts]))
    mels = spectrum**given.power @ mel_bank(given)
    wanted = np.log(given.log_offset + given.log_multiplier * mels)
    found = beat_mels(samples[:, None], RATE_HZ, given)
    assert found.shape == wanted.shape and found.dtype == np.float16
    np.testing.assert_allclose(found, wanted, atol=0.01)


def test_an_excerpt_of_half_a_minute_is_one_chunk():
    samples = np.random.default_rng(0).normal(0, 0.1, (30 * 16_000, 2)).astype(np.float32)
    found = beat_mels(samples, 16_000, GIVEN)
    assert len(found) == GIVEN.kept_frames == 1_488 <= GIVEN.most_frames(30.0)
    assert len(beat_mels(samples[: 28 * 16_000], 16_000, GIVEN)) == 1_401
    assert GIVEN.most_frames(60.0) == 2 * 1_488


def test_the_downmix_is_the_tracks():
    left = np.random.default_rng(0).normal(0, 0.1, 5 * RATE_HZ).astype(np.float32)
    alone = beat_mels(left[:, None], RATE_HZ, GIVEN)
    inverted = np.stack([left, -left], axis=1)
    assert beat_mels(inverted, RATE_HZ, GIVEN) is None, "the channels cancel"
    np.testing.assert_array_equal(beat_mels(inverted, RATE_HZ, GIVEN, (1.0, 0.0)), alone)
    holes = left.copy()
    holes[::1_000] = np.nan
    assert np.isfinite(beat_mels(holes[:, None], RATE_HZ, GIVEN)).all()


@pytest.mark.parametrize("seconds", [0, 3.9])
def test_what_is_too_short_or_silent_is_not_heard(seconds):
    assert beat_mels(np.ones((int(seconds * 16_000), 1), np.float32), 16_000, GIVEN) is None
    assert beat_mels(np.zeros((80_000, 2), np.float32), 16_000, GIVEN) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_mels": 1}, "n_mels=1: a whole number from 8 to 512"),
        ({"hop_length": 441.0}, "hop_length=441.0: a whole number"),
        ({"hop_length": 16}, "hop_length=16: 1.38e+03 frames a second at 22050 Hz: 20 to 200"),
        (
            {"fmax": 12_000},
            "fmin=30, fmax=12000: fmin must be below fmax, and fmax at most half the sample rate of 22050",
        ),
        ({"fmin": "30"}, "fmin='30': a number from 0 to 24000"),
        ({"log_offset": 0}, "log_offset=0.0: a number from 1e-10 to 1"),
        ({"mel_scale": "bark"}, "mel_scale='bark': choose slaney or htk"),
        ({"power": 3}, "power=3: a whole number from 1 to 2"),
        ({"border_frames": 500}, "border_frames=500: at most a quarter of chunk_frames=1500"),
        ({"tempo_scaling": [1]}, "tempo_scaling=(1.0,): a slope and a shift"),
        ({"metre_scaling": "wide"}, "metre_scaling='wide': a slope and a shift"),
        ({"mels": 128}, "'mels' is no field: choose from border_frames, chunk_frames"),
    ],
)
def test_a_declaration_that_cannot_be_names_the_value(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        BeatInput.from_json(change)


def test_ids():
    names = ("spect", "beat", "downbeat")
    own = beats_id_of("ab", 1, names, GIVEN)
    assert own == beats_id_of("ab", 1, names, BeatInput.from_json({"fmin": 30})), "30 is 30.0"
    others = [
        beats_id_of("cd", 1, names, GIVEN),
        beats_id_of("ab", 2, names, GIVEN),
        beats_id_of("ab", 1, ("x", "beat", "downbeat"), GIVEN),
        beats_id_of("ab", 1, names, BeatInput(tempo_scaling=(1.0, -1.0))),
    ]
    assert len({own, *others}) == 5
    plain = ParametersSpec()
    obj = f'{{"excerpt_s": 30.0, "loudness": "excerpt", "measures": "default", "version": {PARAMETERS_VERSION}}}'
    assert plain.parameters_id == f"pa-{sha256_hex(obj.encode())[:16]}", (
        "the id of a run without a network is that of earlier versions"
    )
    assert plain.parameters_id != ParametersSpec(beats=BeatSpec(beats_id=own)).parameters_id
