"""`import` of libraries and joined tables as commands: what is written, what is said, and what `tag` may then read."""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from pipelines.inputs.source_roots import recorded_roots
from pipelines.jobs.imports.places import root_lines
from tests.pipelines.test_import import catalog_rows
from tests.support import libraries
from tests.transforms.catalog.test_import_folder import write_audio
from transforms.storage import exists
from transforms.taxonomy.hierarchy import load_taxonomy

WINDOWS = {"TrackID": "1", "Name": "Blue", "Genre": "Pop", "AverageBpm": "120.00", "Location": "file:///D:/Music/a.mp3"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def run(capsys, *words):
    code = main(["import", *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def write_libraries(folder):
    """Files of each kind; each has one track at `/m/a.mp3`."""
    (folder / "r.xml").write_bytes(libraries.rekordbox({**WINDOWS, "Location": "file://localhost/m/a.mp3"}))
    entry = {"ENTRY": {"TITLE": "Blue"}, "LOCATION": {"VOLUME": "", "DIR": "/:m/:", "FILE": "a.mp3"}}
    (folder / "c.nml").write_bytes(libraries.traktor({**entry, "INFO": {"GENRE": "Pop"}}))
    track = {"Track ID": 1, "Name": "Blue", "Genre": "Pop", "Location": "file:///m/a.mp3"}
    (folder / "i.xml").write_bytes(libraries.itunes(track))
    libraries.beets(folder / "b.db", {"id": 1, "path": b"/m/a.mp3", "title": "Blue", "genre": "Pop"})
    (folder / "l.m3u").write_text("#EXTINF:1,Blue\n#EXTGENRE:Pop\n/m/a.mp3\n")
    (folder / "d.csv").write_text("ISRC,DisplayTitle,Genre,FilePath\nUSABC1234567,Blue,Pop,/m/a.mp3\n")


SOURCES = {
    "rekordbox": "r.xml",
    "traktor": "c.nml",
    "itunes": "i.xml",
    "beets": "b.db",
    "m3u": "l.m3u",
    "ddex": "d.csv",
}


@pytest.mark.parametrize("source", SOURCES)
def test_each_library_becomes_a_catalog_and_a_taxonomy(here, capsys, source):
    write_libraries(here)
    code, out, _ = run(capsys, source, SOURCES[source], "--output", "out.parquet", "--taxonomy", "t.yaml")
    assert code == 0 and "out.parquet: 1 track, 1 with tags, 0 rows lost" in out
    (row,) = catalog_rows("out.parquet")
    assert (row["uri"], row["title"], row["tags"]) == ("/m/a.mp3", "Blue", [{"tag": "genre/pop", "weight": None}])
    assert load_taxonomy("t.yaml").tag_ids == ("genre/pop",)
    assert "give `tag` and `prepare` --allow-root /m" in out and recorded_roots(["out.parquet"]) == ()


@pytest.mark.parametrize("source", SOURCES)
def test_a_file_of_another_kind_is_one_line(here, capsys, source):
    (here / "x").write_bytes(b"\x7fELF" + bytes(5000))
    code, out, err = run(capsys, source, "x", "--output", "out.parquet")
    assert (code, out) == (1, "") and err.count("\n") == 1 and "x" in err and not exists("out.parquet")
    code, _, err = run(capsys, source, "nowhere", "--output", "out.parquet")
    assert code == 1 and "nowhere" in err and err.count("\n") == 1


def test_paths_of_windows_are_one_message_with_the_flag_that_helps(here, capsys):
    tracks = [{**WINDOWS, "TrackID": str(n), "Location": f"file:///D:/Music/A%20b/{n}.mp3"} for n in range(40)]
    (here / "r.xml").write_bytes(libraries.rekordbox(*tracks))
    code, _, err = run(capsys, "rekordbox", "r.xml", "--output", "out.parquet")
    assert code == 5 and err.count("paths of Windows") == 1 and len(err.splitlines()) == 2
    assert r"40 rows have paths of Windows, for example 'D:\\Music\\A b\\0.mp3' (r.xml" in err
    assert r"): give --map 'D:\Music\A b=FOLDER' with the folder" in err
    (here / "m").mkdir()
    command = ("rekordbox", "r.xml", "--output", "out/c.parquet", "--map", rf"D:\Music\A b={here}/m")
    code, out, _ = run(capsys, *command)
    assert code == 0 and {row["uri"] for row in catalog_rows("out/c.parquet")} == {
        f"{here}/m/{n}.mp3" for n in range(40)
    }
    assert "--allow-root" not in out and recorded_roots(["out/c.parquet"]) == (os.path.realpath("m"),)


@pytest.mark.parametrize("flag", ["D:\\Music", "=x", "a=D:\\b"])
def test_wrong_maps_are_named(here, capsys, flag):
    code, _, err = run(capsys, "traktor", "x.nml", "--output", "c.parquet", "--map", flag)
    assert code == 2 and f"--map={flag}" in err


def test_what_tag_needs_to_read_the_uris_of_a_catalog(here):
    """Folders that the user named are recorded, those that only the library names are not."""
    (here / "named").mkdir()
    named = str(here / "named")
    uris = [f"{named}/a.mp3", "/m/one/b.mp3", "/m/two/c.mp3", "gs://bucket/x/d.mp3", "beside.mp3"]
    (line,) = root_lines(str(here / "c" / "c.parquet"), uris, [named])
    assert line.endswith("give `tag` and `prepare` --allow-root /m --allow-root gs://bucket")
    assert list(root_lines(str(here / "c.parquet"), [f"{named}/a.mp3", "beside.mp3"], [named])) == []
    first, second = root_lines("gs://mine/c.parquet", ["/m/b.mp3", "gs://other/d.mp3", "gs://mine/e.mp3"], [])
    assert first.startswith("1 uris are local paths") and second.endswith("--allow-root gs://other")


def test_what_has_no_file_is_passed_over_and_counted(here, capsys):
    cloud = [{"Track ID": n, "Track Type": "Remote", "Name": f"t{n}"} for n in range(2, 9)]
    file = {"Track ID": 1, "Location": "file:///m/a.mp3"}
    (here / "i.xml").write_bytes(libraries.itunes(file, *cloud))
    code, out, err = run(capsys, "itunes", "i.xml", "--output", "c.parquet")
    assert code == 0 and "passed over: 7 x track in the cloud, without a file" in out and "row 2: t2" in err


CSV = (
    "Titel;FilePath;ISRC;Tempo;Styles;Released\n"
    "Blue;a.mp3;007;120,5;Rock, Pop;2004-05-01\n"
    "Red;b.mp3;008;98;Jazz;2004-05-02\n"
)


def test_what_columns_are_taken_for_is_said_before_anything_is_written(here, capsys):
    (here / "t.csv").write_text(CSV)
    flags = ["--column", "FilePath AS uri", "--column", "ISRC=track_id", "--tag-list", "genre=Styles"]
    code, out, err = run(capsys, "csv", "t.csv", *flags, "--output", "c.parquet", "--plan")
    assert code == 0 and not exists("c.parquet") and "--plan: nothing was written" in out
    assert [" ".join(line.split()) for line in err.splitlines()] == [
        "t.csv: read as UTF-8, separated by semicolons",
        "column becomes type filled examples",
        "Titel Titel text 100% Blue | Red",
        "FilePath uri text 100% a.mp3 | b.mp3",
        "ISRC track_id text 100% 007 | 008",
        "Tempo Tempo number 100% 120,5 | 98",
        "Styles genre tags names separated by commas 100% Rock, Pop | Jazz",
        "Released Released date 100% 2004-05-01 | 2004-05-02",
    ]
    code, out, _ = run(capsys, "csv", "t.csv", *flags, "--output", "c.parquet", "--type", "Tempo=text", "--json")
    columns = {column["column"]: column for column in json.loads(out)["columns"]}
    assert (columns["Tempo"]["type"], columns["ISRC"]["becomes"]) == ("text", "track_id")
    stored = {field.name: str(field.type) for field in pq.read_schema("c.parquet")}
    assert (stored["Tempo"], stored["Released"]) == ("string", "date32[day]")


def test_quiet_shows_no_columns(here, capsys):
    (here / "t.csv").write_text(CSV)
    flags = ["--column", "FilePath AS uri", "--column", "ISRC=track_id", "--quiet"]
    assert run(capsys, "csv", "t.csv", *flags, "--output", "c.parquet")[2] == ""


def test_a_column_that_is_missing_is_proposed(here, capsys):
    (here / "t.csv").write_text(CSV)
    code, _, err = run(capsys, "csv", "t.csv", "--column", "track_id=ISRC", "--output", "c.parquet")
    assert code == 1 and "no column 'uri'" in err and "give --column 'FilePath AS uri' if that is right" in err
    code, _, err = run(capsys, "csv", "t.csv", "--output", "c.parquet")
    assert code == 1 and "give --column 'ISRC AS track_id' --column 'FilePath AS uri' if that is right" in err
    (here / "t.csv").write_text("Track No;Künstler;Title;FilePath\n1;A;B;a.mp3\n")
    code, _, err = run(capsys, "csv", "t.csv", "--output", "c.parquet")
    assert code == 1 and "give --column 'Track No AS track_id' --column 'FilePath AS uri' if that is right; " in err
    assert err.endswith("for further columns --column 'Title AS title'\n")
    (here / "t.csv").write_text("Nummer;FilePath\n1;a.mp3\n")
    code, _, err = run(capsys, "csv", "t.csv", "--output", "c.parquet")
    assert err.endswith("'FilePath AS uri' if that is right, give --column 'COLUMN AS NAME' for track_id\n")


def test_names_with_another_separator_are_a_warning(here, capsys):
    (here / "t.csv").write_text("track_id,uri,g\n1,a,Rock/Pop\n2,b,Jazz\n")
    _, _, err = run(capsys, "csv", "t.csv", "--tag-list", "genre=g", "--output", "c.parquet")
    assert "warning: column g: 1 of 2 names contain '/': if it separates names, give --separator '/'" in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--type", "Tempo=fast"), "choose from text, integer"),
        (("--type", "Tempo"), "--type=Tempo"),
        (("--files", "music"), "--files and --match belong together"),
        (("--match", "isrc"), "--files and --match belong together"),
        (("--match", "name"), "--match"),
        (("--files", "nowhere", "--match", "path"), "nowhere: no such local folder"),
    ],
)
def test_wrong_flags_are_named(here, capsys, flags, message):
    (here / "t.csv").write_text(CSV)
    code, _, err = run(capsys, "csv", "t.csv", "--column", "uri=FilePath", *flags, "--output", "c.parquet")
    assert code == 2 and message in err


JOIN = ["--column", "track_id=id", "--files", "music", "--match", "isrc"]


@pytest.mark.parametrize("place", ["", "elsewhere/"])
def test_a_folder_is_joined_with_a_table(here, capsys, place):
    write_audio(here / "music" / "USABC1234567.wav")
    write_audio(here / "music" / "=1+1.wav")
    (here / "t.csv").write_text("id,isrc,bpm\n007,US-ABC-12-34567,120\n008,GBXYZ9900001,98\n009,,1\n")
    output = f"{place}c.parquet"
    code, _, err = run(capsys, "csv", "t.csv", *JOIN, "--output", output)
    assert code == 5 and not exists(output) and "no catalog was written" in err and exists(f"{place}c.unmatched.csv")
    code, out, _ = run(capsys, "csv", "t.csv", *JOIN, "--output", output, "--max-lost-ratio", "0.7")
    (row,) = catalog_rows(output)
    assert code == 0 and (row["track_id"], row["bpm"]) == ("007", 120) and exists(row["place"])
    assert row["uri"].startswith("/") == bool(place)
    assert recorded_roots([output]) == ((os.path.realpath("music"),) if place else ())
    for line in ("1 row matched", "1 file: no row (=1+1.wav)", "1 row: no file (2)", "1 row: no key (3)"):
        assert line in out.splitlines()
    assert Path(f"{place}c.unmatched.csv").read_text("utf-8-sig").splitlines() == [
        "side,place,reason,detail",
        'file,\'=1+1.wav,no row,""',
        "row,2,no file,isrc=GBXYZ9900001",
        "row,3,no key,isrc=",
    ]


def test_a_plan_writes_no_report(here, capsys):
    write_audio(here / "music" / "USABC1234567.wav")
    (here / "t.csv").write_text("id,isrc\n007,USABC1234567\n")
    code, out, _ = run(capsys, "csv", "t.csv", *JOIN, "--output", "c.parquet", "--plan", "--json")
    document = json.loads(out)
    assert (
        code == 0
        and document["match"] == {"matched": 1, "unmatched": {}, "report": None}
        and document["catalog"] is None
    )
    assert sorted(path.name for path in here.iterdir()) == ["music", "t.csv"]


DELIVERY = (
    "ISRC;ICPN;Display Artist;Display Title;Release Title;Label Name;Release Date;Duration;Genre;Sub Genre;"
    "Sequence Number;File Name\n"
    "US-ABC-12-34567;0012345678905;Anna;Blue;Sea;Bay;2004-05-01;PT3M1S;Pop;Dance Pop;1;one.wav\n"
)


def test_a_delivery_is_read_by_the_names_of_its_columns(here, capsys):
    (here / "d.csv").write_text(DELIVERY)
    code, _, err = run(capsys, "ddex", "d.csv", "--output", "c.parquet", "--column", "Label Name AS country")
    (row,) = catalog_rows("c.parquet")
    wanted = {
        **{"track_id": "USABC1234567", "uri": "one.wav", "artist": "Anna", "title": "Blue", "album": "Sea"},
        **{"isrc": "USABC1234567", "icpn": "0012345678905", "stated_duration_s": 181.0, "track_number": 1},
    }
    assert code == 0 and {name: row[name] for name in wanted} == wanted and str(row["release_date"]) == "2004-05-01"
    assert {tag["tag"] for tag in row["tags"]} == {"genre/pop", "genre/dance_pop"}
    assert "length in seconds" in err


def test_a_folder_is_read_with_a_pattern(here, capsys):
    write_audio(here / "music" / "Anna" / "01 Blue.wav")
    write_audio(here / "music" / "other.wav")
    code, out, err = run(capsys, "folder", "music", "--pattern", "{artist}/{track} {title}", "--output", "c.parquet")
    assert code == 0 and "2 tracks, 0 with a genre, 2 without tags, 0 without metadata" in out
    assert "1 paths do not have the form {artist}/{track} {title}" in out and "other.wav: not of form" in err
    titles = {row["uri"]: (row["artist"], row["title"], row["track_number"]) for row in catalog_rows("c.parquet")}
    assert titles == {"music/Anna/01 Blue.wav": ("Anna", "Blue", 1), "music/other.wav": (None, None, None)}
    code, _, err = run(capsys, "folder", "music", "--pattern", "{name}", "--output", "c.parquet")
    assert code == 2 and "{name} is unknown" in err


def test_a_folder_of_picard_counts_what_has_no_ids(here, capsys):
    write_audio(here / "music" / "a.flac", title="Blue")
    code, out, _ = run(capsys, "picard", "music", "--output", "c.parquet", "--plan")
    assert code == 0 and "1 track without an id of MusicBrainz" in out and not exists("c.parquet")


@pytest.mark.parametrize("command", ["folder", "csv", "rekordbox", "traktor", "itunes", "beets", "m3u"])
def test_a_name_of_5000_characters_is_one_line(here, capsys, command):
    code, _, err = run(capsys, command, "x" * 5000, "--output", "c.parquet")
    assert code in (1, 2) and err.count("\n") == 1
