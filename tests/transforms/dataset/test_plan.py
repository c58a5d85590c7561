"""What `prepare` plans, without Beam."""

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.dataset.manifest import ShardEntry
from transforms.dataset.plan import ChunkReport, SplitPlan, TrackOutcome, add_digests, plan_labelled, rows_digest
from transforms.dataset.stats import DatasetStats
from transforms.schemas.catalog import CATALOG
from transforms.splits.by_artist import SplitRatios
from transforms.taxonomy.hierarchy import Taxonomy

TAXONOMY = Taxonomy.from_json(
    {
        "categories": [
            {"name": "mood", "kind": "multilabel", "tags": ["mood/calm"]},
            {"name": "genre", "kind": "multiclass", "tags": ["genre/rock", "genre/pop"]},
        ]
    }
)
SCHEMA = pa.schema(
    [*CATALOG, pa.field("fold", pa.string()), pa.field("_file", pa.string()), pa.field("_row", pa.int64())]
)


def plan(**values):
    return SplitPlan(**{"taxonomy": TAXONOMY, "ratios": SplitRatios(), "chunk_tracks": 2, **values})


def row(number, *tags, **values):
    tags = [{"tag": tag, "weight": None} for tag in tags or ("mood/calm",)]
    place = {"_file": "c.csv", "_row": number}
    key = {"track_id": f"t{number}", "uri": f"{number}.mp3", "source_version": "v", "artist_id": f"a{number}"}
    return {**key, **place, "tags": tags, **values}


def table(rows):
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def planned(rows, **values):
    return plan_labelled(table(rows), plan(**values))


def test_chunks_hold_one_split_each_and_all_tracks_once():
    found = planned([row(i) for i in range(40)])
    tracks = [track.source.track_id for chunk in found.chunks for track in chunk.tracks]
    assert sorted(tracks) == sorted(f"t{i}" for i in range(40)) and found.problems == []
    assert {chunk.split for chunk in found.chunks} == {"train", "validation", "test"}
    assert max(len(chunk.tracks) for chunk in found.chunks) == 2


@given(st.permutations(range(12)))
def test_the_order_of_rows_does_not_matter(order):
    assert planned([row(i) for i in order]).chunks == planned([row(i) for i in range(12)]).chunks


def test_a_few_more_rows_leave_most_chunks_alone():
    before = planned([row(i) for i in range(40)], chunk_tracks=4).chunks
    after = planned([row(i) for i in range(40)] + [row(99)], chunk_tracks=4).chunks
    assert {chunk.split for chunk in set(before) - set(after)} == {chunk.split for chunk in set(after) - set(before)}
    assert len({chunk.split for chunk in set(before) - set(after)}) <= 1


def test_what_has_no_label_is_counted_and_left_out():
    rows = [row(1), row(2, "other/x"), row(3, tags=None), row(4, "genre/rock", "genre/pop")]
    found = planned(rows)
    assert [chunk.tracks[0].source.track_id for chunk in found.chunks] == ["t1"]
    assert found.left_out.none == {"unlabelled": 3} and found.left_out.outcomes == {"catalog": 3, "none": 3}


def test_official_splits_and_their_mistakes():
    found = planned([row(1, fold="test"), row(2, fold=None), row(3, fold="holdout")], column="fold")
    assert [chunk.split for chunk in found.chunks] == ["test"]
    assert [(p.row, p.column) for p in found.problems] == [(3, "fold")]


def test_tags_that_a_category_lacks_are_problems_unless_dropped():
    rows = [row(1, "mood/calm", "mood/clam", "other/x")]
    assert [p.message.split(" is ")[0] for p in planned(rows).problems] == ["tag 'mood/clam'"]
    assert planned(rows, unknown_tags="drop").problems == []


def test_repeated_ids_are_problems():
    found = planned([row(1), row(2), row(7, track_id="t1")])
    assert [(p.row, p.column) for p in found.problems] == [(7, "track_id")]


@pytest.mark.parametrize(
    "change",
    [{"track_id": "x"}, {"uri": "x"}, {"source_version": "x"}, {"tags": [{"tag": "mood/calm", "weight": 0.5}]}],
)
def test_the_fingerprint_moves_with_what_the_shard_depends_on(change):
    (before,), (after,) = (planned([row(1, fold="test", **c)], column="fold").chunks for c in ({}, change))
    assert before.fingerprint("f", "t") != after.fingerprint("f", "t")
    assert len({before.fingerprint("f", "t"), before.fingerprint("g", "t"), before.fingerprint("f", "u")}) == 3


@given(st.permutations(range(8)), st.integers(0, 8))
def test_the_catalogs_digest_is_one_for_any_order_and_batches(order, cut):
    rows = [row(i) for i in order]
    parts = [rows_digest(table(part), None) for part in (rows[:cut], rows[cut:])]
    assert add_digests(parts) == rows_digest(table([row(i) for i in range(8)]), None)


def test_the_catalogs_digest_moves_with_its_rows():
    one, other = rows_digest(table([row(1)]), None), rows_digest(table([row(1, artist_id="b")]), None)
    assert one != other != rows_digest(table([]), None)
    assert rows_digest(table([row(1, fold="test")]), None) == one
    assert rows_digest(table([row(1, fold="test")]), "fold") != rows_digest(table([row(1)]), "fold")


def test_reports_survive_json():
    stats = DatasetStats()
    stats.add_reject("truncated")
    report = ChunkReport(
        fingerprint="f",
        split="train",
        shard=ShardEntry(path="p", split="train", examples=1, patches=2, bytes=3, sha256="s"),
        outcomes=(TrackOutcome(track_id="é", uri="u", sha256=None, conflicts=("voice",)),),
        stats=stats,
    )
    found = ChunkReport.from_json(json.loads(json.dumps(report.to_json())))
    assert found.to_json() == report.to_json() and found.outcomes == report.outcomes


def test_a_dropped_tag_is_no_problem_and_labels_its_track():
    moods = {"name": "mood", "kind": "multilabel", "tags": ["mood/calm"], "dropped": ["mood/eerie"]}
    found = planned([row(1, "mood/eerie")], taxonomy=Taxonomy.from_json({"categories": [moods]}))
    assert found.problems == [] and len(found.chunks) == 1
