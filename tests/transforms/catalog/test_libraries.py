"""Libraries of other programs as catalogs: what each field becomes, and what is counted instead."""

import datetime

import pytest

from tests.support import libraries
from transforms.catalog.importers.places import PathMap, parse_maps
from transforms.catalog.libraries.beets import import_beets
from transforms.catalog.libraries.itunes import import_itunes
from transforms.catalog.libraries.playlists import import_playlists
from transforms.catalog.libraries.rekordbox import import_rekordbox
from transforms.catalog.libraries.traktor import import_traktor

HERE = PathMap()
WINDOWS = parse_maps([r"D:\Music=/mnt/music"])


def written(tmp_path, data, name="library.xml"):
    (tmp_path / name).write_bytes(data)
    return str(tmp_path / name)


def rows(imported):
    """The catalog's rows, without columns that are null in them."""
    return [{k: v for k, v in row.items() if v is not None} for row in imported.table().to_pylist()]


def types(imported):
    return {field.name: str(field.type) for field in imported.table().schema}


def tagged(*tags):
    return [{"tag": tag, "weight": None} for tag in tags]


def test_rekordbox(tmp_path):
    track = {
        **{"TrackID": "0071", "Name": "Blue & <Green>", "Artist": "Anna", "Album": "Sea", "Genre": "Deep House"},
        **{"TotalTime": 181, "Year": 2004, "AverageBpm": "124.50", "Tonality": "Am", "Rating": 204, "PlayCount": 3},
        **{"DateAdded": "2020-01-02", "Location": "file://localhost/D:/Music/A%20%26%20B/%C3%BC.mp3", "Remixer": "Ben"},
    }
    unknown = {
        "TrackID": "2",
        "Year": 0,
        "AverageBpm": "0.00",
        "Rating": 0,
        "PlayCount": 0,
        "Location": "file:///m/b.mp3",
    }
    streams = [
        {"TrackID": place, "Location": place} for place in ("file://localhostsoundcloud:tracks:9", "tidal:tracks:9")
    ]
    found = import_rekordbox(written(tmp_path, libraries.rekordbox(track, unknown, *streams)), WINDOWS)
    assert rows(found) == [
        {
            **{"track_id": "0071", "uri": "/mnt/music/A & B/ü.mp3", "title": "Blue & <Green>", "artist": "Anna"},
            **{"year": 2004, "added": datetime.date(2020, 1, 2), "album": "Sea", "bpm": 124.5, "musical_key": "Am"},
            **{"play_count": 3, "rating": 4.0, "remixer": "Ben", "stated_duration_s": 181.0},
            "tags": tagged("genre/deep_house"),
        },
        {"track_id": "2", "uri": "/m/b.mp3", "play_count": 0},
    ]
    assert types(found) | {"bpm": "double", "play_count": "int64", "rating": "double", "added": "date32[day]"} == types(
        found
    )
    assert found.sources[0].rows == 4 and found.lost_count == 0 and found.passed_over.counts == {"stream": 2}


def test_traktor(tmp_path):
    windows = {
        "ENTRY": {"TITLE": "Blue", "ARTIST": "Anna"},
        "LOCATION": {"VOLUME": "D:", "DIR": "/:Music/:A/:", "FILE": "one.mp3"},
        "ALBUM": {"TITLE": "Sea", "TRACK": 3},
        "INFO": {"GENRE": "Techno; House", "PLAYCOUNT": 7, "RANKING": 102, "RELEASE_DATE": "2004/5/1", "PLAYTIME": 200},
        "TEMPO": {"BPM": "127.999"},
        "MUSICAL_KEY": {"VALUE": 21},
    }
    mac = {"LOCATION": {"VOLUME": "Macintosh HD", "DIR": "/:Users/:anna/:", "FILE": "two.mp3"}, "INFO": {"KEY": "8m"}}
    disk = {"LOCATION": {"VOLUME": "STICK", "DIR": "/:", "FILE": "three.mp3"}, "MUSICAL_KEY": {"VALUE": 99}}
    found = import_traktor(written(tmp_path, libraries.traktor(windows, mac, disk)), WINDOWS)
    by_uri = {row["uri"]: row for row in rows(found)}
    assert by_uri["/mnt/music/A/one.mp3"] == {
        **{"track_id": by_uri["/mnt/music/A/one.mp3"]["track_id"], "uri": "/mnt/music/A/one.mp3", "title": "Blue"},
        **{"artist": "Anna", "album": "Sea", "bpm": 127.999, "musical_key": "Am", "play_count": 7, "rating": 2.0},
        **{"year": 2004, "release_date": datetime.date(2004, 5, 1), "stated_duration_s": 200.0, "track_number": 3},
        "tags": tagged("genre/house", "genre/techno"),
    }
    assert by_uri["/Users/anna/two.mp3"]["musical_key"] == "8m" and "/Volumes/STICK/three.mp3" in by_uri
    assert found.values_left_out.counts == {"musical_key": 1}
    assert len({row["track_id"] for row in by_uri.values()}) == 3


def test_itunes(tmp_path):
    file = {
        **{"Track ID": 11, "Persistent ID": "00AB", "Name": "Blue", "Artist": "Anna", "Genre": "Pop", "Year": 2004},
        **{"BPM": 90, "Rating": 80, "Play Count": 3, "Skip Count": 0, "Total Time": 181500, "Loved": True},
        **{"Play Date UTC": datetime.datetime(2021, 3, 4, 5, 6, 7), "Location": "file://localhost/Users/a/M%C3%BC.mp3"},
    }
    computed = {"Track ID": 12, "Rating": 60, "Rating Computed": True, "Location": "file:///D:/Music/x.m4a"}
    cloud = {"Track ID": 13, "Track Type": "Remote", "Apple Music": True, "Name": "far"}
    radio = {"Track ID": 14, "Track Type": "URL", "Location": "http://radio.example/live"}
    video = {"Track ID": 15, "Has Video": True, "Location": "file:///a.mp4"}
    gone = {"Track ID": 16, "Name": "gone"}
    data = libraries.itunes(file, computed, cloud, radio, video, gone)
    found = import_itunes(written(tmp_path, data), WINDOWS)
    assert rows(found) == [
        {
            **{"track_id": "00AB", "uri": "/Users/a/Mü.mp3", "title": "Blue", "artist": "Anna", "year": 2004},
            **{"bpm": 90.0, "rating": 4.0, "play_count": 3, "skip_count": 0, "stated_duration_s": 181.5, "loved": True},
            "last_played": datetime.datetime(2021, 3, 4, 5, 6, 7, tzinfo=datetime.UTC),
            "tags": tagged("genre/pop"),
        },
        {"track_id": "12", "uri": "/mnt/music/x.m4a"},
    ]
    assert found.passed_over.counts == {"track in the cloud, without a file": 1, "stream": 1, "video": 1}
    assert [problem.row for problem in found.lost.kept] == [6] and found.read == 3


def test_beets(tmp_path):
    item = {
        **{"id": 7, "path": "/m/ü.flac".encode(), "title": "Blue", "artist": "Anna", "album": "Sea", "year": 2004},
        **{"month": 5, "day": 1, "bpm": 120, "initial_key": "Am", "length": 181.5, "added": 86400.0},
        **{"genre": "Rock, Indie Pop", "mb_artistid": "artist-1", "mb_trackid": "recording-1"},
    }
    newer = {"id": 8, "path": b"Anna/two.flac", "genres": "Jazz\\␀Soul", "bpm": 0, "year": 0, "month": 0, "day": 0}
    broken = {"id": 9, "path": b"/m/\xff.flac"}
    attributes = [(7, "play_count", "12"), (7, "rating", "0.8"), (8, "rating", "7"), (7, "mine", "x")]
    url = libraries.beets(tmp_path / "library.db", item, newer, broken, attributes=attributes)
    found = import_beets(url, HERE, "/mnt/music")
    assert rows(found) == [
        {
            **{"track_id": "7", "uri": "/m/ü.flac", "title": "Blue", "artist": "Anna", "album": "Sea", "year": 2004},
            **{"release_date": datetime.date(2004, 5, 1), "bpm": 120.0, "musical_key": "Am", "artist_id": "artist-1"},
            **{"stated_duration_s": 181.5, "play_count": 12, "rating": 4.0, "musicbrainz_recording_id": "recording-1"},
            "added": datetime.datetime(1970, 1, 2, tzinfo=datetime.UTC),
            "tags": tagged("genre/indie_pop", "genre/rock"),
        },
        {"track_id": "8", "uri": "/mnt/music/Anna/two.flac", "tags": tagged("genre/jazz", "genre/soul")},
    ]
    assert "is not UTF-8" in found.lost.kept[0].message and found.values_left_out.counts == {"rating": 1}


PLAYLIST = (
    "\ufeff#EXTM3U\r\n#PLAYLIST:Summer\r\n#EXTINF:181,Anna - Blue - Live\r\n#EXTGENRE:Pop\r\na/ü.mp3\r\n\r\n"
    "# a comment\r\n#EXTINF:-1,No Artist\r\nfile:///D:/Music/b.mp3\r\nsub\\c.mp3\r\n/abs/d.mp3\r\n"
    "https://radio.example/live\r\nE:\\e.mp3\r\n"
)


def test_playlists(tmp_path):
    first = written(tmp_path, PLAYLIST.encode(), "first.m3u8")
    second = written(tmp_path, b"/abs/d.mp3\n/abs/d.mp3\n", "Second list.m3u")
    found = import_playlists([first, second], WINDOWS)
    by_uri = {row["uri"]: row for row in rows(found)}
    assert sorted(by_uri) == sorted([f"{tmp_path}/a/ü.mp3", "/mnt/music/b.mp3", f"{tmp_path}/sub/c.mp3", "/abs/d.mp3"])
    blue = by_uri[f"{tmp_path}/a/ü.mp3"]
    assert (blue["artist"], blue["title"], blue["stated_duration_s"]) == ("Anna", "Blue - Live", 181.0)
    assert blue["tags"] == tagged("genre/pop") and by_uri["/mnt/music/b.mp3"]["title"] == "No Artist"
    assert by_uri["/abs/d.mp3"]["playlists"] == ["Summer", "Second list"] and found.joined == 2
    assert found.passed_over.counts == {"stream": 1} and found.unmapped.count == 1


def test_a_playlist_in_another_encoding_is_told_and_then_read(tmp_path):
    url = written(tmp_path, "#EXTINF:1,Café\ncafé.mp3\nplain.mp3\n".encode("cp1252"), "list.m3u")
    found = import_playlists([url], HERE)
    assert len(found.rows) == 1 and "give its encoding" in found.lost.kept[0].message
    assert {row["uri"] for row in import_playlists([url], HERE, "cp1252").rows.values()} == {
        f"{tmp_path}/café.mp3",
        f"{tmp_path}/plain.mp3",
    }


def test_a_stream_in_segments_is_no_playlist(tmp_path):
    url = written(tmp_path, b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nsegment1.ts\n", "live.m3u8")
    with pytest.raises(ValueError, match=r"live\.m3u8: this is an HLS playlist of a stream"):
        import_playlists([url], HERE)


@pytest.mark.parametrize("text", ["Año", "音楽", "a\x07b", "x" * 70_000])
def test_texts_of_libraries_are_bounded_and_clean(tmp_path, text):
    item = {"id": 1, "path": b"/a.mp3", "title": text}
    found = import_beets(libraries.beets(tmp_path / "library.db", item), HERE)
    (row,) = rows(found)
    assert row.get("title") == (None if len(text) > 65_536 else text.replace("\x07", ""))
    assert found.values_left_out.counts.total() == (len(text) > 65_536)
