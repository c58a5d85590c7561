"""Rows of a table and files of a folder: what has one partner, and what is reported instead of guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.catalog.test_import_folder import write_audio
from transforms.catalog.importers.audio_search import PassedOver
from transforms.catalog.importers.folder import file_uri
from transforms.catalog.importers.layout import CsvLayout
from transforms.catalog.importers.matching import (
    MOST_ENTRIES,
    FileIndex,
    FoundFile,
    MatchReport,
    RowKey,
    find_audio,
    match_rows,
)
from transforms.catalog.importers.tabular import CsvImport
from transforms.catalog.metadata.embedded import EmbeddedTags


def file(relative, **tags):
    further = {"isrc": tags.pop("isrc")} if "isrc" in tags else {}
    return FoundFile(relative, relative, EmbeddedTags(further=further, **tags))


def row(track_id="1", duration_s=None, **texts):
    return RowKey(track_id=track_id, texts=texts, duration_s=duration_s)


def matched(way, files, rows):
    report = MatchReport()
    found = match_rows(FileIndex(way, files), enumerate(rows, 1), report)
    return {number: found[number].relative for number in found}, dict(report.counts)


@pytest.mark.parametrize(
    ("code", "names", "result"),
    [
        ("US-ABC-12-34567", ["tagged.mp3"], "tagged.mp3"),
        ("usabc1234567", ["tagged.mp3"], "tagged.mp3"),
        ("GBXYZ9900001", ["GBXYZ9900001.wav", "tagged.mp3"], "GBXYZ9900001.wav"),
        ("GBXYZ9900001", ["01_GB-XYZ-99-00001 master.wav"], "01_GB-XYZ-99-00001 master.wav"),
        ("GBXYZ9900001", ["a/GBXYZ9900001.wav", "b/GBXYZ9900001.wav"], "ambiguous"),
        ("GBXYZ9900001", ["xGBXYZ9900001.wav"], "no file"),
        ("GBXYZ9900002", ["tagged.mp3"], "no file"),
        ("not a code", ["tagged.mp3"], "no key"),
        ("", ["tagged.mp3"], "no key"),
    ],
)
def test_by_isrc(code, names, result):
    files = [file(name, **({"isrc": "USABC1234567"} if name == "tagged.mp3" else {})) for name in names]
    found, counts = matched("isrc", files, [row(isrc=code)])
    assert found == ({1: result} if result in names else {})
    assert counts.get(("row", result), 0) == (result not in names)


FILES = ["A/01.mp3", "B/01.mp3", "c.flac", "Live/c.flac", "x/Ü.mp3", "y.z/d.wav"]


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("A/01.mp3", "A/01.mp3"),
        (r"D:\Music\a\01.MP3", "A/01.mp3"),
        ("/mnt/other/B/01.mp3", "B/01.mp3"),
        ("01.mp3", "ambiguous"),
        ("C/01.mp3", "no file"),
        ("c.flac", "c.flac"),
        ("/m/Live/c.flac", "Live/c.flac"),
        ("/m/c.flac", "c.flac"),
        ("x/U\u0308.mp3", "x/Ü.mp3"),
        ("y.z/d", "y.z/d.wav"),
        ("d", "y.z/d.wav"),
        ("d.mp3", "no file"),
        ("", "no key"),
    ],
)
def test_by_path(path, result):
    found, counts = matched("path", [file(name) for name in FILES], [row(path=path)])
    assert found == ({1: result} if result in FILES else {})
    assert counts.get(("row", result), 0) == (result not in FILES)


def song(name, title="Blue", artist="Anna", duration_s=180.0):
    return file(name, title=title, artist=artist, duration_s=duration_s)


@pytest.mark.parametrize(
    ("length", "files", "result"),
    [
        (181.5, [song("a"), song("b", duration_s=240.0)], "a"),
        (181.5, [song("a"), song("b", duration_s=183.0)], "ambiguous"),
        (190.0, [song("a")], "no file"),
        (180.0, [song("a", title="BLUE!", artist="anna")], "a"),
        (180.0, [song("a", artist=None)], "no file"),
        (180.0, [song("a", duration_s=None)], "no file"),
        (None, [song("a")], "no key"),
    ],
)
def test_by_title_artist_and_duration(length, files, result):
    found, counts = matched("title+artist+duration", files, [row(title="Blue", artist="Anna", duration_s=length)])
    assert found == ({1: "a"} if result == "a" else {}) and counts.get(("row", result), 0) == (result != "a")


def test_tracks_that_only_look_like_one_file_do_not_get_it():
    rows = [row(key, title="Blue", artist="Anna") for key in ("1", "2")]
    assert matched("title+artist", [song("a")], rows) == ({}, {("row", "ambiguous"): 2, ("file", "no row"): 1})
    assert matched("title+artist", [song("a")], [rows[0], rows[0]]) == ({1: "a", 2: "a"}, {})


def test_tracks_that_name_one_file_share_it():
    rows = [row("1", isrc="USABC1234567"), row("2", isrc="USABC1234567")]
    assert matched("isrc", [file("a", isrc="USABC1234567")], rows) == ({1: "a", 2: "a"}, {})


def test_the_report_is_bounded_and_counts_all():
    report = MatchReport()
    rows = [(number, row(str(number), path=f"{number}.mp3")) for number in range(MOST_ENTRIES + 5)]
    match_rows(FileIndex("path", []), rows, report)
    assert report.counts == {("row", "no file"): MOST_ENTRIES + 5} and len(report.entries) == MOST_ENTRIES


texts = st.text(max_size=12)
files_of = st.lists(st.builds(song, texts.filter(bool), texts, texts, st.sampled_from([None, 1.0, 180.0])), max_size=6)


@given(st.sampled_from(["path", "title+artist", "title+artist+duration"]), files_of, st.lists(texts, max_size=6))
def test_every_row_and_every_file_is_matched_or_counted_once(way, files, names):
    files = list({found.relative: found for found in files}.values())
    rows = [row(str(n), 180.0, path=name, title=name, artist=name) for n, name in enumerate(names)]
    found, counts = matched(way, files, rows)
    assert len(found) + sum(count for (side, _), count in counts.items() if side == "row") == len(rows)
    assert len(set(found.values())) + counts.get(("file", "no row"), 0) == len(files)


@pytest.mark.parametrize(
    ("header", "lengths"),
    [
        ("duration", ("0.1", "9")),
        ("Length", ("0:00.1", "0:09")),
        ("duration_ms", ("100", "9000")),
        ("Time", ("PT0.1S", "PT9S")),
    ],
)
def test_a_table_is_joined_with_a_folder(tmp_path, header, lengths):
    write_audio(tmp_path / "m" / "one.flac", title="Blue", artist="Anna")
    write_audio(tmp_path / "m" / "two.flac", title="Red", artist="Anna")
    (tmp_path / "t.csv").write_text(
        f"Title,Artist,BPM,{header}\nBlue,Anna,120,{lengths[0]}\nRed,Anna,90,{lengths[1]}\n", encoding="utf-8"
    )
    way = "title+artist+duration"
    files = find_audio(tmp_path / "m", lambda path: file_uri(path, tmp_path), way, PassedOver())
    report = MatchReport()
    table = CsvImport(str(tmp_path / "t.csv"), CsvLayout(renamed={"title": "Title"}, match=way))
    found = table.read(files, report)
    assert [(r["uri"], r["title"], r["BPM"]) for r in found.rows.values()] == [("m/one.flac", "Blue", 120)]
    assert found.lost.count == 1 and report.counts == {("row", "no file"): 1, ("file", "no row"): 1}


def test_a_table_without_the_columns_to_match_by_says_how_to_name_them(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="--match isrc: no column 'isrc': give --column 'COLUMN AS isrc'"):
        CsvImport(str(tmp_path / "t.csv"), CsvLayout(renamed={}, match="isrc")).read([])
