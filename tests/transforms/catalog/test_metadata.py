"""What else audio files say: codes, ids and dates in their tags, and what their paths say by a pattern."""

import datetime
import io
import re
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.synth import av_file, music_file
from tests.transforms.catalog.test_import_folder import write_audio
from transforms.catalog.importers.folder import import_folder
from transforms.catalog.metadata import further_values
from transforms.catalog.metadata.mp4_genres import mp4_genres
from transforms.catalog.metadata.path_pattern import PathPattern


def box(name, *content):
    body = b"".join(content)
    return (len(body) + 8).to_bytes(4) + name + body


def data_box(content, kind=0):
    return box(b"data", kind.to_bytes(4), bytes(4), content)


def mp4(*items, quicktime=False, at_the_end=False):
    handler = box(b"hdlr", bytes(8), b"mdirappl", bytes(9))
    meta = box(b"meta", b"" if quicktime else bytes(4), handler, box(b"ilst", *items))
    movie = box(b"moov", box(b"mvhd", bytes(100)), box(b"udta", meta))
    parts = [box(b"free", bytes(50_000)), movie] if at_the_end else [movie]
    return box(b"ftyp", b"M4A ", bytes(4)) + b"".join(parts)


def code(number):
    return box(b"gnre", data_box(number.to_bytes(2)))


@pytest.mark.parametrize("quicktime", [False, True])
@pytest.mark.parametrize("at_the_end", [False, True])
def test_codes_of_mp4_are_those_of_id3_and_one_more(quicktime, at_the_end):
    data = mp4(
        code(18), code(5), box(b"\xa9gen", data_box("Été".encode(), 1)), quicktime=quicktime, at_the_end=at_the_end
    )
    assert mp4_genres(io.BytesIO(data)) == ["17", "4", "Été"]


@pytest.mark.parametrize(
    ("number", "genre"), [(18, "genre/rock"), (86, "genre/bebop"), (0, None), (256, None), (60000, None)]
)
def test_genre_codes_of_an_mp4_file_become_tags(tmp_path, number, genre):
    audio = av_file("mp4", 0.5)
    movie = audio.index(b"moov") - 4
    tags = box(
        b"udta", box(b"meta", bytes(4), box(b"hdlr", bytes(8), b"mdirappl", bytes(9)), box(b"ilst", code(number)))
    )
    size = int.from_bytes(audio[movie : movie + 4])
    inner = re.sub(rb"....udta", lambda found: found[0][:4] + b"free", audio[movie + 8 : movie + size], flags=re.DOTALL)
    made = audio[:movie] + (size + len(tags)).to_bytes(4) + b"moov" + inner + tags + audio[movie + size :]
    (tmp_path / "a.m4a").write_bytes(made)
    found = import_folder(tmp_path)
    tags = found.table["tags"].to_pylist()[0]
    assert [tag["tag"] for tag in tags or []] == ([genre] if genre else [])
    assert found.values_left_out.count == (number > 256)


@given(st.binary(max_size=300))
def test_any_bytes_have_some_genres_or_none(data):
    for content in (data, b"\0\0\0\x08ftyp" + data, mp4(code(18))[:60] + data):
        assert all(isinstance(text, str) for text in mp4_genres(io.BytesIO(content)))


def id3(*frames):
    body = b"".join(name + len(content).to_bytes(4) + bytes(2) + content for name, content in frames)
    size = bytes((len(body) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + body


def text_frame(name, text):
    return name, b"\0" + text.encode("latin-1")


RECORDING, RELEASE, ARTIST = (f"{n}aaaaaaa-0000-4000-8000-000000000000" for n in (1, 2, 3))
PICARD = id3(
    text_frame(b"TIT2", "Blue"),
    text_frame(b"TSRC", "us-abc-12-34567"),
    text_frame(b"TBPM", "120"),
    text_frame(b"TKEY", "Am"),
    text_frame(b"TYER", "2004-05-01"),
    text_frame(b"TRCK", "3/12"),
    (b"UFID", b"http://musicbrainz.org\0" + RECORDING.encode()),
    text_frame(b"TXXX", f"MusicBrainz Album Id\0{RELEASE}"),
    text_frame(b"TXXX", f"MusicBrainz Artist Id\0{ARTIST}"),
)


def test_further_tags_are_typed_columns(tmp_path):
    (tmp_path / "a.mp3").write_bytes(PICARD + music_file("mp3", 0.5))
    write_audio(tmp_path / "b.wav")
    first, second = import_folder(tmp_path).table.to_pylist()
    known = {"isrc": "USABC1234567", "bpm": 120.0, "musical_key": "Am", "track_number": 3}
    assert {name: first[name] for name in known} == known and first["release_date"] == datetime.date(2004, 5, 1)
    assert first["year"] == 2004 and all(second[name] is None for name in known)
    assert "musicbrainz_recording_id" not in first


def test_files_that_picard_has_tagged_have_keys_of_musicbrainz(tmp_path):
    (tmp_path / "a.mp3").write_bytes(PICARD + music_file("mp3", 0.5))
    write_audio(tmp_path / "b.wav")
    found = import_folder(tmp_path, musicbrainz=True)
    row = found.table.to_pylist()[0]
    assert (row["artist_id"], row["album_id"], row["musicbrainz_recording_id"]) == (ARTIST, RELEASE, RECORDING)
    assert found.without_ids == 1 and found.table["artist_id"].to_pylist()[1] is None


GAINS = {"-7.30 dB": -10.7, "+6.00 dB": -24.0, "0": -18.0, "2,5 db": -20.5, "": None}
R128_GAINS = {"-512": -21.0, "0": -23.0, "1792": -30.0, "": None}


def test_gains_are_the_loudness_that_they_imply():
    assert {text: further_values.loudness_of_gain(text) for text in GAINS} == GAINS
    assert {text: further_values.loudness_of_r128_gain(text) for text in R128_GAINS} == R128_GAINS


@pytest.mark.parametrize("text", ["loud", "-90 dB", "1e9 dB", "nan"])
def test_what_is_no_gain(text):
    with pytest.raises(ValueError):
        further_values.loudness_of_gain(text)


def test_replay_gain_of_a_file_is_a_column(tmp_path):
    gain = id3(text_frame(b"TIT2", "x"), text_frame(b"TXXX", "REPLAYGAIN_TRACK_GAIN\0-7.30 dB"))
    (tmp_path / "a.mp3").write_bytes(gain + music_file("mp3", 0.5))
    (tmp_path / "b.opus").write_bytes(opus_with({"R128_TRACK_GAIN": "-512"}))
    assert import_folder(tmp_path).table["stated_loudness_lufs"].to_pylist() == [-10.7, -21.0]


def opus_with(metadata):
    """Half a second of Opus with these comments."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="ogg") as container:
        container.metadata.update(metadata)
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 24_000), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return buffer.getvalue()


def test_a_wrong_tempo_costs_the_tempo(tmp_path):
    (tmp_path / "a.mp3").write_bytes(
        id3(text_frame(b"TIT2", "x"), text_frame(b"TBPM", "fast")) + music_file("mp3", 0.5)
    )
    found = import_folder(tmp_path)
    assert found.table["title"].to_pylist() == ["x"] and found.values_left_out.counts == {"bpm": 1}


def test_files_without_tags_are_counted(tmp_path):
    write_audio(tmp_path / "a.wav")
    write_audio(tmp_path / "b.flac", title="Blue")
    assert import_folder(tmp_path).without_tags == 1


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("{artist}/{album}/{track} {title}", "Anna/Sea/01 Blue.mp3", ("Anna", "Sea", 1, "Blue")),
        ("{artist}/{album}/{track} {title}", "Pop/Anna/Sea/01  Deep Blue.mp3", ("Anna", "Sea", 1, "Deep Blue")),
        ("{artist}/{album}/{track} {title}", "Anna/Sea/01_Deep_Blue.mp3", ("Anna", "Sea", 1, "Deep_Blue")),
        ("{artist}/{album}/{track} {title}", "Anna/Sea/Blue.mp3", None),
        ("{artist}/{album}/{track} {title}", "Sea/01 Blue.mp3", None),
        ("{artist} - {title}", "x/Anna - Blue - Live.mp3", ("Anna", None, None, "Blue - Live")),
        ("{_}/{album} ({_})/{track}. {title}", "x/Sea (2004)/12. Mr. Blue.mp3", (None, "Sea", 12, "Mr. Blue")),
        ("{title}", "a.b.mp3", (None, None, None, "a.b")),
        ("[{artist}] {{{title}}}", "[Anna] {Blue}.mp3", ("Anna", None, None, "Blue")),
    ],
)
def test_patterns(pattern, path, found):
    read = PathPattern(pattern).read(path)
    names = ("artist", "album", "track_number", "title")
    assert (None if read is None else tuple(read.get(name) for name in names)) == found


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{artist}{title}", "nothing separates {title}"),
        ("{name}", "{name} is unknown: choose from title"),
        ("{title:03}", "is unknown"),
        ("{title} {title}", "is repeated"),
        ("plain", "no name in braces"),
        ("{_}", "no name in braces"),
        ("{title", "write {{ for a brace"),
        ("{artist} {title} {album} {label} {isrc}", "more than 4 names of text"),
    ],
)
def test_wrong_patterns(pattern, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        PathPattern(pattern)


def test_a_long_name_takes_no_time():
    assert PathPattern("{artist} - {title} - {album} - {label}.x").read("a - " * 60 + ".mp3") is None


def test_a_pattern_fills_in_what_files_do_not_say(tmp_path):
    write_audio(tmp_path / "Anna" / "1999 Sea" / "02 Blue.flac", title="Deep Blue")
    write_audio(tmp_path / "Anna" / "0000 Sea" / "03 Red.wav")
    write_audio(tmp_path / "other.wav")
    found = import_folder(tmp_path, pattern=PathPattern("{artist}/{year} {album}/{track} {title}"))
    by_uri = {row["uri"]: row for row in found.table.to_pylist()}
    blue, red = by_uri["Anna/1999 Sea/02 Blue.flac"], by_uri["Anna/0000 Sea/03 Red.wav"]
    assert (blue["title"], blue["artist"], blue["album"], blue["year"], blue["track_number"]) == (
        *("Deep Blue", "Anna", "Sea"),
        *(1999, 2),
    )
    assert (red["title"], red["year"]) == ("Red", None) and blue["album_id"] and blue["album_id"] != red["album_id"]
    assert found.without_pattern.count == 1 and found.values_left_out.counts == {"year": 1}
    assert by_uri["other.wav"]["title"] is None


def test_a_path_of_5000_characters_is_counted_and_ends_nothing(tmp_path, monkeypatch):
    audio = write_audio(tmp_path / "ok.wav").read_bytes()
    monkeypatch.chdir(tmp_path)
    for _ in range(25):  # step by step, because the whole path is too long for the system
        Path("d" * 200).mkdir()
        monkeypatch.chdir("d" * 200)
        Path("a.wav").write_bytes(audio)
    monkeypatch.chdir(tmp_path)
    found = import_folder(tmp_path)
    uris = found.table["uri"].to_pylist()
    shutil.rmtree("d" * 200)
    assert "ok.wav" in uris and max(map(len, uris)) <= 4096 and 10 < len(uris) < 26
    # Where exactly the system's limit is reached depends on the length of the folder above.
    assert found.passed_over.counts["closed folder"] == 1
    assert found.passed_over.lost == found.passed_over.counts.total() <= 2


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (further_values.tempo, "127.99 BPM", 127.99),
        (further_values.tempo, "128,5bpm", 128.5),
        (further_values.seconds, "3:45", 225.0),
        (further_values.seconds, "1:02:03.5", 3723.5),
        (further_values.seconds, "PT3M45S", 225.0),
        (further_values.seconds, "PT1H0M1.5S", 3601.5),
        (further_values.seconds, "225,5", 225.5),
        (further_values.seconds, "-1", None),
        (further_values.tempo, "0", None),
        (further_values.tempo, "124,5", 124.5),
        (further_values.position, "3/12", 3),
        (further_values.position, "0", None),
        (further_values.date, "0000-00-00", None),
        (further_values.date, "2004/5/1", datetime.date(2004, 5, 1)),
        (further_values.date, "2004-05-01T12:00:00", datetime.date(2004, 5, 1)),
        (further_values.isrc, "us-abc-12 34567", "USABC1234567"),
        (further_values.isrc, "007", "007"),
        (lambda text: further_values.stars(text, 255), "51", 1.0),
        (lambda text: further_values.stars(text, 100), "0", None),
        (further_values.natural_number, "3.0", 3),
    ],
)
def test_values_of_libraries(read, text, value):
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (further_values.seconds, "long"),
        (further_values.seconds, "1e30"),
        (further_values.tempo, "1001"),
        (further_values.tempo, "-5"),
        (further_values.tempo, "inf"),
        (further_values.natural_number, "-1"),
        (further_values.natural_number, "9" * 19),
        (further_values.natural_number, "3.5"),
        (further_values.date, "2004"),
        (further_values.date, "2004-13-01"),
        (further_values.moment, "yesterday"),
        (further_values.unix_moment, "1e300"),
        (lambda text: further_values.stars(text, 5), "6"),
    ],
)
def test_wrong_values_of_libraries(read, text):
    with pytest.raises(ValueError, match=r"'"):
        read(text)
