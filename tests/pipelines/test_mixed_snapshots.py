"""What the commands say about a snapshot that has rows of two taggers, and that none mixes its embeddings unasked."""

import dataclasses
import json
from pathlib import Path

import duckdb
import numpy as np
import pytest

from models.bundles.fake import write_fake_bundle
from models.bundles.trunk_bundle import load_trunks
from models.evaluation.published_scores import read_predictions
from models.refit import read_embeddings
from pipelines.cli import main
from pipelines.planning.budget import choice_of_run, with_choice
from tests.support.iceberg import differences, iceberg_rows
from tests.support.simulated import SimulatedTable
from tests.support.tiny import SPEC, TAXONOMY
from transforms.discovery.search.engine import search_tracks
from transforms.discovery.search.request import SearchRequest, TextVector
from transforms.maintenance.rewriting import rewritten
from transforms.table.mixture import embedding_view
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.table.sql import bigquery_statements, duckdb_statements, spark_statements
from transforms.tagging.choice import Budget
from transforms.tagging.costs import UnitCosts

SECOND = UnitCosts(core_seconds={"plan": 0.0, "read": 1.0, "extract": 0.0, "embed": 0.0, "assemble": 0.0})


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> SnapshotReader:
    """Snapshot 2 of a table: 4 tracks of a new trunk, 3 of the old one, and 2 new tracks that were not reached."""
    folder = tmp_path_factory.mktemp("mixed")
    for name, seeds in {"old": {}, "new": {"seed": 1, "patch_dim": 3}}.items():
        write_fake_bundle(str(folder / name), TAXONOMY, SPEC, **seeds)
    table, catalog = SimulatedTable(folder), {f"t{i}": "1" for i in range(7)}
    table.run(table.stages(catalog, str(folder / "old")), lambda source: None)
    stages = table.stages(catalog | {"u0": "1", "u1": "1"}, str(folder / "new"))
    expectations = dataclasses.replace(stages.record.expectations, units=SECOND)
    stages = dataclasses.replace(stages, record=dataclasses.replace(stages.record, expectations=expectations))
    budget = Budget(max_core_hours=4 / 3600, first="track_id < 't4'")
    table.run(with_choice(stages, choice_of_run(stages, budget, stages.record.launch, 1)), lambda source: None)
    return open_snapshot(table.root)


def told(capsys: pytest.CaptureFixture[str], *command: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(list(command))
    return code, *capsys.readouterr()


def test_describe_snapshots_status_and_diff_say_so(mixed: SnapshotReader, capsys) -> None:
    run = mixed.manifest.run
    words = f"rows of 2 taggers: {run.ids.tagger_id} of {run.ids.embedding_id} (4 tracks), "
    assert (run.counts["tagged"], run.counts["carried"], run.counts["deferred"]) == (4, 3, 2)
    for command in ("describe", "snapshots", "diff"):
        code, out, _ = told(capsys, command, mixed.root, *(["1", "2"] if command == "diff" else []))
        assert code == 0 and words in out and "2 tracks that no run has reached yet" in out
    document = json.loads(told(capsys, "describe", mixed.root, "--json")[1])
    [earlier] = document["snapshots"][1]["earlier"]
    assert earlier["tracks"] == 3 and earlier["thresholds"].keys() <= set(TAXONOMY.tag_ids)
    assert document["snapshots"][0]["earlier"] == [] and document["snapshots"][0]["mixture"] is None
    difference = json.loads(told(capsys, "diff", mixed.root, "1", "2", "--json")[1])["tracks"]
    assert (difference["retagged"], difference["added"], difference["before"]) == (4, 2, 7)
    assert "left to later runs 5" in told(capsys, "status", mixed.root)[1]


def test_readers_of_iceberg_get_the_rows_of_both_trunks_with_their_ids(mixed: SnapshotReader) -> None:
    assert differences(mixed.root) == []
    rows = iceberg_rows(mixed.root, "embeddings", 2).to_pylist()
    ids = [row["embedding_id"] for row in rows]
    new, old = mixed.manifest.run.embedding_ids
    assert (ids.count(new), ids.count(old), len(ids)) == (4, 3, 7)
    assert {row["embedding_id"]: len(row["embedding"]) for row in rows}.keys() == {new, old}


@pytest.mark.parametrize(("name", "tracks", "size"), [("new", 4, 3), ("old", 3, 8)])
def test_a_text_is_compared_with_the_tracks_of_its_trunk(
    mixed: SnapshotReader, name: str, tracks: int, size: int
) -> None:
    run = mixed.manifest.run
    bundles = {one: load_trunks(str(Path(mixed.root).parent / one)) for one in ("old", "new")}
    assert run.trunk_ids == {one.embedding_id: one.trunk_ids for one in bundles.values()}
    bundle = bundles[name]
    text = TextVector(text="low", values=tuple(range(1, size + 1)), text_id="te", trunk_id=bundle.trunk_ids[0])
    found = search_tracks(mixed, SearchRequest(sounds_like=text))
    rows = mixed.scan("embeddings", ["track_id", "embedding"], embedding_id=bundle.embedding_id).to_pylist()
    own = {
        row["track_id"]: np.dot(row["embedding"][:size], text.values) / np.linalg.norm(row["embedding"][:size])
        for row in rows
    }
    assert [hit.track_id for hit in found.hits] == sorted(own, key=lambda track: -own[track]) and len(own) == tracks
    assert found.not_compared == 7 - tracks


def test_query_refuses_embeddings_without_an_id(mixed: SnapshotReader, capsys, caplog) -> None:
    new, old = mixed.manifest.run.embedding_ids
    code, _, error = told(capsys, "query", mixed.root, "SELECT count(*) FROM embeddings")
    assert code == 2 and f"those of {new} and {old}, which are not comparable: use {embedding_view(new)}" in error
    for view, rows in ((embedding_view(new), 4), (embedding_view(old), 3), ("every_embedding", 7)):
        code, out, _ = told(capsys, "query", mixed.root, f"SELECT count(*) AS n FROM {view}", "--format", "csv")
        assert (code, out.split()) == (0, ["n", str(rows)]) and "has rows of 2 taggers" in caplog.text
    _, out, _ = told(capsys, "query", mixed.root, "SHOW TABLES", "--format", "json")
    assert {row["table"]: row["rows"] for row in json.loads(out)}[embedding_view(old)] == 3
    numbered = f"SELECT count(*) AS n FROM snapshot_2_{embedding_view(old)}"
    assert told(capsys, "query", mixed.root, numbered, "--format", "csv")[1].split() == ["n", "3"]


def test_printed_sql_has_one_view_per_embedding(mixed: SnapshotReader, monkeypatch) -> None:
    old = mixed.manifest.run.embedding_ids[1]
    with duckdb.connect() as connection:
        connection.execute(duckdb_statements(mixed, "my_"))
        assert connection.sql(f"SELECT count(*) FROM my_{embedding_view(old)}").fetchall() == [(3,)]
        with pytest.raises(duckdb.InvalidInputException, match="my_every_embedding for all"):
            connection.sql("SELECT * FROM my_embeddings").fetchall()
    spark = spark_statements(mixed)
    assert f'where("embedding_id = \'{old}\'").createOrReplaceTempView("{embedding_view(old)}")' in spark
    assert 'dropTempView("embeddings")' in spark
    monkeypatch.setattr(SnapshotReader, "files", lambda self, name: ["gs://b/f.parquet"])
    big = bigquery_statements(dataclasses.replace(mixed, root="gs://b/t"))
    assert "EXTERNAL TABLE every_embedding" in big and "EXTERNAL TABLE embeddings\n" not in big
    assert "DROP EXTERNAL TABLE IF EXISTS embeddings;" in big


def test_a_wide_export_names_the_tagger_of_each_row(mixed: SnapshotReader, tmp_path: Path, capsys) -> None:
    wide = ["export", mixed.root, "--wide", "--output", str(tmp_path / "wide.csv")]
    code, _, error = told(capsys, *wide)
    assert code == 2 and "rows of 2 taggers" in error and "add tagger_id to --columns" in error
    assert told(capsys, *wide, "--columns", "tagger_id")[0] == 0
    rows = (tmp_path / "wide.csv").read_text().splitlines()[1:]
    assert len(rows) == 7 and len({row.split(",")[1] for row in rows}) == 2


def test_evaluation_and_refit_use_the_tracks_of_one_tagger(mixed: SnapshotReader) -> None:
    wanted = [f"t{i}" for i in range(7)]
    assert sorted(read_predictions(mixed, wanted).track_ids) == ["t0", "t1", "t2", "t3"]
    old = mixed.manifest.run.embedding_ids[1]
    dim = len(mixed.scan("embeddings", ["embedding"], embedding_id=old)[0][0].as_py())
    found = [track for ids, _ in read_embeddings(mixed, wanted, dim, old) for track in ids]
    assert sorted(found) == ["t4", "t5", "t6"]


def test_a_takedown_counts_the_rows_of_both_taggers(mixed: SnapshotReader) -> None:
    paths = frozenset(file.path for file in mixed.manifest.run.files if file.table in ("ledger", "tracks"))
    run = rewritten(mixed, frozenset({"t0", "t6", "u0"}), paths, "purge-1", "now").snapshot.run
    assert ([one.tracks for one in run.earlier], run.counts["deferred"], run.counts["catalog"]) == ([2], 1, 6)
