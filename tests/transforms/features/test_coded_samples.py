"""Frames of a codec in the samples of a lossless file are decoded, and sound is never taken for frames."""

import numpy as np
import pytest

from tests.support.odd_files import wav_of
from tests.support.synth import FORMATS, SPEC, av_file, encode, music, music_file
from transforms.audio.containers.coded_pcm import coded_frames, swapped
from transforms.audio.errors import TrackError
from transforms.audio.limits import Limits
from transforms.features.extract import extract

CODED = {
    "IEC 61937 (digital output)": lambda: av_file("spdif", 4.0),
    "ac3": lambda: av_file("ac3", 4.0),
    "ac3 with bytes swapped": lambda: swapped(av_file("ac3", 4.0)),
    "mp3": lambda: music_file("mp3", 4.0),
    "aac": lambda: av_file("aac", 4.0),
}


@pytest.mark.parametrize("format", ["WAV", "FLAC"])
@pytest.mark.parametrize("zeros", [0, 100_001])
@pytest.mark.parametrize("name", CODED)
def test_frames_in_samples_are_decoded(name, zeros, format):
    frames = CODED[name]()
    got = extract(wav_of(bytes(4 * zeros) + frames, format), SPEC, Limits())
    want = extract(swapped(frames) if "swapped" in name else frames, SPEC, Limits())
    assert got.facts.format == format.lower()
    assert got.facts.duration_s == pytest.approx(4.0, abs=0.06)
    assert got.facts.damage.startswith(f"coded: the samples are frames of {name.split(' with')[0]}")
    np.testing.assert_allclose(got.patches[:1].astype(float), want.patches[:1], atol=1.0)


def test_samples_that_only_begin_like_frames_are_rejected(monkeypatch):
    monkeypatch.setattr("transforms.features.coded_samples.coded_frames", lambda samples: None)
    with pytest.raises(TrackError, match="are not"):
        extract(wav_of(av_file("ac3", 4.0)), SPEC, Limits())


def test_more_than_is_read_is_rejected(monkeypatch):
    monkeypatch.setattr("transforms.features.coded_samples._MOST_BYTES", 1000)
    with pytest.raises(TrackError, match="more than"):
        extract(wav_of(av_file("ac3", 4.0)), SPEC, Limits())


@pytest.mark.parametrize("kind", FORMATS)
def test_music_is_no_frames(kind):
    assert "coded" not in (extract(music_file(kind, 4.0), SPEC, Limits()).facts.damage or "")


@pytest.mark.parametrize("seed", range(30))
def test_noise_of_any_level_is_no_frames(seed):
    rng = np.random.default_rng(seed)
    noise = rng.normal(scale=2.0 ** rng.uniform(-1, 15), size=1 << 15)
    assert coded_frames(np.clip(noise, -32_768, 32_767).astype(np.int16)) is None
    assert coded_frames(np.zeros(1 << 15, np.int16)) is None


def test_a_file_of_text_called_samples_is_sound():
    text = b"The quick brown fox jumps over the lazy dog. " * 5000
    assert extract(wav_of(text), SPEC, Limits()).facts.format == "wav"
    assert extract(encode(music(1.0)), SPEC, Limits()).facts.damage is None
