"""`evaluate --table`: the scores of a published snapshot are rated, no audio is opened and nothing embedded."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.bundles.fake import write_fake_bundle
from models.bundles.split_record import Sides
from models.bundles.tagger_bundle import load_bundle
from models.evaluation.published_scores import _of_side, examine_table
from models.refit import read_embeddings
from models.scoring import metrics
from pipelines.cli import main
from pipelines.inputs.labelled_tracks import catalog_labels
from pipelines.synthesis.catalog import make_tracks
from tests.support.published import catalog_rows, fake_bundle, publish_table
from transforms.features.spec import FeatureSpec
from transforms.splits.track_labels import TrackLabels
from transforms.table.reader import open_snapshot
from transforms.tagging.assembly import PublishedRows


@dataclasses.dataclass(frozen=True)
class Rated:
    """A folder with `catalog.parquet`, `bundle/`, and `table/` that was published from both, without audio."""

    folder: Path

    @property
    def catalog(self) -> Path:
        return self.folder / "catalog.parquet"

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    def publish(self, name: str, publication: PublishedRows | None = None) -> str:
        publish_table(self.folder / name, load_bundle(str(self.bundle)), publication=publication)
        return str(self.folder / name)


pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Rated:
    folder = tmp_path_factory.mktemp("rated")
    fake_bundle(folder / "bundle")
    pq.write_table(catalog_rows(make_tracks(24, 0)), folder / "catalog.parquet")
    return Rated(folder)


@pytest.fixture(scope="module")
def table(world) -> str:
    return world.publish("table")


@pytest.fixture(scope="module")
def cut(world) -> str:
    """A table without the scores under 0.3."""
    return world.publish("cut", PublishedRows(min_score=0.3))


def evaluate(world: Rated, table: str, output, *flags: str) -> int:
    command = ["evaluate", "--model", str(world.bundle), "--table", table, "--output", str(output)]
    return main([*command, "--catalog", str(world.catalog), "--resamples", "20", *flags])


def labels_of(world: Rated) -> list[TrackLabels]:
    return list(catalog_labels(str(world.catalog), load_bundle(str(world.bundle)).taxonomy, None, "evaluated"))


def examined(world: Rated, table: str):
    bundle = load_bundle(str(world.bundle))
    return examine_table(bundle, open_snapshot(table), labels_of(world), "test")


def rows_of(output, metric: str) -> dict[str, float | None]:
    rows = pq.read_table(output / "tags.parquet").to_pylist()
    return {row["tag"]: row["value"] for row in rows if (row["slice"], row["metric"]) == ("all", metric)}


def test_a_table_holds_what_its_embeddings_score(world, table):
    found, bundle = examined(world, table).examined, load_bundle(str(world.bundle))
    wanted = sorted(track.track_id for track in labels_of(world))
    files = list(read_embeddings(open_snapshot(table), wanted, bundle.embedding_dim))
    ids, embeddings = [i for file_ids, _ in files for i in file_ids], np.concatenate([values for _, values in files])
    scores = np.round(bundle.score(embeddings.astype(np.float32)), 4)
    assert len(ids) == len(found.groups) > 15
    assert np.array_equal(found.scores["tagger"], scores)
    assert np.array_equal(found.positives["tagger"], bundle.positives(scores))


def test_figures_are_those_of_the_rows(world, table, tmp_path, capsys):
    assert evaluate(world, table, tmp_path) == 0
    found, taxonomy = examined(world, table).examined, load_bundle(str(world.bundle)).taxonomy
    rated = metrics.tag_metrics(found.targets, found.mask, found.scores["tagger"], found.positives["tagger"])
    for metric in metrics.MEASURES:
        expected = {tag: row[metric] for tag, row in zip(taxonomy.tag_ids, rated, strict=True)}
        assert rows_of(tmp_path, metric) == pytest.approx(expected), metric
    printed = capsys.readouterr().out
    assert f"{len(found.groups)} tracks have artists that are not in the bundle's split" in printed
    facts = json.loads((tmp_path / "evaluation.json").read_bytes())["facts"]
    assert facts["table"] == table and facts["snapshot"].startswith("1, content ")


def test_cut_scores_count_alike_and_have_no_calibration(world, table, cut, tmp_path, capsys):
    whole, part = (examined(world, place).examined for place in (table, cut))
    kept = whole.scores["tagger"] >= 0.3
    assert 0 < kept.mean() < 1
    assert np.array_equal(part.scores["tagger"], np.where(kept, whole.scores["tagger"], 0))
    assert np.array_equal(part.positives["tagger"], whole.positives["tagger"]), "all decisions are in the table"
    assert evaluate(world, cut, tmp_path) == 0
    assert "Scores under 0.3 are not published" in capsys.readouterr().out
    assert set(rows_of(tmp_path, "ece").values()) == {None} and any(rows_of(tmp_path, "roc_auc").values())
    page = (tmp_path / "report.html").read_text()
    assert "Scores under 0.3 are not published" in page and "Are scores probabilities?" not in page


def test_a_table_of_the_best_tags_alone_is_refused(world, tmp_path, capsys):
    assert evaluate(world, world.publish("best", PublishedRows(top_k=1)), tmp_path / "out") == 1
    assert "was tagged with --top-k 1" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_table_of_another_bundle_is_refused(world, table, tmp_path, capsys):
    other = dataclasses.replace(world, folder=tmp_path)
    write_fake_bundle(str(other.bundle), load_bundle(str(world.bundle)).taxonomy, FeatureSpec(), head_seed=1)
    shutil.copy(world.catalog, other.catalog)
    assert evaluate(other, table, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert load_bundle(str(world.bundle)).tagger_id in said and load_bundle(str(other.bundle)).tagger_id in said


def test_tracks_and_artists_that_training_saw_are_left_out():
    labels = [TrackLabels(name, group, np.ones(1), np.ones(1)) for name, group in ("ax", "by", "cx", "dz")]
    sides = Sides(tracks={"a": "train", "b": "test"}, groups={"x": "train", "y": "test"})
    found, unseen = _of_side(sides, labels, "test")
    assert set(found) == {"b", "d"} and unseen == {"d"}
    assert set(_of_side(sides, labels, "train")[0]) == {"a", "c"}


def test_official_sides_decide_where_the_bundle_knows_none(world, table, tmp_path, capsys):
    rows = pq.read_table(world.catalog)
    sides = pa.array(["test" if number % 2 else "train" for number in range(rows.num_rows)])
    pq.write_table(rows.append_column("side", sides), tmp_path / "catalog.parquet")
    bundle = load_bundle(str(world.bundle))
    labels = catalog_labels(str(tmp_path / "catalog.parquet"), bundle.taxonomy, "side", "evaluated")
    half = examine_table(bundle, open_snapshot(table), labels, "test")
    assert 0 < half.unseen == len(half.examined.groups) < len(examined(world, table).examined.groups)
    flags = ["--catalog", str(tmp_path / "catalog.parquet"), "--split-column", "side", "--split", "validation"]
    assert evaluate(world, table, tmp_path / "none", *flags) == 1
    assert "none of the 0 labelled tracks of split 'validation'" in capsys.readouterr().err


def test_labelled_tracks_that_the_table_lacks_are_counted(world, table):
    bundle, labels = load_bundle(str(world.bundle)), labels_of(world)
    labels += [labels[0]._replace(track_id="rejected")]
    found = examine_table(bundle, open_snapshot(table), labels, "test")
    assert found.absent == 1
    assert found.notes()[0] == "1 labelled tracks were left out, because they are not in the table."


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--table", "t"], "give one of them"),
        (["--table", "t", "--dataset", "d", "--catalog", "c"], "give one of them"),
        (["--table", "t", "--dataset", "d", "--split-column", "s"], "--split-column needs --catalog"),
        (["--dataset", "d", "--catalog", "c"], "--catalog needs --table"),
        ([], "missing --dataset"),
    ],
)
def test_flags_that_do_not_go_together(flags, said, tmp_path, capsys):
    assert main(["evaluate", "--model", "m", "--output", str(tmp_path / "new"), *flags]) == 2
    assert said in capsys.readouterr().err


def test_a_table_without_a_snapshot_is_said_so(world, tmp_path, capsys):
    assert evaluate(world, str(tmp_path / "nothing"), tmp_path / "out") == 1
    assert "no snapshot is published here" in capsys.readouterr().err
