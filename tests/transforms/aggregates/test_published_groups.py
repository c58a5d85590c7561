"""`artist_tags` and `album_tags` of published snapshots: made by `tag`, checked by `verify`, rewritten by `purge`."""

import dataclasses
import functools
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from pipelines.jobs.tag import options as tag_options
from pipelines.jobs.tag import running
from pipelines.waves import tagging
from tests.support.published import fake_bundle, publish_table
from tests.support.world import tag
from transforms.levels.writing import Compaction
from transforms.schemas.tables import GROUPED_BY, PER_BUCKET
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import Run, read_snapshot
from transforms.tagging.assembly import PublishedRows

V0_1 = Path(__file__).parents[2] / "compatibility" / "v0_1" / "table"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return fake_bundle(tmp_path_factory.mktemp("bundles") / "bundle")


def assert_follows_from_tracks(snapshot):
    """Both tables are what pandas makes of `tracks` and `track_tags`; returns the tracks without artist and album."""
    scores, without = snapshot.scan("track_tags").to_pandas(), []
    for name, key in GROUPED_BY.items():
        tracks = snapshot.scan("tracks", ["track_id", key]).to_pandas()
        without.append(int(tracks[key].isna().sum()))
        wanted = (
            scores.merge(tracks.dropna(), on="track_id")
            .groupby([key, "category", "tag"])
            .agg(
                m=("score", "mean"),
                p=("is_positive", "mean"),
                n=("score", "size"),
                s=("score", lambda x: x.std(ddof=0)),
            )
        )
        found = snapshot.scan(name).to_pandas().set_index([key, "category", "tag"]).sort_index()
        assert found.index.equals(wanted.index)
        assert found["tracks"].tolist() == wanted["n"].tolist()
        for column, other in (("mean_score", "m"), ("positive_share", "p"), ("score_spread", "s")):
            np.testing.assert_allclose(found[column], wanted[other].astype(float), atol=1e-6)
        assert found.groupby([key, "category"])["rank"].apply(lambda r: sorted(r) == list(range(1, len(r) + 1))).all()
        by_rank = found.sort_values("rank").groupby([key, "category"])["mean_score"]
        assert by_rank.apply(lambda means: means.is_monotonic_decreasing).all()
    return without


@pytest.fixture(scope="module")
def changed_world(world, tmp_path_factory):
    """The world, with one artist in all buckets and tracks without artist or album."""
    rows = world.rows().to_pandas()
    rows["artist_id"] = [None if n % 5 == 4 else "everybody" for n in range(len(rows))]
    rows["album_id"] = [None if n % 2 else f"album-{n // 4}" for n in range(len(rows))]
    path = tmp_path_factory.mktemp("catalogs") / "catalog.parquet"
    pq.write_table(pa.Table.from_pandas(rows, world.rows().schema, preserve_index=False), path)
    return path


@pytest.mark.long
def test_nights_in_waves_and_as_one_graph(world, changed_world, tmp_path, monkeypatch, capsys):
    """The second night changes the artists and opens no audio. Both ways write the same files, and keep the same."""
    monkeypatch.setattr(tag_options, "Compaction", functools.partial(Compaction, least_bytes=0))
    files = []
    for local in (True, False):
        table = tmp_path / f"table-{local}"
        with monkeypatch.context() as patch:
            patch.setattr(running, "is_local", lambda options, local=local: local)
            patch.setattr(tagging, "WAVE_BUCKETS", 2)
            first = tag(world, table, "--buckets", "3", "--direct_num_workers=1")
            second = tag(world, table, "--direct_num_workers=1", catalog=changed_world)
        assert first.run.counts["rejected"] > 0 and second.run.counts["decoded"] == 0
        for snapshot in (first, second):
            without = assert_follows_from_tracks(open_snapshot(str(table), snapshot.number))
            counters = snapshot.run.measured["counters"]["assemble"]
            assert [counters[f"tracks_without_{group}"] for group in ("artist", "album")] == without
        files.append(second.run.files)
    assert {f.run_id for f in files[0] if f.table in ("embeddings", "track_tags")} == {first.run.run_id}
    assert files[0] == files[1] and without[0] > 0 and without[1] > 0
    everybody = open_snapshot(str(table)).scan("artist_tags", ["artist_id", "tracks"])
    assert set(everybody["artist_id"].to_pylist()) == {"everybody"} and everybody["tracks"][0].as_py() > 1
    capsys.readouterr()
    assert main(["verify", str(table), "--all"]) == 0, capsys.readouterr().out
    assert main(["query", str(table), "SELECT max(tracks) - min(n) AS d FROM artist_tags, (SELECT count(*) n FROM "
                 "previous_artist_tags, snapshot_1_album_tags)", "--json"]) == 0  # fmt: skip


def test_they_are_outside_of_the_content_hash_and_of_what_version_0_1_reads(tmp_path, bundle):
    run = publish_table(tmp_path / "table", bundle, 12).run
    bare = dataclasses.replace(run, files=tuple(file for file in run.files if file.table not in GROUPED_BY))
    assert bare != run and bare.content_hash == run.content_hash
    document = run.to_json()
    assert {file["table"] for file in document["files"]} == {*PER_BUCKET, "taxonomy"}
    assert {file["table"] for file in document["group_files"]} == set(GROUPED_BY)
    assert Run.from_json(document) == run
    del document["group_files"]
    assert {file.table for file in Run.from_json(document).files} == {*PER_BUCKET, "taxonomy"}


def test_a_snapshot_of_version_0_1_has_none(tmp_path, capsys):
    table = str(shutil.copytree(V0_1, tmp_path / "table"))
    assert open_snapshot(table).scan("artist_tags").num_rows == 0
    assert main(["query", table, "SELECT count(*) AS n FROM artist_tags", "--json"]) == 0
    assert main(["verify", table]) == 0, capsys.readouterr().out
    assert main(["rollback", table, "1"]) == 0 and main(["verify", table]) == 0
    assert main(["diff", table, "1", "2"]) == 0 and main(["status", table]) == 0


@pytest.mark.parametrize("options", [PublishedRows(), PublishedRows(min_score=0.4, top_k=3)])
def test_a_takedown_leaves_the_aggregates(tmp_path, bundle, options, capsys):
    table = tmp_path / "table"
    publish_table(table, bundle, 24, publication=options)
    before, gone = open_snapshot(str(table)), "track-0005"
    row = before.scan("tracks", track_ids=[gone]).to_pylist()[0]
    old = {name: before.scan(name).to_pandas() for name in GROUPED_BY}
    listed = {file.path for file in before.manifest.run.files if file.table in GROUPED_BY}
    assert main(["purge", str(table), "--track-id", gone, "--reader-grace", "0s", "--apply"]) == 0
    after = open_snapshot(str(table))
    if options == PublishedRows():
        assert_follows_from_tracks(after)
    for name, key in GROUPED_BY.items():
        now = after.scan(name).to_pandas()
        others = old[name][old[name][key] != row[key]].reset_index(drop=True)
        pd.testing.assert_frame_equal(now[now[key] != row[key]].reset_index(drop=True), others)
        left = now[now[key] == row[key]]
        assert left.empty if options != PublishedRows() else (left["tracks"] < old[name]["tracks"].max() + 1).all()
    replaced = listed - {file.path for file in after.manifest.run.files}
    assert replaced and not any((table / path).exists() for path in replaced)
    capsys.readouterr()
    assert main(["verify", str(table)]) == 0, capsys.readouterr().out


FAULTS = {
    "tracks": (lambda rows: [*[n + 1 for n in rows["tracks"][:1]], *rows["tracks"][1:]], "different numbers of tracks"),
    "mean_score": (lambda rows: [2.0] * len(rows["tracks"]), "mean_score from 2 to 2, not within"),
    "tag": (lambda rows: ["mood/none", *rows["tag"][1:]], "not in the taxonomy"),
    "artist_id": (lambda rows: ["0" + own for own in rows["artist_id"]], "groups of other buckets"),
}


@pytest.mark.parametrize("column", FAULTS)
def test_verify_finds_what_is_wrong(tmp_path, bundle, column):
    from transforms.verification.group_checks import GroupCounts
    from transforms.verification.snapshot_checks import CheckedTags

    publish_table(tmp_path / "table", bundle, 24)
    snapshot, (change, message) = open_snapshot(str(tmp_path / "table")), FAULTS[column]
    tags, file = CheckedTags.of(snapshot.scan("taxonomy")), read_snapshot(snapshot.root, 1).files("artist_tags")[0]
    rows, counts = snapshot.scan("artist_tags", bucket=file.bucket), GroupCounts(snapshot.manifest.run)
    assert list(counts.row_problems(rows, file, tags, snapshot.buckets)) == []
    values = pa.array(change(rows.to_pydict()), rows.schema.field(column).type)
    rows = rows.set_column(rows.column_names.index(column), column, values)
    assert any(message in problem for problem in counts.row_problems(rows, file, tags, snapshot.buckets))
    assert any("have a artist_id" in problem for problem in counts.problems())
