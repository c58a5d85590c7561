"""Faults of a bucket's rows: each is counted by its gate and named, and rows as `tag` writes them have none."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.support.nights import BUCKETS, TAXONOMY, blank_bundle, night_inputs, track_id
from transforms.formats.arrow import group_numbers
from transforms.tagging.assembly import PublishedRows, assemble_bucket
from transforms.tagging.bucket_faults import FAULT_GATES
from transforms.tagging.evidence import Evidence
from transforms.tagging.examination import BucketExaminer
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.tagging.tagger import ids_of

TRACKS = [t for t in range(60) if group_numbers([track_id(t)], BUCKETS)[0] == 1]
STRANGER = next(t for t in range(60) if t not in TRACKS)
FIRST = track_id(TRACKS[0])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return blank_bundle(tmp_path_factory.mktemp("bundle") / "blank")


@pytest.fixture(scope="module")
def tables(bundle) -> dict[str, pa.Table]:
    rows, outcomes = night_inputs(TRACKS, rejected=TRACKS[3:5])
    return assemble_bucket(rows, outcomes, {}, bundle, "run-1", PublishedRows())


@pytest.fixture(scope="module")
def examiner(bundle) -> BucketExaminer:
    known = PriorOutcomes(root="nowhere", parent=None, ids=ids_of(bundle), due_again=frozenset(), buckets=BUCKETS)
    return BucketExaminer(known=known, publication=PublishedRows(), taxonomy=bundle.taxonomy_rows())


def changed(table: pa.Table, column: str, value: object, rows: pa.ChunkedArray | pa.Array) -> pa.Table:
    """The table with another value in some rows: bool [rows]."""
    place = table.schema.get_field_index(column)
    new = pc.if_else(rows, pa.scalar(value, table.schema.field(place).type), table[column])
    return table.set_column(place, pa.field(column, new.type), new)


def of_tag(table: pa.Table, tag: str, count: int = 3) -> pa.Array:
    """Which rows are the first ones of a tag."""
    places = np.flatnonzero(np.array(table["tag"].to_pylist()) == tag)[:count]
    return pa.array(np.isin(np.arange(table.num_rows), places))


def test_rows_as_they_are_written_have_no_fault(examiner, tables) -> None:
    found = examiner.examine(1, tables).to_json()
    assert found["faults"] == dict.fromkeys(sorted(FAULT_GATES), 0) and found["drift"] == {}
    assert found["offenders"] == {"rejected": [f"{track_id(t)}: silent" for t in TRACKS[3:5]]}


@pytest.mark.parametrize("options", [{"min_score": 0.4}, {"top_k": 1}])
def test_rows_that_are_not_published_are_no_fault(bundle, examiner, options: dict) -> None:
    rows, outcomes = night_inputs(TRACKS)
    tables = assemble_bucket(rows, outcomes, {}, bundle, "run-1", PublishedRows(**options))
    assert set(examiner.examine(1, tables).faults.values()) == {0}


CASES = {
    "an id twice": ("ledger", lambda t: pa.concat_tables([t, t.slice(0, 1)]), "unique", 1, FIRST),
    "a track twice": ("tracks", lambda t: pa.concat_tables([t, t.slice(0, 1), t.slice(0, 1)]), "unique", 2, FIRST),
    "an embedding twice": ("embeddings", lambda t: pa.concat_tables([t, t.slice(0, 1)]), "unique", 1, FIRST),
    "a tag of a track twice": (
        "track_tags",
        lambda t: pa.concat_tables([t, t.slice(0, 2)]),
        "unique",
        2,
        "track and tag: 2",
    ),
    "a column less": ("tracks", lambda t: t.drop_columns("tagger_id"), "schema", 1, "column tagger_id of tracks: 1"),
    "a column more": (
        "ledger",
        lambda t: t.append_column("more", t["track_id"]),
        "schema",
        1,
        "further columns of ledger: 1",
    ),
    "another type": (
        "track_tags",
        lambda t: t.set_column(4, "rank", t["rank"].cast(pa.int32())),
        "schema",
        1,
        "column rank of track_tags: 1",
    ),
    "a null": ("tracks", lambda t: changed(t, "tagger_id", None, pc.equal(t["track_id"], FIRST)), "schema", 1, None),
    "a score over 1": ("track_tags", lambda t: changed(t, "score", 1.25, of_tag(t, "mood/rare")), "scores", 3, None),
    "a negative weight": (
        "track_tags",
        lambda t: changed(t, "expert_weight", -0.5, of_tag(t, "mood/rare")),
        "scores",
        3,
        "expert_weight of mood/rare: 3",
    ),
    "a score between two multiples": (
        "track_tags",
        lambda t: changed(t, "score", 0.12345, of_tag(t, "genre/g0")),
        "scores",
        3,
        "score of genre/g0: 3",
    ),
    "an unknown tag": (
        "track_tags",
        lambda t: changed(t, "tag", "mood/new", of_tag(t, "mood/rare")),
        "known_tags",
        3,
        "mood/new: 3",
    ),
    "a track that is not tagged": (
        "track_tags",
        lambda t: changed(t, "track_id", "nobody", of_tag(t, "mood/rare", 1)),
        "known_tags",
        1,
        "nobody",
    ),
    "a child over its parent": (
        "track_tags",
        lambda t: changed(t, "score", 0.0, of_tag(t, "mood/soft", 100)),
        "hierarchy",
        len(TRACKS) - 2,
        f"mood/soft below its child mood/calm: {len(TRACKS) - 2}",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_fault_is_counted_and_named(examiner, tables, name: str) -> None:
    table, change, gate, count, offender = CASES[name]
    found = examiner.examine(1, {**tables, table: change(tables[table])}).to_json()
    assert {name: value for name, value in found["faults"].items() if value} == {gate: count}
    assert offender is None or found["offenders"][gate][0] == offender


def test_ids_of_another_bucket_are_counted(examiner, bundle) -> None:
    rows, outcomes = night_inputs([*TRACKS, STRANGER])
    tables = assemble_bucket(rows, outcomes, {}, bundle, "run-1", PublishedRows())
    found = examiner.examine(1, tables).to_json()
    assert (found["faults"]["unique"], found["offenders"]["unique"]) == (1, [track_id(STRANGER)])


def test_evidence_adds_up_in_any_order() -> None:
    parts = [
        Evidence(
            faults={"unique": i, "schema": 0},
            tracks={"unique": tuple(f"t{(7 * i + k) % 40:02}" for k in range(8))},
            tags={"scores": {f"tag{i % 3}": i}},
        )
        for i in range(9)
    ]
    one = sum(parts, start=Evidence()).to_json()
    other = (parts[4] + (sum(parts[5:], start=parts[0]) + sum(parts[1:4], start=Evidence()))).to_json()
    assert one == other
    assert one["faults"] == {"schema": 0, "unique": 36}
    assert one["offenders"] == {
        "scores": ["tag2: 15", "tag1: 12", "tag0: 9"],
        "unique": [f"t{i:02}" for i in range(10)],
    }


def test_the_taxonomy_of_the_nights_has_a_hierarchy() -> None:
    assert [tag.parents for tag in TAXONOMY.tags if tag.id == "mood/calm"] == [("mood/soft",)]
