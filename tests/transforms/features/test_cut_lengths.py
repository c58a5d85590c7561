"""The length of a cut file is that of the audio in it, in every format and however it is read."""

import dataclasses
import functools

import numpy as np
import pytest

from tests.support.synth import AV_FORMATS, FORMATS, SPEC, av_file, music_file
from tests.transforms.audio.test_containers import index_first
from transforms.audio.limits import Limits
from transforms.features.extract import extract

SOUGHT = dataclasses.replace(SPEC, patches_per_track=3)
"""Few patches in 40 s: they are sought."""
WHOLE = dataclasses.replace(SPEC, patches_per_track=64)
SECONDS = 40.0


SOUGHT_IN = ("wav", "flac", "mp3", "vorbis", "mp4", "wavpack", "tta")
KINDS = [pytest.param(kind, marks=() if kind in SOUGHT_IN else pytest.mark.long) for kind in [*FORMATS, *AV_FORMATS]]


@functools.cache
def whole_file(kind):
    if kind in FORMATS:
        return music_file(kind, SECONDS)
    data = av_file(kind, SECONDS)
    return index_first(data) if kind.startswith("mp4") else data


def length(data, spec):
    return extract(data, spec, Limits()).facts.duration_s


@pytest.mark.parametrize(
    "share", [0.6, pytest.param(0.75, marks=pytest.mark.long), pytest.param(0.95, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_sought_or_read_through_a_cut_file_is_as_long_as_what_is_there(kind, share):
    data = whole_file(kind)
    cut = data[: int(share * len(data))]
    sought, through = length(cut, SOUGHT), length(cut, WHOLE)
    assert sought == pytest.approx(through, abs=0.2)
    if kind in ("wav", "aiff", "caf", "ac3", "mp2"):  # bytes are proportional to time
        assert sought == pytest.approx(share * SECONDS, abs=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_keeps_its_length(kind):
    assert length(whole_file(kind), SOUGHT) == pytest.approx(SECONDS, abs=0.1)


def test_damage_in_the_middle_of_a_flac_does_not_end_the_track():
    data = bytearray(whole_file("flac"))
    middle = len(data) // 3
    data[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    assert length(bytes(data), WHOLE) == pytest.approx(SECONDS, abs=0.3)
