"""Tracks by id, their tags, parameters and outcomes, and the search over all of them."""

import re

import pytest

from tests.support.service import every_page, service
from transforms.table.reader import open_snapshot


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [row["track_id"] for row in answer.json()["data"]]


def test_a_track_has_all_columns_and_names_its_snapshot(client, served, rows):
    snapshot = open_snapshot(served).manifest
    document = client.get("/v1/tracks/track-0003").json()
    assert document["snapshot"] == {"number": 1, "content_hash": snapshot.run.content_hash}
    expected, found = rows[3], document["data"]
    assert found.keys() == expected.keys()
    assert {name: found[name] for name in ("title", "artist_id", "year", "bpm", "duration_s")} == {
        name: expected[name] for name in ("title", "artist_id", "year", "bpm", "duration_s")
    }
    assert [one["tag"] for one in found["top_tags"]] == [one["tag"] for one in expected["top_tags"]]
    assert found["top_tags"][0]["score"] == pytest.approx(expected["top_tags"][0]["score"], abs=1e-6)


def test_fields_are_selected_and_unknown_ones_named(client):
    assert client.get("/v1/tracks/track-0003?fields=title,track_id").json()["data"].keys() == {"track_id", "title"}
    refused = client.get("/v1/tracks/track-0003?fields=title,uri")
    assert refused.status_code == 400 and "'uri'" in refused.json()["detail"]


def test_a_batch_keeps_the_order_and_names_what_is_missing(client):
    wanted = ["track-0007", "no/such id", "track-0001", "track-0007", "broken-a"]
    document = client.post("/v1/tracks/batch", json={"track_ids": wanted, "fields": ["year"]}).json()
    assert [row["track_id"] for row in document["data"]] == ["track-0007", "track-0001"]
    assert document["missing"] == ["no/such id", "broken-a"]
    assert document["data"][0].keys() == {"track_id", "year"}


def test_tags_have_scores_sources_and_names(client, served):
    found = client.get("/v1/tracks/track-0005/tags").json()["data"]
    published = open_snapshot(served).scan("track_tags", track_ids=["track-0005"]).to_pylist()
    by_tag = {row["tag"]: row for row in published}
    assert len(found) == len(by_tag) == 33
    assert [(row["category"], row["rank"]) for row in found] == sorted((r["category"], r["rank"]) for r in published)
    for row in found:
        own = by_tag[row["tag"]]
        assert row["score"] == pytest.approx(own["score"], abs=1e-6)
        assert (row["is_positive"], row["source"]) == (own["is_positive"], "model")
    assert {row["tag"]: row["name"] for row in found}["mood/calm"] == "Calm"


def test_tags_are_filtered(client):
    every = client.get("/v1/tracks/track-0005/tags").json()["data"]
    for query, keeps in {
        "category=mood": lambda row: row["category"] == "mood",
        "positive=true": lambda row: row["is_positive"],
        "min_score=0.5": lambda row: row["score"] >= 0.5,
        "category=mood&positive=false": lambda row: row["category"] == "mood" and not row["is_positive"],
    }.items():
        found = client.get(f"/v1/tracks/track-0005/tags?{query}").json()["data"]
        assert found == [row for row in every if keeps(row)] != []


def test_parameters_are_the_columns_about_the_sound(client):
    found = client.get("/v1/tracks/track-0002/parameters").json()["data"]
    assert found == {"track_id": "track-0002", "duration_s": 8.0, "sample_rate": 44100, "channels": 2}


def test_the_outcome_of_a_rejected_track_is_told_without_its_place(client):
    assert client.get("/v1/tracks/broken-a").status_code == 404
    found = client.get("/v1/tracks/broken-a/outcome").json()["data"]
    assert (found["status"], found["reason"], found["stage"]) == ("rejected", "empty", "read")
    assert "uri" not in found
    assert client.get("/v1/tracks/nobody/outcome").status_code == 404


def test_pages_of_every_size_have_each_track_once(client, rows):
    for limit in (1, 7, 24, 100):
        found = [row["track_id"] for row in every_page(client, "/v1/tracks", limit=limit)]
        assert found == [row["track_id"] for row in rows]


@pytest.mark.parametrize("sort", ["year", "-year", "title", "-title", "-bpm", "duration_s", "-track_id"])
def test_pages_are_in_order(client, rows, sort):
    name = sort.removeprefix("-")
    expected = sorted(rows, key=lambda row: row["track_id"], reverse=sort == "-track_id")
    expected.sort(key=lambda row: row[name], reverse=sort.startswith("-"))
    found = every_page(client, "/v1/tracks", sort=sort, limit=5, fields="track_id")
    assert [row["track_id"] for row in found] == [row["track_id"] for row in expected]


def positives(row):
    return {one["tag"] for one in row["top_tags"]}


FILTERS = {
    "range=year:1990..2005": lambda row: 1990 <= row["year"] <= 2005,
    "range=year:2005..&range=bpm:..120": lambda row: row["year"] >= 2005 and row["bpm"] <= 120,
    "artist_id=artist-002": lambda row: row["artist_id"] == "artist-002",
    "country=JP&language=ja": lambda row: (row["country"], row["language"]) == ("JP", "ja"),
    "q=the+SILENT": lambda row: "silent" in f"{row['title']} {row['artist']}".lower(),
    "tag=mood/calm": lambda row: "mood/calm" in positives(row),
    "tag=mood/calm&without=mood/warm": lambda row: "mood/calm" in positives(row) and "mood/warm" not in positives(row),
}


@pytest.mark.parametrize("query", FILTERS)
def test_filters_keep_the_right_tracks(client, rows, query):
    expected = [row["track_id"] for row in rows if FILTERS[query](row)]
    answer = client.get(f"/v1/tracks?{query}&limit=100&count=true")
    assert ids(answer) == expected
    assert 0 < answer.json()["total"] == len(expected) < len(rows)


def test_a_score_can_be_asked_for(client, served):
    scores = open_snapshot(served).scan("track_tags", ["track_id", "tag", "score"]).to_pylist()
    least = sorted(row["score"] for row in scores if row["tag"] == "mood/calm")[12]
    expected = sorted(row["track_id"] for row in scores if row["tag"] == "mood/calm" and row["score"] >= least)
    assert ids(client.get("/v1/tracks", params={"tag": f"mood/calm:{least:.4f}", "limit": 100})) == expected != []


TEXTS = ["'; DROP TABLE tracks; --", "%", '" OR 1=1 --', "\x00", "../../table.json"]


@pytest.mark.parametrize("name", ["q", "artist_id", "country", "sort", "range", "tag", "without", "fields", "cursor"])
def test_a_value_is_never_a_part_of_the_query(client, name):
    for text in TEXTS:
        answer = client.get("/v1/tracks", params={name: text})
        if name in ("artist_id", "country") or (name == "q" and re.search("[A-Za-z]", text)):
            assert ids(answer) == []
        else:
            assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_there_is_a_limit_on_time(served):
    with service(served, query_s=1e-9) as client:
        answer = client.get("/v1/tracks?q=a&sort=-title")
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:catalog-tagger:problem:query-limit"
