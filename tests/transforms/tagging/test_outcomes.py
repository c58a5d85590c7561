"""Which earlier outcomes still count, and which of several is taken."""

import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.published import BUCKETS, fake_bundle, publish_table
from transforms.extraction.kill_history import KILLED
from transforms.formats.hashing import bucket_of
from transforms.schemas.tables import PART
from transforms.table.snapshots import Ids
from transforms.tagging.outcomes.assembled import assembled
from transforms.tagging.outcomes.prior import MISSING, PriorOutcomes
from transforms.tagging.outcomes.unsettled import unsettled
from transforms.tagging.part_files import write_part
from transforms.tagging.planning import plan_chunks
from transforms.tagging.tagger import ids_of

IDS = Ids(feature_id="fs-1", embedding_id="em-1", tagger_id="tg-1", taxonomy_id="tx-1")


@pytest.fixture
def known(tmp_path: Path) -> PriorOutcomes:
    return PriorOutcomes(root=str(tmp_path), parent=None, ids=IDS, due_again=frozenset({"unavailable", "not_found"}))


def _rows(*tracks: tuple[str, str]) -> pa.Table:
    return pa.table(
        {
            "track_id": [t for t, _ in tracks],
            "uri": [f"{t}.wav" for t, _ in tracks],
            "source_version": [v for _, v in tracks],
        }
    )


def _part(known: PriorOutcomes, *outcomes: tuple[str, str, str | None], embedding_id: str = "em-1") -> str:
    rows = [
        {"track_id": track, "source_version": version, "reason": reason, "embedding": None if reason else [1.0, 2.0]}
        for track, version, reason in outcomes
    ]
    return write_part(known.root, 0, pa.Table.from_pylist(rows, schema=PART), embedding_id)


def _settled(known: PriorOutcomes, bucket: int, rows: pa.Table) -> list[str]:
    """Ids of the rows that need no extraction."""
    left = set(unsettled(known, bucket, rows).rows["track_id"].to_pylist())
    return [track for track in rows["track_id"].to_pylist() if track not in left]


def test_part_files_of_any_run_settle_their_tracks(known: PriorOutcomes) -> None:
    _part(known, ("a", "1", None), ("b", "1", "silent"))
    assert _settled(known, 0, _rows(("a", "1"), ("b", "1"), ("c", "1"))) == ["a", "b"]
    assert _settled(known, 1, _rows(("a", "1"))) == []


def test_another_version_or_another_embedding_settles_nothing(known: PriorOutcomes) -> None:
    _part(known, ("a", "1", None))
    _part(known, ("b", "1", None), embedding_id="em-2")
    assert _settled(known, 0, _rows(("a", "2"), ("b", "1"))) == []


def test_what_is_due_again_is_not_settled_unless_a_listing_missed_it(known: PriorOutcomes) -> None:
    _part(known, ("a", "1", "unavailable"), ("b", "1", "not_found"), ("c", MISSING, "not_found"))
    assert _settled(known, 0, _rows(("a", "1"), ("b", "1"), ("c", MISSING))) == ["c"]


def test_rejects_are_tried_again_on_request(tmp_path: Path) -> None:
    known = PriorOutcomes(root=str(tmp_path), parent=None, ids=IDS, due_again=frozenset(), retry_rejects=True)
    _part(known, ("a", "1", "silent"), ("b", "1", None))
    assert _settled(known, 0, _rows(("a", "1"), ("b", "1"))) == ["b"]


def test_an_embedding_is_taken_before_a_reject(known: PriorOutcomes) -> None:
    _part(known, ("a", "1", "unavailable"))
    _part(known, ("a", "1", None))
    found = assembled(known, 0, _rows(("a", "1")))
    assert found.num_rows == 1 and found["reason"].to_pylist() == [None]


def test_of_several_rejects_the_one_that_stands_is_told(known: PriorOutcomes) -> None:
    """Whatever the names of the part files, which are hashes of their content."""
    tracks = [f"t{i}" for i in range(12)]
    for track in tracks:
        _part(known, (track, "1", "unavailable"))
        _part(known, (track, "1", "silent"))
    rows = _rows(*((track, "1") for track in tracks))
    assert set(assembled(known, 0, rows)["reason"].to_pylist()) == {"silent"}
    assert len(_settled(known, 0, rows)) == len(tracks)


def test_of_several_rejects_this_launch_has_the_last_word(known: PriorOutcomes) -> None:
    tracks = [f"t{i}" for i in range(12)]
    for track in tracks:
        _part(known, (track, "1", "timeout"))
    latest = [_part(known, (track, "1", "silent")) for track in tracks]
    found = assembled(known, 0, _rows(*((track, "1") for track in tracks)), latest=latest)
    assert set(found["reason"].to_pylist()) == {"silent"}


def test_a_track_without_outcome_stops_the_run(known: PriorOutcomes) -> None:
    _part(known, ("a", "1", None))
    with pytest.raises(RuntimeError, match=r"1 planned tracks have no outcome, e.g. \['b'\]"):
        assembled(known, 0, _rows(("a", "1"), ("b", "1")))


def test_writing_a_part_twice_leaves_one(known: PriorOutcomes) -> None:
    _part(known, ("a", "1", None))
    _part(known, ("a", "1", None))
    assert len(list((Path(known.root) / "work" / "bucket=0000").iterdir())) == 1


def test_chunks_hold_what_is_left_in_an_order_that_rows_do_not_decide(known: PriorOutcomes) -> None:
    _part(known, ("t3", "1", None))
    rows = _rows(*((f"t{i}", "1") for i in range(10)))
    chunks = plan_chunks(known, 0, rows, 4)
    assert [len(chunk.tracks) for chunk in chunks] == [4, 4, 1]
    assert {s.track_id for chunk in chunks for s in chunk.tracks} == {f"t{i}" for i in range(10)} - {"t3"}
    assert plan_chunks(known, 0, rows.take(list(range(9, -1, -1))), 4) == chunks


def test_the_longest_history_of_killed_decoders_is_planned(known: PriorOutcomes) -> None:
    told = [f"{KILLED}" + "; ".join(f"run {n} killed (SIGKILL)" for n in range(1, last + 1)) for last in (1, 2, 10)]
    for version, detail in (("1", told[1]), ("1", told[0]), ("0", told[2]), ("1", "403 Forbidden")):
        row = {"track_id": "a", "source_version": version, "reason": "unavailable", "detail": detail, "stage": "decode"}
        write_part(known.root, 0, pa.Table.from_pylist([row], schema=PART), "em-1")
    (chunk,) = plan_chunks(known, 0, _rows(("a", "1"), ("b", "1")))
    assert {source.track_id: source.history for source in chunk.tracks} == {"a": told[1], "b": ""}


def test_tracks_that_the_last_snapshot_could_not_read_are_marked(tmp_path: Path) -> None:
    bundle, table = fake_bundle(tmp_path / "bundle"), tmp_path / "table"
    snapshot = publish_table(table, bundle, 3)
    known = PriorOutcomes(
        root=str(table), parent=snapshot.number, ids=ids_of(bundle), due_again=frozenset({"not_found"})
    )
    bucket = bucket_of("broken-b", BUCKETS)
    (chunk,) = plan_chunks(known, bucket, _rows(("broken-b", "1"), ("new", "1")))
    assert {source.track_id: source.retried for source in chunk.tracks} == {"broken-b": True, "new": False}


def test_the_parent_is_read_once_and_never_sent(tmp_path: Path) -> None:
    bundle, table = fake_bundle(tmp_path / "bundle"), tmp_path / "table"
    number = publish_table(table, bundle, 3).number
    known = PriorOutcomes(root=str(table), parent=number, ids=ids_of(bundle), due_again=frozenset())
    before = pickle.dumps(known)
    assert known.snapshot is known.snapshot and known.snapshot.manifest.number == number
    assert pickle.dumps(known) == before and pickle.loads(before) == known


@pytest.mark.parametrize("neighbours", [(), ("new",)])
def test_a_carried_reject_does_not_depend_on_the_tracks_of_its_bucket(
    tmp_path: Path, neighbours: tuple[str, ...]
) -> None:
    """A killed run that retried rejects left an embedding. Part files are read only if some track has no outcome."""
    bundle, table = fake_bundle(tmp_path / "bundle"), tmp_path / "table"
    number = publish_table(table, bundle, 3).number
    ids, bucket = ids_of(bundle), bucket_of("broken-b", BUCKETS)
    known = PriorOutcomes(root=str(table), parent=number, ids=ids, due_again=frozenset())
    done = [{"track_id": track, "source_version": "1", "embedding": [1.0]} for track in ("broken-b", "new")]
    write_part(str(table), bucket, pa.Table.from_pylist(done, schema=PART), ids.embedding_id)
    rows = _rows(("broken-b", "1"), *((track, "1") for track in neighbours))
    found = assembled(known, bucket, rows, ["track_id", "source_version", "reason", "carried"]).to_pylist()
    assert found[0]["track_id"] == "broken-b" and found[0]["reason"] and found[0]["carried"]
    assert [row["track_id"] for row in found[1:]] == list(neighbours)
    again = PriorOutcomes(root=str(table), parent=number, ids=ids, due_again=frozenset(), retry_rejects=True)
    (first, *_) = assembled(again, bucket, rows, ["track_id", "source_version", "reason", "carried"]).to_pylist()
    assert first["reason"] is None and not first["carried"]
