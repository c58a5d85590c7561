"""`import` as a command: what it writes is a catalog that the other commands read."""

import json

import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from tests.transforms.catalog.test_import_folder import write_audio
from tests.transforms.catalog.test_import_published import FMA_GENRES, FMA_TRACKS, HEADER, MAGNA, jamendo_row, magna_row
from transforms import storage
from transforms.catalog.reader import list_shards, read_shard
from transforms.storage import exists
from transforms.taxonomy.hierarchy import load_taxonomy


def catalog_rows(url):
    """Rows as the other commands read them, with the place that each uri leads to."""
    found = []
    for shard in list_shards(str(url)):
        for batch, problems in read_shard(shard):
            assert problems == []
            found += [{**row, "place": storage.join(shard.root, row["uri"])} for row in batch.to_pylist()]
    return found


@pytest.mark.parametrize("output", ["catalog.parquet", "music/catalog.parquet", "elsewhere/catalog.parquet"])
def test_uris_lead_to_the_audio_from_wherever_the_catalog_is(tmp_path, output, monkeypatch):
    write_audio(tmp_path / "music" / "album" / "a b.flac", artist="Anna")
    monkeypatch.chdir(tmp_path)
    assert main(["import", "folder", "music", "--output", output]) == 0
    (row,) = catalog_rows(tmp_path / output)
    assert exists(row["place"]) and row["artist"] == "Anna"
    assert row["uri"].startswith("/") == (output == "elsewhere/catalog.parquet")


def test_what_is_passed_over_is_named_and_too_much_of_it_is_a_failure(tmp_path, capsys):
    (tmp_path / "bad.flac").write_bytes(b"no audio")
    (tmp_path / "notes.txt").write_bytes(b"notes")
    write_audio(tmp_path / "good.wav")
    command = ["import", "folder", str(tmp_path), "--output", str(tmp_path / "catalog.parquet")]
    assert main(command) == 5 and not (tmp_path / "catalog.parquet").exists()
    assert "1 of 2 files and folders lost (50.0%), more than --max-lost-ratio 0.01" in capsys.readouterr().err
    assert main([*command, "--max-lost-ratio", "0.5"]) == 0
    shown = capsys.readouterr()
    assert "passed over, not audio, named like audio: " in shown.err and "bad.flac" in shown.err
    assert "1 track, 0 with a genre" in shown.out
    assert "passed over: 1 x not audio, named like audio, 1 x not audio" in shown.out
    assert pq.read_table(tmp_path / "catalog.parquet").num_rows == 1


def test_the_answer_as_json_has_what_was_passed_over(tmp_path, capsys):
    (tmp_path / "cover").write_bytes(b"\x89PNG")
    write_audio(tmp_path / "a.flac", date="98")
    assert main(["import", "folder", str(tmp_path), "--output", str(tmp_path / "c.parquet"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passed_over"] == {"a PNG picture": {"count": 1, "examples": [str(tmp_path / "cover")]}}
    assert found["values_left_out"]["year"]["count"] == 1 and found["lost"] == 0


def test_a_second_import_replaces_the_catalog(tmp_path):
    command = ["import", "folder", str(tmp_path), "--output", str(tmp_path / "catalog.parquet")]
    write_audio(tmp_path / "a.wav")
    assert main(command) == 0
    write_audio(tmp_path / "b.wav")
    assert main(command) == 0
    assert len(catalog_rows(tmp_path / "catalog.parquet")) == 2


def test_a_taxonomy_of_the_genres_is_written(tmp_path):
    write_audio(tmp_path / "a.flac", genre="Jazz")
    flags = ["--output", str(tmp_path / "c.parquet"), "--taxonomy", str(tmp_path / "t.yaml")]
    assert main(["import", "folder", str(tmp_path), *flags]) == 0
    assert load_taxonomy(str(tmp_path / "t.yaml")).tag_ids == ("genre/jazz",)


@pytest.mark.parametrize(
    ("folder", "output", "code", "message"),
    [
        ("none", "c.parquet", 2, "no such local folder"),
        ("gs://bucket/music", "c.parquet", 2, "no such local folder"),
        (".", "c.csv", 2, "use a name that ends in .parquet"),
        (".", "c.parquet", 1, "no audio files here"),
    ],
)
def test_mistakes_are_named(tmp_path, monkeypatch, capsys, folder, output, code, message):
    monkeypatch.chdir(tmp_path)
    assert main(["import", "folder", folder, "--output", output]) == code
    assert message in capsys.readouterr().err


def test_a_table_becomes_a_catalog_and_a_taxonomy(tmp_path, capsys):
    (tmp_path / "songs.csv").write_text("id,path,style,bpm\n007,a.mp3,Hip Hop;Rock,120\n008,,,\n", encoding="utf-8")
    command = ["import", "csv", str(tmp_path / "songs.csv"), "--column", "track_id=id", "--column", "uri=path"]
    command += ["--tag-list", "genre=style", "--separator", ";", "--output", str(tmp_path / "c.parquet")]
    assert main(command) == 5 and not (tmp_path / "c.parquet").exists()
    assert "1 of 2 rows lost (50.0%), more than --max-lost-ratio 0.01: nothing was written" in capsys.readouterr().err
    assert main([*command, "--taxonomy", str(tmp_path / "t.yaml"), "--max-lost-ratio", "0.5"]) == 0
    shown = capsys.readouterr()
    assert "1 track, 1 with tags, 1 row lost" in shown.out and "row 2 (line 3): empty uri" in shown.err
    (row,) = catalog_rows(tmp_path / "c.parquet")
    assert (row["track_id"], row["bpm"]) == ("007", 120)
    assert load_taxonomy(str(tmp_path / "t.yaml")).tag_ids == ("genre/hip_hop", "genre/rock")


def test_the_other_sources_are_commands(tmp_path):
    (tmp_path / "a.tsv").write_text(HEADER + jamendo_row(1, "genre---rock"))
    (tmp_path / "m.csv").write_text(MAGNA + magna_row(2, "10010"))
    (tmp_path / "tracks.csv").write_text(FMA_TRACKS)
    (tmp_path / "genres.csv").write_text(FMA_GENRES)
    for source, *flags in (
        ("mtg-jamendo", "a.tsv"),
        ("magnatagatune", "m.csv", "--top", "0", "--keep-synonyms"),
        ("fma", "tracks.csv", "genres.csv", "--subset", "small"),
    ):
        files = [str(tmp_path / flag) if "." in flag else flag for flag in flags]
        output = tmp_path / f"{source}.parquet"
        assert main(["import", source, *files, "--output", str(output), "--taxonomy", str(tmp_path / "t.yaml")]) == 0
        assert (
            len(catalog_rows(output)) == (2 if source == "fma" else 1) and load_taxonomy(str(tmp_path / "t.yaml")).tags
        )


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("nowhere.csv",), 1, "nowhere.csv"),
        (("nowhere.csv", "--column", "uri"), 2, "write COLUMN AS NAME or NAME=COLUMN"),
        (("nowhere.csv", "--kind", "genre"), 2, "write CATEGORY=COLUMN"),
    ],
)
def test_mistakes_with_tables_are_named(tmp_path, capsys, flags, code, message):
    assert main(["import", "csv", *flags, "--output", str(tmp_path / "c.parquet")]) == code
    assert message in capsys.readouterr().err


CSV = ["import", "csv", "t.csv", "--column", "track_id=id", "--column", "uri=path", "--output", "c.parquet"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_wrong_years_cost_the_year_and_not_the_track(here, capsys):
    (here / "t.csv").write_text("id,path,year\n1,a,0\n2,b,2017-01-01\n3,c,1999\n4,d,98\n5,e,2003/2004\n")
    assert main(CSV) == 0
    shown = capsys.readouterr()
    assert [row["year"] for row in catalog_rows("c.parquet")] == [None, 2017, 1999, None, None]
    assert "year: 3 values left out, for example '0' is not a year" in shown.out
    assert "t.csv, row 4 (line 5), column year: '98' is not a year" in shown.err


@pytest.mark.parametrize(("lost", "code"), [(1, 0), (2, 5)])
def test_one_row_in_a_hundred_may_be_lost(here, lost, code):
    rows = [f"{i},{'' if i < lost else i}" for i in range(100)]
    (here / "t.csv").write_text("\n".join(["id,path", *rows]))
    assert main(CSV) == code and exists("c.parquet") == (code == 0)


def test_what_a_table_was_taken_for_is_said(here, capsys):
    (here / "t.csv").write_bytes("id;path;Année\n1;a;é\n".encode("cp1252"))
    assert main(CSV) == 1
    assert "line 1 is not UTF-8: save the file as UTF-8" in capsys.readouterr().err
    assert main([*CSV, "--encoding", "windows-1252"]) == 0
    assert "t.csv: read as CP1252, separated by semicolons; 3 columns, 1 row" in capsys.readouterr().out
    assert main([*CSV, "--encoding", "windows-1252", "--json"]) == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    assert table == {
        **{"table": "t.csv", "encoding": "cp1252", "separator": ";", "quoted": True, "spaced": False, "skipped": 0},
        **{"columns": ["id", "path", "Année"], "rows": 1},
    }
    assert catalog_rows("c.parquet")[0]["Année"] == "é"


def test_quotes_that_are_text_lose_no_track(here):
    (here / "t.csv").write_text('id\tpath\ttitle\n1\ta\t"Untitled\n2\tb\tx\n3\tc\tz "live"\n')
    assert main(CSV) == 0
    assert [row["title"] for row in catalog_rows("c.parquet")] == ['"Untitled', "x", 'z "live"']


def test_many_lost_rows_are_counted_and_the_first_are_printed(here, capsys):
    (here / "t.csv").write_text("id,path\n" + "".join(f"{i},\n" for i in range(40)) + "x,y\n")
    assert main([*CSV, "--max-lost-ratio", "1"]) == 0
    shown = capsys.readouterr()
    assert shown.err.count("empty uri") == 10 and "(30 more rows lost; --format json lists them)" in shown.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--encoding", "windows-9999"), "encoding 'windows-9999' is unknown"),
        (("--separator", ""), "the separator of the names in a list is empty"),
        (("--names", "id,,path"), "a name is empty in 'id,,path'"),
        (("--max-lost-ratio", "nan"), "'nan' is not a number from 0 to 1"),
    ],
)
def test_wrong_values_of_flags_are_named(here, capsys, flags, message):
    (here / "t.csv").write_text("id,path\n1,a\n")
    assert main([*CSV, *flags]) == 2
    assert message in capsys.readouterr().err
