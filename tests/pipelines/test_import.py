"""`import` as a command: what it writes is a catalog that the other commands read."""

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


def test_problems_are_printed_and_the_files_kept(tmp_path, capsys):
    (tmp_path / "bad.flac").write_bytes(b"no audio")
    write_audio(tmp_path / "good.wav")
    assert main(["import", "folder", str(tmp_path), "--output", str(tmp_path / "catalog.parquet")]) == 0
    shown = capsys.readouterr()
    assert "bad.flac" in shown.err and "2 tracks, 0 with a genre, 1 with problems" in shown.out
    assert pq.read_table(tmp_path / "catalog.parquet").num_rows == 2


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
    assert main([*command, "--taxonomy", str(tmp_path / "t.yaml")]) == 0
    shown = capsys.readouterr()
    assert "1 tracks, 1 with tags, 1 problems" in shown.out and "row 2: empty uri" in shown.err
    (row,) = catalog_rows(tmp_path / "c.parquet")
    assert (row["track_id"], row["bpm"]) == ("007", "120")
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
        assert len(catalog_rows(output)) == 1 and load_taxonomy(str(tmp_path / "t.yaml")).tags


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("nowhere.csv",), 1, "nowhere.csv"),
        (("nowhere.csv", "--column", "uri"), 2, "write CATEGORY=COLUMN"),
        (("nowhere.csv", "--kind", "genre"), 2, "write CATEGORY=COLUMN"),
    ],
)
def test_mistakes_with_tables_are_named(tmp_path, capsys, flags, code, message):
    assert main(["import", "csv", *flags, "--output", str(tmp_path / "c.parquet")]) == code
    assert message in capsys.readouterr().err
