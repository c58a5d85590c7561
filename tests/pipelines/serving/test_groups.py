"""Artists, albums and the taxonomy."""

import collections

import pytest

from tests.support.service import every_page
from transforms.table.reader import open_snapshot


@pytest.mark.parametrize("path, key", [("artists", "artist_id"), ("albums", "album_id")])
def test_lists_have_each_group_once_with_its_counts(client, rows, path, key):
    tracks = collections.Counter(row[key] for row in rows)
    found = every_page(client, f"/v1/{path}", limit=3)
    assert [row["id"] for row in found] == sorted(tracks)
    assert {row["id"]: row["tracks"] for row in found} == tracks
    most = every_page(client, f"/v1/{path}", limit=2, sort="-tracks")
    assert [row["id"] for row in most] == sorted(tracks, key=lambda one: (-tracks[one], one))


def test_an_artist_has_its_tags(client, served, rows):
    own = [row for row in rows if row["artist_id"] == "artist-001"]
    found = client.get("/v1/artists/artist-001").json()["data"]
    assert (found["name"], found["tracks"]) == (own[0]["artist"], len(own))
    assert (found["first_year"], found["last_year"]) == (min(r["year"] for r in own), max(r["year"] for r in own))
    published = [
        row for row in open_snapshot(served).scan("artist_tags").to_pylist() if row["artist_id"] == "artist-001"
    ]
    assert {row["tag"]: row["rank"] for row in found["tags"]} == {row["tag"]: row["rank"] for row in published} != {}
    assert client.get("/v1/artists/nobody").status_code == 404


def test_albums_of_an_artist(client, rows):
    expected = {row["album_id"] for row in rows if row["artist_id"] == "artist-001"}
    assert {row["id"] for row in every_page(client, "/v1/albums", artist_id="artist-001")} == expected
    album = min(expected)
    assert client.get(f"/v1/albums/{album}").json()["data"]["tags"] != []


def test_artists_are_found_by_name(client, rows):
    names = {row["artist_id"]: row["artist"] for row in rows}
    word = names["artist-002"].split()[-1]
    found = every_page(client, "/v1/artists", q=word.upper())
    assert [row["id"] for row in found] == sorted(one for one, name in names.items() if word in name) != []


def test_the_tree_has_every_tag_below_its_parents(client, served):
    taxonomy = {row["tag"]: row for row in open_snapshot(served).scan("taxonomy").to_pylist()}
    seen = set()

    def walk(nodes, parent):
        for node in nodes:
            seen.add(node["tag"])
            assert parent is None or parent in taxonomy[node["tag"]]["parents"]
            walk(node["children"], node["tag"])

    categories = client.get("/v1/taxonomy").json()["data"]
    for category in categories:
        walk(client.get(f"/v1/taxonomy/{category['category']}").json()["data"], None)
    assert seen == set(taxonomy)
    assert sum(category["tags"] for category in categories) == len(taxonomy)
    assert "mood" in client.get("/v1/taxonomy/nothing").json()["detail"]


def test_a_tag_has_its_calibration(client):
    found = client.get("/v1/tags/mood/calm").json()["data"]
    assert found["parents"] == ["mood/soft"] and found["calibration"]["kind"] == "identity"
    assert client.get("/v1/tags/mood/nothing").status_code == 404
