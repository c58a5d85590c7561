"""What a container claims, against what is there; and what extraction makes of cut files."""

import dataclasses
import struct

import numpy as np
import pytest

from tests.support.synth import SPEC, av_file, encode, music, music_file
from tests.transforms.audio.test_ogg_chains import ID3V1, ID3V2
from tests.transforms.features.test_seeking import untagged
from transforms.audio.containers import flac, wavpack
from transforms.audio.containers.contents import inspect
from transforms.audio.containers.mpeg import scan_mpeg
from transforms.audio.containers.sniff import sniff
from transforms.audio.errors import NoFrames, TooLong, TrackError
from transforms.audio.limits import Limits
from transforms.features.extract import extract

LIMITS = Limits()


def notes(data):
    return inspect(data, sniff(data)).notes


def damage(data, spec=SPEC):
    return extract(data, spec, LIMITS).facts.damage or ""


class _Whole(dict[str, bytes]):
    """Files of 20 s, made when they are first asked for: those who only collect the tests need none."""

    def __missing__(self, kind: str) -> bytes:
        return self.setdefault(kind, music_file(kind, 20.0))


WHOLE = _Whole()
KINDS = ("wav", "aiff", "caf", "flac", "mp3", "vorbis", "opus")


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_has_no_damage(kind):
    got = extract(WHOLE[kind], SPEC, LIMITS)
    assert got.facts.damage is None and got.facts.decoded_fraction == 1.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_cut_file_is_told_from_a_whole_one(kind, share):
    data = WHOLE[kind][: int(len(WHOLE[kind]) * share)]
    try:
        facts = extract(data, SPEC, LIMITS).facts
    except TrackError as error:
        assert error.reason in ("truncated", "decode_error")
        return
    assert "truncated" in facts.damage or "decode_error" in facts.damage
    if kind not in ("vorbis", "opus"):  # their headers don't tell how long the whole was
        assert facts.decoded_fraction == pytest.approx(share, abs=0.15)


@pytest.mark.parametrize("kind", ["wav", "aiff", "mp3", "flac", "vorbis"])
def test_a_cut_long_file_is_told_from_a_whole_one_by_seeking(kind):
    few = dataclasses.replace(SPEC, patches_per_track=4)
    data = music_file(kind, 60.0)
    try:
        assert "truncated" in damage(data[: int(len(data) * 0.7)], few) or "decode_error" in damage(data, few)
    except TrackError as error:
        assert error.reason in ("truncated", "decode_error")


def with_vbri_tag(mp3):
    """The same MP3 with the other kind of length tag, that of Fraunhofer's encoder."""
    scan = scan_mpeg(mp3)
    at = scan.spans[0][0]
    tag = b"VBRI" + struct.pack(">HHHII", 1, 0, 0, len(mp3), scan.tag_frames)
    frame = (mp3[at : at + 4] + bytes(32) + tag).ljust(scan.head.size, b"\0")
    return mp3[:at] + frame + mp3[at + scan.head.size :]


def test_a_cut_mp3_with_a_vbri_tag_is_told_from_a_whole_one():
    data = with_vbri_tag(WHOLE["mp3"])
    assert scan_mpeg(data).tag_frames == scan_mpeg(WHOLE["mp3"]).tag_frames
    assert damage(data) == "" and damage(data[: len(data) // 2]).startswith("truncated: ")


def test_an_mp3_without_a_length_is_never_whole():
    assert damage(untagged(WHOLE["mp3"])) == "length_unverified"


def test_an_mp3_without_a_length_has_all_its_frames():
    got = extract(untagged(WHOLE["mp3"]), SPEC, LIMITS)
    assert got.facts.duration_s == pytest.approx(20.0, abs=0.06)


def test_a_vbr_mp3_that_begins_loud_is_not_cut_short():
    loud_first = music(20.0)
    loud_first[200_000:] = 1e-3
    data = untagged(encode(loud_first, format="MP3"))
    assert extract(data, SPEC, LIMITS).facts.duration_s == pytest.approx(20.0, abs=0.06)


def test_bytes_before_the_first_mp3_frame_are_no_harm():
    noise = np.random.default_rng(1).integers(0, 200, 20_000, dtype=np.uint8).tobytes()
    assert extract(noise + WHOLE["mp3"], SPEC, LIMITS).facts.duration_s == pytest.approx(20.0, abs=0.06)


def test_a_wav_stream_of_unknown_size_is_read_to_its_end():
    data = bytearray(WHOLE["wav"])
    data[40:44] = bytes(4)
    assert damage(bytes(data)) == "length_unverified"
    data[40:44] = b"\xff" * 4
    assert damage(bytes(data)) == "length_unverified"


def test_a_wav_header_that_cannot_be_true_is_not_believed():
    data = bytearray(WHOLE["wav"])
    data[40:44] = struct.pack("<I", 0x7000_0000)
    assert damage(bytes(data)) == "length_unverified"


def test_a_flac_header_that_cannot_be_true_is_not_believed():
    data = bytearray(WHOLE["flac"])
    data[21] |= 0x0F
    data[22:26] = b"\xff" * 4
    got = extract(bytes(data), SPEC, LIMITS)
    assert got.facts.damage == "length_unverified" and got.facts.duration_s == pytest.approx(20.0)


def test_a_flac_header_that_is_false_but_possible_is_found_out():
    data = bytearray(WHOLE["flac"])
    data[22:26] = struct.pack(">I", 44_100 * 3600)
    got = extract(bytes(data), SPEC, LIMITS)
    assert "length_unverified" in got.facts.damage and got.facts.duration_s == pytest.approx(20.0, abs=0.5)


def wav_claiming(data, share):
    size = int.from_bytes(data[40:44], "little")
    return data[:40] + struct.pack("<I", int(size * share)) + data[44:]


def aiff_claiming(data, share):
    at = data.index(b"SSND") + 4
    return data[:at] + struct.pack(">I", int(int.from_bytes(data[at : at + 4]) * share)) + data[at + 4 :]


def caf_claiming(data, share):
    at = data.index(b"data") + 4
    return data[:at] + struct.pack(">q", int(int.from_bytes(data[at : at + 8]) * share)) + data[at + 8 :]


def au_claiming(data, share):
    return data[:8] + struct.pack(">I", int(int.from_bytes(data[8:12]) * share)) + data[12:]


def w64_claiming(data, share):
    at = data.index(b"data\xf3\xac") + 16
    return data[:at] + struct.pack("<Q", int(int.from_bytes(data[at : at + 8], "little") * share)) + data[at + 8 :]


def flac_claiming(data, share):
    return flac.with_samples(data, int(flac.claimed_samples(data) * share))


def wavpack_claiming(data, share):
    return wavpack.with_samples(data, int(wavpack.claimed_samples(data) * share))


def m4a_claiming(data, share):
    at = data.index(b"mdhd") + 20
    return data[:at] + struct.pack(">I", int(int.from_bytes(data[at : at + 4]) * share)) + data[at + 4 :]


CLAIMING = {
    "wav": (lambda: music_file("wav", 20.0), wav_claiming),
    "aiff": (lambda: music_file("aiff", 20.0), aiff_claiming),
    "caf": (lambda: music_file("caf", 20.0), caf_claiming),
    "au": (lambda: encode(music(20.0), format="AU"), au_claiming),
    "w64": (lambda: encode(music(20.0), format="W64"), w64_claiming),
    "flac": (lambda: music_file("flac", 20.0), flac_claiming),
    "flac with tags": (lambda: ID3V2 + music_file("flac", 20.0) + ID3V1, None),
    "wavpack": (lambda: av_file("wavpack", 20.0), wavpack_claiming),
    "m4a": (lambda: av_file("mp4", 20.0), m4a_claiming),
    "alac": (lambda: av_file("mp4 alac", 20.0), m4a_claiming),
}


@pytest.mark.parametrize("patches_per_track", [1, 16])
@pytest.mark.parametrize("name", CLAIMING)
def test_a_header_that_claims_half_of_what_is_there_costs_nothing(name, patches_per_track):
    make, claiming = CLAIMING[name]
    spec = dataclasses.replace(SPEC, patches_per_track=patches_per_track)
    whole = extract(make(), spec, LIMITS)
    assert whole.facts.damage is None
    if claiming is None:
        return
    got = extract(claiming(make(), 0.5), spec, LIMITS)
    assert got.facts.duration_s == pytest.approx(20.0, abs=0.06) and got.facts.damage == "length_unverified"
    np.testing.assert_allclose(got.starts_s, whole.starts_s, atol=0.1)


@pytest.mark.parametrize("times", [3, 15, 40, 4_800])
@pytest.mark.parametrize("name", ["flac", "wavpack"])
def test_a_header_that_claims_many_times_what_is_there_costs_nothing(name, times):
    make, claiming = CLAIMING[name]
    facts = extract(claiming(make(), times), SPEC, LIMITS).facts
    assert facts.duration_s == pytest.approx(20.0) and facts.decoded_fraction == 1.0
    assert facts.damage == "length_unverified"


def test_a_claim_over_the_limit_is_looked_into():
    """TTA's header has a checksum of its own: it is right about a file of which little is left."""
    short = dataclasses.replace(LIMITS, max_duration_s=15.0)
    for kind in ("wav", "flac"):
        with pytest.raises(TooLong, match="20 s, the limit is 15 s"):
            extract(music_file(kind, 20.0), SPEC, short)
    with pytest.raises(TooLong):
        extract(av_file("mp4", 20.0), SPEC, short)
    with pytest.raises(TooLong):
        extract(av_file("tta", 20.0), SPEC, short)
    cut = av_file("tta", 20.0)
    got = extract(cut[: len(cut) // 2], SPEC, short)
    assert got.facts.duration_s == pytest.approx(10.0, abs=1.5) and "length_unverified" in got.facts.damage


@pytest.mark.parametrize("name", ["au", "w64"])
def test_a_cut_file_of_sized_audio_is_told(name):
    data = CLAIMING[name][0]()
    facts = extract(data[: len(data) * 7 // 10], SPEC, LIMITS).facts
    assert facts.damage.startswith("truncated: ") and facts.decoded_fraction == pytest.approx(0.7, abs=0.15)


LIST = b"LIST" + struct.pack("<I", 300_000) + bytes(300_000)
BEHIND = {
    "chunk": LIST,
    "padding": bytes(300_000),
    "padding of ones": b"\xff" * 300_000,
    "padding and a chunk": bytes(510) + LIST,
    "tag": ID3V1,
    "cut chunk": b"cart" + struct.pack("<I", 900_000) + bytes(300_000),
    "chunk of an odd name": b"PA\xa9 " + struct.pack("<I", 300_000) + bytes(300_000),
    "text": b"<?xml version='1.0'?>" * 20_000,
    "archive": b"PK\x03\x04" + bytes(range(256)) * 2_000,
}


@pytest.mark.parametrize("name", BEHIND)
def test_what_stands_behind_the_audio_of_a_wav_is_no_audio(name):
    got = extract(WHOLE["wav"] + BEHIND[name], SPEC, LIMITS).facts
    assert got.damage is None and got.duration_s == 20.0


@pytest.mark.parametrize("samples", [44_100, 44_101])
def test_what_stands_behind_the_audio_of_a_w64_is_no_audio(samples):
    data = encode(music(2.0, channels=1)[:samples], format="W64")
    bext = b"bext" + bytes(12) + struct.pack("<Q", 24 + 60_000) + bytes(range(256)) * 234 + bytes(96)
    got = extract(data.ljust(len(data) + 7 & ~7, b"\0") + bext, SPEC, LIMITS).facts
    assert got.damage is None and got.duration_s == samples / 44_100


@pytest.mark.parametrize("format", ["WAV", "W64"])
def test_a_recording_of_nothing_has_no_frames_whatever_stands_behind(format):
    empty = encode(np.zeros((0, 2), np.float32), format=format)
    bext = b"bext" + bytes(12) + struct.pack("<Q", 24 + 60_000) + bytes(range(256)) * 235
    with pytest.raises(NoFrames):
        extract(empty + (LIST if format == "WAV" else bext), SPEC, LIMITS)


def test_a_stream_that_begins_with_silence_is_read():
    quiet = music(20.0)
    quiet[:88_200] = 0
    data = bytearray(encode(quiet))
    data[40:44] = bytes(4)
    got = extract(bytes(data), SPEC, LIMITS).facts
    assert got.damage == "length_unverified" and got.duration_s == 20.0


def test_the_last_frame_of_a_flac_may_be_tiny():
    samples = music(2.0, channels=1)
    samples[44_100:] = 0
    data = encode(samples, format="FLAC")
    for claimed in (len(samples), len(samples) // 2, 4096):  # the last is a frame's end, too
        count, at = flac.counted_samples(flac.with_samples(data, claimed))
        assert count == len(samples) and len(data) - at < 16


def test_a_flac_whose_header_is_not_its_first_block_is_left_as_it_is():
    data = WHOLE["flac"]
    padded = data[:4] + b"\x01\x00\x00\x22" + bytes(34) + data[4:]
    assert flac.claimed_samples(padded) == 0 and flac.claimed_samples(b"fLaC") == 0
    assert damage(padded) == ""


def test_what_looks_like_a_frame_behind_a_flac_is_not_believed():
    data = WHOLE["flac"]
    start = flac._audio_start(data)
    assert flac.counted_samples(data + data[start : start + 16])[0] == 20 * 44_100
    assert flac.counted_samples(flac.with_samples(data, 44_100) + data[start : start + 16]) is None


def test_a_flac_cut_at_its_front_counts_from_its_first_frame():
    data = WHOLE["flac"]
    start = flac._audio_start(data)
    second = next(at for at in range(start + 1, len(data)) if (frame := flac._frame(data, at)) and frame.number == 1)
    cut = data[:start] + data[second:]
    left = 20 * 44_100 - flac._frame(data, start).samples
    for claimed in (left, 20 * 44_100):
        assert flac.counted_samples(flac.with_samples(cut, claimed))[0] == left


def test_a_flac_whose_numbers_may_mean_either_is_read_as_it_claims():
    """Before there was a bit for it, files of varying block size counted samples: both sizes in the header told."""
    data = bytearray(WHOLE["flac"])
    data[8:10] = b"\x02\x00"
    assert flac.counted_samples(bytes(data))[0] == 20 * 44_100
    assert flac.counted_samples(flac.with_samples(bytes(data), 44_100)) is None


@pytest.mark.parametrize("last", [b"\0", b"\x80"])
def test_two_flacs_in_a_row_are_told(last):
    other = encode(music(9.0), format="FLAC")
    comment = b"\x84\0\0\x08" + bytes(8)
    start = flac._audio_start(other)
    other = other[:4] + last + other[5:42] + (b"" if last == b"\x80" else comment) + other[start:]
    for files in ((WHOLE["flac"], other), (other, WHOLE["flac"])):
        got = extract(b"".join(files), SPEC, LIMITS).facts
        assert got.duration_s == (9.0 if files[0] is other else 20.0)
        assert got.damage.startswith("chained: another file follows and is left out")


def test_metadata_without_end_takes_no_time():
    blocks = b"fLaC\0\0\0\x22" + (34).to_bytes(34) + bytes(40_000_000)
    assert notes(blocks) == ()


def test_a_wavpack_is_walked_from_block_to_block():
    tagged = av_file("wavpack", 20.0)
    data = tagged[: tagged.index(b"APETAGEX")]
    assert wavpack.counted_samples(tagged) == wavpack.counted_samples(data) == 20 * 44_100
    for other in (data[:-1], data + data, data + b"junk", data[: len(data) // 2]):
        assert wavpack.counted_samples(other) is None
    last = data.rfind(b"wvpk")
    far = data[: last + 16] + b"\xff" * 4 + data[last + 20 :]
    assert wavpack.counted_samples(far) is None and damage(far) == ""


def mp3_in_wav(mp3):
    fmt = struct.pack("<HHIIHHHHIHHH", 0x55, 2, 44_100, 16_000, 1, 0, 12, 1, 2, 1152, 1, 0)
    chunks = b"".join(
        name + struct.pack("<I", len(body)) + body
        for name, body in ((b"fmt ", fmt), (b"fact", bytes(4)), (b"data", mp3))
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def test_an_mp3_in_a_wav_is_read_like_one_by_itself():
    loud_late = music(30.0)
    loud_late[:300_000] *= 1e-4
    for mp3 in (WHOLE["mp3"], untagged(encode(loud_late, format="MP3"))):
        got, alone = extract(mp3_in_wav(mp3), SPEC, LIMITS), extract(mp3, SPEC, LIMITS)
        assert got.facts == dataclasses.replace(alone.facts, format="wav", damage=None)
        np.testing.assert_array_equal(got.patches, alone.patches)
    assert "truncated: " in damage(mp3_in_wav(WHOLE["mp3"])[:-50_000])


@pytest.mark.parametrize("claimed", [0, 100_000, 0xFFFFFFFF])
def test_an_mp3_in_a_wav_of_a_false_size_is_read_to_its_end(claimed):
    data = mp3_in_wav(untagged(WHOLE["mp3"]))
    at = data.index(b"data") + 4
    got = extract(data[:at] + struct.pack("<I", claimed) + data[at + 4 :], SPEC, LIMITS).facts
    assert got.damage == "length_unverified" and got.duration_s == pytest.approx(20.0, abs=0.06)


def test_layer_2_in_a_wav_that_says_layer_3_is_read():
    got = extract(mp3_in_wav(av_file("mp2", 20.0)), SPEC, LIMITS).facts
    assert got.format == "wav" and got.duration_s == pytest.approx(20.0, abs=0.06)


def test_a_lost_ogg_page_is_told():
    data = bytearray(WHOLE["vorbis"])
    data[len(data) // 2] ^= 0x55
    assert notes(bytes(data)) == ("lost_pages: 1 damaged or missing",)


def test_ogg_pages_of_a_whole_file_check():
    assert notes(WHOLE["vorbis"]) == notes(WHOLE["opus"]) == ()


def test_flac_damaged_in_the_middle_is_salvaged():
    data = bytearray(music_file("flac", 30.0))
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    got = extract(bytes(data), SPEC, LIMITS)
    assert 0.5 <= got.facts.decoded_fraction <= 1.0 and got.facts.damage


def index_first(m4a):
    """The same M4A with its index (moov) before its audio, as a web server wants it."""
    at, boxes = 0, []
    while at < len(m4a):
        size = int.from_bytes(m4a[at : at + 4])
        boxes.append(m4a[at : at + size])
        at += size
    moov = bytearray(next(box for box in boxes if box[4:8] == b"moov"))
    table = moov.index(b"stco") + 8
    for entry in range(int.from_bytes(moov[table : table + 4])):
        place = table + 4 + 4 * entry
        moov[place : place + 4] = (int.from_bytes(moov[place : place + 4]) + len(moov)).to_bytes(4)
    return b"".join([boxes[0], moov, *(box for box in boxes[1:] if box[4:8] != b"moov")])


def test_a_cut_m4a_with_its_index_first_is_salvaged():
    data = index_first(av_file("mp4", 30.0))
    assert extract(data, SPEC, LIMITS).facts.damage is None
    got = extract(data[: len(data) * 7 // 10], SPEC, LIMITS)
    assert got.facts.decoded_fraction == pytest.approx(0.7, abs=0.15) and "truncated" in got.facts.damage


def test_damaged_packets_of_an_m4a_are_left_out():
    data = bytearray(av_file("mp4", 30.0))
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    assert extract(bytes(data), SPEC, LIMITS).facts.damage
