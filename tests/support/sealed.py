"""A table, a dataset and a bundle with digests in their manifests, and everything that reads them."""

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.bundles.tagger_bundle import load_bundle
from models.training.shards import local_shards
from models.trunks.loading import load_embedder
from pipelines.synthesis.catalog import make_tracks
from tests.support.flips import Reader, printed
from tests.support.published import BUCKETS, catalog_rows, fake_bundle, publish_table
from transforms.dataset.labels import dataset_labels
from transforms.dataset.manifest import CONFLICTS_FILE, REJECTS, list_digest, read_manifest, tied_tracks
from transforms.formats.hashing import bucket_of
from transforms.formats.parquet import read_parquet
from transforms.formats.sealing import sealed_bytes
from transforms.publishing import receipts
from transforms.publishing.receipts import Receipt
from transforms.schemas.tables import TABLES
from transforms.table.layout import run_path, snapshot_path
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import read_snapshot
from transforms.tagging.outcomes.assembled import assembled
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.tagging.tagger import ids_of

OLD_DATASET = Path(__file__).parents[1] / "compatibility/v0_1/dataset"
SQL = "SELECT 'current' AS which, * FROM ({0}) UNION ALL SELECT 'before', * FROM ({1})"
COUNTS = " UNION ALL ".join(f"SELECT '{name}' AS t, sum(hash(x)) AS h FROM {{0}}{name} x" for name in TABLES)


@pytest.fixture(scope="session")
def sealed_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `bundle`, and `table`: a snapshot, an unpublished run and its receipt."""
    folder = tmp_path_factory.mktemp("tables")
    bundle, table = fake_bundle(folder / "bundle"), folder / "table"
    publish_table(table, bundle, 6)
    run = publish_table(table, bundle, 12).run
    # The second commit is taken back.
    (table / snapshot_path(2)).unlink()
    shutil.rmtree(table / "manifests/0000000002")
    shutil.rmtree(table / "iceberg")  # no command reads it but `verify`, which compares it with the snapshots
    (table / "runs").mkdir()
    (table / run_path(run.run_id)).write_bytes(sealed_bytes(run.to_json()))
    receipts.write(str(table), receipts.begin(str(table)), Receipt(run_id=run.run_id, counts=run.counts))
    return folder


def buckets_of(tracks: int) -> Iterator[tuple[int, pa.Table]]:
    rows = catalog_rows(make_tracks(tracks, 0))
    own = [bucket_of(track, BUCKETS) for track in rows["track_id"].to_pylist()]
    for bucket in range(BUCKETS):
        yield bucket, rows.filter(pa.array([one == bucket for one in own]))


def scan(table: Path) -> Any:
    snapshot = open_snapshot(str(table))
    return [snapshot.scan(name).to_pylist() for name in TABLES], snapshot.schema("tracks").names


def some_tracks(table: Path) -> Any:
    snapshot = open_snapshot(str(table))
    return [snapshot.scan(name, track_ids=["track-0001", "track-0004"]).to_pylist() for name in ("tracks", "ledger")]


def carry(table: Path) -> Any:
    """What the next `tag` takes over."""
    ids = ids_of(load_bundle(str(table.parent / "bundle")))
    known = PriorOutcomes(root=str(table), parent=1, ids=ids, due_again=frozenset())
    return [assembled(known, bucket, rows).to_pylist() for bucket, rows in buckets_of(6)]


def publish(table: Path) -> Any:
    """What is committed from the unpublished run, in a copy."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(table, Path(folder, "table")))
        printed("publish", str(copy), "--max-reject-ratio", "0.5")
        return read_snapshot(str(copy), 2).run.files


TABLE_READERS: Mapping[str, Reader] = {
    "scan": scan,
    "scan of some tracks": some_tracks,
    "query": lambda table: printed("query", str(table), SQL.format(COUNTS.format(""), COUNTS.format("previous_"))),
    "describe": lambda table: printed("describe", str(table), "--format", "json"),
    "sql": lambda table: printed("sql", str(table), "--engine", "spark"),
    "carry": carry,
    "publish": publish,
    "verify": lambda table: printed("verify", str(table), "--all"),
}


@pytest.fixture(scope="session")
def sealed_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of version 0.1 as this version writes it."""
    folder = Path(shutil.copytree(OLD_DATASET, tmp_path_factory.mktemp("datasets") / "dataset"))
    (folder / "dataset.json").unlink()
    lists = {name: list_digest(read_parquet(str(folder / name))) for name in (REJECTS, CONFLICTS_FILE)}
    manifest = dataclasses.replace(read_manifest(str(OLD_DATASET)), lists=lists)
    dataclasses.replace(manifest, none={**manifest.none, "tied": 1}).write(str(folder))
    shutil.rmtree(folder / "work")
    return folder


def train(dataset: Path) -> Any:
    """What `train` reads before TensorFlow does."""
    manifest = read_manifest(str(dataset))
    with local_shards(str(dataset), manifest, ["train", "validation", "test"]) as paths:
        return manifest, {split: [Path(path).read_bytes() for path in found] for split, found in paths.items()}


def labels(dataset: Path) -> Any:
    manifest = read_manifest(str(dataset))
    found = [(one.track_id, one.group, one.targets.tolist()) for one in dataset_labels(str(dataset), manifest)]
    return found, tied_tracks(str(dataset), manifest)


DATASET_READERS: Mapping[str, Reader] = {
    "train": train,
    "labels": labels,
    "verify": lambda dataset: printed("verify", str(dataset)),
}


def embed(bundle: Path) -> Any:
    """Ids and scores of some noise."""
    loaded, embedder = load_bundle(str(bundle)), load_embedder(str(bundle))
    patches = np.random.default_rng(0).normal(-40, 10, (2, *loaded.spec.patch_shape)).astype(np.float16)
    found = embedder.embed([patches])
    return loaded.tagger_id, loaded.tags, found.tolist(), loaded.score(found).tolist()


BUNDLE_READERS: Mapping[str, Reader] = {
    "tag": embed,
    "verify": lambda bundle: printed("verify", str(bundle)),
}
