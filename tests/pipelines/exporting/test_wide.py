"""`export --wide`: the cells are those of loops over `track_tags`, whatever is missing or has equal names."""

import csv
import json

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from pipelines.exporting.wide import wide_columns
from tests.support.published import BUCKETS, fake_bundle, publish_table
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.tagging.assembly import PublishedRows


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Few rows a track: scores of less than 0.5 are not published."""
    root = tmp_path_factory.mktemp("tables")
    publish_table(root / "table", fake_bundle(root / "bundle"), 24, publication=PublishedRows(min_score=0.5))
    return str(root / "table")


def export(*words):
    return main(["export", *map(str, words)])


def cells(table, column):
    """(track, tag) -> value, by a loop."""
    rows = open_snapshot(table).scan("track_tags").to_pylist()
    return {(row["track_id"], row["tag"]): row[column] for row in rows}


@pytest.mark.parametrize(("values", "column"), [("score", "score"), ("flag", "is_positive")])
def test_parquet_has_every_cell_and_null_where_nothing_is_known(table, tmp_path, values, column):
    path = tmp_path / "wide.parquet"
    assert export(table, "--wide", "--output", path, "--values", values, "--columns", "title,bpm,top_tags") == 0
    found, known = pq.read_table(path), cells(table, column)
    tags = open_snapshot(table).scan("taxonomy")["tag"].to_pylist()
    assert found.schema.names == ["track_id", "title", "bpm", "top_tags", *tags] and found.num_rows == 24
    assert 0 < len(known) < 24 * len(tags)
    for row in found.to_pylist():
        for tag in tags:
            wanted = known.get((row["track_id"], tag))
            assert row[tag] == (None if wanted is None else int(wanted) if column == "is_positive" else wanted)
    tracks = {row["track_id"]: row for row in open_snapshot(table).scan("tracks").to_pylist()}
    assert all(row[name] == tracks[row["track_id"]][name] for row in found.to_pylist() for name in ("title", "bpm"))


def test_csv_reads_as_the_same_table(table, tmp_path):
    for suffix in ("csv", "parquet"):
        words = ["--output", tmp_path / f"wide.{suffix}", "--columns", "title,bpm,duration_s", "--tag", "mood/*"]
        assert export(table, "--wide", *words) == 0
    wide, names = [], pq.read_schema(tmp_path / "wide.parquet").names
    for path in ("wide.csv", "wide.parquet"):
        wide.append(duckdb.sql(f"SELECT * FROM '{tmp_path / path}' ORDER BY track_id").fetchall())
    assert all(name.startswith("mood/") for name in names[4:]) and len(names) == 19
    for a, b in zip(*wide, strict=True):
        assert a[:3] == b[:3] and a[3:] == pytest.approx(b[3:], abs=1e-7)
    rows = list(csv.DictReader((tmp_path / "wide.csv").open(encoding="utf-8")))
    assert all(len(row["mood/calm"]) <= 6 for row in rows)  # 0.1234 and not 0.12340000271797180


def test_a_formula_in_a_title(table, tmp_path, monkeypatch):
    real = SnapshotReader.scan

    def scan(self, name, *args, **options):
        found = real(self, name, *args, **options)
        if name != "tracks" or not found.num_rows:
            return found
        place = found.schema.names.index("title")
        return found.set_column(place, found.schema.field("title"), pa.array(["=1+1"] * found.num_rows))

    monkeypatch.setattr(SnapshotReader, "scan", scan)
    for flags, title in (([], "=1+1"), (["--safe-csv"], "'=1+1")):
        path = tmp_path / f"{len(flags)}.csv"
        assert export(table, "--wide", "--output", path, "--columns", "title", *flags) == 0
        assert path.read_bytes().startswith("\ufeff".encode()) == bool(flags)
        assert {row["title"] for row in csv.DictReader(path.open())} == {title}


def test_one_bucket_at_a_time(table, tmp_path, monkeypatch):
    read = []

    def noted(real):
        def call(self, name, *args, **options):
            if name in ("tracks", "track_tags") and options.get("track_ids") is None:
                read.append((name, options["bucket"]))
            return real(self, name, *args, **options)

        return call

    for method in ("scan", "batches"):
        monkeypatch.setattr(SnapshotReader, method, noted(getattr(SnapshotReader, method)))
    assert export(table, "--wide", "--output", tmp_path / "wide.parquet") == 0
    assert read == [(name, bucket) for bucket in range(BUCKETS) for name in ("tracks", "track_tags")]


@pytest.mark.parametrize(
    ("metadata", "tags", "plain_names", "names"),
    [
        (["title"], ["mood/calm"], False, ["track_id", "title", "mood/calm"]),
        (["track_id", "title"], [], False, ["track_id", "title"]),
        (["mood/calm"], ["mood/calm", "mood/Calm"], False, ["track_id", "mood/calm", "mood/calm_2", "mood/Calm_3"]),
        ([], ["a/b_c", "a_b/c", "a/b-c"], True, ["track_id", "a_b_c", "a_b_c_2", "a_b_c_3"]),
        ([], ["a/b", "a/b_2", "A/b"], False, ["track_id", "a/b", "a/b_2", "A/b_3"]),
        ([], ["80s/静か", "x/1"], True, ["track_id", "_80s", "x_1"]),
        ([], ["静/か", "静/な"], True, ["track_id", "_", "__2"]),
    ],
)
def test_names_are_unique_even_if_case_does_not_count(metadata, tags, plain_names, names):
    columns = wide_columns(metadata, tags, values="score", plain_names=plain_names)
    assert columns.names == names and len({name.casefold() for name in names}) == len(names)


def test_renamed_columns_are_told(table, tmp_path, capsys):
    columns = wide_columns(["mood/calm"], ["mood/Calm"], values="score", plain_names=False)
    assert columns.renamed == {"mood/Calm": "mood/Calm_2"}
    assert export(table, "--wide", "--output", tmp_path / "a.parquet", "--plain-names", "--json") == 0
    assert json.loads(capsys.readouterr().out)["renamed"] == {}
    assert "mood_calm" in pq.read_schema(tmp_path / "a.parquet").names


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--wide"], 2, "missing --output"),
        ([], 2, "give exactly one of --wide, --into-files"),
        (["--wide", "--output", "a.xlsx"], 2, "end the name with .parquet, .csv"),
        (["--wide", "--output", "a.csv", "--tag", "moods/*"], 2, "--tag moods/*: no tag of snapshot 1 matches"),
        (["--wide", "--output", "a.csv", "--columns", "titel"], 1, "has no column 'titel'; columns are track_id, "),
    ],
)
def test_wrong_usage_writes_nothing(table, tmp_path, monkeypatch, capsys, words, code, message):
    monkeypatch.chdir(tmp_path)
    assert export(table, *words) == code
    assert message in capsys.readouterr().err and list(tmp_path.iterdir()) == []
