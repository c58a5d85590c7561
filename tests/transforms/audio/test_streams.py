"""Streams of frames are found where they begin in mid-frame, behind padding or a wrong tag; other bytes are none."""

import io

import av
import numpy as np
import pytest

from tests.support.odd_files import id3
from tests.support.synth import AV_FORMATS, FORMATS, OTHER_AV_FORMATS, SPEC, av_file, music_file
from transforms.audio.containers.coded_pcm import swapped
from transforms.audio.containers.contents import identify
from transforms.audio.containers.sniff import locate
from transforms.audio.containers.streams import _FAMILIES, _first, find_stream, stream_at
from transforms.audio.errors import FormatNotAllowed, TrackError, UnknownFormat
from transforms.audio.limits import Limits
from transforms.features.extract import extract

SECONDS = 1.2


def file_of(kind):
    return music_file(kind, SECONDS) if kind in FORMATS else av_file(kind, SECONDS)


def facts(data):
    return extract(data, SPEC, Limits()).facts


FRAMED = ("mp3", "flac", "aac", "aac-latm", "ac3", "eac3", "mp2", "wavpack", "mpeg-program", "mpeg-transport")
"""Kinds whose frames can be found again."""
WITH_HEADER = ("wav", "aiff", "caf", "vorbis", "opus", "tta", "mp4 alac", "avi")


SHORT_SIGNS = (b"MZ", b"\xac\x40", b"\xac\x41", b"\x1f\x8b")
"""Signs of other formats that one of 16,384 streams begins with that are cut at random."""


@pytest.mark.parametrize("kind", FRAMED)
@pytest.mark.parametrize("sign", SHORT_SIGNS)
def test_two_bytes_refuse_no_stream(kind, sign):
    whole = file_of(kind)
    assert facts(sign + whole[len(whole) // 3 :]).format == kind


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"MZ" + bytes(58) + (128).to_bytes(4, "little") + bytes(64) + b"PE\0\0" + bytes(900), "a program"),
        ((b"\xac\x40\x00\x10" + bytes(16)) * 9, "AC-4"),
        ((b"\xac\x41\x00\x10" + bytes(18)) * 9, "AC-4"),
        ((b"\xac\x41\xff\xff\x00\x01\x00" + bytes(258)) * 3, "AC-4"),
        (b"\xac\x40\x01\x00" + bytes(256), "AC-4"),
        (b"\x1f\x8b\x08\x00" + bytes(900), "a gzip archive"),
    ],
)
def test_signs_of_two_bytes_are_confirmed(data, said):
    with pytest.raises(TrackError, match=said):
        identify(data)


@pytest.mark.parametrize("kind", FRAMED)
def test_a_stream_that_begins_in_mid_frame_is_read(kind):
    whole = file_of(kind)
    for cut in (97, 1200, len(whole) // 3):
        got = facts(whole[cut:])
        left = SECONDS * (1 - cut / len(whole))
        assert got.format == kind
        assert got.duration_s == pytest.approx(left, abs=0.5), cut


@pytest.mark.parametrize("kind", [*FRAMED, *WITH_HEADER])
@pytest.mark.parametrize(
    "size", [500, pytest.param(1, marks=pytest.mark.long), pytest.param(1 << 20, marks=pytest.mark.long)]
)
def test_padding_in_front_is_skipped(kind, size):
    want, got = facts(file_of(kind)), facts(bytes(size) + file_of(kind))
    assert (got.format, got.duration_s, got.damage) == (want.format, want.duration_s, want.damage)


WRONG_TAGS = {
    "uncounted padding": lambda audio: id3(100, bytes(100)) + bytes(500) + audio,
    "uncounted picture": lambda audio: id3(100, bytes(100) + b"\xff\xd8\xff\xe0" + bytes(range(256)) * 700) + audio,
    "too large for the file": lambda audio: id3(1 << 27, b"TIT2" + b"x" * 300) + audio,
    "into the audio": lambda audio: id3(900, b"TIT2" + b"x" * 300) + audio,
}


@pytest.mark.parametrize("name", WRONG_TAGS)
@pytest.mark.parametrize("kind", [*FRAMED, *WITH_HEADER])
def test_a_tag_of_a_wrong_size_hides_no_audio(kind, name):
    if kind == "mp4 alac":
        pytest.skip("the offsets in an MP4 count from the file's start: no tag may precede it")
    got = facts(WRONG_TAGS[name](file_of(kind)))
    assert got.format == kind and got.duration_s == pytest.approx(facts(file_of(kind)).duration_s, abs=0.1)


@pytest.mark.parametrize("first", [b"<", b"{", b"\n <", b"\xef\xbb\xbf{", b"http:"])
@pytest.mark.parametrize("kind", ["mp3", "aac", "ac3"])
def test_a_stream_that_begins_like_a_text_is_none(kind, first):
    """Of streams that begin in mid-frame, about one of 100 begins with such a byte, perhaps after white space."""
    rest = bytes(np.random.default_rng(3).integers(256, size=300, dtype=np.uint8))
    assert locate(first + rest + file_of(kind)).kind.name == kind


@pytest.mark.parametrize("text", [b"<html>\n<body>", b'{"a": [1]}', b"<a/>" + bytes(50), "<é>".encode("latin-1")])
def test_texts_are_refused_by_their_names(text):
    with pytest.raises(FormatNotAllowed, match=r"it is (XML or HTML|JSON)"):
        locate(text)


@pytest.mark.parametrize(
    "kind", ["mp3", "flac", "aac", "ac3", "mp2", "vorbis", "opus", "wavpack", "tta", "wav", "aiff", "caf", "avi", "asf"]
)
def test_other_bytes_in_front_are_skipped(kind):
    junk = np.random.default_rng(1).integers(1, 255, 5000, np.uint8).tobytes()
    got = facts(junk + file_of(kind))
    assert got.format == kind and got.duration_s == pytest.approx(facts(file_of(kind)).duration_s, abs=0.1)


def test_skipped_bytes_are_told_and_padding_is_not():
    audio = file_of("aac")
    assert identify(audio[97:])[1].notes[0].startswith("skipped: ")
    assert identify(bytes(97) + audio)[1].notes == ()


@pytest.mark.parametrize("kind", OTHER_AV_FORMATS)
def test_a_container_is_told_before_the_frames_in_it(kind):
    assert locate(file_of(kind)).kind.name == kind
    assert facts(file_of(kind)).duration_s == pytest.approx(SECONDS, abs=0.06)


def test_the_first_of_several_streams_is_found_as_if_each_kind_were_sought_alone():
    rng, found = np.random.default_rng(7), set()
    files = [file_of(kind) for kind in ("mp3", "aac", "aac-latm", "ac3", "mp2", "wav")]
    for _ in range(150):
        parts = [files[i] for i in rng.integers(len(files), size=2)]
        data = b"".join(rng.bytes(int(rng.integers(300))) + part[int(rng.integers(len(part))) :] for part in parts)
        alone = [stream for family in _FAMILIES if (stream := _first(data, 0, len(data), family)) is not None]
        assert find_stream(data, 0, len(data)) == min(alone, key=lambda stream: stream.at, default=None)
        found.add(len(alone))
    assert {0, 1, 2} <= found


@pytest.mark.parametrize("codec", ["mp2", "mp3", "ac3"])
@pytest.mark.parametrize("chunk", [700, 2000, 4000])
def test_frames_within_an_unknown_container_are_no_stream(codec, chunk):
    frames = file_of(codec)
    head = b"\x13PACKET\x91" * 60
    packed = head + b"".join(head + frames[i : i + chunk] for i in range(0, len(frames), chunk))
    with pytest.raises(UnknownFormat):
        locate(packed)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_no_stream(seed):
    rng = np.random.default_rng(seed)
    data = rng.bytes(1 << 17)
    if seed % 2:  # many sync words
        data = data.translate(bytes((0xFF, 0xFB, 0x0B, 0x77)) + bytes(range(4, 256)))
    assert find_stream(data, 0, len(data)) is None


@pytest.mark.parametrize("headers", [2, 3])
def test_a_few_headers_among_other_bytes_are_no_mp3(headers):
    frame = b"\xff\xfb\x90\x00" + bytes(413)
    data = bytes(range(1, 255)) * 20 + frame * headers + bytes(range(1, 255)) * 200
    with pytest.raises(UnknownFormat):
        locate(data)


def test_an_ogg_without_its_beginning_is_refused_by_name():
    with pytest.raises(FormatNotAllowed, match="Ogg without the beginning"):
        locate(file_of("vorbis")[97:])


def test_an_ogg_that_begins_in_mid_stream_is_read_from_the_next_stream_on():
    assert facts(file_of("vorbis")[4500:] + file_of("vorbis")).duration_s == pytest.approx(SECONDS, abs=0.01)


def test_a_transport_stream_of_any_packet_size_is_one():
    packets = file_of("mpeg-transport")
    with_errors = b"".join(packets[i : i + 188] + bytes(16) for i in range(0, len(packets) - 187, 188))
    timed = b"".join(bytes(4) + packets[i : i + 188] for i in range(0, len(packets) - 187, 188))
    assert [locate(data).kind.name for data in (packets, with_errors, timed)] == ["mpeg-transport"] * 3


def dts_frames(count, size=2048):
    """Core frames that hold nothing: sync word, 512 samples, size."""
    fields = [(0x7FFE8001, 32), (1, 1), (31, 5), (0, 1), (15, 7), (size - 1, 14)]
    bits = "".join(f"{value:0{width}b}" for value, width in fields).ljust(8 * size, "0")
    return int(bits, 2).to_bytes(size) * count


def in_14_bits(frames, size=2048):
    """The same bits, 14 of them in each word of 16, sign-extended."""
    packed = []
    for at in range(0, len(frames), size):
        bits = np.unpackbits(np.frombuffer(frames[at : at + size], np.uint8))
        words = np.pad(bits, (0, -len(bits) % 14)).reshape(-1, 14)
        packed.append(np.packbits(np.hstack([words[:, :1], words[:, :1], words]), axis=1).tobytes())
    return b"".join(packed)


@pytest.mark.parametrize("size", [1024, 2012, 2048])
def test_dts_is_known_in_each_coding(size):
    frames = dts_frames(6, size)
    narrow = in_14_bits(frames, size)
    for coded in (frames, swapped(frames), narrow, swapped(narrow)):
        assert stream_at(coded, 0) == ("dts", 0)
        found = find_stream(coded[50:], 0, 9000)
        assert found is not None and found.kind == "dts" and found.at + 50 == len(coded) // 6


@pytest.mark.parametrize("kind", [*AV_FORMATS, *OTHER_AV_FORMATS])
def test_no_cut_of_the_front_ends_in_anything_but_features_or_a_reason(kind):
    whole = av_file(kind, 1.0)
    for cut in (1, 190):
        try:
            facts(whole[cut:])
        except TrackError as error:
            assert error.reason not in ("unknown", "crash")


def test_ffmpeg_agrees_about_what_a_transport_stream_holds():
    with av.open(io.BytesIO(file_of("mpeg-transport")), format="mpegts") as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == ["aac"]


@pytest.mark.parametrize("kind", [*AV_FORMATS, *OTHER_AV_FORMATS])
def test_a_tag_of_a_true_size_before_any_format_changes_nothing(kind):
    data = av_file(kind, 2.0)
    plain, tagged = (extract(file, SPEC, Limits()) for file in (data, id3(500, bytes(500)) * 2 + data))
    assert (plain.patches == tagged.patches).all() and plain.facts == tagged.facts


def free_format(layout="stereo", samples=48_000):
    """An MP3 in the free format, made of one whose frames have one size, and the same MP3 before the change."""
    buffer, rng = io.BytesIO(), np.random.default_rng(5)
    with av.open(buffer, "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as container:
        stream = container.add_stream("libmp3lame", rate=48_000, layout=layout, options={"reservoir": "0"})
        stream.bit_rate = 128_000
        noise = rng.normal(0, 3000, (1 if layout == "mono" else 2, samples)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(noise, format="s16p", layout=layout)
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    plain = buffer.getvalue()
    free = bytearray(plain)
    for at in range(0, len(plain), 384):
        assert plain[at] == 0xFF
        free[at + 2] &= 0x0F
    return bytes(free), plain


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("before", [b"", id3(8, bytes(8)), bytes(700)], ids=["alone", "tag", "padding"])
def test_the_free_format_is_read(layout, before):
    """Its frames do not state their size: it is the distance between them."""
    free, plain = free_format(layout)
    found, wanted = extract(before + free, SPEC, Limits()), extract(plain, SPEC, Limits())
    assert (found.facts.format, found.facts.channels) == ("mp3", wanted.facts.channels)
    assert found.facts.duration_s == pytest.approx(wanted.facts.duration_s, abs=0.06)
    assert found.patches.shape == wanted.patches.shape
    levels = [features.patches.astype(float).mean(axis=(0, 1)) for features in (found, wanted)]
    assert np.abs(levels[0] - levels[1]).max() < 2  # dB; the same noise, shifted by the delay of the encoder


def test_headers_at_uneven_distances_are_no_free_format():
    free, _ = free_format()
    gaps = np.random.default_rng(3).integers(5, 90, len(free))
    uneven = b"".join(free[at : at + 384] + bytes(int(gaps[at])) for at in range(0, len(free), 384))
    with pytest.raises(UnknownFormat):
        locate(uneven)
