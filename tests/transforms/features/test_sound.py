"""Parameters of a track from its file: the excerpt is the track's sound, and patches do not depend on it."""

import dataclasses
import functools

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.drums import ROCK, pattern
from tests.support.synth import FORMATS, SPEC, av_file, encode, music, music_file, sine
from transforms.audio.limits import Limits
from transforms.features import sound as measured_sound
from transforms.features.excerpt import ExcerptRecorder, middle_range
from transforms.features.extract import extract
from transforms.features.parameters import measured
from transforms.features.parameters.loudness import measure_loudness
from transforms.features.parameters.record import Measurement, Parameters
from transforms.features.parameters.spec import ParametersSpec

DEFAULT, WHOLE = ParametersSpec(), ParametersSpec(loudness="full")
FEW = dataclasses.replace(SPEC, patches_per_track=4)
"""Of a track of 33 s, these patches are sought."""
SECONDS = 33
FILES = {
    "flac, sought": (FEW, lambda: music_file("flac", SECONDS)),
    "wav, sought": (FEW, lambda: music_file("wav", SECONDS)),
    "aac, sought": (FEW, lambda: av_file("mp4", SECONDS)),
    "mp3, packet by packet": (SPEC, lambda: music_file("mp3", 6)),
    "flac, in a row": (SPEC, lambda: music_file("flac", SECONDS)),
    "aac without a length": (SPEC, lambda: av_file("aac", 5)),
    "shorter than a patch": (SPEC, lambda: music_file("flac", 1)),
}


def parameters(data, spec=DEFAULT, features=SPEC):
    return extract(data, features, Limits(), spec).parameters


def sound_of(data, features, monkeypatch, spec=DEFAULT):
    """What the parameters of a file are measured on."""
    found = []

    def keep(sound, _):
        found.append(sound)
        return Measurement(parameters=Parameters())

    with monkeypatch.context() as patched:
        patched.setattr(measured_sound, "measure_parameters", keep)
        extract(data, features, Limits(), spec)
    return found[0]


@functools.cache
def song(seconds=12.0, rate=44_100):
    """Rock at 120 beats a minute, left louder than right: float32 [n, 2]."""
    mono = soxr.resample(pattern(120, ROCK, seconds=seconds), 16_000, rate)
    return np.stack([mono, 0.8 * mono], axis=1).astype(np.float32)


@pytest.mark.parametrize("name", FILES)
def test_patches_have_the_same_bits_with_and_without_parameters(name):
    spec, data = FILES[name][0], FILES[name][1]()
    plain, both = extract(data, spec, Limits()), extract(data, spec, Limits(), DEFAULT)
    assert plain.parameters is None and both.parameters.loudness_of == "excerpt"
    assert np.array_equal(plain.patches, both.patches) and np.array_equal(plain.starts_s, both.starts_s)
    assert plain.facts == both.facts


@pytest.mark.parametrize("features", [FEW, SPEC], ids=["sought", "in a row"])
def test_the_excerpt_is_the_middle_of_the_track(features, monkeypatch):
    whole = (music(SECONDS) * 32_767).astype(np.int16)
    found = sound_of(encode(whole, format="FLAC"), features, monkeypatch)
    first, last = middle_range(len(whole), 30 * 44_100)
    assert (first, last, found.rate_hz) == (66_150, 66_150 + 30 * 44_100, 44_100)
    np.testing.assert_array_equal(found.channels, whole[first:last].astype(np.float32) / 32_768)
    mono = soxr.resample(whole.mean(axis=1) / 32_768, 44_100, SPEC.sample_rate)[24_000 : 24_000 + 30 * 16_000]
    np.testing.assert_allclose(found.mono, mono, atol=1e-4)
    assert found.covers_ends and found.whole is None


@pytest.mark.parametrize("kind", ["mp3", "opus"])
def test_the_excerpt_of_a_coded_file_has_all_its_channels(kind, monkeypatch):
    found = sound_of(music_file(kind, 6), SPEC, monkeypatch)
    _, _, rate = FORMATS[kind]
    assert found.rate_hz == rate and found.channels.shape[1] == 2 and abs(len(found.channels) - 6 * rate) < 2000
    np.testing.assert_allclose(
        soxr.resample(found.channels.mean(axis=1), rate, 16_000)[:95_000], found.mono[:95_000], atol=1e-3
    )


@given(cuts=st.lists(st.integers(0, 9_000), max_size=6), spec=st.sampled_from([DEFAULT, WHOLE]))
@settings(max_examples=30, deadline=None)
def test_how_a_track_is_cut_into_blocks_changes_no_bit(cuts, spec):
    samples = music(1.0, 9_000)
    recorders = [ExcerptRecorder(9_000, 9_000, 2, spec) for _ in range(2)]
    recorders[0].hear(-100, [np.concatenate([np.ones(100, np.float32), channel]) for channel in samples.T])
    for first, last in zip([0, *sorted(cuts)], [*sorted(cuts), 9_000], strict=True):
        recorders[1].hear(first, samples[first:last].T)
    one, other = recorders
    np.testing.assert_array_equal(one.excerpt(), samples)
    np.testing.assert_array_equal(other.excerpt(), samples)
    assert one.whole() == other.whole() == (measure_loudness(samples, 9_000) if spec is WHOLE else None)


@pytest.mark.parametrize("name", ["flac, sought", "mp3, packet by packet"])
def test_loudness_of_the_whole_file_is_that_of_all_its_samples(name, monkeypatch):
    spec, data = FILES[name][0], FILES[name][1]()
    every = sound_of(data, spec, monkeypatch, ParametersSpec(measures="full")).channels if "mp3" in name else None
    samples = every if every is not None else (music(SECONDS) * 32_767).astype(np.int16) / np.float32(32_768)
    found = parameters(data, WHOLE, spec)
    wanted = measure_loudness(samples.astype(np.float32), 44_100)
    assert found.loudness_lufs == pytest.approx(wanted.loudness_lufs, abs=0.02)
    assert found.loudness_range_lu == pytest.approx(wanted.loudness_range_lu, abs=0.05)
    assert found.true_peak_dbtp == pytest.approx(wanted.true_peak_dbtp, abs=0.02)


def click():
    samples = np.zeros((10 * 44_100, 1), np.float32)
    samples[200_000:200_040] = 0.9
    return samples


HOSTILE = {
    "noise": lambda: 0.1 * np.random.default_rng(0).standard_normal((10 * 44_100, 2)).astype(np.float32),
    "one click": click,
    "one drone": lambda: sine(10.0, hz=220.0),
    "0.3 s of music": lambda: music(0.3),
    "almost silence": lambda: np.float32(2e-5) * np.sign(sine(10.0)),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", HOSTILE)
def test_of_sound_that_is_no_music_nothing_is_claimed(name):
    found = parameters(encode(HOSTILE[name](), subtype="FLOAT"))
    assert found.tempo_confidence is None or found.tempo_confidence < 0.5
    assert found.key_confidence is None or found.key_confidence < 0.5
    assert name == "0.3 s of music" or found.true_peak_dbtp is not None
    assert (found.loudness_lufs is None) == (name in ("0.3 s of music", "almost silence")), found


def test_channels_that_cancel_are_tagged_from_one_of_them_and_are_told():
    mono = song(8.0)[:, :1]
    features = extract(encode(np.concatenate([mono, -mono], axis=1)), SPEC, Limits(), DEFAULT)
    plain = extract(encode(mono), SPEC, Limits(), DEFAULT)
    np.testing.assert_array_equal(features.patches, plain.patches)
    assert features.parameters.phase_inverted and features.parameters.stereo_width == pytest.approx(1, abs=1e-3)
    assert features.parameters.tempo_bpm == plain.parameters.tempo_bpm is not None
    assert features.facts.damage == "channels: no. 1 of 2 read, because the mean of all cancels out"


def test_a_parameter_that_fails_costs_its_own_columns_alone(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("by nothing")

    data = encode(song(8.0))
    whole = extract(data, SPEC, Limits(), DEFAULT)
    monkeypatch.setattr(measured, "measure_key", broken)
    found = extract(data, SPEC, Limits(), DEFAULT)
    lost = dict.fromkeys(("key", "key_confidence", "key_second", "camelot", "tuning_cents"))
    assert found.parameters == dataclasses.replace(whole.parameters, **lost)
    np.testing.assert_array_equal(found.patches, whole.patches)
    assert found.facts.damage == "parameters: key: ZeroDivisionError: by nothing"


def test_a_rate_that_rhythm_cannot_use_has_levels_alone():
    low = dataclasses.replace(SPEC, sample_rate=4_000, fmax=2_000.0)
    found = parameters(encode(song(8.0)), features=low)
    assert found.tempo_bpm is None and found.key is None and found.loudness_lufs is not None


def test_ids_of_specs_differ_and_do_not_change():
    ids = {spec.parameters_id for spec in (DEFAULT, WHOLE, ParametersSpec(measures="full"))}
    assert len(ids) == 3 and DEFAULT.parameters_id == "pa-a2a67f6011f05f81"
    assert ParametersSpec.from_json({**WHOLE.to_json(), "parameters_id": "another version"}) == WHOLE
    with pytest.raises(ValueError, match="measures='most': choose default or full"):
        ParametersSpec(measures="most")
