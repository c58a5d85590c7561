"""A small catalog of synthesised audio with a numpy bundle, and helpers to tag it and read the tables back."""

import dataclasses
import functools
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from models.bundles.fake import write_fake_bundle
from pipelines.cli import main
from transforms.features.spec import FeatureSpec
from transforms.formats.parquet import read_parquet
from transforms.table.snapshots import Snapshot, current_snapshot
from transforms.taxonomy.hierarchy import load_taxonomy

SHARED = Path(__file__).parents[3] / "shared" / "data"
"""Real recordings beside the repository; tests that need them skip where they are not."""


@dataclasses.dataclass(frozen=True)
class World:
    """A folder with `audio/`, `catalog.parquet`, `taxonomy.yaml` and `bundle/`."""

    folder: Path

    @property
    def catalog(self) -> Path:
        return self.folder / "catalog.parquet"

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    def rows(self) -> pa.Table:
        return pq.read_table(self.catalog)


def make_world(folder: Path, tracks: int = 14) -> World:
    """Writes a catalog of synthesised audio, and a bundle whose scores are fixed by its seed."""
    for path, data in _files_of_world(tracks).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return World(folder)


@functools.cache
def _files_of_world(tracks: int) -> dict[str, bytes]:
    """Content by relative path: many modules have a world of their own, and a song takes a tenth of a second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        assert main(["synthesize", "--output", name, "--tracks", str(tracks), "--duration", "2"]) == 0
        taxonomy = load_taxonomy(str(folder / "taxonomy.yaml"))
        write_fake_bundle(str(World(folder).bundle), taxonomy, FeatureSpec(patches_per_track=4))
        found = [path for path in folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def tag(world: World, table: Path, *flags: str, catalog: Path | None = None) -> Snapshot:
    """Runs `tag` in this process, expects success, returns the published snapshot."""
    assert tag_code(world, table, *flags, catalog=catalog) == 0
    snapshot = current_snapshot(str(table))
    assert snapshot is not None
    return snapshot


def tag_code(world: World, table: Path, *flags: str, catalog: Path | None = None) -> int:
    """Exit code of `tag` in this process."""
    command = ["tag", "--catalog", str(catalog or world.catalog), "--catalog-root", str(world.folder)]
    return main([*command, "--model", str(world.bundle), "--table", str(table), "--max-reject-ratio", "0.9", *flags])


def other_bundle(world: World, folder: Path, patches: int = 4) -> World:
    """A world without catalog and audio, whose bundle has another trunk."""
    taxonomy = load_taxonomy(str(world.folder / "taxonomy.yaml"))
    write_fake_bundle(str(folder / "bundle"), taxonomy, FeatureSpec(patches_per_track=patches), seed=1, patch_dim=3)
    return dataclasses.replace(world, folder=folder)


def tag_other(world: World, other: World, table: Path, *flags: str) -> Snapshot:
    """Tags the world's catalog with the other one's bundle."""
    return tag(other, table, "--catalog-root", str(world.folder), *flags, catalog=world.catalog)


def read_table(table: Path, snapshot: Snapshot, name: str) -> pa.Table:
    """All rows of one table of a snapshot."""
    return pa.concat_tables([read_parquet(str(table / file.path)) for file in snapshot.files(name)])


def ledger(table: Path, snapshot: Snapshot) -> dict[str, dict]:
    """Ledger rows by track_id."""
    return {row["track_id"]: row for row in read_table(table, snapshot, "ledger").to_pylist()}
