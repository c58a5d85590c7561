"""Tracks that are annotated under earlier ids train the tags of today, and the reports count them."""

import csv
import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from models.evaluation.floors import compare_with_snapshot
from pipelines.cli import main
from pipelines.inputs.flags import Arguments
from pipelines.inputs.labelled_tracks import catalog_labels
from pipelines.jobs.evaluate import _of_table
from pipelines.jobs.prepare import summary
from pipelines.synthesis.catalog import make_tracks, taxonomy
from tests.support.published import catalog_rows, fake_bundle, publish_table
from tests.support.tiny import example
from tests.transforms.dataset.test_manifest import manifest
from transforms.dataset.manifest import DatasetManifest
from transforms.dataset.page import dataset_page
from transforms.dataset.plan import TrackOutcome
from transforms.dataset.stats import DatasetStats
from transforms.table.reader import open_snapshot
from transforms.taxonomy.hierarchy import Taxonomy, load_taxonomy

YAML = """
categories:
  - name: mood
    kind: multilabel
    tags: [mood/soft, {id: mood/calm, parents: [mood/soft]}, mood/loud, mood/tense]
redirects: {mood/quiet: mood/calm, mood/noisy: mood/loud, mood/harsh: mood/loud, mood/other: [mood/calm, mood/loud]}
"""
TAGS = ("mood/quiet", "mood/harsh|mood/noisy", "mood/soft|mood/tense", "mood/other")
COUNTS = {"mood/quiet": 15, "mood/harsh": 15, "mood/noisy": 15, "mood/other": 15}
LINE = (
    "earlier ids, counted for the tags that replace them: mood/harsh 15, mood/noisy 15, mood/other 15, mood/quiet 15 "
    "tracks"
)


@pytest.fixture
def labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Flags of a catalog of 60 tracks of 20 artists and its taxonomy."""
    monkeypatch.chdir(tmp_path)
    Path("taxonomy.yaml").write_text(YAML)
    with Path("catalog.csv").open("w", newline="") as file:
        rows = ([f"t{n}", f"{n}.mp3", f"a{n % 20}", TAGS[n % 4]] for n in range(60))
        csv.writer(file).writerows([["track_id", "uri", "artist_id", "tags"], *rows])
    return ["--catalog", "catalog.csv", "--taxonomy", "taxonomy.yaml"]


def test_labels(labelled: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["labels", *labelled, "--output", "report", "--min-artists", "2", "--quiet"]) == 0
    assert LINE in capsys.readouterr().out.splitlines()
    found = json.loads(Path("report/labels.json").read_text())
    assert found["redirected_tags"] == COUNTS and found["unknown_tags"] == {}
    tracks = {row["tag"]: row["tracks"] for row in pq.read_table("report/labels.parquet").to_pylist()}
    assert tracks == {"mood/soft": 30, "mood/calm": 15, "mood/loud": 15, "mood/tense": 15}
    assert "| mood/quiet | 15 |" in Path("report/labels.md").read_text()
    assert load_taxonomy("report/taxonomy.yaml") == load_taxonomy("taxonomy.yaml")


def test_split(labelled: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["split", *labelled, "--output", "split.parquet", "--report", "split.json", "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == LINE
    report = json.loads(Path("split.json").read_text())
    assert report["redirected_tags"] == COUNTS and report["tags"]["mood/loud"]["tracks"] == 15


def test_labels_for_heads(labelled: list[str]) -> None:
    counts: Counter[str] = Counter()
    found = list(catalog_labels("catalog.csv", load_taxonomy("taxonomy.yaml"), None, "trained", "fail", counts))
    assert counts == COUNTS and len(found) == 60
    assert [found[n].targets.tolist() for n in range(4)] == [[1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1], [0] * 4]
    assert [found[n].mask.tolist() for n in range(4)] == [[1] * 4] * 3 + [[0, 0, 0, 1]]


def test_datasets() -> None:
    stats = DatasetStats()
    stats.add_example("train", example(0), (), ("x/y",), ("mood/quiet", "mood/noisy"))
    stats.add_example("train", example(1), (), (), ("mood/quiet",))
    both = DatasetStats.total([stats, DatasetStats.from_json(json.loads(json.dumps(stats.to_json())))])
    assert both.redirected == {"mood/quiet": 4, "mood/noisy": 2}
    old = {name: value for name, value in stats.to_json().items() if name != "redirected"}
    assert DatasetStats.from_json(old).redirected == {}
    outcome = TrackOutcome(track_id="a", uri="u", sha256=None, redirected=("mood/quiet",))
    text = dataclasses.asdict(outcome)
    assert TrackOutcome.from_json(json.loads(json.dumps(text))) == outcome
    del text["redirected"]
    assert TrackOutcome.from_json(text).redirected == ()
    told = dataclasses.replace(manifest(), redirected_tags={"mood/quiet": 4, "mood/noisy": 2})
    assert "redirected tags: mood/quiet 4, mood/noisy 2" in summary(told).splitlines()
    assert "Earlier ids, counted for the tags that replace them" in dataset_page(told)
    document = json.loads(json.dumps(told.to_json()))
    assert DatasetManifest.from_json(document) == told
    del document["redirected_tags"]
    assert DatasetManifest.from_json(document).redirected_tags == {}


RENAMED = {"instrument/drums": "instrument/kit", "mood/warm": "mood/cosy"}


def test_evaluate(tmp_path: Path) -> None:
    """Labels, and the scores of a table that was tagged under the earlier ids."""
    text = json.dumps(taxonomy())
    for old, new in RENAMED.items():
        text = text.replace(old, new)
    version = Taxonomy.from_json({**json.loads(text), "redirects": RENAMED})
    earlier, bundle = fake_bundle(tmp_path / "earlier"), fake_bundle(tmp_path / "bundle", version)
    publish_table(tmp_path / "old", earlier, 24)
    publish_table(tmp_path / "new", bundle, 24)
    rows = catalog_rows(make_tracks(24, 0))
    pq.write_table(rows, tmp_path / "catalog.parquet")
    places = {name: str(tmp_path / name) for name in ("new", "bundle", "catalog.parquet")}
    args = Arguments(
        table=places["new"],
        model=places["bundle"],
        catalog=places["catalog.parquet"],
        dataset=None,
        split_column=None,
        split="test",
        unknown_tags="fail",
    )
    found = _of_table(args)
    carried = Counter(entry["tag"] for tags in rows["tags"].to_pylist() for entry in tags or ())
    drums, warm = (carried[old] for old in RENAMED)
    line = f"earlier ids, counted for the tags that replace them: instrument/drums {drums}, mood/warm {warm} tracks"
    assert drums > warm > 3 and line in found.notes
    assert np.count_nonzero(found.examined.targets[:, version.index["instrument/kit"]]) == drums
    compared = compare_with_snapshot(bundle, found.examined, found.track_ids, open_snapshot(str(tmp_path / "old")))
    same = compare_with_snapshot(bundle, found.examined, found.track_ids, open_snapshot(places["new"]))
    assert compared == same and compared.own == compared.theirs and compared.tags > 20
