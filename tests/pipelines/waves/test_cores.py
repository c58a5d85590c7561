"""`tag` computes as many batches of its trunk at the same time as there are cores for it."""

from pathlib import Path

import pytest

from models.bundles.fake import Projection, write_fake_bundle
from tests.support.in_flight import InFlight
from tests.support.world import World, tag
from transforms.features.spec import FeatureSpec
from transforms.taxonomy.hierarchy import load_taxonomy


@pytest.mark.parametrize("cores", [2, 3])
def test_one_chunk_keeps_every_core_busy(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    taxonomy = load_taxonomy(str(world.folder / "taxonomy.yaml"))
    heavy = write_fake_bundle(str(tmp_path / "bundle"), taxonomy, FeatureSpec(patches_per_track=4), batch=1)
    flight = InFlight(wanted=cores)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    monkeypatch.setattr(Projection, "__call__", flight.watch(Projection.__call__))
    snapshot = tag(World(tmp_path), tmp_path / "table", "--catalog-root", str(world.folder), catalog=world.catalog)
    assert flight.most == cores
    assert flight.calls >= snapshot.run.counts["tagged"] > 2 * cores
    assert heavy.trunks[0].batch == 1
