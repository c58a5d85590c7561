"""The service finds what the functions find."""

import concurrent.futures
import threading
import time

import pytest

from pipelines.serving.cache import ByteCache
from pipelines.serving.finding.deadlines import Deadline
from pipelines.serving.problems import Declined
from pipelines.serving.routes.playlists import PlaylistWish, playlist_request
from pipelines.serving.rows import KeptReader
from tests.support.service import service
from transforms.discovery.exact import nearest
from transforms.discovery.listening import listening_profile
from transforms.discovery.playlists.making import make_playlist
from transforms.discovery.recommendations import recommend
from transforms.discovery.search.engine import search_tracks
from transforms.discovery.search.request import SearchRequest, ValueRange
from transforms.discovery.style_mix import MixRequest, mix_styles
from transforms.discovery.vectors import fit_space, track_vectors
from transforms.table.reader import open_snapshot
from transforms.table.versions import TableError

SEARCHES = [
    {"weights": {"mood/calm": 0.8, "genre/funk": -1}, "limit": 7},
    {"words": "calm flute"},
    {"weights": {"mood/soft": 1}, "must": ["mood/calm"], "must_not": ["genre/funk"]},
    {"ranges": {"year": "1990..2010"}, "only": {"country": ["JP", "FR"]}, "weights": {"mood/dark": 0.5}},
    {"text": "silent"},
]


@pytest.mark.parametrize("asked", SEARCHES, ids=str)
def test_a_search_answers_what_the_function_answers(client, served, asked):
    ranges = {name: ValueRange.of(text) for name, text in asked.get("ranges", {}).items()}
    lists = {name: tuple(asked.get(name, ())) for name in ("must", "must_not")}
    only = {name: tuple(values) for name, values in asked.get("only", {}).items()}
    expected = search_tracks(open_snapshot(served), SearchRequest(**{**asked, **lists, "ranges": ranges, "only": only}))
    document = client.post("/v1/search", json=asked).json()
    assert [(row["track_id"], row["score"]) for row in document["data"]] == [
        (hit.track_id, round(hit.score, 4)) for hit in expected.hits
    ]
    assert len(document["data"]) > 0 and document["searched"] == 24
    assert [(f["alone"], f["left"]) for f in document["filters"]] == [(f.alone, f.left) for f in expected.filters]
    for row, hit in zip(document["data"], expected.hits, strict=True):
        assert {one["tag"]: one["score"] for one in row["why"]} == {c.tag: c.score for c in hit.contributions}


def test_a_filter_that_empties_the_answer_is_named(client):
    document = client.post("/v1/search", json={"weights": {"mood/calm": 1}, "ranges": {"year": "2999.."}}).json()
    assert document["data"] == [] and "year" in document["emptied_by"]


@pytest.mark.parametrize(
    "asked",
    [{}, {"limit": 3}, {"weights": {"mood/none": 1}}, {"weights": {"mood/calm": 2}}, {"ranges": {"title": "1..2"}},
     {"where": "1 = 1"}, {"key": "H"}, {"ranges": {"year": "a..b"}}, {"weights": {"mood/calm": "nan"}}],
    ids=str,
)  # fmt: skip
def test_a_search_that_cannot_be_answered_is_refused(client, asked):
    answer = client.post("/v1/search", json=asked)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_similar_tracks_are_the_nearest_without_the_track(client, served, rows):
    snapshot = open_snapshot(served)
    space = fit_space(snapshot)
    _, vectors = track_vectors(snapshot, space, ["track-0004"])
    expected = nearest(snapshot, space, vectors, 24)[0]
    pairs = list(zip(expected.track_ids, expected.similarities.tolist(), strict=True))
    assert pairs[0][0] == "track-0004"
    found = client.get("/v1/tracks/track-0004/similar?limit=10").json()["data"]
    assert [row["track_id"] for row in found] == [one for one, _ in pairs[1:11]]
    assert [row["similarity"] for row in found] == pytest.approx([near for _, near in pairs[1:11]], abs=1e-6)
    artists = {row["track_id"]: row["artist_id"] for row in rows}
    others = client.get("/v1/tracks/track-0004/similar?limit=100&other_artists=true").json()["data"]
    assert [row["track_id"] for row in others] == [one for one, _ in pairs if artists[one] != artists["track-0004"]]
    assert client.get("/v1/tracks/broken-a/similar").status_code == 404


def test_a_table_that_does_not_fit_says_so(served):
    with service(served, cache_bytes=1000) as small:
        answer = small.get("/v1/tracks/track-0004/similar")
        assert answer.status_code == 501 and "--cache" in answer.json()["detail"]
        assert len(small.post("/v1/search", json={"weights": {"mood/calm": 1}}).json()["data"]) == 20


def test_time_is_limited():
    with pytest.raises(Declined, match="try again") as raised:
        Deadline(-1).check()
    assert (raised.value.status, raised.value.headers["Retry-After"]) == (503, "1")


def test_the_cache_keeps_what_was_used_last():
    cache, made = ByteCache(10), []

    def get(key, size):
        return cache.get(key, lambda: made.append(key) or key, lambda _: size)

    for key in "abab":
        assert get(key, 4) == key
    assert made == ["a", "b"]
    get("c", 4)  # `a` was used before `b`
    get("b", 4)
    get("a", 4)
    assert made == ["a", "b", "c", "a"] and cache.size == 8
    assert get("large", 11) == "large" and cache.size == 8


def test_of_many_threads_one_makes_a_value():
    cache, made, begun = ByteCache(10), [], threading.Barrier(5)

    def make():
        made.append(1)
        time.sleep(0.02)
        if len(made) == 1:
            raise OSError("the first time fails")
        return "value"

    def ask(_):
        begun.wait()
        try:
            return cache.get("key", make, len)
        except OSError:
            return "failed"

    with concurrent.futures.ThreadPoolExecutor(5) as threads:
        found = list(threads.map(ask, range(5)))
    assert sorted(found) == ["failed"] + ["value"] * 4 and len(made) == 2
    assert cache.find("key") == "value" and cache.find("other") is None and cache._turns == {}


def test_a_search_keeps_the_columns_that_it_reads_and_no_others(served):
    kept = KeptReader.of(open_snapshot(served), ByteCache(10**7))
    for bucket in range(kept.buckets):
        for columns in (["track_id"], ["title", "track_id"], ["track_id", "year", "bpm"]):
            assert kept.scan("tracks", columns, bucket=bucket) == open_snapshot(served).scan(
                "tracks", columns, bucket=bucket
            )
    columns = kept.kept.size
    rows = [kept.bucket_rows("tracks", bucket).table() for bucket in range(kept.buckets)]
    assert columns < sum(one.nbytes for one in rows) / 2
    assert kept.scan("tracks", ["title"], bucket=1) == rows[1].select(["title"])
    with pytest.raises(TableError, match="no column"):
        kept.scan("tracks", ["nothing"], bucket=1)


WISHES = [
    {"seeds": ["track-0003"], "limit": 6},
    {"weights": {"mood/calm": 1}, "minutes": 0.5, "per_artist": 1, "exclude": ["track-0001"], "diversity": 0.1},
    {"seeds": ["track-0003", "track-0007"], "start": ["track-0011"], "ranges": {"year": "1995.."}, "limit": 5},
]


@pytest.mark.parametrize("wish", WISHES, ids=str)
def test_a_playlist_is_that_of_the_function(client, served, wish):
    asked = PlaylistWish(**wish)
    expected = make_playlist(open_snapshot(served), playlist_request(asked))
    document = client.post("/v1/playlists", json=wish).json()
    assert [row["track_id"] for row in document["data"]] == [one.track_id for one in expected.tracks] != []
    assert document["left_out"] == dict(expected.left_out)
    assert document["minutes"] == round(expected.minutes, 2)
    assert not {row["track_id"] for row in document["data"]} & set(wish.get("exclude", wish.get("seeds", [])))


@pytest.mark.parametrize("wish", [{}, {"seeds": ["nobody"]}, {"seeds": [], "flows": {"tempo": "wild"}}], ids=str)
def test_a_playlist_that_cannot_be_made_is_refused(client, wish):
    assert client.post("/v1/playlists", json=wish).status_code == 400


def test_a_mix_is_that_of_the_function(client, served):
    styles = {"mood/calm": 60, "mood/dark": 40}
    expected = mix_styles(open_snapshot(served), MixRequest(styles=styles, added=("track-0002",), limit=6))
    document = client.post("/v1/mix", json={"styles": styles, "added": ["track-0002"], "limit": 6}).json()
    assert (
        [(row["track_id"], row["style"]) for row in document["data"]]
        == [(one.track_id, one.style) for one in expected.tracks]
        != []
    )
    assert document["shares"] == dict(expected.shares)
    assert client.post("/v1/mix", json={"styles": {"mood/none": 1}}).status_code == 400


@pytest.mark.parametrize("kind, key, of", [("artist", "artist-001", "artist"), ("track", "track-0003", "track")])
def test_recommendations_are_those_of_the_function(client, served, kind, key, of):
    expected = recommend(open_snapshot(served), kind, key, of, 5)
    found = client.get(f"/v1/{kind}s/{key}/recommendations?of={of}&limit=5").json()["data"]
    assert [row["id"] for row in found] == [one.key for one in expected] != []
    assert [row["similarity"] for row in found] == pytest.approx([one.similarity for one in expected], abs=1e-6)
    assert client.get(f"/v1/{kind}s/nobody/recommendations").status_code == 404


def test_a_profile_is_that_of_the_function(client, served):
    plays = {f"track-{n:04d}": n + 1 for n in range(20)} | {"nobody": 3}
    expected = listening_profile(open_snapshot(served), plays)
    found = client.post("/v1/profile", json={"plays": plays}).json()["data"]
    assert [row["tag"] for row in found["moods"]] == [one.tag for one in expected.moods[:20]] != []
    assert found["moods"][0]["estimate"]["low"] == pytest.approx(expected.moods[0].estimate.low)
    assert (found["sentences"], found["unknown"]) == (list(expected.sentences), ["nobody"])
    assert client.post("/v1/profile", json={"plays": {"nobody": 1}}).status_code == 400
