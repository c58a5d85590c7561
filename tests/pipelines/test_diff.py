import json

import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from tests.support.published import fake_bundle, publish_table
from tests.support.world import make_world, other_bundle, tag, tag_other
from transforms.table.snapshots import read_snapshot
from transforms.tagging.assembly import PublishedRows


@pytest.fixture
def table(tmp_path):
    bundle = fake_bundle(tmp_path / "bundle")
    publish_table(tmp_path / "table", bundle, 12)
    publish_table(tmp_path / "table", bundle, 18, publication=PublishedRows(top_k=2))
    return tmp_path / "table"


def test_the_files_say_what_the_answer_says(table, tmp_path, capsys):
    assert main(["diff", str(table), "1", "2", "--output", str(tmp_path / "out"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "out" / "diff.json").read_text()) == answer
    tracks = pq.read_table(tmp_path / "out" / "tracks.parquet").to_pylist()
    counted = [sum(row["change"] == change for row in tracks) for change in ("added", "removed", "changed")]
    assert counted == [answer["tracks"][change] for change in ("added", "removed", "changed")] == [6, 0, 12]
    tags = pq.read_table(tmp_path / "out" / "tags.parquet").to_pylist()
    assert [row["tag"] for row in tags] == [row["tag"] for row in answer["tags"]] and len(tags) == 33
    text = (tmp_path / "out" / "diff.md").read_text()
    assert "| added" in text and all(f"| {category}" in text for category in answer["categories"])
    assert main(["diff", str(table), "1", "2"]) == 0
    assert capsys.readouterr().out.rstrip("\n") == text.rstrip("\n")


def test_an_older_comparison_is_replaced(table, tmp_path, capsys):
    out = tmp_path / "out"
    for pair in (("1", "2"), ("2", "2")):
        assert main(["diff", str(table), *pair, "--output", str(out)]) == 0
    assert pq.read_table(out / "tracks.parquet").num_rows == 0
    assert json.loads((out / "diff.json").read_text())["before"]["snapshot"] == 2
    assert sorted(path.name for path in out.iterdir()) == ["diff.json", "diff.md", "tags.parquet", "tracks.parquet"]


def test_without_a_folder_nothing_is_written(table, capsys):
    before = sorted(table.rglob("*"))
    assert main(["diff", str(table), "1", "2"]) == 0
    assert sorted(table.rglob("*")) == before


def test_another_bundle_with_another_trunk(tmp_path, capsys):
    world = make_world(tmp_path / "world", 6)
    tag(world, tmp_path / "table")
    tag_other(world, other_bundle(world, tmp_path / "other"), tmp_path / "table")
    capsys.readouterr()
    assert main(["diff", str(tmp_path / "table"), "1", "2", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["before"]["ids"]["embedding_id"] != answer["after"]["ids"]["embedding_id"]
    assert answer["tracks"]["scores"] > 0 and answer["tracks"]["source"] == 0
    assert any(category["churn"] > 0 for category in answer["categories"].values())


def test_a_damaged_file_is_named_and_leaves_no_comparison(table, tmp_path, capsys):
    path = table / read_snapshot(str(table), 2).files("track_tags")[1].path
    path.write_bytes(path.read_bytes()[:-9] + b"123456789")
    assert main(["diff", str(table), "1", "2", "--output", str(tmp_path / "out")]) == 1
    assert str(path) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_no_such_snapshot(table, capsys):
    assert main(["diff", str(table), "1", "5"]) == 1
    assert "no snapshot 5" in capsys.readouterr().err
