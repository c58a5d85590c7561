"""Folders of audio as catalogs: every file that is audio gets a row, and everything else is counted and named."""

import os
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.support.synth import AV_FORMATS, FORMATS, av_file, music_file
from tests.support.world import SHARED
from transforms import storage
from transforms.audio.containers.sniff import sniff
from transforms.audio.errors import TrackError
from transforms.catalog.importers.folder import folder_track_id, genre_tag, import_folder
from transforms.catalog.metadata.embedded import cleaned
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
    return {row["uri"]: row for row in import_folder(folder).table.to_pylist()}


@pytest.mark.parametrize("kind", [*FORMATS, *AV_FORMATS])
def test_every_format_that_is_decoded_is_found_whatever_its_name(tmp_path, kind):
    data = av_file(kind, 0.5) if kind in AV_FORMATS else music_file(kind, 0.5)
    for name in ("a", "b.txt", "c.JPG"):
        (tmp_path / name).write_bytes(data)
    assert list(rows(tmp_path)) == ["a", "b.txt", "c.JPG"]


def test_what_is_passed_over_is_counted_and_named_by_its_kind(tmp_path):
    write_audio(tmp_path / "...And Once More" / "1.wav")
    write_audio(tmp_path / ".5" / "1.wav")
    write_audio(tmp_path / ".hidden.wav")
    (tmp_path / "album").symlink_to("...And Once More")
    (tmp_path / "gone.mp3").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "cover.jpg").write_bytes(b"\xff\xd8\xff....")
    (tmp_path / "list.m3u8").write_bytes(b"#EXTM3U\n")
    (tmp_path / "page.mp3").write_bytes(b"<html>not found</html>")
    (tmp_path / "notes.txt").write_bytes(b"notes")
    (tmp_path / "empty.flac").write_bytes(b"")
    (tmp_path / "lost.mp3").write_bytes(b"no audio")
    os.mkfifo(tmp_path / "pipe.mp3")
    found = import_folder(tmp_path)
    assert found.table["uri"].to_pylist() == ["...And Once More/1.wav"]
    assert found.passed_over.counts == {
        "hidden folder": 1,
        "hidden file": 1,
        "link to a folder": 1,
        "broken link": 2,
        "a JPEG picture": 1,
        "an HLS or M3U playlist": 1,
        "XML or HTML, named like audio": 1,
        "not audio": 1,
        "empty file, named like audio": 1,
        "not audio, named like audio": 1,
        "pipe, socket or device": 1,
    }
    assert found.passed_over.lost == 4  # the four that are named like audio, without the pipe
    assert found.passed_over.examples["hidden folder"] == [str(tmp_path / ".5")]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser opens everything")
def test_closed_folders_and_files_are_lost_and_named(tmp_path):
    write_audio(tmp_path / "closed" / "a.wav").parent.chmod(0)
    write_audio(tmp_path / "b.wav").chmod(0)
    found = import_folder(tmp_path)
    (tmp_path / "closed").chmod(0o755)
    assert found.passed_over.counts == {"closed folder": 1, "unreadable file": 1} and found.passed_over.lost == 2


def test_storage_that_fails_is_counted(tmp_path, monkeypatch):
    write_audio(tmp_path / "a.wav")
    write_audio(tmp_path / "b.wav")

    def opened(url):
        if url.endswith("a.wav"):
            raise storage.PermissionDenied(f"{url}: Permission denied")
        return open(url, "rb")  # noqa: PTH123

    monkeypatch.setattr(storage, "open_input", opened)
    found = import_folder(tmp_path)
    assert found.table["uri"].to_pylist() == ["b.wav"]
    assert (found.passed_over.counts, found.passed_over.lost) == ({"unreadable file": 1}, 1)


def test_a_folder_that_cannot_be_listed_is_counted(tmp_path, monkeypatch):
    write_audio(tmp_path / "closed" / "a.wav")
    write_audio(tmp_path / "b.wav")
    scandir = os.scandir

    def scanned(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scanned)
    found = import_folder(tmp_path)
    assert found.table["uri"].to_pylist() == ["b.wav"]
    assert (found.passed_over.counts, found.passed_over.lost) == ({"closed folder": 1}, 1)


def test_audio_behind_a_large_tag_is_found(tmp_path):
    tag = b"ID3\x04\x00\x00" + bytes([0, 40, 0, 0]) + bytes(40 << 14)
    (tmp_path / "a").write_bytes(tag + tag + music_file("mp3", 0.5))
    assert list(rows(tmp_path)) == ["a"]


def test_the_metadata_reader_goes_by_bytes_too(tmp_path):
    write_audio(tmp_path / "a.flac", title="Blue").rename(tmp_path / "a.wav")
    assert rows(tmp_path)["a.wav"]["title"] == "Blue"


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


def test_files_without_readable_metadata_are_catalogued_and_named(tmp_path):
    (tmp_path / "a.caf").write_bytes(music_file("caf", 0.5))
    found = import_folder(tmp_path)
    assert found.table["uri"].to_pylist() == ["a.caf"]
    assert "a.caf: catalogued without metadata" in str(found.without_metadata.kept[0])


def test_a_wrong_value_is_left_out_and_its_track_is_not(tmp_path):
    for name, date in (("a", "0"), ("b", "98"), ("c", "2003/2004"), ("d", "01.05.2004")):
        write_audio(tmp_path / f"{name}.flac", title=name, date=date)
    found = import_folder(tmp_path)
    assert found.table["year"].to_pylist() == [None, None, None, 2004] and found.table["title"].null_count == 0
    assert found.values_left_out.counts == {"year": 3}
    assert "a.flac, column year: '0' is not a year" in str(found.values_left_out.kept[0])


@pytest.mark.parametrize(
    "title",
    [
        "می\u200cروم",
        "\U0001f468\u200d\U0001f467",
        "Où est\xa0?",
        "\U0001f3f4\U000e0067\U000e0062\U000e007f",
        "apple \uf8ff",
        "newer \U0001fae9",
        "\u200fעברית\u200f",
        "a \u202bעברית\u202c b",
        "\u2067עברית\u2069 live",
        "❤\ufe0f",
        "हिन्दी",
    ],
)
def test_characters_that_are_no_decoration_stay(title):
    assert cleaned(title) == title


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ("a\0\0", "a"),
        ("a\nb", "a b"),
        ("a\u2028b", "a b"),
        ("\x1b[31mred\x07", "[31mred"),
        ("evil \u202e3pm.exe", "evil 3pm.exe"),
        ("half \u2067 open", "half  open"),
        ("closed\u202c only", "closed only"),
        ("\ufeffBOM", "BOM"),
        ("\u200b", None),
        (" \xa0", None),
        ("cut \ud83d", "cut"),
    ],
)
def test_what_is_not_text_goes(title, kept):
    assert cleaned(title) == kept


@given(st.text())
def test_cleaned_text_can_be_written_and_is_stable(text):
    found = cleaned(text)
    assert found is None or (found.encode() and cleaned(found) == found)


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_survive(tmp_path, name):
    write_audio(tmp_path / "Sub folder" / name)
    (uri,) = rows(tmp_path)
    assert uri == f"Sub folder/{name}" and (tmp_path / uri).is_file()


def test_names_that_are_no_text_are_reported(tmp_path):
    write_audio(tmp_path / "a.wav")
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff.wav")).write_bytes(b"x")
    found = import_folder(tmp_path)
    assert found.table.num_rows == 1 and found.passed_over.counts == {"name that is not UTF-8": 1}
    (shown,) = found.passed_over.examples["name that is not UTF-8"]
    assert shown.isprintable() and found.passed_over.lost == 1


def test_ids_follow_from_the_path_alone(tmp_path):
    write_audio(tmp_path / "one" / "x" / "a.wav")
    write_audio(tmp_path / "two" / "x" / "a.wav", title="Other")
    write_audio(tmp_path / "two" / "b.wav")
    one, two = import_folder(tmp_path / "one").table, import_folder(tmp_path / "two").table
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


def is_recognised(path):
    try:
        sniff(path.read_bytes())
    except TrackError:
        return False
    return True


@pytest.mark.parametrize("archive", ["bad.tar.gz", "dev"])
def test_of_real_files_those_are_found_that_tag_recognises(tmp_path, archive):
    folder = SHARED / archive
    if not folder.exists():
        pytest.skip(f"no {archive} beside the repository")
    if folder.is_file():
        with tarfile.open(folder) as packed:
            packed.extractall(tmp_path, filter="data")
        folder = tmp_path
    found = import_folder(folder)
    there = [path for path in folder.rglob("*") if path.is_file()]
    assert {folder / uri for uri in found.table["uri"].to_pylist()} == set(filter(is_recognised, there))
    assert found.table.num_rows + found.passed_over.counts.total() == len(there)
