"""`tag --plan` from the command line: what it prints, what it measures, and that it writes nothing."""

import dataclasses
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.bundles.fake import write_fake_bundle
from pipelines.cli import main
from pipelines.jobs.tag import running
from tests.support.world import World, other_bundle, tag, tag_code
from transforms import storage
from transforms.features.spec import FeatureSpec
from transforms.table.snapshots import current_snapshot
from transforms.taxonomy.hierarchy import load_taxonomy

PRICES = Path(__file__).parents[3] / "deploy" / "prices.yaml"


def plan(world: World, table: Path | str, capsys: pytest.CaptureFixture[str], *flags: str, catalog=None) -> dict:
    """The document of `tag --plan`."""
    capsys.readouterr()
    assert tag_code(world, table, "--plan", "--json", *flags, catalog=catalog) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def tagged(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with one snapshot of all but two tracks of the world."""
    folder = tmp_path_factory.mktemp("planned")
    rows = world.rows()
    pq.write_table(rows.slice(2), folder / "catalog.parquet")
    tag(world, folder / "table", catalog=folder / "catalog.parquet")
    return folder / "table"


@pytest.mark.parametrize("engine", ["waves", "graph"])
def test_the_plan_is_what_the_run_does(
    world: World, tagged: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """One pipeline over the whole catalog, as on other engines, and waves."""
    table = shutil.copytree(tagged, tmp_path / "table")
    if engine == "graph":
        monkeypatch.setattr(running, "is_local", lambda options: False)
    rows = world.rows()
    pq.write_table(rows.slice(0, rows.num_rows - 1), tmp_path / "catalog.parquet")
    expected = plan(world, table, capsys, catalog=tmp_path / "catalog.parquet")
    assert (expected["tracks"]["new"], expected["tracks"]["removed"], expected["snapshot"]) == (2, 1, 1)
    run = tag(world, table, catalog=tmp_path / "catalog.parquet").run
    actions, counters, ran = expected["tracks"]["actions"], run.measured["counters"], run.plan["happened"]
    assert {name: ran[name] for name in actions} == actions
    assert (ran["new"], ran["removed"]) == (2, 1) == (run.changes["added"], run.changes["removed"])
    assert counters["extract"]["tracks_read"] == expected["read"]["files"] == actions["extract"] == 2
    sizes = run.measured["distributions"]["extract"]["source_bytes"]
    assert sizes["sum"] == expected["read"]["bytes"] == expected["read"]["bytes_of_known_size"] > 0
    assert ran["read_bytes"] == sizes["sum"] and ran["wall_seconds"] > 0
    assert run.plan["expected"]["core_seconds"].keys() == ran["core_seconds"].keys()
    if engine == "waves":
        words = f"planned: new 2, removed 1, extracted 2, reused 0, carried {actions['carry']}, "
        assert words in (said := capsys.readouterr().out) and "all as planned" in said


def test_costs_are_those_of_earlier_runs(world: World, tagged: Path, capsys) -> None:
    run = current_snapshot(str(tagged)).run
    found = plan(world, tagged, capsys, "--workers", "4", "--prices", str(PRICES))
    measured, per_track = run.measured, found["measured"]["core_seconds_per_track"]
    read = measured["counters"]["extract"]["tracks_read"]
    assert per_track["extract"] == pytest.approx(measured["core_seconds"]["extract"] / read)
    assert per_track["assemble"] == pytest.approx(measured["core_seconds"]["assemble"] / run.counts["catalog"])
    assert (found["measured"]["snapshots"], found["measured"]["sampled_tracks"]) == ([1], 0)
    cost = found["cost"]
    assert cost["core_seconds"]["extract"] == pytest.approx(2 * per_track["extract"])
    assert cost["core_hours"] == pytest.approx(sum(cost["core_seconds"].values()) / 3600)
    assert cost["wall_seconds"] == pytest.approx(cost["core_hours"] * 3600 / 4)
    money, stored = cost["money"], sum(cost["storage_bytes"].values())
    assert money["compute"] == pytest.approx(0.06 * cost["core_hours"]) and money["currency"] == "USD"
    assert money["storage_month"] == pytest.approx(0.02 * stored / 1e9)
    assert money["total"] == pytest.approx(money["compute"] + money["storage_month"])
    kept = run.counts["tagged"]
    tables = sum(file.bytes for file in run.files) / kept * 2  # of the others, the rows stay
    assert cost["storage_bytes"]["tables"] == round(tables)


def test_a_new_table_is_measured_by_a_sample_and_not_written(world: World, table: Path, capsys) -> None:
    unknown = plan(world, table, capsys)
    assert unknown["cost"]["core_hours"] is None and unknown["cost"]["core_seconds"]["extract"] is None
    assert unknown["measured"]["sampled_tracks"] == 0 and unknown["snapshot"] is None
    found = plan(world, table, capsys, "--measure", "6", "--prices", str(PRICES))
    assert found["measured"]["sampled_tracks"] == 6 and found["measured"]["snapshots"] == []
    assert all(seconds > 0 for seconds in found["cost"]["core_seconds"].values())
    assert all(size > 0 for size in found["cost"]["storage_bytes"].values())
    assert found["cost"]["money"]["total"] > 0 and found["tracks"] == unknown["tracks"]
    assert not table.exists()


def test_without_measurements_the_text_says_what_to_give(world: World, table: Path, capsys) -> None:
    assert tag_code(world, table, "--plan") == 0
    said = capsys.readouterr().out
    assert "no earlier run measured read, extract, embed, assemble: give --measure 50" in said
    assert f"plan for {table}, which has no snapshot yet; nothing was written" in said
    assert not table.exists()


def test_a_plan_leaves_every_file_of_the_table(world: World, tagged: Path, tmp_path: Path, capsys) -> None:
    files = {path: path.read_bytes() for path in tagged.rglob("*") if path.is_file()}
    other = other_bundle(world, tmp_path)
    flags = ["--measure", "3", "--also", str(other.bundle), str(tmp_path / "two"), "--no-wait"]
    found = plan(world, tagged, capsys, *flags)
    assert {path: path.read_bytes() for path in tagged.rglob("*") if path.is_file()} == files
    assert found["also"] == [{"model": str(other.bundle), "table": str(tmp_path / "two"), "tracks": 2}]
    assert not (tmp_path / "two").exists()


def test_also_tables_get_the_planned_tracks(world: World, tagged: Path, tmp_path: Path, capsys) -> None:
    table, other = shutil.copytree(tagged, tmp_path / "table"), other_bundle(world, tmp_path)
    flags = ["--also", str(other.bundle), str(tmp_path / "two")]
    expected = plan(world, table, capsys, *flags)
    run = tag(world, table, *flags).run
    parts = [pq.read_table(path) for path in (tmp_path / "two").glob("work/*/*.parquet")]
    assert sum(part.num_rows for part in parts) == expected["also"][0]["tracks"] == 2
    assert run.plan["happened"]["extract"] == 2
    there = dataclasses.replace(other, folder=other.folder)
    second = plan(there, tmp_path / "two", capsys, "--catalog-root", str(world.folder), catalog=world.catalog)
    assert second["tracks"]["actions"]["reuse"] == 2


def test_a_plan_runs_here_whatever_the_runner_is(world: World, tagged: Path, capsys) -> None:
    cluster = ["--runner=FlinkRunner", "--flink_master=nowhere.invalid:8081", "--environment_type=LOOPBACK"]
    assert plan(world, tagged, capsys, *cluster)["tracks"]["new"] == 2
    assert plan(world, tagged, capsys, *cluster)["cost"]["wall_seconds"] is None


def test_a_plan_of_a_catalog_with_problems_lists_them(world: World, table: Path, tmp_path: Path, capsys) -> None:
    rows = world.rows()
    pq.write_table(pa.concat_tables([rows, rows.slice(0, 1)]), tmp_path / "twice.parquet")
    assert tag_code(world, table, "--plan", catalog=tmp_path / "twice.parquet") == 1
    assert "1 problem in the catalog, nothing was planned" in capsys.readouterr().err


def test_a_missing_file_is_counted(world: World, table: Path, tmp_path: Path, capsys) -> None:
    rows = pa.table({"track_id": ["a", "b"], "uri": ["no/a.flac", world.rows()["uri"][0].as_py()]})
    pq.write_table(rows, tmp_path / "catalog.parquet")
    read = plan(world, table, capsys, catalog=tmp_path / "catalog.parquet")["read"]
    assert (read["files"], read["files_missing"], read["files_of_known_size"]) == (2, 1, 2)
    assert read["bytes"] == (world.folder / rows["uri"][1].as_py()).stat().st_size


def test_a_plan_on_gs(world: World, gcs: str, capsys) -> None:
    for row in world.rows().slice(0, 3).to_pylist():
        storage.write_bytes(f"{gcs}/music/{row['uri']}", (world.folder / row["uri"]).read_bytes())
    storage.write_bytes(f"{gcs}/music/catalog.csv", _csv(world.rows().slice(0, 3)))
    table, flags = f"{gcs}/table", ["--catalog-root", f"{gcs}/music"]
    first = plan(world, table, capsys, *flags, catalog=f"{gcs}/music/catalog.csv")
    assert first["tracks"]["actions"] == {"extract": 3, "reuse": 0, "carry": 0, "remember": 0, "defer": 0}
    assert list(storage.list_files(table)) == []
    assert tag_code(world, table, *flags, catalog=f"{gcs}/music/catalog.csv") == 0
    run = current_snapshot(table).run
    assert run.plan["happened"]["extract"] == 3 and run.plan["happened"]["read_bytes"] == first["read"]["bytes"]
    second = plan(world, table, capsys, *flags, catalog=f"{gcs}/music/catalog.csv")
    assert second["tracks"]["unchanged"] + second["tracks"]["rejected"]["remembered"] == 3


def _csv(rows: pa.Table) -> bytes:
    lines = (f"{row['track_id']},{row['uri']}" for row in rows.to_pylist())
    return "\n".join(["track_id,uri", *lines, ""]).encode()


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--measure", "50"], "--measure=50: this is a flag of --plan"),
        (["--workers", "2"], "--workers=2: this is a flag of --plan"),
        (["--plan", "--workers", "0"], "--workers=0: at least 1"),
        (["--plan", "--measure", "10001"], "--measure=10001: at most 10000"),
        (["--plan", "--measure", "0"], "--measure=0: at least 1"),
        (["--plan", "--dry_run=True"], "leave --dry_run out"),
        (["--dry-run"], "--plan shows what a run would do"),
        (["--dryrun"], "--plan shows what a run would do"),
        (["--dry_run"], "--plan shows what a run would do"),
    ],
)
def test_wrong_flags(world: World, table: Path, capsys, flags: list[str], word: str) -> None:
    assert tag_code(world, table, *flags) == 2
    assert word in capsys.readouterr().err and not table.exists()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("core_hour: 1", "currency is missing"),
        ("currency: EUR", "core_hour is missing"),
        ("currency: EUR\ncore_hour: -1", "core_hour is -1, below 0"),
        ("currency: EUR\ncore_hour: cheap", "core_hour"),
        ("currency: EUR\ncore_hour: 1\ncores: 2", "cores is no price"),
        ("- 1", "no names and values"),
        (None, "No such file"),
    ],
)
def test_wrong_prices(world: World, tmp_path: Path, table: Path, capsys, text: str | None, word: str) -> None:
    if text is not None:
        (tmp_path / "p.yaml").write_text(text)
    assert tag_code(world, table, "--plan", "--prices", str(tmp_path / "p.yaml")) == 1
    said = capsys.readouterr().err
    assert word in said and f"{tmp_path}/p.yaml" in said and len(said.splitlines()) == 1


def test_another_spec_reads_everything_again(world: World, tagged: Path, tmp_path: Path, capsys) -> None:
    taxonomy = load_taxonomy(str(world.folder / "taxonomy.yaml"))
    write_fake_bundle(str(tmp_path / "bundle"), taxonomy, FeatureSpec(patches_per_track=5))
    other = dataclasses.replace(world, folder=tmp_path)
    found = plan(other, tagged, capsys, "--catalog-root", str(world.folder), catalog=world.catalog)
    assert found["tracks"]["stale"]["features"] == current_snapshot(str(tagged)).run.counts["catalog"]
    assert found["changes"]["must_be_accepted"] and "plan" in found["measured"]["core_seconds_per_track"]
    assert found["cost"]["core_hours"] is None, "other features were never measured"
    assert main(["tag", "--help"]) == 0
