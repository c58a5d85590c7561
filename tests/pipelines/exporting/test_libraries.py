"""Libraries of Rekordbox and Beets, read by an XML parser and by SQL."""

import json
import os
import sqlite3
import xml.etree.ElementTree as ElementTree
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import pytest

from pipelines.cli import main
from pipelines.exporting.rekordbox import write_rekordbox
from pipelines.exporting.tagged_tracks import PositiveTag, TaggedTrack
from transforms.storage import SourceRoots
from transforms.storage.scratch import open_scratch
from transforms.table.reader import open_snapshot


def export(library, *words):
    return main(["export", library.table, *map(str, words), "--catalog-root", str(library.root)])


def test_rekordbox_has_tracks_and_playlists(library, tmp_path, capsys):
    path = tmp_path / "library.xml"
    assert export(library, "--rekordbox", "--output", path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["tracks"] == {"written": 8}
    root = ElementTree.parse(path).getroot()
    assert root.tag == "DJ_PLAYLISTS" and root.attrib == {"Version": "1.0.0"}
    tracks = {track.attrib["TrackID"]: track.attrib for track in root.iter("TRACK") if "TrackID" in track.attrib}
    assert root.find("COLLECTION").attrib["Entries"] == str(len(tracks)) == "8"
    rows = {row["track_id"]: row for row in open_snapshot(library.table).scan("tracks").to_pylist()}
    names, ids = library.names(), {}
    for key, track in tracks.items():
        place = urlsplit(track["Location"])
        assert (place.scheme, place.netloc) == ("file", "localhost")
        track_id = PurePosixPath(unquote(place.path)).stem
        assert unquote(place.path) == os.path.realpath(library.root / "audio" / f"{track_id}.flac")
        ids[key] = track_id
        row = rows[track_id]
        assert (track["Name"], track["Artist"], track["Year"]) == (row["title"], row["artist"], str(row["year"]))
        assert (track["TotalTime"], track["SampleRate"], float(track["AverageBpm"])) == ("8", "44100", row["bpm"])
        assert track["Genre"] == ", ".join(names[track_id].get("genre", []))
    playlists = {}
    for node in root.iter("NODE"):
        if node.attrib["Type"] == "1":
            members = [ids[track.attrib["Key"]] for track in node]
            assert node.attrib["Entries"] == str(len(members))
            playlists[node.attrib["Name"]] = set(members)
        else:
            assert node.attrib["Count"] == str(len(node))
    wanted = {}
    for row in open_snapshot(library.table).scan("track_tags").to_pylist():
        if row["is_positive"]:
            wanted.setdefault(row["tag"], set()).add(row["track_id"])
    assert playlists == wanted


def test_texts_and_paths_of_any_kind_are_xml(tmp_path):
    title = 'a "quote" & <tag> \x01 \ud83d 静か\n'
    tags = [PositiveTag("mood/<&>", "mood", "<&>", 0.5)]
    track = TaggedTrack("t", "100% & #1 ü.mp3", {"title": title, "year": None}, tags)
    remote = TaggedTrack("r", "gs://bucket/a.mp3", {}, [])
    with open_scratch() as scratch:
        tally = write_rekordbox(tmp_path / "a.xml", [track, remote], SourceRoots("/music"), scratch)
    assert tally.counts == {"written": 1, "not writable": 1}
    root = ElementTree.parse(tmp_path / "a.xml").getroot()
    (found,) = root.find("COLLECTION")
    assert found.attrib["Name"].startswith('a "quote" & <tag> \ufffd \ufffd 静か') and "Year" not in found.attrib
    assert found.attrib["Location"] == "file://localhost/music/100%25%20%26%20%231%20%C3%BC.mp3"
    assert [node.attrib["Name"] for node in root.iter("NODE")] == ["ROOT", "catalog-tagger", "mood/<&>"]


@pytest.fixture
def beets(library, tmp_path):
    """A library as Beets makes it: one absolute path, one relative to the music folder, one of another file."""
    path = tmp_path / "library.db"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, path BLOB, title TEXT)")
        made.execute(
            "CREATE TABLE item_attributes (id INTEGER PRIMARY KEY, entity_id INTEGER, key TEXT, value TEXT, "
            "UNIQUE(entity_id, key) ON CONFLICT REPLACE)"
        )
        places = [os.fsencode(library.root / "audio" / "track-0000.flac"), b"audio/track-0001.flac", b"/elsewhere.mp3"]
        made.executemany("INSERT INTO items (path, title) VALUES (?, 'x')", [(place,) for place in places])
        made.execute("INSERT INTO item_attributes (entity_id, key, value) VALUES (1, 'tags_mood', 'old')")
        made.execute("INSERT INTO item_attributes (entity_id, key, value) VALUES (1, 'own', 'stays')")
        made.execute("INSERT INTO item_attributes (entity_id, key, value) VALUES (2, 'tags_instrument', 'stale')")
    return path


def test_beets_gets_attributes(library, beets, tmp_path, capsys):
    before = beets.read_bytes()
    copy = tmp_path / "copy.db"
    assert (
        export(library, "--beets", beets, "--output", copy, "--tag", "mood/*", "--tag", "instrument/*", "--json") == 0
    )
    assert json.loads(capsys.readouterr().out)["tracks"] == {"written": 2, "not in the library": 6}
    assert beets.read_bytes() == before
    with sqlite3.connect(copy) as made:
        found = {
            (item, key): value for item, key, value in made.execute("SELECT entity_id, key, value FROM item_attributes")
        }
        assert not [name for (name,) in made.execute("SELECT name FROM sqlite_master") if "catalog_tagger" in name]
    names = library.names()
    wanted = {(1, "own"): "stays"}
    for item, track in ((1, "track-0000"), (2, "track-0001")):
        for category in ("mood", "instrument"):
            if names[track].get(category):
                wanted[item, f"tags_{category}"] = "; ".join(names[track][category])
    assert found == wanted


@pytest.mark.parametrize("content", [None, b"no database", b""])
def test_what_is_no_library_is_refused(library, tmp_path, capsys, content):
    path = tmp_path / "library.db"
    if content is not None:
        path.write_bytes(content)
    assert export(library, "--beets", path, "--output", tmp_path / "copy.db") == 2
    assert "--beets" in capsys.readouterr().err and not (tmp_path / "copy.db").exists()
