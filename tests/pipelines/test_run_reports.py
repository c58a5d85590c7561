"""The reports that `tag` and `publish` write, of published, blocked and failed runs; who removes and checks them."""

import json
import os
import shutil
from pathlib import Path

import pytest

import pipelines.jobs.tag.running
from pipelines.cli import main
from tests.support.world import World, make_world, tag, tag_code
from transforms import storage
from transforms.formats.sealing import open_sealed
from transforms.maintenance import takedown
from transforms.maintenance.kinds import kind_of_path
from transforms.publishing.commit import read_run
from transforms.table.layout import report_paths
from transforms.table.snapshots import Snapshot, read_snapshot

PRICES = "currency: USD\ncore_hour: 3600\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"), tracks=6)


@pytest.fixture(scope="module")
def first(world: World) -> tuple[Path, Snapshot]:
    """A table with one snapshot."""
    table = world.folder / "first"
    (world.folder / "prices.yaml").write_text(PRICES)
    return table, tag(world, table, "--prices", str(world.folder / "prices.yaml"))


@pytest.fixture
def table(first: tuple[Path, Snapshot], tmp_path: Path) -> Path:
    return Path(shutil.copytree(first[0], tmp_path / "table"))


def summary_of(table: Path, name: str) -> dict:
    page, summary = (table / path for path in report_paths(name))
    assert page.read_text().startswith("<!DOCTYPE html>") and page.read_text().endswith("</html>\n")
    return open_sealed(summary.read_bytes()).fields


def new_report(table: Path) -> str:
    """The name of the report of a launch without a run."""
    (found,) = [path.name for path in (table / "reports").iterdir() if not path.name.startswith("run-")]
    return found


def test_a_published_run_is_told_as_its_manifest_tells_it(first: tuple[Path, Snapshot]) -> None:
    table, snapshot = first
    summary, manifest = summary_of(table, snapshot.run.run_id), read_snapshot(str(table), 1).to_json()
    told = summary["run"]
    same = ("run_id", "content_hash", "ids", "counts", "reasons", "changes", "plan", "gates", "measured", "options")
    assert {name: told[name] for name in same} == {name: manifest[name] for name in same}
    assert (summary["status"], summary["snapshot"], summary["exit_code"]) == ("published", 1, 0)
    assert summary["prevalence"] == {} and told["tables"]["ledger"]["rows"] == manifest["counts"]["catalog"]
    core = sum(manifest["measured"]["core_seconds"].values())
    assert summary["work"]["money"]["compute"] == pytest.approx(core)
    assert summary["work"]["decoded_tracks_per_core_hour"] == pytest.approx(summary["work"]["extracted"] * 3600 / core)
    assert summary["work"]["extracted"] == manifest["counts"]["tagged"] and summary["work"]["same_bytes"] == 0
    assert summary["work"]["rejected"] == manifest["counts"]["rejected"]
    names = [phase["name"] for phase in summary["phases"] if phase["completed"]]
    assert "opening catalog, bundle and table" in names and names[-1] == "auditing and publishing"
    slowest = [one["core_seconds"] for one in summary["slowest"]]
    spread = manifest["measured"]["core_seconds"]["extract"]
    assert slowest == sorted(slowest, reverse=True) and 0 < sum(slowest) <= spread + 1e-9
    memory = manifest["measured"]["distributions"]["extract"]["child_bytes"]["max"]
    assert summary["heaviest"][0]["child_bytes"] == memory
    assert [one["reason"] for one in summary["rejects"]] == list(manifest["reasons"])
    assert all(len(one["examples"]) == min(one["tracks"], 10) for one in summary["rejects"])


def test_a_blocked_run_has_a_page_and_its_override_too(
    world: World, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tag_code(world, table, "--max-reject-ratio", "0") == 3
    error = capsys.readouterr().err
    (run_id,) = {path.stem for path in (table / "runs").iterdir()} - {read_snapshot(str(table), 1).run.run_id}
    assert f"report: {table / report_paths(run_id)[0]}" in error.splitlines()
    listed = [line.strip().split(",")[0].split(":")[0] for line in error.splitlines() if line.startswith("  ")]
    assert len(listed) == len(set(listed)) == sum(read_run(str(table), run_id).reasons.values()), "each reject once"
    summary, run = summary_of(table, run_id), read_run(str(table), run_id)
    gate = summary["run"]["gates"]["rejected"]
    assert (summary["status"], summary["exit_code"], summary["snapshot"]) == ("blocked", 3, None)
    assert gate["limit"] == 0 and not gate["passed"] and gate["offenders"] == run.gates["rejected"]["offenders"]
    assert "gate rejected (value " in summary["cause"] and summary["run"]["counts"] == run.counts
    assert {tag: found["positives"] for tag, found in summary["prevalence"].items()} == {
        tag: found["positives"] for tag, found in run.evidence["drift"].items()
    }
    assert main(["publish", str(table), run_id, "--override", "rejected", "--reason", "known <files>"]) == 0
    summary = summary_of(table, run_id)
    assert (summary["status"], summary["snapshot"]) == ("published", 2)
    assert summary["run"]["overrides"] == list(read_snapshot(str(table), 2).run.overrides)
    assert summary["rejects"][0]["examples"], "the receipt of the launch names the tracks"
    assert "known &lt;files&gt;" in (table / report_paths(run_id)[0]).read_text()
    (named,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("report: ")]
    assert named == f"report: {table / report_paths(run_id)[0]}"


def test_a_catalog_that_is_refused_before_the_job_has_a_page(
    world: World, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cut := tmp_path / "cut.parquet").write_bytes(world.catalog.read_bytes()[:-9])
    assert tag_code(world, table, catalog=cut) == 3
    summary = summary_of(table, name := new_report(table))
    assert capsys.readouterr().err.splitlines()[-1] == f"report: {table / report_paths(name)[0]}"
    assert (summary["status"], summary["exit_code"], summary["run"]) == ("blocked", 3, None)
    assert "gate counted" in summary["cause"] and str(cut) in summary["cause"] and summary["catalog"] == str(cut)
    assert [(phase["name"], phase["completed"]) for phase in summary["phases"]] == [
        ("opening catalog, bundle and table", False)
    ]


def test_a_failed_job_has_a_page(
    world: World, table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_):
        raise RuntimeError("the <disk> broke at gs://user:secret@host\nsecond line")

    monkeypatch.setattr(pipelines.jobs.tag.running, "tag_in_waves", fail)
    assert tag_code(world, table) == 1
    summary = summary_of(table, name := new_report(table))
    assert (summary["status"], summary["exit_code"], summary["details"]) == ("failed", 1, ["second line"])
    assert summary["cause"].startswith("the <disk> broke") and "secret" not in json.dumps(summary)
    assert summary["phases"][0]["completed"] and "the &lt;disk&gt; broke" in (table / report_paths(name)[0]).read_text()
    assert f"report: {table / report_paths(name)[0]}" in capsys.readouterr().err


def test_wrong_usage_has_no_report(world: World, table: Path) -> None:
    before = sorted(path.name for path in (table / "reports").iterdir())
    assert tag_code(world, table, "--chunk-tracks", "0") == 2
    for place in (world.folder / "bundel", world.folder, table):
        assert tag_code(World(place.parent), table, "--model", str(place), catalog=world.catalog) == 1
    assert tag_code(world, table / "none", catalog=world.folder / "none.parquet") != 0
    assert sorted(path.name for path in (table / "reports").iterdir()) == before
    assert not (table / "none").exists()


def test_prices_are_read_before_anything_starts(world: World, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tag_code(world, table, "--prices", "none.yaml") == 1
    assert "--prices none.yaml: " in capsys.readouterr().err and not list((table / "launches").glob("*"))


def test_a_report_that_cannot_be_written_changes_nothing(
    world: World, table: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = storage.write_bytes

    def refuse(url: str, data: bytes) -> None:
        if "/reports/" in url:
            raise storage.StorageError(f"{url}: full")
        write(url, data)

    monkeypatch.setattr(storage, "write_bytes", refuse)
    assert tag_code(world, table) == 0
    assert read_snapshot(str(table), 2).run.counts["carried"] > 0
    assert len(list((table / "reports").iterdir())) == 1


def test_verify_knows_reports(first: tuple[Path, Snapshot], table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = first[1].run.run_id
    assert {kind_of_path(path) for path in report_paths(run_id)} == {"reports"}
    assert main(["verify", str(table), "--all"]) == 0
    summary = table / report_paths(run_id)[1]
    summary.write_bytes(summary.read_bytes().replace(b'"status": "published"', b'"status": "blocked"'))
    assert main(["verify", str(table), "--all"]) == 1
    assert f"{summary} was changed since it was written" in capsys.readouterr().out


def test_gc_and_purge_remove_reports(
    world: World, first: tuple[Path, Snapshot], table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takedown, "_sleep", lambda seconds: None)
    (cut := tmp_path / "cut.parquet").write_bytes(b"PAR1")
    reports = table / "reports"
    run_id = first[1].run.run_id
    track = summary_of(table, run_id)["slowest"][0]["track_id"]
    assert [tag_code(world, table, catalog=cut) for _ in range(2)] == [3, 3]
    old, young = sorted(path for path in reports.iterdir() if path.name != run_id)
    for path in (*old.iterdir(), *(reports / run_id).iterdir()):
        os.utime(path, (1e9, 1e9))
    assert main(["gc", str(table), "--apply"]) == 0
    assert sorted(reports.iterdir()) == sorted([young, reports / run_id]), "reports of runs that stay stay"
    assert main(["purge", str(table), "--track-id", track, "--apply"]) == 0
    assert list(reports.iterdir()) == [young], "a report that names the track is gone"
