"""The drift gates on real recordings with human labels: ESC-10, ten classes of sound, where it is at hand."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.bundles.fake import write_fake_bundle
from models.bundles.tagger_bundle import Bundle, Tagging, load_bundle
from models.bundles.trunk_bundle import Embedding, read_file
from models.bundles.writing import write_bundle
from models.embedding.pooling import Pooling
from models.scoring.heads import Heads
from pipelines.cli import main
from tests.support.nights import swapped
from tests.support.world import SHARED
from transforms.features.spec import FeatureSpec
from transforms.publishing.commit import unpublished_runs
from transforms.table.snapshots import current_snapshot, snapshot_numbers
from transforms.taxonomy.hierarchy import Taxonomy

pytestmark = pytest.mark.long


@dataclasses.dataclass(frozen=True)
class Sounds:
    """A folder with a catalog of the recordings, a table, and bundles."""

    folder: Path

    @property
    def table(self) -> str:
        return str(self.folder / "table")

    def tag(self, bundle: str) -> int:
        words = ["tag", "--catalog", str(self.folder / "catalog.parquet"), "--table", self.table]
        return main([*words, "--catalog-root", str(SHARED / "dev"), "--model", str(self.folder / bundle)])

    def refit(self, model: str, output: str, *flags: str) -> int:
        words = ["refit", "--table", self.table, "--catalog", str(self.folder / "catalog.parquet")]
        paths = ["--model", str(self.folder / model), "--output", str(self.folder / output)]
        return main([*words, *paths, *flags])


def save(bundle: Bundle, url: Path, like: Bundle) -> None:
    """Writes a bundle with the trunk and the split of another one."""
    files = {name: read_file(like.url, name, sha256) for name, sha256 in like.files.items() if name != "heads.npz"}
    write_bundle(str(url), bundle, bundle, files)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Sounds:
    """Tagged with random heads, then published again with fitted ones."""
    if not (SHARED / "dev" / "manifest.csv").exists():
        pytest.skip("no real recordings beside the repository")
    folder = tmp_path_factory.mktemp("sounds")
    with (SHARED / "dev" / "manifest.csv").open(encoding="utf-8") as file:
        clips = [row for row in csv.DictReader(file) if row["path"].startswith("esc10/")]
    columns = {
        "track_id": [clip["track_id"] for clip in clips],
        "uri": [clip["path"] for clip in clips],
        "artist_id": [clip["group_id"] for clip in clips],
        "source_version": [clip["sha256"] for clip in clips],
        "tags": [[clip["tags"].replace("---", "/")] for clip in clips],
    }
    pq.write_table(pa.table(columns), folder / "catalog.parquet")
    tags = sorted({clip["tags"].replace("---", "/") for clip in clips})
    taxonomy = Taxonomy.from_json({"categories": [{"name": "sound", "kind": "multiclass", "tags": tags}]})
    projection = write_fake_bundle(str(folder / "projection"), taxonomy, FeatureSpec())
    embedding = Embedding(spec=projection.spec, pooling=Pooling(), trunks=projection.trunks)
    rng, dim = np.random.default_rng(0), embedding.embedding_dim
    heads = Heads(
        mean=np.zeros(dim),
        scale=np.ones(dim),
        weights=rng.normal(0, 0.1 * dim**-0.5, (dim, len(tags))),
        bias=np.zeros(len(tags)),
        slope=np.ones(len(tags)),
        offset=np.zeros(len(tags)),
    )
    files = {"trunk.npz": read_file(projection.url, "trunk.npz", projection.files["trunk.npz"])}
    write_bundle(
        str(folder / "random"), embedding, Tagging(taxonomy=taxonomy, heads=heads, tags=projection.tags), files
    )
    found = Sounds(folder)
    assert found.tag("random") == 0 and found.refit("random", "fitted") == 0
    assert found.tag("fitted") == 3, "heads that were not fitted drift"
    (run,) = unpublished_runs(found.table)
    failed = [name for name, gate in run.gates.items() if not gate["passed"]]
    assert "drift_order_unchanged" in failed and all(name.startswith("drift_") for name in failed)
    flags = [word for name in failed for word in ("--override", name)]
    assert main(["publish", found.table, *flags, "--reason", "first heads that are fitted"]) == 0
    return found


def test_heads_that_are_fitted_again_on_the_same_labels_pass(sounds: Sounds) -> None:
    for output, flags in (("again", ["--balance", "effective"]), ("precise", ["--precision-target", "0.7"])):
        assert sounds.refit("fitted", output, *flags) == 0
        assert sounds.tag(output) == 0
        gates = current_snapshot(sounds.table).run.gates
        assert gates["drift_order_unchanged"]["value"] < 0.3 and gates["drift_scores_unchanged"]["value"] < 0.25


def test_two_swapped_tags_are_stopped(sounds: Sounds, capsys: pytest.CaptureFixture[str]) -> None:
    fitted, before = load_bundle(str(sounds.folder / "fitted")), snapshot_numbers(sounds.table)
    save(swapped(fitted, "sound/dog_bark", "sound/rain"), sounds.folder / "swapped", fitted)
    assert sounds.tag("swapped") == 3
    lines = capsys.readouterr().err.splitlines()
    place = next(i for i, line in enumerate(lines) if "gate drift_order_unchanged (value " in line)
    assert {line.split(":")[0].strip() for line in lines[place + 1 : place + 3]} == {"sound/dog_bark", "sound/rain"}
    assert snapshot_numbers(sounds.table) == before
