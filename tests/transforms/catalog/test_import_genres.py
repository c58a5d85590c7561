"""Genres in all spellings of ID3, from tags of every version."""

import io
import struct
import unicodedata
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.catalog.metadata.genres import genre_code, genre_names
from transforms.catalog.metadata.id3_genres import id3_genres
from transforms.taxonomy.tag_ids import slug


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("हिन्दी फ़िल्म", "हिन्दी_फ़िल्म"),
        ("می\u200cروم", "میروم"),
        ("❤️ Songs", "songs"),
        ("1️⃣ Hits", "1_hits"),
        ("Ünï-Çödé", "ünï_çödé"),
        ("音楽・ロック", "音楽_ロック"),
        ("\u0301", ""),
    ],
)
def test_slugs_keep_the_marks_of_letters(name, wanted):
    assert slug(name) == unicodedata.normalize("NFKC", wanted)


codes = st.integers(0, 191)


@given(st.lists(codes, unique=True, min_size=1, max_size=4))
def test_all_spellings_of_codes_mean_the_same(numbers):
    wanted = ([genre_code(number) for number in numbers], [])
    for spelling in (
        [str(n) for n in numbers],
        ["".join(f"({n})" for n in numbers)],
        ["\0".join(f"({n})" for n in numbers)],
        ["\0".join(str(n) for n in numbers)],
        ["; ".join(str(n) for n in numbers)],
        [f"({n}){genre_code(n)}" for n in numbers],
        [f"({n}) " for n in numbers],
        ["|".join(str(genre_code(n)) for n in numbers)],
    ):
        assert genre_names(spelling) == wanted, spelling


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("255", []),
        ("(255)", []),
        ("RX", ["Remix"]),
        ("(CR)(RX)", ["Cover", "Remix"]),
        ("(4)Eurodisco", ["Disco", "Eurodisco"]),
        ("((live) set", ["(live) set"]),
        ("(17)((live) set", ["Rock", "(live) set"]),
        ("Rock\\\\Pop", ["Rock", "Pop"]),
        ("Rock; rock ;ROCK", ["Rock"]),
        ("Drum & Bass / Jungle", ["Drum & Bass / Jungle"]),
        ("Folk, World, & Country", ["Folk, World, & Country"]),
        ("(live)", ["(live)"]),
        ("80s", ["80s"]),
        ("", []),
        (" ;|\0", []),
        ("-", []),
    ],
)
def test_spellings(text, names):
    assert genre_names([text]) == (names, [])


@pytest.mark.parametrize("text", ["192", "(254)", "999", "1984", "12345678901234567890"])
def test_codes_without_a_genre_are_named(text):
    names, faults = genre_names([text, "Rock"])
    assert names == ["Rock"] and len(faults) == 1 and "write its name" in faults[0]


@given(st.lists(st.text()))
def test_any_text_is_read(texts):
    names, _ = genre_names(texts)
    assert len(set(names)) == len(names)


def synchsafe(size):
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def frame(version, text, encoding=3, flags=0):
    codec = ("latin-1", "utf-16", "utf-16-be", "utf-8")[encoding]
    content = bytes([encoding]) + text.encode(codec)
    if version == 2:
        return b"TCO" + struct.pack(">I", len(content))[1:] + content
    if version == 4 and flags & 0x08:
        content = synchsafe(len(content)) + zlib.compress(content)
    if version == 3 and flags & 0x80:
        content = struct.pack(">I", len(content)) + zlib.compress(content)
    size = synchsafe(len(content)) if version == 4 else struct.pack(">I", len(content))
    return b"TCON" + size + bytes([0, flags]) + content


def tag(version, *frames, flags=0, extended=b""):
    body = extended + b"".join(frames) + bytes(20)
    body = body.replace(b"\xff", b"\xff\x00") if flags & 0x80 else body
    return b"ID3" + bytes([version, 0, flags]) + synchsafe(len(body)) + body


def read(data):
    return id3_genres(io.BytesIO(data))


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("encoding", [0, 1, 2, 3])
def test_genres_of_every_version_and_encoding(version, encoding):
    assert read(tag(version, frame(version, "(17)(4)Ünï\0RX", encoding)) + b"x") == ["(17)(4)Ünï", "RX"]


def test_flags_of_tags_and_frames():
    assert read(tag(3, frame(3, "ÿþ", 0), flags=0x80)) == ["ÿþ"]
    assert read(tag(3, frame(3, "Rock"), flags=0x40, extended=struct.pack(">IHI", 6, 0, 0))) == ["Rock"]
    assert read(tag(4, frame(4, "Rock"), flags=0x40, extended=synchsafe(6) + b"\x01\x00")) == ["Rock"]
    assert read(tag(3, frame(3, "Rock", flags=0x80))) == read(tag(4, frame(4, "Rock", flags=0x09))) == ["Rock"]
    assert read(tag(4, frame(4, "Rock", flags=0x04))) == []


def test_tags_in_chunks_and_at_the_end():
    inner = tag(3, frame(3, "(17)(4)"))
    for form, kind, order in ((b"RIFF", b"WAVE", "<I"), (b"FORM", b"AIFF", ">I")):
        chunks = b"data" + struct.pack(order, 3) + b"abc\0" + b"id3 " + struct.pack(order, len(inner)) + inner
        assert read(form + struct.pack(order, 4 + len(chunks)) + kind + chunks) == ["(17)(4)"]
    assert read(b"x" * 500 + b"TAG" + bytes(124) + bytes([17])) == ["17"]
    assert read(tag(3, frame(3, "Pop")) + b"TAG" + bytes(124) + bytes([17])) == ["Pop"]


@given(st.binary(max_size=200), st.sampled_from([b"", b"ID3\x03\x00\x00", b"ID3\x04\x00\x40", b"RIFF....WAVEid3 "]))
def test_any_bytes_end(data, start):
    assert all(isinstance(text, str) for text in read(start + data))


@given(st.data())
def test_a_flipped_byte_in_a_tag_ends(data):
    whole = bytearray(tag(4, frame(4, "Rock\0Pop"), frame(4, "Jazz")))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    assert len(read(bytes(whole))) <= 8
