"""Fields are read by others, and two decoders deliver the same samples and packets as before."""

import functools
import hashlib
import io
import random
import struct
import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import tinytag
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.synth import av_file, music, music_file
from tests.support.world import SHARED
from transforms.audio.containers.ogg_pages import page_length, with_checksum
from transforms.embedded_tags.formats import field_splices
from transforms.embedded_tags.splices import NotWritable, Splice, reversed_splices, spliced

FIELDS = {"TAGS_MOOD": ["Calm", "静か & sad=true"], "GENRE": ["Jazz"], "MOOD": ["Ümlaut"]}


def with_metadata(kind):
    """A file of ffmpeg that has metadata, among them one of our fields."""
    muxer, codec = {"mp3": ("mp3", "libmp3lame"), "ogg": ("ogg", "libopus")}.get(kind, (kind, "flac"))
    samples, buffer = (music(1.0, 48_000) * 32_767).astype(np.int16), io.BytesIO()
    with av.open(buffer, "w", format=muxer) as container:
        container.metadata.update({"title": "Old title", "genre": "Old genre", "TAGS_MOOD": "Old mood"})
        stream = container.add_stream(codec, rate=48_000, layout="stereo")
        if kind == "ogg":
            stream.metadata.update(container.metadata)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, 0
        resampled = av.AudioResampler(stream.format, "stereo", 48_000, stream.codec_context.frame_size or None)
        for part in [*resampled.resample(frame), *resampled.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def mp4(*, front, kind="mp4"):
    """An MP4 whose list of contents is before or after the audio."""
    if not front:
        return av_file(kind, 2.0)
    with tempfile.TemporaryDirectory() as folder:  # ffmpeg reads the file again to move the list
        path = Path(folder, "a.m4a")
        with av.open(io.BytesIO(av_file(kind, 2.0))) as old, av.open(str(path), "w", options=FAST) as new:
            copied = new.add_stream_from_template(old.streams.audio[0])
            for packet in old.demux(audio=0):
                if packet.size:
                    packet.stream = copied
                    new.mux(packet)
        return path.read_bytes()


FAST = {"movflags": "faststart"}


def ogg_flac():
    samples, buffer = (music(1.0, 48_000) * 32_767).astype(np.int16), io.BytesIO()
    with av.open(buffer, "w", format="ogg") as container:
        stream = container.add_stream("flac", rate=48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, 0
        resampled = av.AudioResampler(stream.format, "stereo", 48_000, stream.codec_context.frame_size or None)
        for part in [*resampled.resample(frame), *resampled.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return buffer.getvalue()


FILES = {
    "mp3": lambda: music_file("mp3", 2.0),
    "mp2": lambda: av_file("mp2", 2.0),
    "adts": lambda: av_file("aac", 2.0),
    "flac": lambda: music_file("flac", 2.0),
    "flac after ID3": lambda: id3(4, [(b"TIT2", b"\x03Title")]) + music_file("flac", 2.0),
    "vorbis": lambda: music_file("vorbis", 2.0),
    "opus": lambda: music_file("opus", 2.0),
    "ogg flac": ogg_flac,
    "mp4, list behind": lambda: mp4(front=False),
    "mp4, list in front": lambda: mp4(front=True),
    "alac, list in front": lambda: mp4(front=True, kind="mp4 alac"),
    "mp3 of ffmpeg": lambda: with_metadata("mp3"),
    "flac of ffmpeg": lambda: with_metadata("flac"),
    "opus of ffmpeg": lambda: with_metadata("ogg"),
}


def packets(data):
    """ffmpeg's packets, and the samples that it decodes."""
    with av.open(io.BytesIO(data)) as container:
        found = [(bytes(p), p.pts, p.duration) for p in container.demux(audio=0) if p.size]
    with av.open(io.BytesIO(data)) as container:
        samples = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return found, hashlib.sha256(b"".join(s.tobytes() for s in samples)).hexdigest()


def libsndfile(data):
    """libsndfile's samples; None if it does not read the format."""
    try:
        return soundfile.read(io.BytesIO(data), dtype="int32")[0]
    except soundfile.LibsndfileError:
        return None


def ffmpeg_metadata(data):
    with av.open(io.BytesIO(data)) as container:
        found = {**container.metadata, **container.streams.audio[0].metadata}
    return {name.upper(): value for name, value in found.items()}


def same_audio(before, after):
    assert packets(before) == packets(after)
    one, other = libsndfile(before), libsndfile(after)
    assert one is None or np.array_equal(one, other)


@pytest.mark.parametrize("name", FILES)
def test_fields_are_read_by_others_and_the_audio_is_the_same(name):
    before = FILES[name]()
    changes = field_splices(before, FIELDS)
    after = spliced(before, changes)
    same_audio(before, after)
    found = ffmpeg_metadata(after)
    for field, values in FIELDS.items():
        shown = found.get(field) or found.get({"MOOD": "TMOO"}[field])
        assert all(value in shown for value in values), (field, found)
    assert "Old" not in found["GENRE"] + found["TAGS_MOOD"]
    if "of ffmpeg" in name:
        assert found["TITLE"] == "Old title"
    assert spliced(after, reversed_splices(before, changes)) == before


@pytest.mark.parametrize("name", FILES)
def test_a_second_reader_finds_the_same(name):
    if name in ("adts", "flac after ID3", "ogg flac"):
        pytest.skip("tinytag does not read fields of this")
    after = spliced(data := FILES[name](), field_splices(data, FIELDS))
    suffix = {"mp4,": ".m4a", "alac": ".m4a", "flac": ".flac", "vorb": ".ogg", "opus": ".opus"}.get(name[:4], ".mp3")
    tag = tinytag.TinyTag.get(f"a{suffix}", file_obj=io.BytesIO(after), duration=False)
    assert tag.genre == "Jazz"
    others = {name.lower(): values for name, values in tag.other.items()}
    joined = " ".join(str(value) for value in others.get("tags_mood", [])) or str(others)
    assert "Calm" in joined and "静か & sad=true" in joined


@pytest.mark.parametrize("name", FILES)
def test_writing_twice_is_writing_once_and_fields_can_be_removed(name):
    before = FILES[name]()
    once = spliced(before, field_splices(before, FIELDS))
    assert spliced(once, field_splices(once, FIELDS)) == once
    none = spliced(once, field_splices(once, dict.fromkeys(FIELDS, ())))
    assert not set(FIELDS) & set(ffmpeg_metadata(none))
    same_audio(before, none)
    if "of ffmpeg" not in name and "ID3" not in name and not name.startswith(("mp3", "mp2", "adts", "mp4", "alac")):
        assert len(none) == len(before)


@pytest.mark.parametrize("suffix", ["mp3", "flac", "ogg", "opus", "m4a"])
def test_real_recordings(suffix):
    paths = sorted((SHARED / "dev").rglob(f"*.{suffix}"))[::25] if (SHARED / "dev").exists() else []
    if not paths:
        pytest.skip("no real recordings beside the repository")
    for path in paths:
        before = path.read_bytes()
        changes = field_splices(before, FIELDS)
        after = spliced(before, changes)
        assert packets(before) == packets(after), path
        found, old = ffmpeg_metadata(after), ffmpeg_metadata(before)
        assert "静か" in found["TAGS_MOOD"] and found["GENRE"] == "Jazz"
        assert {name: found.get(name) for name in old.keys() - {"GENRE", "MOOD", "TMOO"}} == {
            name: value for name, value in old.items() if name not in {"GENRE", "MOOD", "TMOO"}
        }
        assert spliced(after, reversed_splices(before, changes)) == before


@pytest.mark.parametrize("name", ["mp3", "flac", "vorbis", "opus", "ogg flac", "mp4, list in front"])
@pytest.mark.parametrize("size", [200, 60_000, 200_000])
def test_long_fields(name, size):
    """More than one Ogg page: all pages of the audio get new numbers."""
    before = FILES[name]()
    text = "x" * size
    after = spliced(before, field_splices(before, {"TAGS_NOTE": [text]}))
    assert ffmpeg_metadata(after)["TAGS_NOTE"] == text
    same_audio(before, after)
    again = spliced(after, field_splices(after, {"TAGS_NOTE": ["short"]}))
    assert ffmpeg_metadata(again)["TAGS_NOTE"] == "short"
    same_audio(before, again)


def id3(version, frames, *, flags=0, plain_sizes=False, padding=0):
    """An ID3v2 tag by the specification, from (name, body)."""

    def synchsafe(n):
        return bytes(n >> s & 127 for s in (21, 14, 7, 0))

    body = b""
    for name, content in frames:
        n = len(content)
        size = n.to_bytes(3) if version == 2 else synchsafe(n) if version == 4 and not plain_sizes else n.to_bytes(4)
        body += name + size + (b"" if version == 2 else b"\0\0") + content
    body += bytes(padding)
    if flags & 0x40:
        body = (synchsafe(6) + b"\1\0" if version == 4 else (6).to_bytes(4) + bytes(6)) + body
    if flags & 0x80 and version < 4:
        body = body.replace(b"\xff", b"\xff\0")
    footer = b"3DI" + bytes([version, 0, flags]) + synchsafe(len(body)) if flags & 0x10 else b""
    return b"ID3" + bytes([version, 0, flags]) + synchsafe(len(body)) + body + footer


PICTURE = random.Random(0).randbytes(300)


@pytest.mark.parametrize(
    ("version", "flags", "plain_sizes"),
    [(2, 0, False), (2, 0x80, False), (3, 0, False), (3, 0x80, False), (3, 0x40, False), (3, 0xC0, False),
     (4, 0, False), (4, 0, True), (4, 0x40, False), (4, 0x10, False)],
)  # fmt: skip
@pytest.mark.parametrize("padding", [0, 77])
def test_tags_of_every_version_keep_their_frames(version, flags, plain_sizes, padding):
    if flags & 0x10 and padding:
        pytest.skip("a tag with a footer has no padding")
    title, picture, user = (b"TT2", b"PIC", b"TXX") if version == 2 else (b"TIT2", b"APIC", b"TXXX")
    image = b"\0JPG\3\0" if version == 2 else b"\0image/jpeg\0\3\0"
    frames = [
        (title, b"\1\xff\xfeT\0i\0\xff\0"),
        (picture, image + b"\xff\xd8" + PICTURE),
        (user, b"\0tags_mood\0Old"),
        (user, b"\0Other\0stays"),
    ]
    before = id3(version, frames, flags=flags, plain_sizes=plain_sizes, padding=padding) + music_file("mp3", 1.0)
    after = spliced(before, field_splices(before, FIELDS))
    assert after[3] == version
    found = ffmpeg_metadata(after)
    assert found["TITLE"] == "Tiÿ" and found["OTHER"] == "stays" and found["GENRE"] == "Jazz"
    assert "Calm" in found["TAGS_MOOD"] and "静か" in found["TAGS_MOOD"] and "Old" not in found["TAGS_MOOD"]
    tag = tinytag.TinyTag.get("a.mp3", file_obj=io.BytesIO(after), image=True, duration=False)
    assert tag.title == "Tiÿ" and tag.images.any.data == b"\xff\xd8" + PICTURE
    same_audio(before, after)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: music_file("wav", 0.5), "no fields are written into wav files"),
        (lambda: b"no audio at all" * 100, "its format is not known"),
        (lambda: id3(3, [(b"ti!2", b"\0a")]) + music_file("mp3", 0.5), "bytes that are no frame"),
        (lambda: b"ID3\5\0\0\0\0\0\2ab" + music_file("mp3", 0.5), r"version 2\.5"),
        (lambda: music_file("flac", 0.5)[:60], "damaged|not known"),
        (lambda: music_file("vorbis", 0.5) + music_file("vorbis", 0.5), "several Ogg streams"),
        (lambda: music_file("opus", 1.0)[:-7], "last Ogg page is cut"),
        (lambda: av_file("mp4", 1.0, movflags="frag_keyframe+empty_moov"), "fragmented"),
        (lambda: av_file("mp4", 1.0)[:-100], "damaged|not known|no list"),
    ],
)
def test_files_that_are_refused(data, words):
    with pytest.raises(NotWritable, match=words):
        field_splices(data(), FIELDS)


def box(name, content=b"", size=None):
    return struct.pack(">I4s", size or len(content) + 8, name) + content


NESTED_TABLES = functools.reduce(lambda inner, _: box(b"stbl", inner), range(3000), b"")
HOSTILE_MP4 = {
    "tables of chunks within each other": box(b"moov", box(b"trak", box(b"mdia", box(b"minf", NESTED_TABLES)))),
    "a box that goes on beyond its parent": box(b"moov", box(b"udta", box(b"meta", box(b"ilst", b"", 4000)))),
    "items beyond number": box(b"moov", box(b"udta", box(b"meta", box(b"hdlr") + box(b"ilst", box(b"free") * 1001)))),
}


@pytest.mark.parametrize("name", HOSTILE_MP4)
def test_hostile_boxes_are_refused(name, monkeypatch):
    monkeypatch.setattr("transforms.audio.containers.mp4.MOST_BOXES", 1000)
    data = box(b"ftyp", b"M4A \0\0\0\0") + HOSTILE_MP4[name] + box(b"mdat", bytes(50))
    with pytest.raises(NotWritable, match=r"damaged|within each other|more than 1000 boxes"):
        field_splices(data, FIELDS)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["mp3", "flac", "vorbis", "opus", "mp4, list in front"]), st.integers(0, 2**32), st.integers(1, 8)
)
def test_damaged_files_are_refused_or_changed_reversibly(name, seed, flips):
    rng = random.Random(seed)
    data = bytearray(spliced(whole := FILES[name](), field_splices(whole, FIELDS)))
    for _ in range(flips):
        data[rng.randrange(min(len(data), 6000))] = rng.randrange(256)
    before = bytes(data)
    try:
        changes = field_splices(before, {"MOOD": ["New"]})
    except NotWritable:
        return
    assert spliced(spliced(before, changes), reversed_splices(before, changes)) == before


@given(st.binary(max_size=60), st.data())
def test_splices_can_be_reversed(data, draw):
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=6).filter(lambda n: len(n) % 2 == 0)))
    splices = [Splice(a, b, draw.draw(st.binary(max_size=5))) for a, b in zip(cuts[::2], cuts[1::2], strict=True)]
    assert spliced(spliced(data, splices), reversed_splices(data, splices)) == data


def test_pages_behind_a_gap_are_refused():
    data = music_file("vorbis", 0.5)
    end = page_length(data, 0)
    with pytest.raises(NotWritable, match=r"between its Ogg pages|header is cut"):
        field_splices(data[:end] + b"gap" + data[end:], FIELDS)
    assert with_checksum(data[:end]) == data[:end] and struct.unpack("<I", data[18:22]) == (0,)
