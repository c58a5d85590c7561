"""Patches that were sought are those of a full decode."""

import dataclasses

import numpy as np
import pytest
from soundfile import available_subtypes

from tests.support.synth import FORMATS, SPEC, av_file, encode, music, music_file
from transforms.audio.containers.contents import inspect
from transforms.audio.containers.sniff import sniff
from transforms.audio.limits import Limits
from transforms.features.patch_samples import PatchSamples
from transforms.features.patches import plan_patches
from transforms.features.reading import AudioFile, read_planned
from transforms.features.sample_reader import DecodeTally, read_straight

FEW = dataclasses.replace(SPEC, patches_per_track=4)
SECONDS = 60.0
TOLERANCE = 3e-5
"""Of full scale: what resampling a stretch differs by from resampling the whole."""
RANDOM = 3e-4
"""The same for AAC, whose decoder fills bands with noise from a generator that a seek does not rewind."""

SOUGHT = {
    **{kind: lambda kind=kind: music_file(kind, SECONDS) for kind in FORMATS},
    "mp3 without a length": lambda: untagged(music_file("mp3", SECONDS)),
    "chained vorbis": lambda: 2 * music_file("vorbis", SECONDS / 2),
    "joined mp3": lambda: 2 * music_file("mp3", SECONDS / 2),
    "flac of an odd rate": lambda: encode(music(SECONDS, 35_467), 35_467, "FLAC"),
    "wav at the spec's rate": lambda: encode(music(SECONDS, 16_000), 16_000),
    "m4a": lambda: av_file("mp4", SECONDS),
    "m4a of a low rate": lambda: av_file("mp4", SECONDS, 8_000),
    "m4a that begins late": lambda: av_file("mp4", SECONDS, begins_s=2.5),
    "alac": lambda: av_file("mp4 alac", SECONDS),
    "alac that begins late": lambda: av_file("mp4 alac", SECONDS, begins_s=2.5),
    "wavpack": lambda: av_file("wavpack", SECONDS),
    "tta": lambda: av_file("tta", SECONDS),
}


def untagged(mp3):
    """The same MP3 without its length tag's frame."""
    from transforms.audio.containers.mpeg import scan_mpeg

    scan = scan_mpeg(mp3)
    return mp3[scan.spans[0][0] + scan.head.size :]


def sought_and_straight(data):
    """A track of which few patches are wanted, read both ways."""
    kind = sniff(data)
    track = AudioFile(contents=inspect(data, kind), kind=kind, spec=FEW, limits=Limits())
    with track.open() as source:
        frames = track.claimed_frames(source)
        sought = read_planned(track, source, frames)
    with track.open() as source:
        samples = track.samples(frames, source.rate_hz)
        straight = PatchSamples(plan_patches(samples, FEW), samples, FEW)
        read_straight(source, straight, frames, FEW, DecodeTally())
    assert sought.tally.failure is None and len(sought.gather.good_patches()) == 4
    return sought, straight, frames


def assert_equal(sought, straight, tolerance):
    for a, b in zip(sought.gather.buffers, straight.buffers, strict=True):
        assert a.start == b.start
        np.testing.assert_allclose(a.samples, b.samples, atol=tolerance)


@pytest.mark.parametrize("name", SOUGHT)
def test_sought_samples_are_those_of_a_full_decode(name):
    sought, straight, frames = sought_and_straight(SOUGHT[name]())
    assert sought.tally.frames < 0.7 * frames
    assert_equal(sought, straight, RANDOM if name.startswith("m4a") else TOLERANCE)


NARROW = ("GSM610", "G721_32", "G723_24", "G723_40", "NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32")
UNWRITTEN = ("ALAC_24", "ALAC_32", "DWVW_12", "MPEG_LAYER_III")
"""What libsndfile does not write, or not without a fault."""
CODINGS = [
    (format, coding)
    for format in ("WAV", "AIFF", "AU", "CAF", "W64")
    for coding in available_subtypes(format)
    if coding not in UNWRITTEN
]


@pytest.mark.parametrize(("format", "coding"), CODINGS)
def test_codings_that_cannot_be_sought_are_read_straight_on(format, coding):
    rate = 8_000 if coding in NARROW else 16_000
    is_mono = coding in NARROW or coding.startswith("DWVW")
    data = encode(music(25.0, rate, 1 if is_mono else 2), rate, format, coding)
    sought, straight, _ = sought_and_straight(data)
    assert_equal(sought, straight, TOLERANCE)
