"""`tag` in waves: the same rows as one pipeline, whatever the waves, and a kill between two of them costs no work."""

import dataclasses
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.bundles.fake import write_fake_bundle
from pipelines.jobs.tag import running
from pipelines.waves import tagging
from pipelines.waves.running import WaveRunner
from tests.support.world import World, ledger, tag, tag_code
from transforms.features.spec import FeatureSpec
from transforms.formats.arrow import group_numbers
from transforms.storage.scratch import PREFIX
from transforms.table.snapshots import current_snapshot
from transforms.taxonomy.hierarchy import load_taxonomy

BUCKETS = 5
FLAGS = ("--buckets", str(BUCKETS), "--chunk-tracks", "2")


@pytest.fixture(scope="module")
def in_one(world: World, tmp_path_factory: pytest.TempPathFactory):
    """A table that one pipeline over all buckets made, as on other engines."""
    table = tmp_path_factory.mktemp("one") / "table"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "is_local", lambda options: False)
        return table, tag(world, table, *FLAGS)


@pytest.fixture
def scratch_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which runs of this test make their scratch space."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize(
    "buckets", [pytest.param(1, marks=pytest.mark.long), pytest.param(2, marks=pytest.mark.long), BUCKETS]
)
def test_the_same_content_in_however_many_waves(
    world: World, in_one, table: Path, monkeypatch: pytest.MonkeyPatch, scratch_in: Path, buckets: int
) -> None:
    waves: list[list[int]] = []
    run = WaveRunner.run
    monkeypatch.setattr(tagging, "WAVE_BUCKETS", buckets)
    monkeypatch.setattr(WaveRunner, "run", lambda self, wave, *rest: (waves.append(wave), run(self, wave, *rest)))
    snapshot = tag(world, table, "--direct_num_workers=1", *FLAGS)
    expected = in_one[1].run
    assert snapshot.run.content_hash == expected.content_hash
    assert (snapshot.run.run_id, snapshot.run.counts) == (expected.run_id, expected.counts)
    assert snapshot.run.measured["counters"].keys() == expected.measured["counters"].keys()
    assert snapshot.run.reasons == expected.reasons and snapshot.run.gates == expected.gates
    assert len(waves) == 2 * -(-BUCKETS // buckets) and max(map(len, waves)) == buckets
    assert sorted(itertools.chain(*waves)) == sorted(2 * list(range(BUCKETS)))
    assert not list((table / "launches").iterdir()) and len(list((table / "snapshots").iterdir())) == 1
    assert list(scratch_in.iterdir()) == []


@pytest.mark.long
def test_evidence_for_the_gates_is_that_of_one_pipeline(
    world: World, in_one, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second night with other heads, and without a bucket, is compared with the first one alike."""
    rows = world.rows()
    numbers = group_numbers(rows["track_id"].to_pylist(), BUCKETS)
    pq.write_table(rows.filter(pa.array(numbers != numbers[0])), tmp_path / "less.parquet")
    taxonomy = load_taxonomy(str(world.folder / "taxonomy.yaml"))
    write_fake_bundle(str(tmp_path / "bundle"), taxonomy, FeatureSpec(patches_per_track=4), head_seed=1)
    found = []
    for local in (True, False):
        table = shutil.copytree(in_one[0], tmp_path / f"table-{local}")
        with monkeypatch.context() as patch:
            patch.setattr(running, "is_local", lambda options, local=local: local)
            words = ("--catalog-root", str(world.folder), "--max-removed-ratio", "1")
            snapshot = tag(
                dataclasses.replace(world, folder=tmp_path), table, *words, catalog=tmp_path / "less.parquet"
            )
        found.append((snapshot.run.run_id, snapshot.run.evidence, snapshot.run.gates))
    assert found[0] == found[1]
    before = in_one[1].run.counts
    drift = found[0][1]["drift"].values()
    assert {tuple(own["tracks"]) for own in drift} == {
        (before["tagged"], snapshot.run.counts["tagged"] + snapshot.run.counts["carried"])
    }
    assert found[0][1]["before"] == before and min(own["unchanged"]["correlation"] or 0 for own in drift) < 0.9


def test_problems_in_any_bucket_stop_the_first_wave(
    world: World, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(WaveRunner, "run", lambda *_: pytest.fail("a wave was run"))
    rows = world.rows()
    pq.write_table(pa.concat_tables([rows, rows.slice(0, 2)]), tmp_path / "twice.parquet")
    assert tag_code(world, table, *FLAGS, catalog=tmp_path / "twice.parquet") == 3
    assert "gate unique: 2 problems in the catalog" in capsys.readouterr().err


def _killed_after(waves: int, world: World, table: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "tests.support.killed_tag", str(waves), "tag", "--catalog", str(world.catalog)]
    command += ["--catalog-root", str(world.folder), "--model", str(world.bundle), "--table", str(table)]
    environment = {**os.environ, "TMPDIR": str(folder)}
    code = subprocess.run(
        [*command, "--max-reject-ratio=0.9", "--direct_num_workers=1", *FLAGS], env=environment, check=False
    ).returncode
    assert code == -signal.SIGKILL and current_snapshot(str(table)) is None


@pytest.mark.parametrize(
    "waves",
    [2, pytest.param(BUCKETS, marks=pytest.mark.long), pytest.param(BUCKETS + 2, marks=pytest.mark.long)],
    ids=["extraction", "before-assembly", "assembly"],
)
def test_a_run_killed_between_waves_resumes(world: World, in_one, table: Path, scratch_in: Path, waves: int) -> None:
    _killed_after(waves, world, table, scratch_in)
    done = {path.parent.name for path in table.glob("work/bucket=*/*.parquet")}
    assert len(done) == min(waves, BUCKETS)
    (left,) = scratch_in.glob(f"{PREFIX}*")
    os.utime(left, (0, 0))  # made long ago
    snapshot = tag(world, table, *FLAGS)
    assert snapshot.run.content_hash == in_one[1].run.content_hash
    assert snapshot.run.counts["reused"] == sum(
        f"bucket={number:04d}" in done for number in _buckets(table, snapshot).values()
    )
    assert list(scratch_in.iterdir()) == [], "the scratch space of the killed run is gone"


def _buckets(table: Path, snapshot) -> dict[str, int]:
    return {
        track: file.bucket
        for file in snapshot.files("ledger")
        for track in pq.read_table(table / file.path)["track_id"].to_pylist()
    }


@pytest.mark.long
def test_the_next_run_of_a_large_table_carries_everything(world: World, in_one, tmp_path: Path) -> None:
    table = shutil.copytree(in_one[0], tmp_path / "table")
    second = tag(world, table, *FLAGS)
    assert second.run.counts["decoded"] == second.run.counts["tagged"] == 0
    assert second.run.content_hash == in_one[1].run.content_hash
    assert ledger(table, second).keys() == ledger(*in_one).keys()
