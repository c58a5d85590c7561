"""`tag` from catalog to snapshot: the same rows as a plain loop, whatever the engine does in between."""

import collections
import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.bundles.tagger_bundle import load_bundle
from models.trunks.loading import load_embedder
from pipelines.cli import main
from tests.support.world import World, ledger, make_world, read_table, tag, tag_code
from transforms import storage
from transforms.audio.errors import TrackError
from transforms.audio.limits import Limits
from transforms.features.extract import extract
from transforms.publishing.commit import read_run, unpublished_runs
from transforms.table.snapshots import current_snapshot, read_snapshot


@pytest.fixture(scope="module")
def tagged(world: World, tmp_path_factory: pytest.TempPathFactory):
    """A table with one snapshot of the world."""
    table = tmp_path_factory.mktemp("tagged") / "table"
    return table, tag(world, table)


def _loop(world: World) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Scores and reject reasons of every track, by a plain loop over the pure functions."""
    bundle, embedder = load_bundle(str(world.bundle)), load_embedder(str(world.bundle))
    scores, reasons = {}, {}
    for row in world.rows().to_pylist():
        path = world.folder / row["uri"]
        if not path.exists():
            reasons[row["track_id"]] = "not_found"
            continue
        try:
            features = extract(path.read_bytes(), bundle.spec, Limits())
        except TrackError as error:
            reasons[row["track_id"]] = error.reason
            continue
        scores[row["track_id"]] = np.round(bundle.score(embedder.embed([features.patches]))[0], 4)
    return scores, reasons


def test_equals_a_plain_loop(world: World, tagged) -> None:
    table, snapshot = tagged
    scores, reasons = _loop(world)
    tags = [tag.id for tag in load_bundle(str(world.bundle)).taxonomy.tags]
    expected = {(i, t): np.float32(row[c]) for i, row in scores.items() for c, t in enumerate(tags)}
    found = {
        (r["track_id"], r["tag"]): np.float32(r["score"]) for r in read_table(table, snapshot, "track_tags").to_pylist()
    }
    assert found == expected
    assert {i: r["reason"] for i, r in ledger(table, snapshot).items() if r["reason"]} == reasons


def test_every_id_is_accounted_for_once(world: World, tagged) -> None:
    table, snapshot = tagged
    ids = read_table(table, snapshot, "ledger")["track_id"].to_pylist()
    assert sorted(ids) == sorted(world.rows()["track_id"].to_pylist())
    counts = snapshot.run.counts
    assert counts["tagged"] + counts["carried"] + counts["rejected"] == counts["catalog"] == len(ids)


def test_files_are_sorted_and_ranks_and_positives_agree(world: World, tagged) -> None:
    table, snapshot = tagged
    rows = read_table(table, snapshot, "track_tags").to_pylist()
    assert rows == sorted(rows, key=lambda r: (r["category"], r["tag"], -r["score"], r["track_id"]))
    best = collections.Counter((r["track_id"], r["category"]) for r in rows if r["rank"] == 1)
    assert set(best.values()) == {1}
    multiclass = {c.name for c in load_bundle(str(world.bundle)).taxonomy.categories if c.kind == "multiclass"}
    assert all(r["is_positive"] == (r["rank"] == 1) for r in rows if r["category"] in multiclass)


def test_bytes_that_stand_twice_are_named(world: World, tagged) -> None:
    table, snapshot = tagged
    rows = ledger(table, snapshot)
    twins = {i: r["duplicate_of"] for i, r in rows.items() if r["duplicate_of"]}
    assert twins
    assert all(rows[i]["source_sha256"] == rows[first]["source_sha256"] and first < i for i, first in twins.items())
    assert all(rows[i]["status"] == "tagged" for i in twins)


def test_the_run_records_what_it_took_and_its_gates(world: World, tagged) -> None:
    table, snapshot = tagged
    measured, run = snapshot.run.measured, read_run(str(table), snapshot.run.run_id)
    counts, rows = snapshot.run.counts, ledger(table, snapshot).values()
    extracted = measured["counters"]["extract"]
    assert (extracted["tracks_read"], extracted["tracks_rejected"]) == (counts["catalog"], counts["rejected"])
    handed_over = sum(row["source_sha256"] is not None for row in rows)
    assert extracted["tracks_confined_by_seccomp"] == extracted["tracks_confined_by_not_dumpable"] == handed_over > 0
    assert measured["counters"]["embed"]["tracks"] == counts["tagged"]
    assert measured["counters"]["assemble"]["tracks_tagged"] == counts["tagged"]
    sizes = measured["distributions"]["extract"]["source_bytes"]
    assert (sizes["count"], sizes["sum"]) == (counts["catalog"], sum(row["source_bytes"] or 0 for row in rows))
    assert measured["core_seconds"].keys() == {"plan", "read", "extract", "embed", "assemble"}
    assert all(seconds > 0 for seconds in measured["core_seconds"].values())
    assert run.measured == measured
    assert snapshot.run.gates["rejected"]["value"] == counts["rejected"] / counts["catalog"]
    assert all(gate["passed"] for gate in snapshot.run.gates.values())


def test_a_refused_run_records_which_gate_failed_and_the_snapshot_the_publisher_s_limit(
    world: World, table: Path
) -> None:
    assert tag_code(world, table, "--max-reject-ratio", "0.01") == 3
    (run,) = unpublished_runs(str(table))
    assert [name for name, gate in run.gates.items() if not gate["passed"]] == ["rejected"]
    assert main(["publish", str(table), "--max-reject-ratio", "0.9"]) == 0
    published = current_snapshot(str(table))
    assert run.gates["rejected"]["offenders"] == ["broken-empty-0: empty"]
    assert published is not None and published.run.gates["rejected"] == {
        "value": run.gates["rejected"]["value"],
        "limit": 0.9,
        "passed": True,
    }


def test_second_run_decodes_nothing_and_has_the_same_content(world: World, tagged, tmp_path: Path) -> None:
    table = shutil.copytree(tagged[0], tmp_path / "table")
    second = tag(world, table)
    assert (second.number, second.run.parent) == (2, 1)
    assert second.run.counts["decoded"] == second.run.counts["tagged"] == 0
    assert second.run.counts["carried"] == tagged[1].run.counts["tagged"]
    assert second.run.content_hash == tagged[1].run.content_hash
    assert second.run.measured["core_seconds"].keys() == {"plan", "assemble"}


@pytest.mark.parametrize(
    "flags",
    [
        ["--chunk-tracks", "3", "--direct_num_workers=1"],
        ["--chunk-tracks", "5", "--direct_num_workers=2"],
        ["--direct_running_mode=in_memory"],
        pytest.param(
            ["--direct_running_mode=multi_processing", "--direct_num_workers=2", "--chunk-tracks=4"],
            marks=pytest.mark.long,
        ),
    ],
    ids=["chunks-of-3", "two-workers", "in-memory", "processes"],
)
def test_same_content_whatever_the_engine_does(world: World, tagged, table: Path, flags: list[str]) -> None:
    assert tag(world, table, *flags).run.content_hash == tagged[1].run.content_hash


def test_same_content_from_a_shuffled_catalog_in_row_groups(world: World, tagged, table: Path, tmp_path: Path) -> None:
    rows = world.rows()
    order = list(range(rows.num_rows))
    random.Random(3).shuffle(order)
    pq.write_table(rows.take(order), tmp_path / "shuffled.parquet", row_group_size=4)
    assert tag(world, table, catalog=tmp_path / "shuffled.parquet").run.content_hash == tagged[1].run.content_hash


def test_several_buckets_hold_each_id_once(world: World, tagged, table: Path) -> None:
    snapshot = tag(world, table, "--buckets", "3")
    assert {f.bucket for f in snapshot.files("ledger")} == {0, 1, 2}
    assert ledger(table, snapshot).keys() == ledger(*tagged).keys()
    columns = ("track_id", "duplicate_of", "reason")
    pick = lambda rows: sorted(tuple(str(r[c]) for c in columns) for r in rows.values())  # noqa: E731
    assert pick(ledger(table, snapshot)) == pick(ledger(*tagged))


def test_only_new_and_changed_tracks_are_decoded(tmp_path: Path) -> None:
    world, table = make_world(tmp_path / "w", 8), tmp_path / "table"
    rows = world.rows()
    first = tag(world, table, catalog=_write(rows.slice(0, rows.num_rows - 1), tmp_path / "a.parquet"))
    good = next(r for r in ledger(table, first).values() if r["status"] == "tagged")
    _touch_audio(world.folder / good["uri"], world.folder / rows["uri"][rows.num_rows - 1].as_py())
    second = tag(world, table)
    again = {i for i, r in ledger(table, second).items() if r["run_id"] == second.run.run_id}
    assert again == {good["track_id"], rows["track_id"][rows.num_rows - 1].as_py()}
    assert ledger(table, second)[good["track_id"]]["source_sha256"] != good["source_sha256"]


def _write(rows: pa.Table, path: Path) -> Path:
    pq.write_table(rows, path)
    return path


def _touch_audio(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0" * 10)


def test_a_track_gone_from_the_catalog_is_gone_from_the_snapshot(world: World, tagged, tmp_path: Path, capsys) -> None:
    table = shutil.copytree(tagged[0], tmp_path / "table")
    kept = _write(world.rows().slice(0, 5), tmp_path / "kept.parquet")
    assert tag_code(world, table, catalog=kept) == 3
    gone = world.rows().num_rows - 5
    assert f"{gone} of {world.rows().num_rows} tracks of the last snapshot are not in the" in capsys.readouterr().err
    snapshot = tag(world, table, "--max-removed-ratio", "0.9", catalog=kept)
    assert snapshot.run.counts["catalog"] == snapshot.run.counted == 5
    assert snapshot.run.changes == {"added": 0, "removed": gone}
    assert snapshot.run.gates["removed"] == {"value": gone / world.rows().num_rows, "limit": 0.9, "passed": True}
    assert len(ledger(table, read_snapshot(str(table), 1))) == world.rows().num_rows


def test_reject_budget_publishes_nothing_and_a_higher_one_reuses_the_work(world: World, table: Path, capsys) -> None:
    assert tag_code(world, table, "--max-reject-ratio", "0.01") == 3
    assert current_snapshot(str(table)) is None
    assert "max-reject-ratio" in capsys.readouterr().err
    tag(world, table)
    assert f"decoded 0, reused {world.rows().num_rows}" in capsys.readouterr().out
    assert sum(1 for _ in (table / "runs").iterdir()) == 1


def test_a_run_refused_for_unavailable_tracks_is_mended_by_the_next(
    world: World, tagged, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, read = str(world.folder / world.rows()["uri"][0].as_py()), storage.read_bytes

    def refuse(url: str, **options) -> bytes:
        if url == lost:
            raise storage.Unavailable(f"{url}: 503")
        return read(url, **options)

    monkeypatch.setattr(storage, "read_bytes", refuse)
    assert tag_code(world, table) == 3
    monkeypatch.undo()
    assert tag(world, table).run.content_hash == tagged[1].run.content_hash


def test_a_catalog_mended_after_a_refused_run_is_what_is_published(world: World, table: Path, tmp_path: Path) -> None:
    assert tag_code(world, table, "--max-reject-ratio", "0") == 3
    rows = world.rows()
    titles = pa.array(["Mended"] * rows.num_rows)
    mended = _write(rows.set_column(rows.column_names.index("title"), "title", titles), tmp_path / "mended.parquet")
    snapshot = tag(world, table, catalog=mended)
    assert snapshot.run.counts["catalog"] == rows.num_rows
    assert set(read_table(table, snapshot, "tracks")["title"].to_pylist()) == {"Mended"}


def test_publish_commits_the_run_that_waits(world: World, tagged, table: Path) -> None:
    assert tag_code(world, table, "--max-reject-ratio", "0.01") == 3
    assert main(["publish", str(table), "--max-reject-ratio", "0.9"]) == 0
    snapshot = current_snapshot(str(table))
    assert snapshot is not None and snapshot.run.content_hash == tagged[1].run.content_hash
    assert main(["publish", str(table), snapshot.run.run_id, "--max-reject-ratio", "0.9"]) == 0
    assert main(["publish", str(table)]) == 1


def test_without_waiting_publish_takes_the_last_launch_or_tells_its_problems(
    world: World, tagged, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = world.rows()
    twice = _write(pa.concat_tables([rows, rows.slice(0, 1)]), tmp_path / "twice.parquet")
    few = _write(rows.slice(0, 3), tmp_path / "few.parquet")
    assert tag_code(world, table, "--no-wait", catalog=few) == 0
    assert tag_code(world, table, "--no-wait", catalog=twice) == 0
    assert main(["publish", str(table)]) == 3
    assert "gate unique: 1 problem in the catalog" in capsys.readouterr().err
    assert tag_code(world, table, "--no-wait") == 0
    assert main(["publish", str(table), "--max-reject-ratio", "0.9"]) == 0
    snapshot = current_snapshot(str(table))
    assert snapshot is not None and snapshot.run.content_hash == tagged[1].run.content_hash
    assert not list((table / "launches").iterdir())


def test_the_bucket_count_of_a_table_stays(world: World, tagged, tmp_path: Path, capsys) -> None:
    table = shutil.copytree(tagged[0], tmp_path / "table")
    assert tag_code(world, table, "--buckets", "7") == 2
    assert "has 1 buckets" in capsys.readouterr().err


def test_a_catalog_with_problems_tags_nothing_and_names_all(
    world: World, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = world.rows()
    twice = pa.concat_tables([rows, rows.slice(0, 1), rows.slice(2, 1)])
    assert tag_code(world, table, catalog=_write(twice, tmp_path / "twice.parquet")) == 3
    message = capsys.readouterr().err
    assert "2 problems" in message
    assert all(repr(rows["track_id"][i].as_py()) in message for i in (0, 2))
    assert not (table / "work").exists() and current_snapshot(str(table)) is None


def test_min_score_and_top_k_are_recorded_and_obeyed(world: World, table: Path) -> None:
    snapshot = tag(world, table, "--top-k", "2", "--min-score", "0.3")
    rows = read_table(table, snapshot, "track_tags").to_pylist()
    assert rows and all(r["rank"] <= 2 and r["score"] >= 0.3 for r in rows)
    assert snapshot.run.options == {"min_score": 0.3, "top_k": 2}


@pytest.mark.parametrize(
    ("flags", "code", "word"),
    [
        (["--max-reject-ratio", "7"], 2, "'7' is not a number from 0 to 1"),
        (["--chunk-tracks", "0"], 2, "--chunk-tracks=0"),
        (["--top-k", "0"], 2, "top_k=0"),
        (["--runner", "DaskRunner"], 2, "DaskRunner"),
        (["--model", "nowhere"], 1, "nowhere"),
        (["--catalog", "nowhere.parquet"], 1, "nowhere.parquet"),
    ],
)
def test_wrong_use_is_one_clear_line(world: World, table: Path, capsys, flags: list[str], code: int, word: str) -> None:
    assert tag_code(world, table, *flags) == code
    message = capsys.readouterr().err
    assert word in message and "Traceback" not in message
