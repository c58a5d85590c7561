"""Playlists as files: what is written is read by other parsers, and extended."""

import csv
import io
import json
import xml.etree.ElementTree as ET
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.discovery.playlists.files import WRITERS, csv_text, json_text_of, listed_tracks, m3u_text, xspf_text
from transforms.discovery.search.vocabulary import DiscoveryError

SPACE = "{http://xspf.org/ns/0/}"
AWKWARD = ["plain.flac", "a b/ü#?&%.mp3", "#first.mp3", "<&>\"'.mp3", "line\nbreak.mp3", " blank .mp3", "/abs/é 1.wav"]


def row(location, **values):
    plain = dict.fromkeys(("title", "artist", "album", "duration_s", "tempo", "key", "energy"))
    return {"track_id": f"id {location}", "location": location, "why": "", **plain, **values}


ROWS = [row(place, title='=cmd|"x"', artist="A\nB <&> C", duration_s=61.25, album=None) for place in AWKWARD]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def test_m3u_lines_hold_one_entry_each():
    lines = m3u_text("My\nlist", ROWS).splitlines()
    assert lines[:2] == ["#EXTM3U", "#PLAYLIST:My list"]
    paths = [line for line in lines if not line.startswith("#")]
    assert paths == [*AWKWARD[:2], "./#first.mp3", AWKWARD[3], "line%0Abreak.mp3", "%20blank%20.mp3", AWKWARD[6]]
    assert lines.count('#EXTINF:61,A B <&> C - =cmd|"x"') == len(AWKWARD)


def test_xspf_is_xml_with_encoded_locations():
    tracks = ET.fromstring(xspf_text("T & \x00", ROWS)).findall(f"{SPACE}trackList/{SPACE}track")
    found = [unquote(one.findtext(f"{SPACE}location").removeprefix("file://")) for one in tracks]
    assert found == AWKWARD and tracks[0].findtext(f"{SPACE}duration") == "61250"
    assert tracks[0].findtext(f"{SPACE}creator") == "A\nB <&> C" and tracks[0].find(f"{SPACE}album") is None
    assert all(one.findtext(f"{SPACE}location").isascii() for one in tracks)


def test_csv_and_json_are_exact():
    rows = list(csv.DictReader(io.StringIO(csv_text("t", ROWS), newline="")))
    assert (
        [one["location"] for one in rows] == AWKWARD and rows[0]["artist"] == "A\nB <&> C" and rows[1]["place"] == "2"
    )
    document = json.loads(json_text_of("t", ROWS))
    assert [one["location"] for one in document["tracks"]] == AWKWARD and document["tracks"][0]["album"] is None


@given(st.lists(st.tuples(TEXT.filter(str.strip), TEXT, TEXT), max_size=4))
def test_any_text_stays_in_its_field(values):
    rows = [{**row(a), "track_id": f"x{a}", "title": b, "artist": c} for a, b, c in values]
    for name, write in WRITERS.items():
        text = write("t", rows)
        if name == "xspf":
            assert len(ET.fromstring(text).findall(f".//{SPACE}track")) == len(rows)
        elif name == "csv":
            assert [one["title"] for one in csv.DictReader(io.StringIO(text, newline=""))] == [b for _, b, _ in values]
        elif name == "json":
            assert len(json.loads(text)["tracks"]) == len(rows)
        else:
            lines = text.split("\n")
            assert len([line for line in lines if line and not line.startswith("#")]) == len(rows)


def test_a_playlist_is_read_again(snapshot):
    ids = ["track-0005", "track-0002", "track-0002"]
    rows = [row(f"audio/{track}.flac", track_id=track) for track in ids]
    for name in ("m3u8", "csv"):
        data = WRITERS[name]("t", rows).encode()
        assert listed_tracks(snapshot, f"p.{name}", data, []) == ids


@pytest.mark.parametrize(
    "text",
    [
        "audio/track-0007.flac\n",
        "#EXTM3U\r\n#EXTINF:8,x\r\n./audio/track-0007.flac\r\n",
        "/music/audio/track-0007.flac",
        "file:///music/audio/track%2D0007.flac",
        "\ufeff/music/audio/track-0007.flac",
        "/music/lists/../audio/./track-0007.flac",
        "../audio/track-0007.flac",
        "..\\audio\\track-0007.flac",
        "../audio/a\u2028b/../track%2D0007.flac",
    ],
)
def test_playlists_of_other_programs(snapshot, text):
    assert listed_tracks(snapshot, "/music/lists/p.m3u", text.encode(), ["/music/"]) == ["track-0007"]


@pytest.mark.parametrize("track", ["trailing ", " leading", "#hash", "new\nline", "100%25", "a/b", "\u2028", "日本"])
def test_any_id_is_read_again(snapshot, track):
    text = m3u_text("t", [row("x.mp3", track_id=track)])
    assert listed_tracks(snapshot, "p.m3u8", text.encode(), []) == [track]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("p.m3u", b"/other/x.mp3", "/other/x.mp3 is no track"),
        ("p.m3u", b"caf\xe9.mp3", "not UTF-8"),
        ("p.csv", b"name\nx\n", "no column track_id"),
        ("p.xspf", b"<playlist/>", "as M3U or CSV, not as XSPF"),
        ("p.JSON", b"{}", "as M3U or CSV, not as JSON"),
    ],
)
def test_what_is_no_playlist_of_the_catalog_is_refused(snapshot, name, data, words):
    with pytest.raises(DiscoveryError, match=words):
        listed_tracks(snapshot, name, data, [])
