"""The functions of SQL give the answers of the commands: DuckDB's macros here, Spark's functions in `tests/engines`."""

import dataclasses

import duckdb
import pytest

from tests.support.neighbours import publish_table_neighbours
from tests.support.published import fake_bundle, publish_table
from transforms.discovery.search.engine import search_tracks
from transforms.discovery.search.request import SearchRequest
from transforms.table.duckdb_views import connect
from transforms.table.macros.unpublished import NO_NEIGHBOURS
from transforms.table.reader import open_snapshot
from transforms.table.sql import bigquery_statements, current_statements
from transforms.tagging.assembly import PublishedRows

WEIGHTS = (
    {"mood/calm": 0.8, "genre/techno": -1.0},
    {"mood/soft": 0.3, "instrument/drums": 1.0, "mood/sad": -0.1, "voice/vocal": 0.25},
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Snapshots that have all scores, the best of each category, and the high ones; the first has neighbours."""
    root = tmp_path_factory.mktemp("macros")
    publish_table(root / "all", fake_bundle(root / "bundle"), 24)
    publish_table_neighbours(str(root / "all"))
    publish_table(root / "top", fake_bundle(root / "two"), 24, publication=PublishedRows(top_k=2))
    publish_table(root / "high", fake_bundle(root / "three"), 24, publication=PublishedRows(min_score=0.6))
    return {name: open_snapshot(str(root / name)) for name in ("all", "top", "high")}


@pytest.fixture(scope="module")
def ask(tables):
    """Answers SQL about the snapshot with neighbours."""
    with connect(tables["all"], macros=True) as connection:
        yield lambda sql: connection.execute(sql).fetchall()


def as_map(weights):
    return "MAP {" + ", ".join(f"'{tag}': {weight}" for tag, weight in weights.items()) + "}"


@pytest.mark.parametrize("name", ["all", "top", "high"])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_weighted_search_has_the_order_of_the_command(tables, name, weights):
    hits = search_tracks(tables[name], SearchRequest(weights=weights, limit=24)).hits
    with connect(tables[name], macros=True) as connection:
        rows = connection.execute(f"FROM weighted_search({as_map(weights)})").fetchall()
    assert [track for track, _ in rows] == [hit.track_id for hit in hits]
    assert [score for _, score in rows] == pytest.approx([hit.score for hit in hits], abs=1e-12)


def test_tracks_with_equal_scores_are_in_the_order_of_their_ids(tables):
    """A sum in another order than that of the tags would part them by its last bit."""
    with connect(tables["all"], macros=True) as connection:
        connection.execute("CREATE TABLE same AS SELECT * REPLACE (0.3::FLOAT AS score) FROM track_tags")
        connection.execute("CREATE OR REPLACE VIEW track_tags AS FROM same")
        weights = {"mood/calm": 0.1, "mood/sad": 0.2, "genre/techno": 0.3, "voice/vocal": -0.7, "mood/dark": 1e-9}
        rows = connection.execute(f"FROM weighted_search({as_map(weights)})").fetchall()
    assert len({score for _, score in rows}) == 1 and [track for track, _ in rows] == sorted(row[0] for row in rows)


def test_has_tag_finds_what_a_search_demands(tables, ask):
    for tag in ("mood/soft", "genre/techno", "instrument/drums"):
        hits = search_tracks(tables["all"], SearchRequest(must=(tag,), weights={tag: 1}, limit=24)).hits
        rows = ask(f"FROM has_tag('{tag}')")
        assert [row[0] for row in rows] == [hit.track_id for hit in hits]
        scores = {hit.track_id: hit.contributions[0].score for hit in hits}
        assert all(round(score, 4) == scores[track] for track, score in rows)


def test_has_tag_has_a_lowest_score_that_is_met_exactly(tables, ask):
    every = ask("SELECT track_id, score FROM track_tags WHERE tag = 'genre/techno' ORDER BY score DESC, track_id")
    for least in sorted({round(score, 4) for _, score in every})[::6]:
        assert ask(f"FROM has_tag('genre/techno', {least})") == [row for row in every if round(row[1], 4) >= least]


def test_similar_to_reads_the_neighbours(tables, ask):
    rows = tables["all"].scan("neighbours", track_ids=["track-0001"]).sort_by("rank").to_pylist()
    found = ask("FROM similar_to('track-0001')")
    assert [row[:2] for row in found] == [(row["rank"], row["neighbour_id"]) for row in rows] and len(rows) == 5
    titles = dict(ask("SELECT track_id, title FROM tracks"))
    assert all(title == titles[track] for _, track, title, *_ in found)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("has_tag('mood/none')", "no tag of this snapshot has the id mood/none; SELECT tag, name"),
        ("has_tag('mood/none', 0.5)", "no tag of this snapshot has the id mood/none"),
        ("has_tag(NULL)", "has the id NULL"),
        ("weighted_search(MAP {'mood/calm': 1, 'mood/none': 1})", "has the id mood/none"),
        ("weighted_search(MAP {'mood/calm': 1.5})", "a weight from -1 to 1 to mood/calm"),
        ("weighted_search(MAP {'mood/calm': 'nan'::DOUBLE})", "a weight from -1 to 1 to mood/calm"),
        ("weighted_search(MAP {'mood/calm': NULL})", "a weight from -1 to 1 to mood/calm"),
        ("has_tag('mood/calm', 2)", "a lowest score from 0 to 1 to mood/calm"),
        ("has_tag('mood/calm', 'nan'::FLOAT)", "a lowest score from 0 to 1 to mood/calm"),
        ("similar_to('nobody')", "no track of this snapshot has the id nobody"),
    ],
)
def test_what_does_not_exist_is_an_error_and_no_empty_answer(ask, call, told):
    for sql in (f"FROM {call}", f"SELECT count(*) FROM {call}"):
        with pytest.raises(duckdb.Error, match=told):
            ask(sql)


def test_an_id_of_a_tag_counts_once(tables):
    with connect(tables["all"], macros=True) as connection:
        connection.execute(
            "CREATE OR REPLACE VIEW tag_ids AS SELECT tag AS id, tag FROM taxonomy "
            "UNION ALL SELECT 'mood/old', 'mood/calm' UNION ALL SELECT 'mood/split', unnest(['mood/sad', 'mood/dark'])"
        )
        sql = "FROM weighted_search(MAP {'mood/%s': 1})"
        assert connection.execute(sql % "old").fetchall() == connection.execute(sql % "calm").fetchall()
        both = dict(connection.execute(sql % "split").fetchall())
        each = [dict(connection.execute(sql % tag).fetchall()) for tag in ("sad", "dark")]
        assert both == {track: max(one[track] for one in each) for track in both}
        with pytest.raises(duckdb.Error, match="give each tag once"):
            connection.execute("FROM weighted_search(MAP {'mood/calm': 1, 'mood/old': 1})").fetchall()


def test_without_neighbours_the_command_is_named(tables):
    with (
        connect(tables["top"], macros=True) as connection,
        pytest.raises(duckdb.Error, match="run `catalog-tagger nei"),
    ):
        connection.execute("FROM similar_to('track-0001')").fetchall()


def test_current_sql_has_the_macros(tables, monkeypatch):
    monkeypatch.chdir(tables["all"].root)
    with duckdb.connect(":memory:") as connection:
        connection.execute(current_statements(tables["all"]))
        assert len(connection.execute("FROM similar_to('track-0001')").fetchall()) == 5
        assert len(connection.execute("FROM weighted_search(MAP {'mood/calm': 1})").fetchall()) == 24
        assert connection.execute("FROM has_tag('mood/calm', 0.9999)").fetchall() is not None


def test_bigquery_has_functions_of_tables_that_exist(tables):
    texts = {name: bigquery_statements(dataclasses.replace(one, root="gs://b/t")) for name, one in tables.items()}
    for text in texts.values():
        assert "CREATE OR REPLACE TABLE FUNCTION has_tag(wanted_tag STRING, least_score FLOAT64) AS (" in text
        assert "CREATE OR REPLACE TABLE FUNCTION weighted_search(" in text
    assert "CREATE OR REPLACE TABLE FUNCTION similar_to(of_track STRING) AS (" in texts["all"]
    assert f"-- similar_to: no track{NO_NEIGHBOURS}\nDROP TABLE FUNCTION IF EXISTS similar_to;" in texts["top"]
    assert "MIN(score)" in texts["top"] and "MIN(score)" not in texts["all"] and ", 0.6) AS q" in texts["high"]
