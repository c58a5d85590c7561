"""MP3s, read packet by packet: what libsndfile reads of them, or nothing."""

import contextlib
import csv
import dataclasses
import io

import numpy as np
import pytest
import soundfile

from tests.support import mpeg_streams
from tests.support.synth import SPEC, av_file, encode, music, music_file, sine
from tests.support.world import SHARED
from tests.transforms.audio.test_mutants import MUTATIONS
from transforms.audio.containers import contents as containers
from transforms.audio.containers.contents import inspect
from transforms.audio.containers.kinds import MP3
from transforms.audio.containers.mpeg import mpeg_frame, scan_mpeg
from transforms.audio.containers.mpeg_reservoir import read_reservoir
from transforms.audio.decoders.mpeg_source import MpegSource
from transforms.audio.decoders.opening import open_packets, open_source
from transforms.audio.errors import DecodeError, TrackError
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
            patched.setattr(containers, "packets_of", lambda data, scan: None)
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


def beheaded(data):
    """A cut in the middle of a frame, as by a recorder of a radio stream, or by `dd`."""
    return data[len(data) // 3 + 5 :]


def with_vbri(data):
    """The length in a VBRI tag, as the encoders of Fraunhofer write it."""
    scan = scan_mpeg(data)
    tag = b"VBRI" + bytes(10) + scan.tag_frames.to_bytes(4, "big")
    first = data[:4] + bytes(32) + tag
    return first.ljust(scan.head.size, b"\0") + data[scan.head.size :]


QUICK = {
    "cut": WHOLE[:-100],
    "cut at both ends": beheaded(WHOLE)[:-100],
    "cut at a frame": WHOLE[BODY + 2 * 417 :],
    "joined": WHOLE + WHOLE,
    "joined with an ID3v1 tag between": WHOLE + b"TAG" + bytes(125) + WHOLE,
    "joined behind a cut": WHOLE[:-100] + WHOLE,
    "of two kinds": WHOLE + encode(sine(1.0, 22_050), 22_050, "MP3"),
    "without a length": WHOLE[BODY:],
    "of fewer frames than it claims": WHOLE[: scan_mpeg(WHOLE).starts[-33]],
    "of more frames than it claims": WHOLE.replace(b"Xing\0\0\0\x0f\0\0\0\xe7", b"Xing\0\0\0\x0f\0\0\0\xe6"),
    "whose tag tells no delay": WHOLE.replace(b"LAME", bytes(4)),
    "whose tag tells no length": WHOLE.replace(b"Xing\0\0\0\x0f", b"Xing\0\0\0\x0e"),
    "with a VBRI tag": with_vbri(WHOLE),
    "with junk in front": b"junk" * 300 + WHOLE,
    "with an ID3v1 tag": WHOLE + b"TAG" + bytes(125),
}


@pytest.mark.parametrize("name", QUICK)
def test_an_mp3_is_what_libsndfile_reads(name, by_both):
    data = QUICK[name]
    assert by_packets(data) is not None and data != WHOLE
    (facts, patches), (expected, reference) = by_both(data)
    assert facts == expected
    assert differing(patches, reference) < 0.05 and differing(patches, reference, 0.2) == 0


LEFT = {
    "of cut streams, joined": beheaded(WHOLE) + beheaded(WHOLE),
    "that lost frames": WHOLE[: BODY + 50 * 417] + WHOLE[BODY + 60 * 417 :],
    "that is short and has a long tag": WHOLE[: scan_mpeg(WHOLE).starts[-33]] + b"APETAGEX" + bytes(2000),
    "of layer 2": av_file("mp2", 3.0),
}


@pytest.mark.parametrize("name", LEFT)
def test_an_mp3_is_left_to_libsndfile(name):
    assert by_packets(WHOLE) is not None and by_packets(LEFT[name]) is None


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [44_100, 22_050, 8_000])
@pytest.mark.parametrize("back", [1, 100, 255, 511])
def test_frames_whose_audio_was_cut_off_are_silent(rate, channels, back, by_both):
    """Their bytes are there for the frames after them."""
    data = bytearray(mp3(rate, channels, "CONSTANT"))
    scan = scan_mpeg(bytes(data))
    at = scan.starts[1] + 4
    if scan.head.version == 3:
        data[at : at + 2] = (back << 7 | data[at + 1] & 0x7F).to_bytes(2, "big")
    else:
        data[at] = min(back, 255)
    packets = inspect(bytes(data), MP3).packets
    assert read_reservoir(bytes(data), packets.bounds, packets.head).lacking == {0: 0}
    assert by_packets(bytes(data)) is not None
    (facts, patches), (expected, reference) = by_both(bytes(data))
    assert facts == expected and differing(patches, reference, 0.2) == 0


def samples(source):
    blocks = []
    while len(block := source.read(1 << 16)):
        blocks.append(block.mean(axis=1))
    return np.concatenate(blocks)


def check_stream(seed, by_both):
    """The same facts, and the same samples but for rounding. Returns whether the stream is read packet by packet.

    Of stuffing that ends within a code, each decoder may make one coefficient of its own.
    """
    data, recipe = mpeg_streams.stream(seed)
    (facts, patches), (expected, reference) = by_both(data)
    assert facts == expected, recipe
    contents, most = inspect(data, MP3), 1e-3 if "by_a_stuffer" in recipe else 1e-5
    if contents.packets is None or patches is None:
        return False
    with contextlib.suppress(DecodeError):
        with open_packets(data=contents.data, packets=contents.packets, limits=Limits()) as source:
            quick = samples(source)
        with open_source(contents.data, MP3, Limits()) as source:
            assert np.abs(quick - samples(source)).max() < most, recipe
        assert differing(patches, reference) < 0.1 and differing(patches, reference, 0.2) < 0.02, recipe
        return True
    assert np.array_equal(patches, reference), recipe
    return False


def test_streams_of_several_encoders_and_cuts_are_what_libsndfile_reads(by_both):
    """With bits from 8 to 320 kbit/s, MPEG-1, 2 and 2.5, stuffing, cuts at any byte, joins, and without tags."""
    quick = [check_stream(seed, by_both) for seed in range(60)]
    assert sum(quick) > 0.85 * len(quick)


@pytest.mark.long
def test_two_thousand_streams_are_what_libsndfile_reads(by_both):
    quick = [check_stream(seed, by_both) for seed in range(1_000, 3_000)]
    assert sum(quick) > 0.85 * len(quick)


FEW = dataclasses.replace(SPEC, patches_per_track=2)
"""Of a track of 20 s, these patches are sought."""


def check_seeks(data, times, rng):
    """Samples after a seek have the same bits as those of a sequential reading; the listener hears those alone."""
    contents = inspect(data, MP3)
    whole = samples(MpegSource(contents.data, contents.packets))
    for at in rng.integers(0, len(whole), times).tolist():
        source, heard = MpegSource(contents.data, contents.packets), []
        source.listener = lambda first, channels, heard=heard: heard.append((first, np.mean(channels, axis=0)))
        source.read(int(rng.integers(1, 5_000)))
        heard.clear()
        source.seek(at)
        found = np.concatenate([source.read(count)[:, 0].copy() for count in (700, 1, 5_000)])
        np.testing.assert_array_equal(found, whole[at : at + 5_701])
        every = np.concatenate([channel for _, channel in heard])
        assert heard[0][0] == at and len(every) >= len(found)
        np.testing.assert_allclose(every[: len(found)], found, atol=1e-6)


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (24_000, 1), (8_000, 2)])
def test_sought_samples_have_the_same_bits(rate, channels, mode):
    check_seeks(mp3(rate, channels, mode), 6, np.random.default_rng(rate))


def test_sought_samples_of_many_encoders_and_cuts_have_the_same_bits():
    checked = 0
    for seed in range(12):
        data, _ = mpeg_streams.stream(seed)
        with contextlib.suppress(TrackError):
            if inspect(data, MP3).packets is not None:
                check_seeks(data, 3, np.random.default_rng(seed))
                checked += 1
    assert checked >= 6


@pytest.mark.parametrize("channels", [1, 2])
def test_a_track_of_which_little_is_wanted_is_sought_packet_by_packet(channels, by_both, monkeypatch):
    data = encode(music(20.0, 44_100, channels), 44_100, "MP3")
    whole, few = by_packets(data), by_packets(data, FEW)
    assert few.tally.frames < 0.5 * whole.tally.frames and few.frames == whole.frames
    first, last = few.gather.buffers
    np.testing.assert_array_equal(first.samples[300:], whole.gather.buffers[0].samples[300 : len(first.samples)])
    np.testing.assert_allclose(last.samples, whole.gather.buffers[0].samples[-len(last.samples) :], atol=3e-5)
    monkeypatch.setattr("tests.transforms.audio.test_mpeg_packets.SPEC", FEW)
    (facts, patches), (expected, reference) = by_both(data)
    assert facts == expected and patches.shape == (2, 187, 96)
    assert differing(patches, reference) < 0.05 and differing(patches, reference, 0.2) == 0


def spoilt(data, frames, rng):
    """The file with flipped bits in the audio of one of these frames, of which the decoder complains."""
    starts = scan_mpeg(data).starts
    for start in starts[frames]:
        made = bytearray(data)
        for at in rng.integers(start + 60, start + 300, 8):
            made[at] ^= 1 << int(rng.integers(8))
        if by_packets(bytes(made)) is None:
            return bytes(made)
    raise AssertionError("the decoder complains of no frame")


def test_damage_where_a_track_is_sought_and_a_cut_leave_it_to_libsndfile(by_both, monkeypatch):
    data, rng = encode(music(20.0), 44_100, "MP3"), np.random.default_rng(2)
    within, between = spoilt(data, slice(-60, -40), rng), spoilt(data, slice(380, 400), rng)
    assert [by_packets(made, FEW) is not None for made in (data, between, within, data[:-30_000])] == [1, 1, 0, 0]
    monkeypatch.setattr("tests.transforms.audio.test_mpeg_packets.SPEC", FEW)
    (facts, patches), (expected, reference) = by_both(between)
    assert facts == expected and differing(patches, reference, 0.3) < 0.05
    for made in (within, data[:-30_000]):  # with one good patch of two, a track is rejected
        (facts, patches), (expected, _) = by_both(made)
        assert facts == expected and (patches is None or len(patches) == 2)


def test_silence_within_frames_is_no_clean_audio(by_both):
    """All headers are in their places, the audio between some of them is gone: the decoder complains."""
    data, scan = bytearray(WHOLE), scan_mpeg(WHOLE)
    start = scan.starts[64]
    size = mpeg_frame(data[start : start + 4]).size
    data[start + 4 : start + size] = bytes(size - 4)
    assert inspect(bytes(data), MP3).packets is not None and by_packets(bytes(data)) is None
    (facts, patches), (expected, reference) = by_both(bytes(data))
    assert facts == expected and np.array_equal(patches, reference)


def louder(data, frames, decibels):
    """The gain of these frames, in both granules and both channels, is raised."""
    made, scan = bytearray(data), scan_mpeg(data)
    steps = round(decibels / (20 * np.log10(2) / 4))
    for start in (scan.starts[i] + 4 for i in frames):
        side = int.from_bytes(made[start : start + scan.head.side_info])
        for part in range(4):
            side += steps << 8 * scan.head.side_info - (20 + 59 * part + 12 + 9 + 8)
        made[start : start + scan.head.side_info] = side.to_bytes(scan.head.side_info)
    return bytes(made)


@pytest.mark.parametrize("frames", [range(100, 101), range(1, 200)], ids=["one frame", "most frames"])
def test_a_level_that_no_recording_has_is_that_of_libsndfile(frames, by_both):
    """It is mostly the noise of a damaged frame, of which each decoder makes its own."""
    data, within = louder(WHOLE, frames, 30.0), louder(WHOLE, frames, 6.0)
    assert by_packets(within) is not None and by_packets(data) is None
    (facts, patches), (expected, reference) = by_both(data)
    assert facts == expected and np.array_equal(patches, reference)
    assert facts.damage == "level: the peak is more than 12 dB over full scale"


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
