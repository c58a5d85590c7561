"""A new snapshot is prepared while the one before is served, and takes over when it is ready."""

import logging
import threading
from pathlib import Path

import pytest

from pipelines.serving.cache import ByteCache
from pipelines.serving.finding.preparing import prepare_snapshot
from pipelines.serving.settings import ServiceSettings
from pipelines.serving.snapshots import OpenSnapshot, SnapshotPool
from tests.support.published import fake_bundle, publish_table
from tests.support.service import service
from tests.support.waiting import wait_until
from transforms.table.reader import SnapshotReader, open_snapshot

FOLLOWED = {"refresh_s": 0.02}


@pytest.fixture
def growing(tmp_path):
    bundle = fake_bundle(tmp_path / "bundle")
    publish_table(tmp_path / "table", bundle, 6)
    return str(tmp_path / "table"), lambda tracks: publish_table(tmp_path / "table", bundle, tracks)


class Gate:
    """Lets preparations go on, one by one."""

    def __init__(self, monkeypatch):
        self.begun, self.free = [], {}
        monkeypatch.setattr("pipelines.serving.application.prepare_snapshot", self.prepare)

    def prepare(self, opened, check):
        self.begun.append(opened.number)
        while not self.free.setdefault(opened.number, threading.Event()).wait(0.01):
            check()
        prepare_snapshot(opened, check)

    def open(self, number):
        self.free.setdefault(number, threading.Event()).set()


def number_of(client):
    return client.get("/v1/snapshot").json()["snapshot"]["number"]


def test_the_old_snapshot_is_served_until_the_new_one_is_ready(growing, monkeypatch):
    table, publish = growing
    gate = Gate(monkeypatch)
    with service(table, **FOLLOWED) as client:
        wait_until(lambda: gate.begun == [1], "the first snapshot is being prepared")
        waiting = client.get("/ready")
        assert waiting.status_code == 503 and waiting.headers["retry-after"] == "1"
        assert number_of(client) == 1, "requests are answered meanwhile"
        gate.open(1)
        wait_until(lambda: client.get("/ready").status_code == 200, "the service is ready")
        publish(9)
        wait_until(lambda: gate.begun == [1, 2], "the new snapshot is being prepared")
        publish(12)  # a second one in a row
        assert number_of(client) == 1 and client.get("/ready").status_code == 200
        assert "catalog_tagger_snapshot_preparing 2.0" in client.get("/metrics").text
        gate.open(3)
        gate.open(2)
        wait_until(lambda: number_of(client) == 3, "the newest snapshot is served")
        assert gate.begun == [1, 2, 3]
        assert len(client.get("/v1/tracks?limit=100").json()["data"]) == 12
        metrics = client.get("/metrics").text
        assert "catalog_tagger_snapshot_preparing 0.0" in metrics and "catalog_tagger_snapshot_number 3.0" in metrics


def test_the_service_ends_while_it_prepares(growing, monkeypatch):
    gate = Gate(monkeypatch)
    with service(growing[0], **FOLLOWED):
        wait_until(lambda: gate.begun == [1], "the first snapshot is being prepared")
    assert not [one for one in threading.enumerate() if one.name == "snapshots"]


def test_a_snapshot_that_cannot_be_read_is_not_served(growing, caplog):
    table, publish = growing
    with service(table, **FOLLOWED) as client:
        wait_until(lambda: client.get("/ready").status_code == 200, "the service is ready")
        before = set(Path(table).rglob("tracks-*.parquet"))
        with caplog.at_level(logging.WARNING), pytest.MonkeyPatch.context() as patch:
            # The files are damaged before the service can see the snapshot.
            patch.setattr("pipelines.serving.snapshots.listed_numbers", lambda table: [1])
            publish(9)
            new = set(Path(table).rglob("tracks-*.parquet")) - before
            whole = {path: path.read_bytes() for path in new}
            for path in new:
                path.write_bytes(b"damaged" + whole[path][7:])
            patch.undo()
            wait_until(lambda: client.get("/ready").status_code == 503, "the fault is seen")
        assert number_of(client) == 1
        assert "catalog_tagger_snapshot_look_failed 1.0" in client.get("/metrics").text
        assert "snapshot 1 is served" in caplog.text
        for path in new:
            path.write_bytes(whole[path])
        wait_until(lambda: number_of(client) == 2, "the mended snapshot is served", 20)
        assert client.get("/ready").status_code == 200


def reads_of(monkeypatch):
    """The tables and buckets that are read from now on."""
    reads, read = [], SnapshotReader._selected

    def noted(self, name, track_ids, bucket):
        reads.append((name, bucket))
        return read(self, name, track_ids, bucket)

    monkeypatch.setattr(SnapshotReader, "_selected", noted)
    return reads


def test_requests_read_nothing_of_a_prepared_snapshot(served, monkeypatch):
    with service(served, refresh_s=60.0) as client:
        wait_until(lambda: client.get("/ready").status_code == 200, "the service is ready")
        reads = reads_of(monkeypatch)
        assert client.get("/v1/tracks?q=the&tag=mood/soft").status_code == 200
        assert client.get("/v1/tracks/track-0001/tags").status_code == 200
        assert client.post("/v1/search", json={"weights": {"mood/calm": 1}, "must": ["mood/soft"]}).status_code == 200
    assert reads == []


def test_what_did_not_change_is_not_read_again(growing, monkeypatch):
    table, publish = growing
    pool = SnapshotPool(ServiceSettings(table=table, refresh_s=0), prepare_snapshot)
    pool.refresh()
    first = open_snapshot(table)
    publish(7)
    second = open_snapshot(table)
    contents = [[one.manifest.content("tracks", b) for b in range(one.buckets)] for one in (first, second)]
    changed = {b for b in range(first.buckets) if contents[0][b] != contents[1][b]}
    assert 0 < len(changed) < first.buckets
    reads = reads_of(monkeypatch)
    pool.refresh()
    assert pool.newest == 2
    assert {bucket for name, bucket in reads if name in ("tracks", "track_tags")} == changed
    pool.close()


def test_half_of_the_cache_is_filled_at_most(served):
    reader, sizes = open_snapshot(served), []
    for most in (10**7, 8_000, 1_000):
        cache = ByteCache(most)
        opened = OpenSnapshot(reader, ServiceSettings(table=served), cache)
        prepare_snapshot(opened, lambda: None)
        sizes.append(cache.size)
        opened.close()
    assert sizes[0] > 8_000 and 0 < sizes[1] <= 8_000 and sizes[2] <= 1_000
