import csv
import datetime
import io
import json

import pytest

from pipelines.cli import main
from pipelines.reading.snapshots import age_text, listing
from pipelines.synthesis.catalog import taxonomy
from tests.support.published import fake_bundle, publish_table
from transforms.taxonomy.hierarchy import Taxonomy


@pytest.fixture
def table(tmp_path):
    bundle = fake_bundle(tmp_path / "bundle")
    publish_table(tmp_path / "table", bundle, 6)
    publish_table(tmp_path / "table", bundle, 12)
    return tmp_path / "table"


def test_sizes_are_those_of_the_files(table, capsys):
    assert main(["rollback", str(table), "1"]) == 0
    capsys.readouterr()
    assert main(["snapshots", str(table), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    stored = sum(path.stat().st_size for path in (table / "data").rglob("*.parquet"))
    first, second, third = document["snapshots"]
    assert document["bytes"] == stored == first["bytes"] + second["new_bytes"]
    assert (third["bytes"], third["new_bytes"], third["files"]) == (first["bytes"], 0, 18)


def test_gates_reasons_and_counts(table, capsys):
    assert main(["snapshots", str(table), "--json"]) == 0
    _, second = json.loads(capsys.readouterr().out)["snapshots"]
    assert second["reasons"] == {"empty": 1, "not_found": 1} and second["counts"]["catalog"] == 14
    assert second["gates"]["rejected"]["passed"] is True and second["gates"]["rejected"]["limit"] == 0.5
    assert main(["snapshots", str(table), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["gates"] for row in rows] == ["7 passed"] * 2 and rows[0]["reasons"] == "empty 1, not_found 1"


def test_the_age_is_that_of_the_commit(table):
    created = datetime.datetime.fromisoformat(next(listing(str(table), NOW))["created"])
    later = [one["age_s"] for one in listing(str(table), created + datetime.timedelta(days=2, hours=7))]
    assert later[0] == 198_000 and age_text(later[0]) == "2 d 7 h"
    assert [one["age_s"] for one in listing(str(table), created - datetime.timedelta(1))] == [0, 0]


NOW = datetime.datetime.now(datetime.UTC)


def test_a_damaged_snapshot_hides_no_other(table, capsys):
    (table / "snapshots" / "0000000001.json").write_text("{")
    assert main(["snapshots", str(table), "--json"]) == 1
    first, second = json.loads(capsys.readouterr().out)["snapshots"]
    assert "0000000001.json" in first["problem"] and second["counts"]["catalog"] == 14
    assert main(["snapshots", str(table)]) == 1
    assert "snapshot 1: " in capsys.readouterr().out


def test_a_version_0_1_run_recorded_no_gates(capsys):
    from tests.pipelines.test_rollback import V0_1

    assert main(["snapshots", str(V0_1), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["gates"] for row in rows} == {"not recorded"}


def test_no_table_is_1(tmp_path, capsys):
    assert main(["snapshots", str(tmp_path)]) == 1
    assert "no snapshot is published here" in capsys.readouterr().err


def test_another_taxonomy_is_noted(tmp_path, capsys):
    """Renamed, merged, split, removed and new tags; nothing for the same taxonomy, and for the first snapshot."""
    document = json.loads(json.dumps(taxonomy()).replace("mood/warm", "mood/cosy"))
    for category in document["categories"]:
        gone = {"instrument/flute", "mood/dreamy"}
        category["tags"] = [tag for tag in category["tags"] if tag["id"] not in gone]
        category["tags"] += [{"id": "mood/new"}] if category["name"] == "mood" else []
    redirects = {"mood/warm": "mood/cosy", "mood/dreamy": "mood/calm"}
    later = Taxonomy.from_json({**document, "redirects": redirects})
    publish_table(tmp_path / "table", fake_bundle(tmp_path / "bundle"), 3)
    for name in ("second", "third"):
        publish_table(tmp_path / "table", fake_bundle(tmp_path / name, later), 3)
    assert main(["snapshots", str(tmp_path / "table"), "--format", "csv"]) == 0
    notes = [row["note"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))]
    assert notes == ["", "1 tag renamed, 1 tag merged, 1 tag removed, 1 tag added", ""]
