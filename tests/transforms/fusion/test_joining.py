"""Rows of sources meet the rows of the catalog: every one is counted once, whatever their order and partition."""

import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fusion import TAXONOMY, catalog_rows, policy, statements
from transforms.formats.hashing import bucket_of
from transforms.fusion.joining import Joined, join_bucket, key_pairs, spread_statements
from transforms.fusion.source_files import STATEMENTS
from transforms.fusion.tally import ROW_OUTCOMES, RowTally, add_tallies
from transforms.schemas.fusion import SAID, SAID_ID

RULES = policy(editors={"mode": "override"}, web={"mode": "blend", "trust": 0.5})


def said_of(joined: Joined) -> dict[str, list[tuple]]:
    assert joined.rows is not None
    return {
        row["track_id"]: [(entry["source"], entry["tag"], entry["weight"]) for entry in row[SAID] or ()]
        for row in joined.rows.to_pylist()
    }


def ids_of(joined: Joined) -> dict[str, str | None]:
    assert joined.rows is not None
    return dict(zip(joined.rows["track_id"].to_pylist(), joined.rows[SAID_ID].to_pylist(), strict=True))


def join(said: dict, rules=RULES, ids=("a", "b", "c"), **further) -> Joined:
    return join_bucket(catalog_rows(list(ids), **further), [statements(said)], [], rules, TAXONOMY)


def test_what_is_said_is_sorted_by_source_and_tag() -> None:
    found = join({"web": {"a": {"mood/sad": 0.5, "mood/calm": 1}}, "editors": {"a": {"mood/sad": 0}}})
    assert said_of(found) == {
        "a": [("editors", "mood/sad", 0), ("web", "mood/calm", 1), ("web", "mood/sad", 0.5)],
        "b": [],
        "c": [],
    }
    assert found.rows is not None and found.rows[SAID].null_count == 2 and found.rows[SAID_ID].null_count == 2
    assert found.tally.tracks == 1


def test_repeated_rows_and_unknown_ids_are_counted() -> None:
    said = {"web": {"a": {"mood/sad": 0.5}, "z": {"mood/sad": 1, "mood/calm": 1}, "y": {"mood/sad": 1}}}
    rows = pa.concat_tables([statements(said), statements({"web": {"a": {"mood/sad": 0.75}}})])
    found = join_bucket(catalog_rows(["a"]), [rows], [], RULES, TAXONOMY)
    assert said_of(found) == {"a": [("web", "mood/sad", 0.75)]}, "the highest weight"
    counts = found.tally.of_source("web")
    assert {name: counts[name] for name in ("rows", "used", "repeated", "unknown_id")} == {
        "rows": 5,
        "used": 1,
        "repeated": 1,
        "unknown_id": 3,
    }
    assert counts["examples"] == {"unknown_id": ["track_id y", "track_id z"]}


def test_a_bucket_without_catalog_rows_is_counted() -> None:
    found = join_bucket(None, [statements({"web": {"a": {"mood/sad": 1}}})], [], RULES, TAXONOMY)
    assert found.rows is None and found.tally.of_source("web")["unknown_id"] == 1


def test_tags_of_the_catalog_are_a_source_if_the_policy_names_it() -> None:
    tags = {"a": {"mood/peaceful": None, "mood/calm": 0.25, "x/none": 1.0, "live/live": 1.0}, "b": {"mood/sad": 0.5}}
    rules = policy(catalog={"mode": "blend", "categories": {"live": {"mode": "ignore"}}}, web={"mode": "fill"})
    found = join({"web": {"b": {"mood/sad": 1}}}, rules, tags=tags)
    assert said_of(found) == {
        "a": [("catalog", "mood/calm", 1)],
        "b": [("catalog", "mood/sad", 0.5), ("web", "mood/sad", 1)],
        "c": [],
    }
    counts = found.tally.of_source("catalog")
    assert {name: counts[name] for name in ("rows", *ROW_OUTCOMES) if counts[name]} == {
        "rows": 5,
        "used": 2,
        "repeated": 1,
        "unknown_tag": 1,
        "ignored": 1,
    }
    assert said_of(join({"web": {"b": {"mood/sad": 1}}}, tags=tags))["a"] == []


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ({}, set()),
        ({"web": {"a": {"mood/sad": 1}, "b": {"mood/sad": 0.25}}}, {"b"}),
        ({"web": {"a": {"mood/sad": 1}}}, {"b"}),
        ({"web": {"a": {"mood/sad": 1}, "b": {"mood/sad": 0.5}}, "editors": {"c": {"mood/sad": 1}}}, {"c"}),
    ],
)
def test_the_id_changes_with_what_is_said(change: dict, stale: set[str]) -> None:
    before = {"web": {"a": {"mood/sad": 1}, "b": {"mood/sad": 0.5}}}
    one, two = ids_of(join(before)), ids_of(join(change or before))
    assert {track for track in one if one[track] != two[track]} == stale


def test_the_id_changes_with_the_rules_of_the_sources_that_speak() -> None:
    said = {"web": {"a": {"mood/sad": 1}}, "editors": {"b": {"mood/sad": 0.5}}}
    one = ids_of(join(said))
    two = ids_of(join(said, policy(editors={"mode": "override"}, web={"mode": "blend", "trust": 0.6})))
    assert {track for track in one if one[track] != two[track]} == {"a"}
    more = policy(editors={"mode": "override"}, new={"mode": "fill"}, web={"mode": "blend", "trust": 0.5})
    assert ids_of(join(said, more)) == one, "a source that says nothing changes nothing"
    both = {"web": {"a": {"mood/sad": 1}}, "editors": {"a": {"mood/sad": 0.5}}}
    turned = policy(web={"mode": "blend", "trust": 0.5}, editors={"mode": "override"})
    assert ids_of(join(both))["a"] != ids_of(join(both, turned))["a"], "the order of sources decides"


def test_rows_about_artists_reach_all_their_tracks() -> None:
    rows = catalog_rows(["a", "b", "c", "d"], artist_id=["x", "x", "y", None])
    said = {"web": {"x": {"mood/sad": 1}, "nobody": {"mood/sad": 1}}, "editors": {"x": {"mood/calm": 0.5}}}
    twice = pa.concat_tables([statements(said), statements({"web": {"x": {"mood/sad": 0.5}}})])
    found, tally = spread_statements("artist_id", twice, key_pairs(rows, "artist_id"), 7)
    assert sorted((r["key"], r["source"], r["tag"], r["weight"]) for r in found.to_pylist()) == [
        ("a", "editors", "mood/calm", 0.5),
        ("a", "web", "mood/sad", 1),
        ("b", "editors", "mood/calm", 0.5),
        ("b", "web", "mood/sad", 1),
    ]
    assert all(row["bucket"] == bucket_of(row["key"], 7) for row in found.to_pylist())
    web = tally.of_source("web")
    assert (web["rows"], web["used"], web["repeated"], web["unknown_id"]) == (3, 1, 1, 1)
    assert web["examples"] == {"unknown_id": ["artist_id nobody"]}
    joined = join_bucket(rows, [], [found.drop_columns("bucket")], RULES, TAXONOMY)
    assert joined.tally.of_source("web")["rows"] == 0 and joined.tally.tracks == 2, "they are counted once"


@pytest.mark.parametrize("which", ["said", "pairs"])
def test_artists_on_one_side_alone(which: str) -> None:
    said = statements({"web": {"x": {"mood/sad": 1}}}) if which == "said" else None
    pairs = None if which == "said" else key_pairs(catalog_rows(["a"], artist_id=["x"]), "artist_id")
    found, tally = spread_statements("artist_id", said, pairs, 3)
    assert found.num_rows == 0 and tally.of_source("web")["unknown_id"] == int(which == "said")


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdz"),
            st.sampled_from(["web", "editors"]),
            st.sampled_from(["mood/sad", "mood/calm"]),
            st.sampled_from([0.0, 0.5, 1.0]),
        ),
        max_size=30,
    ),
    st.integers(1, 4),
)
def test_every_row_is_counted_once_whatever_the_partition(rows: list[tuple], buckets: int) -> None:
    table = pa.Table.from_pylist([dict(zip(STATEMENTS.names, row, strict=True)) for row in rows], STATEMENTS)
    catalog = catalog_rows(list("abcd"))
    whole = join_bucket(catalog, [table], [], RULES, TAXONOMY)
    shuffled = table.take(pa.array(random.Random(len(rows)).sample(range(len(rows)), len(rows)), pa.int64()))
    tallies: list[RowTally] = []
    said: dict[str, list[tuple]] = {}
    ids: dict[str, str | None] = {}
    for bucket in range(buckets):
        own, theirs = (
            found.filter(pa.array([bucket_of(key, buckets) == bucket for key in found[name].to_pylist()], pa.bool_()))
            for found, name in ((catalog, "track_id"), (shuffled, "key"))
        )
        joined = join_bucket(own, [theirs.slice(0, 3), theirs.slice(3)], [], RULES, TAXONOMY)
        tallies.append(joined.tally)
        said |= said_of(joined)
        ids |= ids_of(joined)
    together = add_tallies(tallies)
    assert (said, ids, together) == (said_of(whole), ids_of(whole), whole.tally)
    assert sum(together.of_source(name)["rows"] for name in RULES.names) == len(rows)
