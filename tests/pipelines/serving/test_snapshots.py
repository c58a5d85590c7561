"""New snapshots are picked up between requests; no answer mixes two."""

import threading

import pytest

from pipelines.serving.settings import ServiceSettings
from pipelines.serving.snapshots import MOST_OPEN, SnapshotPool
from tests.support.published import fake_bundle, publish_table
from tests.support.service import every_page, service
from tests.support.waiting import wait_until
from transforms import storage
from transforms.table.reader import open_snapshot


@pytest.fixture
def growing(tmp_path):
    bundle = fake_bundle(tmp_path / "bundle")
    publish_table(tmp_path / "table", bundle, 6)
    return str(tmp_path / "table"), lambda tracks: publish_table(tmp_path / "table", bundle, tracks)


def test_a_new_snapshot_is_served_and_a_walk_stays_on_the_old_one(growing):
    table, publish = growing
    with service(table) as client:
        first = client.get("/v1/tracks?limit=4").json()
        assert client.get("/v1/tracks/track-0009").status_code == 404
        publish(12)
        second = client.get("/v1/tracks?limit=100").json()
        assert [one["snapshot"]["number"] for one in (first, second)] == [1, 2]
        assert [len(one["data"]) for one in (first, second)] == [4, 12]
        rest = client.get(f"/v1/tracks?limit=4&cursor={first['next']}")
        assert rest.json()["snapshot"] == first["snapshot"]
        assert [row["track_id"] for row in rest.json()["data"]] == ["track-0004", "track-0005"]
        etag = rest.headers["etag"]
        assert first["snapshot"]["content_hash"] in etag and f"{second['snapshot']['content_hash']}" not in etag


def test_old_snapshots_are_closed_when_nobody_uses_them(growing):
    table, publish = growing
    pool = SnapshotPool(ServiceSettings(table=table, refresh_s=0))
    with pool.lease() as first:
        for tracks in range(7, 7 + MOST_OPEN):
            publish(tracks)
            pool.refresh()
            with pool.lease() as newest:
                assert newest.fetch("SELECT count(*) AS n FROM tracks") == [{"n": tracks}]
        assert first.fetch("SELECT count(*) AS n FROM tracks") == [{"n": 6}]
        assert 1 in pool._open
    assert len(pool._open) == MOST_OPEN and newest.number in pool._open
    assert 2 not in pool._open
    with pool.lease(2) as again:
        assert again.fetch("SELECT count(*) AS n FROM tracks") == [{"n": 7}]
    pool.close()


def test_a_table_that_does_not_answer_leaves_what_is_open(growing, monkeypatch):
    table, _ = growing
    with service(table) as client:
        assert client.get("/ready").status_code == 200

        def fails(_):
            raise storage.Unavailable("the disk is away")

        monkeypatch.setattr("pipelines.serving.snapshots.listed_numbers", fails)
        assert client.get("/v1/tracks/track-0001").status_code == 200
        ready = client.get("/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, 503)
        assert "catalog_tagger_snapshot_look_failed 1.0" in client.get("/metrics").text
        monkeypatch.undo()
        assert client.get("/v1/tracks/track-0001").status_code == 200
        assert client.get("/ready").status_code == 200


def test_clients_side_by_side_get_whole_answers_while_snapshots_change(growing):
    table, publish = growing
    expected, wrong, seen = {}, [], set()

    def note(number):
        snapshot = open_snapshot(table, number)
        expected[snapshot.manifest.run.content_hash] = snapshot.scan("tracks", ["track_id"]).num_rows

    note(1)
    with service(table) as client:
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                rows, first = every_page(client, "/v1/tracks", limit=5, fields="track_id"), client.get("/v1/snapshot")
                seen.add(first.json()["snapshot"]["content_hash"])
                if len(rows) not in (6, 9) or len({row["track_id"] for row in rows}) != len(rows):
                    wrong.append(rows)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        publish(9)
        note(2)
        wait_until(lambda: len(seen) == 2, "the new snapshot is served")
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert seen == set(expected) and sorted(expected.values()) == [6, 9]
