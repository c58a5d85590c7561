"""Inputs that once were lost, cut or refused without a reason, where they are beside the repository."""

import pytest

from pipelines.cli import main
from tests.pipelines.test_import import catalog_rows
from tests.support.world import SHARED

FAILING = SHARED.parent / "failing"


@pytest.fixture
def output(tmp_path):
    if not FAILING.exists():
        pytest.skip("no failing inputs beside the repository")
    return str(tmp_path / "c.parquet")


def run(capsys, output, *words):
    source, *flags = words
    code = main(["import", "csv", str(FAILING / source), *flags, "--output", output])
    return code, capsys.readouterr().err


ID = ("--column", "id AS track_id", "--column", "path AS uri")


def test_quotes_that_are_text(output, capsys):
    code, _ = run(capsys, output, "titles_with_quotes.tsv", *ID, "--tag-list", "genre=genre")
    assert code == 0 and len(catalog_rows(output)) == 5


def test_years_cost_the_year(output, capsys):
    code, _ = run(capsys, output, "years.csv", *ID)
    assert code == 0 and [row["year"] for row in catalog_rows(output)][:2] == [None, 2017]
    assert len(catalog_rows(output)) == 5


def test_semicolons(output, capsys):
    code, err = run(capsys, output, "semicolons.csv")
    assert code == 0 and "separated by semicolons" in err and len(catalog_rows(output)) == 2


def test_an_encoding_is_named(output, capsys):
    code, err = run(capsys, output, "latin1_header.csv")
    assert code == 1 and "--encoding windows-1252" in err and "Ann\u00e9e" in err
    assert run(capsys, output, "latin1_header.csv", "--encoding", "windows-1252")[0] == 0


def test_files_of_all_kinds(output, tmp_path):
    (tmp_path / "music").mkdir()
    suffixes = (".mp3", ".m4a", ".flac", ".ogg", ".aac", ".wav", ".mpg")
    names = sorted(path.name for path in FAILING.iterdir() if path.suffix in suffixes)
    for name in names:
        (tmp_path / "music" / name).write_bytes((FAILING / name).read_bytes())
    assert main(["import", "folder", str(tmp_path / "music"), "--output", output]) == 0
    rows = {row["uri"].rpartition("/")[2]: row for row in catalog_rows(output)}
    assert sorted(rows) == names
    assert rows["title_zwnj_zwj.mp3"]["title"].count("\u200c") == 1 and "\u200d" in rows["title_zwnj_zwj.mp3"]["title"]
    assert [tag["tag"] for tag in rows["genres_17_4.mp3"]["tags"]] == ["genre/disco", "genre/rock"]
    assert rows["genre_255.mp3"]["tags"] is None
