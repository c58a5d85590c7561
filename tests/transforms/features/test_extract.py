"""Extraction: each kind of file ends in features or in the right TrackError."""

import dataclasses

import numpy as np
import pytest
import soxr

from tests.support.synth import FORMATS, SPEC, av_file, encode, music, music_file, sine
from transforms.audio.errors import (
    Empty,
    NoFrames,
    NonFinite,
    Silent,
    SourceTooLarge,
    TooLong,
    TooShort,
    Truncated,
    UnsupportedChannels,
    UnsupportedRate,
)
from transforms.audio.limits import Limits
from transforms.features.extract import extract
from transforms.features.logmel import log_mel, mel_matrix


def features(data, spec=SPEC, **limits):
    return extract(data, spec, Limits(**limits))


def band_of(hz):
    """The mel band that weighs this frequency, one of the transform's bins, the most."""
    return mel_matrix(SPEC)[round(hz * SPEC.n_fft / SPEC.sample_rate)].argmax()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_patches_of_its_whole_length(kind):
    got = features(music_file(kind, 8.0))
    assert got.patches.shape == (3, *SPEC.patch_shape) and got.patches.dtype == np.float16
    assert got.facts.format == kind and got.facts.channels == 2 and got.facts.sample_rate == FORMATS[kind][2]
    assert got.facts.duration_s == pytest.approx(8.0, abs=0.06)
    assert got.facts.decoded_fraction == 1.0 and got.facts.damage is None


def test_patches_are_cuts_of_the_whole_tracks_log_mel():
    samples = music(40.0)
    got = features(encode(samples, subtype="FLOAT"))
    whole = log_mel(soxr.resample(samples.mean(axis=1), 44_100, 16_000), SPEC)
    for patch, start_s in zip(got.patches, got.starts_s, strict=True):
        first = round(start_s * 16_000 / 256)
        np.testing.assert_allclose(patch, whole[first : first + 187], atol=0.06)


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 16_000, 22_050, 35_467, 96_000, 192_000, 384_000])
def test_rates_from_4_to_384_khz(rate):
    got = features(encode(sine(1.0, rate, hz=500.0), rate, subtype="FLOAT"))
    assert got.facts.sample_rate == rate and got.patches[0, 30].argmax() == band_of(500.0)


@pytest.mark.parametrize("rate", [3_999, 400_000])
def test_other_rates_are_refused(rate):
    with pytest.raises(UnsupportedRate, match=f"{rate} Hz: 4000 to 384000 Hz are read"):
        features(encode(sine(1.0, rate, hz=100.0), rate))


@pytest.mark.parametrize("channels", range(1, 9))
def test_one_to_eight_channels_are_averaged(channels):
    samples = np.hstack([sine(1.0, hz=440.0 * (c + 1)) for c in range(channels)])
    got = features(encode(samples, subtype="FLOAT"))
    mono = features(encode(samples.mean(axis=1, keepdims=True), subtype="FLOAT"))
    np.testing.assert_allclose(got.patches, mono.patches, atol=0.1)


@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize("kind", ["mp4", "wavpack"])
def test_one_to_eight_channels_are_averaged_by_ffmpeg_too(kind, channels):
    got = features(av_file(kind, 2.0, channels=channels))
    mono = features(encode(music(2.0, channels=channels).mean(axis=1, keepdims=True), subtype="FLOAT"))
    assert got.facts.channels == channels
    loud = mono.patches > 0
    assert np.abs(got.patches[loud] - mono.patches[loud]).mean() < (0.5 if kind == "mp4" else 0.02)


def test_nine_channels_are_refused():
    with pytest.raises(UnsupportedChannels, match="9 channels: 1 to 8 are read"):
        features(encode(sine(1.0, channels=9)))


@pytest.mark.parametrize(
    "subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "IMA_ADPCM", "MS_ADPCM", "ULAW", "ALAW"]
)
def test_every_wav_coding_is_read(subtype):
    got = features(encode(sine(1.0, hz=437.5), subtype=subtype))
    assert got.patches[0, 30].argmax() == band_of(437.5)


def test_a_short_track_repeats_its_frames():
    patch = features(encode(music(0.5))).patches[0]
    frames = 1 + 8_000 // 256
    assert (patch[frames : 2 * frames] == patch[:frames]).all()


def test_a_wav_file_of_no_samples():
    with pytest.raises(NoFrames):
        features(encode(sine(0.0)))


def test_nothing():
    with pytest.raises(Empty):
        features(b"")


def test_too_many_bytes():
    with pytest.raises(SourceTooLarge, match="88244 bytes, the limit is 88243"):
        features(encode(sine(1.0)), max_bytes=88_243)


def test_too_short():
    with pytest.raises(TooShort, match=r"0\.199 s, at least 0\.2 s"):
        features(encode(sine(0.199)))


def test_too_long():
    with pytest.raises(TooLong, match="2 s, the limit is 1 s"):
        features(encode(sine(2.0)), max_duration_s=1.0)


@pytest.mark.parametrize("level", [0.0, 9e-6])
def test_digital_silence_is_a_reason(level):
    with pytest.raises(Silent, match=r"3\.0 s of digital silence"):
        features(encode(np.full((132_300, 1), level, np.float32), subtype="FLOAT"))


def test_one_step_of_sixteen_bits_is_not_silence():
    assert features(encode(sine(3.0) / 16_384, subtype="PCM_16")).patches.any()


LEVELS = {
    "float samples in integer units": (lambda x: 32_768 * x, "the peak is more than 12 dB over full scale"),
    "hardly more than silence": (lambda x: x / 1024, "the peak is more than 60 dB under full scale"),
    "an offset": (lambda x: 0.1 * x + 0.8, "there is a constant offset of more than half of full scale"),
}


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_level_that_no_recording_has_is_noted(name, channels):
    change, note = LEVELS[name]
    got = features(encode(change(sine(3.0, channels=channels)), subtype="FLOAT"))
    assert got.facts.damage == f"level: {note}"


@pytest.mark.parametrize("gain", [0.01, 1.0, 3.0])
def test_levels_of_recordings_are_not_noted(gain):
    assert features(encode(gain * sine(3.0), subtype="FLOAT")).facts.damage is None


def test_few_bad_samples_are_set_to_zero_and_told():
    samples = sine(3.0)
    samples[[100, 5000, 70_000]] = np.array([[np.nan], [np.inf], [-np.inf]])
    got = features(encode(samples, subtype="FLOAT"))
    assert np.isfinite(got.patches).all() and got.facts.damage == "non_finite: 3 samples set to 0"


def test_many_bad_samples_are_a_reason():
    samples = sine(1.0)
    samples[::50] = np.nan
    with pytest.raises(NonFinite, match="882 of 44100 samples"):
        features(encode(samples, subtype="FLOAT"))


def test_loud_float_samples_stay_finite_in_float16():
    assert np.isfinite(features(encode(sine(1.0) * 1e6, subtype="FLOAT")).patches).all()


def test_half_an_mp3_is_salvaged_from_its_first_half():
    data = music_file("mp3", 30.0)
    got = features(data[: len(data) // 2])
    assert got.facts.decoded_fraction == pytest.approx(0.5, abs=0.1)
    assert got.facts.damage.startswith("truncated: ")
    whole = features(data)
    good = len(got.patches) - 1
    heard = whole.patches[:good] > -80  # another decoder, and below that its rounding noise
    np.testing.assert_allclose(got.patches[:good][heard], whole.patches[:good][heard], atol=0.1)


def test_too_few_good_patches_are_a_reason():
    data = music_file("mp3", 30.0)
    with pytest.raises(Truncated, match=r"\d of 11 patches are good"):
        features(data[: len(data) // 2], min_good_patches=8)


def test_the_spec_decides_the_shape():
    spec = dataclasses.replace(SPEC, n_mels=64, patch_frames=50, patches_per_track=3)
    assert features(encode(music(10.0)), spec).patches.shape == (3, 50, 64)
