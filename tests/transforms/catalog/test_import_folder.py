"""Folders of audio as catalogs: every file gets a row, whatever it is called and whatever it holds."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from transforms.audio.containers.kinds import KINDS
from transforms.catalog.importers.folder import folder_track_id, genre_tag, import_folder
from transforms.taxonomy.tag_ids import tag_id

AWKWARD = [
    "a\nb.wav",
    "-rf.wav",
    "Ünï çödé 音楽.wav",
    "x" * 200 + ".WAV",
    "100% [live] 'a' \"b\".wav",
    "~$.wav",
    " .wav",
]


def write_audio(path, **tags):
    path.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        for name, value in tags.items():
            setattr(file, name, value)
        file.write(np.zeros(800))
    return path


def rows(folder):
    return {row["uri"]: row for row in import_folder(folder)[0].to_pylist()}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_format_that_is_decoded_is_found(tmp_path, kind):
    names = [*sorted(f"a.{suffix}" for suffix in kind.suffixes), "b." + kind.suffixes[0].upper()]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    assert list(rows(tmp_path)) == names


def test_embedded_tags_are_read(tmp_path):
    tags = {"title": "Blue", "artist": "Anna", "album": "Sea", "date": "2004-05-01", "genre": "Hip-Hop; Jazz"}
    write_audio(tmp_path / "a.flac", **tags)
    row = rows(tmp_path)["a.flac"]
    assert [row[name] for name in ("title", "artist", "album", "year")] == ["Blue", "Anna", "Sea", 2004]
    assert [tag["tag"] for tag in row["tags"]] == ["genre/hip_hop", "genre/jazz"]


def test_files_without_tags_have_none(tmp_path):
    write_audio(tmp_path / "a.wav")
    row = rows(tmp_path)["a.wav"]
    assert all(row[name] is None for name in ("title", "artist", "album", "year", "tags", "album_id", "artist_id"))


def test_unreadable_files_are_catalogued_and_named(tmp_path):
    (tmp_path / "bad.flac").write_bytes(b"no audio at all")
    (tmp_path / "empty.mp3").write_bytes(b"")
    table, problems = import_folder(tmp_path)
    assert table["uri"].to_pylist() == ["bad.flac", "empty.mp3"]
    assert any("bad.flac" in str(p) and "catalogued without" in str(p) for p in problems)


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_survive(tmp_path, name):
    write_audio(tmp_path / "Sub folder" / name)
    (uri,) = rows(tmp_path)
    assert uri == f"Sub folder/{name}" and (tmp_path / uri).is_file()


def test_names_that_are_no_text_are_reported(tmp_path):
    write_audio(tmp_path / "a.wav")
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff.wav")).write_bytes(b"x")
    table, problems = import_folder(tmp_path)
    assert table.num_rows == 1
    assert "not UTF-8" in problems[0].message and str(problems[0]).isprintable()


def test_other_and_hidden_files_are_passed_over(tmp_path):
    for name in ("a.wav", ".b.wav", ".git/c.wav", "d.wav/e.mp3"):
        write_audio(tmp_path / name) if name.endswith("wav") else (tmp_path / name).parent.mkdir()
    (tmp_path / "cover.jpg").write_bytes(b"x")
    assert list(rows(tmp_path)) == ["a.wav"]


def test_ids_follow_from_the_path_alone(tmp_path):
    write_audio(tmp_path / "one" / "x" / "a.wav")
    write_audio(tmp_path / "two" / "x" / "a.wav", title="Other")
    write_audio(tmp_path / "two" / "b.wav")
    one, two = import_folder(tmp_path / "one")[0], import_folder(tmp_path / "two")[0]
    assert one["track_id"][0] == two["track_id"][1]


def test_albums_of_one_name_in_two_folders_differ(tmp_path):
    for name in ("a/1.flac", "a/2.flac", "b/1.flac"):
        write_audio(tmp_path / name, album="Greatest Hits")
    found = {uri: row["album_id"] for uri, row in rows(tmp_path).items()}
    assert found["a/1.flac"] == found["a/2.flac"] != found["b/1.flac"]


def test_a_lying_header_does_not_stop_the_import(tmp_path):
    path = write_audio(tmp_path / "a.wav")
    data = bytearray(path.read_bytes())
    data[16:20] = struct.pack("<I", 2**31)
    path.write_bytes(bytes(data))
    assert list(rows(tmp_path)) == ["a.wav"]


@given(st.text(min_size=1))
def test_any_path_gives_a_plain_id(path):
    assert folder_track_id(path).replace("_", "").replace("-", "").isalnum() and folder_track_id(path).isascii()
    assert len(folder_track_id(path)) <= 51


@given(st.text())
def test_any_genre_gives_a_tag_or_nothing(genre):
    tag = genre_tag(genre)
    assert tag is None or tag_id(tag) == tag


def test_genres_are_spelt_alike():
    assert {genre_tag(name) for name in ("Hip Hop", "hip-hop", "HIP_HOP", "Hip / Hop")} == {"genre/hip_hop"}
    assert genre_tag("R&B") == "genre/r_and_b" and genre_tag(" - ") is None


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(NotADirectoryError, match="no such folder"):
        import_folder(tmp_path / "none")
