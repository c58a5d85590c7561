import json

import pyarrow.parquet as pq
import pytest

from models.bundles.fake import write_fake_bundle
from pipelines.cli import main
from pipelines.synthesis.catalog import taxonomy
from tests.support.published import fake_bundle, publish_table
from transforms.features.spec import FeatureSpec
from transforms.table.snapshots import read_snapshot
from transforms.tagging.assembly import PublishedRows
from transforms.taxonomy.hierarchy import Taxonomy


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


def test_the_tracks_that_changed_most_are_named(table, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["diff", str(table), "1", "2", "--output", str(out), "--json", "--quiet"]) == 0
    listed = json.loads(capsys.readouterr().out)["changed_tracks"]
    rows = pq.read_table(out / "tracks.parquet").to_pylist()
    key = {row["track_id"]: (-len(row["gained"]) - len(row["lost"]), -row["max_distance"]) for row in rows}
    assert len(rows) == 18 and len(listed) == 10
    assert [key[row["track_id"]] for row in listed] == sorted(key.values())[:10]
    for row in listed:
        (whole,) = [one for one in rows if one["track_id"] == row["track_id"]]
        assert all(row[name] == whole[name] for name in ("change", "gained", "lost"))
        assert row["differs"] == [
            name for name in ("source", "outcome", "metadata", "tags", "scores") if whole[f"{name}_changed"]
        ]
    text = (out / "diff.md").read_text()
    assert "## Tracks that changed most" in text and all(f"| {row['track_id']}" in text for row in listed)
    assert "8 more tracks left out. `diff` with `--output FOLDER` writes all of them into `tracks.parquet`." in text
    assert main(["diff", str(table), "2", "2", "--quiet"]) == 0
    assert "Tracks that changed most" not in capsys.readouterr().out


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


def test_another_bundle_with_another_trunk_and_taxonomy(tmp_path, capsys):
    categories = taxonomy()["categories"]
    voice = next(category for category in categories if category["name"] == "voice")
    others = [category for category in categories if category["name"] not in ("voice", "tempo")]
    moved = {**voice, "name": "sound", "tags": [tag_id.replace("voice/", "sound/") for tag_id in ids_of(voice)]}
    known = Taxonomy.from_json({"categories": [*others, moved]})
    other = write_fake_bundle(str(tmp_path / "other"), known, FeatureSpec(patches_per_track=4), seed=1, patch_dim=3)
    publish_table(tmp_path / "table", fake_bundle(tmp_path / "bundle"), 12)
    publish_table(tmp_path / "table", other, 12)
    assert main(["diff", str(tmp_path / "table"), "1", "2", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert all(answer["before"]["ids"][name] != value for name, value in answer["after"]["ids"].items())
    assert answer["tracks"]["scores"] == 12 and answer["tracks"]["source"] == answer["tracks"]["outcome"] == 0
    sides = {row["tag"]: row["side"] for row in answer["tags"]}
    assert {side for tag_id, side in sides.items() if tag_id.startswith("sound/")} == {"after"}
    assert {side for tag_id, side in sides.items() if tag_id.startswith(("voice/", "tempo/"))} == {"before"}
    churn = {name: category["churn"] for name, category in answer["categories"].items()}
    assert churn["sound"] == churn["voice"] == churn["tempo"] == 1 and 0 < churn["mood"] < 1
    assert all(row["mean_shift"] is None for row in answer["tags"] if row["side"] != "both")


def ids_of(category):
    return [tag if isinstance(tag, str) else tag["id"] for tag in category["tags"]]


def test_a_damaged_file_is_named_and_leaves_no_comparison(table, tmp_path, capsys):
    path = table / read_snapshot(str(table), 2).files("track_tags")[1].path
    path.write_bytes(path.read_bytes()[:-9] + b"123456789")
    assert main(["diff", str(table), "1", "2", "--output", str(tmp_path / "out")]) == 1
    assert str(path) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_no_such_snapshot(table, capsys):
    assert main(["diff", str(table), "1", "5"]) == 1
    assert "no snapshot 5" in capsys.readouterr().err
