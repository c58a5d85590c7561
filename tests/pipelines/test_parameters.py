"""`tag --parameters`: what a track sounds like, in the table; measured again without embedding anything again."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from tests.support.drums import ROCK, WALTZ, pattern
from tests.support.poisoned_tag import poisoned_sandbox
from tests.support.synth import encode, sine
from tests.support.world import World, ledger, tag, tag_code
from transforms.extraction import chunk_extractor
from transforms.features.parameters.spec import ParametersSpec
from transforms.schemas.parameters import PARAMETER_NAMES, PARAMETERS_ID
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.table.snapshots import Snapshot
from transforms.table.versions import TableMetadata, read_table_metadata

DEFAULT = ParametersSpec()


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog: rock at 120 beats a minute, a waltz at 150, a tone, and a file without samples."""
    folder = tmp_path_factory.mktemp("songs")
    rock, waltz = (pattern(bpm, strokes, seconds=8.0)[:, None] for bpm, strokes in ((120, ROCK), (150, WALTZ)))
    for name, samples in (("rock", np.repeat(rock, 2, axis=1)), ("waltz", waltz), ("tone", sine(5.0, 16_000))):
        (folder / f"{name}.flac").write_bytes(encode(samples, 16_000, format="FLAC"))
    (folder / "empty.flac").write_bytes(b"")
    return write_catalog(folder, "rock", "waltz", "tone", "empty")


def write_catalog(folder: Path, *names: str) -> Path:
    rows = {
        "track_id": list(names),
        "uri": [str(folder / f"{name}.flac") for name in names],
        "key": ["8A"] * len(names),
    }
    pq.write_table(pa.table(rows), folder / "catalog.parquet")
    return folder / "catalog.parquet"


def run(world: World, catalog: Path, table: Path, *flags: str) -> Snapshot:
    return tag(world, table, "--allow-root", str(catalog.parent), *flags, catalog=catalog)


def tracks(table: Path) -> dict[str, dict[str, object]]:
    return {row["track_id"]: row for row in open_snapshot(str(table)).scan("tracks").to_pylist()}


@pytest.fixture(scope="module")
def measured(world: World, songs: Path, tmp_path_factory: pytest.TempPathFactory) -> SnapshotReader:
    """A new table, tagged without flags."""
    table = tmp_path_factory.mktemp("measured") / "table"
    run(world, songs, table)
    return open_snapshot(str(table))


def embedded(snapshot: Snapshot) -> int:
    """Tracks that the run has embedded."""
    counters: dict[str, dict[str, int]] = snapshot.run.measured["counters"]
    return counters.get("embed", {}).get("tracks", 0)


def test_a_new_table_says_what_tracks_sound_like(measured: SnapshotReader) -> None:
    rows = {row["track_id"]: row for row in measured.scan("tracks").to_pylist()}
    rock, waltz, tone = rows["rock"], rows["waltz"], rows["tone"]
    assert rock["tempo_bpm"] == pytest.approx(120, rel=0.01) and (rock["beats_per_bar"], rock["beat_unit"]) == (4, 4)
    assert waltz["tempo_bpm"] == pytest.approx(150, rel=0.01) and waltz["beats_per_bar"] == 3
    assert tone["tempo_bpm"] is tone["key"] is tone["danceability"] is None and tone["loudness_lufs"] is not None
    assert (rock["stereo_width"], waltz["stereo_width"], rock["phase_inverted"]) == (0, None, False)
    assert {row[PARAMETERS_ID] for row in rows.values()} == {DEFAULT.parameters_id}
    assert {row["loudness_of"] for row in rows.values()} == {"excerpt"}
    assert {row["catalog_key"] for row in rows.values()} == {"8A"}, "a column of the catalog is kept beside ours"
    assert read_table_metadata(measured.root) == TableMetadata(buckets=1, min_reader_version=1, min_writer_version=4)
    assert measured.manifest.run.parameters == {"parameters_id": DEFAULT.parameters_id, **DEFAULT.to_json()}


def test_parameters_are_added_to_a_table_without_them_and_nothing_is_embedded_again(
    world: World, songs: Path, measured: SnapshotReader, tmp_path: Path
) -> None:
    table = tmp_path / "table"
    first = run(world, songs, table, "--parameters", "none")
    assert not set(open_snapshot(str(table)).schema("tracks").names) & set(PARAMETER_NAMES)
    assert first.run.content_hash != measured.manifest.run.content_hash and embedded(first) == 3
    quiet = run(world, songs, table)
    assert quiet.run.counts["decoded"] == 0 and quiet.run.content_hash == first.run.content_hash
    then = run(world, songs, table, "--parameters", "default")
    assert (embedded(then), then.run.plan["happened"]["extract"], then.run.counts["carried"]) == (0, 3, 3)
    assert then.run.content_hash == measured.manifest.run.content_hash


def test_the_plan_says_what_is_lacking_and_what_it_takes(
    world: World, songs: Path, measured: SnapshotReader, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--allow-root", str(songs.parent), "--plan", "--json")
    capsys.readouterr()
    for given, lacking, extracted in (((), 0, 0), (("--loudness", "full"), 3, 3), (("--parameters", "full"), 3, 3)):
        assert tag_code(world, Path(measured.root), *flags, *given, catalog=songs) == 0
        found = json.loads(capsys.readouterr().out)["tracks"]
        assert (found["without_parameters"], found["actions"]["extract"]) == (lacking, extracted)
        assert found["stale"]["parameters"] == extracted
    assert tag_code(world, Path(measured.root), *flags[:-1], "--parameters", "full", catalog=songs) == 0
    plan = capsys.readouterr().out
    assert "read and decode, keep the embedding  " in plan and "read, decode and embed" not in plan


def test_loudness_of_whole_files_is_told_apart(
    world: World, songs: Path, measured: SnapshotReader, tmp_path: Path
) -> None:
    run(world, songs, tmp_path / "table", "--loudness", "full")
    rows, excerpts = tracks(tmp_path / "table"), {row["track_id"]: row for row in measured.scan("tracks").to_pylist()}
    for name, row in rows.items():
        assert row["loudness_of"] == "full" and row[PARAMETERS_ID] == ParametersSpec(loudness="full").parameters_id
        assert row["loudness_lufs"] == pytest.approx(excerpts[name]["loudness_lufs"], abs=0.5)
        assert row["tempo_bpm"] == excerpts[name]["tempo_bpm"]


def test_a_decoder_that_dies_of_parameters_alone_costs_no_tags(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_extractor, "shared_sandbox", poisoned_sandbox)
    for name, content in (("a", b"good\n1"), ("b", b"segfault if measured"), ("c", b"segfault")):
        (tmp_path / f"{name}.flac").write_bytes(content)
    snapshot = run(world, write_catalog(tmp_path, "a", "b", "c"), tmp_path / "table")
    rows = ledger(tmp_path / "table", snapshot)
    assert [rows[name]["reason"] for name in "abc"] == [None, None, "crash"]
    assert [rows[name]["detail"] for name in "ab"] == [None, "parameters: crash"]
    found = tracks(tmp_path / "table")
    assert found["b"][PARAMETERS_ID] == DEFAULT.parameters_id and found["b"]["loudness_lufs"] is None


def test_loudness_without_parameters_is_refused(
    world: World, songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--parameters", "none", "--loudness", "full", "--quiet")
    assert tag_code(world, tmp_path / "table", *flags, catalog=songs) == 2
    assert "--loudness=full: no parameters are measured: add --parameters default" in capsys.readouterr().err
    assert not (tmp_path / "table").exists()


RULES = """rules:
  - name: pace
    kind: multiclass
    min_confidence: 0
    tags:
      - {id: pace/walking, when: {tempo_bpm: {from: 110, below: 130}}}
      - {id: pace/running, when: {tempo_bpm: {from: 130}}}
  - name: bars
    kind: binary
    min_confidence: 0
    tags:
      - {id: bars/triple, when: {beats_per_bar: 3}}
"""


@pytest.mark.long
def test_rules_that_come_later_turn_the_columns_into_tags_and_decode_nothing(
    world: World, songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, model = tmp_path / "table", tmp_path / "ruled"
    run(world, songs, table)
    (tmp_path / "rules.yaml").write_text(RULES)
    words = ["--model", str(world.bundle), "--rules", str(tmp_path / "rules.yaml"), "--output", str(model)]
    assert main(["import-model", "rules", *words]) == 0
    flags = ["--catalog", str(songs), "--allow-root", str(songs.parent), "--model", str(model), "--table", str(table)]
    capsys.readouterr()
    assert main(["tag", *flags, "--max-reject-ratio", "0.9", "--plan"]) == 0
    plan = capsys.readouterr().out
    assert "the taxonomy changed" in plan and "3 tags added (bars/triple, pace/running, pace/walking)" in plan
    assert "to read: 0 files" in plan and "processor time" in plan
    assert main(["tag", *flags, "--max-reject-ratio", "0.9", "--accept-changes"]) == 0
    snapshot = open_snapshot(str(table))
    assert snapshot.manifest.run.counts["decoded"] == 0 == embedded(snapshot.manifest)
    rows = snapshot.scan("track_tags").to_pylist()
    tags = {(row["track_id"], row["tag"]): row for row in rows if row["source"] == "rule"}
    found, facts = {key: row["score"] for key, row in tags.items()}, tracks(table)
    rock, waltz = facts["rock"], facts["waltz"]
    assert found["rock", "pace/walking"] == pytest.approx(rock["tempo_confidence"], abs=1e-4)
    assert found["waltz", "pace/running"] == pytest.approx(waltz["tempo_confidence"], abs=1e-4)
    assert found["waltz", "bars/triple"] == pytest.approx(waltz["metre_confidence"], abs=1e-4)
    assert found["rock", "bars/triple"] == 0 and {track for track, _ in tags} == {"rock", "waltz"}
    assert main(["verify", str(table)]) == 0
    assert read_table_metadata(str(table)).min_writer_version == 5


def test_rules_without_parameters_are_named_before_the_run(
    world: World, songs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    words = ["--model", str(world.bundle), "--rules", str(tmp_path / "rules.yaml"), "--output", str(tmp_path / "ruled")]
    assert main(["import-model", "rules", *words]) == 0
    flags = ["--catalog", str(songs), "--allow-root", str(songs.parent), "--model", str(tmp_path / "ruled")]
    assert main(["tag", *flags, "--table", str(tmp_path / "t"), "--parameters", "none", "--plan"]) == 0
    assert "the rules of pace, bars need parameters, and none are measured" in caplog.text
