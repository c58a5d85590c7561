"""Neighbours and the search index of a table on `gs://`: the same as of a local one, read by ranges."""

import json
from pathlib import Path

import pytest

from pipelines.cli import main
from tests.support.embedded import Catalog, publish_embedded
from tests.support.gcs import wire
from tests.support.neighbours import publish_table_neighbours
from transforms import storage
from transforms.discovery.index import model, rows
from transforms.discovery.index.manifest import read_index_manifest
from transforms.table.reader import open_snapshot


@pytest.fixture
def tables(tmp_path: Path, gcs: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A local table with an index, and its copy on gs:// before the index."""
    monkeypatch.setattr(model, "GROUP_TRACKS", 150)
    monkeypatch.setattr(rows, "BLOCK_ROWS", 16)
    root, copy, catalog = str(tmp_path / "table"), storage.join(gcs, "table"), Catalog(1, dimensions=64)
    catalog.add(600)
    publish_embedded(root, catalog.tracks)
    for file in Path(root).rglob("*"):
        if file.is_file():
            storage.create(storage.join(copy, str(file.relative_to(root))), file.read_bytes())
    publish_table_neighbours(root, 3, 4)
    return root, copy


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    capsys.readouterr()
    assert main(["--quiet", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.long
def test_the_index_on_gs_is_read_by_ranges(tables: tuple[str, str], capsys) -> None:
    local, remote = tables
    published = publish_table_neighbours(remote, 3, 4)
    (own,) = read_index_manifest(remote, published.run.neighbours["index"]).sets
    (other,) = read_index_manifest(local, open_snapshot(local).manifest.run.neighbours["index"]).sets
    assert own == other and len(own.groups) == 4
    with wire() as way:
        found = told(capsys, "similar", remote, "track-000003", "--limit", "5", "--probes", "2")
    expected = told(capsys, "similar", local, "track-000003", "--limit", "5", "--probes", "2")
    assert found["indexed"] and len(found["tracks"]) == 5 and found["tracks"] == expected["tracks"]

    def received(suffix: str) -> int:
        return sum(size for url, size in way.received if url.split("?")[0].endswith(suffix))

    whole = sum(file.bytes for file in own.vectors)
    assert 0 < received(".vectors") < whole / 4
    assert received(".candidates") == 0
    assert received(".arrow") == sum(file.bytes for file in own.groups)


@pytest.mark.long
def test_a_search_on_gs_reads_no_embeddings(tables: tuple[str, str], capsys) -> None:
    local, remote = tables
    with wire() as way:
        found = told(capsys, "search", remote, "--tag", "mood/calm=1", "--limit", "5")
    assert found["tracks"] == told(capsys, "search", local, "--tag", "mood/calm=1", "--limit", "5")["tracks"]
    urls = [url for url, size in way.received if size]
    assert any("track_tags" in url for url in urls) and not any("embeddings" in url for url in urls)
