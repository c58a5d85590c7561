"""Positions of Ogg pages that contradict the packets, as ffmpeg writes them, and Opus streams that begin elsewhere."""

import io
import struct
import subprocess

import numpy as np
import pytest
import soundfile

from tests.support.synth import SPEC, encode, music
from tests.transforms.audio.test_against_ffmpeg import FFMPEG, ours
from transforms.audio.containers.contents import identify, inspect
from transforms.audio.containers.kinds import OPUS, VORBIS
from transforms.audio.containers.ogg_pages import page_length, with_checksum
from transforms.audio.containers.ogg_positions.block_sizes import mode_block_sizes
from transforms.audio.containers.ogg_positions.opus import from_zero
from transforms.audio.containers.ogg_positions.vorbis import with_counted_positions
from transforms.audio.limits import Limits
from transforms.features.extract import extract

RATE = 22_050
HEADERS = 2
"""Pages of the three header packets."""


@pytest.fixture(scope="module")
def vorbis():
    return encode(music(8.0, RATE), RATE, "OGG", "VORBIS")


def run_ffmpeg(*args):
    subprocess.run([FFMPEG, "-v", "error", *args], check=True, stdin=subprocess.DEVNULL)


def pages_of(data):
    pages, start = [], 0
    while start < len(data):
        pages.append(data[start : start + page_length(data, start)])
        start += len(pages[-1])
    return pages


def moved(page, samples):
    """The page with a position that is so many samples later."""
    position = struct.unpack_from("<q", page, 6)[0] + samples
    return with_checksum(page[:6] + struct.pack("<q", position) + page[14:])


def with_late(data, late):
    """The file with the positions of some pages moved: {page, counted from the first of audio: samples}."""
    pages = pages_of(data)
    for page, samples in late.items():
        at = page + HEADERS if page >= 0 else len(pages) + page
        pages[at] = moved(pages[at], samples)
    return b"".join(pages)


@pytest.mark.parametrize("late", [{0: 224}, {3: 224}, {-2: 224}, {0: 224, 2: 64, -2: 21_664}, {0: 64, 1: 224}], ids=str)
def test_a_position_that_the_packets_contradict_is_corrected(vorbis, late):
    assert with_counted_positions(with_late(vorbis, late)) == vorbis


def test_the_only_position_before_the_end_is_corrected_if_it_is_less_than_a_block_late():
    short = encode(music(1.5, RATE), RATE, "OGG", "VORBIS")
    assert len(pages_of(short)) == HEADERS + 2
    assert with_counted_positions(with_late(short, {0: 224})) == short


@pytest.mark.parametrize("start", [0, 197, 10_000_000], ids=str)
def test_positions_that_agree_are_left_as_they_are_wherever_they_begin(vorbis, start):
    pages = pages_of(vorbis)
    data = b"".join([*pages[:HEADERS], *(moved(page, start) for page in pages[HEADERS:])])
    assert with_counted_positions(data) is data


def test_a_late_position_of_a_broadcast_is_corrected(vorbis):
    pages = pages_of(vorbis)
    data = b"".join([*pages[:HEADERS], *(moved(page, 10_000_000) for page in pages[HEADERS:])])
    assert with_counted_positions(with_late(data, {2: 224})) == data


def test_the_end_of_the_sound_is_read(vorbis):
    whole = extract(vorbis, SPEC, Limits())
    late = extract(with_late(vorbis, {0: 224}), SPEC, Limits())
    assert whole.facts.duration_s == 8.0 and late.facts == whole.facts
    np.testing.assert_array_equal(late.patches, whole.patches)


def test_each_stream_of_a_chain_is_corrected(vorbis):
    contents = inspect(with_late(vorbis, {0: 224}) + with_late(vorbis, {-2: 224}), VORBIS)
    assert contents.links == (vorbis, vorbis)


def test_bytes_before_the_stream_do_not_matter(vorbis):
    kind, contents = identify(bytes(1000) + with_late(vorbis, {0: 224}))
    assert kind == VORBIS and contents.data.lstrip(b"\0") == vorbis


def without(data, page):
    pages = pages_of(data)
    del pages[page]
    return b"".join(pages)


def with_empty_packet(data):
    """The file with a packet of 0 bytes on its third page of audio."""
    pages = pages_of(data)
    page = pages[4]
    segments = page[26]
    pages[4] = with_checksum(
        page[:26] + bytes([segments + 1]) + page[27 : 27 + segments] + b"\0" + page[27 + segments :]
    )
    return b"".join(pages)


@pytest.mark.parametrize(
    "broken",
    [
        lambda data: without(data, 4),
        lambda data: without(data, -1),
        lambda data: with_late(data, {-2: -30_000}),
        lambda data: with_late(data, {-1: 30_000}),
        lambda data: with_late(data, {-1: -90_000}),
        with_empty_packet,
        lambda data: data.replace(b"\x05vorbis", b"\x07vorbis"),
    ],
    ids=["lost_page", "no_end", "reset", "end_too_late", "end_too_early", "empty_packet", "no_setup"],
)
def test_a_stream_that_no_start_explains_is_left_as_it_is(vorbis, broken):
    data = broken(with_late(vorbis, {0: 224}))
    assert inspect(data, VORBIS).data is data


@pytest.mark.parametrize("seconds", [1.3, 5.0, 20.0])
def test_what_ffmpeg_transcodes_keeps_its_length(tmp_path, seconds):
    """ffmpeg states late positions where its source is Ogg Vorbis itself."""
    source, target = tmp_path / "source.ogg", tmp_path / "target.ogg"
    bursts = np.random.default_rng(0).normal(size=(round(seconds * 44_100), 1)) * 0.3
    bursts *= np.exp(-12 * (3 * np.arange(len(bursts)) / 44_100 % 1))[:, np.newaxis]
    source.write_bytes(encode(bursts.astype(np.float32), 44_100, "OGG", "VORBIS"))
    run_ffmpeg("-i", str(source), "-c:a", "libvorbis", str(target))
    read, _ = soundfile.read(io.BytesIO(inspect(target.read_bytes(), VORBIS).data))
    assert len(read) == len(bursts)


def headers_of(data):
    first, second = pages_of(data)[:HEADERS]
    return first[28:], second[second.rindex(b"\x05vorbis") :]


@pytest.mark.parametrize(("rate", "sizes"), [(8_000, {512}), (RATE, {512, 1024}), (44_100, {256, 2048})], ids=str)
def test_the_modes_of_a_stream_have_its_block_sizes(rate, sizes):
    head, setup = headers_of(encode(music(1.0, rate), rate, "OGG", "VORBIS"))
    assert set(mode_block_sizes(head, setup)) == sizes


def test_headers_that_are_none_have_no_block_sizes(vorbis):
    head, setup = headers_of(vorbis)
    assert mode_block_sizes(head[:29], setup) is None
    assert mode_block_sizes(head[:28] + b"\x21" + head[29:], setup) is None
    assert mode_block_sizes(head, setup[:60]) is None
    assert mode_block_sizes(head, b"") is None


@pytest.fixture(scope="module")
def opus():
    return encode(music(4.0, 48_000), 48_000, "OGG", "OPUS")


def begun_at(data, start):
    """The file with the positions of all pages of audio moved."""
    return with_late(data, dict.fromkeys(range(len(pages_of(data)) - HEADERS), start))


@pytest.mark.parametrize("start", [-8640, -440, 100, 960, 10_000_000_000], ids=str)
def test_an_opus_stream_is_read_from_its_start_wherever_it_begins(opus, start):
    """libsndfile opens none that begins before 0. Of others it returns samples that are to be dropped."""
    assert inspect(begun_at(opus, start), OPUS).data == opus


@pytest.mark.parametrize("late", [{0: -440}, {0: 480}, {1: 64, -2: 960}, {0: -440, 2: 48}], ids=str)
def test_a_position_that_the_packets_of_opus_contradict_is_corrected(opus, late):
    assert inspect(with_late(opus, late), OPUS).data == opus


def test_an_opus_stream_as_it_should_be_is_left_as_it_is(opus):
    assert from_zero(opus) is opus


@pytest.mark.parametrize(
    "broken",
    [
        lambda data: without(data, 3),
        lambda data: without(data, -1),
        lambda data: with_late(data, {-1: 30_000}),
        lambda data: with_late(data, {-1: -90_000}),
        lambda data: data[:28],
    ],
    ids=["lost_page", "no_end", "end_too_late", "end_too_early", "head_alone"],
)
def test_an_opus_stream_that_no_start_explains_is_left_as_it_is(opus, broken):
    data = broken(with_late(opus, {0: 480}))
    assert inspect(data, OPUS).data is data


@pytest.mark.parametrize("duration", ["2.5", "5", "10", "20", "40", "60"])
@pytest.mark.parametrize("application", ["voip", "audio", "lowdelay"])
def test_packets_of_all_kinds_of_opus_are_counted(tmp_path, duration, application):
    """A stream that ffmpeg cuts without decoding begins before or after position 0, and has its length of ffmpeg."""
    source, whole, cut, read = (tmp_path / name for name in ("source.wav", "whole.opus", "cut.opus", "read.raw"))
    source.write_bytes(encode(music(4.0, 48_000), 48_000))
    coded = ["-c:a", "libopus", "-b:a", "24k", "-application", application, "-frame_duration", duration]
    run_ffmpeg("-i", str(source), *coded, str(whole))
    run_ffmpeg("-ss", "1.2", "-i", str(whole), "-c", "copy", str(cut))
    run_ffmpeg("-c:a", "libopus", "-i", str(cut), "-f", "f32le", str(read))  # its own decoder differs by a sample
    mine, theirs = ours(cut.read_bytes()), np.fromfile(read, "<f4").reshape(-1, 2)
    assert len(mine) == len(theirs)
    assert np.sqrt(np.mean((mine - theirs) ** 2)) < 0.01 * np.sqrt(np.mean(theirs**2))
