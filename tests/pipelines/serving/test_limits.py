"""Answers that take too long are ended, whatever they do; similar tracks come from the search index if there is one."""

import asyncio
import threading
import time

import numpy as np
import pytest

from benchmarks.serving import Edition
from pipelines.serving.cache import ByteCache
from pipelines.serving.explorer.condition import changes_of
from pipelines.serving.explorer.once import Lazy
from pipelines.serving.finding import searching
from pipelines.serving.finding.deadlines import Deadline, TimedReader
from pipelines.serving.finding.searching import find_nearest, index_of, space_of, vector_of
from pipelines.serving.problems import Declined
from pipelines.serving.requests import turn_of
from pipelines.serving.rows import KeptReader
from pipelines.serving.settings import ServiceSettings
from pipelines.serving.snapshots import SnapshotPool
from tests.support.neighbours import publish_table_neighbours
from tests.support.published import fake_bundle, publish_table
from tests.support.service import service
from tests.support.waiting import PATIENCE_S, wait_until
from transforms.discovery.exact import nearest, only
from transforms.discovery.listening import listening_profile
from transforms.discovery.playlists.making import make_playlist
from transforms.discovery.playlists.request import PlaylistRequest
from transforms.discovery.recommendations import recommend
from transforms.discovery.search.request import SearchRequest
from transforms.discovery.style_mix import MixRequest, mix_styles
from transforms.discovery.vectors import track_vectors
from transforms.discovery.walk import find_walk
from transforms.formats.hashing import bucket_of
from transforms.table.neighbours import is_stale
from transforms.table.reader import open_snapshot

CALM = SearchRequest(weights={"mood/calm": 1})
LONG = {
    "playlist": lambda reader: make_playlist(reader, PlaylistRequest(target=CALM, tracks=3)),
    "playlist of seeds": lambda reader: make_playlist(
        reader, PlaylistRequest(target=SearchRequest(), seeds=("track-0001",), tracks=3)
    ),
    "mix": lambda reader: mix_styles(reader, MixRequest(styles={"mood/calm": 1})),
    "walk": lambda reader: find_walk(reader, "track-0001", "track-0005", 3),
    "tracks": lambda reader: recommend(reader, "artist", "artist-001", "track", 3),
    "artists": lambda reader: recommend(reader, "track", "track-0001", "artist", 3),
    "albums": lambda reader: recommend(reader, "artist", "artist-001", "album", 3),
    "profile": lambda reader: listening_profile(reader, {f"track-{n:04d}": 1.0 for n in range(20)}),
}
"""Answers that read large parts of the table, one after the other part."""


class Counting(Deadline):
    """Ends after a number of questions."""

    def __init__(self, most: int) -> None:
        super().__init__(1e9)
        self.asked, self._most = 0, most

    def check(self) -> None:
        self.asked += 1
        if self.asked > self._most:
            raise Declined("query-limit", "over")


QUICK = ("mix", "walk")


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in LONG])
def test_a_long_answer_ends_at_any_read(served, name):
    """The deadline is asked often; wherever it is over, the answer ends there, and the next one is whole."""
    kept = KeptReader.of(open_snapshot(served), ByteCache(10**7))
    answer = LONG[name](TimedReader.until(kept, Counting(10**9)))
    whole = Counting(10**9)  # what is read again, with what is kept
    LONG[name](TimedReader.until(kept, whole))
    assert whole.asked > kept.buckets
    for most in range(0, whole.asked, max(whole.asked // 4, 1)):
        ended = Counting(most)
        with pytest.raises(Declined, match="over"):
            LONG[name](TimedReader.until(kept, ended))
        assert ended.asked == most + 1
    assert LONG[name](TimedReader.until(kept, Deadline(1e9))) == answer


def test_a_timed_reader_compares_no_file_twice(served):
    kept = KeptReader.of(open_snapshot(served), ByteCache(10**7))
    assert TimedReader.until(kept, Deadline(9))._hashed is kept._hashed


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("POST", "/v1/playlists", {"weights": {"mood/calm": 1}}),
        ("POST", "/v1/mix", {"styles": {"mood/calm": 1}}),
        ("POST", "/v1/profile", {"plays": {f"track-{n:04d}": 1 for n in range(20)}}),
        ("POST", "/v1/search", {"weights": {"mood/calm": 1}}),
        ("GET", "/v1/tracks/track-0001/path?to=track-0005", None),
        ("GET", "/v1/artists/artist-001/recommendations?of=artist", None),
        ("GET", "/v1/tracks?q=a&count=true", None),
        ("GET", "/v1/tracks/track-0001/similar", None),
        ("GET", "/v1/recommendations?seed_genres=funk", None),
        ("GET", "/rest/findSonicPath?startSongId=track-0001&endSongId=track-0005", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_path_has_a_limit_on_time(hurried, method, path, body):
    answer = hurried.request(method, path, json=body)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:catalog-tagger:problem:query-limit"), answer.text


@pytest.fixture(scope="module")
def hurried(served):
    """A service without time."""
    with service(served, query_s=1e-7) as client:
        yield client


def is_answered(opened) -> bool:
    """Whether a short query gets its rows; on a busy machine it may be interrupted, too."""
    try:
        return opened.fetch("SELECT count(*) AS n FROM tracks") == [{"n": 24}]
    except Declined:
        return False


def test_a_query_that_computes_for_long_is_interrupted(served):
    pool = SnapshotPool(ServiceSettings(table=served, query_s=0.2))
    begun = time.monotonic()
    with pool.lease() as opened:
        for sql in (
            "SELECT sum(a.range * b.range) AS n FROM range(1000000) a, range(1000000) b",
            "SELECT count(*) AS n FROM range(100000000) WHERE contains(md5(range::VARCHAR), 'zz')",
        ):
            with pytest.raises(Declined) as raised:
                opened.fetch(sql)
            assert (raised.value.kind, raised.value.status) == ("query-limit", 503)
        wait_until(lambda: is_answered(opened), "the connection answers the next query")
    pool.close()
    assert time.monotonic() - begun < PATIENCE_S


@pytest.mark.long
def test_a_query_that_needs_too_much_memory_is_refused(served):
    pool = SnapshotPool(ServiceSettings(table=served, query_s=120.0, memory_bytes=100 * 10**6))
    with pool.lease() as opened, pytest.raises(Declined) as raised:
        opened.fetch("SELECT list(md5(range::VARCHAR)) AS a FROM range(30000000)")
    pool.close()
    assert raised.value.kind == "query-limit" and "memory" in raised.value.detail


def test_what_another_request_computes_is_not_waited_for_without_end(monkeypatch):
    monkeypatch.setattr("pipelines.serving.explorer.once._WAIT_S", 0.01)
    lazy, begun, go = Lazy(), threading.Event(), threading.Event()

    def make():
        begun.set()
        go.wait(PATIENCE_S)
        return "made"

    first = threading.Thread(target=lazy.get, args=(make,))
    first.start()
    begun.wait(PATIENCE_S)
    with pytest.raises(Declined, match="another request") as raised:
        lazy.get(make)
    assert raised.value.status == 503
    go.set()
    first.join()
    assert lazy.get(lambda: "again") == "made"


def test_a_turn_is_not_waited_for_without_end():
    async def run():
        turns = asyncio.Semaphore(1)
        async with turn_of(turns, 9):
            with pytest.raises(Declined, match="could not begin"):
                async with turn_of(turns, 0.01):
                    raise AssertionError
        async with turn_of(turns, 0.01):
            return turns.locked()

    assert asyncio.run(run())


@pytest.mark.long
def test_a_comparison_with_the_snapshot_before_has_a_limit(tmp_path):
    bundle = fake_bundle(tmp_path / "bundle")
    for tracks in (4, 6):
        publish_table(tmp_path / "table", bundle, tracks)
    pool = SnapshotPool(ServiceSettings(table=str(tmp_path / "table")))
    with pool.lease() as opened:
        with pytest.raises(Declined) as raised:
            changes_of(opened, -1.0)
        assert raised.value.kind == "query-limit"
        assert changes_of(opened, 60.0)["tracks"]["added"] == 2
    pool.close()


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    """A table with a search index, and one more snapshot in which the index is stale."""
    folder = tmp_path_factory.mktemp("indexed")
    bundle = fake_bundle(folder / "bundle")
    publish_table(folder / "table", bundle, 40)
    publish_table_neighbours(str(folder / "table"))
    return str(folder / "table")


def test_similar_tracks_come_from_the_index(indexed):
    """A small index reads all cells: its answers are those of the exact search."""
    pool = SnapshotPool(ServiceSettings(table=indexed, cache_bytes=1000))  # too small for the exact search
    with pool.lease() as opened:
        embedding_id = opened.reader.manifest.run.ids.embedding_id
        index = index_of(opened, embedding_id)
        assert index is not None and index is index_of(opened, embedding_id) and len(index) == 40
        space = space_of(opened, embedding_id)
        assert space is index.model.space
        ids = index.track_ids.to_pylist()
        artists = {row["track_id"]: row["artist_id"] for row in opened.fetch("SELECT track_id, artist_id FROM tracks")}
        for track in sorted(ids)[::7]:
            vector = vector_of(opened, embedding_id, track)
            without = {"track_id": [track], "artist_id": [artists[track]]}
            found = find_nearest(opened, vector[None, :], embedding_id, 6, 60.0, without)[0]
            others = only(one for one in ids if artists[one] != artists[track])
            expected = nearest(opened.reader, space, vector[None, :], 6, others)[0]
            assert found.track_ids == expected.track_ids
            assert np.array_equal(found.similarities, expected.similarities)
        assert vector_of(opened, embedding_id, "nobody") is None
        with pytest.raises(Declined) as raised:
            find_nearest(opened, vector[None, :], embedding_id, 6, -1.0, {})
        assert raised.value.kind == "query-limit"
    pool.close()


def test_a_stale_index_gives_the_vectors_of_what_did_not_change(tmp_path, monkeypatch):
    """A snapshot with other titles needs no table but the index. After another track, only its bucket is read."""
    bundle, table = fake_bundle(tmp_path / "bundle"), str(tmp_path / "table")
    publish_table(table, bundle, 40)
    publish_table_neighbours(table)
    pool, read = SnapshotPool(ServiceSettings(table=table, refresh_s=0)), []
    own = searching._read_vector
    monkeypatch.setattr(searching, "_read_vector", lambda *given: read.append(given[2]) or own(*given))
    Edition(table).publish()
    pool.refresh()
    with pool.lease() as titled:
        embedding_id = titled.reader.manifest.run.ids.embedding_id
        index, ids = index_of(titled, embedding_id), titled.reader.scan("tracks", ["track_id"])["track_id"].to_pylist()
        publish_table(table, bundle, 41, neighbours=True)
        pool.refresh()
        with pool.lease() as grown:
            assert index_of(grown, embedding_id) is index, "snapshots with the same index share it"
            for opened, changed in ((titled, None), (grown, bucket_of("track-0040", titled.reader.buckets))):
                assert is_stale(opened.reader.manifest.run)
                _, expected = track_vectors(opened.reader, index.model.space, sorted(ids))
                found = [vector_of(opened, embedding_id, one) for one in sorted(ids)]
                assert np.array_equal(found, expected)
                assert read == sorted(one for one in ids if bucket_of(one, opened.reader.buckets) == changed)
                assert vector_of(opened, embedding_id, "nobody") is None
                read.clear()
            assert vector_of(grown, embedding_id, "track-0040") is not None
    pool.close()


@pytest.mark.long
def test_without_the_snapshot_of_the_index_every_vector_is_read(tmp_path, monkeypatch):
    bundle, table = fake_bundle(tmp_path / "bundle"), str(tmp_path / "table")
    publish_table(table, bundle, 12)
    publish_table_neighbours(table)
    Edition(table).publish()
    (tmp_path / "table" / "snapshots" / "0000000001.json").unlink()
    pool, read = SnapshotPool(ServiceSettings(table=table)), []
    own = searching._read_vector
    monkeypatch.setattr(searching, "_read_vector", lambda *given: read.append(given[2]) or own(*given))
    with pool.lease() as opened:
        assert vector_of(opened, opened.reader.manifest.run.ids.embedding_id, "track-0003") is not None
    assert read == ["track-0003"]
    pool.close()


@pytest.mark.long
def test_a_limit_above_the_number_of_tracks_ends(indexed):
    with service(indexed, cache_bytes=1000) as client:
        answer = client.get("/v1/tracks/track-0001/similar?limit=100&other_artists=true").json()
        artists = {row["artist_id"] for row in answer["data"]}
        assert (
            len(answer["data"]) < 39 and client.get("/v1/tracks/track-0001").json()["data"]["artist_id"] not in artists
        )
        assert answer["snapshot"]["number"] == 2
        alike = client.get("/rest/getSonicSimilarTracks?id=track-0001&count=5").json()["subsonic-response"][
            "sonicMatch"
        ]
        plain = client.get("/v1/tracks/track-0001/similar?limit=5").json()["data"]
        assert [one["entry"]["id"] for one in alike] == [one["track_id"] for one in plain]
        assert client.get("/v1/recommendations?seed_tracks=track-0001&limit=5").status_code in (200, 501)


@pytest.mark.long
def test_an_index_of_an_earlier_snapshot_names_no_track_that_is_gone(tmp_path):
    bundle = fake_bundle(tmp_path / "bundle")
    table = str(tmp_path / "table")
    publish_table(tmp_path / "table", bundle, 40)
    publish_table_neighbours(table)
    with service(table) as client:
        before = client.get("/v1/tracks/track-0001/similar?limit=30").json()
        publish_table(tmp_path / "table", bundle, 20, neighbours=True)
        after = client.get("/v1/tracks/track-0001/similar?limit=30").json()
    there = {f"track-{n:04d}" for n in range(20)}
    assert {row["track_id"] for row in before["data"]} - there
    assert {row["track_id"] for row in after["data"]} == there - {"track-0001"}
