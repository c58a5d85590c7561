"""Formats are known by their bytes, and only those of the list are read."""

import pytest

from tests.support.synth import AV_FORMATS, FORMATS, av_file, encode, music_file, sine
from transforms.audio.containers import kinds as kinds_module
from transforms.audio.containers.kinds import KINDS, AudioKind
from transforms.audio.containers.metadata_tags import id3_size
from transforms.audio.containers.sniff import sniff
from transforms.audio.errors import FormatNotAllowed, UnknownFormat


def test_every_kind_is_listed_once_and_has_suffixes():
    declared = [value for value in vars(kinds_module).values() if isinstance(value, AudioKind)]
    assert sorted(kind.name for kind in KINDS) == sorted(kind.name for kind in declared)
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    for kind in KINDS:
        assert kind.suffixes and all(suffix.isalnum() and suffix.islower() for suffix in kind.suffixes), kind


@pytest.mark.parametrize("kind", FORMATS)
def test_formats_of_libsndfile(kind):
    assert sniff(music_file(kind, 0.5)).name == kind


@pytest.mark.parametrize("kind", AV_FORMATS)
def test_formats_of_ffmpeg(kind):
    assert sniff(av_file(kind, 0.5)).name == kind.split()[0]


@pytest.mark.parametrize("format", ["RF64", "WAVEX", "W64", "AU"])
def test_relatives_of_wav(format):
    assert sniff(encode(sine(0.1), format=format)).name in ("wav", "w64", "au")


def test_id3_tags_are_looked_behind():
    tag = b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256)
    assert id3_size(tag + tag + b"fLaC") == 2 * 266
    assert sniff(tag + music_file("flac", 0.5)).name == "flac"


def test_a_tag_that_claims_more_than_the_file_has_is_not_counted():
    assert id3_size(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + bytes(1000)) == 0


DISGUISED = {
    "HLS": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n",
    "HLS behind a byte order mark": b"\xef\xbb\xbf#EXTM3U\nsecret.wav\n",
    "DASH": b'<?xml version="1.0"?><MPD><BaseURL>secret.mp4</BaseURL></MPD>',
    "ffconcat": b"ffconcat version 1.0\nfile secret.wav\n",
    "SDP": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    "cue": b'FILE "secret.wav" WAVE\n  TRACK 01 AUDIO\n',
    "cue with remarks": b'REM GENRE Rock\nFILE "secret.wav" WAVE\n',
    "PLS": b"[playlist]\nFile1=secret.wav\nNumberOfEntries=1\n",
    "ASX": b'<asx version="3.0"><entry><ref href="secret.wav"/></entry></asx>',
    "ASX reference": b"[Reference]\r\nRef1=http://127.0.0.1/secret.wav\r\n",
    "SMIL": b'<smil><body><audio src="secret.wav"/></body></smil>',
    "list of addresses": b"http://127.0.0.1/secret.mp3\n",
}


@pytest.mark.parametrize("name", DISGUISED)
def test_playlists_are_no_audio(name):
    with pytest.raises(FormatNotAllowed, match="it is "):
        sniff(DISGUISED[name])


@pytest.mark.parametrize("data", [b"\0", b"\xff", bytes(4096), b"hello, world", b"OggS", b"RIFF\0\0\0\0ABCD"])
def test_the_rest_is_unknown_or_not_allowed(data):
    with pytest.raises((UnknownFormat, FormatNotAllowed)):
        sniff(data)
