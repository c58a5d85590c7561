"""MPEG frames: headers by the standard, scans by construction."""

import numpy as np
import pytest

from tests.support.synth import SPEC, encode, music_file, sine
from transforms.audio.containers.mpeg import find_mpeg_frame, mpeg_frame, scan_mpeg, with_length_tag
from transforms.audio.limits import Limits
from transforms.features.extract import extract

MP3 = music_file("mp3", 5.0)
START = scan_mpeg(MP3).spans[0][0]


@pytest.mark.parametrize(
    ("head", "layer", "rate", "samples", "size"),
    [
        ("fffb9064", 3, 44_100, 1152, 417),
        ("fffb9264", 3, 44_100, 1152, 418),
        ("fff384c4", 3, 24_000, 576, 192),
        ("ffe310c4", 3, 11_025, 576, 52),
        ("fffdc404", 2, 48_000, 1152, 768),
        ("ffff1004", 1, 44_100, 384, 32),
        ("fffb0064", 3, 44_100, 1152, 0),
    ],
)
def test_a_header_tells_the_frame(head, layer, rate, samples, size):
    frame = mpeg_frame(bytes.fromhex(head))
    assert (frame.layer, frame.rate_hz, frame.samples, frame.size) == (layer, rate, samples, size)


@pytest.mark.parametrize("head", ["", "fffb90", "fefb9064", "ff1b9064", "ffeb9064", "fff99064", "fffbf064", "fffb9c64"])
def test_what_is_no_header(head):
    assert mpeg_frame(bytes.fromhex(head)) is None


def test_a_scan_counts_what_the_tag_claims():
    scan = scan_mpeg(MP3)
    assert scan.tag_frames == scan.frames - 1
    assert scan.lost_bytes == 0 and not scan.is_cut and not scan.has_other_kind


def test_junk_between_frames_is_lost_data_and_the_rest_is_found():
    scan = scan_mpeg(MP3)
    middle = START + 100 * 417
    cut = next(at for at in range(middle, middle + 2000) if mpeg_frame(MP3[at : at + 4]))
    broken = scan_mpeg(MP3[:cut] + b"junk" * 250 + MP3[cut:])
    assert broken.frames == scan.frames and broken.lost_bytes == 1000 and len(broken.spans) == 2


@pytest.mark.parametrize("byte", range(4))
@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_in_a_header_costs_at_most_the_frames_around_it(byte, bit):
    data = bytearray(MP3)
    data[scan_mpeg(MP3).starts[96] + byte] ^= 1 << bit
    facts = extract(bytes(data), SPEC, Limits()).facts
    assert facts.duration_s == pytest.approx(5.0, abs=0.1) and facts.decoded_fraction == 1.0
    assert facts.damage is None or facts.damage.startswith("lost_data: ")


def test_a_cut_within_a_frame_is_seen():
    assert scan_mpeg(MP3[:-100]).is_cut


def test_tags_at_the_end_are_no_damage():
    tagged = scan_mpeg(MP3 + b"APETAGEX" + bytes(500) + b"TAG" + bytes(125))
    assert tagged.lost_bytes == 0 and not tagged.is_cut and tagged.frames == scan_mpeg(MP3).frames


def test_frames_of_another_rate_are_told():
    assert scan_mpeg(MP3 + encode(sine(1.0, 22_050), 22_050, "MP3")).has_other_kind


def test_a_length_tag_counts_the_frames():
    scan = scan_mpeg(MP3)
    bare = MP3[START + scan.head.size :]
    mended = scan_mpeg(with_length_tag(bare, scan_mpeg(bare), keep_tag=False))
    assert mended.tag_frames == mended.frames - 1 == scan.frames - 1


@pytest.mark.parametrize("head", ["fffb9064", "fffb90c4", "fff388c4", "fff38804", "ffe318c4"])
def test_a_length_tag_fits_every_kind_of_frame(head):
    header = bytes.fromhex(head)
    data = (header + bytes(mpeg_frame(header).size - 4)) * 5
    mended = scan_mpeg(with_length_tag(data, scan_mpeg(data), keep_tag=False))
    assert (mended.frames, mended.tag_frames) == (6, 5)


def test_random_bytes_are_no_mpeg():
    noise = np.random.default_rng(5).integers(0, 255, 200_000, dtype=np.uint8).tobytes()
    assert find_mpeg_frame(noise[:5000]) is None
