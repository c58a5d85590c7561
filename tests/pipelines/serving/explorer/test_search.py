"""Histograms and weighted order, against plain loops over the rows."""

import math

import pytest

from tests.support.service import every_page, service
from transforms.table.reader import open_snapshot

FACETS, TRACKS = "/v1/explorer/facets", "/v1/explorer/tracks"


@pytest.fixture(scope="module")
def scores(served):
    """Track id -> tag -> score."""
    found = {}
    for row in open_snapshot(served).scan("track_tags").to_pylist():
        found.setdefault(row["track_id"], {})[row["tag"]] = round(row["score"], 4)
    return found


def positive(row):
    return {one["tag"] for one in row["top_tags"]}


FILTERS = [
    ({}, lambda row: True),
    ({"range": ["year:2000..2012"]}, lambda row: 2000 <= row["year"] <= 2012),
    ({"range": ["year:..2005", "bpm:90.."]}, lambda row: row["year"] <= 2005 and row["bpm"] >= 90),
    ({"tag": "mood/soft", "range": ["bpm:..120"]}, lambda row: "mood/soft" in positive(row) and row["bpm"] <= 120),
    ({"without": "mood/soft"}, lambda row: "mood/soft" not in positive(row)),
    ({"q": "the"}, lambda row: "the" in f"{row['title']} {row['artist']}".lower()),
    ({"artist_id": "artist-001"}, lambda row: row["artist_id"] == "artist-001"),
]


@pytest.mark.parametrize("given, fits", FILTERS)
def test_counts_are_those_of_a_loop(client, rows, given, fits):
    found = client.get(FACETS, params=given).json()["data"]
    kept = [row for row in rows if fits(row)]
    assert found["total"] == len(kept)
    tags = {tag: sum(tag in positive(row) for row in kept) for tag in {tag for row in kept for tag in positive(row)}}
    assert found["tags"] == tags
    assert [row["track_id"] for row in every_page(client, TRACKS, limit=5, **given)] == [r["track_id"] for r in kept]


def test_a_small_cache_changes_no_count(client, served):
    """Then tags are counted by queries, and bins are made for each request."""
    with service(served, cache_bytes=2048) as other:
        for given, _ in FILTERS:
            found = [each.get(FACETS, params=given).json()["data"] for each in (client, other)]
            assert found[0] == found[1], given


@pytest.mark.parametrize("column", ["year", "bpm"])
@pytest.mark.parametrize("given", [{}, {"range": ["year:2000..2012", "bpm:90..150"]}])
def test_a_histogram_ignores_the_range_of_its_own_column_alone(client, rows, column, given):
    facet = client.get(FACETS, params=given).json()["data"]["columns"][column]
    limits = {"year": (2000, 2012), "bpm": (90, 150)} if given else {}
    kept = [r for r in rows if all(low <= r[n] <= high for n, (low, high) in limits.items() if n != column)]
    expected = [0] * len(facet["counts"])
    for row in kept:
        place = math.floor((row[column] - facet["start"]) / facet["step"] + 1e-9)
        expected[min(max(place, 0), len(expected) - 1)] += 1
    assert facet["counts"] == expected and sum(expected) == len(kept) > 0
    assert facet["is_integer"] and facet["missing"] == 0


def log_odds(score):
    q = 0.1 + 0.8 * score
    return math.log(q / (1 - q))


SOFT = ("mood/soft", "mood/calm", "mood/sad", "mood/dreamy", "mood/warm", "mood/wistful", "mood/gloomy")


def test_weights_order_tracks_by_log_odds_and_say_why(client, rows, scores):
    given = {"weigh": ["mood/soft:0.8", "genre/folk:-0.5", "instrument/bells"]}
    found = every_page(client, TRACKS, limit=7, **given)

    def parts(track):
        soft = max(scores[track][tag] for tag in SOFT)
        return [
            0.8 * log_odds(soft),
            -0.5 * log_odds(scores[track]["genre/folk"]),
            log_odds(scores[track]["instrument/bells"]),
        ]

    relevance = {row["track_id"]: sum(parts(row["track_id"])) for row in rows}
    assert [row["track_id"] for row in found] == sorted(relevance, key=lambda one: (-relevance[one], one))
    for row in found:
        assert row["relevance"] == pytest.approx(relevance[row["track_id"]], abs=1e-3)
        assert sum(part["value"] for part in row["why"]) == pytest.approx(row["relevance"], abs=1e-3)
        sizes = [abs(part["value"]) for part in row["why"]]
        assert sizes == sorted(sizes, reverse=True) and {part["tag"] for part in row["why"]} == {
            "mood/soft",
            "genre/folk",
            "instrument/bells",
        }


def test_another_order_keeps_the_reasons(client, rows):
    found = every_page(client, TRACKS, limit=10, weigh="mood/soft", sort="-year")
    assert [row["track_id"] for row in found] == [
        row["track_id"] for row in sorted(rows, key=lambda row: (-row["year"], row["track_id"]))
    ]
    assert all(len(row["why"]) == 1 for row in found)
    assert every_page(client, TRACKS, limit=50)[0]["why"] == []


@pytest.mark.parametrize(
    "path, given, word",
    [
        (TRACKS, {"weigh": "mood/nothing:1"}, "mood/nothing"),
        (TRACKS, {"weigh": "mood/calm:2"}, "-1 to 1"),
        (TRACKS, {"weigh": "mood/calm:nan"}, "-1 to 1"),
        (TRACKS, {"weigh": ["mood/calm:1", "mood/calm:0.5"]}, "once"),
        (TRACKS, {"weigh": "mood/calm", "cursor": "W10"}, "cursor"),
        (TRACKS, {"weigh": "x'); DROP TABLE tracks; --:1"}, "no tag"),
        (TRACKS, {"sort": "title; DROP TABLE tracks"}, "none of"),
        (FACETS, {"column": "title"}, "title"),
        (FACETS, {"range": "title:1..2"}, "title"),
        (FACETS, {"colour": "red"}, "colour"),
    ],
)
def test_what_does_not_exist_is_named(client, path, given, word):
    answer = client.get(path, params=given)
    assert answer.status_code == 400 and word in answer.json()["detail"]
