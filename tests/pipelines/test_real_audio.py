"""Real recordings and broken files through `tag`, where they are at hand."""

import csv
import shutil
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.bundles.fake import write_fake_bundle
from pipelines.cli import main
from tests.support.world import SHARED, World, ledger, tag
from transforms.features.spec import FeatureSpec
from transforms.taxonomy.hierarchy import load_taxonomy

GOOD_EVERY = 12
"""One in so many of the real clips lies among the broken files."""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Every broken file and some real clips as one catalog."""
    if not (SHARED / "bad.tar.gz").exists():
        pytest.skip("no real recordings beside the repository")
    folder = tmp_path_factory.mktemp("real")
    with tarfile.open(SHARED / "bad.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    with (SHARED / "dev" / "manifest.csv").open(encoding="utf-8") as file:
        clips = [row for row in csv.DictReader(file) if row["format"] not in ("m4a", "mp4")][::GOOD_EVERY]
    for clip in clips:
        (folder / "good" / clip["path"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SHARED / "dev" / clip["path"], folder / "good" / clip["path"])
    uris = [f"good/{clip['path']}" for clip in clips] + [f"bad/{row['path']}" for row in _manifest(folder)]
    pq.write_table(pa.table({"track_id": uris, "uri": uris}), folder / "catalog.parquet")
    text = "categories:\n  - name: voice\n    kind: binary\n    tags:\n      - id: voice/vocal\n        name: Vocal\n"
    (folder / "taxonomy.yaml").write_text(text)
    world = World(folder)
    write_fake_bundle(str(world.bundle), load_taxonomy(str(folder / "taxonomy.yaml")), FeatureSpec())
    return world


def _manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "bad" / "manifest.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_no_broken_file_costs_a_good_one_and_every_id_is_accounted_for(real: World, table: Path) -> None:
    snapshot = tag(real, table, "--chunk-tracks", "32")
    rows = ledger(table, snapshot)
    assert len(rows) == real.rows().num_rows == snapshot.run.counts["catalog"]
    assert {i: r["reason"] for i, r in rows.items() if i.startswith("good/") and r["reason"]} == {}
    expect = {f"bad/{row['path']}": row["expect"] for row in _manifest(real.folder)}
    assert len(expect) == 183
    assert all(rows[i]["status"] == "rejected" for i, wanted in expect.items() if wanted == "reject")
    assert {r["reason"] for r in rows.values()}.isdisjoint({"unknown", "crash", "unavailable", "timeout"})
    assert main(["verify", str(table)]) == 0
    assert tag(real, table).run.content_hash == snapshot.run.content_hash


@pytest.mark.long
def test_the_whole_story_on_real_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not (SHARED / "dev" / "manifest.csv").exists():
        pytest.skip("no real recordings beside the repository")
    with (SHARED / "dev" / "manifest.csv").open(encoding="utf-8") as file:
        clips = [row for row in csv.DictReader(file) if row["path"].startswith("esc10/")][::8]
    rows = [{"track_id": c["track_id"], "uri": c["path"], "artist": c["artist"], "tags": [c["tags"]]} for c in clips]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "catalog.parquet")
    tags = "".join(f"      - id: {tag.replace('---', '/')}\n" for tag in sorted({c["tags"] for c in clips}))
    (tmp_path / "taxonomy.yaml").write_text(f"categories:\n  - name: sound\n    kind: multiclass\n    tags:\n{tags}")
    audio = ["--catalog", str(tmp_path / "catalog.parquet"), "--catalog-root", str(SHARED / "dev")]
    dataset, bundle, table = (str(tmp_path / name) for name in ("dataset", "bundle", "table"))

    assert main(["prepare", *audio, "--taxonomy", str(tmp_path / "taxonomy.yaml"), "--output", dataset]) == 0
    assert main(["train", "--dataset", dataset, "--output", bundle, "--epochs", "2"]) == 0
    assert main(["tag", *audio, "--model", bundle, "--table", table]) == 0
    capsys.readouterr()
    assert main(["query", table, "SELECT count(*) AS n FROM tracks WHERE len(top_tags) = 1", "--format", "csv"]) == 0
    assert capsys.readouterr().out.split() == ["n", str(len(clips))]
    assert main(["verify", table]) == 0
