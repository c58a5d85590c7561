"""Kinds that other programs write are read in the sandbox or refused by their names; the audio of several streams."""

import numpy as np
import pytest

from tests.support.odd_files import dff_file, dsf_file, id3, ogg_pages_of, shorten_file, with_skeleton
from tests.support.synth import OTHER_AV_FORMATS, SPEC, av_file, encode, music, music_file, sine
from transforms.audio.containers import foreign
from transforms.audio.containers.sniff import locate
from transforms.audio.errors import FormatNotAllowed, TrackError, UnsupportedCodec
from transforms.audio.limits import Limits
from transforms.extraction.sandbox import Sandbox
from transforms.features.extract import extract

THEORA, DIRAC = b"\x80theora" + bytes(35), b"BBCD\0" + bytes(40)

READ = {
    "dsf": lambda: dsf_file(0.25),
    "dsdiff": lambda: dff_file(0.25),
    "shorten": lambda: shorten_file((music(2.0) * 32_767).astype(np.int16), 44_100),
    "sphere": lambda: encode(music(2.0), 44_100, "NIST", "PCM_16"),
    "8svx": lambda: encode(music(2.0, channels=1), 44_100, "SVX", "PCM_16"),
    **{kind: lambda kind=kind: av_file(kind, 2.0) for kind in OTHER_AV_FORMATS},
}


@pytest.fixture(scope="module")
def answers():
    with Sandbox(SPEC, Limits(), children=1) as sandbox:
        futures = {kind: sandbox.submit(make()) for kind, make in READ.items()}
        return {kind: future.exception() or future.result() for kind, future in futures.items()}


@pytest.mark.parametrize("kind", READ)
def test_a_kind_is_read_in_the_sandbox(kind, answers):
    assert not isinstance(answers[kind], TrackError), answers[kind]
    facts = answers[kind].facts
    assert facts.format == kind and facts.decoded_fraction == 1.0
    assert facts.duration_s == pytest.approx(0.25 if kind.startswith("ds") else 2.0, abs=0.06)


@pytest.mark.parametrize("make", [dsf_file, dff_file])
def test_one_bit_audio_has_its_frequency_and_level(make):
    want = extract(encode(sine(0.25), 44_100), SPEC, Limits()).patches[0, 5:10].astype(float)
    got = extract(make(0.25), SPEC, Limits()).patches[0, 5:10].astype(float)
    assert (got.argmax(axis=1) == want.argmax(axis=1)).all()
    assert got.max() == pytest.approx(want.max(), abs=1.0)


HEADERS = {
    "musepack-7": b"MP+\x07" + bytes(100),
    "musepack-8": b"MPCKSH" + bytes(100),
    "tak": b"tBaK" + bytes(100),
    "shorten": b"ajkg\x02" + bytes(100),
    "ape": b"MAC \x96\x0f" + bytes(100),
    "truehd": bytes(4) + b"\xf8\x72\x6f\xba" + bytes(100),
    "mlp": b"\x01" * 4 + b"\xf8\x72\x6f\xbb" + bytes(100),
    "dts-hd": b"DTSHDHDR" + bytes(100),
    "realmedia": b".RMF\0\0\0\x12" + bytes(100),
}


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("kind", HEADERS)
def test_a_header_without_audio_is_recognised_and_has_a_reason(kind, tagged):
    data = (id3(20, bytes(20)) if tagged else b"") + HEADERS[kind]
    assert locate(data).kind.name == kind
    with pytest.raises(TrackError) as error:
        extract(data, SPEC, Limits())
    assert error.value.reason not in ("unknown", "unknown_format", "crash")


@pytest.mark.parametrize(("offset", "magic", "what"), foreign.NO_AUDIO)
def test_what_is_no_recording_is_refused_by_its_name(offset, magic, what):
    data = b"RIFF\0\0\0\0"[:offset].ljust(offset, b"\1") + magic + bytes(200)
    with pytest.raises(FormatNotAllowed, match="it is ") as error:
        locate(data)
    assert str(error.value) == f"it is {what}"


@pytest.mark.parametrize(("offset", "magic", "name"), foreign.NO_DECODER)
def test_what_no_decoder_reads_is_refused_by_its_name(offset, magic, name):
    data = b"RIFF\0\0\0\0"[:offset].ljust(offset, b"\1") + magic + b"\2" * 200
    with pytest.raises(UnsupportedCodec) as error:
        locate(data)
    assert str(error.value) == f"it is {name}, which is not read: convert it to FLAC"


@pytest.mark.parametrize("other", [b"fishead\0" + bytes(56), THEORA, DIRAC])
@pytest.mark.parametrize("kind", ["vorbis", "opus"])
def test_an_ogg_with_another_stream_in_front_is_its_audio(kind, other):
    want = extract(music_file(kind, 4.0), SPEC, Limits())
    got = extract(with_skeleton(music_file(kind, 4.0), other), SPEC, Limits())
    assert got.facts == want.facts and (got.patches == want.patches).all()


def test_of_two_audio_streams_that_play_together_the_first_is_read_and_this_is_told():
    first, second = ogg_pages_of(music_file("vorbis", 4.0)), ogg_pages_of(music_file("opus", 4.0))
    mixed = [page for pair in zip(first, second, strict=False) for page in pair]
    data = b"".join([*mixed, *first[len(second) :], *second[len(first) :]])
    got, want = extract(data, SPEC, Limits()), extract(music_file("vorbis", 4.0), SPEC, Limits())
    assert got.facts.damage == "streams: 1 of 2 that play together is read"
    assert (got.patches == want.patches).all()


def test_a_chain_of_such_files_is_read_to_its_end():
    one = with_skeleton(music_file("vorbis", 4.0))
    got = extract(one + one, SPEC, Limits())
    assert got.facts.duration_s == pytest.approx(8.0, abs=0.01)
    assert got.facts.damage == "chained: 2 of 2 streams are read, those like the first"


def test_an_ogg_without_audio_is_refused_by_name():
    with pytest.raises(FormatNotAllowed, match="80 74 68 65"):
        locate(with_skeleton(music_file("vorbis", 1.0), THEORA)[:70])


def test_a_stream_that_begins_after_the_file_was_opened_is_left_out():
    """FFmpeg finds it when its first packet comes, as in broadcasts; PyAV knows only the streams of the beginning."""
    data, at, tags = bytearray(av_file("flv", 8.0)), 13, []
    while at + 11 <= len(data):
        tags.append(at)
        at += 15 + int.from_bytes(data[at + 1 : at + 4])
    data[tags[-20]] = 9  # a packet of video
    facts = extract(bytes(data), SPEC, Limits()).facts
    assert facts.duration_s == pytest.approx(8.0, abs=0.1) and facts.decoded_fraction == 1.0
