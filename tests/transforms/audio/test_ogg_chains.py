"""Files that hold several streams in a row: chained Ogg, joined MP3."""

import numpy as np
import pytest

from tests.support.synth import FORMATS, SPEC, encode, music, music_file, sine
from transforms.audio.containers.contents import inspect
from transforms.audio.containers.metadata_tags import tags_end
from transforms.audio.containers.mpeg import scan_mpeg
from transforms.audio.containers.ogg_chains import links_alike, scan_ogg
from transforms.audio.containers.sniff import sniff
from transforms.audio.decoders.opening import open_source
from transforms.audio.limits import Limits
from transforms.features.extract import extract

ID3V1 = b"TAG".ljust(128, b"\0")
ID3V2 = b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256)
APE = b"APETAGEX" + (2000).to_bytes(4, "little") + (300).to_bytes(4, "little") + bytes(16 + 300)
LYRICS = b"LYRICSBEGIN" + bytes(70) + b"LYRICS200"
OGG = ("vorbis", "opus")


def second_file(kind):
    """Another sound of the same kind, 8 s."""
    format, subtype, rate = FORMATS[kind]
    return encode(sine(8.0, rate, hz=1000.0, channels=2), rate, format, subtype)


def samples(data):
    kind = sniff(data)
    contents = inspect(data, kind)
    with open_source(contents.data, kind, Limits(), contents.links) as source:
        blocks = []
        while len(block := source.read(1 << 16)):
            blocks.append(block.copy())
    return np.concatenate(blocks)


@pytest.mark.parametrize("kind", OGG)
def test_a_chained_ogg_file_decodes_to_one_stream_after_the_other(kind):
    first, second = music_file(kind, 8.0), second_file(kind)
    np.testing.assert_array_equal(samples(first + second), np.concatenate([samples(first), samples(second)]))


@pytest.mark.parametrize("kind", OGG)
def test_patches_of_a_chained_ogg_file_are_spread_over_all_of_it(kind):
    got = extract(music_file(kind, 8.0) + second_file(kind), SPEC, Limits())
    assert got.facts.duration_s == pytest.approx(16.0, abs=0.1) and got.facts.decoded_fraction == 1.0
    assert got.facts.damage == "chained: 2 of 2 streams are read, those like the first"
    alone = extract(second_file(kind), SPEC, Limits())
    np.testing.assert_allclose(got.patches[-1], alone.patches[-1], atol=0.5)


def test_a_link_of_another_rate_is_left_out_and_told():
    other = encode(sine(5.0, 22_050), 22_050, "OGG", "VORBIS")
    got = extract(music_file("vorbis", 8.0) + other + second_file("vorbis"), SPEC, Limits())
    assert got.facts.duration_s == pytest.approx(16.0, abs=0.1)
    assert got.facts.damage == "chained: 2 of 3 streams are read, those like the first"


@pytest.mark.parametrize("rates", [(16_000, 48_000), (48_000, 16_000), (8_000, 24_000)])
def test_opus_streams_of_several_input_rates_are_all_read(rates):
    first, second = (
        encode(sine(8.0, rate, hz=hz), rate, "OGG", "OPUS") for rate, hz in zip(rates, (300, 1000), strict=True)
    )
    got = extract(first + second, SPEC, Limits())
    assert got.facts.duration_s == pytest.approx(16.0, abs=0.1) and got.facts.sample_rate == 48_000
    assert got.facts.damage == "chained: 2 of 2 streams are read, those like the first"
    assert {patch.mean(axis=0).argmax() for patch in got.patches} == {
        extract(alone, SPEC, Limits()).patches[1].mean(axis=0).argmax() for alone in (first, second)
    }


def test_a_long_chain_takes_time_by_its_length():
    """No link's header is cut out of a copy of all that follows it."""
    link = encode(sine(0.1, 8_000), 8_000, "OGG", "VORBIS")
    chain = 2_000 * link
    copied = []

    class Watched(bytes):
        def __getitem__(self, place):
            part = super().__getitem__(place)
            copied.append(len(part) if isinstance(part, bytes) else 1)
            return part

    assert len(links_alike(Watched(chain), scan_ogg(Watched(chain)))) == 2_000
    assert sum(copied) < 20 * len(chain)


def test_a_link_that_cannot_be_opened_costs_itself():
    broken = bytearray(second_file("vorbis"))
    setup = broken.index(b"\x05vorbis")
    broken[setup + 20 : setup + 600] = bytes(580)
    got = extract(music_file("vorbis", 8.0) + bytes(broken), SPEC, Limits())
    assert got.facts.duration_s == pytest.approx(8.0, abs=0.1) and "lost" in got.facts.damage


def test_a_chained_ogg_file_that_is_cut_is_told():
    data = music_file("vorbis", 8.0) + second_file("vorbis")
    assert "truncated: the stream has no last page" in extract(data[:-3000], SPEC, Limits()).facts.damage


@pytest.mark.parametrize("between", [b"", ID3V1, ID3V2, ID3V1 + ID3V2, APE, LYRICS + ID3V1 + ID3V2], ids=len)
def test_joined_mp3s_are_read_as_one(between):
    got = extract(music_file("mp3", 8.0) + between + second_file("mp3"), SPEC, Limits())
    assert got.facts.duration_s == pytest.approx(16.0, abs=0.2) and got.facts.decoded_fraction == 1.0
    assert "chained: several files in a row are read as one" in got.facts.damage
    assert "lost_data" not in got.facts.damage
    bins = got.patches[-1].astype(np.float32).mean(axis=0)
    assert bins.argmax() == extract(second_file("mp3"), SPEC, Limits()).patches[-1].mean(axis=0).argmax()


UNUSABLE = {
    "an ID3 tag of 200 MB": b"ID3\x04\x00\x00\x5f\x00\x00\x00" + bytes(256),
    "an APE tag of 4 GB": APE[:12] + b"\xff" * 4 + APE[16:],
    "lyrics without an end": LYRICS[:60],
    "an ID3 tag and padding": ID3V2 + bytes(700),
    "an ID3 tag and junk": ID3V2 + b"junk" * 100,
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_mp3s_joined_by_a_tag_of_an_unusable_size_are_read_to_the_end(name):
    got = extract(music_file("mp3", 8.0) + UNUSABLE[name] + second_file("mp3"), SPEC, Limits())
    assert got.facts.duration_s == pytest.approx(16.0, abs=0.2) and got.facts.decoded_fraction == 1.0
    assert "chained: several files in a row are read as one" in got.facts.damage
    assert ("lost_data" in got.facts.damage) == ("padding" not in name)


def test_an_mp3_of_other_channels_behind_is_left_out_and_told():
    mono = music_file("mp3", 8.0, channels=1)
    for files in ((mono, music_file("mp3", 8.0)), (music_file("mp3", 8.0), mono)):
        got = extract(b"".join(files), SPEC, Limits())
        assert got.facts.duration_s == pytest.approx(8.0, abs=0.1)
        assert got.facts.damage == "chained: audio of another rate, layer or number of channels follows and is left out"


def test_an_mp3_of_another_rate_behind_is_left_out_and_told():
    other = encode(music(3.0, 22_050), 22_050, "MP3")
    for between in (b"", ID3V1 + ID3V2):
        damage = extract(music_file("mp3", 8.0) + between + other, SPEC, Limits()).facts.damage
        assert damage == "chained: audio of another rate, layer or number of channels follows and is left out"


def test_tags_at_the_end_are_no_join():
    scan = scan_mpeg(music_file("mp3", 5.0) + APE + ID3V1)
    assert scan.joins == 0 and scan.lost_bytes == 0 and not scan.has_other_kind


@pytest.mark.parametrize("tag", [ID3V1, ID3V2, APE, LYRICS, b"TAG+".ljust(227, b"\0") + ID3V1])
def test_a_tag_ends_where_it_says(tag):
    assert tags_end(b"xx" + tag + b"yy", 2) == 2 + len(tag)


@pytest.mark.parametrize("cut", [ID3V1[:100], ID3V2[:200], APE[:100], LYRICS[:40], b"no tag"])
def test_a_tag_that_is_cut_is_not_passed(cut):
    assert tags_end(cut, 0) == 0
