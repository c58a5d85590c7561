"""The table of neighbours and its index: rows, publication, what later runs and maintenance do with them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipelines.cli import main
from tests.support.neighbours import publish_table_neighbours
from tests.support.published import fake_bundle, publish_table
from tests.support.simulated import SimulatedTable
from transforms.discovery.exact import nearest
from transforms.discovery.index.damping import DAMPING
from transforms.discovery.index.opening import open_index
from transforms.discovery.similarity import similarities
from transforms.discovery.vectors import track_vectors
from transforms.table.neighbours import is_stale, neighbours_text
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import read_snapshot
from transforms.table.versions import read_table_metadata
from transforms.verification.snapshot_checks import verify


def problems(root, number=None):
    return [problem for step in verify(open_snapshot(str(root), number)) for problem in step.problems]


def tree(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in Path(root).rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    return fake_bundle(folder / "bundle")


TRACKS = 60


@pytest.fixture(scope="module")
def tables(tmp_path_factory, bundle):
    """`plain`: a table without neighbours; `found`: its copy with neighbours."""
    folder = tmp_path_factory.mktemp("tables")
    publish_table(folder / "plain", bundle, tracks=TRACKS)
    shutil.copytree(folder / "plain", folder / "found")
    publish_table_neighbours(str(folder / "found"))
    return folder


@pytest.fixture
def plain(tables, tmp_path):
    return shutil.copytree(tables / "plain", tmp_path / "plain")


@pytest.fixture
def root(tables, tmp_path):
    return str(shutil.copytree(tables / "found", tmp_path / "found"))


def test_neighbours_are_the_nearest_tracks_in_another_order(root) -> None:
    snapshot = open_snapshot(root)
    published = snapshot.manifest
    rows = snapshot.scan("neighbours").to_pylist()
    assert len(rows) == TRACKS * 5 and published.number == 2 and published.run.parent == 1
    index = open_index(snapshot)
    ids, vectors = track_vectors(snapshot, index.model.space, [row["track_id"] for row in rows])
    vector = dict(zip(ids.to_pylist(), vectors, strict=True))
    exact = nearest(snapshot, index.model.space, vectors, 16)
    candidates = {track: set(found.track_ids) for track, found in zip(ids.to_pylist(), exact, strict=True)}
    for row in rows:
        assert row["neighbour_id"] in candidates[row["track_id"]] - {row["track_id"]}
        assert row["similarity"] == similarities(vector[row["track_id"]], vector[row["neighbour_id"]])
    assert [row["rank"] for row in rows[:5]] == [1, 2, 3, 4, 5]
    hubs = published.run.neighbours["sets"][0]["hubs"]
    counts = np.unique([row["neighbour_id"] for row in rows], return_counts=True)[1]
    occurrences = np.concatenate([counts, np.zeros(TRACKS - len(counts))])
    assert hubs["damped"]["never"] == pytest.approx((occurrences == 0).mean(), abs=1e-6)
    third = ((occurrences - 5) ** 3).mean() / occurrences.std() ** 3
    assert hubs["damped"]["skewness"] == pytest.approx(third, abs=1e-3)


def test_tracks_that_are_near_to_many_are_ranked_lower(root) -> None:
    snapshot = open_snapshot(root)
    space = open_index(snapshot).model.space
    ids, vectors = track_vectors(snapshot, space, [f"track-{i:04}" for i in range(TRACKS)])
    near = (vectors @ vectors.T).astype(np.float64)
    np.fill_diagonal(near, -np.inf)
    density = np.sort(near, axis=1)[:, -10:].mean(1)
    place = {track: i for i, track in enumerate(ids.to_pylist())}
    found: dict = {track: [] for track in place}
    for row in snapshot.scan("neighbours").to_pylist():
        found[row["track_id"]].append(place[row["neighbour_id"]])
    moved = 0
    for track, i in place.items():
        candidates = np.argsort(-near[i])[:15]
        scores = near[i] - DAMPING * density
        own = scores[found[track]]
        assert (np.diff(own) < 1e-4).all() and own[-1] > np.sort(scores[candidates])[-5] - 1e-4
        moved += found[track] != candidates[:5].tolist()
    assert moved > TRACKS / 2


def test_the_parents_rows_stay_and_an_old_program_writes_no_more(root) -> None:
    before, published = (open_snapshot(root, number).manifest for number in (1, 2))
    assert published.run.content_hash == before.run.content_hash and not is_stale(published.run)
    assert {f.path for f in before.run.files} < {f.path for f in published.run.files}
    assert read_table_metadata(root).min_writer_version == 4 and read_table_metadata(root).min_reader_version == 1
    assert problems(root) == [] and problems(root, 1) == []
    assert read_snapshot(root, 2).to_json() == published.to_json()


def test_beam_and_the_plain_loop_write_the_same_files(root, plain, capsys) -> None:
    flags = ["--quiet", "neighbours", str(plain), "--neighbours=5", "--direct_num_workers=2"]
    assert main([*flags, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["published"] and told["snapshot"] == 2
    own, other = tree(root), tree(plain)
    kinds = ("index/", "data/")
    assert {k: v for k, v in own.items() if k.startswith(kinds)} == {
        k: v for k, v in other.items() if k.startswith(kinds)
    }
    assert not [name for name in other if name.startswith("work/")]
    assert main([*flags, "--json"]) == 0
    assert not json.loads(capsys.readouterr().out)["published"]
    assert open_snapshot(str(plain)).manifest.number == 2


def test_a_later_run_keeps_the_neighbours_and_calls_them_stale(tmp_path, bundle) -> None:
    table = SimulatedTable(tmp_path)
    catalog = {f"track-{i}": "1" for i in range(40)}
    model = bundle_url(bundle)
    table.run(table.stages(catalog, model), lambda source: None)
    first = publish_table_neighbours(table.root)
    run = table.run(table.stages(catalog, model), lambda source: None)
    assert not is_stale(run) and run.neighbours == first.run.neighbours
    del catalog["track-3"]
    catalog |= {"new-1": "1", "new-2": "1"}
    run = table.run(table.stages(catalog, model), lambda source: None)
    assert is_stale(run) and (run.neighbours["added"], run.neighbours["removed"]) == (2, 1)
    assert neighbours_text(run) == "neighbours of snapshot 1, stale: 2 tracks were added and 1 removed since"
    assert open_snapshot(table.root).scan("neighbours").equals(open_snapshot(table.root, 2).scan("neighbours"))
    assert problems(table.root) == []
    again = publish_table_neighbours(table.root)
    assert not is_stale(again.run) and again.run.neighbours["added"] == 0
    assert "new-1" in set(open_snapshot(table.root).scan("neighbours")["track_id"].to_pylist())


def bundle_url(bundle):
    return str(bundle.url)


def test_purge_takes_a_track_out_of_rows_and_index(root, capsys) -> None:
    assert b"track-0007" in b"".join(v for k, v in tree(root).items() if k.startswith("index/"))
    flags = ["--quiet", "purge", root, "--track-id", "track-0007", "--apply", "--reader-grace", "0s"]
    assert main(flags) == 0
    rows = open_snapshot(root).scan("neighbours")
    names = {*rows["track_id"].to_pylist(), *rows["neighbour_id"].to_pylist(), *rows["duplicate_group"].to_pylist()}
    assert "track-0007" not in names and "track-0008" in names
    run = open_snapshot(root).manifest.run
    assert run.neighbours["index"] is None and run.neighbours["removed"] == 1 and is_stale(run)
    assert not [name for name in tree(root) if name.startswith("index/")]
    assert problems(root) == []
    assert "index was removed by a takedown" in neighbours_text(run)


def test_gc_removes_an_index_that_no_snapshot_names(root) -> None:
    publish_table_neighbours(root, neighbours=3)
    stray = Path(root, "work/neighbours-0123456789abcdef/0-ranked-000000.arrow")
    stray.parent.mkdir()
    stray.write_bytes(b"")
    indexes = {name.split("/")[1] for name in tree(root) if name.startswith("index/")}
    assert len(indexes) == 2
    flags = ["--quiet", "gc", root, "--keep-last", "1", "--older-than", "0s", "--apply"]
    assert main(flags) == 0
    assert not stray.exists()
    named = open_snapshot(root).manifest.run.neighbours["index"]
    left = {name for name in tree(root) if name.startswith("index/")}
    assert named in left and problems(root) == []


def test_rollback_brings_neighbours_back(root) -> None:
    first = open_snapshot(root).manifest
    publish_table_neighbours(root, neighbours=3)
    assert main(["--quiet", "rollback", root, "2"]) == 0
    run = open_snapshot(root).manifest.run
    assert run.neighbours == first.run.neighbours and problems(root) == []
    assert open_snapshot(root).scan("neighbours").equals(open_snapshot(root, 2).scan("neighbours"))


def test_diff_describe_and_earlier_numbers_tell_of_neighbours(root, capsys) -> None:
    assert main(["--quiet", "diff", root, "1", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["before"]["neighbours"], told["after"]["neighbours"]) == (None, "neighbours of snapshot 1")
    assert main(["--quiet", "describe", root]) == 0
    assert "snapshot 2 has neighbours of snapshot 1" in capsys.readouterr().out
    sql = "SELECT (SELECT count(*) FROM neighbours) AS now, (SELECT count(*) FROM previous_neighbours) AS before"
    assert main(["--quiet", "query", root, sql, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"now": TRACKS * 5, "before": 0}]


@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_verify_finds_a_damaged_index(root, damage: str) -> None:
    path = next(Path(root, "index").rglob("*.arrow"))
    data = bytearray(path.read_bytes())
    path.unlink()
    if damage == "flip":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    found = problems(root)
    assert len(found) == 1 and str(path.relative_to(root)) in found[0]
    assert ("sha256" if damage == "flip" else "missing") in found[0]


def test_a_table_of_one_track_has_an_index_and_no_neighbours(tmp_path, bundle, capsys, monkeypatch):
    root = str(tmp_path / "table")
    monkeypatch.setattr("tests.support.published.BROKEN", {})
    publish_table(tmp_path / "table", bundle, tracks=1)
    publish_table_neighbours(root)
    (track,) = open_snapshot(root).scan("tracks", ["track_id"])["track_id"].to_pylist()
    assert open_snapshot(root).scan("neighbours").num_rows == 0 and problems(root) == []
    assert main(["similar", root, track]) == 0
    assert "0 tracks: the catalog has no more" in capsys.readouterr().out
