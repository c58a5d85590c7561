"""Bundles, a dataset and tables of version 0.1 (`make_fixtures.py`): read, queried, tagged on, without any audio."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from models.bundles.tagger_bundle import load_bundle
from pipelines.cli import main
from transforms.dataset.manifest import read_manifest
from transforms.formats.arrow import content_digest
from transforms.formats.parquet import read_parquet
from transforms.schemas.parameters import PARAMETER_NAMES
from transforms.table.content import has_content
from transforms.table.snapshots import Snapshot, current_snapshot

FIXTURES = Path(__file__).parent / "v0_1"
EXPECTED: dict[str, Any] = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of the fixtures, to write into."""
    return shutil.copytree(FIXTURES, tmp_path / "old")


def tag(old: Path, table: str, model: str) -> Snapshot:
    """Tags the catalog, whose audio is gone, and returns the snapshot."""
    command = ["tag", "--catalog", str(old / "catalog.parquet"), "--model", str(old / model)]
    assert main([*command, "--table", str(old / table), "--max-reject-ratio", "0.5", "--accept-changes"]) == 0
    snapshot = current_snapshot(str(old / table))
    assert snapshot is not None
    return snapshot


def content_hash_of_then(table: Path, snapshot: Snapshot) -> str:
    """The content hash as version 0.1 had it: with the source versions of the ledger, without parameters of tracks."""
    files = []
    for file in snapshot.run.files:
        if file.table == "tracks":
            rows = read_parquet(str(table / file.path))
            assert all(rows[name].null_count == rows.num_rows for name in PARAMETER_NAMES)
            file = dataclasses.replace(file, content=content_digest(rows.drop_columns(list(PARAMETER_NAMES))))
        if file.table == "ledger":
            rows = read_parquet(str(table / file.path))
            status = pc.if_else(pc.equal(rows["status"], "carried"), "tagged", rows["status"])
            rows = rows.set_column(rows.column_names.index("status"), "status", status).drop_columns("run_id")
            assert has_content("ledger", read_parquet(str(table / file.path)), content_digest(rows))
            file = dataclasses.replace(file, content=content_digest(rows))
        files.append(file)
    return dataclasses.replace(snapshot.run, files=tuple(files)).content_hash


def untouched(snapshot: Snapshot) -> bool:
    """Whether a run opened no audio: each file that it had tried to open would be rejected as `not_found`."""
    return snapshot.run.counts["decoded"] == 0 and snapshot.run.reasons == EXPECTED["third"]["reasons"]


def test_there_is_no_audio_to_decode(old: Path) -> None:
    kept = {path.suffix for path in old.rglob("*") if path.is_file()}
    assert kept == {".json", ".md", ".npz", ".parquet", ".sql", ".tfrecord", ".txt", ".yaml"}


def test_the_table_is_described_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(FIXTURES / "table"), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["snapshots"]
    assert len(found) == len(EXPECTED["snapshots"]) == 2
    for now, then in zip(found, EXPECTED["snapshots"], strict=True):
        # A later version may tell more about a snapshot, and nothing else about what was told.
        assert {name: now[name] for name in then} == then


@pytest.mark.parametrize("number", [1, 2])
def test_every_promise_of_its_snapshots_is_kept(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(FIXTURES / "table"), "--snapshot", str(number)]) == 0
    assert EXPECTED["snapshots"][number - 1]["content_hash"] in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(EXPECTED["queries"]))
def test_questions_get_the_same_answers(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", str(FIXTURES / "table"), EXPECTED["queries"][name], "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer and answer == EXPECTED["answers"][name]


def test_the_killed_run_is_resumed_without_decoding(old: Path) -> None:
    snapshot = tag(old, "table", "trained")
    counts, then = snapshot.run.counts, EXPECTED["third"]
    assert untouched(snapshot)
    assert (counts["reused"], counts["carried"]) == (then["counts"]["decoded"], then["counts"]["carried"])
    assert (snapshot.number, content_hash_of_then(old / "table", snapshot)) == (3, then["content_hash"])
    assert main(["verify", str(old / "table")]) == 0


def test_a_table_tagged_on_twice_carries_every_track(old: Path) -> None:
    first, second = tag(old, "table", "trained"), tag(old, "table", "trained")
    counts = second.run.counts
    assert untouched(second)
    assert (counts["reused"], counts["tagged"], counts["carried"]) == (0, 0, 24)
    assert second.run.content_hash == first.run.content_hash


def test_part_files_for_another_bundle_are_used(old: Path) -> None:
    snapshot, then = tag(old, "further", "fake"), EXPECTED["further"]
    assert untouched(snapshot)
    assert snapshot.run.counts == then["counts"]
    assert content_hash_of_then(old / "further", snapshot) == then["content_hash"]


def test_a_changed_track_is_looked_for(old: Path) -> None:
    """`untouched` can fail: a track whose source has changed is opened, and its audio is not there."""
    rows = pq.read_table(old / "catalog.parquet")
    tracks, versions = (rows[name].to_pylist() for name in ("track_id", "source_version"))
    changed = ["3" if track == "track-0000" else version for track, version in zip(tracks, versions, strict=True)]
    place = rows.column_names.index("source_version")
    pq.write_table(rows.set_column(place, "source_version", pa.array(changed)), old / "catalog.parquet")
    snapshot = tag(old, "table", "trained")
    assert not untouched(snapshot)
    assert snapshot.run.reasons == {**EXPECTED["third"]["reasons"], "not_found": 1}


@pytest.mark.parametrize(
    ("model", "ids"), [("trained", EXPECTED["third"]["ids"]), ("fake", EXPECTED["further"]["ids"])]
)
def test_bundles_keep_their_ids(model: str, ids: dict[str, str]) -> None:
    bundle = load_bundle(str(FIXTURES / model))
    found = {"feature_id": bundle.feature_id, "embedding_id": bundle.embedding_id, "tagger_id": bundle.tagger_id}
    assert {**found, "taxonomy_id": bundle.taxonomy.taxonomy_id} == ids


def test_new_heads_are_fitted_on_the_table_and_tag_it(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["refit", "--table", str(old / "table"), "--model", str(old / "trained")]
    assert main([*command, "--catalog", str(old / "catalog.parquet"), "--output", str(old / "refitted")]) == 0
    assert "tracks: 12 train, 3 validation, 6 test" in capsys.readouterr().out, "the bundle's split is kept"
    snapshot = tag(old, "table", "refitted")
    ids = snapshot.run.ids
    assert untouched(snapshot)
    assert ids.embedding_id == EXPECTED["third"]["ids"]["embedding_id"]
    assert ids.tagger_id == load_bundle(str(old / "refitted")).tagger_id


def test_the_dataset_is_read() -> None:
    manifest = read_manifest(str(FIXTURES / "dataset"))
    assert manifest.splits == {"train": 15, "validation": 3, "test": 6}
    assert manifest.feature_id == EXPECTED["third"]["ids"]["feature_id"]


def test_the_bundle_is_rated_on_the_dataset_as_it_was(old: Path) -> None:
    output = old / "evaluation"
    command = ["evaluate", "--model", str(old / "trained"), "--dataset", str(old / "dataset")]
    assert main([*command, "--output", str(output), "--resamples", "0"]) == 0
    averages = json.loads((output / "evaluation.json").read_text(encoding="utf-8"))["averages"]
    macro = [a for a in averages if (a["average"], a["category"], a["slice"]) == ("macro", "all", "all")]
    found = {a["model"]: {name: a["metrics"][name]["value"] for name in ("roc_auc", "pr_auc")} for a in macro}
    assert set(found) == set(EXPECTED["evaluation"])
    for model, values in EXPECTED["evaluation"].items():
        assert found[model] == pytest.approx(values, abs=1e-6)
