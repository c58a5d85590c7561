"""Clean MP3s, read packet by packet: what libsndfile reads of them, or nothing."""

import csv
import dataclasses
import io

import numpy as np
import pytest
import soundfile

from tests.support.synth import SPEC, encode, music, music_file, sine
from tests.support.world import SHARED
from tests.transforms.audio.test_mutants import MUTATIONS
from transforms.audio.containers import contents as containers
from transforms.audio.containers.contents import inspect
from transforms.audio.containers.kinds import MP3
from transforms.audio.containers.mpeg import mpeg_frame, scan_mpeg
from transforms.audio.errors import TrackError
from transforms.audio.limits import Limits
from transforms.features.extract import extract
from transforms.features.reading import AudioFile, read_packets

SECONDS = 6.0
WHOLE = music_file("mp3", SECONDS)
BODY = scan_mpeg(WHOLE).head.size
AUDIBLE_DB = -80
STEP_DB = 0.07
"""One step of float16 at these levels, and a little."""


def mp3(rate, channels, mode):
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", rate, channels, "MPEG_LAYER_III", format="MP3", bitrate_mode=mode, compression_level=0.4
    ) as file:
        file.write(music(SECONDS, rate, channels))
    return buffer.getvalue()


def by_packets(data, spec=SPEC):
    return read_packets(AudioFile(contents=inspect(data, MP3), kind=MP3, spec=spec, limits=Limits()))


def outcome(data):
    """Facts and patches, or the reason in words."""
    try:
        found = extract(data, SPEC, Limits())
    except TrackError as error:
        return str(error), None
    return found.facts, found.patches.astype(np.float32)


@pytest.fixture
def by_both(monkeypatch):
    """Outcomes of a file as it is read, and as libsndfile alone reads it."""

    def read(data):
        as_it_is = outcome(data)
        with monkeypatch.context() as patched:
            patched.setattr(containers, "clean_packets", lambda data, scan: None)
            return as_it_is, outcome(data)

    return read


def differing(a, b, decibels=STEP_DB):
    """Share of the frames in which an audible band differs."""
    return ((np.abs(a - b) > decibels) & (np.maximum(a, b) > AUDIBLE_DB)).any(axis=-1).mean()


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [44_100, 48_000, 32_000, 24_000, 22_050, 16_000, 8_000])
def test_a_clean_mp3_is_what_libsndfile_reads(rate, channels, mode, by_both):
    data = mp3(rate, channels, mode)
    assert by_packets(data) is not None
    (facts, patches), (expected, reference) = by_both(data)
    assert facts == expected
    assert differing(patches, reference) < 0.05 and differing(patches, reference, 0.2) == 0


def test_samples_are_those_of_libsndfile_to_the_last():
    track = AudioFile(contents=inspect(WHOLE, MP3), kind=MP3, spec=SPEC, limits=Limits())
    reading = read_packets(track)
    with soundfile.SoundFile(io.BytesIO(WHOLE)) as file:
        assert reading.frames == reading.tally.frames == file.frames == SECONDS * 44_100


LACKING = {
    "cut": WHOLE[:-100],
    "joined": WHOLE + WHOLE,
    "of two kinds": WHOLE + encode(sine(1.0, 22_050), 22_050, "MP3"),
    "with junk inside": WHOLE[: BODY + 417] + b"junk" * 300 + WHOLE[BODY + 417 :],
    "without a length": WHOLE[BODY:],
    "of fewer frames than it claims": WHOLE[: scan_mpeg(WHOLE).packets[-1]],
    "whose tag tells no delay": WHOLE.replace(b"LAME", bytes(4)),
}


@pytest.mark.parametrize("name", LACKING)
def test_an_mp3_is_left_to_libsndfile(name):
    assert by_packets(WHOLE) is not None and by_packets(LACKING[name]) is None


def test_a_stream_that_was_cut_without_decoding_leans_on_what_is_missing():
    """Its first frame takes bytes of frames that are gone, which decoders make different sounds of."""
    data = bytearray(WHOLE)
    data[BODY + 4] = 0x20  # main_data_begin of the first frame of audio
    assert by_packets(bytes(data)) is None


def test_a_track_of_which_little_is_wanted_is_sought_by_libsndfile():
    few = dataclasses.replace(SPEC, patches_per_track=1)
    data = music_file("mp3", 10.0)
    assert by_packets(data) is not None and by_packets(data, few) is None


def test_silence_within_frames_is_no_clean_audio(by_both):
    """All headers are in their places, the audio between some of them is gone: the decoder complains."""
    data, scan = bytearray(WHOLE), scan_mpeg(WHOLE)
    start = scan.packets[2]
    size = mpeg_frame(data[start : start + 4]).size
    data[start + 4 : start + size] = bytes(size - 4)
    assert inspect(bytes(data), MP3).packets is not None and by_packets(bytes(data)) is None
    (facts, patches), (expected, reference) = by_both(bytes(data))
    assert facts == expected and np.array_equal(patches, reference)


def flip_a_bit(data, rng):
    data[int(rng.integers(BODY, len(data)))] ^= 1 << int(rng.integers(8))


def flip_bits_of_the_audio(data, rng):
    for at in rng.integers(BODY, len(data), 30):
        data[at] ^= 1 << int(rng.integers(8))


def damaged(count):
    """Mutants, every third one by a single bit: the damage that a decoder is least likely to see."""
    rng = np.random.default_rng(29)
    mutations = [*MUTATIONS, flip_bits_of_the_audio, *4 * [flip_a_bit]]
    for i in range(count):
        data = bytearray(WHOLE)
        mutations[i % len(mutations)](data, rng)
        yield bytes(data)


def check_damaged(count, by_both):
    used = 0
    for data in damaged(count):
        (facts, patches), (expected, reference) = by_both(data)
        assert facts == expected
        if patches is not None:
            assert differing(patches, reference, 0.3) < 0.05
            used += by_packets(data) is not None
    assert 0.1 * count < used < 0.6 * count


def test_damage_has_the_same_reasons_notes_and_patches(by_both):
    """But for the few frames that a flipped bit spoils: there both decoders make a noise of their own."""
    check_damaged(120, by_both)


@pytest.mark.long
def test_two_thousand_mutants_have_the_same_reasons_notes_and_patches(by_both):
    check_damaged(2_000, by_both)


@pytest.mark.skipif(not SHARED.exists(), reason="no real recordings beside the project")
def test_real_mp3s_are_what_libsndfile_reads(by_both):
    with (SHARED / "dev/manifest.csv").open(encoding="utf-8", newline="") as file:
        paths = [SHARED / "dev" / row["path"] for row in csv.DictReader(file) if row["path"].endswith(".mp3")]
    clean = 0
    for path in paths:
        (facts, patches), (expected, reference) = by_both(path.read_bytes())
        assert facts == expected
        assert differing(patches, reference, 0.2) == 0
        clean += by_packets(path.read_bytes()) is not None
    assert clean > 0.8 * len(paths) > 0
