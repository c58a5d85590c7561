"""Channels are chosen by their content: empty ones do not change the level, and opposite ones are not silence."""

import dataclasses

import numpy as np
import pytest

from tests.support.synth import FORMATS, SPEC, av_file, encode, music
from transforms.audio.channels import ChannelEnergy
from transforms.audio.errors import Silent
from transforms.audio.limits import Limits
from transforms.features.extract import extract

SOUND = music(4.0, channels=1)
FEW = dataclasses.replace(SPEC, patches_per_track=1)


def features(samples, format="WAV", subtype=None, rate=44_100, spec=SPEC):
    return extract(encode(samples, rate, format, subtype), spec, Limits())


def assert_alike(got, want, most=0.0):
    """The same patches; for lossy formats nearly the same where it is loud."""
    loud = want.patches > -20
    assert np.abs(got.patches[loud].astype(float) - want.patches[loud]).mean() <= most


@pytest.mark.parametrize("seed", range(6))
def test_any_layout_of_empty_and_equal_channels_is_the_mono_file(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 9))
    used = rng.random(count) < 0.5
    used[rng.integers(count)] = True
    samples = SOUND * used
    got, want = features(samples, subtype="FLOAT"), features(SOUND, subtype="FLOAT")
    np.testing.assert_allclose(got.patches.astype(float), want.patches, atol=0.1)
    assert got.facts.channels == count
    named = ", ".join(str(i + 1) for i in np.flatnonzero(used))
    note = None if used.all() else f"channels: no. {named} of {count} read, the rest are empty"
    assert got.facts.damage == note


@pytest.mark.parametrize("spec", [SPEC, FEW])
@pytest.mark.parametrize("level", [0.0, 1e-3])
@pytest.mark.parametrize("side", [0, 1])
def test_one_channel_of_two_may_be_empty_or_hiss(side, level, spec):
    other = level * np.random.default_rng(0).normal(size=SOUND.shape).astype(np.float32) * np.abs(SOUND).std()
    samples = np.hstack([SOUND, other] if side == 0 else [other, SOUND])
    got, want = features(samples, subtype="FLOAT", spec=spec), features(SOUND, subtype="FLOAT", spec=spec)
    np.testing.assert_array_equal(got.patches, want.patches)


@pytest.mark.parametrize("factor", [-1.0, -0.9])
@pytest.mark.parametrize("kind", FORMATS)
def test_channels_that_cancel_are_one_channel(kind, factor):
    format, subtype, rate = FORMATS[kind]
    sound = music(4.0, rate, channels=1)
    got = features(np.hstack([sound, factor * sound]), format, subtype, rate)
    assert got.facts.damage == "channels: no. 1 of 2 read, because the mean of all cancels out"
    assert_alike(got, features(sound, format, subtype, rate), 0.0 if FORMATS[kind][1] == "PCM_16" else 2.0)


@pytest.mark.parametrize("kind", ["mp4 alac", "wavpack", "matroska"])
def test_channels_that_cancel_are_one_channel_by_ffmpeg_too(kind, monkeypatch):
    monkeypatch.setattr("tests.support.synth.music", lambda *args: SOUND * np.float32([1, -1]))
    got = extract(av_file.__wrapped__(kind, 4.0), SPEC, Limits())
    assert got.facts.damage is not None and "no. 1 of 2 read" in got.facts.damage
    assert_alike(got, features(SOUND), 0.05)


def test_a_patch_within_a_long_track_decides_alike_when_it_is_sought():
    samples = np.tile(np.hstack([SOUND, -SOUND]), (10, 1))
    sought, straight = features(samples, spec=FEW), features(samples)
    assert sought.facts.damage == straight.facts.damage != None  # noqa: E711
    assert sought.facts.duration_s == straight.facts.duration_s


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0, -0.5, -0.7])
def test_ordinary_stereo_keeps_its_mean(ratio):
    left, right = music(4.0).T
    samples = np.stack([left, ratio * left + 0.3 * right], axis=1)
    got = features(samples, subtype="FLOAT")
    mean = features(samples.mean(axis=1, keepdims=True), subtype="FLOAT")
    np.testing.assert_allclose(got.patches.astype(float), mean.patches, atol=0.05)
    assert got.facts.damage is None


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_silence_in_all_channels_is_silence(channels):
    with pytest.raises(Silent):
        features(np.zeros((44_100, channels), np.float32))


def test_an_energy_of_nothing_chooses_nothing():
    assert ChannelEnergy().choice() is None
