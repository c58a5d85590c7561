"""`evaluate --table` of a fused table: the model, each source, the fused scores, and what a source costs."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.bundles.tagger_bundle import load_bundle
from models.evaluation.fused_scores import harm_notes, read_fused
from models.evaluation.published_scores import _read_scores, examine_table
from models.scoring import metrics
from pipelines.cli import main
from pipelines.inputs.labelled_tracks import catalog_labels
from pipelines.synthesis.catalog import make_tracks
from tests.support.published import catalog_rows, fake_bundle, publish_table
from transforms.fusion.policy import policy_of
from transforms.fusion.settings import Fusion
from transforms.fusion.source_files import STATEMENTS
from transforms.table.reader import open_snapshot
from transforms.tagging.assembly import PublishedRows

GOOD, BAD = "editors", "crowd"


def statements(rows: pa.Table, source: str, wrong: float) -> pa.Table:
    """What a source says about the annotated tracks: the truth about each tag, but a share of it reversed."""
    rng, said = np.random.default_rng(len(source)), []
    taxonomy = load_taxonomy_of(rows)
    for row in rows.to_pylist():
        own = {entry["tag"] for entry in row["tags"] or ()}
        for tag in taxonomy if own else ():
            weight = float(tag in own) if rng.random() >= wrong else float(tag not in own)
            said.append({"key": row["track_id"], "source": source, "tag": tag, "weight": weight})
    return pa.Table.from_pylist(said, STATEMENTS)


pytestmark = pytest.mark.usefixtures("undrawn")


def load_taxonomy_of(rows: pa.Table) -> list[str]:
    """All instruments, a category without a hierarchy."""
    found = {entry["tag"] for tags in rows["tags"].to_pylist() for entry in tags or ()}
    return sorted(tag for tag in found if tag.startswith("instrument/"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, a catalog with labels, and a table that was fused with a good and a bad source."""
    folder = tmp_path_factory.mktemp("fused")
    bundle, rows = fake_bundle(folder / "bundle"), catalog_rows(make_tracks(24, 0))
    pq.write_table(rows, folder / "catalog.parquet")
    rule = {"mode": "blend", "trust": 0.9}
    policy = policy_of({"sources": {GOOD: rule, BAD: rule}}, bundle.taxonomy)
    fusion = Fusion(policy=policy, taxonomy=bundle.taxonomy, tables={GOOD: "a", BAD: "b"}, shards=())
    said = [statements(rows, GOOD, wrong=0.1), statements(rows, BAD, wrong=0.7)]
    publish_table(folder / "table", bundle, fusion=fusion, said=said)
    publish_table(folder / "cut", bundle, publication=PublishedRows(min_score=0.1), fusion=fusion, said=said)
    publish_table(folder / "plain", bundle)
    return folder


def evaluate(folder: Path, table: str, output: Path) -> int:
    flags = ["--model", str(folder / "bundle"), "--table", str(folder / table), "--output", str(output)]
    return main(["evaluate", *flags, "--catalog", str(folder / "catalog.parquet"), "--resamples", "0", "--quiet"])


def test_model_sources_and_fused_scores_are_rated(folder: Path, tmp_path: Path, capsys) -> None:
    assert evaluate(folder, "table", tmp_path) == 0
    said = capsys.readouterr().out
    rows = json.loads((tmp_path / "evaluation.json").read_text())["averages"]
    found = {
        row["model"]: {name: metric["value"] for name, metric in row["metrics"].items()}
        for row in rows
        if (row["slice"], row["category"], row["average"]) == ("all", "instrument", "macro")
    }
    assert set(found) == {"tagger", "fused", "without editors", "without crowd", "source editors", "source crowd"}
    by = {model: values["pr_auc"] for model, values in found.items()}
    assert by["source editors"] > by["tagger"] > by["source crowd"]
    assert by["without crowd"] > by["fused"] > by["without editors"]
    assert "Source crowd hurts: macro PR-AUC is" in said and "Source editors hurts" not in said
    assert "each says something: editors" in said


def test_scores_without_a_source_are_those_of_a_table_without_it(folder: Path, tmp_path: Path) -> None:
    bundle = load_bundle(str(folder / "bundle"))
    rows = pq.read_table(folder / "catalog.parquet")
    policy = policy_of({"sources": {GOOD: {"mode": "blend", "trust": 0.9}}}, bundle.taxonomy)
    fusion = Fusion(policy=policy, taxonomy=bundle.taxonomy, tables={GOOD: "a"}, shards=())
    publish_table(
        tmp_path / "other", bundle, fusion=fusion, said=[statements(catalog_rows(make_tracks(24, 0)), GOOD, 0.1)]
    )
    ids = sorted(rows["track_id"].to_pylist())
    snapshots = {
        name: open_snapshot(str(place)) for name, place in (("both", folder / "table"), ("one", tmp_path / "other"))
    }
    ids = snapshots["both"].scan("tracks", ["track_id"])["track_id"].to_pylist()
    model = _read_scores(snapshots["both"], ids, bundle.taxonomy.tag_ids, 0)
    both, one = (read_fused(snapshot, ids, model, bundle.taxonomy) for snapshot in snapshots.values())
    assert both is not None and one is not None
    assert np.array_equal(both.without[BAD], one.published) and not np.array_equal(both.published, one.published)
    assert one.without == {} and one.decided() == ["fused"]
    assert one.coverage[GOOD] == both.coverage[GOOD] and 0.1 < one.coverage[GOOD] < 0.5


def test_positives_are_those_of_the_scores(folder: Path) -> None:
    bundle = load_bundle(str(folder / "bundle"))
    labels = list(catalog_labels(str(folder / "catalog.parquet"), bundle.taxonomy, None, "evaluated"))
    found = examine_table(bundle, open_snapshot(str(folder / "table")), labels, "test").examined
    for name in ("tagger", "fused", "without crowd"):
        assert np.array_equal(found.positives[name], bundle.positives(found.scores[name])), name
    plain = examine_table(bundle, open_snapshot(str(folder / "plain")), labels, "test").examined
    assert np.array_equal(plain.scores["tagger"], found.scores["tagger"]), "the model's scores are kept"
    assert list(plain.scores) == ["tagger"]
    rated = metrics.tag_metrics(found.targets, found.mask, found.scores["fused"], found.positives["fused"])
    assert len(rated) == len(bundle.tags)


def test_a_fused_table_without_low_scores_is_refused(folder: Path, tmp_path: Path, capsys) -> None:
    assert evaluate(folder, "cut", tmp_path / "out") == 1
    assert "was tagged with --fusion and --min-score" in capsys.readouterr().err


def average(model: str, value: float | None) -> dict:
    return {
        "model": model,
        "slice": "all",
        "category": "all",
        "average": "macro",
        "metrics": {"pr_auc": {"value": value}},
    }


@pytest.mark.parametrize(
    ("values", "hurts"),
    [
        ({"tagger": 0.5, "fused": 0.4, "source x": 0.1}, ["x"]),
        ({"tagger": 0.5, "fused": 0.6, "source x": 0.1}, []),
        ({"tagger": 0.5, "fused": 0.5, "source x": 0.1}, []),
        ({"tagger": 0.5, "fused": 0.6, "source x": 0.1, "source y": 0.2, "without x": 0.7, "without y": 0.5}, ["x"]),
        ({"tagger": None, "fused": None, "source x": None}, []),
        ({"tagger": 0.5}, []),
    ],
)
def test_a_source_that_hurts_is_named(values: dict[str, float | None], hurts: list[str]) -> None:
    notes = harm_notes([average(model, value) for model, value in values.items()], "tagger")
    assert [note.split()[1] for note in notes] == hurts
