"""Neighbours after changes: the same rows as a full computation with the same cells, from less work."""

import dataclasses
import json
import shutil
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.cli import main
from pipelines.jobs.discovery import refits
from pipelines.jobs.discovery.neighbours import models_of, publish_neighbours
from tests.support import embedded
from tests.support.embedded import BUCKETS, Catalog, publish_embedded
from tests.support.neighbours import publish_table_neighbours, settings_of
from transforms import find_neighbours as neighbour_job
from transforms import storage
from transforms.discovery.index import assigning, damping, model, ranking
from transforms.discovery.index.job import base_of, model_of
from transforms.discovery.index.manifest import read_index_manifest
from transforms.discovery.index.opening import open_index
from transforms.find_neighbours import find_neighbours
from transforms.formats.sealing import open_sealed, sealed_bytes
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import DataFile
from transforms.verification.snapshot_checks import verify


@pytest.fixture(autouse=True)
def small_groups(monkeypatch) -> None:
    monkeypatch.setattr(model, "GROUP_TRACKS", 90)


def computed_in_full(root: str, copy: Path, probes: int):
    """Rows and index files of a full computation over the newest snapshot of a copy, with the cells of its index."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(root, copy)
    _, kept = settings_of(str(copy), neighbours=3, probes=probes)
    _, made = settings_of(str(copy), neighbours=3, probes=probes, refit=True)
    for old, job in zip(kept.work.jobs, made.work.jobs, strict=True):
        base = base_of(old)
        assert base is not None and job.base is None
        storage.ensure(job.url(job.model_path), storage.read_bytes(job.url(base.model.path)))
    find_neighbours(made.work)
    result = open_sealed(storage.read_bytes(made.work.result_url)).fields
    files = {file.bucket: file for file in (DataFile(**fields) for fields in result["files"])}
    return files, index_files(str(copy), result["index"]), result["sets"]


def index_files(root: str, path: str):
    """Names and digests of the files that a search reads."""
    sets = read_index_manifest(root, path).sets
    return [[(file.path[-13:], file.sha256) for file in (*one.groups, *one.vectors)] for one in sets]


def check_night(root: str, copy: Path, probes: int) -> dict:
    """Computes the neighbours of the newest snapshot from the earlier ones and in full; what the first one did."""
    files, index, sets = computed_in_full(root, copy, probes)
    published = publish_table_neighbours(root, 3, probes)
    own = {file.bucket: file for file in published.files("neighbours")}
    assert {b: (f.sha256, f.content) for b, f in own.items()} != {} and own.keys() == files.keys()
    for bucket, file in own.items():
        assert (file.content, file.rows) == (files[bucket].content, files[bucket].rows)
        rows = [open_snapshot(root).rows_of(file), open_snapshot(str(copy)).rows_of(files[bucket])]
        assert rows[0].equals(rows[1])
    record = published.run.neighbours
    assert index_files(root, record["index"]) == index
    assert [one["hubs"] for one in record["sets"]] == [one["hubs"] for one in sets]
    assert all(one["kept"] for one in record["sets"]) and not any(one["kept"] for one in sets)
    return record


def changed_night(root: str, catalog: Catalog, share: float) -> tuple[int, int]:
    """Publishes the catalog with a share of its tracks added, changed and removed; numbers of the first and last."""
    count = max(1, round(share * len(catalog.tracks) / 3))
    catalog.remove(count)
    catalog.change(count)
    catalog.lengthen(1)
    catalog.add(count)
    publish_embedded(root, catalog.tracks)
    return count, count


@pytest.mark.parametrize(("seed", "share", "probes"), [(1, 0.01, 4), pytest.param(2, 0.05, 3, marks=pytest.mark.long)])
def test_changes_give_the_rows_of_a_full_computation(tmp_path, seed: int, share: float, probes: int) -> None:
    root, catalog = str(tmp_path / "table"), Catalog(seed)
    catalog.add(300)
    publish_embedded(root, catalog.tracks)
    first = publish_table_neighbours(root, 3, probes).run.neighbours["sets"][0]
    assert first["work"]["tracks_compared"] == first["work"]["tracks_added"] == first["tracks"] == 300
    assert first["cells"] > 2 * probes and not first["kept"]
    for _ in range(2):
        added, removed = changed_night(root, catalog, share)
        work = check_night(root, tmp_path / "copy", probes)["sets"][0]["work"]
        assert work["tracks_added"] == added and work["tracks_removed"] == removed and work["tracks_changed"] >= 1
        assert work["tracks_compared"] < 60 and work["tracks_same"] > 200
    assert problems(root) == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_many_nights_of_changes_give_the_rows_of_full_computations(tmp_path, seed: int, monkeypatch) -> None:
    monkeypatch.setattr(model, "GROUP_TRACKS", 400)
    monkeypatch.setattr(refits, "REFIT_SHARE", 1e9)
    root, catalog = str(tmp_path / "table"), Catalog(seed)
    catalog.add(2_500 if seed % 2 else 60)
    publish_embedded(root, catalog.tracks)
    probes = (1, 6, 24)[seed % 3]
    publish_table_neighbours(root, 3, probes)
    for night in range(8):
        changed_night(root, catalog, (0.01, 0.001, 0.3, 0.02)[night % 4])
        if night == 5:
            catalog.remove(len(catalog.tracks) // 2)
            publish_embedded(root, catalog.tracks)
        check_night(root, tmp_path / "copy", probes)


class Killed(BaseException):
    """The job is killed: nothing catches this."""


def killed_after(monkeypatch, writes: int) -> None:
    """The process ends at a write."""
    ensure, left = storage.ensure, [writes]

    def stopping(url, data):
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        ensure(url, data)

    monkeypatch.setattr(storage, "ensure", stopping)


def seen_work(monkeypatch) -> dict[str, list]:
    """What is computed from now on: cells, groups and buckets, by step."""
    seen: dict[str, list] = {"assigned": [], "gathered": [], "cells": [], "damped": []}

    def note(module, name: str, step: str, place: int) -> None:
        call = getattr(module, name)

        def noted(*args):
            seen[step].append(args[place])
            return call(*args)

        monkeypatch.setattr(module, name, noted)

    note(assigning, "_known", "assigned", 1)
    note(assigning, "_gathered", "gathered", 1)
    note(ranking, "_cell_keys", "cells", 1)
    note(damping, "_neighbour_rows", "damped", 1)
    return seen


@pytest.mark.parametrize("base", [pytest.param(False, marks=pytest.mark.long), True])
def test_a_killed_job_resumes_without_the_cells_that_are_finished(tmp_path, monkeypatch, base: bool) -> None:
    root, catalog = str(tmp_path / "table"), Catalog(3)
    catalog.add(270)
    publish_embedded(root, catalog.tracks)
    if base:
        publish_table_neighbours(root, 3, 4)
        changed_night(root, catalog, 0.02)
    shutil.copytree(root, tmp_path / "other")
    whole = publish_table_neighbours(str(tmp_path / "other"), 3, 4)
    snapshot, made = settings_of(root, 3, 4)
    models_of(snapshot, made)
    cells = model_of(made.work.jobs[0]).starts
    ended, attempts, computed = False, 0, Counter()
    while not ended and attempts < 40:
        finished = finished_work(made.work.jobs[0], cells.tolist())
        with monkeypatch.context() as patch:
            seen = seen_work(patch)
            killed_after(patch, 5)
            try:
                find_neighbours(made.work)
                ended = True
            except Killed:
                attempts += 1
        for step, numbers in seen.items():
            assert not set(numbers) & finished[step]
            computed.update((step, number) for number in numbers)
    assert ended and attempts > 2 and len(cells) > 2
    assert {number for step, number in computed if step == "cells"} == set(range(cells[-1]))
    published = publish_neighbours(root, snapshot, made)
    assert [f.content for f in published.files("neighbours")] == [f.content for f in whole.files("neighbours")]
    assert published.run.neighbours["sets"] == whole.run.neighbours["sets"]


def finished_work(job, starts: list[int]) -> dict[str, set[int]]:
    """What earlier attempts have finished, by step."""
    groups = range(len(starts) - 1)
    ranked = [group for group in groups if storage.exists(job.part("ranked", group))]
    return {
        "assigned": {bucket for bucket in range(BUCKETS) if storage.exists(job.part("assigned", bucket))},
        "gathered": {group for group in groups if storage.exists(job.url(job.group_path(group)))},
        "cells": {cell for group in ranked for cell in range(starts[group], starts[group + 1])},
        "damped": {group for group in groups if storage.exists(job.part("damped", group))},
    }


@pytest.mark.long
def test_cells_stay_until_too_many_tracks_changed(tmp_path) -> None:
    root, catalog = str(tmp_path / "table"), Catalog(5)
    catalog.add(200)
    publish_embedded(root, catalog.tracks)
    publish_table_neighbours(root, 3, 4)
    for added, kept, changed in [(30, True, 30), (8, True, 38), (4, False, 0)]:
        catalog.add(added)
        publish_embedded(root, catalog.tracks)
        (one,) = publish_table_neighbours(root, 3, 4).run.neighbours["sets"]
        assert (one["kept"], one["fitted"]["changed"], one["tracks"]) == (kept, changed, len(catalog.tracks))
        assert (one["fitted"]["snapshot"], one["fitted"]["tracks"]) == ((1, 200) if kept else (7, 242))


def test_other_settings_and_taggers_start_anew(tmp_path, monkeypatch) -> None:
    root, catalog = str(tmp_path / "table"), Catalog(5)
    catalog.add(100)
    publish_embedded(root, catalog.tracks)
    publish_table_neighbours(root, 3, 4)
    assert [job.base for job in settings_of(root, 3, 4)[1].work.jobs] != [None]
    assert [job.base for job in settings_of(root, 4, 4)[1].work.jobs] == [None]
    assert [job.base for job in settings_of(root, 3, 5)[1].work.jobs] == [None]
    monkeypatch.setattr(embedded, "TAGGER", "tg-2")
    publish_embedded(root, catalog.tracks)
    assert [job.base for job in settings_of(root, 3, 4)[1].work.jobs] == [None]


@pytest.mark.long
def test_the_command_tells_what_it_computed(tmp_path, capsys) -> None:
    root, catalog = str(tmp_path / "table"), Catalog(5)
    catalog.add(200)
    publish_embedded(root, catalog.tracks)
    flags = ["--quiet", "neighbours", root, "--neighbours=3", "--probes=4"]
    assert main(flags) == 0
    assert "everything was computed, with new cells" in capsys.readouterr().out
    catalog.add(2)
    publish_embedded(root, catalog.tracks)
    assert main(flags) == 0
    told = capsys.readouterr().out
    assert "2 tracks were added, 0 changed and 0 removed since the last index" in told
    assert "the cells are those of snapshot 1, and 1.0% of its tracks changed since" in told
    for published in (True, False):
        assert main([*flags, "--refit"]) == 0
        told = capsys.readouterr().out
        assert ("everything was computed, with new cells" in told) == published
        assert ("already; nothing was changed" in told) != published
    assert open_snapshot(root).manifest.run.neighbours["sets"][0]["fitted"]["snapshot"] == 4


@pytest.mark.long
def test_a_small_change_keeps_files_and_tracks(tmp_path) -> None:
    root, catalog = str(tmp_path / "table"), Catalog(6)
    catalog.add(320)
    publish_embedded(root, catalog.tracks, buckets=40)
    publish_table_neighbours(root, 3, 2)
    catalog.add(1)
    publish_embedded(root, catalog.tracks, buckets=40)
    record = check_night(root, tmp_path / "copy", 2)
    work = record["sets"][0]["work"]
    assert work["tracks_compared"] <= 3 and 0 < work["tracks_damped"] < 160
    assert 0 < work["cells_updated"] < work["cells_same"] and record["files_kept"] > 0


def test_groups_far_from_a_change_are_not_computed(tmp_path, monkeypatch) -> None:
    root, catalog = str(tmp_path / "table"), Catalog(6)
    catalog.add(330)
    publish_embedded(root, catalog.tracks)
    publish_table_neighbours(root, 3, 1)  # only tracks of the same cell are compared
    catalog.add(1)
    publish_embedded(root, catalog.tracks)
    before = read_index_manifest(root, open_snapshot(root).manifest.run.neighbours["index"]).sets[0]
    seen = seen_work(monkeypatch)
    published = publish_table_neighbours(root, 3, 1)
    record = published.run.neighbours
    after = read_index_manifest(root, record["index"]).sets[0]
    same = [new.sha256 == old.sha256 for new, old in zip(after.candidates, before.candidates, strict=True)]
    assert len(same) == 4 and sum(same) == 3
    assert record["sets"][0]["work"]["cells_updated"] == 1 and 0 < record["sets"][0]["work"]["tracks_damped"] < 100
    starts = open_index(open_snapshot(root)).model.starts
    changed = same.index(False)
    assert seen["cells"] and set(seen["cells"]) <= set(range(starts[changed], starts[changed + 1]))
    files, index, _ = computed_in_full(root, tmp_path / "copy", 1)
    assert [file.content for file in published.files("neighbours")] == [files[b].content for b in range(BUCKETS)]
    assert index_files(root, record["index"]) == index


def mixed_catalogs():
    own, before = Catalog(7), Catalog(8, dimensions=10)
    own.add(150)
    before.add(120)
    return own, {name.replace("track", "early"): value for name, value in before.tracks.items()}


def test_two_embeddings_have_sets_of_their_own(tmp_path, capsys) -> None:
    root, (own, early) = str(tmp_path / "table"), mixed_catalogs()
    publish_embedded(root, own.tracks, earlier=early)
    published = publish_table_neighbours(root, 3, 4)
    assert [one["embedding_id"] for one in published.run.neighbours["sets"]] == ["em-1", "em-0"]
    assert [one["tracks"] for one in published.run.neighbours["sets"]] == [150, 120]
    snapshot = open_snapshot(root)
    rows = snapshot.scan("neighbours").to_pylist()
    assert len(rows) == 3 * 270 and all(row["track_id"][:5] == row["neighbour_id"][:5] for row in rows)
    for embedding_id, start in (("em-1", "track"), ("em-0", "early")):
        index = open_index(snapshot, embedding_id)
        assert index is not None and {track[:5] for track in index.track_ids.to_pylist()} == {start}
        capsys.readouterr()
        assert main(["--quiet", "similar", root, f"{start}-000003", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["indexed"] and len(told["tracks"]) > 5
        assert all(track["track_id"].startswith(start) for track in told["tracks"])
    assert problems(root) == []


@pytest.mark.long
def test_tracks_that_get_another_embedding_change_their_set(tmp_path) -> None:
    root, (own, early) = str(tmp_path / "table"), mixed_catalogs()
    publish_embedded(root, own.tracks, earlier=early)
    publish_table_neighbours(root, 3, 4)
    for name in sorted(early)[:10]:
        del early[name]
        own.tracks[name] = own._made()
    publish_embedded(root, own.tracks, earlier=early)
    record = check_night(root, tmp_path / "copy", 4)
    assert [one["tracks"] for one in record["sets"]] == [160, 110]
    assert [one["work"]["tracks_added"] for one in record["sets"]] == [10, 0]
    assert [one["work"]["tracks_removed"] for one in record["sets"]] == [0, 10]
    assert problems(root) == []


def test_verify_finds_pairs_and_indexes_across_embeddings(tmp_path, monkeypatch) -> None:
    root, (own, early) = str(tmp_path / "table"), mixed_catalogs()
    publish_embedded(root, own.tracks, earlier=early)
    write = neighbour_job.write_table_file

    def crossed(known, bucket, name, rows, run_id):
        names = ["early-000001" if row["rank"] == 2 else row["neighbour_id"] for row in rows.to_pylist()]
        return write(known, bucket, name, rows.set_column(2, rows.schema.field(2), pa.array(names)), run_id)

    monkeypatch.setattr(neighbour_job, "write_table_file", crossed)
    publish_table_neighbours(root, 3, 4)
    found = problems(root)
    assert len([one for one in found if "pairs of tracks have different embeddings" in one]) == 3
    path = open_snapshot(root).manifest.run.neighbours["index"]
    manifest = read_index_manifest(root, path)
    (first, second) = manifest.sets
    crossed_sets = (dataclasses.replace(first, groups=second.groups), second)
    changed = dataclasses.replace(manifest, sets=crossed_sets)
    storage.write_bytes(storage.join(root, path), sealed_bytes(changed.to_json()))
    assert any("120 tracks have the embedding em-1, in the snapshot 150" in one for one in problems(root))


def problems(root: str) -> list[str]:
    return [problem for step in verify(open_snapshot(root)) for problem in step.problems]


def test_a_track_that_lost_all_candidates_has_no_rows(tmp_path, monkeypatch) -> None:
    root, catalog = str(tmp_path / "table"), Catalog(11)
    catalog.add(3)
    publish_embedded(root, catalog.tracks)
    publish_table_neighbours(root, 3, 1)
    for name in sorted(catalog.tracks)[1:]:
        del catalog.tracks[name]
    publish_embedded(root, catalog.tracks)
    monkeypatch.setattr(refits, "REFIT_SHARE", 1e9)
    record = publish_table_neighbours(root, 3, 1).run.neighbours
    assert record["sets"][0]["kept"] and record["sets"][0]["tracks"] == 1
    assert open_snapshot(root).scan("neighbours").num_rows == 0
