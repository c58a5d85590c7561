"""The guide's example is a file of `--fusion` and a source; its tables list what there is."""

import dataclasses
import re
from pathlib import Path

import pytest

from pipelines.inputs.fusion import open_fusion
from pipelines.synthesis.catalog import make_tracks
from tests.support.published import catalog_rows, fake_bundle, publish_table
from transforms.fusion.policy import MODES, Rule
from transforms.fusion.source_files import read_statements
from transforms.fusion.tally import ROW_OUTCOMES
from transforms.table.reader import open_snapshot

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "fuse-sources.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    return re.search(rf"```{kind}\n(.+?)```", GUIDE, re.S)[1]


def first_cells(heading: str) -> list[str]:
    """The names in the first column of the table below a heading."""
    section = GUIDE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)`", section, re.M)


def test_the_example_is_combined_with_scores(tmp_path: Path) -> None:
    bundle = fake_bundle(tmp_path / "bundle")
    (tmp_path / "fusion.yaml").write_text(block("yaml"))
    (tmp_path / "editors.csv").write_text(block("text"))
    (tmp_path / "listeners.csv").write_text("artist_id,tag\nartist-000,mood/dark\n")
    places = [f"{name}={tmp_path / name}.csv" for name in ("editors", "listeners")]
    fusion = open_fusion(str(tmp_path / "fusion.yaml"), places, bundle.taxonomy)
    assert fusion is not None and fusion.policy.names == ("editors", "listeners", "catalog")
    assert [(shard.source, shard.key) for shard in fusion.shards] == [
        ("editors", "track_id"),
        ("listeners", "artist_id"),
    ]
    said = [rows for rows, _ in read_statements(fusion.shards[0], fusion.policy, bundle.taxonomy)]
    publish_table(tmp_path / "table", bundle, 6, fusion=fusion, said=said)
    snapshot = open_snapshot(str(tmp_path / "table"))
    rows = {(row["track_id"], row["tag"]): row for row in snapshot.scan("track_tags").to_pylist()}
    folk = rows["track-0001", "genre/folk"]
    assert (folk["source"], folk["score"]) == ("expert", pytest.approx(0.99))
    assert folk["experts"][0] == {"source": "editors", "weight": pytest.approx(0.99)}
    calm = rows["track-0002", "mood/calm"]
    assert {"source": "editors", "weight": pytest.approx(0.15)} in calm["experts"]
    assert calm["model_score"] > calm["score"]
    counts = snapshot.manifest.run.fusion["sources"]
    tags = sum(len(entries or ()) for entries in catalog_rows(make_tracks(6, 0))["tags"].to_pylist())
    assert [source["used"] for source in counts] == [3, 0, tags]


def test_the_tables_are_complete() -> None:
    fields = [name.partition(":")[0] for name in first_cells("The file of `--fusion`")]
    assert set(fields) == {field.name for field in dataclasses.fields(Rule)}
    assert [name for name in first_cells("The file of `--fusion`") if name.startswith("mode")] == [
        f"mode: {mode}" for mode in MODES
    ]
    assert first_cells("Every row is accounted for") == list(ROW_OUTCOMES)
