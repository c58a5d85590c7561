"""Which tracks have a tag: the service, `search --must` and `has_tag` in SQL agree, whether scores are kept or not."""

import pytest

from tests.support.published import fake_bundle, publish_table
from tests.support.service import every_page, service
from transforms.discovery.search.engine import search_tracks
from transforms.discovery.search.request import SearchRequest
from transforms.table.duckdb_views import connect
from transforms.table.reader import open_snapshot
from transforms.tagging.assembly import PublishedRows

TAGS = ("mood/soft", "genre/techno")
KEPT, NOT_KEPT = 512 * 2**20, 1000
CASES = {
    "all": (PublishedRows(), KEPT),
    "top": (PublishedRows(top_k=2), KEPT),
    "high": (PublishedRows(min_score=0.6), KEPT),
    "top, not kept": (PublishedRows(top_k=2), NOT_KEPT),
}
"""Which scores are published, and the bytes of the cache of the service."""


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    root, (publication, cache) = tmp_path_factory.mktemp("tags"), CASES[request.param]
    publish_table(root / "table", fake_bundle(root / "bundle"), 24, publication=publication)
    with service(str(root / "table"), cache_bytes=cache) as client:
        yield str(root / "table"), client


@pytest.fixture(scope="module")
def table(case):
    return case[0]


@pytest.fixture(scope="module")
def asked(case):
    """A client of a service over the table."""
    return case[1]


@pytest.fixture(scope="module")
def ask(table):
    """The ids that SQL answers."""
    with connect(open_snapshot(table), macros=True) as connection:
        yield lambda sql: sorted(row[0] for row in connection.execute(sql).fetchall())


def must(table, *tags, without=()):
    """Ids of the tracks that have all tags, as `search` finds them."""
    hits = search_tracks(open_snapshot(table), SearchRequest(must=tags, must_not=without, limit=100)).hits
    return sorted(hit.track_id for hit in hits)


def listed(asked, path="/v1/tracks", limit=100, **given):
    return [row["track_id"] for row in every_page(asked, path, limit=limit, **given)]


def kept_scores(table, tag):
    """Published scores of a tag, ascending."""
    rows = open_snapshot(table).scan("track_tags", ["tag", "score"]).to_pylist()
    return sorted({round(row["score"], 4) for row in rows if row["tag"] == tag})


@pytest.mark.parametrize("path", ["/v1/tracks", "/v1/explorer/tracks"])
def test_a_tag_without_a_score_is_that_of_search(asked, table, path):
    for tag in TAGS:
        assert listed(asked, path, tag=tag) == must(table, tag)
        assert listed(asked, path, without=tag) == must(table, without=(tag,))
    pair = {"tag": ["mood/soft", "instrument/drums"], "without": ["genre/techno"]}
    assert listed(asked, path, **pair) == must(table, *pair["tag"], without=pair["without"])


@pytest.mark.parametrize("path", ["/v1/tracks", "/v1/explorer/tracks"])
def test_a_score_is_that_of_has_tag(asked, table, ask, path):
    every = ask("SELECT track_id FROM tracks")
    for tag in TAGS:
        for least in (0, *kept_scores(table, tag)[::11], 0.65004):
            wanted = ask(f"SELECT track_id FROM has_tag('{tag}', {least})")
            assert listed(asked, path, tag=tag, min_score=least) == wanted
            assert listed(asked, path, tag=f"{tag}:{least}", min_score=0.123) == wanted
            rest = [one for one in every if one not in wanted]
            assert listed(asked, path, without=tag, min_score=least) == rest


def test_pages_counts_and_orders_are_of_the_same_tracks(asked, table, ask):
    for given, sql in (
        ({"tag": "mood/soft:0.6"}, "SELECT track_id FROM has_tag('mood/soft', 0.6)"),
        ({"tag": "mood/soft:0.6", "q": "the"}, "SELECT track_id FROM has_tag('mood/soft', 0.6) JOIN tracks USING "
         "(track_id) WHERE contains(lower(title || ' ' || artist), 'the')"),
        ({"tag": "mood/soft:0.6", "range": "year:1990.."}, "SELECT track_id FROM has_tag('mood/soft', 0.6) JOIN tracks "
         "USING (track_id) WHERE year >= 1990"),
    ):  # fmt: skip
        wanted = ask(sql)
        assert wanted
        assert listed(asked, limit=3, **given) == listed(asked, **given) == wanted
        assert listed(asked, limit=3, sort="-track_id", **given) == wanted[::-1]
        assert sorted(listed(asked, limit=5, sort="-title", **given)) == wanted
        counted = asked.get("/v1/tracks", params={**given, "count": True, "limit": 1}).json()["total"]
        assert counted == len(wanted) == asked.get("/v1/explorer/facets", params=given).json()["data"]["total"]


@pytest.mark.parametrize(("kind", "key"), [("artists", "artist_id"), ("albums", "album_id")])
def test_artists_and_albums_have_a_track_with_all_tags(asked, table, ask, kind, key):
    every = {row["id"]: row for row in every_page(asked, f"/v1/{kind}", limit=7)}
    for given, tracks in (
        ({"tag": "mood/soft"}, must(table, "mood/soft")),
        ({"tag": ["mood/soft", "instrument/drums"]}, must(table, "mood/soft", "instrument/drums")),
        ({"tag": "mood/soft", "min_score": 0.7}, ask("SELECT track_id FROM has_tag('mood/soft', 0.7)")),
        ({"without": "mood/soft"}, must(table, without=("mood/soft",))),
    ):
        rows = open_snapshot(table).scan("tracks", ["track_id", key]).to_pylist()
        wanted = sorted({row[key] for row in rows if row["track_id"] in tracks})
        found = every_page(asked, f"/v1/{kind}", limit=2, **given)
        assert found == [every[one] for one in wanted]
    assert every_page(asked, f"/v1/{kind}", tag="mood/soft:1") == []


def test_artists_have_the_words_and_the_tag(asked, table):
    rows = open_snapshot(table).scan("tracks", ["track_id", "artist_id", "artist"]).to_pylist()
    has = must(table, "mood/soft")
    wanted = {row["artist_id"] for row in rows if row["track_id"] in has and "the" in row["artist"].lower()}
    assert {row["id"] for row in every_page(asked, "/v1/artists", tag="mood/soft", q="the")} == wanted


@pytest.mark.parametrize("given", [{"min_score": 1.1}, {"min_score": "nan"}, {"min_score": "x"}, {"tag": "mood/calm:2"},
                                   {"without": "mood/calm:x"}, {"without": "mood/nothing"}], ids=str)  # fmt: skip
@pytest.mark.parametrize("path", ["tracks", "explorer/tracks", "explorer/facets", "artists", "albums"])
def test_what_is_no_tag_or_score_is_refused(client, path, given):
    answer = client.get(f"/v1/{path}", params=given)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("tag", TAGS)
def test_recommendations_start_from_the_tracks_with_the_tag(asked, table, tag):
    answer = asked.get("/v1/recommendations", params={"seed_genres": tag, "limit": 5})
    has = must(table, tag)
    assert answer.status_code == (200 if has else 404), answer.text
